//! Real, unmodified clients against our server, and our agent against theirs.
//!
//! Each client comes from its own registry (Debian, PyPI, npm) into the cache; nothing of the
//! machine changes. Each gets a server of its own on a free loopback port, with a fresh database,
//! and keys and credentials made by the server's own command line. A check is a list of steps; the
//! first that fails ends it, and what the programs logged is printed. `--against crowdsec` runs the
//! same steps against Debian's server, which shows that the steps themselves are right.
//!
//! Reading order: `running` (processes, and waiting for things), `scene` (what is fetched),
//! `station` (a Debian installation that talks to a server), `server`, `namespace`, then one file
//! per client.

pub(crate) mod running;

mod scene;

mod station;

mod server;

mod namespace;

mod agent;

mod cscli;

mod custom;

mod firewall;

mod python;

mod node;

mod ours;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::scene::Scene;
use crate::child;
use crate::tree::Tree;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Whose server the clients talk to. The incumbent's shows that the checks are right.
    #[arg(long, value_enum, default_value_t = Side::Ours)]
    against: Side,
    /// Our program (default: a release build, where one is needed).
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Clients at a time. They mostly wait.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Only these clients.
    names: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { against: Side::Ours, binary: None, jobs: 3, names: Vec::new() }
    }
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// Shieldwall's.
    Ours,
    /// That of Debian's crowdsec.
    Crowdsec,
}

/// A client and the steps it has to pass.
struct Client {
    name: &'static str,
    check: fn(&Scene, &Steps<'_>) -> Result<Ending>,
}

/// How a check ends that does not fail.
pub(crate) enum Ending {
    /// All steps passed.
    Passed,
    /// It cannot be done here, and why.
    Skipped(String),
}

/// Those that wait longest come first, so that the others run meanwhile.
const CLIENTS: [Client; 7] = [
    Client { name: "agent", check: agent::check },
    Client { name: "our-agent", check: ours::check },
    Client { name: "firewall-bouncer", check: firewall::check },
    Client { name: "cscli", check: cscli::check },
    Client { name: "custom-bouncer", check: custom::check },
    Client { name: "pycrowdsec", check: python::check },
    Client { name: "nodejs-bouncer", check: node::check },
];

/// Reports the steps of one client as they pass.
pub(crate) struct Steps<'a> {
    client: &'a str,
}

impl Steps<'_> {
    /// Does a step; when it fails, its name becomes part of the error.
    pub(crate) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = work().with_context(|| name.to_owned())?;
        child::print(&format!("ok {}: {name}", self.client));
        Ok(done)
    }
}

/// Runs the task.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    let chosen = choose(&options.names)?;
    let scene = Scene::open(tree, options.against, options.binary.as_deref())?;
    let started = Instant::now();
    let work = Mutex::new(chosen.into_iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap_or_else(|poison| poison.into_inner()).next();
                    let Some(client) = next else { return };
                    let result = check(&scene, client);
                    results.lock().unwrap_or_else(|poison| poison.into_inner()).push(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(|poison| poison.into_inner());
    let count = |wanted: Outcome| results.iter().filter(|result| **result == wanted).count();
    let n_failed = count(Outcome::Failed);
    child::print(&format!(
        "clients: {} passed, {n_failed} failed, {} skipped in {:.1} s",
        count(Outcome::Passed),
        count(Outcome::Skipped),
        started.elapsed().as_secs_f64()
    ));
    Ok(if n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

fn check(scene: &Scene, client: &Client) -> Outcome {
    let name = client.name;
    match (client.check)(scene, &Steps { client: name }) {
        Ok(Ending::Passed) => Outcome::Passed,
        Ok(Ending::Skipped(reason)) => {
            child::print(&format!("SKIPPED {name}: {reason}"));
            Outcome::Skipped
        }
        Err(error) => {
            child::print(&format!("FAILED {name}: {error:#}"));
            show_logs(&scene.run_dir(name));
            Outcome::Failed
        }
    }
}

fn choose(names: &[String]) -> Result<Vec<&'static Client>> {
    let known = CLIENTS.map(|client| client.name);
    if let Some(stranger) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no client is called {stranger}; there are {}", known.join(", "));
    }
    let wanted = |client: &&Client| names.is_empty() || names.iter().any(|it| it == client.name);
    Ok(CLIENTS.iter().filter(wanted).collect())
}

/// Shows the end of what the programs of a failed check wrote.
fn show_logs(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    for log in logs {
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        child::progress(&format!("-- {}", log.display()));
        child::progress(&child::last_lines(&text, 12));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_chosen_by_name() {
        assert_eq!(choose(&[]).expect("all").len(), CLIENTS.len());
        let one = choose(&["cscli".to_owned()]).expect("one");
        assert_eq!(one.iter().map(|client| client.name).collect::<Vec<_>>(), ["cscli"]);
        let error = choose(&["csli".to_owned()]).err().expect("a failure").to_string();
        assert!(error.contains("csli") && error.contains("nodejs-bouncer"), "{error}");
    }

    #[test]
    fn a_failed_step_names_itself() {
        let steps = Steps { client: "x" };
        let error = steps.step("logs in", || -> Result<()> { bail!("refused") });
        assert_eq!(format!("{:#}", error.expect_err("a failure")), "logs in: refused");
    }
}
