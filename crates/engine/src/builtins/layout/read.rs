//! Reading a date by a layout, as fuzzily as Go does.
//!
//! Each part of the date takes what it can from the front of the text; the parts are put together
//! and checked against the calendar at the end, because the day may come before its month.
//!
//! hot: every line passes here. Nothing allocates.

use super::super::rfc3339::{OffsetStyle, nanos_from_digits};
use super::super::time::{Civil, DateTime, days_in_month, is_leap};
use super::{Field, MONTHS, Pad, Piece, WEEKDAYS};

/// What has been read so far. `None` means that the layout did not ask.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<u16>,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    half: Option<Half>,
    /// Set by `Z` or `UTC`; wins over an offset.
    zulu: bool,
    offset: Option<i32>,
    zone_offset: i32,
}

#[derive(Clone, Copy)]
enum Half {
    Am,
    Pm,
}

/// Reads a date that fills the whole text; see [`super::GoLayout::parse`].
///
/// `missing_year` is asked for the year of a date in year 0, which is how a date without one reads.
/// The day is checked before that, so February 29 always passes, and becomes March 1 if need be.
pub(in super::super) fn parse_pieces(
    pieces: &[Piece],
    text: &str,
    missing_year: impl FnOnce() -> i64,
) -> Option<DateTime> {
    let mut parts = Parts::default();
    let mut rest = text.as_bytes();
    for (index, piece) in pieces.iter().enumerate() {
        match *piece {
            Piece::Blanks(_) => rest = skip_blanks(rest)?,
            Piece::Literal(literal) if literal.is_ascii() => {
                rest = rest.strip_prefix(&[u8::try_from(literal).ok()?])?;
            }
            Piece::Literal(literal) => {
                rest = rest.strip_prefix(literal.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
            Piece::Field(field) => {
                rest = parts.read(field, rest)?;
                if matches!(field, Field::Second(_)) && !fraction_follows(&pieces[index + 1..]) {
                    rest = parts.read_unasked_fraction(rest);
                }
            }
        }
    }
    if rest.is_empty() { parts.into_time(missing_year) } else { None }
}

/// A run of blanks matches a run of any length, and also the end of the text: what follows decides.
fn skip_blanks(rest: &[u8]) -> Option<&[u8]> {
    if rest.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    Some(&rest[rest.iter().take_while(|byte| **byte == b' ').count()..])
}

/// Returns whether the layout's next part is a fraction, whatever literal text comes before it.
fn fraction_follows(pieces: &[Piece]) -> bool {
    let next = pieces.iter().find(|piece| matches!(piece, Piece::Field(_)));
    matches!(next, Some(Piece::Field(Field::Fraction(..) | Field::OptionalFraction(..))))
}

impl Parts {
    /// Reads one part from the front of the text and returns what is left.
    fn read<'t>(&mut self, field: Field, rest: &'t [u8]) -> Option<&'t [u8]> {
        match field {
            Field::ShortYear => {
                let (year, rest) = two_digits(rest)?;
                // Go's pivot: 69 to 99 are of the last century.
                self.year = i64::from(year) + if year >= 69 { 1900 } else { 2000 };
                Some(rest)
            }
            Field::Year => {
                let (high, rest) = two_digits(rest)?;
                let (low, rest) = two_digits(rest)?;
                self.year = i64::from(high) * 100 + i64::from(low);
                Some(rest)
            }
            Field::MonthName => {
                let (name, rest) = rest.split_first_chunk::<3>()?;
                self.month = Some(month_from_short(*name)?);
                Some(rest)
            }
            Field::LongMonthName => {
                let (index, rest) = strip_name(rest, &MONTHS)?;
                self.month = Some(index + 1);
                Some(rest)
            }
            Field::Month(pad) => {
                let (month, rest) = number(rest, pad)?;
                self.month = Some(month);
                (1..=12).contains(&month).then_some(rest)
            }
            Field::Weekday => {
                let (name, rest) = rest.split_first_chunk::<3>()?;
                is_short_weekday(*name).then_some(rest)
            }
            Field::LongWeekday => Some(strip_name(rest, &WEEKDAYS)?.1),
            Field::Day(pad) => {
                let rest = match (pad, rest) {
                    (Pad::Blank, [b' ', rest @ ..]) => rest,
                    _ => rest,
                };
                let (day, rest) = number(rest, pad)?;
                self.day = Some(day);
                Some(rest)
            }
            Field::YearDay(pad) => {
                let (day, rest) = year_day(rest, pad)?;
                self.year_day = Some(day);
                Some(rest)
            }
            Field::Hour => {
                let (hour, rest) = number(rest, Pad::None)?;
                self.hour = hour;
                (hour < 24).then_some(rest)
            }
            Field::Hour12(pad) => {
                let (hour, rest) = number(rest, pad)?;
                self.hour = hour;
                (hour <= 12).then_some(rest)
            }
            Field::Minute(pad) => {
                let (minute, rest) = number(rest, pad)?;
                self.minute = minute;
                (minute < 60).then_some(rest)
            }
            Field::Second(pad) => {
                let (second, rest) = number(rest, pad)?;
                self.second = second;
                (second < 60).then_some(rest)
            }
            Field::UpperHalf => self.read_half(rest, *b"AM", *b"PM"),
            Field::LowerHalf => self.read_half(rest, *b"am", *b"pm"),
            Field::Offset(style) => self.read_offset(rest, style),
            Field::ZuluOrOffset(style) => match rest {
                [b'Z', rest @ ..] => {
                    self.zulu = true;
                    Some(rest)
                }
                _ => self.read_offset(rest, style),
            },
            Field::ZoneName => self.read_zone_name(rest),
            Field::Fraction(_, n_digits) => {
                let (fraction, rest) = rest.split_at_checked(1 + usize::from(n_digits))?;
                let is_fraction =
                    starts_fraction(fraction) && fraction[1..].iter().all(u8::is_ascii_digit);
                self.nanos = nanos_from_digits(&fraction[1..]);
                is_fraction.then_some(rest)
            }
            Field::OptionalFraction(..) => Some(self.read_unasked_fraction(rest)),
        }
    }

    /// Reads a fraction of a second if there is one, with as many digits as there are.
    fn read_unasked_fraction<'t>(&mut self, rest: &'t [u8]) -> &'t [u8] {
        if !starts_fraction(rest) {
            return rest;
        }
        let n_digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.nanos = nanos_from_digits(&rest[1..=n_digits]);
        &rest[1 + n_digits..]
    }

    fn read_half<'t>(&mut self, rest: &'t [u8], am: [u8; 2], pm: [u8; 2]) -> Option<&'t [u8]> {
        let (half, rest) = rest.split_first_chunk::<2>()?;
        self.half = Some(if *half == am {
            Half::Am
        } else if *half == pm {
            Half::Pm
        } else {
            return None;
        });
        Some(rest)
    }

    fn read_offset<'t>(&mut self, rest: &'t [u8], style: OffsetStyle) -> Option<&'t [u8]> {
        let (sign, rest) = rest.split_first()?;
        let colon = matches!(style, OffsetStyle::Colon | OffsetStyle::ColonSeconds);
        let seconds_too = matches!(style, OffsetStyle::PlainSeconds | OffsetStyle::ColonSeconds);
        let next = |rest: &'t [u8]| two_digits(if colon { rest.strip_prefix(b":")? } else { rest });
        let (hours, rest) = two_digits(rest)?;
        let (minutes, rest) = if style == OffsetStyle::Hours { (0, rest) } else { next(rest)? };
        let (seconds, rest) = if seconds_too { next(rest)? } else { (0, rest) };
        // Go lets the limits themselves pass: 24 hours, 60 minutes, 60 seconds.
        if hours > 24 || minutes > 60 || seconds > 60 {
            return None;
        }
        let size = i32::from(hours) * 3600 + i32::from(minutes) * 60 + i32::from(seconds);
        self.offset = Some(match sign {
            b'+' => size,
            b'-' => -size,
            _ => return None,
        });
        Some(rest)
    }

    /// Reads the abbreviation of a zone. What it stands for is not known here, so the time counts
    /// as UTC unless the text also has an offset; only `GMT+3` carries its own.
    fn read_zone_name<'t>(&mut self, rest: &'t [u8]) -> Option<&'t [u8]> {
        if let Some(rest) = rest.strip_prefix(b"UTC") {
            self.zulu = true;
            return Some(rest);
        }
        if let Some(after) = rest.strip_prefix(b"GMT") {
            let (hours, after) = signed_hours(after).unwrap_or((0, after));
            self.zone_offset = hours * 3600;
            return Some(after);
        }
        if matches!(rest, [b'+' | b'-', ..]) {
            return Some(signed_hours(rest)?.1);
        }
        if rest.starts_with(b"ChST") || rest.starts_with(b"MeST") {
            return Some(&rest[4..]);
        }
        let n_letters = rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
        let is_zone = match n_letters {
            3 => true,
            4 => rest[3] == b'T' || rest.starts_with(b"WITA"),
            5 => rest[4] == b'T',
            _ => false,
        };
        is_zone.then(|| &rest[n_letters..])
    }

    /// Puts the parts together, if they make a date.
    fn into_time(self, missing_year: impl FnOnce() -> i64) -> Option<DateTime> {
        let hour = match (self.half, self.hour) {
            (Some(Half::Pm), hour) if hour < 12 => hour + 12,
            (Some(Half::Am), 12) => 0,
            (_, hour) => hour,
        };
        let (month, day) = match self.year_day {
            Some(year_day) => {
                let (month, day) = month_and_day(self.year, year_day)?;
                // A month or a day that is also given has to agree.
                if self.month.is_some_and(|given| given != month)
                    || self.day.is_some_and(|given| given != day)
                {
                    return None;
                }
                (month, day)
            }
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        if day < 1 || day > days_in_month(self.year, month) {
            return None;
        }
        let civil = Civil {
            year: if self.year == 0 { missing_year() } else { self.year },
            month,
            day,
            hour,
            minute: self.minute,
            second: self.second,
            nanos: self.nanos,
        };
        let offset = if self.zulu { 0 } else { self.offset.unwrap_or(self.zone_offset) };
        Some(DateTime::from_civil(civil, offset))
    }
}

