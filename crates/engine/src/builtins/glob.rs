//! The glob of `Match`: `*` is any run of bytes, `?` any one byte, everything else itself.
//!
//! It runs in time proportional to the lengths multiplied, where upstream's is exponential.

/// Returns whether a name matches a pattern as a whole.
///
/// COMPAT(crowdsec): two or more stars at the end of a pattern want at least one byte, because
/// upstream gives up on an empty rest unless the pattern's rest is a single star (spec 6.7).
pub fn glob_match(pattern: &str, name: &str) -> bool {
    let pattern = pattern.as_bytes();
    let n_stars = pattern.iter().rev().take_while(|byte| **byte == b'*').count();
    if n_stars < 2 {
        return matches(pattern, name.as_bytes());
    }
    let head = &pattern[..pattern.len() - n_stars];
    // `head` has to match something shorter than the name, as if the pattern ended in `?*`; since
    // it may hold stars itself, the shortest match decides.
    shortest_match(head, name.as_bytes()).is_some_and(|length| length < name.len())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(head) => shortest_match(head, name).is_some(),
        None => {
            // Without a star at the end the last piece is at the end of the name.
            let tail_len = pattern.iter().rev().take_while(|byte| **byte != b'*').count();
            let (head, tail) = pattern.split_at(pattern.len() - tail_len);
            let Some(start) = name.len().checked_sub(tail_len) else {
                return false;
            };
            let (before, end) = name.split_at(start);
            if !piece_is(tail, end) {
                return false;
            }
            match head.strip_suffix(b"*") {
                Some(head) => shortest_match(head, before).is_some(),
                None => before.is_empty(),
            }
        }
    }
}

/// Returns the length of the shortest beginning of the name that the pattern matches: the first
/// piece stands at the beginning, and each later one as early as it can.
fn shortest_match(pattern: &[u8], name: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (index, piece) in pattern.split(|byte| *byte == b'*').enumerate() {
        if index == 0 {
            if !piece_is(piece, name.get(..piece.len())?) {
                return None;
            }
            at = piece.len();
            continue;
        }
        if piece.is_empty() {
            continue;
        }
        at += name[at..].windows(piece.len()).position(|window| piece_is(piece, window))?;
        at += piece.len();
    }
    Some(at)
}

/// Compares a piece without stars with as many bytes.
fn piece_is(piece: &[u8], bytes: &[u8]) -> bool {
    piece.len() == bytes.len()
        && piece.iter().zip(bytes).all(|(wanted, byte)| *wanted == b'?' || wanted == byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Spec 6.7 word by word: recursive, and only fit for short texts.
    fn by_the_book(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], _) => name.is_empty(),
            (_, []) => pattern == b"*",
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|at| by_the_book(rest, &name[at..])),
            ([first, rest @ ..], [byte, name @ ..]) => {
                (*first == b'?' || first == byte) && by_the_book(rest, name)
            }
        }
    }

    #[test]
    fn matches_whole_names() {
        for (pattern, name, expect) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("**", "", false),
            ("**", "a", true),
            ("a**", "a", false),
            ("a**", "ab", true),
            ("*.log", "/var/log/x.log", true),
            ("/var/*/x", "/var/a/b/x", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("é", "é", true),
            ("?", "é", false),
            ("??", "é", true),
            ("*a*b", "xaxxab", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob_match(pattern, name), expect, "{pattern} {name}");
            assert_eq!(by_the_book(pattern.as_bytes(), name.as_bytes()), expect);
        }
    }

    #[test]
    fn many_stars_stay_fast() {
        assert!(!glob_match(&"*a".repeat(50), &"a".repeat(49)));
        assert!(!glob_match(&("*a".repeat(200) + "b"), &"a".repeat(10_000)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_book(pattern in "[ab?*]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                glob_match(&pattern, &name),
                by_the_book(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
