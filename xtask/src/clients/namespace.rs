//! Network namespaces: networks of our own, with a kernel that really drops packets.
//!
//! A process that waits for its standard input to close holds each one, so a namespace ends with
//! us, however we end. Only one thread at a time enters, and it ends there: a thread's namespace
//! never leaks into other work.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::running;
use crate::child;

/// The programs this takes, all of which Debian's base system or iproute2 has.
const NEEDED: [&str; 3] = ["unshare", "nsenter", "ip"];

/// A network namespace with a loopback interface.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Why there can be none here.
    pub(crate) fn missing() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("network namespaces need root".to_owned());
        }
        if let Some(missing) = NEEDED.into_iter().find(|program| !child::is_installed(program)) {
            return Some(format!("network namespaces need `{missing}`, which is not installed"));
        }
        Self::make().err().map(|error| format!("no network namespace can be made: {error:#}"))
    }

    /// Makes one.
    pub(crate) fn make() -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let holder = command.spawn().context("starting unshare")?;
        let mut namespace = Self { holder };
        let out = namespace.holder.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.trim() != "ready" {
            let mut complaint = String::new();
            let err = namespace.holder.stderr.take().context("no standard error")?;
            BufReader::new(err).take(1 << 12).read_to_string(&mut complaint)?;
            return Err(anyhow!("{}", complaint.trim().to_owned()));
        }
        Ok(namespace)
    }

    /// Its number for tools that move interfaces.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(arguments.split_whitespace());
        running::output(&inside(Some(self), command), &format!("ip {arguments}"))?;
        Ok(())
    }

    /// Runs something on a thread in it. Sockets opened there stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("/proc/{}/ns/net", self.pid());
        let file = File::open(&path).with_context(|| format!("opening {path}"))?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || -> Result<T> {
                setns(file, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
                Ok(work())
            });
            let ended = thread.join();
            ended.map_err(|_| anyhow!("a thread in a network namespace panicked"))?
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// The command, in a namespace where there is one.
pub(crate) fn inside(namespace: Option<&Namespace>, command: Command) -> Command {
    let Some(namespace) = namespace else { return command };
    running::wrap(&["nsenter", &format!("--net=/proc/{}/ns/net", namespace.pid()), "--"], &command)
}
