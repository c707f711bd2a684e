//! From the YAML library's events to the tree.
//!
//! The tree is built on an explicit stack, so no text can exhaust ours. Aliases are replaced by
//! copies of what they name; each copy is paid for from a budget before it is made, so a small file
//! cannot unfold into a large one. A mistake in one place (a key that is there twice, an alias to
//! nothing) is reported and read past; only where the library itself is lost does reading stop.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use saphyr_parser as saphyr;

use super::explain;
use super::repair::Repaired;
use super::scalar::{Scalar, ScalarStyle};
use super::trace;
use super::{Node, Yaml};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{FileId, Sources, Span};

/// The largest text that is read at all, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// How deep maps and lists may be nested, aliases included.
pub const MAX_DEPTH: usize = 128;

/// How many nodes one file may unfold into, aliases included.
pub const MAX_NODES: usize = 200_000;

/// How many bytes of text aliases may copy.
const MAX_COPIED: usize = MAX_BYTES;

/// How many mistakes of one file are reported. More of the same help nobody.
const MAX_REPORTS: usize = 100;

/// Reads all documents of a file.
///
/// Documents without content (nothing or only comments between two `---`) are left out. Everything
/// wrong is pushed to `diags`. A syntax error ends reading; the documents before it are returned.
pub fn parse(file: FileId, sources: &Sources, diags: &mut Diagnostics) -> Vec<Yaml> {
    let text = sources.text(file);
    if let Some(refusal) = refuse(file, text) {
        diags.push(refusal);
        return Vec::new();
    }
    let mut repaired = Repaired::new(text);
    loop {
        let mut builder = Builder {
            file,
            text,
            offsets: Offsets::new(&repaired),
            diags: Diagnostics::new(),
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes_left: MAX_NODES,
            bytes_left: MAX_COPIED,
        };
        let complaint = builder.read(saphyr::Parser::new_from_str(repaired.text()));
        let Builder { diags: found, documents, .. } = builder;
        if let Some((words, at)) = complaint {
            if repaired.repair(&words, at) {
                continue;
            }
            diags.extend(found);
            diags.push(explain::syntax_error(&words, file, text, at));
        } else {
            diags.extend(found);
        }
        return documents;
    }
}

/// Finds what makes a text unfit to be read: its size, or a character YAML does not know.
fn refuse(file: FileId, text: &str) -> Option<Diagnostic> {
    if text.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_BYTES >> 20);
        return Some(Diagnostic::error(codes::YAML_TOO_BIG, message).at(Span::new(file, 0, 0), ""));
    }
    let is_allowed = |at: usize, char: char| match char {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'.. => {
            !matches!(char, '\u{fffe}' | '\u{ffff}')
        }
        _ => at == 0 && char == '\u{feff}',
    };
    let (at, char) = text.char_indices().find(|&(at, char)| !is_allowed(at, char))?;
    let message = format!("the character U+{:04X} is not allowed in YAML", u32::from(char));
    let diagnostic = Diagnostic::error(codes::YAML_CHARACTER, message)
        .at(Span::new(file, at, at + char.len_utf8()), "")
        .help(format!("in a double-quoted text it can be written as `\\u{:04x}`", u32::from(char)));
    Some(diagnostic)
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    offsets: Offsets<'a>,
    diags: Diagnostics,
    documents: Vec<Yaml>,
    /// The maps and lists around the current place, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes_left: usize,
    bytes_left: usize,
}

/// A map or list that has not ended yet.
struct Open {
    start: usize,
    /// The end of what was read last in it.
    end: usize,
    anchor: usize,
    tag: Option<String>,
    content: Content,
}

enum Content {
    Seq(Vec<Yaml>),
    Map { entries: Vec<(Yaml, Yaml)>, key: Option<Yaml> },
}

/// What an anchor names, and what a copy of it costs.
struct Anchored {
    yaml: Yaml,
    cost: Cost,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    n_nodes: usize,
    n_bytes: usize,
    depth: usize,
}

/// Reading cannot go on.
type Stop = Diagnostic;

