//! Who is measured, and with which command line.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::corpus::{self, Input};
use super::replay;
use crate::apt::Packages;
use crate::child;
use crate::hub::Hub;
use crate::peer::Peer;
use crate::sink::Sink;
use crate::tree::{self, Tree};

/// One program on one input.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) n_lines: usize,
    pub(super) command: Command,
    pub(super) stdin: Option<PathBuf>,
    /// The same program on one line, where its start-up is taken off.
    pub(super) start_up: Option<Command>,
    /// CPU seconds that are taken off.
    pub(super) taken_off: f64,
}

/// Every program that is measured, ready to run.
pub(super) struct Field {
    binary: Option<PathBuf>,
    peer: Peer,
    sink: Sink,
    sshguard: Option<PathBuf>,
    fail2ban: Option<PathBuf>,
    with_others: bool,
    data: PathBuf,
    all: PathBuf,
    small: PathBuf,
    ssh: PathBuf,
    web: PathBuf,
}

/// These take seconds where others take a fraction; their share of the file is enough to tell.
const PEER_SYSLOG_LINES: usize = 4_000;
const PEER_WEB_LINES: usize = 2_000;
const FAIL2BAN_LINES: usize = 20_000;

/// What every set of rules needs to see a line at all.
const BASE: [&str; 3] =
    ["crowdsecurity/syslog-logs", "crowdsecurity/dateparse-enrich", "crowdsecurity/geoip-enrich"];

impl Field {
    /// Fetches and builds whoever takes part.
    pub(super) fn prepare(
        tree: &Tree,
        dir: &Path,
        others_only: bool,
        ours_only: bool,
    ) -> Result<Self> {
        let packages = Packages::open(tree)?;
        let peer = Peer::fetch(tree, &packages)?;
        let binary = if others_only { None } else { Some(tree.release_binary()?) };
        let hub = peer.hub()?;
        let patterns = peer.patterns_dir();
        let install = |name: &str, items: &[&str]| -> Result<PathBuf> {
            let rules = dir.join(name);
            hub.install(&hub.closure(&[&BASE, items].concat())?, &patterns, &rules)?;
            Ok(rules)
        };
        let ssh = install("rules-ssh", &["crowdsecurity/sshd"])?;
        let web = install("rules-web", &["crowdsecurity/nginx"])?;
        let small = install("rules-small", &["crowdsecurity/linux", "crowdsecurity/nginx"])?;
        let all = dir.join("rules-all");
        hub.install(&hub.all(), &patterns, &all)?;
        let data = dir.join("data");
        copy_files(peer.data_dir(), &data)?;
        let optional = |package: &str| match packages.binary(package) {
            Ok(dir) => Some(dir),
            Err(error) => {
                child::progress(&format!("without {package}: {error:#}"));
                None
            }
        };
        let (sshguard, fail2ban) =
            if ours_only { (None, None) } else { (optional("sshguard"), optional("fail2ban")) };
        let with_others = !ours_only;
        let sink = Sink::start()?;
        Ok(Self { binary, peer, sink, sshguard, fail2ban, with_others, data, all, small, ssh, web })
    }

