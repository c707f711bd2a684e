//! Cuts a pattern into the pieces of its top level.
//!
//! Only as much of the syntax is known as finding the ends of pieces takes. A pattern that was cut
//! in the wrong place gives parts that do not compile, which count as parts that do not match.

/// One alternative of a pattern.
#[derive(Debug)]
pub(super) struct Branch<'a> {
    /// Its pieces in order; they are neighbors and make up the whole.
    pub(super) pieces: Vec<Piece<'a>>,
    text: &'a str,
}

/// A piece with its repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// As it is written.
    pub(super) text: &'a str,
    is_plain: bool,
}

impl Piece<'_> {
    /// Whether it refers to a registered pattern.
    pub(super) fn is_reference(&self) -> bool {
        self.text.starts_with("%{")
    }
}

impl<'a> Branch<'a> {
    /// The first `n` pieces as they are written.
    pub(super) fn first(&self, n: usize) -> &'a str {
        let len: usize = self.pieces.iter().take(n).map(|piece| piece.text.len()).sum();
        &self.text[..len]
    }

    /// What follows the first `n` pieces: a piece, or a run of plain characters.
    pub(super) fn next(&self, n: usize) -> &'a str {
        let start = self.first(n).len();
        let rest = &self.pieces[n.min(self.pieces.len())..];
        // An anchor alone says little about what was expected.
        let lead = usize::from(rest.first().is_some_and(|piece| piece.text == "^"));
        let plain = rest[lead..].iter().take_while(|piece| piece.is_plain).count();
        let n_shown = lead + plain.max(1);
        let len: usize = rest.iter().take(n_shown).map(|piece| piece.text.len()).sum();
        &self.text[start..start + len]
    }
}

/// The flags a pattern begins with, and its alternatives.
pub(super) fn branches(pattern: &str) -> (&str, Vec<Branch<'_>>) {
    let flags = leading_flags(pattern);
    let body = &pattern[flags.len()..];
    let mut branches = Vec::new();
    let mut start = 0;
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < body.len() {
        if body.as_bytes()[at] == b'|' {
            branches.push(Branch { pieces: std::mem::take(&mut pieces), text: &body[start..at] });
            at += 1;
            start = at;
            continue;
        }
        let end = repetition_end(body, atom_end(body, at));
        let text = &body[at..end];
        let is_plain = is_plain(text);
        pieces.push(Piece { text, is_plain });
        at = end;
    }
    branches.push(Branch { pieces, text: &body[start..] });
    (flags, branches)
}

/// `(?i)` and the like at the start.
fn leading_flags(pattern: &str) -> &str {
    let Some(rest) = pattern.strip_prefix("(?") else { return "" };
    let len = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(rest.len());
    if rest[len..].starts_with(')') { &pattern[..2 + len + 1] } else { "" }
}

fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some(c), None, _) => !matches!(c, '.' | '^' | '$' | '[' | '(' | ')' | '*' | '+' | '?'),
        (Some('\\'), Some(c), None) => !c.is_alphanumeric(),
        _ => false,
    }
}

/// Where the atom that starts at `at` ends.
fn atom_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return text.len() };
    let len = match first {
        '\\' => escape_len(rest),
        '[' => class_len(rest),
        '(' => group_len(rest),
        '%' => reference_len(rest).unwrap_or(1),
        other => other.len_utf8(),
    };
    at + len
}

fn escape_len(text: &str) -> usize {
    let rest = &text[1..];
    let Some(second) = rest.chars().next() else { return 1 };
    let simple = 1 + second.len_utf8();
    match second {
        'Q' => rest.find("\\E").map_or(text.len(), |end| 1 + end + 2),
        'p' | 'P' | 'x' if rest[1..].starts_with('{') => {
            rest.find('}').map_or(simple, |end| 1 + end + 1)
        }
        _ => simple,
    }
}

fn class_len(text: &str) -> usize {
    let mut at = 1;
    if text[at..].starts_with('^') {
        at += 1;
    }
    // A bracket that comes first is one of the characters.
    if text[at..].starts_with(']') {
        at += 1;
    }
    while let Some(next) = text[at..].chars().next() {
        match next {
            ']' => return at + 1,
            '\\' => at += escape_len(&text[at..]),
            '[' if text[at..].starts_with("[:") => {
                at += text[at..].find(":]").map_or(1, |end| end + 2);
            }
            other => at += other.len_utf8(),
        }
    }
    text.len()
}

/// Groups are matched without recursion: patterns come from files.
fn group_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        match next {
            '(' => {
                depth += 1;
                at += 1;
            }
            ')' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            '\\' => at += escape_len(&text[at..]),
            '[' => at += class_len(&text[at..]),
            other => at += other.len_utf8(),
        }
    }
    text.len()
}

fn reference_len(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("%{")?;
    let end = inner.find('}')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    inner[..end].chars().all(is_name).then_some(2 + end + 1)
}

/// Where the repetition after an atom ends.
fn repetition_end(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let len = match rest.bytes().next() {
            Some(b'*' | b'+' | b'?') => 1,
            Some(b'{') => {
                let count = |c: char| c.is_ascii_digit() || c == ',';
                let end = rest.find('}').filter(|end| rest[1..*end].starts_with(count));
                match end.filter(|end| rest[1..*end].chars().all(count)) {
                    Some(end) => end + 1,
                    None => return at,
                }
            }
            _ => return at,
        };
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expect: &[&[&str]]) {
        let (flags, branches) = branches(pattern);
        let found: Vec<Vec<&str>> = branches
            .iter()
            .map(|branch| branch.pieces.iter().map(|piece| piece.text).collect())
            .collect();
        assert_eq!(found, expect, "{pattern} after {flags:?}");
    }

    #[test]
    fn pieces_keep_what_belongs_together() {
        check("^a\\.b+?", &[&["^", "a", "\\.", "b+?"]]);
        check("%{IP:ip}?x", &[&["%{IP:ip}?", "x"]]);
        check(
            "[^]|a]|(b|(?:c|\\)))*d{2,3}e{",
            &[&["[^]|a]"], &["(b|(?:c|\\)))*", "d{2,3}", "e", "{"]],
        );
        check("(?i)a|b", &[&["a"], &["b"]]);
        check(
            "[[:alpha:]]\\p{Greek}\\Qa|b\\Ec",
            &[&["[[:alpha:]]", "\\p{Greek}", "\\Qa|b\\E", "c"]],
        );
        check("%{a.b}é", &[&["%", "{", "a", ".", "b", "}", "é"]]);
    }

    #[test]
    fn what_follows_is_a_word_or_a_piece() {
        let (_, branches) = branches("^ab%{IP}c");
        assert_eq!(branches[0].next(0), "^ab");
        assert_eq!(branches[0].next(2), "b");
        assert_eq!(branches[0].next(3), "%{IP}");
        assert_eq!(branches[0].next(5), "");
        assert_eq!(branches[0].first(3), "^ab");
    }
}