impl Builder<'_> {
    /// Takes events until they end or reading cannot go on. Returns the library's complaint, if it
    /// has one, in its own words and with its place.
    fn read(
        &mut self,
        events: saphyr::Parser<'_, saphyr::StrInput<'_>>,
    ) -> Option<(String, usize)> {
        for event in events {
            match event {
                Ok((event, place)) => {
                    if let Err(stop) = self.event(event, place) {
                        self.diags.push(stop);
                        return None;
                    }
                }
                Err(error) => {
                    let at = self.offsets.byte(error.marker().index());
                    return Some((error.info().to_owned(), at));
                }
            }
        }
        None
    }

    fn event(&mut self, event: saphyr::Event<'_>, place: saphyr::Span) -> Result<(), Stop> {
        let start = self.offsets.byte(place.start.index());
        let end = self.offsets.byte(place.end.index()).max(start);
        match event {
            saphyr::Event::DocumentStart(_) => self.anchors.clear(),
            saphyr::Event::Alias(anchor) => self.alias(anchor, start, end)?,
            saphyr::Event::Scalar(value, style, anchor, tag) => {
                let tag = tag.map(|tag| tag_text(&tag));
                self.scalar(value.into_owned(), style, anchor, tag, start..end)?;
            }
            saphyr::Event::SequenceStart(anchor, tag) => {
                self.open(anchor, tag.as_deref(), start, Content::Seq(Vec::new()))?;
            }
            saphyr::Event::MappingStart(anchor, tag) => {
                self.open(
                    anchor,
                    tag.as_deref(),
                    start,
                    Content::Map { entries: Vec::new(), key: None },
                )?;
            }
            saphyr::Event::SequenceEnd | saphyr::Event::MappingEnd => self.close(start, end)?,
            saphyr::Event::Nothing
            | saphyr::Event::StreamStart
            | saphyr::Event::StreamEnd
            | saphyr::Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        value: String,
        style: saphyr::ScalarStyle,
        anchor: usize,
        tag: Option<String>,
        place: Range<usize>,
    ) -> Result<(), Stop> {
        let style = match style {
            saphyr::ScalarStyle::Plain => ScalarStyle::Plain,
            saphyr::ScalarStyle::SingleQuoted => ScalarStyle::Single,
            saphyr::ScalarStyle::DoubleQuoted => ScalarStyle::Double,
            saphyr::ScalarStyle::Literal => ScalarStyle::Literal,
            saphyr::ScalarStyle::Folded => ScalarStyle::Folded,
        };
        let is_empty = style == ScalarStyle::Plain && value.is_empty();
        if is_empty && self.open.is_empty() && anchor == 0 && tag.is_none() {
            // A document without content.
            return Ok(());
        }
        let start = if is_empty {
            self.place_of_nothing(&place)
        } else if anchor == 0 && tag.is_none() {
            place.start
        } else {
            let start = self.skip_properties(place.start);
            match style {
                ScalarStyle::Literal | ScalarStyle::Folded => self.skip_block_header(start),
                ScalarStyle::Plain | ScalarStyle::Single | ScalarStyle::Double => start,
            }
        };
        let limit = if is_empty { start } else { place.end };
        let value = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                self.without_added_break(value, start, place.end)
            }
            ScalarStyle::Plain | ScalarStyle::Single | ScalarStyle::Double => value,
        };
        let reading = trace::read(self.text, start, limit, style, &value);
        let span = Span::new(self.file, reading.range.start, reading.range.end);
        let is_text = matches!(tag.as_deref(), Some("!" | "tag:yaml.org,2002:str"));
        let scalar = Scalar { text: value, style, span, is_text, trace: reading.trace };
        self.add(Yaml { span, node: Node::Scalar(scalar), tag }, anchor, reading.range.end)
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&saphyr::Tag>,
        start: usize,
        content: Content,
    ) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        let start = if anchor == 0 && tag.is_none() { start } else { self.skip_properties(start) };
        self.open.push(Open { start, end: start, anchor, tag: tag.map(tag_text), content });
        Ok(())
    }

    fn close(&mut self, start: usize, end: usize) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // Only a closing bracket is written; the end of a block lies where its content ends.
        let is_bracket =
            start < end && matches!(self.text.as_bytes().get(start), Some(b']' | b'}'));
        let end = if is_bracket { start + 1 } else { open.end };
        let node = match open.content {
            Content::Seq(elements) => Node::Seq(elements),
            Content::Map { entries, .. } => {
                let entries = self.unique(entries);
                Node::Map(self.merge(entries))
            }
        };
        let span = Span::new(self.file, open.start, end);
        self.add(Yaml { span, node, tag: open.tag }, open.anchor, end)
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Stop> {
        let Some(Anchored { cost, .. }) = self.anchors.get(&anchor) else {
            let is_within = self.open.iter().any(|open| open.anchor == anchor);
            let message = if is_within {
                "an alias cannot stand inside what it names"
            } else {
                "no such anchor"
            };
            let span = Span::new(self.file, start, end);
            self.report(Diagnostic::error(codes::YAML_ALIAS, message).at(span, ""));
            let nothing = Scalar::nothing(Span::new(self.file, start, start));
            return self.add(Yaml { span, node: Node::Scalar(nothing), tag: None }, 0, end);
        };
        let cost = *cost;
        if self.open.len() + cost.depth > MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        self.pay(cost, start)?;
        let Some(Anchored { yaml, .. }) = self.anchors.get(&anchor) else { return Ok(()) };
        let yaml = yaml.clone();
        self.place(yaml, end);
        Ok(())
    }

    /// Adds a node that was written here.
    fn add(&mut self, yaml: Yaml, anchor: usize, end: usize) -> Result<(), Stop> {
        self.pay(Cost { n_nodes: 1, ..Cost::default() }, end)?;
        if anchor != 0 {
            let cost = cost(&yaml);
            self.pay(cost, end)?;
            self.anchors.insert(anchor, Anchored { yaml: yaml.clone(), cost });
        }
        self.place(yaml, end);
        Ok(())
    }

    /// Puts a node where it belongs.
    fn place(&mut self, yaml: Yaml, end: usize) {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(yaml);
            return;
        };
        open.end = open.end.max(end);
        match &mut open.content {
            Content::Seq(elements) => elements.push(yaml),
            Content::Map { entries, key } => match key.take() {
                Some(key) => entries.push((key, yaml)),
                None => *key = Some(yaml),
            },
        }
    }

    fn pay(&mut self, cost: Cost, at: usize) -> Result<(), Stop> {
        let nodes_left = self.nodes_left.checked_sub(cost.n_nodes);
        let bytes_left = self.bytes_left.checked_sub(cost.n_bytes);
        let message = match (nodes_left, bytes_left) {
            (Some(nodes_left), Some(bytes_left)) => {
                self.nodes_left = nodes_left;
                self.bytes_left = bytes_left;
                return Ok(());
            }
            (None, _) => format!("the file unfolds into more than {MAX_NODES} nodes"),
            (_, None) => format!("aliases copy more than {} MiB of text", MAX_COPIED >> 20),
        };
        let place = self.char_at(at);
        Err(Diagnostic::error(codes::YAML_TOO_BIG, message).at(place, "here the limit is reached"))
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diags.len() < MAX_REPORTS {
            self.diags.push(diagnostic);
        }
    }

    fn too_deep(&self, at: usize) -> Stop {
        explain::too_deep(self.char_at(at))
    }

    /// Reports keys that are there twice and drops all but the first.
    fn unique(&mut self, entries: Vec<(Yaml, Yaml)>) -> Vec<(Yaml, Yaml)> {
        let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
        let mut twins: HashSet<usize> = HashSet::new();
        for (at, (key, _)) in entries.iter().enumerate() {
            let Some(scalar) = key.as_scalar() else { continue };
            if is_merge(key) {
                continue;
            }
            let Some(&first) = seen.get(scalar.text.as_str()) else {
                seen.insert(&scalar.text, key.span);
                continue;
            };
            twins.insert(at);
            let message = format!("the key `{}` is there twice", shorten(&scalar.text));
            let twin = Diagnostic::error(codes::YAML_DUPLICATE_KEY, message)
                .at(key.span, "again here")
                .see(first, "first here");
            self.report(twin);
        }
        if twins.is_empty() {
            return entries;
        }
        let kept = entries.into_iter().enumerate().filter(|(at, _)| !twins.contains(at));
        kept.map(|(_, entry)| entry).collect()
    }

    /// Replaces merge keys by the entries they bring. What the map says itself counts more, then
    /// what was named first.
    fn merge(&mut self, entries: Vec<(Yaml, Yaml)>) -> Vec<(Yaml, Yaml)> {
        if !entries.iter().any(|(key, _)| is_merge(key)) {
            return entries;
        }
        let own = entries.iter().filter(|(key, _)| !is_merge(key));
        let mut known: HashSet<String> =
            own.filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect();
        let mut merged = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if !is_merge(&key) {
                merged.push((key, value));
                continue;
            }
            let parts = match value.node {
                Node::Seq(parts) => parts,
                Node::Map(_) | Node::Scalar(_) => vec![value],
            };
            for part in parts {
                let Node::Map(brought) = part.node else {
                    let message = "a merge key takes a map or a list of maps";
                    let wrong = Diagnostic::error(codes::YAML_MERGE, message)
                        .at(part.span, "this is neither")
                        .see(key.span, "merged here");
                    self.report(wrong);
                    continue;
                };
                let mut is_new =
                    |key: &Yaml| key.as_str().is_none_or(|name| known.insert(name.to_owned()));
                merged.extend(brought.into_iter().filter(|(key, _)| is_new(key)));
            }
        }
        merged
    }

    /// Takes back the line break that the library adds to a block that ends with the file.
    ///
    /// COMPAT(crowdsec): upstream's reader takes such a block as it is.
    fn without_added_break(&self, mut value: String, start: usize, end: usize) -> String {
        let indent = start - self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let last_line = self.text.len() - self.text.rfind('\n').map_or(0, |at| at + 1);
        if end == self.text.len() && last_line >= indent.max(1) && value.ends_with('\n') {
            value.pop();
        }
        value
    }

    /// Returns where a value that was left out would have stood.
    fn place_of_nothing(&self, place: &Range<usize>) -> usize {
        let is_indicator =
            matches!(self.text.as_bytes().get(place.start), Some(b':' | b'-' | b'?'));
        if is_indicator { place.start + 1 } else { place.start }
    }

    /// Steps over anchors and tags to what they belong to.
    fn skip_properties(&self, start: usize) -> usize {
        let mut at = start;
        loop {
            let rest = &self.text[at..];
            let skipped = match rest.as_bytes().first() {
                Some(b'&' | b'!') => rest.find(char::is_whitespace).unwrap_or(rest.len()),
                Some(b' ' | b'\t' | b'\r' | b'\n') if at > start => 1,
                Some(b'#') if at > start => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                _ => return at,
            };
            at += skipped;
        }
    }

    /// Steps from a block's `|` or `>` to its first text.
    fn skip_block_header(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        let header = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let blank = rest[header..].find(|char| !matches!(char, ' ' | '\n' | '\r'));
        start + header + blank.unwrap_or(0)
    }

    fn char_at(&self, at: usize) -> Span {
        let end = self.text.ceil_char_boundary(at.saturating_add(1));
        Span::new(self.file, at, end.max(at))
    }
}

