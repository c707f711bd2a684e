//! The working record of one line, and the digest of it that buckets keep.
//!
//! An [`Event`] is an arena of text and a table of slots, one per field any rule mentions. The
//! arena begins with the line's source and the line itself, so a captured field is a range and not
//! a copy; clearing the event is one increment (`generation`). The same record is reused for every
//! line, and in the steady state nothing is allocated.

use crate::overflow::Overflow;
use crate::pool::{FieldId, LitId, MemoId, Pool, Space, known};
use crate::value::{Map, Text, Value};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::hash::Hasher as _;
use model::{LineSource, SourceId, Stamp, Time, TimeMode};
use siphasher::sip::SipHasher13;

/// An arena may not grow past this for one line: what expressions build must end somewhere (I5).
pub const MAX_ARENA: usize = 64 << 20;

/// Keys no rule mentions (set by `SetMeta` and its kin with computed names) that one event may hold.
const MAX_EXTRA: usize = 256;

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A line of a log.
    #[default]
    Log,
    /// An overflow, on its way through postoverflows or back into scenarios.
    Overflow,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    generation: u32,
    start: u32,
    /// Bytes, or [`LIT`] when `start` is the number of a literal.
    len: u32,
}

const LIT: u32 = u32::MAX;

/// A field that no rule names.
#[derive(Clone, Debug)]
pub struct Extra {
    /// Which map it is in.
    pub space: Space,
    /// Its key.
    pub key: Arc<str>,
    /// Its value.
    pub value: Text,
}

/// The working record of one line.
#[derive(Debug)]
pub struct Event {
    arena: String,
    slots: Box<[Slot]>,
    generation: u32,
    /// Derived texts: with the generation, the range they were derived from and the result.
    memos: Vec<(Slot, Slot)>,
    /// Meta fields in the order they were first set.
    meta: Vec<FieldId>,
    extra: Vec<Extra>,
    /// Bytes of the arena that hold the source, and the source they hold.
    source: Option<(SourceId, u32)>,
    source_slots: Vec<(FieldId, Slot)>,
    /// Labels of the source that no rule names.
    other_labels: Vec<(Box<str>, Text)>,
    /// `evt.Unmarshaled`
    pub unmarshaled: Map,
    /// Log or overflow.
    pub kind: Kind,
    /// Whose clock buckets follow for this event.
    pub time_mode: TimeMode,
    /// `evt.Whitelisted`
    pub whitelisted: bool,
    /// `evt.Process`
    pub process: bool,
    /// Index of the current stage.
    pub stage: usize,
    /// `evt.Time`
    pub time: Time,
    /// `evt.Line.Time`
    pub line_time: Time,
    /// Tells the line, or the overflow, from all others.
    pub stamp: Stamp,
    /// `evt.Overflow` of an overflow event.
    pub overflow: Option<Box<Overflow>>,
    /// `evt.Overflow` as a value, made on demand.
    pub overflow_value: Option<Value>,
}

impl Event {
    /// An empty record for a program with this many fields.
    #[must_use]
    pub fn new(n_fields: usize) -> Self {
        Self {
            arena: String::with_capacity(4096),
            slots: alloc::vec![Slot::default(); n_fields].into_boxed_slice(),
            generation: 1,
            memos: Vec::new(),
            meta: Vec::new(),
            extra: Vec::new(),
            source: None,
            source_slots: Vec::new(),
            other_labels: Vec::new(),
            unmarshaled: Map::default(),
            kind: Kind::Log,
            time_mode: TimeMode::Live,
            whitelisted: false,
            process: false,
            stage: 0,
            time: Time::default(),
            line_time: Time::default(),
            stamp: Stamp::NONE,
            overflow: None,
            overflow_value: None,
        }
    }

