//! Character classes: `[…]`, the groups `\d \s \w` and `[:name:]`, and `\p{…}`.
//!
//! In a class every character but `]`, `\`, a range's `-` and a leading `^` stands for itself; there
//! are no set operations and no nested classes. Groups are ASCII.
//!
//! Case folds before negation: `(?i)[^k]` refuses `K` and the Kelvin sign too, and `(?i)\W` is the
//! complement of the folded `\w`.

use alloc::format;
use alloc::vec::Vec;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::SyntaxError;
use super::escape;
use super::group::Flags;
use super::scan::{self, Budget, Scanner};
use super::unicode;

/// Reads a class from its `[` to its `]`.
pub(super) fn bracket(
    scanner: &mut Scanner<'_>,
    flags: Flags,
    budget: &mut Budget,
) -> Result<ClassUnicode, SyntaxError> {
    let open = scanner.at();
    scanner.skip(1);
    let negated = scanner.eat('^');
    let mut class = Set { plain: Vec::new(), written: Vec::new() };
    // The first character may be `]`.
    let mut is_first = true;
    while is_first || !scanner.eat(']') {
        is_first = false;
        let start = scanner.at();
        if let Some(group) = group(scanner, flags, budget)? {
            class.plain.extend_from_slice(group.ranges());
            continue;
        }
        let low = one(scanner, open)?;
        let mut high = low;
        // `[a-]` is two characters, and so is `[\w-.]`: a group starts no range.
        let mut ahead = scanner.rest().chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            scanner.skip(1);
            high = one(scanner, open)?;
        }
        let span = start..scanner.at();
        if high < low {
            let message = format!("invalid class range `{}`", scan::cut(scanner.since(start)));
            return Err(scan::error(message, span));
        }
        budget.spend(Budget::RANGE, span)?;
        class.written.extend(scalars(low, high));
    }
    let span = open..scanner.at();
    let mut set = ClassUnicode::new(class.written);
    if flags.fold {
        set = unicode::fold(set, budget, span)?;
    }
    if !class.plain.is_empty() {
        set.union(&ClassUnicode::new(class.plain));
    }
    if negated {
        set.negate();
    }
    Ok(set)
}

/// The ranges of a class being read.
struct Set {
    /// Ranges of groups, which have been folded already; those of a negated group must not be.
    plain: Vec<ClassUnicodeRange>,
    /// Characters and ranges as written.
    written: Vec<ClassUnicodeRange>,
}

/// Reads `\d`, `\pL` and their like if one is next; what else follows a backslash is left alone.
pub(super) fn escaped(
    scanner: &mut Scanner<'_>,
    flags: Flags,
    budget: &mut Budget,
) -> Result<Option<ClassUnicode>, SyntaxError> {
    let start = scanner.at();
    if !scanner.rest().starts_with('\\') {
        return Ok(None);
    }
    let (ranges, negated): (&[(char, char)], bool) = match scanner.peek_second() {
        Some('d') => (DIGIT, false),
        Some('D') => (DIGIT, true),
        Some('s') => (PERL_SPACE, false),
        Some('S') => (PERL_SPACE, true),
        Some('w') => (WORD, false),
        Some('W') => (WORD, true),
        Some('p' | 'P') => {
            let (class, negated) = unicode::property(scanner)?;
            return complete(class, negated, flags, budget, start..scanner.at()).map(Some);
        }
        _ => return Ok(None),
    };
    scanner.skip(2);
    complete(ascii(ranges), negated, flags, budget, start..scanner.at()).map(Some)
}

/// Reads a group inside a class, if one is next.
fn group(
    scanner: &mut Scanner<'_>,
    flags: Flags,
    budget: &mut Budget,
) -> Result<Option<ClassUnicode>, SyntaxError> {
    let start = scanner.at();
    let Some(name) = scanner.posix_name() else {
        return escaped(scanner, flags, budget);
    };
    let span = start..scanner.at();
    let (positive, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let Some(ranges) = posix(positive) else {
        let message = format!("unknown class `[:{}:]`", scan::cut(name));
        return Err(scan::error(message, span));
    };
    complete(ascii(ranges), negated, flags, budget, span).map(Some)
}

/// Folds and negates a group, and pays for it.
fn complete(
    class: ClassUnicode,
    negated: bool,
    flags: Flags,
    budget: &mut Budget,
    span: core::ops::Range<usize>,
) -> Result<ClassUnicode, SyntaxError> {
    budget.spend(Budget::RANGE * (1 + class.ranges().len()), span.clone())?;
    let mut class = if flags.fold { unicode::fold(class, budget, span)? } else { class };
    if negated {
        class.negate();
    }
    Ok(class)
}

/// Reads one character of a class, escaped or not.
fn one(scanner: &mut Scanner<'_>, open: usize) -> Result<u32, SyntaxError> {
    match scanner.peek() {
        None => Err(scan::error("missing closing `]`", open..scanner.at())),
        Some('\\') => escape::code_point(scanner),
        Some(c) => {
            scanner.bump();
            Ok(u32::from(c))
        }
    }
}

/// The characters from `low` to `high`. Surrogates may be written; no text contains them.
fn scalars(low: u32, high: u32) -> Option<ClassUnicodeRange> {
    let low = if (0xD800..0xE000).contains(&low) { 0xE000 } else { low };
    let high = if (0xD800..0xE000).contains(&high) { 0xD7FF } else { high };
    let (low, high) = (char::from_u32(low)?, char::from_u32(high)?);
    (low <= high).then(|| ClassUnicodeRange::new(low, high))
}

fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

const DIGIT: &[(char, char)] = &[('0', '9')];
/// `\s`. The vertical tab is not in it, though it is in `[:space:]`.
const PERL_SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

fn posix(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7F')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1F'), ('\x7F', '\x7F')],
        "digit" => DIGIT,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}
