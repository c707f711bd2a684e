//! A set of literals looked for all at once.
//!
//! Behind it stands the fastest scanner the literals allow: [`Grams`] if each is of three bytes or
//! more, else an automaton, dense or sparse. All give the same answers.

use alloc::vec::Vec;

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, MatchKind, dfa, nfa::contiguous};

use crate::grams::Grams;

/// Tables up to this size are worth their memory: a dense one is twice as fast as a sparse one.
const MAX_DENSE: usize = 4 << 20;

/// Many literals, found in one pass over a text whatever their number.
///
/// ```
/// let literals = re2::LiteralSet::new(&["fail", "Failed password", "password"]);
/// let mut found = vec![];
/// literals.for_each_match("Failed password for root", |id| found.push(id));
/// assert_eq!(found, [1, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct LiteralSet {
    scanner: Scanner,
    n_literals: usize,
}

#[derive(Clone, Debug)]
enum Scanner {
    /// No literals.
    Empty,
    Grams(Grams),
    Dense(dfa::DFA),
    Sparse(contiguous::NFA),
}

impl LiteralSet {
    /// Makes a set that tells upper from lower case.
    pub fn new<L: AsRef<str>>(literals: &[L]) -> Self {
        Self::build(literals, false)
    }

    /// Makes a set that takes upper and lower case ASCII letters for the same.
    pub fn new_folded<L: AsRef<str>>(literals: &[L]) -> Self {
        Self::build(literals, true)
    }

    /// The number of literals.
    pub const fn len(&self) -> usize {
        self.n_literals
    }

    /// Whether there are no literals.
    pub const fn is_empty(&self) -> bool {
        self.n_literals == 0
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        match &self.scanner {
            Scanner::Empty => 0,
            Scanner::Grams(grams) => grams.memory(),
            Scanner::Dense(dfa) => dfa.memory_usage(),
            Scanner::Sparse(nfa) => nfa.memory_usage(),
        }
    }

    /// Whether any of the literals occurs in a text.
    pub fn contains_any(&self, text: &str) -> bool {
        match &self.scanner {
            Scanner::Empty => false,
            Scanner::Grams(grams) => {
                let mut hit = false;
                grams.scan(text.as_bytes(), |_| {
                    hit = true;
                    false
                });
                hit
            }
            Scanner::Dense(dfa) => contains(dfa, text.as_bytes()),
            Scanner::Sparse(nfa) => contains(nfa, text.as_bytes()),
        }
    }

    /// Calls `found` with the index of each literal for each of its occurrences in a text, also
    /// overlapping ones, in no particular order.
    pub fn for_each_match(&self, text: &str, found: impl FnMut(usize)) {
        match &self.scanner {
            Scanner::Empty => {}
            Scanner::Grams(grams) => {
                let mut found = found;
                grams.scan(text.as_bytes(), |id| {
                    found(id);
                    true
                });
            }
            Scanner::Dense(dfa) => scan(dfa, text.as_bytes(), found),
            Scanner::Sparse(nfa) => scan(nfa, text.as_bytes(), found),
        }
    }

    fn build<L: AsRef<str>>(literals: &[L], folded: bool) -> Self {
        let literals: Vec<&[u8]> = literals.iter().map(|text| text.as_ref().as_bytes()).collect();
        let scanner = if literals.is_empty() {
            Scanner::Empty
        } else if let Some(grams) = Grams::new(&literals, folded) {
            Scanner::Grams(grams)
        } else if let Some(dense) = dense(&literals, folded) {
            Scanner::Dense(dense)
        } else {
            sparse(&literals, folded).map_or(Scanner::Empty, Scanner::Sparse)
        };
        Self { scanner, n_literals: literals.len() }
    }
}

/// `None` beyond two billion states, which no memory holds anyway.
fn sparse(literals: &[&[u8]], folded: bool) -> Option<contiguous::NFA> {
    contiguous::NFA::builder()
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(folded)
        .build(literals)
        .ok()
}

fn dense(literals: &[&[u8]], folded: bool) -> Option<dfa::DFA> {
    // A guess from above: a state per byte, an edge for each byte value in use.
    let mut used = [false; 256];
    let mut n_bytes = 1_usize;
    for literal in literals {
        n_bytes = n_bytes.saturating_add(literal.len());
        for &byte in *literal {
            used[usize::from(byte)] = true;
        }
    }
    let n_used = used.iter().filter(|&&used| used).count() + 1;
    if MAX_DENSE < n_bytes.saturating_mul(n_used.next_power_of_two()).saturating_mul(4) {
        return None;
    }
    dfa::DFA::builder()
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(folded)
        .build(literals)
        .ok()
}

fn contains(automaton: &impl Automaton, text: &[u8]) -> bool {
    let mut hit = false;
    walk(automaton, text, |_, _| {
        hit = true;
        false
    });
    hit
}