    fn clear(&mut self) {
        self.generation = match self.generation.checked_add(1) {
            Some(next) => next,
            None => {
                // After 2^32 lines old stamps could look new again.
                self.slots.fill(Slot::default());
                self.memos.clear();
                1
            }
        };
        self.meta.clear();
        self.extra.clear();
        if !self.unmarshaled.entries.is_empty() {
            self.unmarshaled.entries.clear();
        }
        self.whitelisted = false;
        self.process = false;
        self.stage = 0;
        self.stamp = Stamp::NONE;
        self.overflow = None;
        self.overflow_value = None;
    }

    /// Starts over with a line of text. `source` is what `id` stands for.
    /// hot: `cargo xtask bench engine`
    pub fn begin_line(&mut self, id: SourceId, source: &LineSource, text: &[u8], pool: &Pool) {
        self.clear();
        self.kind = Kind::Log;
        self.time_mode = source.time_mode;
        let prefix = match self.source {
            Some((current, prefix)) if current == id => prefix,
            _ => self.load_source(id, source, pool),
        };
        self.arena.truncate(prefix as usize);
        for (field, slot) in &self.source_slots {
            self.slots[field.index()] = Slot { generation: self.generation, ..*slot };
        }
        let start = self.arena.len();
        push_utf8(&mut self.arena, text);
        let len = self.arena.len() - start;
        self.set_range(known::LINE_RAW, start as u32, len as u32);
        if self.arena.capacity() > 1 << 20 && len < 1 << 16 {
            // One huge line must not keep its memory for ever (I5).
            self.arena.shrink_to(1 << 16);
        }
    }

    /// Starts over with an overflow.
    pub fn begin_overflow(&mut self, overflow: Overflow, marshaled_time: &str, time: Time) {
        self.clear();
        self.kind = Kind::Overflow;
        self.time_mode = TimeMode::Live;
        self.source = None;
        self.arena.clear();
        self.time = time;
        self.line_time = time;
        // The low bits will do: they are those of a digest.
        self.stamp = overflow.identity.map_or(Stamp::NONE, |identity| Stamp::of(identity as u64));
        self.overflow = Some(Box::new(overflow));
        self.set_text(known::MARSHALED_TIME, marshaled_time);
        // There is a line, and it is empty: a grok on it is tried.
        self.set_text(known::LINE_RAW, "");
    }

    /// Starts over with an event a bucket kept, so that expressions can look at it.
    pub fn begin_kept(&mut self, kept: &Snapshot, pool: &Pool) {
        self.clear();
        self.kind = kept.kind;
        self.process = true;
        self.time_mode = kept.time_mode;
        self.source = None;
        self.arena.clear();
        self.time = kept.time;
        self.line_time = kept.time;
        for (field, text) in kept.fields(pool) {
            if pool.field_name(field).0 == Space::Meta {
                self.meta.push(field);
            }
            self.set_text(field, text);
        }
        if let Some(rest) = &kept.rest {
            for (space, key, value) in &rest.extra {
                let value = Text::Shared(Arc::from(&**value));
                self.extra.push(Extra { space: *space, key: Arc::from(&**key), value });
            }
            self.unmarshaled = rest.unmarshaled.clone();
            self.overflow = rest.overflow.clone().map(Box::new);
        }
    }

    /// Forgets which source the arena begins with: its meaning may have changed.
    pub fn forget_source(&mut self) {
        self.source = None;
    }

    fn load_source(&mut self, id: SourceId, source: &LineSource, pool: &Pool) -> u32 {
        self.arena.clear();
        self.source_slots.clear();
        self.other_labels.clear();
        let mut add = |field: FieldId, text: &str| {
            let start = self.arena.len() as u32;
            self.arena.push_str(text);
            self.source_slots.push((field, Slot { generation: 0, start, len: text.len() as u32 }));
        };
        add(known::LINE_SRC, &source.src);
        add(known::LINE_MODULE, &source.module);
        for (key, value) in &source.labels {
            match pool.find_field(Space::Label, key) {
                Some(field) => add(field, value),
                None => {
                    let value = Text::Shared(Arc::from(value.as_str()));
                    self.other_labels.push((key.as_str().into(), value));
                }
            }
        }
        let prefix = self.arena.len() as u32;
        self.source = Some((id, prefix));
        prefix
    }

