//! What a source needs to know, as settings: resolved, and free of any file format.
//!
//! The binary reads `acquis.yaml` and fills these. Everything here is plain data; the one function
//! is the exclusion of paths, since the regular expressions behind it belong to another crate.

use crate::{
    Transform, file::FileConfig, journald::JournaldConfig, stdin::StdinConfig, syslog::SyslogConfig,
};
use model::{LineSource, TimeMode};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// One datasource, ready to run.
#[derive(Clone, Debug)]
pub enum Source {
    /// Log files.
    File(FileConfig),
    /// The systemd journal.
    Journald(JournaldConfig),
    /// A syslog server.
    Syslog(SyslogConfig),
    /// Standard input.
    Stdin(StdinConfig),
}

impl Source {
    /// What every kind of source has.
    #[must_use]
    pub const fn common(&self) -> &Common {
        match self {
            Self::File(config) => &config.common,
            Self::Journald(config) => &config.common,
            Self::Syslog(config) => &config.common,
            Self::Stdin(config) => &config.common,
        }
    }

    /// The kind of datasource as lines carry it in `evt.Line.Module`.
    #[must_use]
    pub const fn module(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Journald(_) => "journalctl",
            Self::Syslog(_) => "syslog",
            Self::Stdin(_) => "stdin",
        }
    }
}

/// Settings that all sources share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Labels copied to every line; `type` selects the parsers.
    pub labels: BTreeMap<String, String>,
    /// Whether the source follows its input or reads it once.
    pub mode: Mode,
    /// Whose clock the buckets follow. Reading a file once always means [`TimeMode::Event`].
    pub time_mode: TimeMode,
    /// What lines become before anybody sees them.
    pub transform: Option<Transform>,
}

impl Common {
    /// The source of lines that `module` reads from `src`.
    #[must_use]
    pub fn line_source(&self, module: &str, src: &str) -> LineSource {
        LineSource {
            module: String::from(module),
            src: String::from(src),
            labels: self.labels.clone(),
            time_mode: self.time_mode,
        }
    }

    /// A name for these labels that stays the same across restarts, for keeping positions.
    #[must_use]
    pub fn owner(&self, module: &str) -> String {
        let mut owner = String::from(module);
        for (key, value) in &self.labels {
            owner.push(' ');
            owner.push_str(key);
            owner.push('=');
            owner.push_str(value);
        }
        owner
    }
}

/// Whether a source follows its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Waits for more at the end.
    #[default]
    Tail,
    /// Stops at the end.
    Cat,
}

/// A predicate over full paths: files it holds for are left alone.
#[derive(Clone)]
pub struct Exclude(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Exclude {
    /// Excludes the paths for which `holds` is true.
    pub fn new(holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    /// Excludes nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(|_| false)
    }

    pub(crate) fn holds(&self, path: &str) -> bool {
        (self.0)(path)
    }
}

impl Default for Exclude {
    fn default() -> Self {
        Self::nothing()
    }
}

impl fmt::Debug for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exclude(..)")
    }
}
