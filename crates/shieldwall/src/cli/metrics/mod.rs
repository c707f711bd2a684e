//! `shieldwall metrics`: what was counted.
//!
//! Three places know something: the running engine, where it has a Prometheus endpoint; the
//! database, where agents and bouncers report their usage; and the alerts and decisions in it.
//! What one of them cannot tell now is said on standard error, and the rest is shown.
//!
//! Reading order: [`section`] (what there is), [`tree`] (named numbers), [`scrape`] (the endpoint),
//! [`gather`] (from numbers to sections), [`bouncers`], [`show`].

mod section;

mod tree;

mod scrape;

mod gather;

mod bouncers;

mod show;

use self::{
    bouncers::Bouncers,
    section::{SECTIONS, Section},
    tree::Node,
};
pub(super) use self::{gather::Payload, section::SECTION_NAMES, tree::whole};
use super::tool::{Form, Tool, ToolArgs};
use crate::{
    config::{self, Desk},
    terminal,
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{collections::BTreeMap, process::ExitCode};
use store::{AlertFilter, HasActive, MetricsFilter};

/// Shows what was counted: lines, parsers, scenarios, alerts, decisions, bouncers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall metrics
  shieldwall metrics show bouncers
  shieldwall metrics show engine lapi -o json
  shieldwall metrics list")]
pub(super) struct MetricsArgs {
    #[command(flatten)]
    pub(super) command: MetricsCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

/// What is asked for.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct MetricsCommand {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows sections, or all of them.
    Show {
        /// Names of sections, or engine, lapi, appsec, bot-detection for several at once.
        #[arg(value_name = "SECTION")]
        sections: Vec<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Lists the sections there are.
    List,
}

#[derive(Args, Clone, Debug, Default)]
struct HowArgs {
    /// The Prometheus endpoint (default: what the settings say).
    #[arg(short, long, value_name = "URL")]
    url: Option<String>,
    /// Whole numbers instead of 3.80k.
    #[arg(long)]
    no_unit: bool,
}

pub(super) fn run(command: &MetricsCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    let (names, how) = match &command.verb {
        Some(Verb::List) => {
            list(&tool)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Verb::Show { sections, how }) => (sections.as_slice(), how),
        None => (&[][..], &command.how),
    };
    show(names, how, &tool)?;
    Ok(ExitCode::SUCCESS)
}

fn list(tool: &Tool) -> Result<()> {
    match tool.form {
        Form::Json => {
            let sections = SECTIONS.iter().map(|section| {
                json!({"type": section.key, "title": section.title, "description": section.about})
            });
            tool.json(&sections.collect::<Vec<_>>())
        }
        Form::Raw => bail!("output format 'raw' not supported for this command"),
        Form::Human => {
            let row =
                |section: &Section| [section.key, section.title, section.about].map(str::to_owned);
            let rows: Vec<Vec<String>> = SECTIONS.iter().map(|it| row(it).to_vec()).collect();
            tool.line(&super::table::table(&["Type", "Title", "Description"], &rows))
        }
    }
}

/// Everything that could be found out.
#[derive(Default)]
struct Found {
    sections: BTreeMap<&'static str, Node>,
    bouncers: Bouncers,
}

fn show(names: &[String], how: &HowArgs, tool: &Tool) -> Result<()> {
    ensure!(tool.form != Form::Raw, "output format 'raw' not supported for this command");
    let wanted = section::named(names)?;
    let found = find(how, tool)?;
    match tool.form {
        Form::Json => {
            let nothing = Node::default();
            let mut out: BTreeMap<&str, serde_json::Value> = BTreeMap::new();
            for section in &wanted {
                let value = if section.key == "bouncers" {
                    serde_json::to_value(found.bouncers.tree())?
                } else {
                    serde_json::to_value(found.sections.get(section.key).unwrap_or(&nothing))?
                };
                out.insert(section.key, value);
            }
            tool.json(&out)
        }
        Form::Human | Form::Raw => {
            if found.bouncers.is_empty() && !names.is_empty() && wanted.iter().any(is_bouncers) {
                tool.line("No bouncer metrics found.")?;
            }
            tool.line(&human(&found, &wanted, !how.no_unit))
        }
    }
}

fn is_bouncers(section: &&Section) -> bool {
    section.key == "bouncers"
}

/// Every section of which something is known, as tables.
fn human(found: &Found, wanted: &[&Section], short: bool) -> String {
    let mut parts = Vec::new();
    for section in wanted {
        if is_bouncers(section) {
            parts.extend(found.bouncers.tables(short));
        } else if let Some(node) = found.sections.get(section.key) {
            parts.push(show::section(section, node, short));
        }
    }
    if parts.is_empty() {
        parts.push("Nothing was counted yet.".to_owned());
    }
    parts.join("\n\n").trim_end().to_owned()
}

/// All sections as tables, for those who help.
pub(super) fn everything(tool: &Tool) -> Result<String> {
    let found = find(&HowArgs::default(), tool)?;
    Ok(human(&found, &section::named(&[])?, true) + "\n")
}

/// What the engine tells, word for word, for those who help.
pub(super) fn scraped(tool: &Tool) -> Result<String> {
    let url = endpoint(&HowArgs::default(), tool)?.context("prometheus is not enabled")?;
    scrape::fetch(&url)
}

/// Asks everybody who may know something. Who does not answer is named on standard error.
fn find(how: &HowArgs, tool: &Tool) -> Result<Found> {
    let mut found = Found::default();
    let from_engine = match endpoint(how, tool)? {
        Some(url) => match scrape::fetch(&url) {
            Ok(text) => {
                for sample in scrape::samples(&text) {
                    gather::sample(&sample, &mut found.sections);
                }
                true
            }
            Err(error) => {
                terminal::warn(&format!("{error:#}"));
                false
            }
        },
        None => {
            terminal::warn("prometheus is not enabled, can't show metrics of the running engine");
            false
        }
    };
    if tool.settings.server.is_some() {
        if let Err(error) = from_store(&mut found, from_engine, tool) {
            terminal::warn(&format!("nothing is known from the database: {error:#}"));
        }
    } else {
        tool.tell("The local API does not run here: its machines and bouncers are not shown.");
    }
    Ok(found)
}

/// Where the engine tells its numbers, if it does.
fn endpoint(how: &HowArgs, tool: &Tool) -> Result<Option<String>> {
    if let Some(url) = &how.url {
        return Ok(Some(url.clone()));
    }
    let Some(path) = &tool.config else { return Ok(None) };
    // What is wrong with the file was said when the tool was opened.
    let tree = config::load(path)?.tree;
    let mut desk = Desk::default();
    if tree.get("prometheus").is_none_or(|section| section.is_null()) {
        return Ok(None);
    }
    if desk.flag(&tree, "prometheus.enabled") == Some(false) {
        return Ok(None);
    }
    if let Some(url) = desk.text(&tree, "cscli.prometheus_uri") {
        return Ok(Some(url.to_owned()));
    }
    let address = desk.text(&tree, "prometheus.listen_addr").unwrap_or("127.0.0.1").to_owned();
    let port = desk.number(&tree, "prometheus.listen_port", 1..=65_535).unwrap_or(6060);
    Ok(Some(format!("http://{address}:{port}/metrics")))
}

/// Adds what the database knows. Where the engine answered, its numbers are newer.
fn from_store(found: &mut Found, engine_answered: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let reports = tool.wait(store.metrics(MetricsFilter::All))??;
    for report in &reports {
        match report.source {
            store::MetricsSource::RemediationComponent => found.bouncers.add(report),
            store::MetricsSource::LogProcessor if engine_answered => {}
            store::MetricsSource::LogProcessor => {
                gather::log_processor(report, &mut found.sections);
            }
        }
    }
    if !found.sections.contains_key("alerts") {
        for (scenario, n) in tool.wait(store.alert_counts())?? {
            gather::add(&mut found.sections, "alerts", &[&scenario], n);
        }
    }
    if !found.sections.contains_key("decisions") {
        let filter = AlertFilter { has_active: Some(HasActive::Yes), ..AlertFilter::default() };
        let now = tool.now();
        let alerts = tool
            .wait(store.alerts(filter, now))?
            .map_err(|error| anyhow!(error))
            .context("counting decisions")?;
        for decision in alerts.iter().flat_map(|alert| &alert.decisions) {
            if decision.is_active(now) {
                let path = [&*decision.scenario, &*decision.origin, &*decision.remediation];
                gather::add(&mut found.sections, "decisions", &path, 1);
            }
        }
    }
    Ok(())
}
