//! The registry of definitions, and the expansion of a pattern to one regular expression.
//!
//! Which reference gives a field is decided by place, not by what matches:
//! - at one level the last reference that names a field gives it, even from an alternative that
//!   did not match (the field is then empty);
//! - a field named at an outer level hides the same field of nested definitions;
//! - among nested definitions the last one that has a field gives it.
//!
//! Walking references from the right, outer levels before inner ones, makes all three the same
//! rule: whoever comes first takes the field. So that is how expansion walks.

use super::{
    base::BASE,
    patterns::{is_word, pattern_lines},
    shipped::SHIPPED,
};
use core::{fmt, fmt::Write, ops::Range};
use hashbrown::{HashMap, HashSet};
use syntax::Span;

/// Longest regular expression a pattern may become, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// How deep definitions may be nested. What people write stays below ten.
const MAX_DEPTH: u32 = 100;

/// How long all regular expressions made with one registry may be together, in bytes. A full hub
/// needs a million.
const BUDGET: usize = 64 << 20;

/// A grok pattern as a regular expression, and which groups give which fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// RE2 syntax. Groups that give fields are named; other references do not capture. Groups the
    /// author wrote are as they were.
    pub regex: String,
    /// Each field with the name of its group, in the order in which the groups open.
    pub fields: Vec<(String, String)>,
    places: Vec<Place>,
}

/// Where a piece of a pattern went.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    in_pattern: Range<usize>,
    in_regex: Range<usize>,
    literal: bool,
}

impl Expanded {
    /// Which bytes of the pattern became the bytes `range` of the regular expression: exactly,
    /// where the author wrote them; the whole reference, where they come from a definition.
    #[must_use]
    pub fn locate(&self, range: Range<usize>) -> Range<usize> {
        // Which of two neighbors a boundary belongs to depends on what it bounds: a range starts
        // with the piece to its right and ends with the piece to its left.
        let first = self.places.iter().find(|place| range.start < place.in_regex.end);
        let last = self.places.iter().rev().find(|place| place.in_regex.start < range.end);
        let end = self.places.last().map_or(0, |place| place.in_pattern.end);
        let start = first.map_or(end, |place| {
            if place.literal {
                place.in_pattern.start + range.start.saturating_sub(place.in_regex.start)
            } else {
                place.in_pattern.start
            }
        });
        let stop = last.map_or(start, |place| {
            if place.literal {
                (place.in_pattern.start + (range.end - place.in_regex.start))
                    .min(place.in_pattern.end)
            } else {
                place.in_pattern.end
            }
        });
        start..stop.max(start)
    }
}

/// What a definition was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// The name is new, and now means this.
    New,
    /// The name means something else already, and still does.
    Known {
        /// Where it got its meaning; `None` for names everyone has.
        first: Option<Span>,
        /// Whether it means this anyway.
        same_text: bool,
    },
}

/// Why a pattern means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrokError {
    /// Where in the pattern, in bytes.
    pub range: Range<usize>,
    /// What is wrong there.
    pub fault: GrokFault,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrokFault {
    /// It refers to a name without a definition.
    Unknown {
        /// The name.
        name: String,
    },
    /// It refers to a name whose own definition is wrong.
    Broken {
        /// The name.
        name: String,
    },
    /// It becomes too long a regular expression.
    TooLong,
    /// Its definitions are nested too deep.
    TooDeep,
    /// All patterns together become too long.
    Exhausted,
    /// It is not a regular expression.
    Regex {
        /// What is wrong with it.
        message: String,
    },
}

