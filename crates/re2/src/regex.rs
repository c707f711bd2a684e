//! A compiled regex and the per-thread state of its searches.
//!
//! A [`Regex`] is small: it holds the pattern and the literals that rule texts out. The automaton
//! is compiled into a [`Cache`] at its first search, so the hundreds of patterns of a rule
//! collection that never meet a text of theirs cost neither time nor memory. `Regex::new` makes
//! sure beforehand that this cannot fail.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use memchr::memmem::Finder;
use regex_syntax::hir::{Capture, Hir, HirKind};

use crate::dfa::{Dfa, MAX_TEXT};
use crate::error::Error;
use crate::literal::{self, Case};
use crate::program::{self, Program};

/// Bytes the tables of a cache may take unless said otherwise.
const DEFAULT_LIMIT: usize = 1 << 21;

/// A regex in RE2 syntax.
///
/// Searches are unanchored and leftmost-first, as Perl's. They take time linear in the text, and
/// amortized a few nanoseconds per byte. Cloning is cheap.
///
/// ```
/// let regex = re2::Regex::with_groups(r"(?P<user>\w+) from (?P<ip>[\d.]+)", &["ip", "user"])?;
/// let mut cache = re2::Cache::new();
/// let mut groups = [None; 2];
/// assert!(regex.captures(&mut cache, "root from 192.0.2.7", &mut groups));
/// assert_eq!(groups, [Some((10, 19)), Some((0, 4))]);
/// # Ok::<(), re2::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Regex {
    source: Arc<Source>,
}

/// All a search needs but the automaton.
#[derive(Debug)]
struct Source {
    pattern: Box<str>,
    groups: Box<[Box<str>]>,
    anchored: bool,
    /// What every match starts with, if that is long enough to be worth looking for.
    prefix: Option<Finder<'static>>,
    /// What every match contains, if that is a single literal other than the prefix.
    inner: Option<Finder<'static>>,
    /// The prefix of an anchored regex.
    start: Box<str>,
    required: Option<Box<[Box<str>]>>,
}

