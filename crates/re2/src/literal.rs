//! Literals a match cannot do without, read off the HIR.
//!
//! They are what makes thousands of patterns cheap: one scan of a text for the literals of all of
//! them tells which can match at all. A set of literals is *required* if every match contains one
//! of them. Sizes are bounded at every step, so a hostile pattern costs no more than its length.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The most literals of a set.
const MAX_LITERALS: usize = 64;

/// The most characters of a class that count as literals rather than as "anything".
const MAX_CLASS: u32 = 4;

/// Longer literals are cut to about this: the rest would make scanners larger and find no more.
const MAX_LITERAL: usize = 32;

/// The most rounds of a repetition that are spelled out.
const MAX_ROUNDS: u32 = 8;

/// Shorter literals are everywhere, and so worth nothing.
const MIN_LITERAL: usize = 3;

/// Whether upper and lower case ASCII letters are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    /// Literals are in lower case and are to be looked for in any.
    Folded,
}

/// The best set of literals of which every match contains at least one.
pub(crate) fn required(hir: &Hir, case: Case) -> Option<Box<[Box<str>]>> {
    let set = minimal(extract(hir, case).candidate()?);
    let worth = shortest(&set) >= MIN_LITERAL && !set.is_empty();
    worth.then(|| set.into_iter().map(String::into_boxed_str).collect())
}

/// The literal every match starts with; empty if there is none.
pub(crate) fn prefix(hir: &Hir) -> String {
    let mut prefix = String::new();
    extend_prefix(hir, &mut prefix);
    cut(&mut prefix, 4 * MAX_LITERAL);
    prefix
}

/// Whether a match can only start where the text does.
pub(crate) fn is_anchored(hir: &Hir) -> bool {
    hir.properties().look_set_prefix().contains(Look::Start)
}

/// Appends the literal a part starts with; returns whether that is all of the part.
fn extend_prefix(hir: &Hir, prefix: &mut String) -> bool {
    match hir.kind() {
        // Look-arounds take no room: the literal still stands where the match starts.
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            let text = core::str::from_utf8(&literal.0).unwrap_or_default();
            prefix.push_str(text);
            text.len() == literal.0.len()
        }
        HirKind::Capture(capture) => extend_prefix(&capture.sub, prefix),
        HirKind::Concat(subs) => subs.iter().all(|sub| extend_prefix(sub, prefix)),
        HirKind::Repetition(repetition) => {
            if 0 < repetition.min {
                extend_prefix(&repetition.sub, prefix);
            }
            false
        }
        HirKind::Class(_) | HirKind::Alternation(_) => false,
    }
}

/// What is known of the matches of a part.
#[derive(Debug)]
enum Known {
    /// They are exactly these.
    Exactly(Vec<String>),
    /// Each contains one of these.
    Containing(Vec<String>),
    Nothing,
}

impl Known {
    /// A set of which every match contains one.
    fn candidate(self) -> Option<Vec<String>> {
        match self {
            Self::Exactly(set) | Self::Containing(set) => Some(set),
            Self::Nothing => None,
        }
    }

    fn containing(set: Option<Vec<String>>) -> Self {
        set.map_or(Self::Nothing, Self::Containing)
    }
}

