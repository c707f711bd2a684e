//! Our own rule collection, `hub/`: its index, what every item owes its readers, and its tests.
//!
//! The index is a file of the repository, because programs that install items read it there; it is
//! written by `--write` and otherwise compared with what the items say.

mod index;

mod item;

mod lint;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::child;
use crate::tree::Tree;

#[derive(Args, Debug, Default)]
pub(crate) struct Options {
    /// Write the index anew; a changed item gets its next version.
    #[arg(long)]
    write: bool,
    /// Run only these tests.
    names: Vec<String>,
}

/// Where the collection is, below the workspace.
const HUB: &str = "hub";

/// The clock of the tests: logs of syslog carry no year and were written in this one.
const NOW: &str = "2026-12-01T00:00:00Z";

/// Runs the task.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    let hub = tree.root().join(HUB);
    let items = item::read_all(&hub)?;
    let mut faults = lint::check(&hub, &items)?;
    let path = hub.join(".index.json");
    let known = index::read(&path)?;
    let wanted = index::build(&items, &known);
    if options.write {
        let mut text = serde_json::to_string_pretty(&wanted).context("writing the index")?;
        text.push('\n');
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    } else if wanted != known {
        faults.push(format!(
            "{HUB}/.index.json does not say what the items say; run `cargo xtask hub --write`"
        ));
    }
    for fault in &faults {
        child::print(&format!("error: {fault}"));
    }
    let tests_pass = test(tree, &hub, &options.names)?;
    child::print(&format!("{} items, {} faults", items.len(), faults.len()));
    Ok(if faults.is_empty() && tests_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the collection's tests and tells whether all passed.
fn test(tree: &Tree, hub: &Path, names: &[String]) -> Result<bool> {
    let mut command = Command::new(tree.release_binary()?);
    command.args(["hub", "test"]);
    if names.is_empty() {
        command.arg("--all");
    } else {
        command.args(names);
    }
    command.arg("--hub").arg(hub).arg("--data").arg(hub.join("data")).args(["--now", NOW]);
    // A directory of none: without the option the patterns of this host would be found.
    let none = tempfile::tempdir().context("making a directory")?;
    command.arg("--patterns").arg(none.path()).env("TZ", "UTC");
    let output = command.output().context("starting shieldwall hub test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    child::print(text.trim_end());
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !complaints.trim().is_empty() {
        child::progress(complaints.trim_end());
    }
    if !text.contains(" passed, ") {
        bail!("hub test ended with {} and without a summary", output.status);
    }
    Ok(output.status.success())
}