/// Returns whether the text begins with a decimal mark and a digit.
fn starts_fraction(rest: &[u8]) -> bool {
    matches!(rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit())
}

/// Reads one or two digits; exactly two when the layout pads with zeros.
fn number(rest: &[u8], pad: Pad) -> Option<(u8, &[u8])> {
    match rest {
        [tens, ones, rest @ ..] if tens.is_ascii_digit() && ones.is_ascii_digit() => {
            Some(((tens - b'0') * 10 + (ones - b'0'), rest))
        }
        [digit, rest @ ..] if digit.is_ascii_digit() && pad != Pad::Zero => {
            Some((digit - b'0', rest))
        }
        _ => None,
    }
}

fn two_digits(rest: &[u8]) -> Option<(u8, &[u8])> {
    number(rest, Pad::Zero)
}

/// Reads up to three digits; exactly three when the layout pads with zeros.
fn year_day(rest: &[u8], pad: Pad) -> Option<(u16, &[u8])> {
    let blanks = match (pad, rest) {
        (Pad::Blank, [b' ', b' ', ..]) => 2,
        (Pad::Blank, [b' ', ..]) => 1,
        _ => 0,
    };
    let rest = &rest[blanks..];
    let n_digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if n_digits == 0 || (pad == Pad::Zero && n_digits != 3) {
        return None;
    }
    let day = rest[..n_digits].iter().fold(0, |day, digit| day * 10 + u16::from(digit - b'0'));
    Some((day, &rest[n_digits..]))
}

