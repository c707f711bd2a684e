//! Strings as Go's `strings` package handles them, where Rust's own methods differ or could grow
//! without bound.
//!
//! Offsets are in bytes, as in Go. What Rust does alike (`contains`, `find`, `trim_matches`, …) is
//! still here when a helper has that name, so that the list of helpers can be checked off.

use alloc::{format, string::String, vec::Vec};

/// No helper makes a text longer than this, however small its inputs.
pub const MAX_TEXT: usize = 16 << 20;

/// Returns the text in upper case. Characters that would become several stay as they are: Go maps
/// one to one, so `ß` has no upper case.
pub fn upper(text: &str) -> String {
    map_case(text, str::to_ascii_uppercase, |c| only(c.to_uppercase()))
}

/// Returns the text in lower case, one character for each; see [`upper`].
pub fn lower(text: &str) -> String {
    map_case(text, str::to_ascii_lowercase, |c| match c {
        // The one character with a longer lower case; Go drops the dot.
        '\u{130}' => Some('i'),
        c => only(c.to_lowercase()),
    })
}

fn map_case(
    text: &str,
    ascii: impl Fn(&str) -> String,
    one: impl Fn(char) -> Option<char>,
) -> String {
    if text.is_ascii() {
        return ascii(text);
    }
    text.chars().map(|c| one(c).unwrap_or(c)).collect()
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_some() { None } else { first }
}

/// Returns the words between blanks.
pub fn fields(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// Returns the byte offset of the first `needle`.
pub fn index(text: &str, needle: &str) -> Option<usize> {
    text.find(needle)
}

/// Returns the byte offset of the last `needle`.
pub fn last_index(text: &str, needle: &str) -> Option<usize> {
    text.rfind(needle)
}

/// Returns the byte offset of the first character that is one of `chars`.
pub fn index_any(text: &str, chars: &str) -> Option<usize> {
    text.find(|c| chars.contains(c))
}

/// Where [`split`] cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The separator is dropped.
    Around,
    /// The separator stays at the end of its piece.
    After,
}

/// Splits a text at a separator into at most `limit` pieces: all of them if it is negative, none if
/// it is zero. The last piece holds what is left. An empty separator splits between characters.
pub fn split<'t>(text: &'t str, separator: &str, limit: i64, cut: Cut) -> Vec<&'t str> {
    if limit == 0 {
        return Vec::new();
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    let mut rest = text;
    while pieces.len() + 1 < limit {
        let (end, next) = if separator.is_empty() {
            let Some(first) = rest.chars().next() else {
                return pieces;
            };
            if first.len_utf8() == rest.len() {
                break;
            }
            (first.len_utf8(), first.len_utf8())
        } else {
            let Some(at) = rest.find(separator) else {
                break;
            };
            (at, at + separator.len())
        };
        pieces.push(&rest[..if cut == Cut::After { next } else { end }]);
        rest = &rest[next..];
    }
    // Splitting nothing between characters gives nothing.
    if !(separator.is_empty() && rest.is_empty()) {
        pieces.push(rest);
    }
    pieces
}

/// Joins texts with a separator.
pub fn join<S: AsRef<str>>(items: &[S], separator: &str) -> Result<String, String> {
    let mut length = separator.len().saturating_mul(items.len().saturating_sub(1));
    for item in items {
        length = length.saturating_add(item.as_ref().len());
    }
    check_length(length)?;
    let mut out = String::with_capacity(length);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(item.as_ref());
    }
    Ok(out)
}

/// Replaces the first `limit` occurrences of `old`, or all of them if it is negative. An empty `old`
/// occurs before every character and at the end.
pub fn replace(text: &str, old: &str, new: &str, limit: i64) -> Result<String, String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if new.len() > old.len() {
        let count = text.matches(old).take(limit).count();
        check_length(text.len().saturating_add(count.saturating_mul(new.len() - old.len())))?;
    }
    Ok(text.replacen(old, new, limit))
}

/// Repeats a text.
pub fn repeat(text: &str, count: i64) -> Result<String, String> {
    let count = usize::try_from(count).map_err(|_| "cannot repeat a negative number of times")?;
    check_length(text.len().saturating_mul(count))?;
    Ok(text.repeat(count))
}

fn check_length(length: usize) -> Result<(), String> {
    if length > MAX_TEXT {
        return Err(format!("the result would be longer than {MAX_TEXT} bytes"));
    }
    Ok(())
}

/// Strips characters of a set from both ends.
pub fn trim<'t>(text: &'t str, set: &str) -> &'t str {
    text.trim_matches(|c| set.contains(c))
}

/// Strips characters of a set from the beginning.
pub fn trim_left<'t>(text: &'t str, set: &str) -> &'t str {
    text.trim_start_matches(|c| set.contains(c))
}