/// Says whether a key asks for a merge. Only the bare word does; `"<<"` is a name like any other.
fn is_merge(key: &Yaml) -> bool {
    match key.as_scalar() {
        Some(scalar) => {
            scalar.style == ScalarStyle::Plain && scalar.text == "<<" && !scalar.is_text
        }
        None => false,
    }
}

fn tag_text(tag: &saphyr::Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

/// Returns what a copy costs. The tree is at most `MAX_DEPTH` deep, so recursion is safe.
fn cost(yaml: &Yaml) -> Cost {
    let own = yaml.tag.as_ref().map_or(0, String::len);
    let mut total = Cost { n_nodes: 1, n_bytes: own, depth: 0 };
    let mut add = |part: &Yaml| {
        let part = cost(part);
        total.n_nodes += part.n_nodes;
        total.n_bytes += part.n_bytes;
        total.depth = total.depth.max(part.depth);
    };
    match &yaml.node {
        Node::Scalar(scalar) => {
            total.n_bytes += scalar.size();
            return total;
        }
        Node::Seq(elements) => elements.iter().for_each(add),
        Node::Map(entries) => entries.iter().for_each(|(key, value)| {
            add(key);
            add(value);
        }),
    }
    total.depth += 1;
    total
}

/// Cuts a name for a message.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 60;
    match name.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// Turns the library's places, which count characters, into offsets of bytes.
struct Offsets<'a> {
    repaired: &'a Repaired<'a>,
    /// The offset of every `STEP`th character; empty if all characters are one byte long.
    marks: Vec<usize>,
}

impl<'a> Offsets<'a> {
    const STEP: usize = 128;

    fn new(repaired: &'a Repaired<'a>) -> Self {
        let text = repaired.text();
        let marks = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STEP).map(|(at, _)| at).collect()
        };
        Self { repaired, marks }
    }

    /// Returns the offset of a character in the original text.
    fn byte(&self, char: usize) -> usize {
        self.repaired.original_offset(self.repaired_byte(char))
    }

    fn repaired_byte(&self, char: usize) -> usize {
        let text = self.repaired.text();
        if self.marks.is_empty() {
            return char.min(text.len());
        }
        let Some(&mark) = self.marks.get(char / Self::STEP) else { return text.len() };
        text[mark..].char_indices().nth(char % Self::STEP).map_or(text.len(), |(at, _)| mark + at)
    }
}
