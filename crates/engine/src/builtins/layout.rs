//! Go's way of describing dates: a layout is the date of one certain second, written as wanted.
//!
//! `2006-01-02 15:04:05` means year, month, day, hours, minutes, seconds, because the reference
//! second is Monday, January 2, 2006, 15:04:05 in a zone seven hours behind UTC. A [`GoLayout`] is
//! such a text cut into pieces once; reading or printing a date then walks the pieces.
//!
//! COMPAT(crowdsec): reading is as fuzzy as Go's, because rules depend on it (spec 3.5): a run of
//! blanks matches any run of blanks, a fraction after the seconds needs no place in the layout, and
//! hours may have one digit.

mod read;

use super::rfc3339::{OffsetStyle, write_nanos, write_offset, write_two, write_year};
use super::time::{Civil, DateTime};
use alloc::{string::String, vec::Vec};

pub(super) use read::parse_pieces;

/// A Go date layout, ready to read and print dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoLayout {
    pieces: Vec<Piece>,
}

/// One step of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many blanks when printing; one or more when reading.
    Blanks(u16),
    /// This character.
    Literal(char),
    /// A part of the date.
    Field(Field),
}

/// A part of a date, by the way it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `06`
    ShortYear,
    /// `2006`
    Year,
    /// `Jan`
    MonthName,
    /// `January`
    LongMonthName,
    /// `01` or, unpadded, `1`
    Month(Pad),
    /// `Mon`
    Weekday,
    /// `Monday`
    LongWeekday,
    /// `02`, `_2` or `2`
    Day(Pad),
    /// `002` or `__2`
    YearDay(Pad),
    /// `15`
    Hour,
    /// `03` or `3`
    Hour12(Pad),
    /// `04` or `4`
    Minute(Pad),
    /// `05` or `5`
    Second(Pad),
    /// `PM`
    UpperHalf,
    /// `pm`
    LowerHalf,
    /// `-0700` and its kin
    Offset(OffsetStyle),
    /// `Z0700` and its kin
    ZuluOrOffset(OffsetStyle),
    /// `MST`
    ZoneName,
    /// `.000`: exactly so many digits
    Fraction(Separator, u8),
    /// `.999`: up to so many digits, trailing zeros left out
    OptionalFraction(Separator, u8),
}

/// How a number is filled up to its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    None,
    Blank,
    Zero,
}

