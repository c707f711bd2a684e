//! `acquis.yaml`: what to read.
//!
//! Each document becomes one datasource. A document that is wrong, or of a kind that cannot be read
//! yet, is reported and left out; the others run.

use super::{
    codes,
    raw::{Desk, value},
    transform,
};
use acquis::{
    Common, Mode, Source,
    config::Exclude,
    file::{FileConfig, Noticing},
    journald::JournaldConfig,
    stdin::StdinConfig,
    syslog::{Parsing, Protocol, SyslogConfig},
};
use anyhow::{Context as _, Result};
use model::TimeMode;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use syntax::{Diagnostic, yaml::Yaml};

/// Keys of every datasource.
const COMMON: &[&str] = &[
    "source",
    "labels.*",
    "mode",
    "log_level",
    "name",
    "use_time_machine",
    "unique_id",
    "transform",
];

const FILE: &[&str] = &[
    "filename",
    "filenames",
    "exclude_regexps",
    "force_inotify",
    "max_buffer_size",
    "poll_without_inotify",
    "discovery_poll_enable",
    "discovery_poll_interval",
];

const JOURNALD: &[&str] = &["journalctl_filter"];

const SYSLOG: &[&str] =
    &["listen_addr", "listen_port", "max_message_len", "protocol", "disable_rfc_parser"];

const STDIN: &[&str] = &[];

/// Datasources that CrowdSec has and that cannot be read here yet.
const NOT_YET: &[&str] = &[
    "appsec",
    "cloudwatch",
    "docker",
    "http",
    "k8s-audit",
    "kafka",
    "kinesis",
    "loki",
    "s3",
    "victorialogs",
    "wineventlog",
];

const KNOWN: &[&str] = &["file", "journalctl", "syslog", "stdin"];

/// The acquisition files of settings: named ones and those of a directory, in order. A named file
/// that is not there is told in `warnings`.
pub(crate) fn files(
    named: &[PathBuf],
    dir: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_file() {
            files.push(path.clone());
        } else {
            warnings.push(format!("there is no acquisition file {}", path.display()));
        }
    }
    if let Some(dir) = dir.filter(|dir| dir.is_dir()) {
        let doing = || format!("reading {}", dir.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).with_context(doing)? {
            found.push(entry.with_context(doing)?.path());
        }
        found.sort();
        for extension in ["yaml", "yml"] {
            let of = |path: &&PathBuf| path.extension().is_some_and(|it| it == extension);
            files.extend(found.iter().filter(of).cloned());
        }
    }
    Ok(files)
}

/// Reads datasources from files.
pub(crate) fn read(files: &[PathBuf], desk: &mut Desk) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in files {
        for document in desk.read(path)? {
            sources.extend(source(&document, desk));
        }
    }
    Ok(sources)
}

/// One document. `None`: reported and left out.
fn source(document: &Yaml, desk: &mut Desk) -> Option<Source> {
    if document.as_map().is_none() {
        desk.wrong(document, "a datasource", "a map");
        return None;
    }
    let kind = kind(document, desk)?;
    let own = match kind {
        "file" => FILE,
        "journalctl" => JOURNALD,
        "syslog" => SYSLOG,
        _ => STDIN,
    };
    let n_before = desk.diagnostics.len();
    desk.check_keys(document, &[COMMON, own].concat());
    let common = common(document, desk);
    let source = match kind {
        "file" => file(common, document, desk).map(Source::File),
        "journalctl" => journald(common, document, desk).map(Source::Journald),
        "syslog" => Some(Source::Syslog(syslog(common, document, desk))),
        _ => Some(Source::Stdin(StdinConfig::new(common))),
    };
    // A misspelt key may have been the one that mattered.
    source.filter(|_| desk.diagnostics.iter().skip(n_before).all(is_warning))
}

fn is_warning(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == syntax::Severity::Warning
}