    /// The data files of the measured engines.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data
    }

    /// A directory with all rules installed.
    pub(super) fn all_rules(&self) -> &Path {
        &self.all
    }

    /// A directory with what a small web server installs.
    pub(super) fn small_rules(&self) -> &Path {
        &self.small
    }

    /// Ourselves on an input, with the rules that fit it.
    pub(super) fn ours(&self, input: &Input, jobs: &str) -> Command {
        self.ours_on(&input.path, input.kind, self.rules(input), jobs)
    }

    /// Ourselves on any file.
    pub(super) fn ours_on(&self, log: &Path, kind: &str, rules: &Path, jobs: &str) -> Command {
        let binary = self.binary.as_deref().unwrap_or_else(|| Path::new("shieldwall"));
        replay(binary, log, kind, rules, &self.data, jobs)
    }

    fn rules(&self, input: &Input) -> &Path {
        if input.kind == "syslog" { &self.ssh } else { &self.web }
    }

    /// A directory with one scenario whose buckets live as long as the log.
    pub(super) fn bucket_rules(&self, dir: &Path) -> Result<PathBuf> {
        let hub: Hub = self.peer.hub()?;
        let rules = dir.join("rules-buckets");
        let items = [&BASE[..2], &["crowdsecurity/sshd-logs"]].concat();
        hub.install(&hub.closure(&items)?, &self.peer.patterns_dir(), &rules)?;
        fs::create_dir_all(rules.join("scenarios"))?;
        fs::write(
            rules.join("scenarios/one-bucket.yaml"),
            "type: leaky\nname: bench/one-bucket\ndescription: a bucket for each address\n\
             filter: evt.Meta.log_type == 'ssh_failed-auth'\ngroupby: evt.Meta.source_ip\n\
             capacity: 5\nleakspeed: 24h\nlabels:\n  service: ssh\n",
        )?;
        Ok(rules)
    }

    /// Everybody who takes part on this input, ourselves first.
    pub(super) fn contenders(&self, input: &Input, dir: &Path) -> Result<Vec<Contender>> {
        let mut contenders = Vec::new();
        if self.binary.is_some() {
            contenders.push(Contender {
                name: "shieldwall",
                n_lines: input.n_lines,
                command: self.ours(input, "1"),
                stdin: None,
                start_up: None,
                taken_off: 0.0,
            });
        }
        if let Some(sshguard) = &self.sshguard {
            contenders.push(Contender {
                name: "sshg-parser",
                n_lines: input.n_lines,
                command: Command::new(sshguard.join("usr/libexec/sshguard/sshg-parser")),
                stdin: Some(input.path.clone()),
                start_up: None,
                taken_off: 0.0,
            });
        }
        let one_line = dir.join(format!("one-line-{}.log", input.kind));
        let text = fs::read_to_string(&input.path)?;
        let line = text.lines().next().context("an empty input")?;
        tree::write_lines(&one_line, &[line.to_owned()])?;
        if let Some(fail2ban) = &self.fail2ban {
            let n_lines = FAIL2BAN_LINES.min(input.n_lines);
            let log = corpus::slice(input, n_lines)?;
            contenders.push(Contender {
                name: "fail2ban-regex",
                n_lines,
                command: fail2ban_regex(fail2ban, &log, input.kind),
                stdin: None,
                start_up: Some(fail2ban_regex(fail2ban, &one_line, input.kind)),
                taken_off: 0.0,
            });
        }
        if self.with_others {
            let share = if input.kind == "syslog" { PEER_SYSLOG_LINES } else { PEER_WEB_LINES };
            let n_lines = share.min(input.n_lines);
            let log = corpus::slice(input, n_lines)?;
            let rules = self.rules(input);
            let replay =
                |log: &Path| self.peer.replay(rules, &self.data, log, input.kind, &self.sink);
            contenders.push(Contender {
                name: "crowdsec -dsn",
                n_lines,
                command: replay(&log)?,
                stdin: None,
                start_up: Some(replay(&one_line)?),
                taken_off: 0.0,
            });
        }
        Ok(contenders)
    }
}

fn fail2ban_regex(package: &Path, log: &Path, kind: &str) -> Command {
    let filter = if kind == "syslog" { "sshd" } else { "nginx-botsearch" };
    let etc = package.join("etc/fail2ban");
    // Debian's own interpreter: what the package was built for, and what its first line names.
    let system = Path::new("/usr/bin/python3");
    let mut command = Command::new(if system.exists() { system } else { Path::new("python3") });
    command.arg(package.join("usr/bin/fail2ban-regex"));
    command.arg("--config").arg(&etc).arg(log).arg(etc.join(format!("filter.d/{filter}.conf")));
    command.env("PYTHONPATH", package.join("usr/lib/python3/dist-packages"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Links all files of `from` into a new directory, so that some can be replaced there.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    tree::fresh_dir(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().ends_with(".mmdb") {
            symlink(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
