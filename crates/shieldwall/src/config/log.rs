//! `common`: where logs go, and how files of logs are turned over.

use super::raw::Desk;
use std::{path::PathBuf, time::Duration};
use syntax::yaml::Yaml;

/// Where logs go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) media: Media,
    /// Whether lines have color wherever they go.
    pub(crate) force_color: bool,
}

/// A place for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Media {
    /// Standard error. The incumbent calls it `stdout`.
    #[default]
    Terminal,
    /// Files in a directory.
    Files(Files),
    /// The host's syslog.
    Syslog,
}

/// Files of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Where they are.
    pub(crate) dir: PathBuf,
    /// Bytes after which a file is put aside.
    pub(crate) max_size: u64,
    /// How many files put aside are kept; 0 keeps all.
    pub(crate) max_files: usize,
    /// How long files put aside are kept; zero keeps them for ever.
    pub(crate) max_age: Duration,
    /// Whether files put aside are compressed.
    pub(crate) compress: bool,
}

const MEGABYTE: u64 = 1 << 20;

const DAY: u64 = 24 * 60 * 60;

/// Reads the section.
pub(super) fn read(tree: &Yaml, desk: &mut Desk) -> Log {
    let mut number = |key: &str, usual: u64| {
        let number = desk.number(tree, key, 0..=1_000_000);
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(usual)
    };
    // COMPAT(crowdsec): 0 stands for the usual number.
    let or_usual = |number: u64, usual: u64| if number == 0 { usual } else { number };
    let max_size = or_usual(number("common.log_max_size", 500), 500).saturating_mul(MEGABYTE);
    let max_files = or_usual(number("common.log_max_files", 3), 3);
    let max_age = or_usual(number("common.log_max_age", 28), 28).saturating_mul(DAY);
    let files = Files {
        dir: desk.text(tree, "common.log_dir").unwrap_or("/var/log").into(),
        max_size,
        max_files: usize::try_from(max_files).unwrap_or(usize::MAX),
        max_age: Duration::from_secs(max_age),
        compress: desk.flag(tree, "common.compress_logs").unwrap_or(true),
    };
    let media = match desk.text(tree, "common.log_media") {
        Some("file") => Media::Files(files),
        Some("syslog") => Media::Syslog,
        None | Some("" | "stdout") => Media::Terminal,
        Some(other) => {
            let message = format!("`common.log_media` is stdout, file or syslog, not {other:?}");
            if let Some(value) = super::raw::value(tree, "common.log_media") {
                desk.bad(value.span, message);
            }
            Media::Terminal
        }
    };
    let force_color = desk.flag(tree, "common.force_color_logs").unwrap_or(false);
    Log { media, force_color }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (Log, usize) {
        let mut desk = Desk::default();
        let tree = desk.parse("x", text).remove(0);
        let log = read(&tree, &mut desk);
        (log, desk.diagnostics.len())
    }

    #[test]
    fn files_have_limits() {
        let (found, n_wrong) = log("common: {log_media: file, log_dir: /x, log_max_size: 2}");
        let Media::Files(files) = found.media else { panic!("{found:?}") };
        assert_eq!((files.max_size, files.max_files, files.compress), (2 * MEGABYTE, 3, true));
        assert_eq!((files.dir, n_wrong), (PathBuf::from("/x"), 0));
        assert_eq!(log("common: {log_media: stdout}"), (Log::default(), 0));
        assert_eq!(log("common: {log_media: paper}").1, 1);
        assert_eq!(log("common: {log_media: syslog}").0.media, Media::Syslog);
    }
}
