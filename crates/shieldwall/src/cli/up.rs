//! `shieldwall up`: watches logs and prints alerts as they happen.

mod discover;

use super::Output;
use crate::{
    config::{self, Settings, acquis as acquisition},
    log,
    outside::World,
    report,
    rules::{CONFIG_DIRS, Keep, Loaded, RuleArgs, Rules},
    run::{
        Sink,
        agent::{Agent, Running},
    },
    terminal,
};
use acquis::{Checkpoints, Source};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use engine::Limits;
use model::Alert;
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tracing::{error, info, warn};

/// Watches logs and prints alerts as they happen.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  shieldwall up
  shieldwall up -c /etc/crowdsec/config.yaml
  shieldwall up --hub ./hub --with crowdsecurity/linux crowdsecurity/nginx

Without a configuration, the usual logs of this host are watched. SIGHUP reloads the rules.")]
pub(super) struct UpArgs {
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
    /// Where positions in logs are kept (default: /var/lib/shieldwall, or below
    /// $XDG_STATE_HOME without root).
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

pub(super) fn run(args: &UpArgs) -> Result<ExitCode> {
    let settings = settings(args)?;
    start_log(args, settings.as_ref());
    if let Some(settings) = settings.as_ref().filter(|settings| !settings.engine_enabled) {
        let dir = settings.places.config_dir.display();
        bail!("the settings in {dir} disable detection: `crowdsec_service` is absent or disabled");
    }
    let mut loaded = load(args, settings.as_ref())?;
    // Where these rules come from decides what else is read there, so this is settled once.
    let sources = sources(args, settings.as_ref())?;
    for warning in std::mem::take(&mut loaded.warnings) {
        warn!("{warning}");
    }
    let rules = loaded.compile_and_tell(Keep::Read);
    let running = running(&rules, settings.as_ref());
    info!(program = %rules.program.describe(), sources = sources.len(), "starting");
    let checkpoints = checkpoints(args.state.as_deref())?;
    let limits = Limits::default();
    let mut printer = Printer { output: args.output, color: terminal::stdout_color() };
    let agent = Agent {
        rules: running,
        sources,
        checkpoints,
        limits: Limits { buckets: args.max_buckets.unwrap_or(limits.buckets), ..limits },
        status_every: Duration::from_secs(args.status.max(1)),
        sink: &mut printer,
        reload: &mut || reload(args),
    };
    agent.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The settings in force; `None` when there are none and everything is found out.
pub(super) fn settings(args: &UpArgs) -> Result<Option<Settings>> {
    if let Some(path) = &args.config {
        return read_settings(path).map(Some);
    }
    if let Some(dir) = &args.rules.rules {
        let config = dir.join("config.yaml");
        if config.is_file() {
            return read_settings(&config).map(Some);
        }
        return Ok(Some(Settings::in_dir(dir)));
    }
    if let Some(path) = std::env::var_os("SHIELDWALL_CONFIG").filter(|path| !path.is_empty()) {
        return read_settings(Path::new(&path)).map(Some);
    }
    for dir in CONFIG_DIRS.map(Path::new) {
        let config = dir.join("config.yaml");
        if config.is_file() {
            return read_settings(&config).map(Some);
        }
        if dir.is_dir() {
            return Ok(Some(Settings::in_dir(dir)));
        }
    }
    Ok(None)
}

fn read_settings(path: &Path) -> Result<Settings> {
    let read = config::load(path)?;
    terminal::diagnostics(&read.diagnostics, &read.sources);
    if read.diagnostics.has_errors() {
        bail!("{} has mistakes, shown above", path.display());
    }
    Ok(read.settings)
}

fn start_log(args: &UpArgs, settings: Option<&Settings>) {
    let level = args.log_level.as_deref();
    let level = level.or_else(|| settings.map(|settings| settings.log_level.as_str()));
    log::start(level.unwrap_or("info"), settings.is_some_and(|settings| settings.log_json));
}

fn load(args: &UpArgs, settings: Option<&Settings>) -> Result<Loaded> {
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
fn sources(args: &UpArgs, settings: Option<&Settings>) -> Result<Vec<Source>> {
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

fn running(rules: &Rules, settings: Option<&Settings>) -> Running {
    let dns = settings.map(|settings| settings.dns).unwrap_or_default();
    Running { program: Arc::clone(&rules.program), outside: Arc::new(World::for_rules(rules, dns)) }
}

/// Compiles the rules anew. Mistakes keep the old ones: a rule that is broken now was not before.
fn reload(args: &UpArgs) -> Option<Running> {
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
fn checkpoints(state: Option<&Path>) -> Result<Checkpoints> {
    let (dir, named) = match state {
        Some(dir) => (Some(dir.to_path_buf()), true),
        None => (usual_state_dir(), false),
    };
    let Some(dir) = dir else {
        warn!("no directory to keep positions in; name one with --state DIR");
        return Ok(Checkpoints::in_memory());
    };
    let opened = fs::create_dir_all(&dir)
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

fn usual_state_dir() -> Option<PathBuf> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        return Some(PathBuf::from("/var/lib/shieldwall"));
    }
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")));
    Some(state?.join("shieldwall"))
}

/// Prints alerts, each at once.
pub(super) struct Printer {
    pub(super) output: Output,
    pub(super) color: bool,
}

impl Sink for Printer {
    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        let mut text = match self.output {
            Output::Human => report::human(alert, self.color),
            Output::Json => serde_json::to_string(&report::WireAlert::new(alert))?,
        };
        text.push('\n');
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}