fn scan(automaton: &impl Automaton, text: &[u8], mut found: impl FnMut(usize)) {
    walk(automaton, text, |automaton, state| {
        for i in 0..automaton.match_len(state) {
            found(automaton.match_pattern(state, i).as_usize());
        }
        true
    });
}

/// Calls `arrive` with each state that has matches, for as long as it returns true.
///
/// hot: examples/bench.rs
#[inline(always)]
fn walk<A: Automaton>(
    automaton: &A,
    text: &[u8],
    mut arrive: impl FnMut(&A, aho_corasick::automaton::StateID) -> bool,
) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
    if automaton.is_match(state) && !arrive(automaton, state) {
        return;
    }
    for &byte in text {
        state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_special(state) && automaton.is_match(state) && !arrive(automaton, state) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    fn found(literals: &LiteralSet, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        literals.for_each_match(text, |id| found.push(id));
        found.sort_unstable();
        found
    }

    /// Compares with looking for one literal after the other.
    fn check(literals: &[&str], text: &str) {
        let mut expect = Vec::new();
        for (id, literal) in literals.iter().enumerate() {
            let n =
                (0..text.len()).filter(|&at| text.as_bytes()[at..].starts_with(literal.as_bytes()));
            expect.extend(n.map(|_| id));
        }
        let set = LiteralSet::new(literals);
        assert_eq!(found(&set, text), expect, "{literals:?} in {text:?}");
        assert_eq!(set.contains_any(text), !expect.is_empty(), "{literals:?} in {text:?}");
        let upper: Vec<String> =
            literals.iter().map(|literal| literal.to_ascii_uppercase()).collect();
        let folded = LiteralSet::new_folded(&upper);
        let lower: Vec<String> =
            literals.iter().map(|literal| literal.to_ascii_lowercase()).collect();
        if lower == literals && text.to_ascii_lowercase() == text {
            assert_eq!(found(&folded, text), expect, "{upper:?} in {text:?}");
        }
    }

    #[test]
    fn reports_overlapping_literals() {
        check(&["ab", "abc", "b", "bcd", "x"], "abcd abc b");
        check(&["abc", "abcd", "bcd", "cde"], "abcde ababcd");
        check(&["aaa", "aaaa"], "aaaaaaa");
    }

    #[test]
    fn literals_of_any_length_at_any_place() {
        let text = "0123456789abcdefghijklmnopqrstuvwxyz";
        for shortest in 1..9 {
            for start in 0..text.len() - shortest {
                let rest = &text[start..];
                check(&[&rest[..shortest], &rest[..rest.len().min(12)], "789ABCDEFGH"], text);
            }
        }
    }

    #[test]
    fn folds_ascii_letters_only() {
        for literals in [["ab", "É"], ["abcd", "ÉÉÉ"], ["[abc]", "{def}"]] {
            let set = LiteralSet::new_folded(&literals);
            assert_eq!(found(&set, literals[0]), [0]);
            assert_eq!(found(&set, &literals[0].to_ascii_uppercase()), [0]);
            assert_eq!(
                found(&set, &literals[1].to_lowercase()).len(),
                usize::from(literals[1].is_ascii())
            );
        }
        assert_eq!(found(&LiteralSet::new_folded(&["[abc]"]), "{ABC}"), []);
    }

    #[test]
    fn no_literals() {
        let set = LiteralSet::new::<&str>(&[]);
        assert!(set.is_empty());
        assert!(!set.contains_any("x"));
        assert_eq!(found(&set, "x"), []);
    }

    #[test]
    fn each_scanner_gets_its_sets() {
        let grams = LiteralSet::new(&["abc", "defg"]);
        assert!(matches!(grams.scanner, Scanner::Grams(_)));
        let short = LiteralSet::new(&["abc", "de"]);
        assert!(matches!(short.scanner, Scanner::Dense(_)));
        let mut literals: Vec<String> =
            (0..30_000).map(|i| format!("literal number {i}!")).collect();
        literals.push("x".into());
        let large = LiteralSet::new(&literals);
        assert!(matches!(large.scanner, Scanner::Sparse(_)));
        assert_eq!(found(&large, "a literal number 12345!"), [12345]);
        // Too many literals with one gram.
        let alike: Vec<String> = (0..100).map(|i| format!("aaaaa{}", "a".repeat(i))).collect();
        let set = LiteralSet::new(&alike);
        assert!(matches!(set.scanner, Scanner::Dense(_)));
        assert_eq!(found(&set, "aaaaaaa").len(), 6);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn agrees_with_the_plain_way(
            literals in prop::collection::vec("[abAé]{1,9}", 1..12),
            longer in prop::collection::vec("[abc]{3,9}", 1..12),
            text in "[abcAé]{0,40}",
        ) {
            check(&literals.iter().map(String::as_str).collect::<Vec<_>>(), &text);
            check(&longer.iter().map(String::as_str).collect::<Vec<_>>(), &text);
        }
    }
}