    /// Texts that are no fields, with their keys. Labels are those of the line's source, so there are
    /// none unless the event is a line.
    fn others(&self, space: Space) -> impl Iterator<Item = (&str, &Text)> {
        let labels = if space == Space::Label && self.source.is_some() {
            self.other_labels.as_slice()
        } else {
            &[]
        };
        let extra = self.extra.iter().filter(move |extra| extra.space == space);
        let extra = extra.map(|extra| (&*extra.key, &extra.value));
        extra.chain(labels.iter().map(|(key, value)| (&**key, value)))
    }

    /// The characters of a range of the arena; empty when it is none (never panics).
    #[must_use]
    pub fn arena(&self, start: u32, len: u32) -> &str {
        self.arena.get(start as usize..start as usize + len as usize).unwrap_or("")
    }

    /// The whole arena.
    #[must_use]
    pub fn arena_text(&self) -> &str {
        &self.arena
    }

    /// Appends a text to the arena. Past [`MAX_ARENA`] the text is dropped and empty is given.
    pub fn push(&mut self, text: &str) -> Text {
        let start = self.arena.len();
        if start + text.len() > MAX_ARENA {
            return Text::Arena { start: 0, len: 0 };
        }
        self.arena.push_str(text);
        Text::Arena { start: start as u32, len: text.len() as u32 }
    }

    /// Lets `write` append to the arena and gives what it wrote.
    pub fn build(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let start = self.arena.len();
        if start > MAX_ARENA {
            return Text::Arena { start: 0, len: 0 };
        }
        write(&mut self.arena);
        Text::Arena { start: start as u32, len: (self.arena.len() - start) as u32 }
    }

    /// Appends a copy of a text with its ASCII letters changed to upper or lower case. Past
    /// [`MAX_ARENA`] the text is dropped and empty is given.
    pub fn push_ascii_case(&mut self, text: &Text, upper: bool, pool: &Pool) -> Text {
        let start = self.arena.len();
        if start > MAX_ARENA {
            return Text::Arena { start: 0, len: 0 };
        }
        match text {
            Text::Arena { start, len } => {
                let (start, end) = (*start as usize, *start as usize + *len as usize);
                if end > self.arena.len() {
                    return Text::Arena { start: 0, len: 0 };
                }
                self.arena.extend_from_within(start..end);
            }
            Text::Lit(lit) => self.arena.push_str(pool.lit_text(*lit)),
            Text::Shared(text) => self.arena.push_str(text),
        }
        let copy = &mut self.arena[start..];
        if upper {
            copy.make_ascii_uppercase();
        } else {
            copy.make_ascii_lowercase();
        }
        Text::Arena { start: start as u32, len: (self.arena.len() - start) as u32 }
    }

    /// The text of a field, `None` when it is not set. hot: `cargo xtask bench engine`
    #[inline]
    #[must_use]
    pub fn get<'a>(&'a self, field: FieldId, pool: &'a Pool) -> Option<&'a str> {
        let slot = self.slots.get(field.index())?;
        if slot.generation != self.generation {
            return None;
        }
        if slot.len == LIT {
            return Some(pool.lit_text(LitId(slot.start)));
        }
        self.arena.get(slot.start as usize..slot.start as usize + slot.len as usize)
    }

    /// A field as a text value; `None` when it is not set.
    #[inline]
    #[must_use]
    pub fn text(&self, field: FieldId) -> Option<Text> {
        let slot = self.slots.get(field.index())?;
        if slot.generation != self.generation {
            return None;
        }
        Some(if slot.len == LIT {
            Text::Lit(LitId(slot.start))
        } else {
            Text::Arena { start: slot.start, len: slot.len }
        })
    }

