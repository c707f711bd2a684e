//! Ways to run through bytes on which a state stays what it is.
//!
//! Much of a log line is `.*`, `[^"]*` or text before the first thread starts: one state, hundreds
//! of bytes. A table walk takes a dependent load per byte there; a [`Skip`] looks for the first
//! byte that ends the run instead, several at a time.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Finds the end of a run of bytes out of one set.
#[derive(Clone, Debug)]
pub(crate) enum Skip {
    /// All bytes but one.
    Until1(u8),
    /// All bytes but two.
    Until2(u8, u8),
    /// All bytes but three.
    Until3(u8, u8, u8),
    /// All ASCII bytes but one.
    Ascii1(u8),
    /// All ASCII bytes but up to three.
    Ascii3([u8; 3]),
    /// The bytes that are marked.
    Set(Box<[bool; 256]>),
}

/// A run must span at least this many different ASCII bytes to be worth leaving the table walk:
/// runs of digits or of a name's letters are short, and the way out of a skip is a branch the
/// processor guesses wrong.
const MIN_ASCII: usize = 72;

impl Skip {
    /// Skips the marked bytes, or is `None` if that would not pay.
    pub(crate) fn if_long(set: &[bool; 256]) -> Option<Self> {
        let n_ascii = set.iter().take(0x80).filter(|&&skipped| skipped).count();
        (MIN_ASCII <= n_ascii).then(|| Self::over(set))
    }

    /// Skips the marked bytes.
    pub(crate) fn over(set: &[bool; 256]) -> Self {
        let (_, other) = set.split_at(0x80);
        let stops: Vec<u8> = (0..0x80).filter(|&byte| !set[usize::from(byte)]).collect();
        let all_other = other.iter().all(|&skipped| skipped);
        let no_other = other.iter().all(|&skipped| !skipped);
        match *stops {
            [a] if all_other => Self::Until1(a),
            [a, b] if all_other => Self::Until2(a, b),
            [a, b, c] if all_other => Self::Until3(a, b, c),
            [a] if no_other => Self::Ascii1(a),
            [a, b] if no_other => Self::Ascii3([a, b, b]),
            [a, b, c] if no_other => Self::Ascii3([a, b, c]),
            _ => Self::Set(Box::new(*set)),
        }
    }

    /// The first position from `at` on whose byte is not skipped; the end if there is none.
    ///
    /// hot: examples/bench.rs
    #[inline]
    pub(crate) fn end(&self, text: &[u8], at: usize) -> usize {
        let rest = text.get(at..).unwrap_or(&[]);
        let n = match *self {
            Self::Until1(a) => memchr::memchr(a, rest),
            Self::Until2(a, b) => memchr::memchr2(a, b, rest),
            Self::Until3(a, b, c) => memchr::memchr3(a, b, c, rest),
            Self::Ascii1(a) => ascii_until(rest, [a]),
            Self::Ascii3(stops) => ascii_until(rest, stops),
            Self::Set(ref set) => rest.iter().position(|&byte| !set[usize::from(byte)]),
        };
        at + n.unwrap_or(rest.len())
    }
}

/// The first byte that is one of `stops` or not ASCII, eight bytes at a time.
fn ascii_until<const N: usize>(text: &[u8], stops: [u8; N]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let mut found = word & HIGHS;
        for stop in stops {
            // A zero byte borrows from the bytes above it, so those may be marked wrongly; the
            // lowest mark, the one that counts, is always right.
            let differing = word ^ (ONES * u64::from(stop));
            found |= differing.wrapping_sub(ONES) & !differing & HIGHS;
        }
        if found != 0 {
            return Some(i * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let stopped = |byte: &u8| !byte.is_ascii() || stops.contains(byte);
    Some(words.len() * 8 + rest.iter().position(stopped)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[u8], skip_other: bool) {
        let mut set = [true; 256];
        set[0x80..].fill(skip_other);
        for &stop in stops {
            set[usize::from(stop)] = false;
        }
        let skip = Skip::if_long(&set).unwrap();
        let mut text: Vec<u8> = (0..67).map(|i| b'a' + i % 20).collect();
        assert_eq!(skip.end(&text, 3), text.len(), "{skip:?}");
        for i in 0..text.len() {
            for byte in (0..=0xFF).filter(|&byte: &u8| !set[usize::from(byte)]) {
                let before = core::mem::replace(&mut text[i], byte);
                for at in [0, i / 2, i] {
                    assert_eq!(skip.end(&text, at), i, "{skip:?}");
                }
                text[i] = before;
            }
        }
    }

    #[test]
    fn every_kind_stops_at_every_stop() {
        check(b"\n", true);
        check(b"\nz", true);
        check(b"\nz~", true);
        check(b"\n", false);
        check(b"\nz", false);
        check(b"\nz~", false);
        check(b"\nz~!", false);
        check(b"\nz~!", true);
    }

    #[test]
    fn small_sets_do_not_pay() {
        let mut set = [false; 256];
        set[usize::from(b'0')..=usize::from(b'9')].fill(true);
        assert!(Skip::if_long(&set).is_none());
    }
}
