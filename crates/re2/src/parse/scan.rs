//! The cursor over a pattern, and what every part of the parser needs from it: errors with a place,
//! counters, and the budget that bounds the work a pattern may ask for.
//!
//! INVARIANT: the cursor stands on a character boundary, and every look ahead is linear over the
//! whole parse: a search that failed once is known to fail from every later place.

use alloc::string::String;
use core::ops::Range;

use super::SyntaxError;

/// The most characters of a pattern that a message quotes.
const MAX_QUOTED: usize = 40;

/// Counts stop growing here: far above every allowed count, far below overflow.
const COUNT_CEILING: u32 = 1_000_000;

/// Makes an error about `span`.
pub(super) fn error(message: impl Into<String>, span: Range<usize>) -> SyntaxError {
    SyntaxError { message: message.into(), start: span.start, end: span.end }
}

/// Returns `text` fit for a message: without control characters, and not too long.
pub(super) fn cut(text: &str) -> String {
    let mut quoted = String::new();
    for (n_chars, c) in text.chars().enumerate() {
        if n_chars == MAX_QUOTED {
            quoted.push('…');
            break;
        }
        // A backslash stays single: it is what the author typed.
        if c.is_control() {
            quoted.extend(c.escape_default());
        } else {
            quoted.push(c);
        }
    }
    quoted
}

/// A position in a pattern.
pub(super) struct Scanner<'p> {
    pattern: &'p str,
    at: usize,
    /// Where the last `:]` of the pattern starts. Without it each `[:` of a hostile pattern would
    /// search to the end.
    last_posix_end: Option<usize>,
}

/// `{min}` (with `max` the same), `{min,}` (without `max`) or `{min,max}`.
#[derive(Clone, Copy)]
pub(super) struct Counter {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
}

impl<'p> Scanner<'p> {
    pub(super) fn new(pattern: &'p str) -> Self {
        Self { pattern, at: 0, last_posix_end: pattern.rfind(":]") }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    /// The pattern's text from `start` to the cursor.
    pub(super) fn since(&self, start: usize) -> &'p str {
        &self.pattern[start..self.at]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Moves past `len` bytes, which the caller has seen to end on a character boundary.
    pub(super) fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Moves past `expected` if it is next.
    pub(super) fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    /// Moves past the next character if it is a digit in `radix`, and returns its value.
    pub(super) fn eat_digit(&mut self, radix: u32) -> Option<u32> {
        let digit = self.peek()?.to_digit(radix)?;
        self.at += 1;
        Some(digit)
    }

    /// Moves past `[:name:]` if such a thing is next, known or not, and returns the name.
    pub(super) fn posix_name(&mut self) -> Option<&'p str> {
        let name = self.rest().strip_prefix("[:")?;
        if self.last_posix_end? < self.at + 2 {
            return None;
        }
        let name = &name[..name.find(":]")?];
        self.at += name.len() + 4;
        Some(name)
    }

    /// Moves past a counter if one is next. Anything else that starts with `{` is literal text.
    pub(super) fn counter(&mut self) -> Option<Counter> {
        let before = self.at;
        let counter = self.counter_or_part();
        if counter.is_none() {
            self.at = before;
        }
        counter
    }

    fn counter_or_part(&mut self) -> Option<Counter> {
        if !self.eat('{') {
            return None;
        }
        let min = self.count()?;
        let max = if !self.eat(',') {
            Some(min)
        } else if self.peek() == Some('}') {
            None
        } else {
            Some(self.count()?)
        };
        self.eat('}').then_some(Counter { min, max })
    }

    /// A decimal number without leading zeros.
    fn count(&mut self) -> Option<u32> {
        let start = self.at;
        let mut count = self.eat_digit(10)?;
        while let Some(digit) = self.eat_digit(10) {
            count = (count * 10 + digit).min(COUNT_CEILING);
        }
        let has_leading_zero = self.since(start).len() > 1 && self.since(start).starts_with('0');
        (!has_leading_zero).then_some(count)
    }
}

/// How much work and memory a pattern may still ask for.
///
/// Without it a pattern of a mebibyte could hold half a million `\pL`, or move a long list once for
/// each of a thousand levels. Patterns written by people stay below a thousandth of it.
pub(super) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: 1 << 22 }
    }
}

impl Budget {
    /// The cost of one node of the tree, in units of one node moved.
    pub(super) const NODE: usize = 16;
    /// The cost of one range of a class.
    pub(super) const RANGE: usize = 4;

    /// Pays `cost`, for the text at `span`.
    pub(super) fn spend(&mut self, cost: usize, span: Range<usize>) -> Result<(), SyntaxError> {
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(error("the pattern is too large", span)),
        }
    }
}