/// Strips characters of a set from the end.
pub fn trim_right<'t>(text: &'t str, set: &str) -> &'t str {
    text.trim_end_matches(|c| set.contains(c))
}

/// Strips Unicode blanks from both ends.
pub fn trim_space(text: &str) -> &str {
    text.trim()
}

/// Strips a prefix, once, if it is there.
pub fn trim_prefix<'t>(text: &'t str, prefix: &str) -> &'t str {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// Strips a suffix, once, if it is there.
pub fn trim_suffix<'t>(text: &'t str, suffix: &str) -> &'t str {
    text.strip_suffix(suffix).unwrap_or(text)
}

/// Returns the last element of a path, as `basename` in hub tests does.
pub fn basename(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return "/";
    }
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns bytes as text; what is not UTF-8 becomes U+FFFD, because texts here are UTF-8.
pub fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_maps_one_to_one() {
        assert_eq!(upper("GeT /ß é ŉ"), "GET /ß É ŉ");
        assert_eq!(lower("ÀΣ İ"), "àσ i");
        assert_eq!(upper("abc"), "ABC");
    }

    #[test]
    fn splits_like_go() {
        let around = |text, separator, limit| split(text, separator, limit, Cut::Around);
        assert_eq!(around("a,b,c", ",", -1), ["a", "b", "c"]);
        assert_eq!(around("a,b,c", ",", 2), ["a", "b,c"]);
        assert_eq!(around("a,b,c", ",", 1), ["a,b,c"]);
        assert!(around("a,b,c", ",", 0).is_empty());
        assert_eq!(around("", ",", -1), [""]);
        assert!(around("", "", -1).is_empty());
        assert_eq!(around("aé", "", -1), ["a", "é"]);
        assert_eq!(around("abc", "", 2), ["a", "bc"]);
        assert_eq!(around(",a,", ",", -1), ["", "a", ""]);
        assert_eq!(split("a,b,", ",", -1, Cut::After), ["a,", "b,", ""]);
        assert_eq!(split("a,b,c", ",", 2, Cut::After), ["a,", "b,c"]);
    }

    #[test]
    fn replaces_like_go() {
        assert_eq!(replace("aXbXc", "X", "--", -1).as_deref(), Ok("a--b--c"));
        assert_eq!(replace("aXbXc", "X", "", 1).as_deref(), Ok("abXc"));
        assert_eq!(replace("ab", "", "-", -1).as_deref(), Ok("-a-b-"));
        assert_eq!(replace("ab", "", "-", 2).as_deref(), Ok("-a-b"));
        assert_eq!(replace("ab", "b", "x", 0).as_deref(), Ok("ab"));
    }

    #[test]
    fn results_are_bounded() {
        let long = "a".repeat(100_000);
        assert!(replace(&long, "a", &long, -1).is_err());
        assert!(repeat("ab", i64::MAX).is_err());
        assert!(repeat("ab", -1).is_err());
        assert_eq!(repeat("ab", 2).as_deref(), Ok("abab"));
        assert_eq!(repeat("", i64::MAX).as_deref(), Ok(""));
        assert!(join(&[long.as_str(); 1000], "").is_err());
        assert_eq!(join(&["a", "b"], ", ").as_deref(), Ok("a, b"));
        assert_eq!(join::<&str>(&[], ", ").as_deref(), Ok(""));
    }

    #[test]
    fn finds_by_bytes() {
        assert_eq!(index("éa", "a"), Some(2));
        assert_eq!(last_index("aba", "a"), Some(2));
        assert_eq!(index_any("golang", "gy"), Some(0));
        assert_eq!(index_any("golang", ""), None);
        assert_eq!(fields("  a\u{a0}b \t"), ["a", "b"]);
    }

    #[test]
    fn trims_sets_and_affixes() {
        assert_eq!(trim("xxhixy", "xy"), "hi");
        assert_eq!(trim_left("xxhix", "x"), "hix");
        assert_eq!(trim_right("xhixx", "x"), "xhi");
        assert_eq!(trim("x", ""), "x");
        assert_eq!(trim_space("\u{85} a\n"), "a");
        assert_eq!(trim_prefix("aab", "a"), "ab");
        assert_eq!(trim_suffix("baa", "b"), "baa");
        assert_eq!(basename("/var/log/x.log"), "x.log");
        assert_eq!(basename("/var/log/"), "log");
        assert_eq!(basename("//"), "/");
        assert_eq!(basename(""), ".");
    }

    proptest! {
        #[test]
        fn pieces_join_to_the_whole(text in "[a,é]{0,12}", separator in "[a,é]{0,2}") {
            let pieces = split(&text, &separator, -1, Cut::Around);
            prop_assert_eq!(join(&pieces, &separator), Ok(text.clone()));
            prop_assert_eq!(split(&text, &separator, -1, Cut::After).concat(), text);
        }
    }
}
