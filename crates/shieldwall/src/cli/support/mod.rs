//! `shieldwall support dump`: one archive with what somebody who helps will ask for.
//!
//! Settings are written without secrets: passwords, keys, tokens and whatever stands before an `@`
//! in an address are masked, and comments are left out, because anything may stand in them.
//! What cannot be had is noted in `dump.log` inside; nothing missing stops the rest.
//!
//! Reading order: [`run`], [`collect`], then `mask` (settings without secrets) and `zip`.

mod mask;

mod zip;

use super::{
    metrics, query,
    table::table,
    tool::{Tool, ToolArgs},
    version,
};
use crate::hub::installed::{self, with_suffix};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// So much of the end of each log.
const LOG_TAIL: u64 = 2 << 20;

/// Collects what is needed to help with a problem.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct SupportArgs {
    #[command(subcommand)]
    pub(super) command: SupportCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum SupportCommand {
    /// Writes an archive with settings (without secrets), versions, tables and recent logs.
    Dump {
        /// The archive (default: shieldwall-support-<time>.zip here).
        #[arg(short = 'f', long, value_name = "FILE")]
        out_file: Option<PathBuf>,
        /// Leaves out what takes long: metrics and the hub.
        #[arg(long)]
        fast: bool,
    },
}

pub(super) fn run(command: &SupportCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    let SupportCommand::Dump { out_file, fast } = command;
    let path = match out_file {
        Some(path) => path.clone(),
        None => {
            let time = api::date::seconds(tool.now()).replace([':', '-'], "");
            PathBuf::from(format!("shieldwall-support-{time}.zip"))
        }
    };
    let files = collect(&tool, *fast);
    let archive = zip::archive(&files);
    write(&path, &archive).with_context(|| format!("writing {}", path.display()))?;
    tool.tell(&format!("Written zip file: {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Only its owner may read it: logs name people.
fn write(path: &Path, archive: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(archive)?;
    Ok(file.sync_all()?)
}

/// The files of an archive, and what could not be had.
#[derive(Default)]
struct Collected {
    files: Vec<(String, Vec<u8>)>,
    log: String,
}

impl Collected {
    fn add(&mut self, name: &str, text: Result<String>) {
        match text {
            Ok(text) => {
                self.log += &format!("{name}: {} bytes\n", text.len());
                self.files.push((name.to_owned(), text.into_bytes()));
            }
            Err(error) => self.log += &format!("{name}: {error:#}\n"),
        }
    }
}

fn collect(tool: &Tool, fast: bool) -> Vec<(String, Vec<u8>)> {
    let mut found = Collected::default();
    found.add("version.txt", Ok(program()));
    found.add("features.txt", Ok(features(tool)));
    found.add("system.yaml", Ok(system()));
    found.add("lapi_status.txt", lapi_status(tool));
    found.add("lapi/agents.txt", machines(tool));
    found.add("lapi/bouncers.txt", bouncers(tool));
    if !fast {
        found.add("hub.txt", hub(tool));
        found.add("metrics/metrics.prometheus", metrics::scraped(tool));
        found.add("metrics/metrics.human", metrics::everything(tool));
    }
    if let Some(path) = &tool.config {
        found.add("config/crowdsec.yaml", mask::file(path));
        let local = with_suffix(path, ".local");
        if local.is_file() {
            found.add("config/crowdsec.yaml.local", mask::file(&local));
        }
    }
    if let Some(server) = &tool.settings.server {
        found.add("config/profiles.yaml", mask::file(&server.profiles));
    }
    acquisition(tool, &mut found);
    logs(tool, &mut found);
    let log = found.log.clone();
    found.files.push(("dump.log".to_owned(), log.into_bytes()));
    found.files
}

fn features(tool: &Tool) -> String {
    let settings = &tool.settings;
    let database = &settings.database;
    format!(
        "engine: {}\nlocal api: {}\ndatabase: {}\nlog level: {}\n",
        settings.engine_enabled,
        settings.server.is_some(),
        database.kind.name(),
        settings.log_level
    )
}

fn program() -> String {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("shieldwall {} ({system}/{machine})\n", version::VERSION)
}

/// What this host is, as far as files of the system tell.
fn system() -> String {
    let first = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let value = serde_json::json!({
        "os": name.unwrap_or_default().trim_matches('"'),
        "arch": std::env::consts::ARCH,
        "kernel": first("/proc/sys/kernel/osrelease"),
        "memory": first("/proc/meminfo"),
        "load": first("/proc/loadavg"),
        "uptime_seconds": first("/proc/uptime").split(' ').next().unwrap_or_default(),
        "cpus": cpus,
    });
    super::text::yaml(&value)
}

fn lapi_status(tool: &Tool) -> Result<String> {
    let (credentials, path) = tool.credentials()?;
    let client = tool.client(&credentials)?;
    let answer = match query::ask(tool, client.login()) {
        Ok(()) => "You can successfully interact with Local API (LAPI)".to_owned(),
        Err(error) => format!("failed to authenticate to Local API (LAPI): {error:#}"),
    };
    let (path, login) = (path.display(), credentials.login().unwrap_or("a certificate"));
    let url = mask::address(&credentials.url);
    Ok(format!("credentials: {path}\nas {login} on {url}\n{answer}\n"))
}

fn machines(tool: &Tool) -> Result<String> {
    let store = tool.store()?;
    let machines = tool.wait(store.machines())??;
    let row = |machine: &store::Machine| {
        vec![
            machine.name.clone(),
            machine.ip.clone().unwrap_or_default(),
            machine.validated.to_string(),
            machine.version.clone().unwrap_or_default(),
            machine.last_heartbeat.map(api::date::seconds).unwrap_or_default(),
            machine.last_push.map(api::date::seconds).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = machines.iter().map(row).collect();
    let header = ["name", "address", "validated", "version", "last heartbeat", "last alert"];
    Ok(table(&header, &rows) + "\n")
}

fn bouncers(tool: &Tool) -> Result<String> {
    let store = tool.store()?;
    let bouncers = tool.wait(store.bouncers())??;
    let row = |bouncer: &store::Bouncer| {
        vec![
            bouncer.name.clone(),
            bouncer.ip.clone(),
            (!bouncer.revoked).to_string(),
            bouncer.kind.clone(),
            bouncer.version.clone(),
            bouncer.last_pull.map(api::date::seconds).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = bouncers.iter().map(row).collect();
    Ok(table(&["name", "address", "valid", "type", "version", "last pull"], &rows) + "\n")
}

/// What is installed, one file a line.
fn hub(tool: &Tool) -> Result<String> {
    let found = installed::read(&tool.settings.places)?;
    let mut text = String::new();
    for file in &found.files {
        text += &format!("{} {:?}\n", file.name, file.origin);
    }
    for warning in &found.warnings {
        text += &format!("left out: {warning}\n");
    }
    Ok(text)
}

fn acquisition(tool: &Tool, found: &mut Collected) {
    let mut files = tool.settings.acquisition.clone();
    if let Some(dir) = &tool.settings.acquisition_dir {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        files.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|it| it == "yaml" || it == "yml")),
        );
    }
    files.sort();
    for path in files {
        let flat = path.to_string_lossy().replace('/', "___");
        found.add(&format!("config/acquis/{flat}"), mask::file(&path));
    }
}

fn logs(tool: &Tool, found: &mut Collected) {
    let dir = tool.config.as_deref().and_then(|path| mask::text_at(path, &["common", "log_dir"]));
    let dir = PathBuf::from(dir.unwrap_or_else(|| "/var/log".to_owned()));
    for name in ["crowdsec.log", "crowdsec_api.log", "shieldwall.log"] {
        let path = dir.join(name);
        if path.is_file() {
            found.add(&format!("log/{name}"), tail(&path));
        }
    }
}

/// The end of a log, from the start of a line.
fn tail(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if start > 0 { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    if whole.is_empty() {
        bail!("it is empty");
    }
    Ok(whole.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_starts_with_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(tail(&path).unwrap(), "one\ntwo\n");
        let line = "x".repeat(99) + "\n";
        fs::write(&path, line.repeat(30_000)).unwrap();
        let text = tail(&path).unwrap();
        assert!(text.starts_with("xxx") && text.len().is_multiple_of(100), "{}", text.len());
        assert!(text.len() > 2_000_000);
        fs::write(&path, "").unwrap();
        assert!(tail(&path).is_err());
    }

    #[test]
    fn what_is_missing_is_noted() {
        let mut found = Collected::default();
        found.add("a", Ok("text".to_owned()));
        found.add("b", Err(anyhow::anyhow!("no such thing")));
        assert_eq!(found.log, "a: 4 bytes\nb: no such thing\n");
        assert_eq!(found.files, [("a".to_owned(), b"text".to_vec())]);
    }
}
