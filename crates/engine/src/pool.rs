//! What expressions refer to by number: fields, literal texts, patterns.
//!
//! Interning happens while rules are compiled; at run time a field is an index into the event's
//! slots and a literal is never copied.

use crate::function::Function;
use alloc::{boxed::Box, string::String, vec::Vec};
use hashbrown::HashMap;

use re2::{LiteralSet, Regex, RegexSet};

/// Which part of the event a text field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// The event's own text fields: `Line.Raw`, `StrTime`, `MarshaledTime`, …
    Event,
    /// `evt.Line.Labels`
    Label,
    /// `evt.Parsed`
    Parsed,
    /// `evt.Meta`
    Meta,
    /// `evt.Enriched`
    Enriched,
}

/// Names a text field of an event: a [`Space`] and a key.
///
/// INVARIANT: below 2^15, so that a snapshot can pack it with one flag bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

impl FieldId {
    /// The field as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a literal text of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LitId(pub u32);

/// Names a compiled pattern of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegexId(pub u32);

/// Names a set of literals searched for all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LiteralSetId(pub u32);

/// Names a text that is derived from a field and computed at most once per line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemoId(pub u16);

/// Names a set of texts looked up whole, or by their beginning or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextSetId(pub u32);

/// Names a set of patterns tried all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegexSetId(pub u32);

/// A text derived from a field: `Upper(PathUnescape(evt.Meta.http_path))`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memo {
    /// The field.
    pub field: FieldId,
    /// What is applied, innermost first.
    pub functions: Vec<Function>,
}

/// A set of texts that answers whether a text is one of them, begins or ends with one.
#[derive(Debug, Default)]
pub struct TextSet {
    texts: HashMap<Box<str>, ()>,
    /// The lengths that occur, in bytes.
    lengths: Vec<usize>,
}

impl TextSet {
    /// A set of these texts.
    #[must_use]
    pub fn new(texts: &[&str]) -> Self {
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self { texts: texts.iter().map(|text| (Box::from(*text), ())).collect(), lengths }
    }

    /// Whether the text is one of the set.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.texts.contains_key(text)
    }

    /// Whether the text begins with one of the set.
    #[must_use]
    pub fn has_prefix_of(&self, text: &str) -> bool {
        self.lengths.iter().any(|len| text.get(..*len).is_some_and(|part| self.has(part)))
    }

    /// Whether the text ends with one of the set.
    #[must_use]
    pub fn has_suffix_of(&self, text: &str) -> bool {
        self.lengths.iter().any(|len| {
            let start = text.len().checked_sub(*len);
            start.and_then(|start| text.get(start..)).is_some_and(|part| self.has(part))
        })
    }

    /// The texts, in no particular order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(|text| &**text)
    }
}

/// Fields whose number is the same in every program, because the engine itself reads or writes them.
pub mod known {
    use super::{FieldId, Space};

    macro_rules! known {
        ($($name:ident = $index:literal, $space:ident, $key:literal;)*) => {
            $(
                #[doc = concat!("`", $key, "`")]
                pub const $name: FieldId = FieldId($index);
            )*
            /// All of them, in the order of their numbers.
            pub const ALL: &[(Space, &str)] = &[$((Space::$space, $key),)*];
        };
    }

    known! {
        LINE_RAW = 0, Event, "Line.Raw";
        LINE_SRC = 1, Event, "Line.Src";
        LINE_MODULE = 2, Event, "Line.Module";
        STR_TIME = 3, Event, "StrTime";
        STR_TIME_FORMAT = 4, Event, "StrTimeFormat";
        MARSHALED_TIME = 5, Event, "MarshaledTime";
        STAGE = 6, Event, "Stage";
        WHITELIST_REASON = 7, Event, "WhitelistReason";
        META_SOURCE_IP = 8, Meta, "source_ip";
        META_SOURCE_RANGE = 9, Meta, "SourceRange";
        ISO_CODE = 10, Enriched, "IsoCode";
        IS_IN_EU = 11, Enriched, "IsInEU";
        LATITUDE = 12, Enriched, "Latitude";
        LONGITUDE = 13, Enriched, "Longitude";
        ASN_NUMBER = 14, Enriched, "ASNNumber";
        AS_NUMBER = 15, Enriched, "ASNumber";
        AS_ORG = 16, Enriched, "ASNOrg";
        SOURCE_RANGE = 17, Enriched, "SourceRange";
        REVERSE_DNS = 18, Enriched, "reverse_dns";
        ENRICHED_TIME = 19, Enriched, "MarshaledTime";
        LABEL_TYPE = 20, Label, "type";
    }
}

