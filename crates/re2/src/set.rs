//! Many regexes, of which any may match.
//!
//! A file of bad user agents has six hundred patterns, and nearly no text matches one. So one scan
//! for the literals the patterns require finds the few worth trying; those without such literals
//! are joined into a few large regexes that are asked first.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Error;
use crate::literals::LiteralSet;
use crate::regex::{Cache, Regex};

/// The most patterns joined into one: a larger automaton has more states than its cache holds.
const MAX_JOINED: usize = 16;

/// Regexes in order, searched together.
///
/// ```
/// let set = re2::RegexSet::new(&[r"\bnikto\b", r"sqlmap/\d"])?;
/// let mut cache = re2::SetCache::new();
/// assert_eq!(set.is_match_any(&mut cache, "sqlmap/1.2"), Some(1));
/// assert_eq!(set.is_match_any(&mut cache, "Mozilla/5.0"), None);
/// # Ok::<(), re2::SetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RegexSet {
    regexes: Box<[Regex]>,
    literals: LiteralSet,
    /// The regex each literal belongs to.
    owners: Box<[u32]>,
    rest: Box<[Joined]>,
}

/// Regexes that require no literal, joined.
#[derive(Clone, Debug)]
struct Joined {
    members: Box<[u32]>,
    /// Matches if any member does.
    any: Regex,
}

/// The pattern of a set that cannot be used.
#[derive(Clone, Debug)]
pub struct SetError {
    /// Its index.
    pub index: usize,
    /// What is wrong with it.
    pub error: Error,
}

impl RegexSet {
    /// Compiles patterns.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Self, SetError> {
        let mut regexes = Vec::with_capacity(patterns.len());
        let mut literals: Vec<Box<str>> = Vec::new();
        let mut owners = Vec::new();
        let mut rest = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let regex = Regex::new(pattern.as_ref()).map_err(|error| SetError { index, error })?;
            let id = u32::try_from(index).unwrap_or(u32::MAX);
            match regex.required_folded() {
                Some(required) => {
                    owners.resize(owners.len() + required.len(), id);
                    literals.extend(required);
                }
                None => rest.push(id),
            }
            regexes.push(regex);
        }
        let rest = rest.chunks(MAX_JOINED).flat_map(|members| join(&regexes, members)).collect();
        Ok(Self {
            regexes: regexes.into(),
            literals: LiteralSet::new_folded(&literals),
            owners: owners.into(),
            rest,
        })
    }

    /// The number of patterns.
    pub fn len(&self) -> usize {
        self.regexes.len()
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.regexes.is_empty()
    }

    /// The index of the first pattern, in their order, that matches a text.
    pub fn is_match_any(&self, cache: &mut SetCache, text: &str) -> Option<usize> {
        cache.fit(self);
        let SetCache { candidates, members, joined, .. } = cache;
        candidates.clear();
        self.literals.for_each_match(text, |literal| {
            // A text may repeat a literal a million times.
            let owner = self.owners.get(literal).copied();
            candidates.extend(owner.filter(|owner| candidates.last() != Some(owner)));
            if 4 * self.regexes.len() < candidates.len() {
                candidates.sort_unstable();
                candidates.dedup();
            }
        });
        for (joined, cache) in self.rest.iter().zip(joined) {
            if joined.any.is_match(cache, text) {
                candidates.extend_from_slice(&joined.members);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.iter().map(|&id| id as usize).find(|&id| {
            match (self.regexes.get(id), members.get_mut(id)) {
                (Some(regex), Some(cache)) => regex.is_match(cache, text),
                _ => false,
            }
        })
    }
}

/// What one thread keeps between the searches of one set.
#[derive(Debug, Default)]
pub struct SetCache {
    members: Vec<Cache>,
    joined: Vec<Cache>,
    candidates: Vec<u32>,
}

impl SetCache {
    /// Makes an empty cache. It allocates at the first search.
    pub const fn new() -> Self {
        Self { members: Vec::new(), joined: Vec::new(), candidates: Vec::new() }
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        let caches = self.members.iter().chain(&self.joined);
        (self.members.capacity() + self.joined.capacity()) * size_of::<Cache>()
            + self.candidates.capacity() * size_of::<u32>()
            + caches.map(Cache::memory).sum::<usize>()
    }

    /// A cache for another set is fine too: each regex notices a cache that is not its own.
    fn fit(&mut self, set: &RegexSet) {
        self.members.resize_with(set.regexes.len(), Cache::new);
        self.joined.resize_with(set.rest.len(), Cache::new);
    }
}

impl core::fmt::Display for SetError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "pattern {}: {}", self.index, self.error)
    }
}

