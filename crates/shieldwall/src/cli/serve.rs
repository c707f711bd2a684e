//! `shieldwall serve`: the local API alone.

use super::{
    Output,
    daemon::{Daemon, Role, Show},
    up::{ServerArgs, WatchArgs},
};
use anyhow::Result;
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Runs the local API alone: agents elsewhere send alerts, bouncers read decisions.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall serve
  shieldwall serve -c /etc/crowdsec/config.yaml --listen 192.0.2.1:8080

SIGHUP reloads the profiles.")]
pub(super) struct ServeArgs {
    /// Settings (default: /etc/shieldwall/config.yaml or /etc/crowdsec/config.yaml).
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// Where state is kept (default: /var/lib/shieldwall, or below $XDG_STATE_HOME without root).
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The least severe messages to log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

pub(super) fn run(args: &ServeArgs) -> Result<ExitCode> {
    let watch = WatchArgs {
        config: args.config.clone(),
        state: args.state.clone(),
        log_level: args.log_level.clone(),
        ..WatchArgs::default()
    };
    let daemon = Daemon {
        watch: &watch,
        role: Role::Server,
        listen: args.server.listen.as_deref(),
        database: args.server.database.as_deref(),
        credentials: &[],
        show: Show::Printed(Output::Human),
    };
    daemon.run()
}
