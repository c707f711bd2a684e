//! How near a pattern came: the longest part of it, from its start, that matches.
//!
//! A pattern is cut at its top level into pieces (characters, groups, classes, references), each
//! with its repetition. Where one run of pieces matches, every shorter one does, so the longest is
//! found by bisection. The answer is what the author would have found by deleting the end of the
//! pattern again and again.

mod pieces;

use pieces::{Branch, Piece, branches};
use re2::{Cache, Regex};
use rules::grok::Registry;
use serde::Serialize;
use std::collections::HashMap;

/// Longest excerpts of patterns and texts, in characters.
const EXCERPT: usize = 48;

/// How deep names of patterns are looked up to find something to cut.
const MAX_NAMES: usize = 8;

/// Compiled parts that are kept; past this all are dropped and made anew (I5).
const MAX_KEPT: usize = 512;

/// Fewer characters than these, found anywhere, say nothing.
const TELLING: usize = 4;

/// How near a pattern came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Near {
    /// The part that matches, as it is written; empty when nothing does.
    pub(super) matched: String,
    /// What comes next in the pattern.
    pub(super) expected: String,
    /// Where that was looked for, in characters from one.
    pub(super) column: usize,
    /// What stands there instead.
    pub(super) found: String,
}

/// Finds out how near patterns came.
#[derive(Debug, Default)]
pub(super) struct Nearness {
    compiled: HashMap<String, Option<Regex>>,
}

impl Nearness {
    /// How near `pattern`, which does not match `input`, came to it.
    pub(super) fn nearest(&mut self, pattern: &str, registry: &Registry, input: &str) -> Near {
        let pattern = opened(pattern, registry);
        let (flags, branches) = branches(&pattern);
        // Of equals the last would win, and should be the first.
        let best = branches
            .iter()
            .rev()
            .map(|branch| self.of_branch(flags, branch, registry, input))
            .max_by_key(|(score, _)| *score);
        best.map(|(_, near)| near).unwrap_or_default()
    }

    /// How near one alternative came, and how much of it that is.
    fn of_branch(
        &mut self,
        flags: &str,
        branch: &Branch<'_>,
        registry: &Registry,
        input: &str,
    ) -> (usize, Near) {
        let pieces = &branch.pieces;
        let mut end_of = |n: usize| self.end_of_match(flags, branch.first(n), registry, input);
        // INVARIANT: the first `low` pieces match; the first `high` do not, as far as is known.
        let (mut low, mut high) = (0, pieces.len());
        let mut end = 0;
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            match end_of(middle) {
                Some(matched) => (low, end) = (middle, matched),
                None => high = middle,
            }
        }
        if !is_telling(&pieces[..low]) {
            (low, end) = (0, 0);
        }
        let matched = branch.first(low);
        let near = Near {
            matched: matched.to_owned(),
            expected: excerpt(branch.next(low)),
            column: input[..end].chars().count() + 1,
            found: excerpt(&input[end..]),
        };
        (matched.len(), near)
    }

    /// Where the leftmost match of a part of a pattern ends; `None` when there is none.
    fn end_of_match(
        &mut self,
        flags: &str,
        part: &str,
        registry: &Registry,
        input: &str,
    ) -> Option<usize> {
        if self.compiled.len() >= MAX_KEPT {
            self.compiled.clear();
        }
        let compiled = self.compiled.entry(format!("{flags}{part}")).or_insert_with_key(|part| {
            let expanded = registry.expand_part(part).ok()?;
            Regex::new(&expanded.regex).ok()
        });
        let (_, end) = compiled.as_ref()?.find(&mut Cache::new(), input)?;
        Some(end)
    }
}

/// Whether that these pieces were found says anything: anchored ones do, and so do references and
/// words; a letter or two are found everywhere.
fn is_telling(pieces: &[Piece<'_>]) -> bool {
    let is_anchored = pieces.len() > 1 && pieces[0].text == "^";
    is_anchored || pieces.len() >= TELLING || pieces.iter().any(|piece| piece.is_reference())
}

/// The pattern a lone reference stands for, anchored or not, so that there is something to cut.
fn opened(pattern: &str, registry: &Registry) -> String {
    let start = if pattern.starts_with('^') { "^" } else { "" };
    let end = if pattern.ends_with('$') && pattern.len() > 1 { "$" } else { "" };
    let mut body = &pattern[start.len()..pattern.len() - end.len()];
    for _ in 0..MAX_NAMES {
        let inner = body.strip_prefix("%{").and_then(|rest| rest.strip_suffix('}'));
        let Some(inner) = inner.filter(|inner| !inner.contains(['{', '}'])) else { break };
        let name = inner.split(':').next().unwrap_or(inner);
        let Some(definition) = registry.definition(name) else { break };
        // An anchor binds tighter than an alternative.
        if start.len() + end.len() > 0 && branches(definition).1.len() > 1 {
            break;
        }
        body = definition;
    }
    format!("{start}{body}{end}")
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, input: &str, expect: (&str, &str, usize, &str)) {
        let near = Nearness::default().nearest(pattern, &Registry::base(), input);
        let found =
            (near.matched.as_str(), near.expected.as_str(), near.column, near.found.as_str());
        assert_eq!(found, expect, "{pattern} on {input}");
    }

    #[test]
    fn the_longest_part_that_matches_is_shown() {
        check(
            "Failed password for %{USERNAME:user} from %{IP:ip} port %{INT:port}",
            "Failed password for root from unknown-host port 22",
            ("Failed password for %{USERNAME:user} from ", "%{IP:ip}", 31, "unknown-host port 22"),
        );
        check(
            "^Failed %{WORD:what} for invalid user %{USER:user}$",
            "Failed password for root",
            ("^Failed %{WORD:what} for ", "invalid user ", 21, "root"),
        );
    }

    #[test]
    fn alternatives_are_tried_one_by_one() {
        check(
            "(?i)accepted %{WORD:a}!|failed %{WORD:b}!",
            "FAILED password",
            ("failed %{WORD:b}", "!", 16, ""),
        );
    }

    #[test]
    fn what_is_found_everywhere_is_nothing() {
        check("abc %{IP:ip}", "xxabxx", ("", "abc ", 1, "xxabxx"));
        check("^abc", "xabc", ("", "^abc", 1, "xabc"));
    }

    #[test]
    fn names_are_opened() {
        check("%{HOSTPORT:x}", "host", ("%{IPORHOST}", ":", 5, ""));
        check("^%{HOSTPORT:x}$", "a:b", ("^%{IPORHOST}:", "%{POSINT}", 3, "b"));
        check("^%{IP:x}$", "host", ("", "^%{IP:x}", 1, "host"));
    }

    #[test]
    fn odd_patterns_and_texts_do_no_harm() {
        for pattern in
            ["", "|", "(", "[", "\\", "%{", "%{}", "a{", "((((", "%{NONE}x", "[^]", "\\Q"]
        {
            for input in ["", "é", "\u{0}"] {
                Nearness::default().nearest(pattern, &Registry::base(), input);
            }
        }
    }
}
