//! A scanner for many literals that looks at short runs of bytes, or grams, on their own.
//!
//! An automaton reads a text byte by byte, each step waiting for the one before. Grams do not wait
//! for each other: at every few positions one is hashed into a bit set, and only where the bit is
//! set are literals compared. With literals of seven bytes every fourth position is enough: of four
//! neighboring grams of a literal one falls on such a position wherever the literal stands.
//!
//! INVARIANT: a gram belongs to at most [`MAX_SHARED`] literals, so that a text made of nothing but
//! such grams costs a bounded time per byte. Sets that cannot keep this, or with literals too short
//! to have a gram, are left to an automaton.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// The most literals one gram, or one bucket of grams, may lead to.
const MAX_SHARED: usize = 24;

/// The filter has 2^15 bits: it fits the first-level cache next to all else.
const FILTER_BITS: u32 = 15;

/// Looks for literals by their grams.
#[derive(Clone, Debug)]
pub(crate) struct Grams {
    /// The bits of a loaded word that make the gram: three bytes or four.
    mask: u32,
    /// What is set in each byte before hashing, to take upper and lower case for the same.
    fold: u32,
    /// The distance between the positions looked at.
    stride: usize,
    filter: Box<[u64]>,
    /// The literals of each bucket are `entries[buckets[b]..buckets[b + 1]]`.
    buckets: Box<[u32]>,
    bucket_shift: u32,
    entries: Box<[Entry]>,
    /// All literals, one after the other.
    text: Box<[u8]>,
}

/// A gram of a literal.
#[derive(Clone, Copy, Debug)]
struct Entry {
    gram: u32,
    literal: u32,
    /// The literal in [`Grams::text`].
    start: u32,
    len: u32,
    /// How far the gram is from the start of the literal.
    offset: u32,
}

