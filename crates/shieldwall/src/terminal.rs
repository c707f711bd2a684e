//! What people see: errors, diagnostics, and whether there is a terminal at all.
//!
//! Data goes to standard output, everything else to standard error. Color is decoration: it is used
//! on a terminal unless `NO_COLOR` is set, or as the command line says.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicU8, Ordering},
};
use syntax::{Diagnostics, Severity, Sources, Style};

/// Columns assumed where nobody says how many there are.
const WIDTH: usize = 100;

/// When output has color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On terminals.
    #[default]
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
}

impl Color {
    /// Reads a setting; what is no word for it means [`Self::Auto`].
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "yes" => Self::Yes,
            "no" => Self::No,
            _ => Self::Auto,
        }
    }
}

/// What was asked for; one for the process, as there is one terminal.
static COLOR: AtomicU8 = AtomicU8::new(Color::Auto as u8);

/// Says when output has color from now on. What was said before stays unless it was [`Color::Auto`]:
/// the command line comes before the settings.
pub(crate) fn set_color(color: Color) {
    let auto = Color::Auto as u8;
    // It is said already.
    let _earlier = COLOR.compare_exchange(auto, color as u8, Ordering::Relaxed, Ordering::Relaxed);
}

fn wants_color(is_terminal: bool) -> bool {
    match COLOR.load(Ordering::Relaxed) {
        color if color == Color::Yes as u8 => true,
        color if color == Color::No as u8 => false,
        _ => is_terminal && !no_color(),
    }
}

/// Whether standard error has color.
pub(crate) fn stderr_color() -> bool {
    wants_color(io::stderr().is_terminal())
}

/// Whether standard output has color.
pub(crate) fn stdout_color() -> bool {
    wants_color(io::stdout().is_terminal())
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// How diagnostics are to look on standard error.
fn style() -> Style {
    let width = comfy_table::Table::new().width().map_or(WIDTH, usize::from);
    Style { color: stderr_color(), width }
}

/// Writes a line to standard error. That nobody reads it is no reason to stop.
pub(crate) fn complain(line: &str) {
    let _closed = writeln!(io::stderr().lock(), "{line}");
}

/// Prints an error and its causes, once.
pub(crate) fn complain_error(error: &anyhow::Error) {
    let (red, reset) = if stderr_color() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    complain(&format!("{red}error{reset}: {error:#}"));
}

/// Prints a warning.
pub(crate) fn warn(text: &str) {
    let (yellow, reset) = if stderr_color() { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
    complain(&format!("{yellow}warning{reset}: {text}"));
}

/// How many diagnostics of each severity there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) n_errors: usize,
    pub(crate) n_warnings: usize,
}

impl Reported {
    /// Counts them.
    pub(crate) fn of(diagnostics: &Diagnostics) -> Self {
        let n_errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
        Self { n_errors, n_warnings: diagnostics.len() - n_errors }
    }

    /// Whether there is any.
    pub(crate) fn any(self) -> bool {
        self.n_errors + self.n_warnings > 0
    }
}

impl std::ops::AddAssign for Reported {
    fn add_assign(&mut self, other: Self) {
        self.n_errors += other.n_errors;
        self.n_warnings += other.n_warnings;
    }
}

/// Prints diagnostics with their excerpts.
pub(crate) fn diagnostics(diagnostics: &Diagnostics, sources: &Sources) -> Reported {
    let style = style();
    let mut err = io::stderr().lock();
    for diagnostic in diagnostics {
        let _closed = writeln!(err, "{}", syntax::render(diagnostic, sources, style));
    }
    Reported::of(diagnostics)
}

/// `1 line`, `2 lines`.
pub(crate) fn count(n: u64, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {one}{s}", thousands(n))
}

/// A number with commas between its thousands.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text from a log or a rule as one line that cannot act on a terminal, cut to 256 bytes (I12).
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 256;
    let end = text.floor_char_boundary(LONGEST);
    let mut shown: String =
        text[..end].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if end < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            (count(1, "line"), count(1200, "line")),
            ("1 line".into(), "1,200 lines".into())
        );
    }

    #[test]
    fn foreign_text_cannot_act() {
        assert_eq!(quoted("a\x1b[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(quoted(&"ü".repeat(200)).chars().count(), 129);
    }
}