impl Regex {
    /// Compiles a pattern without captures.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Self::with_groups(pattern, &[])
    }

    /// Compiles a pattern to capture the groups of these names; all others only group.
    pub fn with_groups(pattern: &str, groups: &[&str]) -> Result<Self, Error> {
        let hir = crate::parse(pattern).map_err(Error::Syntax)?;
        program::check(&hir)?;
        let mut names = Vec::new();
        collect_names(&hir, &mut names);
        for (i, &group) in groups.iter().enumerate() {
            if !names.contains(&group) || groups.iter().take(i).any(|&other| other == group) {
                return Err(Error::Group(group.into()));
            }
        }

        let anchored = literal::is_anchored(&hir);
        let start = literal::prefix(&hir);
        let required = literal::required(&hir, Case::Exact);
        let owned = |text: &str| Finder::new(text).into_owned();
        let prefix = (!anchored && 2 <= start.len()).then(|| owned(&start));
        // The prefix is looked for anyway, and an anchored search stops by itself if it is missing.
        let inner = match required.as_deref() {
            Some([only]) if !start.contains(&**only) && 3 <= only.len() => Some(owned(only)),
            _ => None,
        };
        let start = if anchored { start } else { String::new() };
        Ok(Self {
            source: Arc::new(Source {
                pattern: pattern.into(),
                groups: groups.iter().map(|&group| group.into()).collect(),
                anchored,
                prefix,
                inner,
                start: start.into(),
                required,
            }),
        })
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.source.pattern
    }

    /// The names of the captured groups, in the order of the slots of [`Regex::captures`].
    pub fn groups(&self) -> &[Box<str>] {
        &self.source.groups
    }

    /// Literals of which every match contains at least one, if that is known: at most 64, each of
    /// three bytes or more, none part of another.
    pub fn required(&self) -> Option<&[Box<str>]> {
        self.source.required.as_deref()
    }

    /// As [`Regex::required`], but in lower case and to be looked for with upper and lower case
    /// ASCII letters taken for the same. Patterns that ignore case have few of these where they
    /// have many of the others, or none. They are worked out at each call.
    pub fn required_folded(&self) -> Option<Box<[Box<str>]>> {
        literal::required(&crate::parse(self.pattern()).ok()?, Case::Folded)
    }

    /// What a text must start with to match; empty if it may start with anything.
    pub fn literal_prefix(&self) -> &str {
        &self.source.start
    }

    /// Whether a text has a match. Texts of 2 GiB and more have none.
    pub fn is_match(&self, cache: &mut Cache, text: &str) -> bool {
        self.may_match(text)
            && self.dfa(cache).is_match(text.as_bytes(), self.source.prefix.as_ref())
    }

    /// The span of the leftmost match.
    pub fn find(&self, cache: &mut Cache, text: &str) -> Option<(usize, usize)> {
        if !self.may_match(text) {
            return None;
        }
        self.dfa(cache).find(text.as_bytes(), self.source.prefix.as_ref())
    }

    /// Whether a text has a match, and if so what the leftmost captures: `slots` gets the spans of
    /// the groups, in the order of [`Regex::groups`]. Groups that took no part, and all if there is
    /// no match, are `None`.
    pub fn captures(
        &self,
        cache: &mut Cache,
        text: &str,
        slots: &mut [Option<(u32, u32)>],
    ) -> bool {
        if self.may_match(text) {
            return self.captures_of_candidate(cache, text, slots);
        }
        slots.fill(None);
        false
    }

    /// As [`Regex::captures`], for a text in which one of the literals of [`Regex::required`] was
    /// found already.
    pub fn captures_of_candidate(
        &self,
        cache: &mut Cache,
        text: &str,
        slots: &mut [Option<(u32, u32)>],
    ) -> bool {
        if MAX_TEXT < text.len() {
            slots.fill(None);
            return false;
        }
        self.dfa(cache).captures(text.as_bytes(), self.source.prefix.as_ref(), slots)
    }

    fn may_match(&self, text: &str) -> bool {
        let Source { start, inner, .. } = &*self.source;
        text.len() <= MAX_TEXT
            && text.as_bytes().starts_with(start.as_bytes())
            && inner.as_ref().is_none_or(|inner| inner.find(text.as_bytes()).is_some())
    }

    #[inline]
    fn dfa<'c>(&self, cache: &'c mut Cache) -> &'c mut Dfa {
        // A cache may have served another regex.
        if cache.loaded.as_ref().is_some_and(|loaded| !Arc::ptr_eq(&loaded.source, &self.source)) {
            cache.loaded = None;
        }
        let limit = cache.limit;
        &mut cache.loaded.get_or_insert_with(|| self.load(limit)).dfa
    }

    #[cold]
    fn load(&self, limit: usize) -> Box<Loaded> {
        let source = &self.source;
        let slot = |capture: &Capture| {
            let name = capture.name.as_deref()?;
            let group = source.groups.iter().position(|group| **group == *name)?;
            u16::try_from(2 * group).ok()
        };
        // `with_groups` parsed the same text.
        let program = crate::parse(&source.pattern)
            .map_or_else(|_| Program::default(), |hir| Program::compile(&hir, &slot));
        let n_slots = 2 * source.groups.len();
        let dfa = Dfa::new(program, n_slots, !source.anchored, source.prefix.is_some(), limit);
        Box::new(Loaded { source: Arc::clone(source), dfa })
    }
}

/// What one thread keeps between the searches of one regex.
///
/// A new cache is empty and allocates nothing; the first search that gets past the literals fills
/// it. It may be handed to another regex, but starts over then.
#[derive(Debug)]
pub struct Cache {
    loaded: Option<Box<Loaded>>,
    limit: usize,
}

#[derive(Debug)]
struct Loaded {
    source: Arc<Source>,
    dfa: Dfa,
}

impl Cache {
    /// Makes an empty cache whose tables may take 2 MiB: web servers' patterns need 1.5.
    pub const fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// Makes an empty cache whose tables are cleared when they take more than `limit` bytes.
    /// However small that is, results are the same.
    pub const fn with_limit(limit: usize) -> Self {
        let limit = if limit < 1 << 28 { limit } else { 1 << 28 };
        Self { loaded: None, limit }
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| size_of::<Loaded>() + loaded.dfa.memory())
    }

    /// What the searches of the current regex took so far beyond a look-up per byte: instructions
    /// explored to fill the tables, and notes walked back to clear them.
    ///
    /// It counts, so it is the same on every machine. It is bounded by the bytes searched times the
    /// size of the regex, whatever the text.
    pub fn effort(&self) -> u64 {
        self.loaded.as_ref().map_or(0, |loaded| loaded.dfa.effort())
    }

    /// Makes the next search float after a single attempt.
    #[cfg(test)]
    pub(crate) fn float(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.dfa.float();
        }
    }

    /// The states of the automaton made so far.
    #[cfg(test)]
    pub(crate) fn n_states(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.dfa.n_states())
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}

fn collect_names<'a>(hir: &'a Hir, names: &mut Vec<&'a str>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            names.extend(capture.name.as_deref());
            collect_names(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => collect_names(&repetition.sub, names),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => {
            subs.iter().for_each(|sub| collect_names(sub, names));
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

#[cfg(test)]
mod tests;