/// Everything expressions and nodes refer to by number.
#[derive(Debug)]
pub struct Pool {
    fields: Vec<(Space, Box<str>)>,
    by_name: HashMap<(Space, Box<str>), FieldId>,
    /// For each field its place in the byte-wise order of all keys, so that a list of fields sorts by number.
    rank: Vec<u16>,
    lits: Vec<Box<str>>,
    by_lit: HashMap<Box<str>, LitId>,
    regexes: Vec<Regex>,
    literal_sets: Vec<LiteralSet>,
    /// The literals of each set, which the set itself no longer tells apart.
    set_literals: Vec<Box<[Box<str>]>>,
    memos: Vec<Memo>,
    text_sets: Vec<TextSet>,
    regex_sets: Vec<RegexSet>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

/// A program may not have more fields than this.
pub const MAX_FIELDS: usize = 1 << 15;

impl Pool {
    /// A pool that knows only the [`known`] fields.
    #[must_use]
    pub fn new() -> Self {
        let mut pool = Self {
            fields: Vec::new(),
            by_name: HashMap::new(),
            rank: Vec::new(),
            lits: Vec::new(),
            by_lit: HashMap::new(),
            regexes: Vec::new(),
            literal_sets: Vec::new(),
            set_literals: Vec::new(),
            memos: Vec::new(),
            text_sets: Vec::new(),
            regex_sets: Vec::new(),
        };
        for (space, key) in known::ALL {
            pool.field(*space, key);
        }
        pool
    }

    /// The number of a field, new if it was not known. Past [`MAX_FIELDS`] all new names share the
    /// last number; the rule compiler reports that as an error.
    pub fn field(&mut self, space: Space, key: &str) -> FieldId {
        if let Some(field) = self.find_field(space, key) {
            return field;
        }
        let index = self.fields.len().min(MAX_FIELDS - 1);
        let field = FieldId(u16::try_from(index).expect("below 2^15"));
        if index == self.fields.len() {
            self.fields.push((space, key.into()));
        }
        self.by_name.insert((space, key.into()), field);
        field
    }

    /// The number of a field, if any rule mentions it.
    #[must_use]
    pub fn find_field(&self, space: Space, key: &str) -> Option<FieldId> {
        self.by_name.get(&FieldName { space, key }).copied()
    }

    /// Space and key of a field.
    #[must_use]
    pub fn field_name(&self, field: FieldId) -> (Space, &str) {
        let (space, key) = &self.fields[field.index()];
        (*space, key)
    }

    /// How many fields there are.
    #[must_use]
    pub fn n_fields(&self) -> usize {
        self.fields.len()
    }

    /// All fields in the order of their numbers.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, Space, &str)> {
        self.fields
            .iter()
            .enumerate()
            .map(|(index, (space, key))| (FieldId(index as u16), *space, &**key))
    }

    /// The number of a literal, new if it was not known.
    pub fn lit(&mut self, text: &str) -> LitId {
        if let Some(lit) = self.by_lit.get(text) {
            return *lit;
        }
        let lit = LitId(u32::try_from(self.lits.len()).expect("fewer than 2^32 literals"));
        self.lits.push(text.into());
        self.by_lit.insert(text.into(), lit);
        lit
    }

    /// The text of a literal.
    #[must_use]
    pub fn lit_text(&self, lit: LitId) -> &str {
        &self.lits[lit.0 as usize]
    }

    /// Adds a compiled pattern.
    pub fn add_regex(&mut self, regex: Regex) -> RegexId {
        self.regexes.push(regex);
        RegexId(u32::try_from(self.regexes.len() - 1).expect("fewer than 2^32 patterns"))
    }

    /// A compiled pattern.
    #[must_use]
    pub fn regex(&self, regex: RegexId) -> &Regex {
        &self.regexes[regex.0 as usize]
    }

    /// How many patterns there are.
    #[must_use]
    pub fn n_regexes(&self) -> usize {
        self.regexes.len()
    }

