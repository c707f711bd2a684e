//! The gate: what every change must pass, in one command.
//!
//! All steps run even when one fails, so one run shows everything; the summary at the end says what
//! failed and what took how long.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::child;
use crate::collection;
use crate::conformance;
use crate::differential;
use crate::tidy;
use crate::tree::Tree;

/// A program that the build or the tests start, and the Debian package that brings it.
const NEEDED: [(&str, &str); 9] = [
    ("cc", "build-essential"),
    ("git", "git"),
    ("tar", "tar"),
    ("gzip", "gzip"),
    ("dpkg-deb", "dpkg"),
    ("journalctl", "systemd"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("initdb", POSTGRESQL),
];

/// A server whose programs Debian does not put on the path, and that would start at once.
const POSTGRESQL: &str = "postgresql";

/// A step: what it is called, and what it does.
type Step<'a> = (&'a str, &'a dyn Fn() -> Result<ExitCode>);

/// Runs the task.
pub(crate) fn run(tree: &Tree) -> Result<ExitCode> {
    install_missing()?;
    let cargo = |arguments: &[&str]| {
        let mut command = tree.cargo();
        command.args(arguments);
        child::run(&mut command, &format!("cargo {}", arguments[0]))?;
        Ok(ExitCode::SUCCESS)
    };
    let steps: [Step<'_>; 7] = [
        ("format", &|| cargo(&["fmt", "--all", "--check"])),
        ("clippy", &|| cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        ("tests", &|| cargo(&["test", "--workspace"])),
        ("tidy", &|| tidy::run(tree)),
        ("hub", &|| collection::run(tree, &collection::Options::default())),
        ("conformance", &|| conformance::run(tree, &conformance::Options::default())),
        ("differential", &|| differential::run(tree, &differential::Options::small())),
    ];
    let mut results = Vec::new();
    for (name, step) in steps {
        child::progress(&format!("\n== {name}"));
        let started = Instant::now();
        let outcome = step();
        if let Err(error) = &outcome {
            child::progress(&format!("error: {error:#}"));
        }
        let passed = matches!(outcome, Ok(code) if code == ExitCode::SUCCESS);
        results.push((name, passed, started.elapsed()));
    }
    Ok(summarize(&results))
}

fn summarize(results: &[(&str, bool, Duration)]) -> ExitCode {
    child::print("");
    for (name, passed, took) in results {
        let verdict = if *passed { "ok" } else { "FAILED" };
        child::print(&format!("{name:<14} {verdict:<7} {:>7.1} s", took.as_secs_f64()));
    }
    if results.iter().all(|(_, passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a program is there; those of the PostgreSQL server stand aside of the path.
fn is_here(program: &str) -> bool {
    child::is_installed(program) || (program == "initdb" && testkit::postgres::programs().is_some())
}

/// Installs what is missing when we may, and says what to install when we may not.
fn install_missing() -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|(program, _)| !is_here(program))
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = nix::unistd::geteuid().is_root();
    ensure!(is_root && child::is_installed("apt-get"), "please install {}", missing.join(", "));
    child::progress(&format!("installing {}", missing.join(", ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--quiet=2", "--yes"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        child::run(&mut command, "installing what the tests need")
    };
    let install = |packages: &[&str]| {
        let mut install = vec!["install", "--no-install-recommends"];
        install.extend(packages);
        apt(&install)
    };
    apt(&["update"])?;
    if !missing.contains(&POSTGRESQL) {
        return install(&missing);
    }
    let others: Vec<&str> = missing.into_iter().filter(|package| *package != POSTGRESQL).collect();
    install(&[&others[..], &["postgresql-common"]].concat())?;
    without_cluster(|| install(&[POSTGRESQL]))
}

/// Does something while Debian is told not to make a database and start a server for it: the tests
/// start their own, and nobody asked for another.
fn without_cluster(work: impl FnOnce() -> Result<()>) -> Result<()> {
    const SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";
    let before = fs::read_to_string(SETTINGS).with_context(|| format!("reading {SETTINGS}"))?;
    let write =
        |text: &str| fs::write(SETTINGS, text).with_context(|| format!("writing {SETTINGS}"));
    write(&format!("{before}\ncreate_main_cluster = false\n"))?;
    let outcome = work();
    write(&before)?;
    outcome
}