impl Grams {
    /// Prepares a scan for these literals, if they suit it. `folded` takes upper and lower case
    /// ASCII letters for the same.
    pub(crate) fn new(literals: &[&[u8]], folded: bool) -> Option<Self> {
        let shortest = literals.iter().map(|literal| literal.len()).min()?;
        let (size, stride) = match shortest {
            0..3 => return None,
            3 | 4 => (3, shortest - 2),
            _ => (4, (shortest - 3).min(4)),
        };
        let mask = if size == 3 { 0x00FF_FFFF } else { u32::MAX };
        let fold = if folded { 0x2020_2020 } else { 0 };

        let mut entries: Vec<Entry> = Vec::new();
        let mut text = Vec::new();
        let mut shared = hashbrown::HashMap::<u32, usize>::new();
        for (i, literal) in literals.iter().enumerate() {
            let grams: Vec<u32> =
                literal.windows(size).map(|bytes| (word(bytes) | fold) & mask).collect();
            // The run of `stride` grams that the fewest literals have and the fewest texts.
            let cost = |run: &[u32]| {
                let used = run.iter().map(|gram| shared.get(gram).copied().unwrap_or(0)).max();
                (used, run.iter().map(|&gram| commonness(gram)).max())
            };
            let (offset, run) =
                grams.windows(stride).enumerate().min_by_key(|(_, run)| cost(run))?;
            let start = u32::try_from(text.len()).ok()?;
            text.extend_from_slice(literal);
            for (&gram, offset) in run.iter().zip(offset..) {
                let entry = Entry {
                    gram,
                    literal: u32::try_from(i).ok()?,
                    start,
                    len: u32::try_from(literal.len()).ok()?,
                    offset: u32::try_from(offset).ok()?,
                };
                let used = shared.entry(gram).or_insert(0);
                *used += 1;
                if MAX_SHARED < *used {
                    return None;
                }
                entries.push(entry);
            }
        }

        // Four buckets per entry, and never fewer bits than the filter leaves.
        let n_bits = (4 * entries.len()).next_power_of_two().ilog2().clamp(4, 24);
        let bucket_shift = 32 - n_bits;
        let bucket = |entry: &Entry| (hash(entry.gram) >> bucket_shift) as usize;
        entries.sort_by_key(bucket);
        let mut buckets = vec![0_u32; (1 << n_bits) + 1];
        let mut filter = vec![0_u64; 1 << (FILTER_BITS - 6)];
        for entry in &entries {
            buckets[bucket(entry) + 1] += 1;
            let bit = hash(entry.gram) >> (32 - FILTER_BITS);
            filter[(bit >> 6) as usize] |= 1 << (bit & 63);
        }
        if buckets.iter().any(|&n| MAX_SHARED < n as usize) {
            return None;
        }
        for i in 1..buckets.len() {
            buckets[i] += buckets[i - 1];
        }
        Some(Self {
            mask,
            fold,
            stride,
            filter: filter.into(),
            buckets: buckets.into(),
            bucket_shift,
            entries: entries.into(),
            text: text.into(),
        })
    }

    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.filter)
            + size_of_val(&*self.buckets)
            + size_of_val(&*self.entries)
            + self.text.len()
    }

    /// Calls `found` with each literal in a text, once per occurrence, for as long as it returns
    /// true.
    ///
    /// hot: examples/bench.rs
    pub(crate) fn scan(&self, text: &[u8], found: impl FnMut(usize) -> bool) {
        // A stride known to the compiler costs less than one it must load.
        match self.stride {
            1 => self.scan_by::<1>(text, found),
            2 => self.scan_by::<2>(text, found),
            3 => self.scan_by::<3>(text, found),
            _ => self.scan_by::<4>(text, found),
        }
    }

    #[inline]
    fn scan_by<const STRIDE: usize>(&self, text: &[u8], mut found: impl FnMut(usize) -> bool) {
        let mut at = 0;
        while let Some(bytes) = text.get(at..at + 4) {
            if !self.look(text, at, word(bytes), &mut found) {
                return;
            }
            at += STRIDE;
        }
        // A gram of three bytes may be the last of the text.
        if let Some(bytes) = text.get(at..) {
            self.look(text, at, word(bytes), &mut found);
        }
    }

    /// Looks at one position. Returns false if `found` did.
    #[inline(always)]
    fn look(
        &self,
        text: &[u8],
        at: usize,
        word: u32,
        found: &mut impl FnMut(usize) -> bool,
    ) -> bool {
        let gram = (word | self.fold) & self.mask;
        let hash = hash(gram);
        let bit = hash >> (32 - FILTER_BITS);
        let bits = self.filter.get((bit >> 6) as usize).copied().unwrap_or(0);
        bits >> (bit & 63) & 1 == 0 || self.compare(text, at, gram, hash, found)
    }

    #[inline(never)]
    fn compare(
        &self,
        text: &[u8],
        at: usize,
        gram: u32,
        hash: u32,
        found: &mut impl FnMut(usize) -> bool,
    ) -> bool {
        let bucket = (hash >> self.bucket_shift) as usize;
        let Some(&[first, end]) = self.buckets.get(bucket..bucket + 2) else { return true };
        for entry in self.entries.get(first as usize..end as usize).unwrap_or(&[]) {
            if entry.gram != gram {
                continue;
            }
            let literal = self.text.get(entry.start as usize..).unwrap_or(&[]);
            let literal = literal.get(..entry.len as usize).unwrap_or(&[]);
            let Some(start) = at.checked_sub(entry.offset as usize) else { continue };
            let Some(there) = text.get(start..start + literal.len()) else { continue };
            let same =
                if self.fold == 0 { there == literal } else { there.eq_ignore_ascii_case(literal) };
            if same && !found(entry.literal as usize) {
                return false;
            }
        }
        true
    }
}

/// Up to four bytes as a number.
#[inline(always)]
fn word(bytes: &[u8]) -> u32 {
    if let &[a, b, c, d, ..] = bytes {
        return u32::from_le_bytes([a, b, c, d]);
    }
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

#[inline(always)]
fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1)
}

/// How often a gram's bytes stand in logs, roughly: capitals and punctuation are rare, digits,
/// blanks and small letters are not.
fn commonness(gram: u32) -> u32 {
    gram.to_le_bytes()
        .iter()
        .map(|byte| match byte {
            0 => 0,
            b' ' | b'e' | b'o' | b'a' | b't' | b'r' | b's' | b'i' | b'n' => 8,
            b'0'..=b'9' => 7,
            b'd' | b'l' | b'c' | b'p' | b'u' | b'm' | b'h' | b'f' | b'.' | b':' | b'/' => 6,
            b'a'..=b'z' | b'-' | b'"' | b'=' => 4,
            _ => 2,
        })
        .sum()
}
