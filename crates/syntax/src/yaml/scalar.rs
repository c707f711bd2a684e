//! Scalars: their text, what it means by the rules of YAML 1.1, and where each byte was written.
//!
//! COMPAT(crowdsec): the words and numbers are those of the decoder upstream reads rules with. So
//! `y` and `off` are booleans, `017` is fifteen, `1_000` is a thousand, and `08` is no integer.

use super::trace::Trace;
use crate::source::Span;

/// How a scalar was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScalarStyle {
    /// Without quotes. Only these can be null, booleans or numbers.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// As a `|` block.
    Literal,
    /// As a `>` block.
    Folded,
}

/// A scalar.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its value as text, without quotes, escapes and indentation.
    pub text: String,
    /// How it was written.
    pub style: ScalarStyle,
    /// Where it was written, quotes included.
    pub span: Span,
    /// Whether a tag (`!!str` or `!`) says that it is a text whatever it looks like.
    pub(super) is_text: bool,
    pub(super) trace: Trace,
}

impl Scalar {
    /// Says whether it stands for nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns the boolean it stands for, if any.
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain()? {
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                Some(true)
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off"
            | "OFF" => Some(false),
            _ => None,
        }
    }

    /// Returns the integer it stands for, if any: decimal, `0x`, `0b`, and octal as `0o17` or `017`.
    pub fn as_int(&self) -> Option<i64> {
        let plain = self.plain()?;
        if !plain.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '+')
        {
            return None;
        }
        let plain = plain.replace('_', "");
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let (radix, digits) = match digits.as_bytes() {
            [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
            [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
            [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
            [b'0', _, ..] => (8, &digits[1..]),
            _ => (10, digits),
        };
        // The parser below would take a second sign.
        if !digits.starts_with(|first: char| first.is_digit(radix)) {
            return None;
        }
        i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
    }

    /// Returns the number it stands for, if any; integers are numbers too.
    pub fn as_float(&self) -> Option<f64> {
        if let Some(int) = self.as_int() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a number past 2^53 is asked for as a float on purpose"
            )]
            return Some(int as f64);
        }
        let plain = self.plain()?;
        match plain {
            ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
            _ => {}
        }
        let plain = plain.replace('_', "");
        // The standard parser also takes `inf`, `nan` and `infinity`, which are words here.
        let is_number = plain
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if is_number { plain.parse().ok() } else { None }
    }

    /// Returns where the bytes `start..end` of the value were written.
    ///
    /// An escape, a doubled quote or a folded line break cannot be cut: a range that touches one
    /// covers all of it. Ranges past the end are pulled back.
    pub fn locate(&self, start: usize, end: usize) -> Span {
        let end = end.min(self.text.len());
        let range = self.trace.locate(start.min(end), end);
        Span::new(self.span.file, range.start, range.end)
    }

    /// Makes a null that nobody wrote.
    pub(super) fn nothing(span: Span) -> Self {
        let trace = Trace::copied_from(span.start);
        Self { text: String::new(), style: ScalarStyle::Plain, span, is_text: false, trace }
    }

    /// Returns how many bytes a copy takes besides the node itself.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.trace.size()
    }

    fn plain(&self) -> Option<&str> {
        (self.style == ScalarStyle::Plain && !self.is_text).then_some(self.text.as_str())
    }
}
