//! What the checks share: programs fetched from the registries, installed rules, our binary.
//!
//! Each thing is fetched once and kept in the cache; its directory holds a mark when it is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Side;
use super::running;
use crate::apt::Packages;
use crate::child;
use crate::peer::Peer;
use crate::tree::{self, Tree};

/// The items an agent needs to see attacks on sshd.
const ITEMS: [&str; 3] =
    ["crowdsecurity/syslog-logs", "crowdsecurity/dateparse-enrich", "crowdsecurity/sshd"];

/// How long a registry's client may take.
const FETCHING: Duration = Duration::from_secs(600);

/// What the checks share.
pub(crate) struct Scene {
    side: Side,
    binary: Option<PathBuf>,
    peer: Peer,
    dir: PathBuf,
    /// The registries' clients do not run beside themselves.
    packages: Mutex<Packages>,
}

impl Scene {
    /// Fetches what nearly every check needs.
    pub(crate) fn open(tree: &Tree, side: Side, binary: Option<&Path>) -> Result<Self> {
        let packages = Packages::open(tree)?;
        let peer = Peer::fetch(tree, &packages)?;
        let dir = tree.cache("clients")?;
        let hub = peer.hub()?;
        hub.install(&hub.closure(&ITEMS)?, &peer.patterns_dir(), &dir.join("rules"))?;
        let binary = match (binary, side) {
            (Some(binary), _) => {
                let found = binary.canonicalize();
                Some(found.with_context(|| format!("looking for {}", binary.display()))?)
            }
            (None, Side::Ours) => Some(tree.release_binary()?),
            (None, Side::Crowdsec) => None,
        };
        Ok(Self { side, binary, peer, dir, packages: Mutex::new(packages) })
    }

    /// Whose server the clients talk to.
    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// Our program, if it takes part.
    pub(crate) fn binary(&self) -> Option<&Path> {
        self.binary.as_deref()
    }

    /// Debian's crowdsec.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The configuration directory with the installed rules; read by several at a time.
    pub(crate) fn rules(&self) -> PathBuf {
        self.dir.join("rules")
    }

    /// Where a check keeps its files and logs. They stay for whoever has to look into a failure.
    pub(crate) fn run_dir(&self, client: &str) -> PathBuf {
        self.dir.join("runs").join(client)
    }

    /// The same, empty.
    pub(crate) fn fresh_run_dir(&self, client: &str) -> Result<PathBuf> {
        let dir = self.run_dir(client);
        tree::fresh_dir(&dir)?;
        Ok(dir)
    }

    /// A program of a Debian package that is called like the package.
    pub(crate) fn debian_program(&self, package: &str) -> Result<PathBuf> {
        Ok(self.packages().binary(package)?.join("usr/bin").join(package))
    }

    /// A Python with a package from PyPI, given as `name==version`.
    pub(crate) fn python_with(&self, requirement: &str) -> Result<PathBuf> {
        let name = format!("venv-{}", requirement.replace("==", "-"));
        let dir = self.complete(&name, |dir| {
            child::progress(&format!("fetching {requirement}"));
            let mut make = Command::new("python3");
            make.args(["-m", "venv"]).arg(dir);
            fetch(&make, "making a virtual environment")?;
            let mut install = Command::new(dir.join("bin/python"));
            install.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]);
            install.arg(requirement);
            fetch(&install, &format!("installing {requirement}"))
        })?;
        Ok(dir.join("bin/python"))
    }

    /// A directory in which scripts find a package from npm, given as `name@version`.
    pub(crate) fn node_dir_with(&self, package: &str) -> Result<PathBuf> {
        let name = format!("node-{}", package.replace(['@', '/'], "-"));
        self.complete(&name, |dir| {
            child::progress(&format!("fetching {package}"));
            fs::write(dir.join("package.json"), "{\"private\": true, \"type\": \"module\"}\n")?;
            let mut install = Command::new("npm");
            // The parts that are programs for this kind of machine only make pages pretty.
            install.args(["install", "--ignore-scripts", "--omit=optional", "--no-audit"]);
            install.args(["--no-fund", "--no-update-notifier", package]).current_dir(dir);
            fetch(&install, &format!("installing {package}"))
        })
    }

    fn complete(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let _alone = self.packages();
        let dir = self.dir.join(name);
        let mark = dir.join(".complete");
        if !mark.exists() {
            tree::fresh_dir(&dir)?;
            fill(&dir)?;
            fs::write(&mark, "")?;
        }
        Ok(dir)
    }

    fn packages(&self) -> MutexGuard<'_, Packages> {
        self.packages.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

fn fetch(command: &Command, doing: &str) -> Result<()> {
    child::output(&mut running::bounded(command, FETCHING), doing)?;
    Ok(())
}
