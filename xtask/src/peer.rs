//! Runs Debian's crowdsec privately: its program, our configuration directory, no network.
//!
//! One-shot runs (`-dsn`) need a local API to deliver to, which a [`Sink`] plays, and nothing else:
//! the central API is off and the metrics listener is not started. The run may end before the last
//! overflows were delivered, so a log should end quietly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::apt::Packages;
use crate::child;
use crate::hub::Hub;
use crate::sink::Sink;
use crate::tree::Tree;

/// Debian's crowdsec, unpacked, with the hub of its source package.
pub(crate) struct Peer {
    package: PathBuf,
    libraries: PathBuf,
    hub: PathBuf,
    data: PathBuf,
}

impl Peer {
    /// Fetches what is missing and prepares the data files.
    pub(crate) fn fetch(tree: &Tree, packages: &Packages) -> Result<Self> {
        let package = packages.binary("crowdsec")?;
        let hub = packages.source("crowdsec", ".orig-hub1.tar.gz")?;
        // The only library of the program that a minimal machine lacks.
        let libraries = library_dir(&packages.binary("libsqlite3-0")?.join("usr/lib"))?;
        let data = tree.cache("data")?;
        Hub::open(&hub)?.data(&package.join("usr/share/crowdsec/data"), &data)?;
        Ok(Self { package, libraries, hub, data })
    }

    /// The hub tree, with its tests.
    pub(crate) fn hub(&self) -> Result<Hub> {
        Hub::open(&self.hub)
    }

    /// Where the hub tree is.
    pub(crate) fn hub_dir(&self) -> &Path {
        &self.hub
    }

    /// The data files of the hub's items and our geographic databases.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The pattern files.
    pub(crate) fn patterns_dir(&self) -> PathBuf {
        self.package.join("etc/crowdsec/patterns")
    }

    /// The command that replays `log` as `kind` with the items installed in `rules`, delivering to
    /// `sink`. Writes the two configuration files that only this program needs.
    pub(crate) fn replay(
        &self,
        rules: &Path,
        data: &Path,
        log: &Path,
        kind: &str,
        sink: &Sink,
    ) -> Result<Command> {
        // One file per sink: runs may share a rules directory.
        let port = sink.url().rsplit(':').next().unwrap_or("").trim_matches('/').to_owned();
        let credentials = rules.join(format!("credentials-{port}.yaml"));
        let config = rules.join(format!("config-{port}.yaml"));
        fs::write(&credentials, format!("url: {}\nlogin: xtask\npassword: xtask\n", sink.url()))?;
        fs::write(&config, config_text(rules, data, &credentials))?;
        let mut command = self.program("crowdsec");
        command.arg("-c").arg(&config);
        command.arg("-dsn").arg(format!("file://{}", log.display()));
        command.args(["-type", kind, "-no-api", "-no-capi"]);
        Ok(command)
    }

    /// A program of the package, `crowdsec` or `cscli`.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.package.join("usr/bin").join(name));
        command.env("TZ", "UTC").env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    /// Replays a log and returns the alerts.
    pub(crate) fn alerts(&self, rules: &Path, log: &Path, kind: &str) -> Result<Vec<Value>> {
        let sink = Sink::start()?;
        let mut command = self.replay(rules, &self.data, log, kind, &sink)?;
        let ran = child::output(&mut command, &format!("replaying {} by the peer", log.display()));
        let alerts = sink.finish();
        ran?;
        Ok(alerts)
    }
}

fn config_text(rules: &Path, data: &Path, credentials: &Path) -> String {
    let (rules, data) = (rules.display(), data.display());
    format!(
        "common: {{daemonize: false, log_media: stdout, log_level: warning, working_dir: .}}\n\
         config_paths:\n\
         \x20 config_dir: {rules}/\n\
         \x20 data_dir: {data}/\n\
         \x20 simulation_path: {rules}/simulation.yaml\n\
         \x20 hub_dir: {rules}/hub/\n\
         \x20 index_path: {rules}/hub/.index.json\n\
         \x20 notification_dir: {rules}/notifications/\n\
         \x20 plugin_dir: {rules}/plugins/\n\
         crowdsec_service: {{acquisition_path: {rules}/acquis.yaml, parser_routines: 1}}\n\
         cscli: {{output: human}}\n\
         api: {{client: {{insecure_skip_verify: false, credentials_path: {}}}}}\n\
         prometheus: {{enabled: false}}\n",
        credentials.display()
    )
}

/// Finds the directory of the machine's architecture below `usr/lib`.
fn library_dir(lib: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(lib).with_context(|| format!("reading {}", lib.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.join("libsqlite3.so.0").exists() {
            return Ok(path);
        }
    }
    anyhow::bail!("{} holds no libsqlite3", lib.display())
}
