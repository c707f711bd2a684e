//! `shieldwall up`: watches logs, decides about attackers and serves the decisions; and what every
//! command that watches logs needs for it.

mod discover;

use super::{
    Output,
    daemon::{Daemon, Role, Show},
};
use crate::{
    config::{self, Settings, Usual, acquis as acquisition},
    log,
    outside::World,
    rules::{Keep, Loaded, RuleArgs, Rules},
    run::agent::Running,
    terminal,
};
use acquis::{Checkpoints, Source};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tracing::{error, warn};

/// Watches logs, decides about attackers and serves the decisions to bouncers.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  shieldwall up
  shieldwall up -c /etc/crowdsec/config.yaml
  shieldwall up --hub ./hub --with crowdsecurity/linux crowdsecurity/nginx

Without a configuration, the usual logs of this host are watched, and the local API listens on
127.0.0.1:8080. Alerts are printed as they happen. SIGHUP reloads rules and profiles.")]
pub(super) struct UpArgs {
    #[command(flatten)]
    pub(super) watch: WatchArgs,
    /// Does not run the local API: alerts are printed, and sent to those whose credentials are
    /// there.
    #[arg(long, conflicts_with_all = ["listen", "database"])]
    pub(super) no_api: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Credentials of a local API to send alerts to; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(super) credentials: Vec<PathBuf>,
}

/// What to watch, and by which rules.
#[derive(Args, Debug, Default)]
pub(super) struct WatchArgs {
    /// Settings (default: /etc/shieldwall/config.yaml or /etc/crowdsec/config.yaml).
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What to read (default: what the settings say, else the usual logs).
    #[arg(long, value_name = "FILE")]
    pub(super) acquis: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) rules: RuleArgs,
    /// How to write alerts; JSON is one object per line.
    #[arg(long, short, value_enum, default_value_t)]
    pub(super) output: Output,
    /// Where positions in logs and the outbox are kept (default: /var/lib/shieldwall, or below
    /// $XDG_STATE_HOME without root; with settings, below their data_dir).
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// The least severe messages to log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// Seconds between lines that tell how things are.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(super) status: u64,
    /// Buckets kept at a time; when there are more, the one poured longest ago is dropped.
    #[arg(long, value_name = "N")]
    pub(super) max_buckets: Option<usize>,
}

/// Where the local API is.
#[derive(Args, Debug, Default)]
pub(super) struct ServerArgs {
    /// Where the local API listens: host:port, or the path of a unix socket.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// The database (default: what the settings say, else shieldwall.db beside the positions).
    #[arg(long, value_name = "FILE")]
    pub(super) database: Option<PathBuf>,
}

pub(super) fn run(args: &UpArgs) -> Result<ExitCode> {
    let daemon = Daemon {
        watch: &args.watch,
        role: if args.no_api { Role::Watch } else { Role::Both },
        listen: args.server.listen.as_deref(),
        database: args.server.database.as_deref(),
        credentials: &args.credentials,
        show: Show::Printed(args.watch.output),
    };
    daemon.run()
}

/// The settings in force; `None` when there are none and everything is found out.
pub(super) fn settings(args: &WatchArgs) -> Result<Option<Settings>> {
    if let (None, Some(dir)) = (&args.config, &args.rules.rules) {
        let config = dir.join("config.yaml");
        if config.is_file() {
            return read_settings(&config).map(Some);
        }
        return Ok(Some(Settings::in_dir(dir)));
    }
    match config::usual(args.config.as_deref()) {
        Usual::File(path) => read_settings(&path).map(Some),
        Usual::Directory(dir) => Ok(Some(Settings::in_dir(&dir))),
        Usual::Nothing => Ok(None),
    }
}

pub(super) fn read_settings(path: &Path) -> Result<Settings> {
    let read = config::load(path)?;
    terminal::diagnostics(&read.diagnostics, &read.sources);
    if read.diagnostics.has_errors() {
        bail!("{} has mistakes, shown above", path.display());
    }
    Ok(read.settings)
}

