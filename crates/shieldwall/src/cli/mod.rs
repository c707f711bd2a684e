//! The command line: one file per command, and what they share.
//!
//! A command returns its exit code: 0 when all is well, 1 when the world refused (printed once,
//! here), 2 when what the user wrote is wrong.

mod up;

mod serve;

mod agent;

mod daemon;

mod once;

mod replay;

mod check;

mod explain;

mod hub_test;

mod tool;

mod table;

mod cells;

mod listed;

mod text;

mod query;

mod machines;

mod bouncers;

mod alerts;

mod decisions;

mod allowlists;

mod simulation;

mod metrics;

mod support;

mod why;

mod lapi;

mod config;

mod crowdsec;

mod cscli;

mod version;

mod complete;

mod completion;

mod doc;

mod man;

use crate::terminal;
use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand, builder::styling};
use std::{
    ffi::OsString,
    io::{self, ErrorKind},
    process::ExitCode,
    time::Duration,
};

/// What was wrong was written by the user.
pub(crate) const WRONG_INPUT: u8 = 2;

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// Detects attackers in logs, with the rules of the CrowdSec hub, and tells bouncers whom to block.
#[derive(Debug, Parser)]
#[command(
    name = "shieldwall",
    version = version::VERSION,
    styles = STYLES,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    /// When output has color: yes, no or auto, which is on terminals.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true,
        display_order = 900
    )]
    color: terminal::Color,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  Watch this host's logs, and serve decisions to bouncers:
    shieldwall up
  Let a bouncer in:
    shieldwall bouncers add my-firewall
  Why is this address blocked?
    shieldwall why 192.0.2.7
  What would have been detected in last month's log?
    shieldwall replay /var/log/auth.log.1 --type syslog
  The same with rules straight from a hub tree:
    shieldwall replay auth.log --type syslog --hub ./hub --with crowdsecurity/linux
  Are my rules right?
    shieldwall check --rules /etc/crowdsec";

#[derive(Debug, Subcommand)]
enum Command {
    Up(Box<up::UpArgs>),
    Serve(serve::ServeArgs),
    Agent(Box<agent::AgentArgs>),
    Replay(replay::ReplayArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Hub(hub_test::HubArgs),
    Machines(machines::MachinesArgs),
    Bouncers(bouncers::BouncersArgs),
    Why(why::WhyArgs),
    Alerts(alerts::AlertsArgs),
    Decisions(decisions::DecisionsArgs),
    Allowlists(allowlists::AllowlistsArgs),
    Simulation(simulation::SimulationArgs),
    Metrics(metrics::MetricsArgs),
    Support(support::SupportArgs),
    Lapi(lapi::LapiArgs),
    Config(config::ConfigArgs),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
}

/// Runs the program for a command line.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match run(args) {
        Ok(code) => code,
        // Whoever read our output has seen enough; `head` does this.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<OsString>) -> Result<ExitCode> {
    if crowdsec::is_called(&args) {
        return crowdsec::run(&args);
    }
    if cscli::is_called(&args) {
        return Ok(cscli::run(&args));
    }
    if let Some(answer) = complete::asked(&args, command) {
        return answer;
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            error.print()?;
            return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_INPUT)));
        }
    };
    terminal::set_color(cli.color);
    match cli.command {
        Command::Up(args) => up::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Hub(args) => hub_test::run(&args),
        Command::Machines(args) => machines::run(&args.command, &args.tool),
        Command::Bouncers(args) => bouncers::run(&args.command, &args.tool),
        Command::Why(args) => why::run(&args.command, &args.tool),
        Command::Alerts(args) => alerts::run(&args.command, &args.tool),
        Command::Decisions(args) => decisions::run(&args.command, &args.tool),
        Command::Allowlists(args) => allowlists::run(&args.command, &args.tool),
        Command::Simulation(args) => simulation::run(&args.command, &args.tool),
        Command::Metrics(args) => metrics::run(&args.command, &args.tool),
        Command::Support(args) => support::run(&args.command, &args.tool),
        Command::Lapi(args) => lapi::run(&args.command, &args.tool),
        Command::Config(args) => config::run(&args.command, &args.tool),
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args, "shieldwall", command()),
        Command::Man(args) => man::run(&args),
    }
}

/// The whole command line, for what is generated from it.
fn command() -> clap::Command {
    Cli::command()
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    })
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// Reads a length of time, which may have days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanos = engine::builtins::duration::parse_duration_with_days(text);
    let positive = nanos.ok().and_then(|nanos| u64::try_from(nanos).ok());
    positive.map(Duration::from_nanos).ok_or_else(|| format!("time: invalid duration {text:?}"))
}

/// Reads `k:v` and `k:v,k2:v2`.
pub(crate) fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(|pair| {
        let (key, value) = pair.split_once(':').ok_or("write labels as key:value")?;
        if key.trim().is_empty() {
            return Err("a label needs a name before the colon");
        }
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    });
    pairs.collect::<Result<_, _>>().map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn labels_are_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(labels("a:b, c:d:e"), Ok(vec![pair("a", "b"), pair("c", "d:e")]));
        assert!(labels("a").is_err() && labels(":b").is_err() && labels("").is_err());
    }
}
