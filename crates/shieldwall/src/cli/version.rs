//! `shieldwall version`.

use anyhow::Result;
use clap::Args;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// This program's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the version of this program.
#[derive(Args, Debug)]
pub(super) struct VersionArgs {}

pub(super) fn run(_args: &VersionArgs) -> Result<ExitCode> {
    print("shieldwall")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the version as the incumbent's tool does: a name and a value on each line.
pub(super) fn print_for_tools() -> Result<()> {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    // COMPAT(crowdsec): every name it prints is here; there is no Go and no build date to tell.
    writeln!(
        io::stdout().lock(),
        "version: v{VERSION}-shieldwall\nCodename: shieldwall\nBuildDate: unknown\n\
         GoVersion: none\nPlatform: {system}/{machine}\nlibre2: built in\n\
         User-Agent: crowdsec/v{VERSION}-shieldwall\nConstraint_parser: >= 1.0, <= 3.0\n\
         Constraint_scenario: >= 1.0, <= 3.0\nConstraint_api: v1\nConstraint_acquis: >= 1.0, < 2.0\n\
         Built-in optional components: datasource_file, datasource_journalctl, datasource_stdin, \
         datasource_syslog"
    )?;
    Ok(())
}

/// Prints the version under a name.
pub(super) fn print(name: &str) -> Result<()> {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    writeln!(io::stdout().lock(), "{name} {VERSION} ({system}/{machine})")?;
    Ok(())
}