/// The kind of a datasource: as written, or recognized by its keys.
fn kind(document: &Yaml, desk: &mut Desk) -> Option<&'static str> {
    let Some(written) = value(document, "source") else {
        let has = |key: &str| document.get(key).is_some();
        if has("filename") || has("filenames") {
            return Some("file");
        }
        if has("journalctl_filter") {
            return Some("journalctl");
        }
        desk.report(
            Diagnostic::error(codes::MISSING_SETTING, "a datasource needs `source`")
                .at(head(document), "missing here")
                .help("write `source: file`, for example"),
        );
        return None;
    };
    let Some(name) = written.as_str() else {
        desk.wrong(written, "`source`", "a text");
        return None;
    };
    if let Some(known) = KNOWN.iter().find(|known| **known == name) {
        return Some(known);
    }
    if NOT_YET.contains(&name) {
        desk.report(
            Diagnostic::error(
                codes::UNSUPPORTED_SOURCE,
                format!("datasource `{name}` is not supported yet"),
            )
            .at(written.span, "")
            .note("this document is left out; the others run"),
        );
        return None;
    }
    let unknown =
        Diagnostic::error(codes::UNKNOWN_SOURCE, format!("there is no datasource `{name}`"))
            .at(written.span, "");
    desk.report(match syntax::nearest(name, KNOWN.iter().copied()) {
        Some(nearest) => unknown.fix("a similar one exists", written.span, nearest),
        None => unknown.note(format!("the datasources are: {}", KNOWN.join(", "))),
    });
    None
}

fn head(document: &Yaml) -> syntax::Span {
    let first = document.as_map().and_then(|pairs| pairs.first());
    first.map_or(document.span, |(key, _)| key.span)
}

fn common(document: &Yaml, desk: &mut Desk) -> Common {
    let labels = labels(document, desk);
    let mode = match desk.text(document, "mode") {
        None | Some("tail") => Mode::Tail,
        Some("cat") => Mode::Cat,
        Some(_) => {
            bad(document, "mode", "`mode` must be `tail` or `cat`", desk);
            Mode::Tail
        }
    };
    let by_date = desk.flag(document, "use_time_machine").unwrap_or(false);
    let time_mode = if by_date { TimeMode::Event } else { TimeMode::Live };
    Common { labels, mode, time_mode, transform: transform::read(document, desk) }
}

fn labels(document: &Yaml, desk: &mut Desk) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(map) = value(document, "labels") else {
        desk.report(
            Diagnostic::error(codes::MISSING_SETTING, "a datasource needs `labels`")
                .at(head(document), "missing here")
                .help("write `labels: {type: syslog}`, for example"),
        );
        return labels;
    };
    let Some(pairs) = map.as_map() else {
        desk.wrong(map, "`labels`", "a map");
        return labels;
    };
    for (key, value) in pairs {
        match (key.as_str(), value.as_str()) {
            (Some(key), Some(value)) => drop(labels.insert(key.to_owned(), value.to_owned())),
            _ => desk.wrong(value, "a label", "a text"),
        }
    }
    labels
}

fn file(common: Common, document: &Yaml, desk: &mut Desk) -> Option<FileConfig> {
    let mut patterns = desk.texts(document, "filename");
    patterns.extend(desk.texts(document, "filenames"));
    if patterns.is_empty() {
        desk.report(
            Diagnostic::error(codes::MISSING_SETTING, "a file datasource needs `filenames`")
                .at(head(document), "missing here"),
        );
        return None;
    }
    let mut config = FileConfig::new(common, patterns);
    if desk.flag(document, "poll_without_inotify") == Some(true) {
        config.noticing = Noticing::Poll;
    }
    if let Some(interval) = desk.duration(document, "discovery_poll_interval") {
        // Listing directories all the time would only burn the processor.
        config.discovery = interval.max(Duration::from_secs(1));
    }
    if let Some(size) = desk.number(document, "max_buffer_size", 1..=1 << 30) {
        // Upstream stops at longer lines; here they are cut, and never below our own limit.
        let size = usize::try_from(size).unwrap_or(config.max_line);
        config.max_line = size.max(config.max_line);
    }
    // Accepted without effect: directories are always watched, and looked at anew now and then.
    desk.flag(document, "force_inotify");
    desk.flag(document, "discovery_poll_enable");
    config.exclude = exclude(document, desk);
    Some(config)
}

/// The files to leave alone: those any of these patterns is found in.
fn exclude(document: &Yaml, desk: &mut Desk) -> Exclude {
    let mut patterns = Vec::new();
    for text in desk.texts(document, "exclude_regexps") {
        match re2::Regex::new(&text) {
            Ok(regex) => patterns.push(regex),
            Err(error) => {
                bad(document, "exclude_regexps", &format!("`{text}` is no pattern: {error}"), desk);
            }
        }
    }
    if patterns.is_empty() {
        return Exclude::nothing();
    }
    // Asked for each path once per listing: a new cache each time is cheap enough.
    Exclude::new(move |path| {
        let mut cache = re2::Cache::default();
        patterns.iter().any(|regex| regex.is_match(&mut cache, path))
    })
}