impl core::error::Error for SetError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Joins regexes into one, or into one each if that would be too large.
fn join(regexes: &[Regex], members: &[u32]) -> Vec<Joined> {
    let member = |&id: &u32| regexes.get(id as usize);
    let mut pattern = String::new();
    // `\Q` needs no end, and would swallow the parenthesis.
    let open_ended = members.iter().filter_map(member).any(|regex| regex.pattern().contains(r"\Q"));
    for regex in members.iter().filter_map(member) {
        // A line break ends nothing in RE2, so any pattern can stand between parentheses.
        if !pattern.is_empty() {
            pattern.push('|');
        }
        pattern.push_str("(?:");
        pattern.push_str(regex.pattern());
        pattern.push(')');
    }
    match Regex::new(&pattern) {
        Ok(any) if !open_ended => vec![Joined { members: members.into(), any }],
        _ => members
            .iter()
            .filter_map(|id| Some(Joined { members: [*id].into(), any: member(id)?.clone() }))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    /// Compares with asking one regex after the other.
    fn check(patterns: &[&str], texts: &[&str]) {
        let set = RegexSet::new(patterns).unwrap();
        let mut cache = SetCache::new();
        for text in texts {
            let expect = patterns
                .iter()
                .position(|pattern| Regex::new(pattern).unwrap().is_match(&mut Cache::new(), text));
            assert_eq!(set.is_match_any(&mut cache, text), expect, "{patterns:?} on {text:?}");
        }
    }

    #[test]
    fn the_first_in_order_wins() {
        let patterns = [
            r"\bnikto\b",
            "(?i)sqlmap",
            r"\d{3}",
            "[ab]",
            "^$",
            "sqlmap/1",
            "(?P<x>z+)",
            "(?P<x>q)",
        ];
        let texts = [
            "",
            "nikto",
            "Nikto",
            "SQLmap/1 nikto",
            "sqlmap/1",
            "sqlmap",
            "123",
            "b",
            "x",
            "zq",
            "q",
            "nikto123nikto",
            "é",
        ];
        check(&patterns, &texts);
        for n in 0..patterns.len() {
            check(&patterns[n..], &texts);
        }
    }

    #[test]
    fn patterns_keep_to_themselves_when_joined() {
        check(
            &[r"(?i)[ab]", "[cd]", r"\Qe|", "[f)]|g", "x{0,2}$h*"],
            &["A", "C", "e|", "g", "", "xx"],
        );
    }

    #[test]
    fn many_patterns() {
        let patterns: Vec<String> = (0..400).map(|i| format!(r"\bagent{i}\b")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        check(&patterns, &["agent399", "agent3999 agent7", "agen", "agent0 agent1", "AGENT1"]);
        let text = "agent399x ".repeat(1000);
        let set = RegexSet::new(&patterns).unwrap();
        assert_eq!(set.is_match_any(&mut SetCache::new(), &text), None);
    }

    #[test]
    fn names_the_pattern_that_is_wrong() {
        let error = RegexSet::new(&["a", "("]).unwrap_err();
        assert_eq!(error.index, 1);
        assert!(matches!(error.error, Error::Syntax(_)));
    }

    #[test]
    fn a_set_of_nothing() {
        let set = RegexSet::new::<&str>(&[]).unwrap();
        assert!(set.is_empty());
        assert_eq!(set.is_match_any(&mut SetCache::new(), "x"), None);
    }
}
