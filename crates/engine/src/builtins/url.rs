//! Percent-encoding, query strings and base64.
//!
//! Decoding gives bytes that need not be text; they become text with U+FFFD in place of what is not
//! UTF-8, because texts here are UTF-8.

use super::text::lossy;
use alloc::{
    borrow::{Cow, ToOwned},
    collections::BTreeMap,
    string::String,
    vec::Vec,
};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use core::net::Ipv6Addr;

/// The parameters of a query, each with its values in order.
pub type Query = BTreeMap<String, Vec<String>>;

/// Which rules of encoding apply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    PathSegment,
    Query,
    Host,
}

/// Encodes one segment of a path.
pub fn path_escape(text: &str) -> String {
    escape(text, Part::PathSegment)
}

/// Encodes a component of a query; a blank becomes `+`.
pub fn query_escape(text: &str) -> String {
    escape(text, Part::Query)
}

/// Decodes a path. A malformed `%` anywhere gives the text back as it is.
pub fn path_unescape(text: &str) -> Cow<'_, str> {
    unescape(text, Part::PathSegment).unwrap_or(Cow::Borrowed(text))
}

/// Decodes a component of a query, `+` being a blank. A malformed `%` anywhere gives the text back
/// as it is.
pub fn query_unescape(text: &str) -> Cow<'_, str> {
    unescape(text, Part::Query).unwrap_or(Cow::Borrowed(text))
}

/// Returns the parameters in the query of a URL.
///
/// COMPAT(crowdsec): strict. A URL that Go cannot parse, a `;` between parameters and a bad `%` are
/// errors; the helper then gives an empty map.
pub fn parse_uri(uri: &str) -> Result<Query, String> {
    let mut query = Query::new();
    for piece in query_of(uri)?.split('&').filter(|piece| !piece.is_empty()) {
        if piece.contains(';') {
            return Err("the query has a semicolon as a separator".to_owned());
        }
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        let decode = |text| unescape(text, Part::Query).map(Cow::into_owned);
        let (Some(key), Some(value)) = (decode(key), decode(value)) else {
            return Err("the query has a malformed escape".to_owned());
        };
        query.entry(key).or_default().push(value);
    }
    Ok(query)
}

/// Returns the parameters of a bare query string. Never fails: a bad `%` stays as it is.
pub fn parse_query(query: &str) -> Query {
    let mut parsed = Query::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        parsed.entry(unescape_leniently(key)).or_default().push(unescape_leniently(value));
    }
    parsed
}

/// Returns the values of one parameter after the first `?`, read as by [`parse_query`].
pub fn extract_query_param(uri: &str, name: &str) -> Vec<String> {
    let Some((_, query)) = uri.split_once('?') else {
        return Vec::new();
    };
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    pairs
        .filter(|(key, _)| {
            *key == name && !key.contains(['%', '+']) || unescape_leniently(key) == name
        })
        .map(|(_, value)| unescape_leniently(value))
        .collect()
}

/// Encodes bytes in base64.
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64 with padding. As in Go, line ends are ignored and the bits that padding leaves
/// over may be anything.
pub fn base64_decode(text: &str) -> Result<Vec<u8>, String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let joined;
    let text = if text.contains(['\r', '\n']) {
        joined = text.replace(['\r', '\n'], "");
        &joined
    } else {
        text
    };
    LENIENT.decode(text).map_err(|_| "the text is not base64".to_owned())
}

/// Returns what `B64Decode` gives: the decoded bytes as text.
pub fn b64_decode(text: &str) -> Result<String, String> {
    base64_decode(text).map(lossy)
}

fn escape(text: &str, part: Part) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte == b' ' && part == Part::Query {
            out.push('+');
        } else if is_plain(byte, part) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
    out
}

/// Returns whether a byte stands for itself in a part of a URL.
fn is_plain(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
        b'$' | b'&' | b'+' | b'=' | b':' => part != Part::Query,
        b'@' => part == Part::PathSegment,
        b'!' | b'\'' | b'(' | b')' | b'*' | b',' | b';' | b'[' | b']' | b'<' | b'>' | b'"' => {
            part == Part::Host
        }
        _ => false,
    }
}

