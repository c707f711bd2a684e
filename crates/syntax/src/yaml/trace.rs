//! Which byte of a scalar's value was written where.
//!
//! The YAML library gives a value and a place but not the way between them, so the text is read a
//! second time here, by the same rules, noting each stretch that was copied and each that was
//! replaced (an escape, a doubled quote, a folded line break). Should the two readings ever
//! disagree, the library's value stands and the whole scalar becomes one stretch that cannot be cut:
//! diagnostics get coarser, nothing gets wrong.

use std::ops::Range;

use super::scalar::ScalarStyle;
use crate::source::narrow;

/// The way from a value back to its source.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// Where the value's first byte was written.
    origin: u32,
    /// Empty if every byte of the value was copied from `origin` on, which is the common case.
    pieces: Box<[Piece]>,
}

/// A stretch of the value.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The offset of its first byte in the value.
    value: u32,
    /// The offset of its first byte in the source.
    source: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Byte for byte the same in both.
    Copied,
    /// Stands for this many bytes of source.
    Replaced(u32),
}

/// A scalar as the second reading found it.
pub(super) struct Reading {
    /// The bytes of the scalar in the source, quotes included.
    pub(super) range: Range<usize>,
    pub(super) trace: Trace,
}

impl Trace {
    /// Makes the trace of a value whose bytes were all copied from `origin` on.
    pub(super) fn copied_from(origin: u32) -> Self {
        Self { origin, pieces: Box::default() }
    }

    /// Returns how many bytes a copy takes besides the trace itself.
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.pieces)
    }

    /// Returns where the bytes `range` of the value were written. `range` must lie in the value.
    pub(super) fn locate(&self, start: usize, end: usize) -> Range<usize> {
        let from = self.start_of(start);
        if start == end {
            return from..from;
        }
        from..self.end_of(end).max(from)
    }

    fn start_of(&self, offset: usize) -> usize {
        let Some(piece) = self.piece_at(offset) else { return self.origin as usize + offset };
        let source = piece.source as usize;
        match piece.kind {
            Kind::Copied => source + (offset - piece.value as usize),
            Kind::Replaced(_) => source,
        }
    }

    fn end_of(&self, offset: usize) -> usize {
        let Some(piece) = self.piece_at(offset - 1) else { return self.origin as usize + offset };
        let source = piece.source as usize;
        match piece.kind {
            Kind::Copied => source + (offset - piece.value as usize),
            Kind::Replaced(length) => source + length as usize,
        }
    }

    fn piece_at(&self, offset: usize) -> Option<&Piece> {
        let offset = narrow(offset);
        let next = self.pieces.partition_point(|piece| piece.value <= offset);
        self.pieces.get(next.checked_sub(1)?)
    }
}

/// Reads the scalar that starts at `start` and ends no later than `limit` a second time, and traces
/// `value` back to it.
pub(super) fn read(
    text: &str,
    start: usize,
    limit: usize,
    style: ScalarStyle,
    value: &str,
) -> Reading {
    let mut reader = Reader {
        text,
        at: start,
        limit,
        value: String::with_capacity(value.len()),
        pieces: Vec::new(),
    };
    let origin = match style {
        ScalarStyle::Single | ScalarStyle::Double => start + 1,
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => start,
    };
    match style {
        ScalarStyle::Plain => reader.plain(),
        ScalarStyle::Single => reader.single(),
        ScalarStyle::Double => reader.double(),
        ScalarStyle::Literal => reader.literal(value),
        ScalarStyle::Folded => reader.folded(value),
    }
    let range = start..reader.at.clamp(start, limit.max(start));
    if reader.value != value {
        let whole = Kind::Replaced(narrow(range.len()));
        let pieces = Box::new([Piece { value: 0, source: narrow(start), kind: whole }]);
        return Reading { range, trace: Trace { origin: narrow(start), pieces } };
    }
    let is_copy = match reader.pieces.as_slice() {
        [] => true,
        [piece] => matches!(piece.kind, Kind::Copied) && piece.source as usize == origin,
        _ => false,
    };
    let pieces = if is_copy { Box::default() } else { reader.pieces.into_boxed_slice() };
    Reading { range, trace: Trace { origin: narrow(origin), pieces } }
}

