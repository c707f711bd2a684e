//! Our alerts against those of Debian's crowdsec, on the same generated logs with the same rules.
//!
//! The incumbent hands events to one worker per bucket, and decides about a bucket's age before the
//! worker has seen the previous event, so two of its runs over one log can differ. A log on which we
//! differ from one run is therefore replayed again: we must equal one of its runs exactly, and a
//! report says when it did not agree with itself.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value;
use testkit::date::Moment;
use testkit::loggen::{self, Log, Plan};

use crate::alert::{self, Seen};
use crate::apt::Packages;
use crate::child;
use crate::peer::Peer;
use crate::tree::{self, Tree};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where the pseudo-random choices of the logs start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these kinds of log (default: all).
    #[arg(long = "kind")]
    kinds: Vec<String>,
    /// Attackers in each log; innocents are three times as many.
    #[arg(long, default_value_t = 40)]
    attackers: u64,
    /// How often the incumbent may replay a log on which we differ.
    #[arg(long, default_value_t = 4)]
    peer_runs: u32,
    /// The subject is the incumbent itself: shows how far it agrees with itself.
    #[arg(long)]
    peer_only: bool,
}

impl Options {
    /// A run small enough for the gate: fewer attackers, and the kinds that cover most rules.
    pub(crate) fn small() -> Self {
        let kinds = ["syslog", "nginx", "apache2", "vsftpd", "authelia"];
        Self {
            seed: 1,
            kinds: kinds.map(str::to_owned).to_vec(),
            attackers: 20,
            peer_runs: 4,
            peer_only: false,
        }
    }
}

/// What came of one log.
struct Comparison {
    kind: &'static str,
    n_lines: usize,
    n_alerts: usize,
    n_peer_runs: u32,
    missing: Vec<Seen>,
    extra: Vec<Seen>,
}

/// Runs the task.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    let peer = Peer::fetch(tree, &Packages::open(tree)?)?;
    let binary = if options.peer_only { None } else { Some(tree.release_binary()?) };
    let hub = peer.hub()?;
    let dir = tree.cache("differential")?;
    let rules = dir.join("rules");
    hub.install(&hub.comparable(), &peer.patterns_dir(), &rules)?;

    let logs = logs(options)?;
    let work = Mutex::new(logs.into_iter());
    let done = Mutex::new(Vec::new());
    // The incumbent uses about one core: two logs at a time keep a small machine busy.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let log = work.lock().unwrap_or_else(|poison| poison.into_inner()).next();
                    let Some(log) = log else { return };
                    let compared = compare(&peer, binary.as_deref(), &rules, &dir, &log, options);
                    done.lock().unwrap_or_else(|poison| poison.into_inner()).push(compared);
                }
            });
        }
    });

    let mut comparisons = Vec::new();
    for compared in done.into_inner().unwrap_or_else(|poison| poison.into_inner()) {
        comparisons.push(compared?);
    }
    comparisons.sort_by_key(|comparison| comparison.kind);
    Ok(report(&comparisons))
}

fn logs(options: &Options) -> Result<Vec<Log>> {
    let plan = Plan {
        seed: options.seed,
        n_attackers: options.attackers,
        n_innocents: options.attackers * 3,
        // Syslog has no year, and both programs take the current one: so do the other logs.
        start: Moment::from_civil(current_year()?, 3, 6, 6, 0, 0),
        ..Plan::default()
    };
    if options.kinds.is_empty() {
        return Ok(loggen::generate(&plan));
    }
    let kinds = options.kinds.iter();
    kinds
        .map(|kind| {
            loggen::generate_kind(&plan, kind).with_context(|| {
                format!("no log of kind {kind}; there are {}", loggen::kinds().join(", "))
            })
        })
        .collect()
}

fn current_year() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let millis = i64::try_from(since.as_millis()).context("a clock far in the future")?;
    Ok(Moment(millis).civil().year)
}

