//! `Sprintf`: Go's format strings over the values of expressions.
//!
//! Formatting never fails. What does not fit is said in the text, as Go says it: `%!d(string=x)`
//! for a verb the value has no form for, `%!d(MISSING)` for an argument that is not there,
//! `%!(EXTRA int=3)` for one that was not asked for.
//!
//! Reading order: this file walks the format; [`print`] turns one value into text.
//!
//! INVARIANT: a result is at most [`MAX_OUTPUT`] bytes, give or take one unpadded value, so that no
//! format taken from a log can fill the memory.

mod print;

use super::time::DateTime;
use alloc::{string::String, vec::Vec};
use print::Printer;

pub use print::quote;

/// Formats stop growing here.
pub const MAX_OUTPUT: usize = 1 << 20;
/// As in Go, a larger width or precision is a mistake.
const MAX_WIDTH: i64 = 1_000_000;

/// A value to be formatted.
#[derive(Clone, Debug)]
pub enum Arg<'a> {
    /// `nil`
    Nil,
    /// A boolean
    Bool(bool),
    /// An integer
    Int(i64),
    /// A float
    Float(f64),
    /// A text
    Text(&'a str),
    /// A time
    Time(DateTime),
    /// A length of time in nanoseconds
    Duration(i64),
    /// A list; the words name its elements' type in Go
    List(Vec<Self>, Elements),
    /// A map, in any order; the words name its elements' type in Go
    Map(Vec<(&'a str, Self)>, Elements),
}

/// What Go calls the elements of a list or a map, which shows in `%T` and in complaints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// `interface {}`
    Any,
    /// `string`
    Text,
}

/// How one value is to be written: what stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `args` as Go's `fmt.Sprintf` does.
pub fn sprintf(format: &str, args: &[Arg<'_>]) -> String {
    let mut walk = Walk { rest: format, args, next: 0, reordered: false, bad_index: false };
    let mut printer = Printer::default();
    while let Some(percent) = walk.rest.find('%') {
        if printer.is_full() {
            return printer.out;
        }
        printer.out.push_str(&walk.rest[..percent]);
        walk.rest = &walk.rest[percent + 1..];
        walk.directive(&mut printer);
    }
    printer.out.push_str(walk.rest);
    if !walk.reordered && walk.next < args.len() {
        printer.extra(&args[walk.next..]);
    }
    printer.out
}

/// Returns a value as `%v` prints it, which is also what `string()` gives.
pub fn to_text(arg: &Arg<'_>) -> String {
    let mut printer = Printer::default();
    printer.argument(arg, 'v', &Spec::default());
    printer.out
}

/// The place in the format and in the arguments.
struct Walk<'f, 'a> {
    rest: &'f str,
    args: &'f [Arg<'a>],
    next: usize,
    /// An explicit index `%[2]d` was used, so unused arguments are on purpose.
    reordered: bool,
    bad_index: bool,
}

impl Walk<'_, '_> {
    /// Handles one directive; `rest` begins behind its `%`.
    fn directive(&mut self, printer: &mut Printer) {
        let mut spec = Spec::default();
        self.bad_index = false;
        self.flags(&mut spec);
        let mut indexed = self.index();
        if self.eat('*') {
            indexed = false;
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.zero &= width >= 0;
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => printer.out.push_str("%!(BADWIDTH)"),
            }
        } else {
            spec.width = self.number();
            // An index picks the argument of a `*` or of the verb, so neither may come between.
            self.bad_index |= indexed && spec.width.is_some();
        }
        if self.eat('.') {
            self.bad_index |= indexed;
            self.index();
            if self.eat('*') {
                match self.star() {
                    Some(precision) => spec.precision = usize::try_from(precision).ok(),
                    None => printer.out.push_str("%!(BADPREC)"),
                }
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        self.index();
        let Some(verb) = self.rest.chars().next() else {
            printer.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = &self.rest[verb.len_utf8()..];
        if verb == '%' {
            printer.out.push('%');
        } else if self.bad_index {
            printer.complaint(verb, "(BADINDEX)");
        } else if let Some(arg) = self.args.get(self.next) {
            self.next += 1;
            printer.argument(arg, verb, &spec);
        } else {
            printer.complaint(verb, "(MISSING)");
        }
    }

    fn flags(&mut self, spec: &mut Spec) {
        while let Some(flag) = self.rest.chars().next() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => return,
            }
            self.rest = &self.rest[1..];
        }
    }

    /// Reads `[n]`, which makes argument `n`, counted from 1, the next one. Returns whether there
    /// was one.
    fn index(&mut self) -> bool {
        let Some(inside) = self.rest.strip_prefix('[') else {
            return false;
        };
        self.reordered = true;
        let Some((number, rest)) = inside.split_once(']') else {
            self.bad_index = true;
            self.rest = inside;
            return true;
        };
        self.rest = rest;
        match number.parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => self.next = number - 1,
            _ => self.bad_index = true,
        }
        true
    }

    /// Takes a width or a precision from the arguments.
    fn star(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next);
        self.next = (self.next + 1).min(self.args.len());
        let number = match arg {
            Some(Arg::Int(number)) if number.abs_diff(0) <= MAX_WIDTH.unsigned_abs() => *number,
            _ => return None,
        };
        self.index();
        Some(number)
    }

    /// Reads a number. One that is too large counts as none.
    fn number(&mut self) -> Option<usize> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().ok().filter(|number| i64::try_from(*number).is_ok_and(|n| n <= MAX_WIDTH))
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
