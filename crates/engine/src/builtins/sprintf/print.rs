//! One value, one verb, one text.

use super::super::number::{FloatStyle, format_float};
use super::super::{duration, rfc3339};
use super::{Arg, Elements, MAX_OUTPUT, Spec};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write as _;

/// Lists in lists deeper than this are cut off; values from JSON are shallower.
const MAX_DEPTH: usize = 250;

/// Collects the text of a format.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: String,
    depth: usize,
    /// A complaint prints the value it is about, and must not complain about that.
    complaining: bool,
}

impl Printer {
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= MAX_OUTPUT
    }

    /// Appends `%!verb` and a reason in parentheses.
    pub(super) fn complaint(&mut self, verb: char, reason: &str) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push_str(reason);
    }

    /// Appends what Go says about arguments nothing asked for.
    pub(super) fn extra(&mut self, args: &[Arg<'_>]) {
        self.out.push_str("%!(EXTRA ");
        for (index, arg) in args.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if index > 0 {
                self.out.push_str(", ");
            }
            self.typed(arg, &Spec::default());
        }
        self.out.push(')');
    }

    /// Appends one argument of a format.
    pub(super) fn argument(&mut self, arg: &Arg<'_>, verb: char, spec: &Spec) {
        match (verb, arg) {
            ('T', _) => self.text(&type_name(arg), 's', spec),
            ('v', Arg::Nil) => self.pad("<nil>", spec),
            _ => self.value(arg, verb, spec),
        }
    }

    fn value(&mut self, arg: &Arg<'_>, verb: char, spec: &Spec) {
        if self.is_full() {
            return;
        }
        match arg {
            // Only inside a list or a map can `nil` meet `%v` here.
            Arg::Nil if verb == 'v' => {
                self.pad(if spec.sharp { "interface {}(nil)" } else { "<nil>" }, spec);
            }
            Arg::Nil => self.bad_verb(arg, verb, spec),
            Arg::Bool(value) if matches!(verb, 't' | 'v') => {
                self.pad(if *value { "true" } else { "false" }, spec);
            }
            Arg::Bool(_) => self.bad_verb(arg, verb, spec),
            Arg::Int(value) => self.int(*value, arg, verb, spec),
            Arg::Duration(nanos) if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') && !spec.sharp => {
                let text = duration::format_duration(*nanos);
                self.text(&text, if verb == 'v' { 's' } else { verb }, spec);
            }
            Arg::Duration(nanos) => self.int(*nanos, arg, verb, spec),
            Arg::Float(value) => self.float(*value, arg, verb, spec),
            Arg::Text(text) => match verb {
                'v' if spec.sharp => self.pad(&quote(text), spec),
                'v' => self.text(text, 's', spec),
                's' | 'q' | 'x' | 'X' => self.text(text, verb, spec),
                _ => self.bad_verb(arg, verb, spec),
            },
            Arg::Time(time) => match verb {
                'v' | 's' => self.text(&rfc3339::format_go_string(*time), 's', spec),
                'q' | 'x' | 'X' => self.text(&rfc3339::format_go_string(*time), verb, spec),
                _ => self.bad_verb(arg, verb, spec),
            },
            Arg::List(items, _) => self.list(items, arg, verb, spec),
            Arg::Map(entries, _) => self.map(entries, arg, verb, spec),
        }
    }

    fn list(&mut self, items: &[Arg<'_>], arg: &Arg<'_>, verb: char, spec: &Spec) {
        let go_syntax = verb == 'v' && spec.sharp;
        let (open, separator, close) = if go_syntax { ("{", ", ", "}") } else { ("[", " ", "]") };
        if go_syntax {
            self.out.push_str(&type_name(arg));
        }
        self.out.push_str(open);
        self.nested(|printer| {
            for (index, item) in items.iter().enumerate() {
                if printer.is_full() {
                    return;
                }
                if index > 0 {
                    printer.out.push_str(separator);
                }
                printer.value(item, verb, spec);
            }
        });
        self.out.push_str(close);
    }

    fn map(&mut self, entries: &[(&str, Arg<'_>)], arg: &Arg<'_>, verb: char, spec: &Spec) {
        let go_syntax = verb == 'v' && spec.sharp;
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by_key(|(key, _)| *key);
        self.out.push_str(&if go_syntax { type_name(arg) } else { String::from("map") });
        self.out.push_str(if go_syntax { "{" } else { "[" });
        self.nested(|printer| {
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if printer.is_full() {
                    return;
                }
                if index > 0 {
                    printer.out.push_str(if go_syntax { ", " } else { " " });
                }
                printer.value(&Arg::Text(key), verb, spec);
                printer.out.push(':');
                printer.value(value, verb, spec);
            }
        });
        self.out.push_str(if go_syntax { "}" } else { "]" });
    }

    fn nested(&mut self, print: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.out.push('…');
            return;
        }
        self.depth += 1;
        print(self);
        self.depth -= 1;
    }

    fn int(&mut self, value: i64, arg: &Arg<'_>, verb: char, spec: &Spec) {
        match verb {
            'v' | 'd' => self.integer(value, 10, false, "", spec),
            'b' => self.integer(value, 2, false, "0b", spec),
            'o' => self.integer(value, 8, false, "0", spec),
            'O' => self.integer(value, 8, false, "0o", &Spec { sharp: true, ..*spec }),
            'x' => self.integer(value, 16, false, "0x", spec),
            'X' => self.integer(value, 16, true, "0X", spec),
            'c' => self.pad(character(value).encode_utf8(&mut [0; 4]), spec),
            'q' => {
                let quoted = quote_char(character(value), spec.plus);
                self.pad(&quoted, spec);
            }
            'U' => {
                // Go prints the number as unsigned, whatever it is.
                let text = format!("U+{:04X}", value.cast_unsigned());
                self.pad(&text, &Spec { zero: false, ..*spec });
            }
            _ => self.bad_verb(arg, verb, spec),
        }
    }

    fn integer(&mut self, value: i64, base: u32, upper: bool, prefix: &str, spec: &Spec) {
        let size = value.unsigned_abs();
        let mut digits = match base {
            2 => format!("{size:b}"),
            8 => format!("{size:o}"),
            16 if upper => format!("{size:X}"),
            16 => format!("{size:x}"),
            _ => format!("{size}"),
        };
        let sign = sign(value < 0, spec);
        // Zero padding is a precision in disguise: the sign counts, the prefix does not.
        let min_digits = match (spec.precision, spec.width) {
            (Some(0), _) if value == 0 => {
                digits.clear();
                0
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(sign.len()),
            (None, _) => 0,
        };
        let prefix = if spec.sharp && base != 10 { prefix } else { "" };
        let n_zeros = min_digits.saturating_sub(digits.len());
        let prefix =
            if prefix == "0" && (n_zeros > 0 || digits.starts_with('0')) { "" } else { prefix };
        let text = format!("{sign}{prefix}{}{digits}", "0".repeat(n_zeros));
        self.pad(&text, &Spec { zero: false, ..*spec });
    }

    fn float(&mut self, value: f64, arg: &Arg<'_>, verb: char, spec: &Spec) {
        let default = Some(spec.precision.unwrap_or(6));
        let text = match verb {
            'v' | 'g' | 'G' => format_float(value, FloatStyle::General, spec.precision),
            'e' | 'E' => format_float(value, FloatStyle::Exponent, default),
            'f' | 'F' => format_float(value, FloatStyle::Fixed, default),
            _ => return self.bad_verb(arg, verb, spec),
        };
        let text = if matches!(verb, 'G' | 'E') { text.to_uppercase() } else { text };
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text.as_str()),
        };
        // Infinity always shows its sign, unless blanks were asked for.
        let infinite = value.is_infinite();
        let sign = if infinite && !negative && !spec.space { "+" } else { sign(negative, spec) };
        let zero = spec.zero && !spec.minus && value.is_finite();
        let width = if zero { spec.width.unwrap_or(0) } else { 0 };
        let n_zeros = width.saturating_sub(sign.len() + digits.len());
        let text = format!("{sign}{}{digits}", "0".repeat(n_zeros));
        self.pad(&text, &Spec { zero: false, ..*spec });
    }

    /// Appends a text by one of the verbs `s`, `q`, `x` and `X`.
    fn text(&mut self, text: &str, verb: char, spec: &Spec) {
        let text = match spec.precision.and_then(|n_chars| text.char_indices().nth(n_chars)) {
            // Hexadecimal counts bytes, and a cut inside a character is fine there.
            Some((end, _)) if !matches!(verb, 'x' | 'X') => &text[..end],
            _ => text,
        };
        match verb {
            'q' if spec.sharp && can_backquote(text) => self.pad(&format!("`{text}`"), spec),
            'q' => self.pad(&quote_with(text, spec.plus), spec),
            'x' | 'X' => {
                let n_bytes = spec.precision.unwrap_or(text.len()).min(text.len());
                let prefix = if verb == 'X' { "0X" } else { "0x" };
                let mut hex = String::with_capacity(2 * n_bytes);
                for (index, byte) in text.as_bytes()[..n_bytes].iter().enumerate() {
                    if spec.space && index > 0 {
                        hex.push(' ');
                    }
                    if spec.sharp && (index == 0 || spec.space) {
                        hex.push_str(prefix);
                    }
                    let digits =
                        if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") };
                    hex.push_str(&digits);
                }
                self.pad(&hex, spec);
            }
            _ => self.pad(text, spec),
        }
    }

    /// Appends a text, filled up to the width. Go fills texts with zeros too when told to.
    fn pad(&mut self, text: &str, spec: &Spec) {
        let room = MAX_OUTPUT.saturating_sub(self.out.len());
        let n_fill = spec.width.unwrap_or(0).saturating_sub(text.chars().count()).min(room);
        let fill = if spec.zero && !spec.minus { '0' } else { ' ' };
        if spec.minus {
            self.out.push_str(text);
        }
        self.out.extend((0..n_fill).map(|_| fill));
        if !spec.minus {
            self.out.push_str(text);
        }
    }

    /// Appends Go's complaint about a value that has no form for a verb: `%!d(string=x)`.
    fn bad_verb(&mut self, arg: &Arg<'_>, verb: char, spec: &Spec) {
        if self.complaining {
            return;
        }
        self.complaining = true;
        self.complaint(verb, "(");
        self.typed(arg, spec);
        self.out.push(')');
        self.complaining = false;
    }

    /// Appends `type=value`.
    fn typed(&mut self, arg: &Arg<'_>, spec: &Spec) {
        if matches!(arg, Arg::Nil) {
            self.out.push_str("<nil>");
            return;
        }
        self.out.push_str(&type_name(arg));
        self.out.push('=');
        self.value(arg, 'v', spec);
    }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn type_name(arg: &Arg<'_>) -> String {
    let elements = |elements: &Elements| match elements {
        Elements::Any => "interface {}",
        Elements::Text => "string",
    };
    match arg {
        Arg::Nil => String::from("<nil>"),
        Arg::Bool(_) => String::from("bool"),
        Arg::Int(_) => String::from("int"),
        Arg::Float(_) => String::from("float64"),
        Arg::Text(_) => String::from("string"),
        Arg::Time(_) => String::from("time.Time"),
        Arg::Duration(_) => String::from("time.Duration"),
        Arg::List(_, kind) => format!("[]{}", elements(kind)),
        Arg::Map(_, kind) => format!("map[string]{}", elements(kind)),
    }
}

