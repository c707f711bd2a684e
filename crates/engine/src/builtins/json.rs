//! JSON as a tree: a strict reader and two writers, with Go's spellings.
//!
//! Numbers are floats when read, as in Go. Object keys are kept sorted, which is also the order in
//! which Go writes them (I2). For looking up one value in a document see [`super::json_path`].
//!
//! INVARIANT: a tree that was read is at most [`MAX_DEPTH`] deep and has at most [`MAX_NODES`]
//! values, whatever the document; writers refuse deeper trees, so nothing here overflows the stack.

use super::number::{FloatStyle, format_float};
use alloc::{
    borrow::{Cow, ToOwned},
    collections::BTreeMap,
    format,
    string::String,
    vec::Vec,
};

/// The deepest nesting read or written.
pub const MAX_DEPTH: usize = 200;
/// The most values read from one document.
pub const MAX_NODES: usize = 1_000_000;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// A boolean
    Bool(bool),
    /// An integer; only written, never read
    Int(i64),
    /// A number
    Number(f64),
    /// A string
    Text(String),
    /// An array
    List(Vec<Self>),
    /// An object; of equal keys the last one counts
    Map(BTreeMap<String, Self>),
}

impl Json {
    /// Reads a document, which must be valid and complete.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0, n_nodes: 0 };
        let value = reader.value(0)?;
        reader.skip_blanks();
        if reader.at < text.len() { Err(reader.unexpected()) } else { Ok(value) }
    }

    /// Returns the value in one line, without blanks, and safe to embed in HTML.
    ///
    /// Fails for infinities, NaN and trees deeper than [`MAX_DEPTH`].
    pub fn to_compact(&self) -> Result<String, String> {
        let mut out = String::new();
        self.write(&mut out, None, 0)?;
        Ok(out)
    }

    /// Returns the value over many lines, indented by `indent` for each level, else as
    /// [`Self::to_compact`] does.
    pub fn to_indented(&self, indent: &str) -> Result<String, String> {
        let mut out = String::new();
        self.write(&mut out, Some(indent), 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut String, indent: Option<&str>, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("values nest deeper than {MAX_DEPTH}"));
        }
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(&format!("{value}")),
            Self::Number(value) => out.push_str(&number_text(*value)?),
            Self::Text(text) => write_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    separate(index, depth + 1, indent, out);
                    item.write(out, indent, depth + 1)?;
                }
                if !items.is_empty() {
                    new_line(depth, indent, out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    separate(index, depth + 1, indent, out);
                    write_string(key, out);
                    out.push_str(if indent.is_some() { ": " } else { ":" });
                    value.write(out, indent, depth + 1)?;
                }
                if !entries.is_empty() {
                    new_line(depth, indent, out);
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

fn separate(index: usize, depth: usize, indent: Option<&str>, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    new_line(depth, indent, out);
}

fn new_line(depth: usize, indent: Option<&str>, out: &mut String) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend((0..depth).map(|_| indent));
    }
}

/// Returns a float as Go's JSON has it: an exponent only for the very large and the very small.
fn number_text(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Err(format!("{value} cannot be written as JSON"));
    }
    let size = libm::fabs(value);
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return Ok(format_float(value, FloatStyle::Fixed, None));
    }
    let text = format_float(value, FloatStyle::Exponent, None);
    // `1e-07` loses the zero, `1e+21` keeps its plus.
    Ok(text.replace("e-0", "e-"))
}

/// Appends a string in quotes, with everything escaped that is special to JSON, HTML or JavaScript.
pub(super) fn write_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let short = match c {
            '"' | '\\' => c,
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 'u',
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        out.push('\\');
        out.push(short);
        if short == 'u' {
            for shift in [12, 8, 4, 0] {
                out.push(char::from(HEX[(u32::from(c) >> shift & 0xf) as usize]));
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// A place in a document.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    n_nodes: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Json, String> {
        self.n_nodes += 1;
        if depth > MAX_DEPTH {
            return Err(format!("JSON nests deeper than {MAX_DEPTH}"));
        }
        if self.n_nodes > MAX_NODES {
            return Err(format!("JSON has more than {MAX_NODES} values"));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [
                    ("true", Json::Bool(true)),
                    ("false", Json::Bool(false)),
                    ("null", Json::Null),
                ];
                for (word, value) in words {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.unexpected())
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.eat(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_blanks();
            if self.eat(b']') {
                return Ok(Json::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut entries = BTreeMap::new();
        self.skip_blanks();
        if self.eat(b'}') {
            return Ok(Json::Map(entries));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?.into_owned();
            self.skip_blanks();
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
            self.skip_blanks();
            if self.eat(b'}') {
                return Ok(Json::Map(entries));
            }
            self.expect(b',')?;
        }
    }

    /// Reads a string; the reader stands on its opening quote.
    fn string(&mut self) -> Result<Cow<'t, str>, String> {
        let start = self.at + 1;
        let Some(length) = string_length(&self.text.as_bytes()[start..]) else {
            return Err("JSON ends inside a string".to_owned());
        };
        let inner = &self.text[start..start + length];
        if inner.bytes().any(|byte| byte < b' ') {
            return Err("JSON has a control character inside a string".to_owned());
        }
        self.at = start + length + 1;
        unescape(inner).ok_or_else(|| "JSON has an unknown escape inside a string".to_owned())
    }

    fn number(&mut self) -> Result<Json, String> {
        let bytes = &self.text.as_bytes()[self.at..];
        let digits = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = usize::from(bytes[0] == b'-');
        // No leading zeros.
        let n_whole = if bytes.get(length) == Some(&b'0') { 1 } else { digits(length) };
        length += n_whole;
        let mut valid = n_whole > 0;
        if bytes.get(length) == Some(&b'.') {
            let n_digits = digits(length + 1);
            valid &= n_digits > 0;
            length += 1 + n_digits;
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            length += 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let n_digits = digits(length);
            valid &= n_digits > 0;
            length += n_digits;
        }
        let text = &self.text[self.at..self.at + length];
        let number = text.parse::<f64>().ok().filter(|number| valid && number.is_finite());
        let number = number.ok_or_else(|| format!("{text} is not a JSON number that fits"))?;
        self.at += length;
        Ok(Json::Number(number))
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        match self.text[self.at..].chars().next() {
            Some(c) => format!("JSON has an unexpected {c:?} at byte {}", self.at),
            None => "JSON ends too early".to_owned(),
        }
    }
}

/// Returns the length of a string's inside, given the text behind its opening quote.
pub(super) fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        // An escape takes the next byte along, which is all that matters for finding the end.
        at += 2;
        if at > bytes.len() {
            return None;
        }
    }
}

/// Resolves the escapes of a string's inside. Halves of surrogate pairs become U+FFFD.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else {
        return Some(Cow::Borrowed(text));
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let escape = *rest.as_bytes().first()?;
        if escape != b'u' {
            out.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                _ => return None,
            });
            rest = &rest[1..];
            continue;
        }
        let unit = hex4(rest.get(1..5)?)?;
        rest = &rest[5..];
        let low = rest.strip_prefix("\\u").and_then(|after| hex4(after.get(..4)?));
        if let (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) = (unit, low) {
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &rest[6..];
        } else {
            out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn hex4(digits: &str) -> Option<u32> {
    digits.bytes().try_fold(0, |value, byte| Some(value * 16 + char::from(byte).to_digit(16)?))
}

#[cfg(test)]
mod tests;
