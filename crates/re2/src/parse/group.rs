//! What an opening parenthesis starts: a capture, a plain group, or a change of flags.

use alloc::format;

use super::SyntaxError;
use super::scan::{self, Scanner};

/// The flags in force at one place of a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`: letters match in either case.
    pub(super) fold: bool,
    /// `m`: `^` and `$` also match at lines.
    pub(super) multi_line: bool,
    /// `s`: `.` matches a newline too.
    pub(super) dot_newline: bool,
    /// `U`: `x*` is lazy and `x*?` is greedy.
    pub(super) swap_greed: bool,
}

/// What was opened.
pub(super) enum Opening<'p> {
    /// `(`, `(?P<name>` or `(?<name>`.
    Capture(Option<&'p str>),
    /// `(?:` or `(?i:`: a group inside which these flags hold.
    Group(Flags),
    /// `(?i)`: no group; these flags hold until the group around it ends.
    Flags(Flags),
}

/// Reads from `(` up to the first thing inside the group; `flags` are those in force before it.
pub(super) fn opening<'p>(
    scanner: &mut Scanner<'p>,
    flags: Flags,
) -> Result<Opening<'p>, SyntaxError> {
    let start = scanner.at();
    scanner.skip(1);
    if !scanner.eat('?') {
        return Ok(Opening::Capture(None));
    }
    for (text, what) in UNSUPPORTED {
        if scanner.rest().starts_with(text) {
            let message = format!("{what}: `(?{text}`");
            return Err(scan::error(message, start..scanner.at() + text.len()));
        }
    }
    for text in ["P<", "<"] {
        if scanner.rest().starts_with(text) {
            scanner.skip(text.len());
            return name(scanner, start).map(|name| Opening::Capture(Some(name)));
        }
    }
    change_flags(scanner, start, flags)
}

/// Groups that other engines know. `(?<=` must be seen before a name is sought after `(?<`.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("=", "look-around is not supported"),
    ("!", "look-around is not supported"),
    ("<=", "look-around is not supported"),
    ("<!", "look-around is not supported"),
    (">", "atomic groups are not supported"),
    ("#", "comments are not supported"),
    ("P=", "back-references are not supported"),
    ("P>", "recursion is not supported"),
    ("'", "quoted group names are not supported"),
];

/// Reads a group's name and the `>` after it.
fn name<'p>(scanner: &mut Scanner<'p>, start: usize) -> Result<&'p str, SyntaxError> {
    let rest = scanner.rest();
    let Some(len) = rest.find('>') else {
        return Err(scan::error("missing `>` after a group name", start..scanner.at()));
    };
    let name = &rest[..len];
    let span = scanner.at()..scanner.at() + len;
    scanner.skip(len + 1);
    if name.is_empty() {
        return Err(scan::error("the group name is empty", start..scanner.at()));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let name = scan::cut(name);
        let message =
            format!("the group name `{name}` has more than ASCII letters, digits and `_`");
        return Err(scan::error(message, span));
    }
    Ok(name)
}

/// Reads flags such as `i`, `s-m` or none at all, and the `:` or `)` after them.
fn change_flags<'p>(
    scanner: &mut Scanner<'p>,
    start: usize,
    before: Flags,
) -> Result<Opening<'p>, SyntaxError> {
    let mut flags = before;
    let mut value = true;
    // A `-` must be followed by the flags it takes away.
    let mut n_since_minus = 0;
    while let Some(c) = scanner.bump() {
        n_since_minus += 1;
        match c {
            'i' => flags.fold = value,
            'm' => flags.multi_line = value,
            's' => flags.dot_newline = value,
            'U' => flags.swap_greed = value,
            '-' if value => {
                value = false;
                n_since_minus = 0;
            }
            ':' if value || n_since_minus > 1 => return Ok(Opening::Group(flags)),
            ')' if value || n_since_minus > 1 => return Ok(Opening::Flags(flags)),
            _ => break,
        }
    }
    let message = format!("invalid or unsupported group `{}`", scan::cut(scanner.since(start)));
    Err(scan::error(message, start..scanner.at()))
}