fn extract(hir: &Hir, case: Case) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::Exactly(vec![String::new()]),
        HirKind::Literal(literal) => match core::str::from_utf8(&literal.0) {
            Ok(text) => Known::Exactly(vec![fold(text, case)]),
            Err(_) => Known::Nothing,
        },
        HirKind::Class(class) => extract_class(class, case),
        HirKind::Capture(capture) => extract(&capture.sub, case),
        HirKind::Repetition(repetition) => {
            let known = extract(&repetition.sub, case);
            match (repetition.min, repetition.max, known) {
                (1, Some(1), known) => known,
                (0, Some(1), Known::Exactly(mut set)) if set.len() < MAX_LITERALS => {
                    set.push(String::new());
                    Known::Exactly(set)
                }
                (0, ..) => Known::Nothing,
                (min, max, Known::Exactly(set)) => {
                    let mut run = Run::new();
                    run.repeat(&set, min, max);
                    run.finish()
                }
                (_, _, known) => Known::containing(known.candidate()),
            }
        }
        HirKind::Concat(subs) => {
            let mut run = Run::new();
            for sub in subs {
                match sub.kind() {
                    // Its rounds grow together with what stands next to them.
                    HirKind::Repetition(repetition) if 0 < repetition.min => {
                        match extract(&repetition.sub, case) {
                            Known::Exactly(set) => {
                                run.repeat(&set, repetition.min, repetition.max);
                            }
                            known => run.append(Known::containing(known.candidate())),
                        }
                    }
                    _ => run.append(extract(sub, case)),
                }
            }
            run.finish()
        }
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            let mut exactly = true;
            for sub in subs {
                let known = extract(sub, case);
                exactly &= matches!(known, Known::Exactly(_));
                let Some(set) = known.candidate() else { return Known::Nothing };
                all.extend(set);
                if !exactly {
                    all = minimal(all);
                }
                if MAX_LITERALS < all.len() {
                    return Known::Nothing;
                }
            }
            if exactly { Known::Exactly(all) } else { Known::Containing(all) }
        }
    }
}

fn extract_class(class: &Class, case: Case) -> Known {
    let mut set = Vec::new();
    let mut add = |c: char| {
        let text = fold(c.encode_utf8(&mut [0; 4]), case);
        if !set.contains(&text) {
            set.push(text);
        }
    };
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) => {
            class.iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
    };
    let n = |(start, end): (char, char)| u32::from(end).saturating_sub(start.into());
    let too_many = ranges.len() > MAX_CLASS as usize
        || ranges.iter().map(|&range| n(range) + 1).fold(0, u32::saturating_add) > MAX_CLASS;
    if too_many {
        return Known::Nothing;
    }
    for (start, end) in ranges {
        (start..=end).for_each(&mut add);
    }
    Known::Exactly(set)
}

fn fold(text: &str, case: Case) -> String {
    match case {
        Case::Exact => text.into(),
        Case::Folded => text.to_ascii_lowercase(),
    }
}

/// Reads a sequence of parts: neighbors that are exactly known grow together into longer literals.
struct Run {
    /// The parts since the last that was not exactly known.
    current: Vec<String>,
    /// The best candidate of what went before.
    best: Option<Vec<String>>,
    broken: bool,
}

impl Run {
    fn new() -> Self {
        Self { current: vec![String::new()], best: None, broken: false }
    }

    fn append(&mut self, part: Known) {
        match part {
            Known::Exactly(set) if self.current.len() * set.len() <= MAX_LITERALS => {
                if let [only] = set.as_slice() {
                    self.current.iter_mut().for_each(|text| text.push_str(only));
                } else {
                    let joined = self.current.iter().flat_map(|head| {
                        set.iter().map(move |tail| [head.as_str(), tail.as_str()].concat())
                    });
                    self.current = joined.collect();
                }
                // A chain of sets may be as long as the pattern; its middle is enough.
                if self.current.iter().any(|text| 8 * MAX_LITERAL < text.len())
                    && 1 < self.current.len()
                {
                    self.start_over(vec![String::new()]);
                }
            }
            Known::Exactly(set) => self.start_over(set),
            Known::Containing(set) => {
                self.start_over(vec![String::new()]);
                self.offer(set);
            }
            Known::Nothing => self.start_over(vec![String::new()]),
        }
    }

    /// Appends at least `min` and at most `max` rounds of one of a set.
    fn repeat(&mut self, set: &[String], min: u32, max: Option<u32>) {
        let rounds = min.min(MAX_ROUNDS);
        for _ in 0..rounds {
            self.append(Known::Exactly(set.to_vec()));
        }
        if Some(rounds) != max {
            self.start_over(set.to_vec());
        }
    }

    fn start_over(&mut self, set: Vec<String>) {
        let run = core::mem::replace(&mut self.current, set);
        self.offer(run);
        self.broken = true;
    }