/// What stands before a fraction when printing; reading takes either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Point,
    Comma,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl GoLayout {
    /// Cuts a layout into pieces. Every text is a layout: what names no part of a date is literal.
    pub fn compile(layout: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            if let Some((field, length)) = field_at(rest) {
                pieces.push(Piece::Field(field));
                rest = &rest[length..];
                continue;
            }
            rest = &rest[first.len_utf8()..];
            match (first, pieces.last_mut()) {
                (' ', Some(Piece::Blanks(n_blanks))) => *n_blanks = n_blanks.saturating_add(1),
                (' ', _) => pieces.push(Piece::Blanks(1)),
                _ => pieces.push(Piece::Literal(first)),
            }
        }
        Self { pieces }
    }

    /// Reads a date that fills the whole text. A layout without a year gives year 0, one without an
    /// offset gives UTC.
    pub fn parse(&self, text: &str) -> Option<DateTime> {
        parse_pieces(&self.pieces, text, || 0)
    }

    /// Reads a date as [`Self::parse`] does, but one in year 0 is given another year.
    pub(super) fn parse_with_year(
        &self,
        text: &str,
        year: impl FnOnce() -> i64,
    ) -> Option<DateTime> {
        parse_pieces(&self.pieces, text, year)
    }

    /// Reads a date as [`Self::parse`] does, but one without any zone is at `offset`.
    pub fn parse_at(&self, text: &str, offset: i32) -> Option<DateTime> {
        let time = self.parse(text)?;
        let has_zone = self.pieces.iter().any(|piece| {
            matches!(
                piece,
                Piece::Field(Field::Offset(_) | Field::ZuluOrOffset(_) | Field::ZoneName)
            )
        });
        let time = if has_zone { time } else { DateTime::from_civil(time.civil(), offset) };
        Some(time)
    }

    /// Appends a date.
    pub fn write(&self, time: DateTime, out: &mut String) {
        let civil = time.civil();
        for piece in &self.pieces {
            match *piece {
                Piece::Blanks(n_blanks) => out.extend((0..n_blanks).map(|_| ' ')),
                Piece::Literal(literal) => out.push(literal),
                Piece::Field(field) => write_field(field, time, &civil, out),
            }
        }
    }

    /// Returns a date as the layout writes it.
    pub fn format(&self, time: DateTime) -> String {
        let mut out = String::new();
        self.write(time, &mut out);
        out
    }

    #[cfg(test)]
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// Finds the part of a date that a layout names at its beginning, and the length of that name.
fn field_at(layout: &str) -> Option<(Field, usize)> {
    use Field::{
        Day, Hour, Hour12, LongMonthName, LongWeekday, LowerHalf, Minute, Month, MonthName, Offset,
        Second, ShortYear, UpperHalf, Weekday, Year, YearDay, ZoneName, ZuluOrOffset,
    };
    use OffsetStyle::{Colon, ColonSeconds, Hours, Plain, PlainSeconds};
    // Longer names come before their own beginnings.
    const NAMES: [(&str, Field); 33] = [
        ("January", LongMonthName),
        ("Jan", MonthName),
        ("Monday", LongWeekday),
        ("Mon", Weekday),
        ("MST", ZoneName),
        ("002", YearDay(Pad::Zero)),
        ("01", Month(Pad::Zero)),
        ("02", Day(Pad::Zero)),
        ("03", Hour12(Pad::Zero)),
        ("04", Minute(Pad::Zero)),
        ("05", Second(Pad::Zero)),
        ("06", ShortYear),
        ("15", Hour),
        ("1", Month(Pad::None)),
        ("2006", Year),
        ("2", Day(Pad::None)),
        ("__2", YearDay(Pad::Blank)),
        ("_2", Day(Pad::Blank)),
        ("3", Hour12(Pad::None)),
        ("4", Minute(Pad::None)),
        ("5", Second(Pad::None)),
        ("PM", UpperHalf),
        ("pm", LowerHalf),
        ("-070000", Offset(PlainSeconds)),
        ("-07:00:00", Offset(ColonSeconds)),
        ("-0700", Offset(Plain)),
        ("-07:00", Offset(Colon)),
        ("-07", Offset(Hours)),
        ("Z070000", ZuluOrOffset(PlainSeconds)),
        ("Z07:00:00", ZuluOrOffset(ColonSeconds)),
        ("Z0700", ZuluOrOffset(Plain)),
        ("Z07:00", ZuluOrOffset(Colon)),
        ("Z07", ZuluOrOffset(Hours)),
    ];
    // An underscore and a year; the `_2` in it is no day.
    if layout.starts_with("_2006") {
        return None;
    }
    if let Some(fraction) = fraction_at(layout) {
        return Some(fraction);
    }
    let &(name, field) = NAMES.iter().find(|(name, _)| layout.starts_with(name))?;
    // `Month` is a word, not the weekday of the reference date followed by `th`.
    let short_name = matches!(field, MonthName | Weekday);
    if short_name && layout[name.len()..].starts_with(|next: char| next.is_ascii_lowercase()) {
        return None;
    }
    Some((field, name.len()))
}