fn journald(common: Common, document: &Yaml, desk: &mut Desk) -> Option<JournaldConfig> {
    let filters = desk.texts(document, "journalctl_filter");
    if filters.is_empty() {
        desk.report(
            Diagnostic::error(
                codes::MISSING_SETTING,
                "a journalctl datasource needs `journalctl_filter`",
            )
            .at(head(document), "missing here")
            .help("write `journalctl_filter: [_SYSTEMD_UNIT=ssh.service]`, for example"),
        );
        return None;
    }
    Some(JournaldConfig::new(common, filters))
}

fn syslog(common: Common, document: &Yaml, desk: &mut Desk) -> SyslogConfig {
    let mut config = SyslogConfig::new(common);
    if let Some(text) = desk.text(document, "listen_addr") {
        match text.parse() {
            Ok(address) => config.listen_addr = address,
            Err(_) => bad(document, "listen_addr", "`listen_addr` must be an address", desk),
        }
    }
    let port = desk.number(document, "listen_port", 1..=65535);
    if let Some(port) = port.and_then(|port| u16::try_from(port).ok()) {
        config.listen_port = port;
    }
    let length = desk.number(document, "max_message_len", 1..=65535);
    if let Some(length) = length.and_then(|length| usize::try_from(length).ok()) {
        config.max_message_len = length;
    }
    match desk.text(document, "protocol") {
        // COMPAT(crowdsec): the key is accepted there and means nothing; connections are ours.
        None | Some("udp") => {}
        Some("tcp") => config.protocol = Protocol::Tcp,
        Some("both") => config.protocol = Protocol::Both,
        Some(_) => {
            bad(document, "protocol", "`protocol` must be `udp`, `tcp` or `both`", desk);
        }
    }
    if desk.flag(document, "disable_rfc_parser") == Some(true) {
        config.parsing = Parsing::StripPriority;
    }
    config
}

fn bad(document: &Yaml, key: &str, message: &str, desk: &mut Desk) {
    let span = value(document, key).map_or(document.span, |value| value.span);
    desk.bad(span, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Vec<Source>, Vec<String>) {
        let mut desk = Desk::default();
        let documents = desk.parse("acquis.yaml", text);
        let sources = documents.iter().filter_map(|it| source(it, &mut desk)).collect();
        (sources, desk.diagnostics.iter().map(|it| it.message.clone()).collect())
    }

    #[test]
    fn kinds_are_recognized_by_their_keys() {
        let (sources, mistakes) = check(
            "filenames: [/var/log/*.log]\nexclude_regexps: ['\\.gz$']\nlabels: {type: syslog}\n---\n\
             journalctl_filter: [_SYSTEMD_UNIT=ssh.service]\nlabels: {type: syslog}\n---\n\
             # nothing\n---\n\
             source: syslog\nlisten_port: 5140\nprotocol: both\nlabels: {type: syslog}\n",
        );
        assert_eq!(mistakes, Vec::<String>::new());
        assert!(matches!(&sources[0], Source::File(file) if file.patterns == ["/var/log/*.log"]));
        assert!(matches!(&sources[1], Source::Journald(_)));
        assert!(matches!(
            &sources[2],
            Source::Syslog(syslog) if syslog.listen_port == 5140 && syslog.protocol == Protocol::Both
        ));
    }

    #[test]
    fn one_bad_document_leaves_the_others() {
        let (sources, mistakes) = check(
            "source: docker\nlabels: {type: x}\n---\nsource: fil\nlabels: {type: x}\n---\n\
             filename: a\n---\nfilename: a\nfile_names: b\nlabels: {type: x}\n---\n\
             filename: good\nlabels: {type: x}\n---\nsource: syslog\nlisten_port: 0\n\
             labels: {type: x}\n",
        );
        assert_eq!(sources.len(), 1);
        assert_eq!(
            mistakes,
            [
                "datasource `docker` is not supported yet",
                "there is no datasource `fil`",
                "a datasource needs `labels`",
                "there is no setting `file_names`",
                "`listen_port` must be between 1 and 65535",
            ]
        );
    }
}
