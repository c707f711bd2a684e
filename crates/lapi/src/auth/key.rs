//! Keys of bouncers: made here, kept as a hash, found by that hash.

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

/// The header that carries a key.
pub(crate) const HEADER: &str = "x-api-key";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Makes a key: 32 random bytes as 43 characters.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 33];
    let (random, _) = bytes.split_at_mut(32);
    getrandom::fill(random)?;
    let mut text = String::with_capacity(44);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte));
        for shift in [18, 12, 6, 0] {
            let digit = (bits >> shift) & 63;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
    // The last byte was padding, and with it the last character.
    text.truncate(43);
    Ok(text)
}

/// What is stored of a key: SHA-512 in lower-case hexadecimal, unsalted because keys are found by
/// it. Generated keys are too long to be guessed from it.
#[must_use]
pub fn hash(key: &str) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value });
    Sha512::digest(key.as_bytes()).iter().fold(String::with_capacity(128), |mut text, byte| {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

/// Compares two hashes in a time that says nothing about where they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_usual_form() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(hash("abc").starts_with("ddaf35a193617abacc417349ae204131"));
        assert!(same(&hash("a"), &hash("a")) && !same(&hash("a"), &hash("b")));
    }
}