impl fmt::Display for GrokError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            GrokFault::Unknown { name } => write!(f, "no grok pattern is called `{name}`"),
            GrokFault::Broken { name } => {
                write!(f, "the definition of grok pattern `{name}` has an error of its own")
            }
            GrokFault::TooLong => {
                write!(f, "the pattern becomes a regular expression of more than {MAX_REGEX} bytes")
            }
            GrokFault::TooDeep => {
                write!(f, "definitions of grok patterns are nested more than {MAX_DEPTH} deep")
            }
            GrokFault::Exhausted => {
                write!(f, "all patterns together become more than {BUDGET} bytes")
            }
            GrokFault::Regex { message } => f.write_str(message),
        }
    }
}

impl core::error::Error for GrokError {}

/// All definitions known at some point of reading.
#[derive(Clone)]
pub struct Registry {
    definitions: Vec<Known>,
    by_name: HashMap<String, Entry>,
    names: Vec<String>,
    /// What is left of [`BUDGET`].
    budget: usize,
}

#[derive(Clone)]
struct Entry {
    first: Option<Span>,
    /// Index of the definition; `None` when it was wrong.
    definition: Option<usize>,
    /// Whether it only stands in until somebody defines the name.
    stands_in: bool,
}

/// A pattern whose references are resolved.
#[derive(Clone)]
struct Known {
    text: String,
    parts: Vec<Part>,
    /// Upper bound of the length of its regular expression.
    len: usize,
    depth: u32,
}

#[derive(Clone)]
struct Part {
    range: Range<usize>,
    reference: Option<Reference>,
}

#[derive(Clone)]
struct Reference {
    definition: usize,
    field: Option<String>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry of {} names", self.names.len())
    }
}

impl Registry {
    /// The definitions everyone has.
    #[must_use]
    pub fn base() -> Self {
        let mut registry = Self {
            definitions: Vec::new(),
            by_name: HashMap::new(),
            names: Vec::new(),
            budget: BUDGET,
        };
        for (name, text) in BASE {
            let known = registry.resolve(text).expect("the base set refers to earlier names only");
            registry.insert(name, Some(known), None);
        }
        registry
    }

    /// The definitions everyone has, and stand-ins for those that usually come in pattern files.
    ///
    /// A stand-in gives way to the first definition of its name, which may refer to it.
    #[must_use]
    pub fn with_stand_ins() -> Self {
        let mut registry = Self::base();
        for (_, text) in SHIPPED {
            for line in pattern_lines(text) {
                let known = registry.resolve(&text[line.regex]);
                let known = known.expect("shipped definitions refer to earlier names only");
                let name = &text[line.name];
                registry.insert(name, Some(known), None);
                if let Some(entry) = registry.by_name.get_mut(name) {
                    entry.stands_in = true;
                }
            }
        }
        registry
    }

