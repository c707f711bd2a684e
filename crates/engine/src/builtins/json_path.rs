//! Looking up one value in a JSON text without reading the rest of it.
//!
//! COMPAT(crowdsec): the document is not validated. What stands before the first bracket is
//! skipped, as is everything on the way that is not the wanted key, and strings come back as they
//! are written: without their quotes, with their backslashes (spec 6.7). Rules compare such texts,
//! so reading properly would change what they match.
//!
//! hot: rules ask a line many times. Nothing allocates but keys with escapes.

use super::json::{Json, string_length, unescape};
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};

/// Longer paths find nothing; each step may be one level of recursion.
const MAX_STEPS: usize = 64;

/// A path into a JSON document, such as `request.headers.Date[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// An element of an array. `None` is a `[…]` that is no index, which nothing matches.
    Index(Option<usize>),
}

/// A value that a path led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'t> {
    /// The value as written; of a string, what is between its quotes.
    pub text: &'t str,
    /// What kind of value it is.
    pub kind: Kind,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they are")]
pub enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

impl JsonPath {
    /// Reads a path as `JsonExtract` takes it: steps end at `.`, and `x[0]` means `x.[0]`.
    pub fn compile(path: &str) -> Self {
        if path.starts_with('[') {
            // COMPAT(crowdsec): such a path is taken as it is, so `[0][1]` is one bad step.
            return Self::from_steps(path.split('.'));
        }
        Self::from_steps(path.replace('[', ".[").split('.'))
    }

    /// Makes a path of steps, which may hold any character. A step in square brackets is an index.
    pub fn from_steps<'s>(steps: impl IntoIterator<Item = &'s str>) -> Self {
        let step = |step: &str| match step.strip_prefix('[') {
            Some(index) => Step::Index(index.strip_suffix(']').and_then(|n| n.parse().ok())),
            None => Step::Key(step.to_owned()),
        };
        Self { steps: steps.into_iter().map(step).collect() }
    }

    /// Finds the value in a document.
    pub fn find<'t>(&self, document: &'t str) -> Option<Found<'t>> {
        if self.steps.len() > MAX_STEPS {
            return None;
        }
        let at = locate(document.as_bytes(), &self.steps)?;
        let (start, end, kind) = value_at(document.as_bytes(), at)?;
        // Both ends stand next to ASCII bytes, so they cut no character.
        document.get(start..end).map(|text| Found { text, kind })
    }
}

/// Returns what `JsonExtract` gives: the value as text, or nothing.
pub fn json_extract<'t>(document: &'t str, path: &JsonPath) -> &'t str {
    path.find(document).map_or("", |found| found.text)
}

/// Returns what `JsonExtractUnescape` gives: the value if it is a string, with its escapes resolved.
pub fn json_extract_unescape(document: &str, path: &JsonPath) -> String {
    match path.find(document) {
        Some(Found { text, kind: Kind::Text }) => {
            unescape(text).map(|text| text.into_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Returns what `JsonExtractSlice` gives: the elements of an array, if there is a valid one.
pub fn json_extract_slice(document: &str, path: &JsonPath) -> Option<Vec<Json>> {
    let found = path.find(document).filter(|found| found.kind == Kind::List)?;
    match Json::parse(found.text) {
        Ok(Json::List(items)) => Some(items),
        _ => None,
    }
}

/// Returns what `JsonExtractObject` gives: the entries of an object, if there is a valid one.
pub fn json_extract_object(document: &str, path: &JsonPath) -> Option<BTreeMap<String, Json>> {
    let found = path.find(document).filter(|found| found.kind == Kind::Map)?;
    match Json::parse(found.text) {
        Ok(Json::Map(entries)) => Some(entries),
        _ => None,
    }
}

/// Where the search of one object ended.
enum Search {
    /// The value is here.
    Found(usize),
    /// The object ended before this byte.
    Ended(usize),
}

/// Returns where the value of a path begins. `None` also means that the text is too broken.
fn locate(bytes: &[u8], steps: &[Step]) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(0);
    };
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 2 + string_length(&bytes[at + 1..])?;
                if bytes[skip_blanks(bytes, at)..].first() == Some(&b':') {
                    return None;
                }
            }
            b'{' => match in_object(bytes, at + 1, steps)? {
                Search::Found(at) => return Some(at),
                Search::Ended(_) => return None,
            },
            b'[' => match step {
                Step::Index(index) => return in_array(bytes, at, (*index)?, rest),
                Step::Key(_) => at = skip_block(bytes, at)?,
            },
            b':' => return None,
            _ => at += 1,
        }
    }
}

