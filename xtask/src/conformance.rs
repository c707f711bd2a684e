//! The hub's own tests, run by us.
//!
//! Fetches Debian's crowdsec, gives `shieldwall hub test --all` its hub and data files, and compares
//! the failures with `conformance/known-differences.toml`, which should be empty and may only
//! shrink: a failure that is not listed and a listed test that passes are both errors. All of it
//! runs twice: with Debian's grok patterns, and with those that stand in where there are none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::apt::Packages;
use crate::child;
use crate::peer::Peer;
use crate::tree::Tree;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The clock of the tests. Two logs carry no year and were written in this one.
    #[arg(long, default_value = DATE)]
    now: String,
    /// Run only these tests.
    names: Vec<String>,
}

/// The date of the hub snapshot. Any date in 2023 that is not before the logs' would do.
pub(crate) const DATE: &str = "2023-02-22T00:00:00Z";

impl Default for Options {
    fn default() -> Self {
        Self { now: DATE.to_owned(), names: Vec::new() }
    }
}

const KNOWN: &str = "conformance/known-differences.toml";

/// Runs the task.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    let peer = Peer::fetch(tree, &Packages::open(tree)?)?;
    let binary = tree.release_binary()?;
    let known_path = tree.root().join(KNOWN);
    let known_text = fs::read_to_string(&known_path)
        .with_context(|| format!("reading {}", known_path.display()))?;
    let known = known_differences(&known_text)?;

    let mut all_well = true;
    for patterns in [Patterns::Theirs, Patterns::Ours] {
        let run = suite(&binary, &peer, patterns, options)?;
        all_well &= judge(&run, patterns, &known, options);
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which grok patterns the rules of the hub get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patterns {
    Theirs,
    Ours,
}

/// What came of one run of the suite.
struct Run {
    text: String,
    n_passed: u64,
    n_failed: u64,
    wall: f64,
}

fn suite(binary: &Path, peer: &Peer, patterns: Patterns, options: &Options) -> Result<Run> {
    let mut command = Command::new(binary);
    command.args(["hub", "test"]);
    if options.names.is_empty() {
        command.arg("--all");
    } else {
        command.args(&options.names);
    }
    command.arg("--hub").arg(peer.hub_dir()).arg("--data").arg(peer.data_dir());
    command.arg("--now").arg(&options.now).env("TZ", "UTC");
    // A directory of none: without the option those of this host would be found.
    let none = tempfile::tempdir().context("making a directory")?;
    command.arg("--patterns").arg(match patterns {
        Patterns::Theirs => peer.patterns_dir(),
        Patterns::Ours => none.path().to_path_buf(),
    });
    let started = Instant::now();
    let output = command.output().context("starting shieldwall hub test")?;
    let wall = started.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !complaints.trim().is_empty() {
        child::progress(complaints.trim_end());
    }
    let Some((n_passed, n_failed)) = text.lines().next_back().and_then(summary) else {
        bail!("hub test ended with {} and without a summary", output.status);
    };
    ensure!(n_passed + n_failed > 0, "the hub holds no tests");
    Ok(Run { text, n_passed, n_failed, wall })
}

/// Tells what came of a run, and whether it is as it should be.
fn judge(
    run: &Run,
    patterns: Patterns,
    known: &BTreeMap<String, String>,
    options: &Options,
) -> bool {
    let Run { text, n_passed, n_failed, wall } = run;
    child::print(text.trim_end());
    let failed = failed_names(text);
    let is_new = failed.iter().any(|name| !known.contains_key(*name));
    let healed: Vec<&String> = if options.names.is_empty() {
        known.keys().filter(|name| !failed.contains(&name.as_str())).collect()
    } else {
        Vec::new()
    };
    for name in &failed {
        if let Some(reason) = known.get(*name) {
            child::print(&format!("known difference: {name}: {reason}"));
        }
    }
    for name in &healed {
        child::print(&format!("{name} passes: remove it from {KNOWN}"));
    }
    let whose = match patterns {
        Patterns::Theirs => "Debian's patterns",
        Patterns::Ours => "our own patterns",
    };
    let n_tests = n_passed + n_failed;
    child::print(&format!("conformance: {n_passed}/{n_tests} in {wall:.1} s, {whose}"));
    // Should a failure's name escape us, the count does not.
    let expected = *n_failed == known.len() as u64 || !options.names.is_empty() && *n_failed == 0;
    !is_new && healed.is_empty() && expected
}

/// Reads `N passed, M failed`.
fn summary(line: &str) -> Option<(u64, u64)> {
    let (passed, failed) = line.trim().split_once(", ")?;
    let number = |text: &str, word: &str| text.strip_suffix(word)?.trim().parse().ok();
    Some((number(passed, "passed")?, number(failed, "failed")?))
}

/// Finds the names of failed tests: the word after a line's leading `FAIL`, `FAILED` or `failed`.
fn failed_names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let mark = words.next()?.trim_end_matches(':');
            let name = words.next()?.trim_end_matches(':');
            ["FAIL", "FAILED", "failed"].contains(&mark).then_some(name)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Reads the list: tables `[[difference]]` with a `test` and the `reason` why we keep it.
///
/// The subset of TOML that the file uses, so that no parser has to be depended on for an empty file.
fn known_differences(text: &str) -> Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    let (mut test, mut reason) = (None, None);
    // One more header at the end closes the last table.
    for (number, line) in text.lines().chain(["[[difference]]"]).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[difference]]" {
            match (test.take(), reason.take()) {
                (Some(test), Some(reason)) => drop(known.insert(test, reason)),
                (None, None) => {}
                _ => bail!("{KNOWN}: the table before line {} lacks test or reason", number + 1),
            }
            continue;
        }
        let value = line.split_once('=').and_then(|(key, value)| {
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((key.trim(), value.to_owned()))
        });
        match value {
            Some(("test", value)) => test = Some(value),
            Some(("reason", value)) if !value.is_empty() => reason = Some(value),
            _ => bail!("{KNOWN}:{}: expected test = \"…\" or reason = \"…\"", number + 1),
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        assert!(known_differences("# nothing\n").expect("a list").is_empty());
        let text = "[[difference]]\ntest = \"a\"\nreason = \"b = c\"\n\n[[difference]]\n\
                    test = \"d\"\nreason = \"e\"\n";
        let known = known_differences(text).expect("a list");
        assert_eq!(known.get("a").map(String::as_str), Some("b = c"));
        assert_eq!(known.len(), 2);
        assert!(known_differences("[[difference]]\ntest = \"a\"\n").is_err());
        assert!(known_differences("test = 3\n").is_err());
    }

    #[test]
    fn the_output_is_read() {
        assert_eq!(summary("194 passed, 1 failed"), Some((194, 1)));
        assert_eq!(summary("done"), None);
        let text = "ok a\nFAIL b: parser.assert:3\n  value x\nFAILED: c\n1 passed, 2 failed\n";
        assert_eq!(failed_names(text), ["b", "c"]);
    }
}