/// Decodes percent escapes, and `+` in a query. `None` if an escape is malformed.
fn unescape(text: &str, part: Part) -> Option<Cow<'_, str>> {
    let plus = part == Part::Query;
    if !text.bytes().any(|byte| byte == b'%' || (byte == b'+' && plus)) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                out.push(escaped_byte(after)?);
                rest = &after[2..];
            }
            b'+' if plus => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Some(Cow::Owned(lossy(out)))
}

/// Decodes as for a query; what is no escape stands for itself.
fn unescape_leniently(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escaped_byte(after)) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = &after[2..];
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    lossy(out)
}

/// Reads the two digits that follow a `%`.
fn escaped_byte(after: &[u8]) -> Option<u8> {
    let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Returns the query of a URL, after the checks that Go's `url.Parse` makes of the rest.
fn query_of(uri: &str) -> Result<&str, String> {
    let wrong = |what: &str| Err(what.to_owned());
    let (uri, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    if uri.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return wrong("the URL has a control character");
    }
    if unescape(fragment, Part::PathSegment).is_none() {
        return wrong("the fragment has a malformed escape");
    }
    let (has_scheme, rest) = match scheme_length(uri) {
        Some(0) => return wrong("the URL lacks a scheme before its colon"),
        Some(length) => (true, &uri[length + 1..]),
        None => (false, uri),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') {
        // With a scheme this is an opaque URL such as `mailto:a@b`, and nothing more is checked.
        if has_scheme {
            return Ok(query);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return wrong("the first segment of the path has a colon");
        }
    }
    let authority_may_come = has_scheme || !rest.starts_with("///");
    let path = match rest.strip_prefix("//").filter(|_| authority_may_come) {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_authority(authority) {
                return wrong("the URL has no valid host");
            }
            path
        }
        None => rest,
    };
    if unescape(path, Part::PathSegment).is_none() {
        return wrong("the path has a malformed escape");
    }
    Ok(query)
}

/// Returns the length of a URL's scheme; 0 if a colon comes first, `None` if there is no scheme.
fn scheme_length(uri: &str) -> Option<usize> {
    for (at, byte) in uri.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' => return Some(at),
            _ => return None,
        }
    }
    None
}