    fn offer(&mut self, set: Vec<String>) {
        let set = minimal(set);
        if self.best.as_ref().is_none_or(|best| worth(best) < worth(&set)) {
            self.best = Some(set);
        }
    }

    fn finish(mut self) -> Known {
        if !self.broken {
            return Known::Exactly(self.current);
        }
        self.start_over(Vec::new());
        Known::containing(self.best)
    }
}

/// How much a set promises to rule out: the length of its shortest literal counts most.
fn worth(set: &[String]) -> usize {
    let shortest = shortest(set).min(12);
    if shortest < MIN_LITERAL {
        return shortest;
    }
    // A set has at most 64 literals, or 2^6.
    100 + shortest * 16 - (set.len().max(1).ilog2() as usize) * 12
}

fn shortest(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

/// Cuts literals to length and drops those that contain another.
fn minimal(mut set: Vec<String>) -> Vec<String> {
    set.iter_mut().for_each(|text| cut(text, MAX_LITERAL));
    set.sort_unstable_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut kept: Vec<String> = Vec::with_capacity(set.len());
    for text in set {
        if !kept.iter().any(|shorter| text.contains(shorter.as_str())) {
            kept.push(text);
        }
    }
    kept
}

fn cut(text: &mut String, len: usize) {
    if len < text.len() {
        text.truncate(text.floor_char_boundary(len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, exact: &[&str], folded: &[&str]) {
        let hir = crate::parse(pattern).unwrap();
        for (case, expect) in [(Case::Exact, exact), (Case::Folded, folded)] {
            let found = required(&hir, case).unwrap_or_default();
            let found: Vec<&str> = found.iter().map(|text| &**text).collect();
            assert_eq!(found, expect, "{pattern} {case:?}");
        }
    }

    fn both(pattern: &str, expect: &[&str]) {
        check(pattern, expect, expect);
    }

    #[test]
    fn the_longest_literal_of_a_sequence() {
        both(r"ab\d+cdef\w*g", &["cdef"]);
        both(r"user (?P<user>\w+) from (\d+)", &[" from "]);
        both(r"\bx(?:abc)+yz", &["abcyz"]);
        both(r"^\s*foo$", &["foo"]);
    }

    #[test]
    fn alternatives_need_one_each() {
        both(r"(?:authenticating|invalid) user \d", &["invalid user ", "authenticating user "]);
        both(r"abc|\d+def", &["abc", "def"]);
        both(r"abc|\d+", &[]);
        both(r"abc|xabcx", &["abc"]);
        both(r"port( \d+)?", &["port"]);
    }

    #[test]
    fn repetitions() {
        both("(?:ab){3}", &["ababab"]);
        both("(?:abc){2,}x", &["abcabc"]);
        both("(?:abc)*", &[]);
        both("(?:abc)?d", &[]);
        both("a{3,}", &["aaa"]);
    }

    #[test]
    fn letter_case() {
        check("Failed Password", &["Failed Password"], &["failed password"]);
        check("(?i)abc", &["ABC", "ABc", "AbC", "Abc", "aBC", "aBc", "abC", "abc"], &["abc"]);
        let hir = crate::parse("(?i)union").unwrap();
        assert_eq!(required(&hir, Case::Exact).map(|set| set.len()), Some(32));
        check("(?i)k", &[], &[]);
    }

    #[test]
    fn too_short_or_too_many() {
        both(r"\d::\d", &[]);
        both(r".*", &[]);
        both("", &[]);
        both("[a-j]{8}", &[]);
    }

    #[test]
    fn literals_are_cut() {
        let long = "é".repeat(40);
        both(&long, &[&long[..32]]);
    }

    #[test]
    fn prefixes() {
        for (pattern, expect) in [
            (r"abc\d", "abc"),
            (r"\b(?P<x>ab)c+d", "abc"),
            (r"a(?:bc)?", "a"),
            (r"a|b", ""),
            (r"(?i)ab", ""),
            (r"^ab", "ab"),
        ] {
            assert_eq!(prefix(&crate::parse(pattern).unwrap()), expect, "{pattern}");
        }
    }
}
