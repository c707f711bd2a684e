//! Short digests of parts of a file, to recognize a file and a place in it across restarts.
//!
//! An inode number alone does not name a file: it is reused after a deletion, and a truncated file
//! keeps it. The first bytes of a log carry a date and rarely repeat; the bytes before a position
//! tell whether the position still means what it meant. The digest only has to survive accidents:
//! whoever can write the log can already write any line into it.

use serde::{Deserialize, Serialize};

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A length and the FNV-1a hash of that many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) len: u32,
    pub(crate) hash: u64,
}

impl Fingerprint {
    /// The fingerprint of nothing.
    pub(crate) const EMPTY: Self = Self { len: 0, hash: BASIS };

    /// The fingerprint of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let hash =
            bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        Self { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash }
    }

    pub(crate) fn len(self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}
