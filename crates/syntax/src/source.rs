//! The texts being compiled, and places in them.
//!
//! A [`Span`] is twelve bytes and knows its file, so it is copied freely into typed items and
//! program tables. It stays meaningful only together with the [`Sources`] that handed out its
//! [`FileId`].
//!
//! INVARIANT: asking about a place that does not exist is not an error. Unknown files are empty and
//! offsets are pulled back into the text and onto a character, because a diagnostic with a poor
//! place is still worth more than a panic.

use std::ops::Range;

/// Names one text of [`Sources`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Span {
    /// The file the range lies in.
    pub file: FileId,
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Makes the span of the bytes `start..end` of `file`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let start = narrow(start);
        Self { file, start, end: narrow(end).max(start) }
    }

    /// Returns the part `start..end` of this span, counted from its first byte and cut at its end.
    pub fn sub(self, start: usize, end: usize) -> Self {
        let start = self.start.saturating_add(narrow(start)).min(self.end);
        let end = self.start.saturating_add(narrow(end)).clamp(start, self.end);
        Self { file: self.file, start, end }
    }

    /// Returns the smallest span that holds both. Of two files the first one wins.
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Says whether `other` lies within this span.
    pub fn contains(self, other: Self) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }

    /// Returns the span as a range of bytes.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// All texts of one compilation.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    name: String,
    text: String,
    /// The offset of the first byte of each line; the first entry is 0.
    lines: Vec<u32>,
}

impl Sources {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text. `name` is what diagnostics call it: usually its path, as the author knows it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| narrow(at + 1))).collect();
        let file = FileId(narrow(self.files.len()));
        self.files.push(File { name: name.into(), text, lines });
        file
    }

    /// Returns the name of a file.
    pub fn name(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.name)
    }

    /// Returns the text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.text)
    }

    /// Returns the text of a span.
    pub fn slice(&self, span: Span) -> &str {
        &self.text(span.file)[self.fit(span)]
    }

    /// Returns the line and the column, both counted from 1 and in characters, where a span starts.
    pub fn line_col(&self, span: Span) -> (usize, usize) {
        let start = self.fit(span).start;
        let line = self.line_of(span.file, start);
        let from = self.line_range(span.file, line).start;
        (line + 1, self.text(span.file)[from..start].chars().count() + 1)
    }

    /// Returns a span's range, pulled back into the text and widened to whole characters.
    pub(crate) fn fit(&self, span: Span) -> Range<usize> {
        let text = self.text(span.file);
        let start = text.floor_char_boundary(span.range().start);
        let end = text.ceil_char_boundary(span.range().end);
        start..end.max(start)
    }

    /// Returns the line, counted from 0, that holds the byte at `offset`.
    pub(crate) fn line_of(&self, file: FileId, offset: usize) -> usize {
        let offset = narrow(offset);
        self.file(file)
            .map_or(0, |file| file.lines.partition_point(|&line| line <= offset).saturating_sub(1))
    }

    /// Returns the bytes of a line, counted from 0, without its line feed.
    pub(crate) fn line_range(&self, file: FileId, line: usize) -> Range<usize> {
        let Some(file) = self.file(file) else { return 0..0 };
        let start = file.lines.get(line).map_or(file.text.len(), |&at| at as usize);
        let end = file.lines.get(line + 1).map_or(file.text.len(), |&at| at as usize - 1);
        start..end.max(start)
    }

    fn file(&self, file: FileId) -> Option<&File> {
        self.files.get(file.0 as usize)
    }
}

/// Offsets past 4 GiB all become the last one: texts of that size are refused long before.
pub(crate) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        let mut sources = Sources::new();
        let file = sources.add("a", "one\nzwölf Boxkämpfer\n\nend");
        let at = |start| sources.line_col(Span::new(file, start, start));
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 4), "the line feed belongs to the line it ends");
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(8), (2, 4), "`ö` is one column");
        assert_eq!(at(sources.text(file).len()), (4, 4));
    }

    #[test]
    fn places_that_do_not_exist_are_pulled_back() {
        let mut sources = Sources::new();
        let file = sources.add("a", "ö");
        assert_eq!(sources.line_col(Span::new(file, 999, 1000)), (1, 2));
        assert_eq!(sources.slice(Span::new(file, 1, 1)), "ö", "half a character is the whole one");
        assert_eq!(sources.line_col(Span::new(FileId(7), 3, 4)), (1, 1));
        assert_eq!(sources.text(FileId(7)), "");
    }

    #[test]
    fn a_part_of_a_span_stays_inside() {
        let span = Span::new(FileId(0), 10, 20);
        assert_eq!(span.sub(2, 5), Span::new(FileId(0), 12, 15));
        assert_eq!(span.sub(8, 50), Span::new(FileId(0), 18, 20));
        assert_eq!(span.sub(50, 3), Span::new(FileId(0), 20, 20));
        assert!(span.contains(span.sub(2, 5)));
    }
}
