//! A line of a log, and where it came from.

use crate::Timestamp;
use alloc::{collections::BTreeMap, string::String};

/// Names one [`LineSource`] among those a program run has met. Small and dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// One line as it was read: bytes, since a log may hold anything.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The line without its line end. Any bytes; the engine replaces what is not UTF-8.
    pub text: &'a [u8],
    /// Where it was read.
    pub source: SourceId,
    /// When it was read.
    pub read_at: Timestamp,
}

/// Whose clock the buckets follow for the lines of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMode {
    /// The wall clock at the moment of pouring: lines that arrive as they happen.
    #[default]
    Live,
    /// The date the line carries: replays, and sources that deliver late.
    Event,
}

/// What is known of a line before reading it: the same for all lines of one file, socket or unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineSource {
    /// The kind of datasource: `file`, `journalctl`, `syslog`, … (`evt.Line.Module`).
    pub module: String,
    /// Path, unit or client address (`evt.Line.Src`).
    pub src: String,
    /// Labels given in the acquisition file; `type` selects the parsers (`evt.Line.Labels`).
    pub labels: BTreeMap<String, String>,
    /// Whose clock its lines follow.
    pub time_mode: TimeMode,
}