/// Finds `.000` or `,999` at the beginning of a layout. Another digit after it makes it literal.
fn fraction_at(layout: &str) -> Option<(Field, usize)> {
    let bytes = layout.as_bytes();
    let separator = match bytes.first()? {
        b'.' => Separator::Point,
        b',' => Separator::Comma,
        _ => return None,
    };
    let digit = *bytes.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let n_digits = bytes[1..].iter().take_while(|byte| **byte == digit).count();
    if bytes.get(1 + n_digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let shown = u8::try_from(n_digits).unwrap_or(u8::MAX);
    let field = if digit == b'0' {
        Field::Fraction(separator, shown)
    } else {
        Field::OptionalFraction(separator, shown)
    };
    Some((field, 1 + n_digits))
}

/// Appends one part of a date.
fn write_field(field: Field, time: DateTime, civil: &Civil, out: &mut String) {
    let twelve = match civil.hour % 12 {
        0 => 12,
        hour => hour,
    };
    match field {
        Field::ShortYear => {
            write_two(u32::try_from(civil.year.rem_euclid(100)).unwrap_or(0), out);
        }
        Field::Year => write_year(civil.year, out),
        Field::MonthName => out.push_str(&month_name(civil.month)[..3]),
        Field::LongMonthName => out.push_str(month_name(civil.month)),
        Field::Month(pad) => write_number(civil.month.into(), 2, pad, out),
        Field::Weekday => out.push_str(&weekday_name(time.weekday())[..3]),
        Field::LongWeekday => out.push_str(weekday_name(time.weekday())),
        Field::Day(pad) => write_number(civil.day.into(), 2, pad, out),
        Field::YearDay(pad) => write_number(time.year_day(), 3, pad, out),
        Field::Hour => write_two(civil.hour.into(), out),
        Field::Hour12(pad) => write_number(twelve.into(), 2, pad, out),
        Field::Minute(pad) => write_number(civil.minute.into(), 2, pad, out),
        Field::Second(pad) => write_number(civil.second.into(), 2, pad, out),
        Field::UpperHalf => out.push_str(if civil.hour >= 12 { "PM" } else { "AM" }),
        Field::LowerHalf => out.push_str(if civil.hour >= 12 { "pm" } else { "am" }),
        Field::ZuluOrOffset(_) if time.offset() == 0 => out.push('Z'),
        Field::Offset(style) | Field::ZuluOrOffset(style) => {
            write_offset(time.offset(), style, out);
        }
        Field::ZoneName if time.offset() == 0 => out.push_str("UTC"),
        Field::ZoneName => write_offset(time.offset(), OffsetStyle::Plain, out),
        Field::Fraction(separator, n_digits) => {
            write_separator(separator, out);
            write_nanos(civil.nanos, n_digits.into(), out);
            // Go has nine digits to give; a longer layout is filled up.
            out.extend((9..n_digits).map(|_| '0'));
        }
        Field::OptionalFraction(separator, n_digits) => {
            let kept = out.len();
            write_separator(separator, out);
            write_nanos(civil.nanos, n_digits.into(), out);
            let length = kept + out[kept..].trim_end_matches('0').len();
            // A separator with no digit left behind it goes too.
            out.truncate(if length == kept + 1 { kept } else { length });
        }
    }
}

fn write_separator(separator: Separator, out: &mut String) {
    out.push(match separator {
        Separator::Point => '.',
        Separator::Comma => ',',
    });
}

fn write_number(number: u16, width: usize, pad: Pad, out: &mut String) {
    let mut unit = if width == 3 { 100 } else { 10 };
    let mut leading = true;
    while unit > 0 {
        let digit = u8::try_from(number / unit % 10).unwrap_or(0);
        leading &= digit == 0 && unit > 1;
        match pad {
            Pad::None if leading => {}
            Pad::Blank if leading => out.push(' '),
            Pad::None | Pad::Blank | Pad::Zero => out.push(char::from(b'0' + digit)),
        }
        unit /= 10;
    }
}

fn month_name(month: u8) -> &'static str {
    MONTHS[usize::from(month.clamp(1, 12)) - 1]
}

fn weekday_name(weekday: u8) -> &'static str {
    WEEKDAYS[usize::from(weekday % 7)]
}

#[cfg(test)]
mod tests;
