//! A set of literals looked for all at once.

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, MatchKind, dfa, nfa::contiguous};

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
            Scanner::Dense(dfa) => dfa.memory_usage(),
            Scanner::Sparse(nfa) => nfa.memory_usage(),
        }
    }

    /// Whether any of the literals occurs in a text.
    pub fn contains_any(&self, text: &str) -> bool {
        match &self.scanner {
            Scanner::Empty => false,
            Scanner::Dense(dfa) => contains(dfa, text.as_bytes()),
            Scanner::Sparse(nfa) => contains(nfa, text.as_bytes()),
        }
    }

    /// Calls `found` with the index of each literal for each of its occurrences in a text, also
    /// overlapping ones, ordered by where they end.
    pub fn for_each_match(&self, text: &str, found: impl FnMut(usize)) {
        match &self.scanner {
            Scanner::Empty => {}
            Scanner::Dense(dfa) => scan(dfa, text.as_bytes(), found),
            Scanner::Sparse(nfa) => scan(nfa, text.as_bytes(), found),
        }
    }

    fn build<L: AsRef<str>>(literals: &[L], folded: bool) -> Self {
        let n_literals = literals.len();
        // The builders fail only beyond two billion states.
        let scanner = match contiguous::NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(folded)
            .build(literals.iter().map(AsRef::as_ref).map(str::as_bytes))
        {
            _ if literals.is_empty() => Scanner::Empty,
            Err(_) => Scanner::Empty,
            Ok(sparse) => dense(literals, folded).map_or(Scanner::Sparse(sparse), Scanner::Dense),
        };
        Self { scanner, n_literals }
    }
}

fn dense<L: AsRef<str>>(literals: &[L], folded: bool) -> Option<dfa::DFA> {
    // A guess from above: a state per byte, an edge for each byte value in use.
    let mut used = [false; 256];
    let mut n_bytes = 1_usize;
    for literal in literals {
        n_bytes = n_bytes.saturating_add(literal.as_ref().len());
        for &byte in literal.as_ref().as_bytes() {
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
        .build(literals.iter().map(AsRef::as_ref).map(str::as_bytes))
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
    use alloc::vec::Vec;

    use super::*;

    fn found(literals: &LiteralSet, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        literals.for_each_match(text, |id| found.push(id));
        found
    }

    #[test]
    fn reports_overlapping_literals() {
        let set = LiteralSet::new(&["ab", "abc", "b", "bcd", "x"]);
        assert_eq!(found(&set, "abcd"), [0, 2, 1, 3]);
        assert!(set.contains_any("aab"));
        assert!(!set.contains_any("ac"));
        assert_eq!(found(&set, "AB"), []);
    }

    #[test]
    fn folds_ascii_letters() {
        let set = LiteralSet::new_folded(&["ab", "É"]);
        assert_eq!(found(&set, "AbÉé"), [0, 1]);
    }

    #[test]
    fn no_literals() {
        let set = LiteralSet::new::<&str>(&[]);
        assert!(set.is_empty());
        assert!(!set.contains_any("x"));
        assert_eq!(found(&set, "x"), []);
    }

    #[test]
    fn large_sets_stay_sparse() {
        let literals: Vec<String> = (0..30_000).map(|i| format!("literal number {i}!")).collect();
        let set = LiteralSet::new(&literals);
        assert!(matches!(set.scanner, Scanner::Sparse(_)));
        assert_eq!(found(&set, "a literal number 12345!"), [12345]);
    }
}