fn compare(
    peer: &Peer,
    binary: Option<&Path>,
    rules: &Path,
    dir: &Path,
    log: &Log,
    options: &Options,
) -> Result<Comparison> {
    let path = dir.join(format!("{}.log", log.kind));
    tree::write_lines(&path, &log.lines)?;
    let ours = match binary {
        Some(binary) => our_alerts(binary, peer, rules, &path, log.kind)?,
        None => alert::seen(&peer.alerts(rules, &path, log.kind)?),
    };
    let mut best: Option<Comparison> = None;
    for n_peer_runs in 1..=options.peer_runs.max(1) {
        let theirs = peer.alerts(rules, &path, log.kind)?;
        fs::write(path.with_extension("peer.json"), serde_json::to_string(&theirs)?)?;
        let theirs = alert::seen(&theirs);
        let compared = Comparison {
            kind: log.kind,
            n_lines: log.lines.len(),
            n_alerts: theirs.len(),
            n_peer_runs,
            missing: difference(&theirs, &ours),
            extra: difference(&ours, &theirs),
        };
        child::progress(&format!(
            "{}: {} lines, {} alerts of the peer, {} missing, {} extra",
            log.kind,
            compared.n_lines,
            compared.n_alerts,
            compared.missing.len(),
            compared.extra.len()
        ));
        let n_differences = |it: &Comparison| it.missing.len() + it.extra.len();
        let identical = n_differences(&compared) == 0;
        let closer =
            best.as_ref().is_none_or(|best| n_differences(&compared) < n_differences(best));
        if closer {
            best = Some(compared);
        }
        if identical {
            break;
        }
    }
    best.context("the peer never ran")
}

/// Replays a log with one thread and with two, which must not make a difference.
fn our_alerts(
    binary: &Path,
    peer: &Peer,
    rules: &Path,
    log: &Path,
    kind: &str,
) -> Result<Vec<Seen>> {
    let replay = |jobs: &str| -> Result<Vec<Value>> {
        let mut command = Command::new(binary);
        command.arg("replay").arg(log).args(["--type", kind]);
        command.arg("--rules").arg(rules).arg("--data").arg(peer.data_dir());
        command.args(["-o", "json", "--jobs", jobs]).env("TZ", "UTC");
        let text = child::output(&mut command, &format!("replaying {}", log.display()))?;
        // Kept for whoever has to look into a difference.
        fs::write(log.with_extension("ours.json"), &text)?;
        alert::in_output(&text)
    };
    let (one, two) = (replay("1")?, replay("2")?);
    ensure!(one == two, "the alerts of {} depend on the number of threads", log.display());
    Ok(alert::seen(&one))
}

/// What is in `left` and not in `right`, both sorted, counting repetitions.
fn difference(left: &[Seen], right: &[Seen]) -> Vec<Seen> {
    let mut right = right.iter().peekable();
    let mut only_left = Vec::new();
    for seen in left {
        while right.next_if(|other| *other < seen).is_some() {}
        if right.next_if_eq(&seen).is_none() {
            only_left.push(seen.clone());
        }
    }
    only_left
}

fn report(comparisons: &[Comparison]) -> ExitCode {
    let mut n_differences = 0;
    for comparison in comparisons {
        let rows = comparison.missing.iter().map(|seen| ("only peer", seen));
        let mut rows: Vec<(&str, &Seen)> =
            rows.chain(comparison.extra.iter().map(|seen| ("only ours", seen))).collect();
        // Two views of one alert stand together: same scenario, same source.
        rows.sort_by(|a, b| {
            (&a.1.scenario, &a.1.source, a.1).cmp(&(&b.1.scenario, &b.1.source, b.1))
        });
        n_differences += rows.len();
        if !rows.is_empty() {
            child::print(&format!("\n{}:", comparison.kind));
        }
        for (side, seen) in rows {
            child::print(&format!("  {side}  {seen}"));
        }
    }
    child::print(&format!(
        "\n{:<14} {:>8} {:>8} {:>9} {:>11}",
        "log", "lines", "alerts", "peer runs", "differences"
    ));
    for it in comparisons {
        let n_different = it.missing.len() + it.extra.len();
        child::print(&format!(
            "{:<14} {:>8} {:>8} {:>9} {:>11}",
            it.kind, it.n_lines, it.n_alerts, it.n_peer_runs, n_different
        ));
    }
    let n_alerts: usize = comparisons.iter().map(|it| it.n_alerts).sum();
    child::print(&format!("differential: {n_alerts} alerts, {n_differences} differences"));
    if n_differences == 0 && n_alerts > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str) -> Seen {
        Seen {
            stop: String::new(),
            scenario: name.to_owned(),
            source: String::new(),
            start: String::new(),
            n_events: 1,
            remediation: true,
        }
    }

    #[test]
    fn repetitions_count() {
        let names = |names: &[&str]| names.iter().map(|name| seen(name)).collect::<Vec<_>>();
        let (left, right) = (names(&["a", "b", "b", "d"]), names(&["b", "c", "d", "e"]));
        assert_eq!(difference(&left, &right), names(&["a", "b"]));
        assert_eq!(difference(&right, &left), names(&["c", "e"]));
        assert!(difference(&left, &left).is_empty());
    }
}
