//! `shieldwall completion`: what shells need to complete our command line.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Prints a completion script for a shell.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  shieldwall completion bash > \
    /usr/share/bash-completion/completions/shieldwall")]
pub(super) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "shieldwall", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
