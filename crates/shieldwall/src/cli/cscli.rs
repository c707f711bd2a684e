//! What the program does when it is called `cscli`: the incumbent's tool.
//!
//! COMPAT(crowdsec): its global flags, `Error: cscli machines add: …` on standard error, exit code 1
//! for every failure, and usage on standard output when the command line is wrong. The commands
//! themselves are ours: a new one needs a line in [`Command`] and one in [`dispatch`].

use super::{
    alerts, allowlists, bouncers, complete, completion, config, decisions, doc, explain, lapi,
    machines, metrics, simulation, support,
    tool::{Form, ToolArgs},
    version, why,
};
use crate::terminal;
use anyhow::{Result, bail};
use clap::{
    ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

/// Shieldwall under the name of cscli: manages the local API of this host.
#[derive(Debug, Parser)]
#[command(
    name = "cscli",
    styles = super::STYLES,
    max_term_width = 100,
    disable_version_flag = true,
    subcommand_required = true
)]
struct Cscli {
    #[command(flatten)]
    tool: ToolArgs,
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
    /// Logs everything that helps to find mistakes.
    #[arg(long, global = true)]
    debug: bool,
    /// Logs what happens.
    #[arg(long, global = true)]
    info: bool,
    /// Logs warnings and errors.
    #[arg(long, global = true)]
    warning: bool,
    /// Logs errors only.
    #[arg(long, global = true)]
    error: bool,
    /// Logs everything.
    #[arg(long, global = true)]
    trace: bool,
    /// The branch of the hub.
    #[arg(long, global = true, hide = true)]
    branch: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows and deletes alerts.
    #[command(subcommand, visible_alias = "alert")]
    Alerts(alerts::AlertsCommand),
    /// Shows, adds, imports and ends decisions.
    #[command(subcommand, visible_alias = "decision")]
    Decisions(decisions::DecisionsCommand),
    /// Manages allowlists: what they cover is never decided about.
    #[command(subcommand, visible_alias = "allowlist")]
    Allowlists(allowlists::AllowlistsCommand),
    /// Manages which scenarios only simulate.
    #[command(subcommand)]
    Simulation(simulation::SimulationCommand),
    /// Shows what was counted: lines, parsers, scenarios, alerts, decisions, bouncers.
    Metrics(metrics::MetricsCommand),
    /// Collects what is needed to help with a problem.
    #[command(subcommand)]
    Support(support::SupportCommand),
    /// Tells why an address or a network is blocked, allowed, or neither.
    Why(why::WhyCommand),
    /// Manages the machines that may send alerts to the local API.
    #[command(subcommand, visible_alias = "machine")]
    Machines(machines::MachinesCommand),
    /// Manages the bouncers that may read decisions from the local API.
    #[command(subcommand, visible_alias = "bouncer")]
    Bouncers(bouncers::BouncersCommand),
    /// Manages how this machine talks to the local API.
    #[command(subcommand)]
    Lapi(lapi::LapiCommand),
    /// Shows the settings in force.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Shows what the rules make of lines.
    Explain(Box<explain::CscliExplain>),
    /// Prints a completion script for a shell.
    Completion(completion::CompletionArgs),
    /// Writes a page of Markdown for each command.
    Doc(doc::DocArgs),
    /// Was removed.
    #[command(hide = true)]
    Dashboard {
        /// What nobody reads any more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Prints the version of this program.
    Version,
}

/// Whether the program was called by the tool's name.
pub(super) fn is_called(args: &[OsString]) -> bool {
    let name = args.first().and_then(|name| Path::new(name).file_name());
    name.is_some_and(|name| name == "cscli")
}

/// Runs under the name `cscli`.
pub(super) fn run(args: &[OsString]) -> ExitCode {
    if let Some(answer) = complete::asked(args, Cscli::command) {
        // Whoever is typing is not to be disturbed.
        return answer.unwrap_or(ExitCode::FAILURE);
    }
    let parsed = Cscli::command()
        .try_get_matches_from(args)
        .and_then(|matches| Ok((Cscli::from_arg_matches(&matches)?, matches)));
    let (cscli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error, args),
    };
    terminal::set_color(cscli.color);
    let mut tool = cscli.tool;
    // Messages for people are of the level `info`.
    tool.quiet = cscli.error || cscli.warning;
    match dispatch(&cscli.command, &tool) {
        Ok(code) => code,
        Err(error) if super::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&path(&matches), &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command, tool: &ToolArgs) -> Result<ExitCode> {
    // Said before the settings are read, whatever the command.
    tool.output.as_deref().map(Form::parse).transpose()?;
    match command {
        Command::Alerts(command) => alerts::run(command, tool),
        Command::Decisions(command) => decisions::run(command, tool),
        Command::Allowlists(command) => allowlists::run(command, tool),
        Command::Simulation(command) => simulation::run(command, tool),
        Command::Metrics(command) => metrics::run(command, tool),
        Command::Support(command) => support::run(command, tool),
        Command::Why(command) => why::run(command, tool),
        Command::Machines(command) => machines::run(command, tool),
        Command::Bouncers(command) => bouncers::run(command, tool),
        Command::Lapi(command) => lapi::run(command, tool),
        Command::Config(command) => config::run(command, tool),
        Command::Explain(args) => explain::run_cscli(args, tool),
        Command::Completion(args) => completion::run(args, "cscli", Cscli::command()),
        Command::Doc(args) => doc::run(args, Cscli::command()),
        Command::Dashboard { .. } => bail!(
            "command 'dashboard' has been removed, please read \
             https://docs.crowdsec.net/blog/cscli_dashboard_deprecation/"
        ),
        Command::Version => {
            version::print_for_tools()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `cscli machines add`
fn path(matches: &ArgMatches) -> String {
    let mut path = String::from("cscli");
    let mut rest = matches.subcommand();
    while let Some((name, matches)) = rest {
        path.push(' ');
        path.push_str(name);
        rest = matches.subcommand();
    }
    path
}

fn complain(path: &str, message: &str) {
    let (red, reset) = if terminal::stderr_color() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    terminal::complain(&format!("{red}Error:{reset} {path}: {message}"));
}

/// Answers a command line that is wrong, or asks for help.
fn refuse(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let is_bare = args.len() < 2;
    let asks = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asks || is_bare {
        // Nobody reads on when this cannot be written.
        let _closed = if is_bare {
            Cscli::command().print_help()
        } else {
            write!(io::stdout().lock(), "{error}")
        };
        return ExitCode::SUCCESS;
    }
    let usage = match context(error, ContextKind::Usage) {
        usage if usage.is_empty() => usage_of(args),
        usage => usage,
    };
    let _closed = writeln!(io::stdout().lock(), "{usage}");
    // The usage tells which command it was: `Usage: cscli machines add [OPTIONS] …`.
    let words = usage.trim_start_matches("Usage:").split_whitespace();
    let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let path: Vec<&str> = words.take_while(is_word).collect();
    let path = if path.is_empty() { "cscli".to_owned() } else { path.join(" ") };
    let mut message = reason(error, &path);
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
        let suggested = context(error, kind);
        if !suggested.is_empty() {
            message.push_str(&format!("; did you mean {suggested:?}?"));
        }
    }
    complain(&path, &message);
    ExitCode::FAILURE
}

/// The usage of the command that was meant, where the error does not hold it.
fn usage_of(args: &[OsString]) -> String {
    let mut top = Cscli::command();
    top.build();
    let mut command = &top;
    for word in args.iter().filter_map(|word| word.to_str()) {
        // Values of flags are no names of commands, or nearly never.
        command = command.find_subcommand(word).unwrap_or(command);
    }
    command.clone().render_usage().to_string()
}

/// What is wrong, in the words that scripts know.
fn reason(error: &clap::Error, path: &str) -> String {
    let arg = context(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!(
                "unknown command {:?} for {path:?}",
                context(error, ContextKind::InvalidSubcommand)
            )
        }
        ErrorKind::UnknownArgument if arg.starts_with("--") => format!("unknown flag: {arg}"),
        ErrorKind::UnknownArgument if arg.starts_with('-') => {
            format!("unknown shorthand flag: {arg}")
        }
        ErrorKind::UnknownArgument => format!("unknown command {arg:?} for {path:?}"),
        ErrorKind::MissingRequiredArgument if arg.starts_with("--") => {
            let name = arg.trim_start_matches("--").split_whitespace().next().unwrap_or_default();
            format!("required flag(s) {name:?} not set")
        }
        ErrorKind::MissingRequiredArgument if arg.contains("...") => {
            "requires at least 1 arg(s), only received 0".to_owned()
        }
        ErrorKind::MissingRequiredArgument => "accepts 1 arg(s), received 0".to_owned(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = context(error, ContextKind::InvalidValue);
            let name = arg.split_whitespace().next().unwrap_or_default();
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            format!("invalid argument {value:?} for {name:?} flag{cause}")
        }
        _ => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &str, expect: &str) {
        let args = std::iter::once("cscli").chain(args.split_whitespace());
        let error = Cscli::command().try_get_matches_from(args).unwrap_err();
        assert_eq!(reason(&error, "cscli x"), expect);
    }

    #[test]
    fn the_command_line_is_sound() {
        Cscli::command().debug_assert();
    }

    #[test]
    fn wrong_command_lines_are_answered_in_known_words() {
        check("machines delete", "requires at least 1 arg(s), only received 0");
        check("bouncers add", "accepts 1 arg(s), received 0");
        check("machines foobar", "unknown command \"foobar\" for \"cscli x\"");
        check("machines list --foo", "unknown flag: --foo");
        check(
            "machines prune --duration toto",
            "invalid argument \"toto\" for \"--duration\" flag: time: invalid duration \"toto\"",
        );
    }

    #[test]
    fn the_path_names_the_command() {
        let args = ["cscli", "-o", "json", "machine", "add", "x", "-a"];
        assert_eq!(
            path(&Cscli::command().try_get_matches_from(args).unwrap()),
            "cscli machines add"
        );
    }
}
