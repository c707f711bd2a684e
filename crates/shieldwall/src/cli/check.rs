//! `shieldwall check`: compiles rules and shows everything that is wrong with them.

use super::WRONG_INPUT;
use crate::{
    config::{self, Settings},
    hub::{files, installed},
    rules::{Keep, Loaded, RuleArgs},
    terminal::{self, Reported, count},
};
use anyhow::Result;
use clap::Args;
use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Checks rules and shows every mistake with its place; exits with 2 if there is any.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall check --rules /etc/crowdsec
  shieldwall check my-scenario.yaml
  shieldwall check --hub ./hub --with crowdsecurity/nginx")]
pub(super) struct CheckArgs {
    /// Single files to check instead of a directory.
    #[arg(value_name = "FILE", conflicts_with_all = ["rules", "hub"])]
    files: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let loaded = if args.files.is_empty() { args.rules.load()? } else { single(args)? };
    let n_files = loaded.files.len();
    let mut reported = loaded.tell();
    if let Some(settings) = &loaded.settings {
        reported += acquisition(&settings.settings)?;
    }
    let compiled = loaded.compile(Keep::Read);
    reported += terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
    let n = |n: usize, one: &str| count(u64::try_from(n).unwrap_or(u64::MAX), one);
    writeln!(
        io::stdout().lock(),
        "{} checked: {}, {}; {} in use",
        n(n_files, "file"),
        n(reported.n_errors, "error"),
        n(reported.n_warnings, "warning"),
        compiled.program.describe(),
    )?;
    Ok(if reported.any() { ExitCode::from(WRONG_INPUT) } else { ExitCode::SUCCESS })
}

/// Prints what is wrong with the acquisition of settings.
pub(super) fn acquisition(settings: &Settings) -> Result<Reported> {
    let mut warnings = Vec::new();
    let dir = settings.acquisition_dir.as_deref();
    let files = config::acquis::files(&settings.acquisition, dir, &mut warnings)?;
    for warning in &warnings {
        terminal::warn(warning);
    }
    let mut desk = config::Desk::default();
    config::acquis::read(&files, &mut desk)?;
    let mut reported = terminal::diagnostics(&desk.diagnostics, &desk.sources);
    reported.n_warnings += warnings.len();
    Ok(reported)
}

/// Files given by name, with the patterns and data files of the usual places.
fn single(args: &CheckArgs) -> Result<Loaded> {
    let mut loaded = Loaded { data: args.rules.data.clone(), ..Loaded::default() };
    if let Some(dir) = args.rules.usual_patterns() {
        loaded.files.extend(installed::patterns(&dir)?);
    }
    for path in &args.files {
        let text = files::read_rule(path)?;
        let kind = installed::guess_kind(path, &text);
        loaded.files.push(installed::source(kind, path, None)?);
    }
    Ok(loaded)
}
