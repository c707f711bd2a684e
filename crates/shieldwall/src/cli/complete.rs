//! `__complete`: what could come next on a command line. Shells ask it, see `completion`.
//!
//! COMPAT(crowdsec): the words of the command line come as arguments, the last one being typed; the
//! answers go to standard output, one a line, and behind them `:4`, or `:0` where files may follow.

use super::{
    metrics::SECTION_NAMES,
    tool::{Tool, ToolArgs},
};
use anyhow::Result;
use clap::{Arg, Command};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Answers where this is what is asked: the word for it, and behind it the words typed so far, the
/// last one unfinished. Flags among them are not ours, so nobody else reads them.
pub(super) fn asked(
    args: &[OsString],
    command: impl FnOnce() -> Command,
) -> Option<Result<ExitCode>> {
    let (name, words) = args.get(1..)?.split_first()?;
    (name == "__complete").then(|| run(words, command()))
}

fn run(words: &[OsString], command: Command) -> Result<ExitCode> {
    let words: Vec<String> = words.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let answer = answer(command, &words, &mut stored);
    let mut text: String = answer.words.iter().map(|word| format!("{word}\n")).collect();
    text += if answer.files { ":0\n" } else { ":4\n" };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What could come next.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    words: Vec<String>,
    /// Whether the name of a file could.
    files: bool,
}

/// What is named on the command line and kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Machines,
    Bouncers,
}

/// Finds the words that fit. `stored` knows the names of what is kept, by the settings named so far.
fn answer(
    mut top: Command,
    words: &[String],
    stored: &mut dyn FnMut(Stored, Option<PathBuf>) -> Vec<String>,
) -> Answer {
    top.build();
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", words),
    };
    let mut here = &top;
    let mut path: Vec<&str> = Vec::new();
    let mut given: Vec<&str> = Vec::new();
    let mut config = None;
    // The flag whose value comes next.
    let mut flag: Option<&Arg> = None;
    for word in before {
        if let Some(named) = flag.take() {
            if named.get_long() == Some("config") {
                config = Some(PathBuf::from(word));
            }
        } else if word.starts_with('-') && word.len() > 1 {
            flag = named(here, word).filter(|arg| arg.get_action().takes_values());
        } else if let Some(below) = here.find_subcommand(word) {
            here = below;
            path.push(below.get_name());
        } else {
            given.push(word);
        }
    }
    let fits = |word: &str| word.starts_with(typed) && !given.contains(&word);
    if let Some(flag) = flag {
        let words: Vec<String> = values(flag).filter(|word| fits(word)).collect();
        return Answer { files: words.is_empty(), words };
    }
    if typed.starts_with('-') {
        let visible = here.get_arguments().filter(|arg| !arg.is_hide_set());
        let flags: BTreeSet<String> =
            visible.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        return Answer { words: flags.into_iter().filter(|it| fits(it)).collect(), files: false };
    }
    if here.has_subcommands() && given.is_empty() {
        let visible = here.get_subcommands().filter(|it| !it.is_hide_set());
        let words = visible.map(|it| it.get_name().to_owned()).filter(|it| fits(it));
        return Answer { words: words.collect(), files: false };
    }
    let kept = match path.as_slice() {
        ["machines", "delete" | "inspect" | "validate"] => Some(Stored::Machines),
        ["bouncers", "delete" | "inspect"] => Some(Stored::Bouncers),
        _ => None,
    };
    if let Some(kept) = kept {
        let words = stored(kept, config).into_iter().filter(|word| fits(word));
        return Answer { words: words.collect(), files: false };
    }
    let known: Vec<String> = if path == ["metrics", "show"] {
        SECTION_NAMES.iter().map(|name| (*name).to_owned()).collect()
    } else {
        here.get_positionals().flat_map(values).collect()
    };
    let words: Vec<String> = known.into_iter().filter(|word| fits(word)).collect();
    Answer { files: words.is_empty() && here.get_positionals().next().is_some(), words }
}

/// The flag a word names, unless its value stands in the same word.
fn named<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    if word.contains('=') {
        return None;
    }
    command.get_arguments().find(|arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        // Of short flags in one word only the last one can have a value behind it.
        None => arg.get_short().is_some_and(|short| word.ends_with(short)),
    })
}

/// The values an argument can have, where they are known.
fn values(arg: &Arg) -> impl Iterator<Item = String> {
    let known = arg.get_possible_values();
    known.into_iter().filter(|it| !it.is_hide_set()).map(|it| it.get_name().to_owned())
}

/// Names in the database. Whatever is wrong is no concern of who is typing.
fn stored(what: Stored, config: Option<PathBuf>) -> Vec<String> {
    let names = || -> Result<Vec<String>> {
        let tool = Tool::open(&ToolArgs { config, ..ToolArgs::default() })?;
        let store = tool.store()?;
        Ok(match what {
            Stored::Machines => {
                tool.wait(store.machines())??.into_iter().map(|machine| machine.name).collect()
            }
            Stored::Bouncers => {
                tool.wait(store.bouncers())??.into_iter().map(|bouncer| bouncer.name).collect()
            }
        })
    };
    names().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: &[&str], files: bool) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut kept = |what: Stored, config: Option<PathBuf>| {
            assert_eq!(config, line.contains("-c x").then(|| PathBuf::from("x")));
            let names: &[&str] =
                if what == Stored::Machines { &["one", "two"] } else { &["fw", "fx"] };
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let answer = answer(crate::cli::command(), &words, &mut kept);
        assert_eq!(answer.words, expect, "{line}");
        assert_eq!(answer.files, files, "{line}");
    }

    #[test]
    fn commands_flags_values_and_names() {
        check("mach", &["machines"], false);
        check("machine del", &["delete"], false);
        check("machines delete ", &["one", "two"], false);
        check("machines remove one ", &["two"], false);
        check("bouncers -c x inspect f", &["fw", "fx"], false);
        check("bouncers prune --for", &["--force"], false);
        check("--color ", &["auto", "yes", "no"], false);
        check("decisions import --input ", &[], true);
        check("metrics show appsec-r", &["appsec-rule"], false);
        check("completion z", &["zsh"], false);
        check("replay ", &[], true);
        check("nonsense ", &[], false);
    }
}
