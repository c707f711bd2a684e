//! Reads a pattern in Go's `regexp/syntax` dialect (Perl flags) into a `regex_syntax` [`Hir`].
//!
//! The hub's patterns are written for RE2, and `regex_syntax`'s own parser reads another dialect: it
//! refuses some of them and, worse, silently gives others another meaning (`\d`, `\<`, `[a&&b]`). So
//! the text is read here, and everything after the parse is shared with the Rust regex engines.
//!
//! The loop below keeps open groups on a heap stack and never recurses, so its depth does not follow
//! the input. Time and memory are bounded by [`Budget`](scan::Budget) and the limits in `node`.
//!
//! INVARIANT: `parse` never panics, and an `Hir` it returns matches whole characters only, in
//! text that is valid UTF-8; captures are numbered from 1 in the order of their opening parentheses.
//!
//! Reading order: `scan` (cursor, errors, budget), `node` (trees and their limits), `group` (what
//! follows `(?`), `escape` (`\n`, `\x41`), `class` (`[…]`, `\d`), `unicode` (`\p{…}`, case folding).

mod class;
mod escape;
mod group;
mod node;
mod scan;
mod unicode;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::ops::Range;

use regex_syntax::hir::{Dot, Hir, Look};

use group::{Flags, Opening};
use node::{Limit, Node, Times};
use scan::{Budget, Scanner};

/// The longest pattern read, in bytes.
const MAX_PATTERN_LEN: usize = 1 << 20;

/// The most groups open at one place.
const MAX_OPEN_GROUPS: usize = 1000;

/// The largest count in `{n,m}`, and the largest product of nested counts.
const MAX_COUNT: u32 = 1000;

/// A pattern that cannot be read: why, and which bytes of the pattern are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in one phrase without the place.
    pub message: String,
    /// Where the faulty text starts: a byte offset into the pattern, on a character boundary.
    pub start: usize,
    /// Where the faulty text ends (exclusive): a byte offset into the pattern, on a character boundary.
    pub end: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.message, self.start)
    }
}

impl core::error::Error for SyntaxError {}

/// Reads `pattern` as RE2 does with Perl flags: `^` and `$` are the ends of the text, `.` stops at a
/// newline, classes are ASCII, and nothing folds case until `(?i)` says so.
///
/// # Errors
///
/// Returns the first mistake of the pattern. Look-around and back-references are mistakes: they
/// cannot be matched in linear time.
///
/// # Examples
///
/// ```
/// assert!(re2::parse(r"[[]%{x}\Q(\E").is_ok());
///
/// let error = re2::parse("a(?=b)").expect_err("look-around");
/// assert_eq!(error.message, "look-around is not supported: `(?=`");
/// assert_eq!((error.start, error.end), (1, 4));
/// ```
pub fn parse(pattern: &str) -> Result<Hir, SyntaxError> {
    if pattern.len() > MAX_PATTERN_LEN {
        let message = format!("the pattern is longer than {MAX_PATTERN_LEN} bytes");
        return Err(scan::error(message, 0..0));
    }
    Parser::new(pattern).run()
}

struct Parser<'p> {
    scanner: Scanner<'p>,
    budget: Budget,
    flags: Flags,
    group: Group<'p>,
    /// The groups around `group`, the whole pattern first.
    outer: Vec<Group<'p>>,
    names: BTreeSet<&'p str>,
    n_captures: u32,
    /// Where the repetition operator just read starts: another one directly after it is an error.
    repeated: Option<usize>,
}

/// A group whose closing parenthesis has not been read, or the whole pattern.
#[derive(Default)]
struct Group<'p> {
    open: Range<usize>,
    capture: Option<(u32, Option<&'p str>)>,
    /// The flags to return to after the group.
    flags: Flags,
    /// The finished alternatives.
    branches: Vec<Node>,
    /// The parts of the alternative being read, up to `text`.
    parts: Vec<Node>,
    /// Literal text that ends the alternative being read. Kept apart because a run of a thousand
    /// characters is one node, and because a repetition takes only its last character.
    text: String,
}

impl<'p> Parser<'p> {
    fn new(pattern: &'p str) -> Self {
        Self {
            scanner: Scanner::new(pattern),
            budget: Budget::default(),
            flags: Flags::default(),
            group: Group::default(),
            outer: Vec::new(),
            names: BTreeSet::new(),
            n_captures: 0,
            repeated: None,
        }
    }