fn character(value: i64) -> char {
    u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c != '`' && c != '\u{7f}' && c != '\u{feff}' && (c >= ' ' || c == '\t'))
}

/// Returns a text in double quotes, with everything unprintable escaped, as Go's `%q` does.
pub fn quote(text: &str) -> String {
    quote_with(text, false)
}

fn quote_with(text: &str, ascii_only: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        escape(c, '"', ascii_only, &mut out);
    }
    out.push('"');
    out
}

fn quote_char(c: char, ascii_only: bool) -> String {
    let mut out = String::from("'");
    escape(c, '\'', ascii_only, &mut out);
    out.push('\'');
    out
}

fn escape(c: char, mark: char, ascii_only: bool, out: &mut String) {
    let short = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        '\\' => '\\',
        c if c == mark => c,
        c => {
            if is_printable(c) && (c.is_ascii() || !ascii_only) {
                out.push(c);
                return;
            }
            let code = u32::from(c);
            // Writing to a `String` cannot fail.
            let written = match code {
                0..=0x7f => write!(out, "\\x{code:02x}"),
                0x80..=0xffff => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            return written.unwrap_or_default();
        }
    };
    out.push('\\');
    out.push(short);
}

/// Of all blanks only the common one counts as printable. The standard library's own idea of what
/// to escape is close to Go's for everything else.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_control() || c.is_whitespace() => false,
        c => c.escape_debug().count() == 1,
    }
}
