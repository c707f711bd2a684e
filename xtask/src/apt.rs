//! Fetches Debian packages into the cache, as root or not.
//!
//! apt runs with lists, caches and sources of our own, derived from the machine's entries with
//! source packages added, so nothing of the machine changes and nothing is installed. What was
//! unpacked once is used again without asking the network.

mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::child;
use crate::tree::{self, Tree};

/// Packages of this machine's distribution, unpacked in the cache.
pub(crate) struct Packages {
    dir: PathBuf,
}

impl Packages {
    /// Opens the cache. Nothing is fetched yet.
    pub(crate) fn open(tree: &Tree) -> Result<Self> {
        Ok(Self { dir: tree.cache("packages")? })
    }

    /// The contents of a binary package.
    pub(crate) fn binary(&self, package: &str) -> Result<PathBuf> {
        self.cached(&format!("deb-{package}"), |unpacked| {
            child::progress(&format!("fetching package {package}"));
            let download = self.download(package, &["download", package])?;
            let archive = only_file(&download, ".deb")?;
            let mut command = Command::new("dpkg-deb");
            command.arg("-x").arg(&archive).arg(unpacked);
            child::run(&mut command, &format!("unpacking {package}"))
        })
    }

    /// The contents of one tarball of a source package: the one whose name ends with `suffix`.
    pub(crate) fn source(&self, package: &str, suffix: &str) -> Result<PathBuf> {
        self.cached(&format!("src-{package}{suffix}"), |unpacked| {
            child::progress(&format!("fetching source package {package}"));
            let download = self.download(package, &["source", "--download-only", package])?;
            let archive = only_file(&download, suffix)?;
            let mut command = Command::new("tar");
            command.arg("-xf").arg(&archive).arg("-C").arg(unpacked).arg("--strip-components=1");
            child::run(&mut command, &format!("unpacking {}", archive.display()))
        })
    }

    /// Returns the directory `name`, letting `fill` make it when it is missing. A directory that
    /// exists is complete: it gets its name only after `fill` succeeded.
    fn cached(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.is_dir() {
            return Ok(dir);
        }
        let partial = self.dir.join(format!("{name}.partial"));
        tree::fresh_dir(&partial)?;
        fill(&partial)?;
        fs::rename(&partial, &dir).with_context(|| format!("completing {}", dir.display()))?;
        Ok(dir)
    }

    /// Lets apt-get download into a directory for `package`.
    fn download(&self, package: &str, arguments: &[&str]) -> Result<PathBuf> {
        let config = self.configure()?;
        let dir = self.dir.join("downloads").join(package);
        tree::fresh_dir(&dir)?;
        let mut command = apt_get(&config);
        command.args(arguments).current_dir(&dir);
        child::output(&mut command, &format!("downloading {package}"))?;
        Ok(dir)
    }

    /// Writes apt's private configuration and fetches the lists, once.
    fn configure(&self) -> Result<PathBuf> {
        let apt = self.dir.join("apt");
        let config = apt.join("apt.conf");
        let ready = apt.join("lists.complete");
        if ready.is_file() {
            return Ok(config);
        }
        if !child::is_installed("apt-get") || !child::is_installed("dpkg-deb") {
            bail!(
                "conformance needs Debian packages, and this machine has no apt-get and dpkg-deb"
            );
        }
        for part in ["sources", "lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(apt.join(part))?;
        }
        let sources = sources::of_machine(Path::new("/etc/apt"))?;
        fs::write(apt.join("sources/derived.sources"), sources)?;
        fs::write(&config, private_config(&apt))?;
        child::progress("fetching package lists");
        let mut command = apt_get(&config);
        // Without this, an unreachable archive is a warning and the next step fails obscurely.
        command.args(["update", "--error-on=any"]);
        child::output(&mut command, "fetching package lists (is the network reachable?)")?;
        fs::write(&ready, "")?;
        Ok(config)
    }
}

fn apt_get(config: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").arg("--config-file").arg(config).env("LC_ALL", "C.UTF-8");
    command
}

/// The machine's settings (a proxy, perhaps) stay; its directories and hooks do not.
fn private_config(apt: &Path) -> String {
    let apt = apt.display();
    format!(
        "#clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Retries \"2\";\n\
         Acquire::Languages \"none\";\n\
         Dir::Etc::SourceList \"/dev/null\";\n\
         Dir::Etc::SourceParts \"{apt}/sources\";\n\
         Dir::State \"{apt}/state\";\n\
         Dir::State::status \"/var/lib/dpkg/status\";\n\
         Dir::State::Lists \"{apt}/lists\";\n\
         Dir::Cache \"{apt}/cache\";\n"
    )
}

fn only_file(dir: &Path, suffix: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => Ok(path),
        (Some(_), false) => bail!("{} holds several files *{suffix}", dir.display()),
        (None, _) => bail!("{} holds no file *{suffix}", dir.display()),
    }
}
