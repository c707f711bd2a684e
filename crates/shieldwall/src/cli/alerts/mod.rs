//! `shieldwall alerts`: what was detected, as the local API tells it.
//!
//! Everything but `flush` goes over HTTP with this host's credentials, so it works from any
//! machine of the fleet. `flush` works on the database itself.
//!
//! Reading order: the arguments, [`run`], then `show` (tables, CSV, one alert in full).

mod show;

use super::{
    query::{self, Query, Span, WhomArgs, ask, client, refused},
    text,
    tool::{Form, Tool, ToolArgs},
};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use std::{process::ExitCode, time::Duration};
use store::Retention;

/// Shows and deletes alerts.
#[derive(Args, Debug)]
#[command(
    visible_alias = "alert",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  shieldwall alerts list --since 24h --scenario crowdsecurity/ssh-bf
  shieldwall alerts list -o json --ip 192.0.2.7
  shieldwall alerts inspect --details 12
  shieldwall alerts delete --ip 192.0.2.7"
)]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    pub(super) command: AlertsCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum AlertsCommand {
    List(ListArgs),
    Inspect(InspectArgs),
    #[command(alias = "remove")]
    Delete(DeleteArgs),
    Flush(FlushArgs),
}

/// Lists alerts, newest first.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// All of them, the community's and blocklists included.
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    whom: WhomArgs,
    /// Started before that long ago: 1h30m, 7d.
    #[arg(long, value_name = "TIME")]
    until: Option<Span>,
    /// Started since that long ago.
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
    /// The scenario, of the alert or of a decision.
    #[arg(short, long, value_name = "NAME")]
    scenario: Option<String>,
    /// The type of a decision: ban, captcha, …
    #[arg(long = "type", value_name = "TYPE")]
    decision_type: Option<String>,
    /// The scope: ip, range, …
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// The origin of a decision: crowdsec, cscli, CAPI, lists, …
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The kind: crowdsec, waf, cscli, …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Show which machine sent it.
    #[arg(short, long)]
    machine: bool,
    /// At most so many; 0 for all.
    #[arg(short, long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Shows single alerts in full.
#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// Their numbers.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Show their events.
    #[arg(short, long)]
    details: bool,
}

/// Deletes alerts and their decisions.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    whom: WhomArgs,
    /// The scenario, of the alert or of a decision.
    #[arg(short, long, value_name = "NAME")]
    scenario: Option<String>,
    /// The scope: ip, range, …
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// A single alert, by its number.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// All of them.
    #[arg(short, long)]
    all: bool,
}

/// Deletes old alerts without active decisions from the database of this host.
#[derive(Args, Debug)]
pub(super) struct FlushArgs {
    /// Keep so many of the newest.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    max_items: u64,
    /// Keep what is younger.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    max_age: Span,
}

pub(super) fn run(command: &AlertsCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        AlertsCommand::List(args) => list(args, &tool)?,
        AlertsCommand::Inspect(args) => inspect(args, &tool)?,
        AlertsCommand::Delete(args) => delete(args, &tool)?,
        AlertsCommand::Flush(args) => flush(args, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs, tool: &Tool) -> Result<()> {
    let client = client(tool)?;
    let query = args.query()?;
    let alerts = ask(tool, client.alerts(&query.pairs()))?;
    match tool.form {
        Form::Json => tool.json(&alerts),
        Form::Raw => {
            let (header, rows) = show::csv(&alerts, args.machine);
            tool.raw(&header, &rows)
        }
        Form::Human => tool.line(&show::all(&alerts, args.machine)),
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
        query.maybe("kind", self.kind.as_ref());
        self.whom.relation(&mut query);
        query.add("include_capi", if self.all { "true" } else { "false" });
        query.add("limit", if self.all { 0 } else { self.limit }.to_string());
        Ok(query)
    }
}

fn inspect(args: &InspectArgs, tool: &Tool) -> Result<()> {
    let client = client(tool)?;
    for given in &args.ids {
        let id: i64 = given.parse().map_err(|_| anyhow!("bad alert id {given}"))?;
        let answer = tool.wait(client.alert(id))?;
        let alert =
            answer.map_err(refused).with_context(|| format!("can't find alert with id {id}"))?;
        match tool.form {
            Form::Json => tool.json(&alert)?,
            Form::Raw => tool.line(text::yaml(&serde_json::to_value(&alert)?).trim_end())?,
            Form::Human => tool.line(show::whole(&alert, args.details).trim_end())?,
        }
    }
    Ok(())
}

fn delete(args: &DeleteArgs, tool: &Tool) -> Result<()> {
    let mut query = Query::default();
    args.whom.fill(&mut query)?;
    query.maybe("scenario", args.scenario.as_ref());
    query.maybe("scope", args.scope.as_deref().map(query::scope).as_ref());
    if query.is_empty() && !args.all && args.id.is_none() {
        bail!("at least one filter or --all must be specified");
    }
    // That a range only contains is no filter: `--contained` alone must not delete everything.
    args.whom.relation(&mut query);
    let client = client(tool)?;
    let deleted = match &args.id {
        Some(given) => {
            let id: i64 = given.parse().map_err(|_| anyhow!("id '{given}' is not an integer"))?;
            let answer = tool.wait(client.delete_alert(id))?;
            answer.map_err(refused).context("unable to delete alert")?
        }
        // With --all every filter is left aside, as it always was.
        None if args.all => {
            let answer = tool.wait(client.delete_alerts(&[]))?;
            answer.map_err(refused).context("unable to delete alerts")?
        }
        None => {
            let answer = tool.wait(client.delete_alerts(&query.pairs()))?;
            answer.map_err(refused).context("unable to delete alerts")?
        }
    };
    tool.tell(&format!("{deleted} alert(s) deleted"));
    Ok(())
}

fn flush(args: &FlushArgs, tool: &Tool) -> Result<()> {
    let nanos = u64::try_from(args.max_age.nanos).context("--max-age must not be negative")?;
    let retention = Retention {
        max_age: Some(Duration::from_nanos(nanos)),
        max_items: Some(args.max_items),
        ..Retention::default()
    };
    let store = tool.store()?;
    tool.tell("Flushing alerts. !! This may take a long time !!");
    let flushed = tool.wait(store.flush(&retention, tool.now()))??;
    store.close();
    tool.tell(&format!("Alerts flushed: {}", flushed.alerts));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        alerts: AlertsArgs,
    }

    fn asked(line: &str) -> String {
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        let AlertsCommand::List(args) = line.alerts.command else { panic!("not a list") };
        let query = args.query().unwrap();
        let pairs: Vec<_> =
            query.pairs().iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join("&")
    }

    #[test]
    fn filters_become_what_the_local_api_knows() {
        assert_eq!(asked("x list"), "include_capi=false&limit=50");
        assert_eq!(asked("x list -a"), "include_capi=true&limit=0");
        assert_eq!(
            asked("x list --since 2d12h --scope range -r 10.0.0.0/8 --contained -l 0 --type ban"),
            "range=10.0.0.0/8&since=60h0m0s&decision_type=ban&scope=Range&contains=false\
             &include_capi=false&limit=0"
        );
    }
}
