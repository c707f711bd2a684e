//! `shieldwall decisions`: what is enforced, through the local API.
//!
//! Listing goes by alerts, because what people want to see beside a decision (events, country,
//! network) belongs to its alert; `-o json` prints those alerts, as scripts expect.
//!
//! Reading order: the arguments, [`run`], then `show` and `import`.

mod import;

mod show;

use super::{
    query::{self, Query, Span, WhomArgs, ask, client, refused},
    tool::{Form, Tool, ToolArgs},
};
use crate::terminal;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use api::{Alert, Decision, Source};
use clap::{Args, Subcommand};
use model::{Timestamp, parse_ip, parse_range};
use std::process::ExitCode;

/// Shows, adds, imports and ends decisions.
#[derive(Args, Debug)]
#[command(
    visible_alias = "decision",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  shieldwall decisions list
  shieldwall decisions add --ip 192.0.2.7 --duration 24h --reason 'web scan'
  shieldwall decisions delete --range 192.0.2.0/24 --contained
  shieldwall decisions import -i list.csv
  curl -s https://lists.example/drop.txt | shieldwall decisions import -i - --format values"
)]
pub(super) struct DecisionsArgs {
    #[command(subcommand)]
    pub(super) command: DecisionsCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum DecisionsCommand {
    List(ListArgs),
    Add(AddArgs),
    #[command(alias = "remove")]
    Delete(DeleteArgs),
    Import(import::ImportArgs),
}

/// Lists active decisions.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// The community's and blocklists' too.
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    whom: WhomArgs,
    /// Of alerts that started since that long ago: 1h30m, 7d.
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
    /// Of alerts that started before that long ago.
    #[arg(long, value_name = "TIME")]
    until: Option<Span>,
    /// The type: ban, captcha, …
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    decision_type: Option<String>,
    /// The scope: ip, range, …
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// The origin: crowdsec, cscli, CAPI, lists, …
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The scenario.
    #[arg(short, long, value_name = "NAME")]
    scenario: Option<String>,
    /// Of at most so many alerts; 0 for all.
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Without those that are only simulated.
    #[arg(long)]
    no_simu: bool,
    /// Show which machine sent the alert.
    #[arg(short, long)]
    machine: bool,
}

/// Decides about an address, a network or another value by hand.
#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// An address.
    #[arg(short, long, value_name = "IP")]
    ip: Option<String>,
    /// A network.
    #[arg(short, long, value_name = "RANGE")]
    range: Option<String>,
    /// How long: 4h, 7d.
    #[arg(short, long, value_name = "TIME", default_value = "4h")]
    duration: Span,
    /// A value, of the scope given by --scope.
    #[arg(short, long, value_name = "VALUE")]
    value: Option<String>,
    /// What the value is: ip, range, username, …
    #[arg(long, value_name = "SCOPE", default_value = "Ip")]
    scope: String,
    /// Why (default: manual 'TYPE' from 'MACHINE').
    #[arg(short = 'R', long, value_name = "TEXT")]
    reason: Option<String>,
    /// What to do: ban, captcha, …
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "ban")]
    decision_type: String,
    /// Decide even about what an allowlist covers.
    #[arg(short = 'B', long)]
    bypass_allowlist: bool,
}

