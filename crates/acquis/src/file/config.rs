//! Settings of a file source.

use crate::config::{Common, Exclude};
use std::time::Duration;

/// The longest line handed over whole, unless set otherwise. Longer ones are cut there.
pub const MAX_LINE: usize = 1024 * 1024;

/// Which files to read and how to treat them.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// What all sources have.
    pub common: Common,
    /// Paths with `*`, `?` and `[…]`; relative ones start at the working directory.
    pub patterns: Vec<String>,
    /// Matching files to leave alone.
    pub exclude: Exclude,
    /// How changes are noticed.
    pub noticing: Noticing,
    /// How often patterns are matched anew even if nothing was noticed. Default: 30 s.
    pub discovery: Duration,
    /// The longest line handed over whole, in bytes.
    pub max_line: usize,
    /// An unfinished last line of a rotated file is handed over as it is when nothing was added to
    /// it for this long. Default: 5 s.
    pub unfinished_idle: Duration,
    /// A rotated file is let go when nothing was added to it for this long. Default: 10 minutes,
    /// for servers whose old processes finish long requests in the old file.
    pub rotated_idle: Duration,
}

impl FileConfig {
    /// The default settings for files matching `patterns`.
    #[must_use]
    pub fn new(common: Common, patterns: Vec<String>) -> Self {
        Self {
            common,
            patterns,
            exclude: Exclude::nothing(),
            noticing: Noticing::Auto,
            discovery: Duration::from_secs(30),
            max_line: MAX_LINE,
            unfinished_idle: Duration::from_secs(5),
            rotated_idle: Duration::from_secs(600),
        }
    }
}

/// How changes to files are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noticing {
    /// By inotify where the file system supports it, and by looking now and then.
    #[default]
    Auto,
    /// By looking every 250 ms.
    Poll,
}