    /// The same definitions for another set of files, which has other places.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        for entry in self.by_name.values_mut() {
            entry.first = None;
        }
        self
    }

    /// Gives `name` a meaning, unless it has one that does not merely stand in.
    ///
    /// A definition must be a regular expression by itself. One that is not still occupies its
    /// name, so that patterns which refer to it are told that, and not that the name is unknown.
    pub fn define(&mut self, name: &str, text: &str, at: Span) -> Result<Definition, GrokError> {
        if let Some(entry) = self.by_name.get(name).filter(|entry| !entry.stands_in) {
            let known = entry.definition.map(|definition| &self.definitions[definition]);
            let same_text = known.is_some_and(|known| known.text == text);
            return Ok(Definition::Known { first: entry.first, same_text });
        }
        let checked = self.resolve(text).and_then(|known| {
            self.make(&known)?;
            Ok(known)
        });
        match checked {
            Ok(known) => {
                self.insert(name, Some(known), Some(at));
                Ok(Definition::New)
            }
            Err(error) => {
                self.insert(name, None, Some(at));
                Err(error)
            }
        }
    }

    /// Expands a pattern and checks the regular expression it becomes.
    pub fn expand(&mut self, pattern: &str) -> Result<Expanded, GrokError> {
        let known = self.resolve(pattern)?;
        self.make(&known)
    }

    /// Expands a part of a pattern that was expanded before, to see how far it gets by itself. What
    /// comes out need not be a regular expression.
    pub fn expand_part(&self, part: &str) -> Result<Expanded, GrokError> {
        Ok(self.emit(&self.resolve(part)?))
    }

    /// What `name` stands for, as it was written.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<&str> {
        let definition = self.by_name.get(name)?.definition?;
        self.definitions.get(definition).map(|known| known.text.as_str())
    }

    /// All names, in the order in which they were defined.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn insert(&mut self, name: &str, known: Option<Known>, first: Option<Span>) {
        let definition = known.map(|known| {
            self.definitions.push(known);
            self.definitions.len() - 1
        });
        let entry = Entry { first, definition, stands_in: false };
        if self.by_name.insert(name.to_owned(), entry).is_none() {
            self.names.push(name.to_owned());
        }
    }

    fn resolve(&self, text: &str) -> Result<Known, GrokError> {
        let mut known =
            Known { text: text.to_owned(), parts: Vec::new(), len: text.len(), depth: 0 };
        let mut literal = 0;
        for found in references(text) {
            let fail = |fault| GrokError { range: found.name.clone(), fault };
            let name = &text[found.name.clone()];
            let definition = match self.by_name.get(name) {
                Some(Entry { definition: Some(definition), .. }) => *definition,
                Some(Entry { definition: None, .. }) => {
                    return Err(fail(GrokFault::Broken { name: name.to_owned() }));
                }
                None => return Err(fail(GrokFault::Unknown { name: name.to_owned() })),
            };
            let inner = &self.definitions[definition];
            known.len = known.len.saturating_add(inner.len).saturating_add(MAX_GROUP);
            if known.len > MAX_REGEX {
                return Err(fail(GrokFault::TooLong));
            }
            known.depth = known.depth.max(inner.depth + 1);
            if known.depth > MAX_DEPTH {
                return Err(fail(GrokFault::TooDeep));
            }
            if literal < found.whole.start {
                known.parts.push(Part { range: literal..found.whole.start, reference: None });
            }
            literal = found.whole.end;
            let field = found.field.map(|field| text[field].to_owned());
            known.parts.push(Part {
                range: found.whole,
                reference: Some(Reference { definition, field }),
            });
        }
        if known.len > MAX_REGEX {
            return Err(GrokError { range: 0..text.len(), fault: GrokFault::TooLong });
        }
        if literal < text.len() {
            known.parts.push(Part { range: literal..text.len(), reference: None });
        }
        Ok(known)
    }

    /// Expands what was resolved, and checks the outcome.
    fn make(&mut self, known: &Known) -> Result<Expanded, GrokError> {
        let whole = 0..known.text.len();
        let Some(budget) = self.budget.checked_sub(known.len) else {
            return Err(GrokError { range: whole, fault: GrokFault::Exhausted });
        };
        self.budget = budget;
        let expanded = self.emit(known);
        match re2::parse(&expanded.regex) {
            Ok(_) => Ok(expanded),
            Err(error) => Err(GrokError {
                range: expanded.locate(error.start..error.end),
                fault: GrokFault::Regex { message: error.message },
            }),
        }
    }

    fn emit(&self, known: &Known) -> Expanded {
        let mut pieces = Vec::new();
        let mut taken = HashSet::new();
        self.walk(known, &mut taken, &mut pieces, 0);
        let mut expanded = Expanded::default();
        let mut opened = None;
        for piece in pieces.into_iter().rev() {
            match piece {
                Piece::Text(text) => expanded.regex.push_str(text),
                Piece::Open(None) => expanded.regex.push_str("(?:"),
                Piece::Open(Some(field)) => {
                    let group = format!("{GROUP}{}", expanded.fields.len());
                    write!(expanded.regex, "(?P<{group}>").expect("a `String` takes any text");
                    expanded.fields.push((field.to_owned(), group));
                }
                Piece::Close => expanded.regex.push(')'),
                Piece::PartStart => opened = Some(expanded.regex.len()),
                Piece::PartEnd { range, literal } => {
                    let start = opened.take().unwrap_or(0);
                    let in_regex = start..expanded.regex.len();
                    expanded.places.push(Place { in_pattern: range, in_regex, literal });
                }
            }
        }
        expanded
    }

    /// Appends the pieces of a pattern, last one first. The depth of definitions bounds recursion,
    /// and the length computed when the pattern was resolved bounds the number of pieces.
    fn walk<'a>(
        &'a self,
        known: &'a Known,
        taken: &mut HashSet<&'a str>,
        pieces: &mut Vec<Piece<'a>>,
        level: u32,
    ) {
        let gives: Vec<bool> = known
            .parts
            .iter()
            .rev()
            .map(|part| {
                let field = part.reference.as_ref().and_then(|found| found.field.as_deref());
                field.is_some_and(|field| taken.insert(field))
            })
            .collect();
        for (part, gives) in known.parts.iter().rev().zip(gives) {
            if level == 0 {
                let literal = part.reference.is_none();
                pieces.push(Piece::PartEnd { range: part.range.clone(), literal });
            }
            match &part.reference {
                None => pieces.push(Piece::Text(&known.text[part.range.clone()])),
                Some(reference) => {
                    let field = reference.field.as_deref().filter(|_| gives);
                    pieces.push(Piece::Close);
                    let inner = &self.definitions[reference.definition];
                    self.walk(inner, taken, pieces, level + 1);
                    pieces.push(Piece::Open(field));
                }
            }
            if level == 0 {
                pieces.push(Piece::PartStart);
            }
        }
    }
}

