//! The fixed ways to write a time: RFC 3339, and what Go prints when not told how.

use super::number;
use super::time::{Civil, DateTime, days_in_month};
use alloc::string::String;

/// Reads a strict RFC 3339 date and time, such as `2024-03-01T10:11:12.5+01:00`.
///
/// hot: every event of a replayed log passes here, so it reads fixed columns.
pub fn parse_rfc3339(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let (head, tail) = bytes.split_first_chunk::<19>()?;
    if [head[4], head[7], head[10], head[13], head[16]] != *b"--T::" {
        return None;
    }
    let civil = Civil {
        year: i64::from(two(head, 0)?) * 100 + i64::from(two(head, 2)?),
        month: two(head, 5)?,
        day: two(head, 8)?,
        hour: two(head, 11)?,
        minute: two(head, 14)?,
        second: two(head, 17)?,
        nanos: 0,
    };
    if !(1..=12).contains(&civil.month)
        || civil.day < 1
        || civil.day > days_in_month(civil.year, civil.month)
        || civil.hour > 23
        || civil.minute > 59
        || civil.second > 59
    {
        return None;
    }
    let (nanos, tail) = match tail {
        [b'.', rest @ ..] => {
            let n_digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if n_digits == 0 {
                return None;
            }
            (nanos_from_digits(&rest[..n_digits]), &rest[n_digits..])
        }
        _ => (0, tail),
    };
    let offset = match *tail {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (two(tail, 1)?, two(tail, 4)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let east = i32::from(hours) * 3600 + i32::from(minutes) * 60;
            if sign == b'-' { -east } else { east }
        }
        _ => return None,
    };
    Some(DateTime::from_civil(Civil { nanos, ..civil }, offset))
}

/// Reads two digits at a column.
fn two(bytes: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (bytes.get(at)?.wrapping_sub(b'0'), bytes.get(at + 1)?.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| tens * 10 + ones)
}

/// Reads the digits after a decimal point as nanoseconds; digits past the ninth are dropped.
pub(super) fn nanos_from_digits(digits: &[u8]) -> u32 {
    let mut nanos = 0;
    for position in 0..9 {
        let digit = digits.get(position).map_or(0, |byte| byte.wrapping_sub(b'0').min(9));
        nanos = nanos * 10 + u32::from(digit);
    }
    nanos
}

/// Appends RFC 3339 with the fraction of a second, if any, without trailing zeros.
pub fn write_rfc3339_nano(time: DateTime, out: &mut String) {
    write_date_time(time, b'T', out);
    write_fraction(time.subsec_nanos(), out);
    write_zulu_or_offset(time.offset(), out);
}

/// Appends RFC 3339 in whole seconds.
pub fn write_rfc3339(time: DateTime, out: &mut String) {
    write_date_time(time, b'T', out);
    write_zulu_or_offset(time.offset(), out);
}

/// Returns RFC 3339 with the fraction of a second, if any, without trailing zeros.
pub fn format_rfc3339_nano(time: DateTime) -> String {
    let mut out = String::with_capacity(35);
    write_rfc3339_nano(time, &mut out);
    out
}

/// Returns RFC 3339 in whole seconds.
pub fn format_rfc3339(time: DateTime) -> String {
    let mut out = String::with_capacity(25);
    write_rfc3339(time, &mut out);
    out
}

/// Appends a time as Go prints one: `2006-01-02 15:04:05.5 +0100 +0100`, or `… +0000 UTC`.
///
/// The last word is the zone's name. Names are not kept here, and Go itself repeats the offset
/// when it knows none.
pub fn write_go_string(time: DateTime, out: &mut String) {
    write_date_time(time, b' ', out);
    write_fraction(time.subsec_nanos(), out);
    out.push(' ');
    write_offset(time.offset(), OffsetStyle::Plain, out);
    out.push(' ');
    if time.offset() == 0 {
        out.push_str("UTC");
    } else {
        write_offset(time.offset(), OffsetStyle::Plain, out);
    }
}

/// Returns a time as Go prints one; see [`write_go_string`].
pub fn format_go_string(time: DateTime) -> String {
    let mut out = String::with_capacity(43);
    write_go_string(time, &mut out);
    out
}

/// How an offset from UTC is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OffsetStyle {
    /// `+01`
    Hours,
    /// `+0130`
    Plain,
    /// `+01:30`
    Colon,
    /// `+013000`
    PlainSeconds,
    /// `+01:30:00`
    ColonSeconds,
}

/// Appends an offset from UTC, never as `Z`.
pub(super) fn write_offset(offset: i32, style: OffsetStyle, out: &mut String) {
    out.push(if offset < 0 { '-' } else { '+' });
    let size = offset.unsigned_abs();
    write_two(size / 3600, out);
    let colon = matches!(style, OffsetStyle::Colon | OffsetStyle::ColonSeconds);
    if style == OffsetStyle::Hours {
        return;
    }
    if colon {
        out.push(':');
    }
    write_two(size / 60 % 60, out);
    if matches!(style, OffsetStyle::PlainSeconds | OffsetStyle::ColonSeconds) {
        if colon {
            out.push(':');
        }
        write_two(size % 60, out);
    }
}

