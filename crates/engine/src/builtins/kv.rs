//! Key-value text: `user=root msg="log \"in\"" tty=`.

use alloc::{borrow::Cow, string::String, vec::Vec};

/// A key and its value.
pub type Pair<'t, V> = (&'t str, V);

/// Finds the pairs `ParseKV` finds, in order; a later pair with the same key is meant to win.
///
/// A key is a run without blanks and `=`. A value in double quotes ends at the first quote without a
/// backslash before it and keeps its backslashes; another one ends at a blank or at `=`. No pair at
/// all is an error.
pub fn parse_kv(text: &str) -> Result<Vec<Pair<'_, &str>>, String> {
    let bytes = text.as_bytes();
    let mut pairs = Vec::new();
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'=', &bytes[at..]) {
        let equals = at + length;
        let n_key = bytes[at..equals].iter().rev().take_while(|byte| !is_blank(**byte)).count();
        let key = &text[equals - n_key..equals];
        at = equals + 1;
        if key.is_empty() {
            continue;
        }
        let value = match quoted(&text[at..]) {
            Some(value) => {
                at += value.len() + 2;
                value
            }
            None => {
                let value = text[at..].split(|c| c == '=' || is_blank_char(c)).next().unwrap_or("");
                at += value.len();
                value
            }
        };
        pairs.push((key, value));
    }
    if pairs.is_empty() { Err(nothing_found()) } else { Ok(pairs) }
}

/// Returns the inside of the double quotes that a text begins with, if they are closed. A backslash
/// at the end of a line protects nothing, since upstream's pattern lets no line end follow one.
fn quoted(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?;
    let bytes = inside.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(&inside[..at]);
        }
        if bytes.get(at + 1)? == &b'\n' {
            return None;
        }
        at += 2;
    }
}

/// Finds the pairs `ParseKVLax` finds, in order.
///
/// A key is a name of letters, digits and `_.-` right before a `=` that no quotes hold. Its value
/// goes on to the next key, so it may have blanks: `msg=login failed user=root`. Quotes around a
/// whole value are removed and the escapes in it resolved.
pub fn parse_kv_lax(text: &str) -> Result<Vec<Pair<'_, Cow<'_, str>>>, String> {
    let keys = lax_keys(text);
    if keys.is_empty() {
        return Err(nothing_found());
    }
    let pair = |(index, (start, equals)): (usize, &(usize, usize))| {
        let end = keys.get(index + 1).map_or(text.len(), |(next, _)| *next);
        (&text[*start..*equals], lax_value(text[equals + 1..end].trim()))
    };
    Ok(keys.iter().enumerate().map(pair).collect())
}

/// Returns where each key begins and where its `=` is.
fn lax_keys(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut keys = Vec::new();
    let mut at = 0;
    // Nothing but blanks has come since the last `=` of a key.
    let mut value_starts = false;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'"' && value_starts {
            // What a closed pair of quotes holds is never a key. An open one holds nothing.
            at += quoted_lax(&bytes[at + 1..]).map_or(1, |length| length + 2);
            value_starts = false;
            continue;
        }
        value_starts &= byte.is_ascii_whitespace();
        if !(byte.is_ascii_alphabetic() || byte == b'_') {
            at += 1;
            continue;
        }
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let start = at;
        let end = at + bytes[at..].iter().take_while(|byte| is_key(byte)).count();
        at = end;
        if bytes.get(end) == Some(&b'=') {
            keys.push((start, end));
            value_starts = true;
            at += 1;
        }
    }
    keys
}

/// Returns the length of what is between quotes, given the text behind the opening one.
fn quoted_lax(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn lax_value(value: &str) -> Cow<'_, str> {
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let Some(inside) = inside else {
        return Cow::Borrowed(value);
    };
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&next @ ('"' | '\\'))) => {
                out.push(next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The blanks of regular expressions, which are fewer than Unicode's.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0xc)
}

fn is_blank_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_blank)
}

fn nothing_found() -> String {
    String::from("the text holds no `key=value`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_found_anywhere() {
        let pairs = parse_kv(r#"Jan 1 host: user=root msg="log \"in\" =x" tty= a=b=c k==v é=ü"#);
        let expect = [
            ("user", "root"),
            ("msg", r#"log \"in\" =x"#),
            ("tty", ""),
            ("a", "b"),
            ("k", ""),
            ("é", "ü"),
        ];
        assert_eq!(pairs.unwrap(), expect);
    }

    #[test]
    fn open_quotes_are_part_of_the_value() {
        assert_eq!(parse_kv(r#"a="b c=d"#).unwrap(), [("a", "\"b"), ("c", "d")]);
        assert_eq!(parse_kv(r#"a="" b="x"c="y""#).unwrap(), [("a", ""), ("b", "x"), ("c", "y")]);
        assert_eq!(parse_kv("a=\"b\\\nc\" d=e").unwrap(), [("a", "\"b\\"), ("d", "e")]);
    }

    #[test]
    fn text_without_pairs_is_an_error() {
        for text in ["", "a b", "=", "= b", " =b"] {
            assert!(parse_kv(text).is_err(), "{text}");
            assert!(parse_kv_lax(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lax_values_may_have_blanks() {
        let pairs = parse_kv_lax(r#"1: msg=login failed  user.name=root q="a=b \"c\" \\ \n" e="#);
        let expect =
            [("msg", "login failed"), ("user.name", "root"), ("q", r#"a=b "c" \ \n"#), ("e", "")];
        let pairs = pairs.unwrap();
        assert_eq!(pairs.iter().map(|(k, v)| (*k, v.as_ref())).collect::<Vec<_>>(), expect);
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"([a-z= "\\\né]{0,3}){0,12}"#) {
            let _ = (parse_kv(&text).is_ok(), parse_kv_lax(&text).is_ok());
        }

        #[test]
        fn never_panics_on_anything(text: String) {
            let _ = (parse_kv(&text).is_ok(), parse_kv_lax(&text).is_ok());
        }
    }
}