/// The second reading. Each style leaves `at` after the last byte of the scalar.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    limit: usize,
    value: String,
    pieces: Vec<Piece>,
}

impl<'a> Reader<'a> {
    /// Lines joined by folding; no escapes.
    fn plain(&mut self) {
        // The library's end may lie behind trailing blanks, which are no part of the value.
        self.limit = self.at + self.rest().trim_end_matches(is_white).len();
        while self.peek().is_some() {
            self.word_or_fold(|_| false);
        }
    }

    /// As plain, but `''` is one quote and a lone quote ends it.
    fn single(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' if self.rest().starts_with("''") => self.replace("'", 2),
                b'\'' => {
                    self.at += 1;
                    return;
                }
                _ => self.word_or_fold(|byte| byte == b'\''),
            }
        }
    }

    /// As plain, with backslash escapes, until a quote.
    fn double(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' if !self.escape() => return,
                b'\\' => {}
                _ => self.word_or_fold(|byte| byte == b'"' || byte == b'\\'),
            }
        }
    }

    /// Copies a run of visible characters, or copies or folds a run of white space.
    fn word_or_fold(&mut self, is_special: fn(u8) -> bool) {
        let rest = self.rest();
        let n_white = rest.len() - rest.trim_start_matches(is_white).len();
        let white = &rest[..n_white];
        if n_white == 0 {
            let is_end = |byte: u8| is_special(byte) || is_white(char::from(byte));
            let end = rest.bytes().position(is_end).unwrap_or(rest.len());
            self.copy(end.max(1));
            return;
        }
        match count_breaks(white) {
            0 => self.copy(n_white),
            1 => self.replace(" ", n_white),
            n_breaks => self.replace(&"\n".repeat(n_breaks - 1), n_white),
        }
    }

    /// Reads one escape; says whether it was one.
    fn escape(&mut self) -> bool {
        let rest = self.rest();
        let Some(kind) = rest[1..].chars().next() else { return false };
        let n_digits = match kind {
            '\n' | '\r' => {
                // The break and the white space around it vanish; empty lines after it stay.
                let white = &rest[1..rest.len() - rest[1..].trim_start_matches(is_white).len()];
                let n_white = 1 + white.len();
                self.replace(&"\n".repeat(count_breaks(white) - 1), n_white);
                return true;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let char = if n_digits > 0 {
            let digits =
                rest.get(2..2 + n_digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            digits.and_then(char::from_u32)
        } else {
            named_escape(kind)
        };
        let Some(char) = char else { return false };
        self.replace(char.encode_utf8(&mut [0; 4]), 1 + kind.len_utf8() + n_digits);
        true
    }

    /// Lines as they are, without their indentation, as far as `value` goes.
    fn literal(&mut self, value: &str) {
        let indent = self.enter_block(value);
        while self.value.len() < value.len() && self.peek().is_some() {
            self.line();
            let after_text = self.at;
            if !self.line_break(value) {
                return;
            }
            self.skip_indent(indent, value);
            if self.value.len() >= value.len() {
                self.at = after_text;
            }
        }
    }

    /// Lines joined by folding, except around lines that are indented further.
    fn folded(&mut self, value: &str) {
        let indent = self.enter_block(value);
        let mut was_blank = false;
        let mut gap: Option<(usize, usize)> = None;
        while self.value.len() < value.len() && self.peek().is_some() {
            let is_blank = matches!(self.peek(), Some(b' ' | b'\t'));
            if let Some((from, n_breaks)) = gap.take() {
                let to = std::mem::replace(&mut self.at, from);
                let is_folded = !was_blank && !is_blank;
                match (is_folded, n_breaks) {
                    (true, 1) => self.replace(" ", to - from),
                    (true, _) => self.replace(&"\n".repeat(n_breaks - 1), to - from),
                    (false, _) => self.replace(&"\n".repeat(n_breaks), to - from),
                }
            }
            was_blank = is_blank;
            self.line();
            let from = self.at;
            let n_breaks = self.skip_breaks(indent);
            if n_breaks == 0 {
                break;
            }
            gap = Some((from, n_breaks));
            // What is left of the value are line breaks at the end, which are never folded.
            let left = value.get(self.value.len()..).unwrap_or("");
            if left.bytes().all(|byte| byte == b'\n') {
                let to = std::mem::replace(&mut self.at, from);
                self.replace(left, to - from);
                self.at = from;
                return;
            }
        }
        self.end_without_break(value);
    }

    /// Notes the line breaks before the first line with text, and returns the indentation.
    ///
    /// The library's place of a block is that of its first text, so the indentation is what stands
    /// before it, and leading line breaks lie outside. They are given no length.
    fn enter_block(&mut self, value: &str) -> usize {
        let n_breaks = value.bytes().take_while(|&byte| byte == b'\n').count();
        if n_breaks > 0 {
            self.replace(&value[..n_breaks], 0);
        }
        let before = &self.text[..self.at];
        before.len() - before.rfind(['\n', '\r']).map_or(0, |at| at + 1)
    }

    /// Copies up to the end of the line.
    fn line(&mut self) {
        let rest = self.rest();
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        self.copy(end);
    }

    /// Takes one line break into the value; says whether there was one.
    fn line_break(&mut self, value: &str) -> bool {
        let rest = self.rest();
        let length = break_length(rest);
        if length == 0 {
            self.end_without_break(value);
            return false;
        }
        if self.value.len() < value.len() {
            if rest.starts_with('\n') { self.copy(1) } else { self.replace("\n", length) }
        }
        true
    }

    /// Skips the indentation of the next line with text, taking line breaks on the way.
    fn skip_indent(&mut self, indent: usize, value: &str) {
        loop {
            let rest = self.rest();
            self.at += rest.bytes().take(indent).take_while(|&byte| byte == b' ').count();
            if break_length(self.rest()) == 0 || self.value.len() >= value.len() {
                return;
            }
            self.line_break(value);
        }
    }

    /// Skips line breaks and the indentation of the next line with text; returns how many breaks.
    fn skip_breaks(&mut self, indent: usize) -> usize {
        let mut n_breaks = 0;
        loop {
            let length = break_length(self.rest());
            if length == 0 {
                return n_breaks;
            }
            n_breaks += 1;
            self.at += length;
            self.at += self.rest().bytes().take(indent).take_while(|&byte| byte == b' ').count();
        }
    }

    /// A block that ends with the file gets a line break that nobody wrote.
    fn end_without_break(&mut self, value: &str) {
        if value.strip_suffix('\n').is_some_and(|value| value == self.value) {
            self.replace("\n", 0);
        }
    }

    fn copy(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let length = self.text.ceil_char_boundary(self.at + length) - self.at;
        let continues = self.pieces.last().is_some_and(|piece| {
            let n_copied = self.value.len() - piece.value as usize;
            matches!(piece.kind, Kind::Copied) && piece.source as usize + n_copied == self.at
        });
        if !continues {
            self.note(Kind::Copied);
        }
        self.value.push_str(&self.text[self.at..self.at + length]);
        self.at += length;
    }

    fn replace(&mut self, value: &str, length: usize) {
        if !value.is_empty() {
            self.note(Kind::Replaced(narrow(length)));
            self.value.push_str(value);
        }
        self.at += length;
    }

    fn note(&mut self, kind: Kind) {
        self.pieces.push(Piece { value: narrow(self.value.len()), source: narrow(self.at), kind });
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..self.limit).unwrap_or("")
    }

    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }
}

fn is_white(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}

/// Returns the length of the line break `text` starts with, or 0.
fn break_length(text: &str) -> usize {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

fn count_breaks(white: &str) -> usize {
    let n_pairs = white.matches("\r\n").count();
    white.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() - n_pairs
}

fn named_escape(name: char) -> Option<char> {
    Some(match name {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        ' ' | '"' | '/' | '\\' => name,
        _ => return None,
    })
}