/// Searches an object whose opening bracket is before `at`. When a key leads nowhere the search
/// goes on behind it, since keys may repeat.
fn in_object(bytes: &[u8], mut at: usize, steps: &[Step]) -> Option<Search> {
    let (step, rest) = steps.split_first()?;
    loop {
        match bytes.get(at)? {
            b'"' => {
                let start = at + 1;
                let end = start + string_length(&bytes[start..])?;
                at = skip_blanks(bytes, end + 1);
                if bytes.get(at)? != &b':' {
                    continue;
                }
                at += 1;
                if !key_is(&bytes[start..end], step)? {
                    // The value is passed over by the next turns of the loop.
                    continue;
                }
                let Some(next) = rest.first() else {
                    return Some(Search::Found(at));
                };
                at = skip_blanks(bytes, at);
                match (bytes.get(at)?, next) {
                    (b'{', _) => match in_object(bytes, at + 1, rest)? {
                        Search::Found(at) => return Some(Search::Found(at)),
                        Search::Ended(end) => at = end,
                    },
                    (b'[', Step::Index(index)) => {
                        return in_array(bytes, at, (*index)?, &rest[1..]).map(Search::Found);
                    }
                    _ => {}
                }
            }
            b'{' | b'[' => at = skip_block(bytes, at)?,
            b'}' => return Some(Search::Ended(at + 1)),
            b':' => return None,
            _ => at += 1,
        }
    }
}

/// Searches an array whose opening bracket is at `at`.
fn in_array(bytes: &[u8], at: usize, index: usize, rest: &[Step]) -> Option<usize> {
    let mut at = at + 1;
    for _ in 0..index {
        let (_, end, kind) = value_at(bytes, at)?;
        at = skip_blanks(bytes, end + usize::from(kind == Kind::Text));
        if bytes.get(at)? != &b',' {
            return None;
        }
        at += 1;
    }
    let (start, end, kind) = value_at(bytes, at)?;
    match (rest.is_empty(), kind) {
        (true, _) => Some(at),
        (false, Kind::Map | Kind::List) => Some(start + locate(&bytes[start..end], rest)?),
        (false, _) => None,
    }
}

/// Returns the range and the kind of the value at or after `at`; of a string, what is inside.
fn value_at(bytes: &[u8], at: usize) -> Option<(usize, usize, Kind)> {
    let start = skip_blanks(bytes, at);
    let rest = &bytes[start..];
    match rest.first()? {
        b'"' => {
            let length = string_length(&rest[1..])?;
            return Some((start + 1, start + 1 + length, Kind::Text));
        }
        b'{' => return Some((start, skip_block(bytes, start)?, Kind::Map)),
        b'[' => return Some((start, skip_block(bytes, start)?, Kind::List)),
        _ => {}
    }
    let ends = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']');
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let kind = match &rest[..length] {
        b"true" | b"false" => Kind::Bool,
        b"null" => Kind::Null,
        [b'-' | b'0'..=b'9', ..] => Kind::Number,
        _ => return None,
    };
    Some((start, start + length, kind))
}

/// Returns where the block ends whose opening bracket is at `at`. Only brackets of its own kind
/// count, so a block may hold any nonsense between them.
fn skip_block(bytes: &[u8], at: usize) -> Option<usize> {
    let open = *bytes.get(at)?;
    let close = if open == b'{' { b'}' } else { b']' };
    let (mut depth, mut at) = (0_usize, at);
    loop {
        at += memchr::memchr3(b'"', open, close, &bytes[at..])?;
        if bytes[at] == b'"' {
            at += 2 + string_length(&bytes[at + 1..])?;
            continue;
        }
        let closing = bytes[at] == close;
        at += 1;
        depth = if closing { depth - 1 } else { depth + 1 };
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Compares a key as written with a step. `None` means that the key has a bad escape, which ends
/// the search.
fn key_is(key: &[u8], step: &Step) -> Option<bool> {
    let Step::Key(wanted) = step else {
        return Some(false);
    };
    if !key.contains(&b'\\') {
        return Some(key == wanted.as_bytes());
    }
    let key = core::str::from_utf8(key).ok()?;
    Some(unescape(key)? == wanted.as_str())
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count()
}

#[cfg(test)]
mod tests;