/// Ends decisions.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    whom: WhomArgs,
    /// The type: ban, captcha, …
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    decision_type: Option<String>,
    /// The scenario.
    #[arg(short, long, value_name = "NAME")]
    scenario: Option<String>,
    /// The origin: crowdsec, cscli, CAPI, lists, …
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A single decision, by its number.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(command: &DecisionsCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        DecisionsCommand::List(args) => list(args, &tool)?,
        DecisionsCommand::Add(args) => add(args, &tool)?,
        DecisionsCommand::Delete(args) => delete(args, &tool)?,
        DecisionsCommand::Import(args) => import::run(args, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs, tool: &Tool) -> Result<()> {
    let client = client(tool)?;
    let query = args.query()?;
    let mut alerts = ask(tool, client.alerts(&query.pairs()))?;
    let skipped = show::only_active_once(&mut alerts);
    match tool.form {
        Form::Json => tool.json(&alerts),
        Form::Raw => {
            let (header, rows) = show::csv(&alerts, args.machine);
            tool.raw(&header, &rows)
        }
        Form::Human => {
            tool.line(&show::all(&alerts, args.machine, terminal::stdout_color()))?;
            if skipped > 0 {
                tool.line(&format!("{skipped} duplicated entries skipped"))?;
            }
            Ok(())
        }
    }
}

impl ListArgs {
    fn query(&self) -> Result<Query> {
        let mut query = Query::default();
        self.whom.fill(&mut query)?;
        query.maybe("until", self.until.as_ref());
        query.maybe("since", self.since.as_ref());
        query.maybe("scenario", self.scenario.as_ref());
        query.maybe("decision_type", self.decision_type.as_ref());
        query.maybe("scope", self.scope.as_deref().map(query::scope).as_ref());
        query.maybe("origin", self.origin.as_ref());
        self.whom.relation(&mut query);
        if self.no_simu {
            query.add("simulated", "false");
        }
        query.add("has_active_decision", "true");
        query.add("include_capi", if self.all { "true" } else { "false" });
        query.add("limit", self.limit.to_string());
        Ok(query)
    }
}

fn add(args: &AddArgs, tool: &Tool) -> Result<()> {
    let (scope, value) = args.whom()?;
    let (credentials, _) = tool.credentials()?;
    let client = tool.client(&credentials)?;
    let kind = &args.decision_type;
    let reason = args.reason.clone().unwrap_or_else(|| {
        // A machine with a certificate is named by the server, not by itself.
        format!("manual '{kind}' from '{}'", credentials.login().unwrap_or_default())
    });
    if !args.bypass_allowlist && (scope == "Ip" || scope == "Range") {
        let answer = ask(tool, client.check_allowlists(std::slice::from_ref(&value)))?;
        if let Some(found) = answer.results.first() {
            bail!(
                "{value} is allowlisted by item {}, use --bypass-allowlist to add the decision anyway",
                found.allowlists.join(", ")
            );
        }
    }
    let decision = Decision {
        duration: Some(args.duration.to_string()),
        origin: Some("cscli".to_owned()),
        scenario: Some(reason.clone()),
        scope: Some(scope.clone()),
        remediation: Some(kind.clone()),
        value: Some(value.clone()),
        ..Decision::default()
    };
    let source = Source {
        ip: Some(value.clone()).filter(|_| scope == "Ip"),
        range: Some(value.clone()).filter(|_| scope == "Range"),
        scope: Some(scope),
        value: Some(value),
        ..Source::default()
    };
    let alert = alert_of(&reason, source, vec![decision], tool.now());
    let answer = tool.wait(client.post_alerts(&[alert]))?;
    let stored = answer.map_err(refused)?;
    ensure!(!stored.is_empty(), "the local API did not take the decision");
    tool.tell("Decision successfully added");
    Ok(())
}

impl AddArgs {
    /// Scope and value of what is to be decided about.
    fn whom(&self) -> Result<(String, String)> {
        if let Some(ip) = &self.ip {
            return Ok(("Ip".to_owned(), parse_ip(ip)?.to_string()));
        }
        if let Some(range) = &self.range {
            return Ok(("Range".to_owned(), parse_range(range)?.to_string()));
        }
        let Some(value) = self.value.as_deref().filter(|value| !value.is_empty()) else {
            bail!("missing arguments, a value is required (--ip, --range or --scope and --value)");
        };
        let scope = query::scope(&self.scope);
        match scope.as_str() {
            "Ip" => drop(parse_ip(value)?),
            "Range" => drop(parse_range(value)?),
            _ => {}
        }
        Ok((scope, value.to_owned()))
    }
}

/// The alert that carries decisions made by hand: a local API takes no decision without one.
fn alert_of(reason: &str, source: Source, decisions: Vec<Decision>, now: Timestamp) -> Alert {
    let now = api::date::full(now);
    Alert {
        capacity: Some(0),
        decisions: Some(decisions),
        events: Some(Vec::new()),
        events_count: Some(1),
        kind: Some("cscli".to_owned()),
        leakspeed: Some("0".to_owned()),
        message: Some(reason.to_owned()),
        remediation: Some(true),
        scenario: Some(reason.to_owned()),
        scenario_hash: Some(String::new()),
        scenario_version: Some(String::new()),
        simulated: Some(false),
        source: Some(source),
        start_at: Some(now.clone()),
        stop_at: Some(now),
        ..Alert::default()
    }
}

fn delete(args: &DeleteArgs, tool: &Tool) -> Result<()> {
    let mut query = Query::default();
    args.whom.fill(&mut query)?;
    query.maybe("type", args.decision_type.as_ref());
    query.maybe("scenario", args.scenario.as_ref());
    query.maybe("origin", args.origin.as_ref());
    if query.is_empty() && !args.all && args.id.is_none() {
        bail!("at least one filter or --all must be specified");
    }
    args.whom.relation(&mut query);
    let client = client(tool)?;
    let deleted = match &args.id {
        Some(text) => {
            let id: i64 = text.parse().map_err(|_| anyhow!("id '{text}' is not an integer"))?;
            let answer = tool.wait(client.delete_decision(id))?;
            answer.map_err(refused).context("unable to delete decision")?
        }
        None => {
            let answer = tool.wait(client.delete_decisions(&query.pairs()))?;
            answer.map_err(refused).context("unable to delete decisions")?
        }
    };
    tool.tell(&format!("{deleted} decision(s) deleted"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        decisions: DecisionsArgs,
    }

    fn whom(line: &str) -> Result<(String, String), String> {
        let line = Line::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let DecisionsCommand::Add(args) = line.decisions.command else { panic!("not `add`") };
        args.whom().map_err(|error| error.to_string())
    }

    #[test]
    fn the_scope_follows_from_the_flag() {
        let pair = |scope: &str, value: &str| Ok((scope.to_owned(), value.to_owned()));
        assert_eq!(whom("x add -i 192.0.2.1"), pair("Ip", "192.0.2.1"));
        assert_eq!(whom("x add -r 192.0.2.1/24"), pair("Range", "192.0.2.0/24"));
        assert_eq!(whom("x add -v root --scope username"), pair("username", "root"));
        assert_eq!(whom("x add -v 10.0.0.0/8 --scope range"), pair("Range", "10.0.0.0/8"));
        assert_eq!(whom("x add -i 999").unwrap_err(), "invalid ip address '999'");
        assert!(whom("x add").unwrap_err().starts_with("missing arguments, a value is required"));
        assert!(whom("x add -i 192.0.2.1 -d soon").unwrap_err().contains("invalid duration"));
    }

    #[test]
    fn lists_ask_for_alerts_with_active_decisions() {
        let line = Line::try_parse_from("x list -i 192.0.2.1 --no-simu".split(' ')).unwrap();
        let DecisionsCommand::List(args) = line.decisions.command else { panic!("not `list`") };
        let query = args.query().unwrap();
        let want = [
            ("ip", "192.0.2.1"),
            ("simulated", "false"),
            ("has_active_decision", "true"),
            ("include_capi", "false"),
            ("limit", "100"),
        ];
        assert_eq!(query.pairs(), want);
    }
}