    /// A derived text, if it was derived from this very text of this line.
    #[must_use]
    pub fn memo(&self, id: MemoId, base: &Text) -> Option<Text> {
        let (from, to) = self.memos.get(id.0 as usize)?;
        let base = slot_of(base)?;
        let same =
            from.generation == self.generation && from.start == base.start && from.len == base.len;
        same.then_some(if to.len == LIT {
            Text::Lit(LitId(to.start))
        } else {
            Text::Arena { start: to.start, len: to.len }
        })
    }

    /// Remembers a derived text for the rest of the line.
    pub fn set_memo(&mut self, id: MemoId, base: &Text, text: &Text) {
        let (Some(mut from), Some(to)) = (slot_of(base), slot_of(text)) else { return };
        from.generation = self.generation;
        let index = id.0 as usize;
        if index >= self.memos.len() {
            self.memos.resize(index + 1, (Slot::default(), Slot::default()));
        }
        self.memos[index] = (from, to);
    }

    /// Whether a field is set, be it to an empty text.
    #[inline]
    #[must_use]
    pub fn has(&self, field: FieldId) -> bool {
        self.slots.get(field.index()).is_some_and(|slot| slot.generation == self.generation)
    }

    /// Sets a field to a range of the arena. hot: `cargo xtask bench engine`
    #[inline]
    pub fn set_range(&mut self, field: FieldId, start: u32, len: u32) {
        self.slots[field.index()] = Slot { generation: self.generation, start, len };
    }

    /// Sets a field to a literal.
    #[inline]
    pub fn set_lit(&mut self, field: FieldId, lit: LitId) {
        self.slots[field.index()] = Slot { generation: self.generation, start: lit.0, len: LIT };
    }

    /// Sets a field of any space, keeping track of the meta fields that are set.
    #[inline]
    pub fn set(&mut self, field: FieldId, is_meta: bool, text: &Text) {
        if is_meta && !self.has(field) {
            self.meta.push(field);
        }
        match text {
            Text::Arena { start, len } => self.set_range(field, *start, *len),
            Text::Lit(lit) => self.set_lit(field, *lit),
            Text::Shared(text) => {
                let text = Arc::clone(text);
                self.set_text(field, &text);
            }
        }
    }

    /// Copies a text to the arena and sets a field to it. Not for meta fields.
    pub fn set_text(&mut self, field: FieldId, text: &str) {
        if let Text::Arena { start, len } = self.push(text) {
            self.set_range(field, start, len);
        }
    }

    /// Sets a field by a computed name.
    pub fn set_named(&mut self, space: Space, key: &str, text: Text, pool: &Pool) {
        if let Some(field) = pool.find_field(space, key) {
            self.set(field, space == Space::Meta, &text);
        } else if let Some(extra) =
            self.extra.iter_mut().find(|extra| extra.space == space && &*extra.key == key)
        {
            extra.value = text;
        } else if self.extra.len() < MAX_EXTRA {
            self.extra.push(Extra { space, key: Arc::from(key), value: text });
        }
    }

    /// A field by a computed name.
    #[must_use]
    pub fn named(&self, space: Space, key: &str, pool: &Pool) -> Option<Text> {
        match pool.find_field(space, key) {
            Some(field) => self.text(field),
            None => self.others(space).find(|(of, _)| *of == key).map(|(_, value)| value.clone()),
        }
    }