fn write_zulu_or_offset(offset: i32, out: &mut String) {
    if offset == 0 {
        out.push('Z');
    } else {
        write_offset(offset, OffsetStyle::Colon, out);
    }
}

/// Appends a date and a time of day.
///
/// hot: the text is put together on the stack and appended at once.
fn write_date_time(time: DateTime, separator: u8, out: &mut String) {
    let civil = time.civil();
    let Ok(year @ 0..=9999) = u32::try_from(civil.year) else {
        return write_far_date_time(&civil, separator, out);
    };
    let mut text = *b"0000-00-00 00:00:00";
    text[10] = separator;
    for (at, value) in [
        (0, year / 100),
        (2, year % 100),
        (5, civil.month.into()),
        (8, civil.day.into()),
        (11, civil.hour.into()),
        (14, civil.minute.into()),
        (17, civil.second.into()),
    ] {
        text[at] += u8::try_from(value / 10).unwrap_or(0);
        text[at + 1] += u8::try_from(value % 10).unwrap_or(0);
    }
    out.push_str(core::str::from_utf8(&text).unwrap_or_default());
}

/// Appends a date and a time of day in a year that has no four digits.
fn write_far_date_time(civil: &Civil, separator: u8, out: &mut String) {
    write_year(civil.year, out);
    for (mark, value) in [
        (b'-', civil.month),
        (b'-', civil.day),
        (separator, civil.hour),
        (b':', civil.minute),
        (b':', civil.second),
    ] {
        out.push(char::from(mark));
        write_two(u32::from(value), out);
    }
}

/// Appends a year with at least four digits.
pub(super) fn write_year(year: i64, out: &mut String) {
    if year < 0 {
        out.push('-');
    }
    let size = year.unsigned_abs();
    let (high, low) = (size / 100, u32::try_from(size % 100).unwrap_or(0));
    match u32::try_from(high) {
        Ok(high @ 0..=99) => write_two(high, out),
        _ => number::write_u64(high, out),
    }
    write_two(low, out);
}

/// Appends the last two digits of a number.
pub(super) fn write_two(value: u32, out: &mut String) {
    let digit = |n: u32| char::from(b'0' + u8::try_from(n % 10).unwrap_or(0));
    out.push(digit(value / 10));
    out.push(digit(value));
}

/// Appends `.` and the digits of a fraction of a second without trailing zeros; nothing for zero.
fn write_fraction(nanos: u32, out: &mut String) {
    if nanos != 0 {
        out.push('.');
        write_nanos(nanos, 9, out);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Appends the first `n_digits` (at most nine) digits of a fraction of a second.
pub(super) fn write_nanos(nanos: u32, n_digits: usize, out: &mut String) {
    let mut unit = 100_000_000;
    for _ in 0..n_digits.min(9) {
        out.push(char::from(b'0' + u8::try_from(nanos / unit % 10).unwrap_or(0)));
        unit /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn rfc3339_round_trips() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.999999999Z",
            "2024-03-01T10:11:12+01:00",
            "2024-03-01T10:11:12.5-09:30",
            "0001-01-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(format_rfc3339_nano(at(text)), text);
        }
        assert_eq!(
            format_rfc3339_nano(at("2024-03-01T10:11:12.500000000123+00:00")),
            "2024-03-01T10:11:12.5Z"
        );
        assert_eq!(format_rfc3339(at("2024-03-01T10:11:12.5+02:00")), "2024-03-01T10:11:12+02:00");
    }

    #[test]
    fn rfc3339_is_strict() {
        for text in [
            "",
            "2024-03-01",
            "2024-03-01T10:11:12",
            "2024-03-01T10:11:12.Z",
            "2024-03-01T10:11:12z",
            "2024-03-01 10:11:12Z",
            "2024-03-01T10:11:12,5Z",
            "2024-03-01T24:11:12Z",
            "2024-03-01T10:60:12Z",
            "2024-03-01T10:11:60Z",
            "2024-13-01T10:11:12Z",
            "2024-00-01T10:11:12Z",
            "2024-02-30T10:11:12Z",
            "2023-02-29T10:11:12Z",
            "2024-03-00T10:11:12Z",
            "2024-03-01T10:11:12+0100",
            "2024-03-01T10:11:12+24:00",
            "2024-03-01T10:11:12Zx",
            "2024-03-01T1:11:12Z",
            "é024-03-01T10:11:12Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn go_strings_repeat_the_offset() {
        assert_eq!(
            format_go_string(at("2024-03-01T10:11:12.50Z")),
            "2024-03-01 10:11:12.5 +0000 UTC"
        );
        assert_eq!(
            format_go_string(at("2024-03-01T10:11:12-03:30")),
            "2024-03-01 10:11:12 -0330 -0330"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text: String, date in "[0-9]{3,4}[-é][0-9]{2}-[0-9]{2}T[0-9:]{8}[.0-9]{0,4}[-+Z0-9:]{0,6}") {
            let _ = (parse_rfc3339(&text), parse_rfc3339(&date));
        }
    }
}
