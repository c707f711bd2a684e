//! JSON as Go's encoder writes it: `<`, `>`, `&` and the two line separators are escaped.
//!
//! Bouncers read any spelling; scripts and golden files compare bytes.

use std::io;

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

/// Writes `value` as compact JSON.
///
/// Wire types hold texts, numbers and lists of such, which always have a JSON form; should one
/// not, the answer is the JSON `null`.
#[must_use]
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut serializer = Serializer::with_formatter(&mut out, GoText);
    if value.serialize(&mut serializer).is_err() {
        debug_assert!(false, "a wire type has no JSON form");
        return b"null".to_vec();
    }
    out
}

struct GoText;

impl Formatter for GoText {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut start = 0;
        for (at, character) in fragment.char_indices() {
            let escape: &[u8] = match character {
                '<' => b"\\u003c",
                '>' => b"\\u003e",
                '&' => b"\\u0026",
                '\u{2028}' => b"\\u2028",
                '\u{2029}' => b"\\u2029",
                _ => continue,
            };
            writer.write_all(fragment.get(start..at).unwrap_or_default().as_bytes())?;
            writer.write_all(escape)?;
            start = at + character.len_utf8();
        }
        writer.write_all(fragment.get(start..).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn html_and_line_separators_are_escaped() {
        let json = super::to_json("a<b>&\u{2028}\u{2029}\"é\n");
        assert_eq!(
            String::from_utf8(json).unwrap(),
            "\"a\\u003cb\\u003e\\u0026\\u2028\\u2029\\\"é\\n\""
        );
    }
}