    /// Adds a set of literals.
    pub fn add_literal_set(&mut self, literals: &[&str]) -> LiteralSetId {
        self.literal_sets.push(LiteralSet::new(literals));
        self.set_literals.push(literals.iter().map(|literal| Box::from(*literal)).collect());
        LiteralSetId(u32::try_from(self.literal_sets.len() - 1).expect("fewer than 2^32 sets"))
    }

    /// The literals of a set.
    #[must_use]
    pub fn literals_of(&self, set: LiteralSetId) -> &[Box<str>] {
        &self.set_literals[set.0 as usize]
    }

    /// The number of a derived text, new if it was not known; `None` when there are too many.
    pub fn memo(&mut self, memo: Memo) -> Option<MemoId> {
        let known = self.memos.iter().position(|known| *known == memo);
        let index = known.unwrap_or(self.memos.len());
        let id = MemoId(u16::try_from(index).ok()?);
        if known.is_none() {
            self.memos.push(memo);
        }
        Some(id)
    }

    /// A derived text.
    #[must_use]
    pub fn memo_of(&self, memo: MemoId) -> &Memo {
        &self.memos[memo.0 as usize]
    }

    /// Adds a set of texts.
    pub fn add_text_set(&mut self, set: TextSet) -> TextSetId {
        self.text_sets.push(set);
        TextSetId(u32::try_from(self.text_sets.len() - 1).expect("fewer than 2^32 sets"))
    }

    /// A set of texts.
    #[must_use]
    pub fn text_set(&self, set: TextSetId) -> &TextSet {
        &self.text_sets[set.0 as usize]
    }

    /// Adds a set of patterns.
    pub fn add_regex_set(&mut self, set: RegexSet) -> RegexSetId {
        self.regex_sets.push(set);
        RegexSetId(u32::try_from(self.regex_sets.len() - 1).expect("fewer than 2^32 sets"))
    }

    /// A set of patterns.
    #[must_use]
    pub fn regex_set(&self, set: RegexSetId) -> &RegexSet {
        &self.regex_sets[set.0 as usize]
    }

    /// A set of literals.
    #[must_use]
    pub fn literal_set(&self, set: LiteralSetId) -> &LiteralSet {
        &self.literal_sets[set.0 as usize]
    }

    /// The place of a field in the byte-wise order of keys. Valid after [`Pool::finish`].
    #[must_use]
    pub fn rank(&self, field: FieldId) -> u16 {
        self.rank.get(field.index()).copied().unwrap_or(field.0)
    }

    /// Computes the order of keys. Call once, when all fields are known.
    pub fn finish(&mut self) {
        let mut order: Vec<usize> = (0..self.fields.len()).collect();
        order.sort_by(|a, b| self.fields[*a].1.cmp(&self.fields[*b].1));
        self.rank = alloc::vec![0; self.fields.len()];
        for (place, field) in order.into_iter().enumerate() {
            self.rank[field] = u16::try_from(place).expect("below 2^15");
        }
    }
}

/// Looks up `(Space, Box<str>)` keys without making a box.
#[derive(Hash)]
struct FieldName<'a> {
    space: Space,
    key: &'a str,
}

impl hashbrown::Equivalent<(Space, Box<str>)> for FieldName<'_> {
    fn equivalent(&self, other: &(Space, Box<str>)) -> bool {
        self.space == other.0 && *self.key == *other.1
    }
}

/// Writes a field as rules spell it: `evt.Meta.source_ip`.
#[must_use]
pub fn spell(space: Space, key: &str) -> String {
    let prefix = match space {
        Space::Event => "evt.",
        Space::Label => "evt.Line.Labels.",
        Space::Parsed => "evt.Parsed.",
        Space::Meta => "evt.Meta.",
        Space::Enriched => "evt.Enriched.",
    };
    let mut text = String::from(prefix);
    text.push_str(key);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_have_their_numbers() {
        let pool = Pool::new();
        for (index, (space, key)) in known::ALL.iter().enumerate() {
            assert_eq!(pool.find_field(*space, key), Some(FieldId(index as u16)));
        }
        assert_eq!(pool.find_field(Space::Meta, "source_ip"), Some(known::META_SOURCE_IP));
    }

    #[test]
    fn rank_sorts_by_key() {
        let mut pool = Pool::new();
        let b = pool.field(Space::Meta, "b");
        let a = pool.field(Space::Meta, "a");
        pool.finish();
        assert!(pool.rank(a) < pool.rank(b));
    }
}