/// Reads `+3` or `-11`: hours of an offset, at most 23.
fn signed_hours(rest: &[u8]) -> Option<(i32, &[u8])> {
    let (sign, rest) = rest.split_first().filter(|(sign, _)| matches!(sign, b'+' | b'-'))?;
    let n_digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = rest[..n_digits].iter();
    let hours = digits
        .fold(0, |sum: i32, digit| sum.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    if n_digits == 0 || hours > 23 {
        return None;
    }
    Some((if *sign == b'-' { -hours } else { hours }, &rest[n_digits..]))
}

/// Strips one of the names, in any case, and returns its index.
fn strip_name<'t>(rest: &'t [u8], names: &[&str]) -> Option<(u8, &'t [u8])> {
    let (index, name) = names.iter().enumerate().find(|(_, name)| {
        rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    Some((u8::try_from(index).ok()?, &rest[name.len()..]))
}

/// Setting the bit that tells cases apart turns no other byte into a letter.
fn month_from_short(name: [u8; 3]) -> Option<u8> {
    Some(match &name.map(|byte| byte | 0x20) {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    })
}

fn is_short_weekday(name: [u8; 3]) -> bool {
    matches!(
        &name.map(|byte| byte | 0x20),
        b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun"
    )
}

/// Turns the day of a year into its month and day.
fn month_and_day(year: i64, year_day: u16) -> Option<(u8, u8)> {
    if year_day == 0 || year_day > if is_leap(year) { 366 } else { 365 } {
        return None;
    }
    let mut day = year_day;
    for month in 1..=12 {
        let length = u16::from(days_in_month(year, month));
        if day <= length {
            return Some((month, u8::try_from(day).ok()?));
        }
        day -= length;
    }
    None
}
