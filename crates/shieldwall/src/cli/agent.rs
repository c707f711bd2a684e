//! `shieldwall agent`: detection alone, for a local API elsewhere.

use super::{
    daemon::{Daemon, Role, Show},
    up::WatchArgs,
};
use anyhow::Result;
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Watches logs and sends alerts to a local API elsewhere.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall agent -c /etc/crowdsec/config.yaml
  shieldwall agent --credentials central.yaml --credentials second.yaml

Alerts that cannot be sent wait on disk. SIGHUP reloads the rules.")]
pub(super) struct AgentArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Credentials of a local API to send alerts to (default: those the settings name); may be
    /// given several times.
    #[arg(long, value_name = "FILE")]
    credentials: Vec<PathBuf>,
}

pub(super) fn run(args: &AgentArgs) -> Result<ExitCode> {
    let daemon = Daemon {
        watch: &args.watch,
        role: Role::Agent,
        listen: None,
        database: None,
        credentials: &args.credentials,
        show: Show::Printed(args.watch.output),
    };
    daemon.run()
}