/// Checks `user:password@host:port`.
fn is_authority(authority: &str) -> bool {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let in_user = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(in_user) || unescape(user, Part::PathSegment).is_none() {
        return false;
    }
    let is_port = |port: &str| {
        port.is_empty()
            || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some(inside) = host.strip_prefix('[') {
        let Some((address, port)) = inside.rsplit_once(']') else {
            return false;
        };
        let address = address.split("%25").next().unwrap_or(address);
        return is_port(port) && address.parse::<Ipv6Addr>().is_ok();
    }
    let port = host.rfind(':').map_or("", |at| &host[at..]);
    is_port(port) && is_host(host)
}

/// Checks a host name: escapes may only stand for bytes that are not ASCII.
fn is_host(host: &str) -> bool {
    let mut rest = host.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            match escaped_byte(after) {
                Some(0x80..) => rest = &after[2..],
                _ => return false,
            }
        } else if byte.is_ascii() && !is_plain(byte, Part::Host) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn query(pairs: &[(&str, &[&str])]) -> Query {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        pairs.iter().map(|(key, list)| ((*key).to_owned(), values(list))).collect()
    }

    #[test]
    fn each_part_has_its_own_set() {
        let all = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~é";
        assert_eq!(
            path_escape(all),
            "%20%21%22%23$%25&%27%28%29%2A+%2C-.%2F:%3B%3C=%3E%3F@%5B%5C%5D%5E_%60%7B%7C%7D~%C3%A9"
        );
        assert_eq!(
            query_escape(all),
            "+%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C\
             %7D~%C3%A9"
        );
    }

    #[test]
    fn decoding_is_all_or_nothing() {
        assert_eq!(path_unescape("%2e%2E/a+b%20c"), "../a+b c");
        assert_eq!(query_unescape("a+b%20c"), "a b c");
        for text in ["%", "%2", "%zz%20", "a+b%"] {
            assert_eq!(path_unescape(text), text);
            assert_eq!(query_unescape(text), text);
        }
        assert_eq!(path_unescape("%C3%A9%ff"), "é\u{fffd}");
    }

    #[test]
    fn uris_are_read_strictly() {
        let check =
            |uri: &str, expect: Option<Query>| assert_eq!(parse_uri(uri).ok(), expect, "{uri}");
        check("/foo?a=1&b=2&a=3", Some(query(&[("a", &["1", "3"]), ("b", &["2"])])));
        check("/foo?a&=x&&b=%20+", Some(query(&[("", &["x"]), ("a", &[""]), ("b", &["  "])])));
        check("https://u:p@example.com:8080/x?a=1#f", Some(query(&[("a", &["1"])])));
        check("http://[2001:db8::1]:80/?a=1", Some(query(&[("a", &["1"])])));
        check("mailto:a@b?a=1", Some(query(&[("a", &["1"])])));
        check("///x?a=1", Some(query(&[("a", &["1"])])));
        check("", Some(Query::new()));
        for uri in [
            "/foo?a=1;b=2",
            "/foo?a=%",
            "/%zz?a=1",
            ":x",
            "a b:c?a=1",
            "1a:b?a=1",
            "/a\u{7f}",
            "/a#%",
            "http://a b/?a=1",
            "http://a:x/?a=1",
            "http://[::1/?a=1",
            "http://a%20b/",
        ] {
            check(uri, None);
        }
    }

    #[test]
    fn queries_are_read_leniently() {
        let expect = query(&[("", &["z"]), ("a", &["%zz 1", ""]), ("b;c", &["2"])]);
        assert_eq!(parse_query("a=%zz+1&&b;c=2&a&=z"), expect);
        assert_eq!(parse_query("%61=%25"), query(&[("a", &["%"])]));
        assert_eq!(parse_query(""), Query::new());
    }

    #[test]
    fn one_parameter_can_be_asked_for() {
        let uri = "/foo?a=1&b=2&%61=3?x&a+=4";
        assert_eq!(extract_query_param(uri, "a"), vec!["1", "3?x"]);
        assert_eq!(extract_query_param(uri, "a "), vec!["4"]);
        assert!(extract_query_param(uri, "c").is_empty());
        assert!(extract_query_param("/foo", "a").is_empty());
    }

    #[test]
    fn base64_wants_padding() {
        assert_eq!(b64_decode("Zm9v\r\nYg==").as_deref(), Ok("foob"));
        assert_eq!(b64_decode("Zh==").as_deref(), Ok("f"));
        assert_eq!(b64_decode("").as_deref(), Ok(""));
        for text in ["Zg", "Zg=", "Z===", "Zm9v=", "Zm 9v", "Zm9_"] {
            assert!(b64_decode(text).is_err(), "{text}");
        }
        assert_eq!(base64_encode(b"foob"), "Zm9vYg==");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text: String) {
            let (path, query) = (path_escape(&text), query_escape(&text));
            prop_assert_eq!(path_unescape(&path), text.as_str());
            prop_assert_eq!(query_unescape(&query), text.as_str());
        }

        #[test]
        fn one_parameter_is_one_of_all(query in "[ab%6&=+]{0,16}") {
            let uri = alloc::format!("?{query}");
            let all = parse_query(&query);
            prop_assert_eq!(extract_query_param(&uri, "a"), all.get("a").cloned().unwrap_or_default());
        }

        #[test]
        fn never_panics(text: String, uri in "([a-z]{0,2}[:/?#@%\\[\\]é]{0,2}){0,8}") {
            let _ = (parse_uri(&text).is_ok(), parse_uri(&uri).is_ok(), b64_decode(&text).is_ok());
        }
    }
}
