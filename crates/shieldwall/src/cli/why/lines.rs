//! What the logs themselves say: the latest lines about a target, and the parser that takes them.
//!
//! Alerts tell which file their events come from, not the lines. Where the file is on this host, its
//! end is searched for the addresses the alerts are about, and what is found is shown to the rules
//! in force. All of it is bounded: files, bytes, lines.

use super::{LogLine, LogLines, spelled};
use crate::{
    cli::{explain, tool::Tool},
    config::{Desk, acquis as acquisition},
};
use acquis::Source;
use anyhow::Result;
use api::Alert;
use engine::builtins::glob::glob_match;
use ipnet::IpNet;
use model::{LineSource, TimeMode};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// How much of the end of a file is read.
const END: u64 = 8 << 20;

/// How many files are looked into, and how many lines of each are shown.
const FILES: usize = 3;
const LINES: usize = 3;

/// More names for one target than this are not looked for.
const NAMES: usize = 64;

/// The latest lines about what the alerts of this host are about. Logs that are not there any more,
/// or may not be read, tell nothing.
pub(super) fn find(target: IpNet, alerts: &[Alert], tool: &Tool) -> Vec<LogLines> {
    let own = own_names(tool);
    let is_own = |alert: &&Alert| alert.machine_id.as_ref().is_none_or(|name| own.contains(name));
    let mut names = vec![spelled(target)];
    let mut paths: Vec<&str> = Vec::new();
    for alert in alerts.iter().filter(is_own) {
        if let Some(ip) = alert.source.as_ref().and_then(|source| source.ip.clone())
            && !ip.is_empty()
            && !names.contains(&ip)
            && names.len() < NAMES
        {
            names.push(ip);
        }
        for pair in alert.events.iter().flatten().flat_map(|event| event.meta.iter().flatten()) {
            let path = pair.value.as_str();
            if pair.key == "datasource_path" && path.starts_with('/') && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    let found = paths.into_iter().take(FILES).filter_map(|path| {
        let lines = latest(Path::new(path), &names)?;
        (!lines.is_empty()).then_some((path, lines))
    });
    let found: Vec<(&str, Vec<String>)> = found.collect();
    if found.is_empty() {
        return Vec::new();
    }
    // Rules that cannot be read are no reason to hide the lines.
    let parsers = understood(&found, tool).unwrap_or_default();
    let logs = found.into_iter().map(|(path, lines)| LogLines {
        path: path.to_owned(),
        lines: lines
            .into_iter()
            .map(|text| LogLine { parser: parsers.get(&text).cloned(), text })
            .collect(),
    });
    logs.collect()
}

/// The names under which this host sends alerts.
fn own_names(tool: &Tool) -> Vec<String> {
    let login = tool.credentials_if_any().and_then(|it| it.login().map(str::to_owned));
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    login.into_iter().chain(hostname.map(|name| name.trim().to_owned())).collect()
}

/// The last lines of a file that hold one of the names; `None` where it cannot be read.
fn latest(path: &Path, names: &[String]) -> Option<Vec<String>> {
    // Nothing but a file: reading a pipe could wait for ever.
    let length = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    let mut file = fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let about = |line: &&str| names.iter().any(|name| names_it(line, name));
    let mut lines: Vec<String> =
        text.lines().rev().filter(about).take(LINES).map(str::to_owned).collect();
    lines.reverse();
    Some(lines)
}

/// Whether a line holds a name that is not part of a longer one: `192.0.2.1`, and not `192.0.2.10`.
fn names_it(line: &str, name: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    line.match_indices(name).any(|(at, found)| {
        let (before, after) = (&line[..at], &line[at + found.len()..]);
        let mut behind = after.chars();
        let next = behind.next();
        // A dot may end a sentence, or go on with another number; so may a colon.
        let is_longer = matches!(next, Some('.' | ':'))
            && goes_on(behind.next())
            && (name.contains(':') || next == Some('.'));
        !goes_on(before.chars().next_back())
            && !before.ends_with(['.'])
            && !goes_on(next)
            && !is_longer
    })
}

/// Which parser takes each line, with the rules and the acquisition of this host.
fn understood(found: &[(&str, Vec<String>)], tool: &Tool) -> Result<BTreeMap<String, String>> {
    let settings = &tool.settings;
    let files = acquisition::files(
        &settings.acquisition,
        settings.acquisition_dir.as_deref(),
        &mut Vec::new(),
    )?;
    let sources = acquisition::read(&files, &mut Desk::default())?;
    let lines = found.iter().flat_map(|(path, lines)| {
        let labels = labels(path, &sources);
        let source = LineSource {
            module: "file".to_owned(),
            src: (*path).to_owned(),
            labels,
            time_mode: TimeMode::Event,
        };
        lines.iter().map(move |line| (source.clone(), line.clone()))
    });
    explain::parsers(settings, lines.collect(), tool.now())
}

/// The labels that a file's lines have.
fn labels(path: &str, sources: &[Source]) -> BTreeMap<String, String> {
    let of = |source: &Source| match source {
        Source::File(file) => {
            let is_it = |pattern: &String| pattern == path || glob_match(pattern, path);
            file.patterns.iter().any(is_it).then(|| file.common.labels.clone())
        }
        _ => None,
    };
    let usual = || [("type".to_owned(), "syslog".to_owned())].into_iter().collect();
    sources.iter().find_map(of).unwrap_or_else(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_name_is_another_name() {
        for (line, name, expect) in [
            ("from 192.0.2.1 port 22", "192.0.2.1", true),
            ("from 192.0.2.1.", "192.0.2.1", true),
            ("from [192.0.2.1]:22, from 192.0.2.1:22", "192.0.2.1", true),
            ("from 192.0.2.10 and 192.0.2.1.5 and 1192.0.2.1", "192.0.2.1", false),
            ("9.192.0.2.1", "192.0.2.1", false),
            ("from 2001:db8::1 port", "2001:db8::1", true),
            ("from 2001:db8::1:5", "2001:db8::1", false),
            ("from 2001:db8::1: hello", "2001:db8::1", true),
        ] {
            assert_eq!(names_it(line, name), expect, "{line}");
        }
    }

    #[test]
    fn the_end_of_a_file_is_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let text: String = (0..9).map(|n| format!("{n} from 192.0.2.{}\n", n % 2)).collect();
        fs::write(&path, text).unwrap();
        let names = ["192.0.2.1".to_owned()];
        let found = latest(&path, &names).unwrap();
        assert_eq!(found, ["3 from 192.0.2.1", "5 from 192.0.2.1", "7 from 192.0.2.1"]);
        assert_eq!(latest(dir.path(), &names), None);
    }
}