    fn run(mut self) -> Result<Hir, SyntaxError> {
        while let Some(c) = self.scanner.peek() {
            let repeated = self.repeated.take();
            let start = self.scanner.at();
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.scanner.bump();
                    self.end_branch()?;
                }
                '^' => {
                    self.look(if self.flags.multi_line { Look::StartLF } else { Look::Start })?
                }
                '$' => self.look(if self.flags.multi_line { Look::EndLF } else { Look::End })?,
                '.' => {
                    self.scanner.bump();
                    self.dot(if self.flags.dot_newline {
                        Dot::AnyChar
                    } else {
                        Dot::AnyCharExceptLF
                    })?;
                }
                '[' => {
                    let class = class::bracket(&mut self.scanner, self.flags, &mut self.budget)?;
                    self.push(Node::class(class))?;
                }
                '*' => self.operator(Times::any(), start, repeated)?,
                '+' => self.operator(Times::at_least_one(), start, repeated)?,
                '?' => self.operator(Times::at_most_one(), start, repeated)?,
                '{' => match self.scanner.counter() {
                    Some(counter) => {
                        let times = self.times(counter, start)?;
                        self.repeat(times, start, repeated)?;
                    }
                    None => self.next_literal()?,
                },
                '\\' => self.backslash()?,
                _ => self.next_literal()?,
            }
        }
        if !self.outer.is_empty() {
            return Err(scan::error("missing closing `)`", self.group.open.clone()));
        }
        Ok(self.finish()?.into_hir())
    }

    /// Reads `(` and what belongs to it: a group's start, or flags for the rest of this group.
    fn open(&mut self) -> Result<(), SyntaxError> {
        let start = self.scanner.at();
        let opening = group::opening(&mut self.scanner, self.flags)?;
        let open = start..self.scanner.at();
        let (capture, inner_flags) = match opening {
            Opening::Flags(flags) => {
                self.flags = flags;
                return Ok(());
            }
            Opening::Group(flags) => (None, flags),
            Opening::Capture(name) => {
                if let Some(name) = name
                    && !self.names.insert(name)
                {
                    let message = format!("the group name `{}` is used twice", scan::cut(name));
                    return Err(scan::error(message, open));
                }
                self.n_captures += 1;
                (Some((self.n_captures, name)), self.flags)
            }
        };
        if self.outer.len() == MAX_OPEN_GROUPS {
            return Err(limit_error(Limit::Depth, open));
        }
        let group = Group { open, capture, flags: self.flags, ..Group::default() };
        self.outer.push(mem::replace(&mut self.group, group));
        self.flags = inner_flags;
        Ok(())
    }

    /// Reads `)`.
    fn close(&mut self) -> Result<(), SyntaxError> {
        let start = self.scanner.at();
        self.scanner.bump();
        let Some(outer) = self.outer.pop() else {
            return Err(scan::error("unexpected `)`", start..self.scanner.at()));
        };
        let mut node = self.finish()?;
        let group = mem::replace(&mut self.group, outer);
        self.flags = group.flags;
        if let Some((index, name)) = group.capture {
            let span = group.open.start..self.scanner.at();
            node = Node::capture(node, index, name.map(Box::from))
                .map_err(|limit| limit_error(limit, span))?;
        }
        self.push(node)
    }

    /// Joins everything read inside the open group, or in the whole pattern.
    fn finish(&mut self) -> Result<Node, SyntaxError> {
        self.end_branch()?;
        let branches = mem::take(&mut self.group.branches);
        self.join(branches, Node::alternation)
    }

    /// Ends the alternative being read.
    fn end_branch(&mut self) -> Result<(), SyntaxError> {
        self.flush_text()?;
        let parts = mem::take(&mut self.group.parts);
        let branch = self.join(parts, Node::concat)?;
        // A second empty alternative can never be reached: `(||||)` stays small.
        let previous = self.group.branches.last();
        if !(branch.is_empty() && previous.is_some_and(Node::is_empty)) {
            self.group.branches.push(branch);
        }
        Ok(())
    }

    fn join(
        &mut self,
        nodes: Vec<Node>,
        join: fn(Vec<Node>) -> Result<Node, Limit>,
    ) -> Result<Node, SyntaxError> {
        let span = self.group.open.start..self.scanner.at();
        // Joining flattens nested joins, so a deep nest would move its innermost parts once a level.
        let n_moved = nodes.iter().map(|node| 1 + node.n_children()).sum();
        self.budget.spend(n_moved, span.clone())?;
        join(nodes).map_err(|limit| limit_error(limit, span))
    }

    fn push(&mut self, node: Node) -> Result<(), SyntaxError> {
        self.flush_text()?;
        self.push_part(node)
    }

    /// Turns the pending literal text into a node.
    fn flush_text(&mut self) -> Result<(), SyntaxError> {
        if self.group.text.is_empty() {
            return Ok(());
        }
        let text = mem::take(&mut self.group.text);
        self.push_part(Node::literal(&text))
    }

    fn push_part(&mut self, node: Node) -> Result<(), SyntaxError> {
        let at = self.scanner.at();
        self.budget.spend(Budget::NODE, at..at)?;
        self.group.parts.push(node);
        Ok(())
    }

    fn look(&mut self, look: Look) -> Result<(), SyntaxError> {
        self.scanner.bump();
        self.push(Node::new(Hir::look(look)))
    }

    fn dot(&mut self, dot: Dot) -> Result<(), SyntaxError> {
        self.push(Node::new(Hir::dot(dot)))
    }

    /// Reads one character that stands for itself.
    fn next_literal(&mut self) -> Result<(), SyntaxError> {
        match self.scanner.bump() {
            Some(c) => self.literal(c),
            None => Ok(()),
        }
    }

    fn literal(&mut self, c: char) -> Result<(), SyntaxError> {
        if self.flags.fold
            && let Some(class) = unicode::fold_char(c)
        {
            return self.push(Node::class(class));
        }
        self.group.text.push(c);
        Ok(())
    }

    /// Reads what starts with a backslash, outside a class.
    fn backslash(&mut self) -> Result<(), SyntaxError> {
        let look = match self.scanner.peek_second() {
            Some('A') => Some(Look::Start),
            Some('z') => Some(Look::End),
            Some('b') => Some(Look::WordAscii),
            Some('B') => Some(Look::WordAsciiNegate),
            Some('Q') => return self.quoted(),
            Some('C') => {
                self.scanner.skip(2);
                // "Any byte" cannot be said of text that is UTF-8 throughout without splitting a
                // character; Go refuses it, RE2 users mean "anything, even a newline".
                return self.dot(Dot::AnyChar);
            }
            _ => None,
        };
        if let Some(look) = look {
            self.scanner.skip(1);
            return self.look(look);
        }
        if let Some(class) = class::escaped(&mut self.scanner, self.flags, &mut self.budget)? {
            return self.push(Node::class(class));
        }
        let code = escape::code_point(&mut self.scanner)?;
        match char::from_u32(code) {
            Some(c) => self.literal(c),
            // `\x{D800}` is a legal way to write a character that no text contains.
            None => {
                debug_assert!((0xD800..0xE000).contains(&code), "no code point: {code:#x}");
                self.push(Node::new(Hir::fail()))
            }
        }
    }

    /// Reads `\Q…\E`, or `\Q…` to the end of the pattern.
    fn quoted(&mut self) -> Result<(), SyntaxError> {
        self.scanner.skip(2);
        let rest = self.scanner.rest();
        let (text, end) = match rest.find(r"\E") {
            Some(len) => (&rest[..len], len + 2),
            None => (rest, rest.len()),
        };
        self.scanner.skip(end);
        text.chars().try_for_each(|c| self.literal(c))
    }

    /// Checks a counter read at `start` and gives it its meaning.
    fn times(&self, counter: scan::Counter, start: usize) -> Result<Times, SyntaxError> {
        let span = start..self.scanner.at();
        if counter.min > MAX_COUNT || counter.max.is_some_and(|max| max > MAX_COUNT) {
            return Err(scan::error(format!("repeat count is above {MAX_COUNT}"), span));
        }
        if counter.max.is_some_and(|max| max < counter.min) {
            return Err(scan::error("repeat count has its minimum above its maximum", span));
        }
        Ok(Times::counted(counter.min, counter.max))
    }

    /// Reads `*`, `+` or `?`, at `start`.
    fn operator(
        &mut self,
        times: Times,
        start: usize,
        repeated: Option<usize>,
    ) -> Result<(), SyntaxError> {
        self.scanner.bump();
        self.repeat(times, start, repeated)
    }

    /// Repeats the last part read; `start` is where the operator starts.
    fn repeat(
        &mut self,
        times: Times,
        start: usize,
        repeated: Option<usize>,
    ) -> Result<(), SyntaxError> {
        let lazy = self.scanner.eat('?') != self.flags.swap_greed;
        let span = start..self.scanner.at();
        if let Some(first) = repeated {
            // `a**` says nothing and `a*+` is possessive elsewhere; a group makes either clear.
            return Err(scan::error("invalid nested repetition operator", first..span.end));
        }
        let operand = match self.group.text.pop() {
            Some(c) => {
                self.flush_text()?;
                self.budget.spend(Budget::NODE, span.clone())?;
                Node::literal(c.encode_utf8(&mut [0; 4]))
            }
            None => match self.group.parts.pop() {
                Some(part) => part,
                None => return Err(scan::error("missing argument to repetition operator", span)),
            },
        };
        let node = Node::repetition(operand, times, !lazy);
        self.group.parts.push(node.map_err(|limit| limit_error(limit, span))?);
        self.repeated = Some(start);
        Ok(())
    }
}

fn limit_error(limit: Limit, span: Range<usize>) -> SyntaxError {
    match limit {
        Limit::Copies => {
            scan::error(format!("nested repeat counts multiply to more than {MAX_COUNT}"), span)
        }
        Limit::Depth => scan::error("the pattern nests too deeply", span),
        Limit::Size => scan::error("the pattern is too large", span),
    }
}
