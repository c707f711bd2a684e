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

/// Tells a line from all others, also when it is read again after a crash: the same line of the same
/// file or journal gets the same stamp each time, and no other line gets it. Some sources read
/// nothing twice; their lines have none.
///
/// Alerts that are made of the same lines are recognized by it. It only has to survive accidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// No stamp: nothing is known of the line.
    pub const NONE: Self = Self(0);

    /// A stamp made of whatever names a file or an entry; never [`Stamp::NONE`].
    #[must_use]
    pub const fn of(bits: u64) -> Self {
        Self(if bits == 0 { u64::MAX } else { bits })
    }

    /// The stamp that was stored as `bits`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The stamp as a number, to be stored; 0 where there is none.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The stamp of a part: of the line at an offset of a file, of a line of an entry. The parts of
    /// what has no stamp have none either.
    #[must_use]
    pub const fn part(self, number: u64) -> Self {
        if self.is_none() {
            return self;
        }
        Self::of(scramble(self.0 ^ scramble(number.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }
}

/// Spreads every bit over all others, reversibly (the last step of `SplitMix64`).
const fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_differ_and_nothing_has_no_parts() {
        let file = Stamp::of(7);
        assert_eq!(file.part(3), Stamp::of(7).part(3));
        assert!(file.part(3) != file.part(4) && file.part(3) != Stamp::of(8).part(3));
        assert!(file.part(0) != file && !Stamp::of(0).is_none());
        assert!(Stamp::NONE.part(9).is_none());
    }
}
