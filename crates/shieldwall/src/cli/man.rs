//! `shieldwall man`: manual pages, made from the command line's own help.

use anyhow::{Context as _, Result};
use clap::Args;
use std::{fs, path::PathBuf, process::ExitCode};

/// Writes the manual pages of all commands into a directory.
#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Where to write them; made if it is not there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &ManArgs) -> Result<ExitCode> {
    let doing = || format!("writing manual pages to {}", args.dir.display());
    fs::create_dir_all(&args.dir).with_context(doing)?;
    clap_mangen::generate_to(super::command(), &args.dir).with_context(doing)?;
    Ok(ExitCode::SUCCESS)
}