    /// All pairs of a map of texts, sorted by key.
    #[must_use]
    pub fn pairs<'a>(&'a self, space: Space, pool: &'a Pool) -> Vec<(&'a str, &'a str)> {
        let mut pairs: Vec<(&str, &str)> = pool
            .fields()
            .filter(|(_, of, _)| *of == space)
            .filter_map(|(field, _, key)| Some((key, self.get(field, pool)?)))
            .chain(self.others(space).map(|(key, value)| (key, value.get(self, pool))))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    /// Makes the digest that buckets keep: all of Meta, and the fields of `keep`.
    #[must_use]
    pub fn snapshot(&self, keep: &[FieldId], keep_tree: bool, pool: &Pool) -> Snapshot {
        // Both buffers are made to measure: growing or shrinking them would cost more than counting.
        let (mut n, mut bytes) = (0, 0);
        for field in self.meta.iter().chain(keep) {
            let slot = self.slots[field.index()];
            if slot.generation == self.generation {
                n += 1;
                bytes += if slot.len == LIT { 0 } else { slot.len as usize };
            }
        }
        let mut entries = Vec::with_capacity(n);
        let mut text = String::with_capacity(bytes);
        for field in self.meta.iter().chain(keep) {
            let slot = self.slots[field.index()];
            if slot.generation != self.generation {
                continue;
            }
            if slot.len == LIT {
                entries.push(Entry { field: field.0 | Entry::LIT, end: slot.start });
            } else {
                text.push_str(self.arena(slot.start, slot.len));
                entries.push(Entry { field: field.0, end: text.len() as u32 });
            }
        }
        let extra: Vec<(Space, Box<str>, Box<str>)> = self
            .extra
            .iter()
            .map(|extra| (extra.space, (&*extra.key).into(), extra.value.get(self, pool).into()))
            .collect();
        let rest = (self.kind == Kind::Overflow || keep_tree || !extra.is_empty()).then(|| {
            Box::new(Rest {
                extra,
                unmarshaled: if keep_tree { self.unmarshaled.clone() } else { Map::default() },
                overflow: self.overflow.as_deref().cloned(),
            })
        });
        Snapshot {
            text: text.into_boxed_str(),
            entries: entries.into_boxed_slice(),
            time: self.time,
            kind: self.kind,
            time_mode: self.time_mode,
            stamp: self.kept_stamp(pool),
            rest,
        }
    }

    /// The stamp a bucket keeps: that of the line, and of what it says. The place of a line can come
    /// back in a file that was written anew; the same text at the same place hardly does.
    fn kept_stamp(&self, pool: &Pool) -> Stamp {
        if self.stamp.is_none() || self.kind == Kind::Overflow {
            return self.stamp;
        }
        let mut hasher = SipHasher13::new_with_keys(self.stamp.bits(), 0);
        hasher.write(self.get(known::LINE_RAW, pool).unwrap_or("").as_bytes());
        Stamp::of(hasher.finish())
    }
}

fn slot_of(text: &Text) -> Option<Slot> {
    match text {
        Text::Arena { start, len } => Some(Slot { generation: 0, start: *start, len: *len }),
        Text::Lit(lit) => Some(Slot { generation: 0, start: lit.0, len: LIT }),
        Text::Shared(_) => None,
    }
}

