//! Checks what neither the compiler nor clippy does.
//!
//! The crate table of `ARCHITECTURE.md` is the list of allowed edges, and it has to be exact: an
//! edge in one place only is an error. Pure crates say `no_std`. Files stay readable. No file names
//! a directory of the machine it was written on, or a package archive.

mod edges;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::child;
use crate::tree::Tree;

/// Crates that cannot name a clock, a file or a thread.
const PURE: [&str; 3] = ["model", "re2", "engine"];

/// Source files longer than this need a reason; they are reported, not refused.
const LONG_FILE_LINES: usize = 800;

/// Archives and indexes that only tools may name. Split, so that this file passes its own check.
const ARCHIVES: [&str; 6] = [
    concat!("deb.deb", "ian.org"),
    concat!("snapshot.deb", "ian.org"),
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("registry.np", "mjs.org"),
    concat!("files.python", "hosted.org"),
];

/// Runs the task.
pub(crate) fn run(tree: &Tree) -> Result<ExitCode> {
    let mut mistakes = Vec::new();
    edges::check(tree, &mut mistakes)?;
    purity(tree.root(), &mut mistakes)?;
    let foreign = foreign_paths(tree.root());
    for name in tracked_files(tree)? {
        let path = tree.root().join(&name);
        if matches!(
            path.file_name().and_then(|file| file.to_str()),
            Some("rust-toolchain" | "rust-toolchain.toml")
        ) {
            mistakes
                .push(format!("{name}: the toolchain is the machine's, rust-version says which"));
        }
        // Deleted but still listed, or not text: nothing to read.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if name.ends_with(".rs") && text.lines().count() > LONG_FILE_LINES {
            child::progress(&format!("note: {name} has more than {LONG_FILE_LINES} lines"));
        }
        if name.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for word in foreign_words(line, &foreign) {
                mistakes.push(format!("{name}:{}: names {word}", number + 1));
            }
        }
    }
    for mistake in &mistakes {
        child::print(mistake);
    }
    child::print(&format!("tidy: {} mistakes", mistakes.len()));
    Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn purity(root: &Path, mistakes: &mut Vec<String>) -> Result<()> {
    for name in PURE {
        let path = format!("crates/{name}/src/lib.rs");
        let text =
            fs::read_to_string(root.join(&path)).with_context(|| format!("reading {path}"))?;
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !text.lines().any(|line| line.trim_start().starts_with(attribute)) {
                mistakes.push(format!("{path}: lacks {attribute}"));
            }
        }
    }
    Ok(())
}

/// Files that are in the repository or about to be.
fn tracked_files(tree: &Tree) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.current_dir(tree.root());
    command.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let text = child::output(&mut command, "listing files")?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Directories of this machine that no file should name.
fn foreign_paths(root: &Path) -> Vec<String> {
    let mut paths = vec![format!("{}/", root.display())];
    // The checkout's parent as well, unless that is a top of many things.
    if let Some(parent) = root.parent()
        && parent != Path::new("/")
        && parent != Path::new("/tmp")
    {
        paths.push(format!("{}/", parent.display()));
    }
    // The superuser's home is the same everywhere and may well stand in a test.
    if let Some(home) = env::var_os("HOME").filter(|home| home.len() > 1 && home != "/root") {
        paths.push(format!("{}/", Path::new(&home).display()));
    }
    paths
}

fn foreign_words<'a>(line: &str, foreign: &'a [String]) -> Vec<&'a str> {
    // `/desk/` inside `https://x.test/desk/` or `a/desk/` is not our directory.
    let at_start = |path: &str| {
        line.match_indices(path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| {
                c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '}' | '%')
            })
        })
    };
    let paths = foreign.iter().map(String::as_str).filter(|path| at_start(path));
    paths.chain(ARCHIVES.into_iter().filter(|archive| line.contains(archive))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_whole_paths() {
        let foreign = ["/desk/".to_owned()];
        assert_eq!(foreign_words("see /desk/x", &foreign), ["/desk/"]);
        assert_eq!(foreign_words("\"/desk/x\"", &foreign), ["/desk/"]);
        assert!(foreign_words("https://x.test/desk/x and a/desk/b", &foreign).is_empty());
        assert_eq!(foreign_words(&format!("http://{}/", ARCHIVES[0]), &foreign), [ARCHIVES[0]]);
    }
}