pub(super) fn start_log(args: &WatchArgs, settings: Option<&Settings>) -> Result<()> {
    let level = args.log_level.as_deref();
    let level = level.or_else(|| settings.map(|settings| settings.log_level.as_str()));
    let json = settings.is_some_and(|settings| settings.log_json);
    let log = settings.map(|settings| settings.log.clone()).unwrap_or_default();
    log::start(level.unwrap_or("info"), json, &log)
}

pub(super) fn load(args: &WatchArgs, settings: Option<&Settings>) -> Result<Loaded> {
    let loaded = match settings {
        Some(settings) => args.rules.load_settings(settings)?,
        None if args.rules.hub.is_some() => args.rules.load()?,
        None => Loaded::default(),
    };
    if !loaded.has_rules() {
        bail!(
            "there are no rules, so nothing could be detected. Either install CrowdSec's hub items \
             (their directory is usually /etc/crowdsec) and name it with --rules DIR, or take them \
             straight from a hub tree: --hub DIR --with crowdsecurity/linux"
        );
    }
    Ok(loaded)
}

/// Everything to read.
pub(super) fn sources(args: &WatchArgs, settings: Option<&Settings>) -> Result<Vec<Source>> {
    let mut warnings = Vec::new();
    let files = if args.acquis.is_empty() {
        let named = settings.map(|settings| settings.acquisition.as_slice()).unwrap_or_default();
        let dir = settings.and_then(|settings| settings.acquisition_dir.as_deref());
        acquisition::files(named, dir, &mut warnings)?
    } else {
        if let Some(missing) = args.acquis.iter().find(|path| !path.exists()) {
            bail!("there is no acquisition file {}", missing.display());
        }
        args.acquis.clone()
    };
    for warning in warnings {
        warn!("{warning}");
    }
    if files.is_empty() {
        let found = discover::usual();
        if found.is_empty() {
            bail!(
                "no acquisition is configured and none of the usual logs is here; name what to \
                 read in a file: --acquis FILE"
            );
        }
        return Ok(found);
    }
    let mut desk = config::Desk::default();
    let sources = acquisition::read(&files, &mut desk)?;
    terminal::diagnostics(&desk.diagnostics, &desk.sources);
    if sources.is_empty() {
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        bail!("no datasource can be read from {}", names.join(", "));
    }
    Ok(sources)
}

pub(super) fn running(rules: &Rules, settings: Option<&Settings>) -> Running {
    let dns = settings.map(|settings| settings.dns).unwrap_or_default();
    Running { program: Arc::clone(&rules.program), outside: Arc::new(World::for_rules(rules, dns)) }
}

/// Compiles the rules anew. Mistakes keep the old ones: a rule that is broken now was not before.
pub(super) fn reload(args: &WatchArgs) -> Option<Running> {
    let attempt = || -> Result<Running> {
        let settings = settings(args)?;
        let loaded = load(args, settings.as_ref())?;
        let data = loaded.data.clone();
        let compiled = loaded.compile(Keep::Read);
        terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
        if compiled.diagnostics.has_errors() {
            bail!("the rules have mistakes");
        }
        Ok(running(&Rules::new(compiled, data), settings.as_ref()))
    };
    attempt().map_err(|error| error!(error = %format!("{error:#}"), "reloading rules")).ok()
}

/// Opens the positions of the last run. Where nobody named a directory and the usual one cannot be
/// used, positions end with the process.
pub(super) fn checkpoints(dir: Option<&Path>, named: bool) -> Result<Checkpoints> {
    let Some(dir) = dir else {
        warn!("no directory to keep positions in; name one with --state DIR");
        return Ok(Checkpoints::in_memory());
    };
    let opened = fs::create_dir_all(dir)
        .with_context(|| format!("making {}", dir.display()))
        .and_then(|()| Ok(Checkpoints::open(&dir.join("positions.json"))?));
    match opened {
        Err(error) if !named => {
            let error = format!("{error:#}");
            warn!(%error, "positions are not kept across restarts; name a place with --state DIR");
            Ok(Checkpoints::in_memory())
        }
        opened => opened,
    }
}