/// Appends bytes as UTF-8. Each byte that is no part of a character becomes U+FFFD, as Go's JSON
/// encoder would make it, so that everything after this point is text.
fn push_utf8(arena: &mut String, mut bytes: &[u8]) {
    loop {
        match core::str::from_utf8(bytes) {
            Ok(text) => return arena.push_str(text),
            Err(error) => {
                let (good, rest) = bytes.split_at(error.valid_up_to());
                arena.push_str(core::str::from_utf8(good).unwrap_or(""));
                arena.push(char::REPLACEMENT_CHARACTER);
                bytes = &rest[1..];
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The field's number, and [`Entry::LIT`].
    field: u16,
    /// Where its text ends, or the number of a literal.
    end: u32,
}

impl Entry {
    const LIT: u16 = 1 << 15;
}

/// What a bucket keeps of an event: Meta, the few other fields that something reads later, and the time.
///
/// Packed, because a million buckets hold a million of these: values that came from rules are
/// numbers, the rest is one text.
#[derive(Debug)]
pub struct Snapshot {
    text: Box<str>,
    entries: Box<[Entry]>,
    /// `evt.Time`
    pub time: Time,
    /// Log or overflow.
    pub kind: Kind,
    /// Whose clock the event follows.
    pub time_mode: TimeMode,
    /// Tells the event from all others, what its line says included.
    pub(crate) stamp: Stamp,
    rest: Option<Box<Rest>>,
}

/// The parts few events have.
#[derive(Debug)]
struct Rest {
    extra: Vec<(Space, Box<str>, Box<str>)>,
    unmarshaled: Map,
    overflow: Option<Overflow>,
}

impl Snapshot {
    /// The fields that were kept, with their texts.
    pub fn fields<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = (FieldId, &'a str)> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            if entry.field & Entry::LIT != 0 {
                return (FieldId(entry.field & !Entry::LIT), pool.lit_text(LitId(entry.end)));
            }
            let range = start..entry.end as usize;
            start = entry.end as usize;
            (FieldId(entry.field), self.text.get(range).unwrap_or(""))
        })
    }

    /// The same for another program, whose fields have other numbers.
    #[must_use]
    pub(crate) fn renamed(&self, from: &Pool, to: &Pool) -> Self {
        let (mut text, mut entries, mut extra) = (String::new(), Vec::new(), Vec::new());
        let fields = self.fields(from).map(|(field, value)| {
            let (space, key) = from.field_name(field);
            (space, key, value)
        });
        let others = self.rest.iter().flat_map(|rest| &rest.extra);
        let others = others.map(|(space, key, value)| (*space, &**key, &**value));
        for (space, key, value) in fields.chain(others) {
            match to.find_field(space, key) {
                Some(field) => {
                    text.push_str(value);
                    entries.push(Entry { field: field.0, end: text.len() as u32 });
                }
                None => extra.push((space, Box::<str>::from(key), Box::<str>::from(value))),
            }
        }
        let rest = (self.rest.is_some() || !extra.is_empty()).then(|| {
            Box::new(Rest {
                extra,
                unmarshaled: self.unmarshaled().cloned().unwrap_or_default(),
                overflow: self.overflow().cloned(),
            })
        });
        Self { text: text.into_boxed_str(), entries: entries.into_boxed_slice(), rest, ..*self }
    }

    /// The text of a field.
    #[must_use]
    pub fn get<'a>(&'a self, field: FieldId, pool: &'a Pool) -> Option<&'a str> {
        self.fields(pool).find(|(kept, _)| *kept == field).map(|(_, text)| text)
    }

    /// A field by a computed name.
    #[must_use]
    pub fn named<'a>(&'a self, space: Space, key: &str, pool: &'a Pool) -> Option<&'a str> {
        if let Some(field) = pool.find_field(space, key) {
            return self.get(field, pool);
        }
        let rest = self.rest.as_ref()?;
        rest.extra
            .iter()
            .find(|(of, name, _)| *of == space && &**name == key)
            .map(|(_, _, value)| &**value)
    }

    /// All pairs of a map of texts, sorted by key.
    #[must_use]
    pub fn pairs<'a>(&'a self, space: Space, pool: &'a Pool) -> Vec<(&'a str, &'a str)> {
        let mut fields: Vec<(FieldId, &str)> =
            self.fields(pool).filter(|(field, _)| pool.field_name(*field).0 == space).collect();
        // Sorting by key is sorting by rank, and comparing numbers is quick.
        fields.sort_unstable_by_key(|(field, _)| pool.rank(*field));
        fields.dedup_by_key(|(field, _)| *field);
        let mut pairs: Vec<(&str, &str)> =
            fields.into_iter().map(|(field, text)| (pool.field_name(field).1, text)).collect();
        let extra = self.rest.iter().flat_map(|rest| &rest.extra);
        let n_fields = pairs.len();
        pairs.extend(
            extra.filter(|(of, ..)| *of == space).map(|(_, key, value)| (&**key, &**value)),
        );
        if pairs.len() > n_fields {
            pairs.sort_unstable();
        }
        pairs
    }

    /// `evt.Unmarshaled`, when something reads it after the pour.
    #[must_use]
    pub fn unmarshaled(&self) -> Option<&Map> {
        self.rest.as_ref().map(|rest| &rest.unmarshaled)
    }

    /// `evt.Overflow` of an overflow event.
    #[must_use]
    pub fn overflow(&self) -> Option<&Overflow> {
        self.rest.as_ref().and_then(|rest| rest.overflow.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::ToOwned;

    fn event_with(pool: &Pool, line: &[u8]) -> Event {
        let mut event = Event::new(pool.n_fields());
        let source = LineSource {
            module: "file".to_owned(),
            src: "/var/log/x".to_owned(),
            labels: [("type".to_owned(), "syslog".to_owned())].into(),
            time_mode: TimeMode::Live,
        };
        event.begin_line(SourceId(0), &source, line, pool);
        event
    }

    #[test]
    fn a_line_and_its_source_are_fields() {
        let pool = Pool::new();
        let event = event_with(&pool, b"hello");
        assert_eq!(event.get(known::LINE_RAW, &pool), Some("hello"));
        assert_eq!(event.get(known::LINE_SRC, &pool), Some("/var/log/x"));
        assert_eq!(event.get(known::LABEL_TYPE, &pool), Some("syslog"));
        assert_eq!(event.get(known::META_SOURCE_IP, &pool), None);
    }

    #[test]
    fn bad_bytes_become_replacement_characters() {
        let pool = Pool::new();
        let event = event_with(&pool, b"a\xff\xfe\xc3\x28b");
        assert_eq!(event.get(known::LINE_RAW, &pool), Some("a\u{fffd}\u{fffd}\u{fffd}(b"));
    }

    #[test]
    fn a_snapshot_keeps_meta_and_what_was_asked_for() {
        let mut pool = Pool::new();
        let user = pool.field(Space::Meta, "user");
        let service = pool.field(Space::Meta, "service");
        let dropped = pool.field(Space::Parsed, "dropped");
        let ssh = pool.lit("ssh");
        pool.finish();
        let mut event = event_with(&pool, b"root ssh");
        event.set(user, true, &Text::Arena { start: 20, len: 4 });
        event.set(service, true, &Text::Lit(ssh));
        event.set_text(dropped, "gone");
        event.set_text(known::ISO_CODE, "FR");
        let raw = event.get(known::LINE_RAW, &pool).map(str::to_owned);
        assert_eq!(raw.as_deref(), Some("root ssh"));
        let kept = event.snapshot(&[known::ISO_CODE, known::AS_ORG], false, &pool);
        assert_eq!(kept.get(service, &pool), Some("ssh"));
        assert_eq!(kept.get(known::ISO_CODE, &pool), Some("FR"));
        assert_eq!(kept.get(dropped, &pool), None);
        assert_eq!(kept.pairs(Space::Meta, &pool).len(), 2);
    }

    #[test]
    fn the_next_line_starts_empty() {
        let mut pool = Pool::new();
        let user = pool.field(Space::Meta, "user");
        let mut event = event_with(&pool, b"one");
        event.set_named(Space::Meta, "user", Text::Shared(Arc::from("root")), &pool);
        event.set_named(Space::Meta, "unknown", Text::Shared(Arc::from("x")), &pool);
        assert_eq!(event.get(user, &pool), Some("root"));
        assert_eq!(event.pairs(Space::Meta, &pool), [("unknown", "x"), ("user", "root")]);
        event.begin_line(SourceId(0), &LineSource::default(), b"two", &pool);
        assert!(event.pairs(Space::Meta, &pool).is_empty());
    }
}