/// What names of field groups start with: nothing an author would choose.
const GROUP: &str = "__f";

/// More than opening and closing a group can take.
const MAX_GROUP: usize = "(?P<__f1048576>)".len();

enum Piece<'a> {
    Text(&'a str),
    Open(Option<&'a str>),
    Close,
    PartStart,
    PartEnd { range: Range<usize>, literal: bool },
}

/// A reference as it is written.
struct Found {
    whole: Range<usize>,
    name: Range<usize>,
    field: Option<Range<usize>>,
}

/// The references of a pattern, from the left. What only looks like one (`%{INT:n:int}`,
/// `%{WORD:a.b}`) is text.
fn references(text: &str) -> impl Iterator<Item = Found> {
    let mut at = 0;
    core::iter::from_fn(move || {
        loop {
            let start = at + text[at..].find("%{")?;
            // Both bytes are ASCII, so this is the start of a character.
            at = start + 2;
            if let Some(found) = reference_at(text, start) {
                at = found.whole.end;
                return Some(found);
            }
        }
    })
}

/// Whether a reference can spell `name`.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_word)
}

/// The parts of a pattern that look like references and are none, from the left.
pub(crate) fn false_references(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("%{") {
        let inside = &text[start + 2..];
        // A name must follow, or this is a class or a repetition of percent signs.
        let looks_like = inside.starts_with(|c: char| c.is_ascii_alphabetic());
        if let Some(end) =
            inside.find('}').filter(|_| looks_like && reference_at(text, start).is_none())
        {
            found.push(start..start + 2 + end + 1);
        }
    }
    found
}

fn reference_at(text: &str, start: usize) -> Option<Found> {
    let word = |from: usize| {
        let len = text[from..].find(|c| !is_word(c)).filter(|len| *len > 0)?;
        Some(from..from + len)
    };
    let name = word(start + 2)?;
    match text.as_bytes().get(name.end)? {
        b'}' => Some(Found { whole: start..name.end + 1, name, field: None }),
        b':' => {
            let field = word(name.end + 1)?;
            let whole = start..field.end + 1;
            (text.as_bytes().get(field.end) == Some(&b'}')).then_some(Found {
                whole,
                name,
                field: Some(field),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
