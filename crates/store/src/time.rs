//! Instants and lengths as text in the database.
//!
//! An instant is `2026-07-01 10:20:30.5+00:00`: UTC, the fraction without trailing zeros. Such texts
//! sort like the instants they stand for, since `+` sorts before `.` and before every digit.
//! COMPAT(crowdsec): the same spelling, so that a database can be taken over and handed back.

use std::fmt::Write as _;
use std::time::Duration;

use model::Timestamp;

/// Writes an instant.
pub(crate) fn to_text(at: Timestamp) -> String {
    let (seconds, nanos) = at.unix();
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let mut out = String::with_capacity(35);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Writing to a string cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let _ = write!(out, ".{nanos:09}");
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push_str("+00:00");
    out
}

/// An instant as every database keeps it: PostgreSQL counts microseconds. Ends of decisions are such
/// instants in memory too, or they would end there and on the server at different times.
pub(crate) fn kept(at: Timestamp) -> Timestamp {
    at.plus_nanos(-at.unix_nanos().rem_euclid(1000))
}

/// Writes an instant as RFC 3339, in UTC.
pub(crate) fn to_rfc3339(at: Timestamp) -> String {
    let text = to_text(at);
    let (date, rest) = text.split_once(' ').expect("every instant has a blank after the date");
    format!("{date}T{}Z", rest.trim_end_matches("+00:00"))
}

/// Reads an instant as databases and RFC 3339 spell it: `T` or a blank, any fraction, `Z`, an offset
/// or nothing. Also with the name of the zone behind it, as Go prints times. `None` otherwise.
pub(crate) fn from_text(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b" Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0i64;
    if is(at, b".,") {
        at += 1;
        let mut unit = 100_000_000;
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            nanos += i64::from(digit - b'0') * unit;
            unit /= 10;
            at += 1;
        }
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let rest = text.get(at..)?.trim_start();
    let offset = match rest.as_bytes() {
        [] | [b'Z' | b'z', ..] | [b'U', b'T', b'C', ..] => 0,
        [sign @ (b'+' | b'-'), h1, h2, tail @ ..] => {
            let tail = tail.strip_prefix(b":").unwrap_or(tail);
            let [m1, m2, ..] = tail else { return None };
            let digits = [h1, h2, m1, m2];
            if !digits.iter().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let of = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let offset = of(h1, h2) * 3600 + of(m1, m2) * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some(Timestamp::from_unix(seconds - offset, 0).plus_nanos(nanos))
}

/// Days since 1970-01-01 of a date in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March here, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date `days` after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Writes a length as alerts spell it: `1h2m3.5s`, `150ms`, `0s`.
pub(crate) fn length_to_text(length: Duration) -> String {
    let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
    let fraction = |whole: u64, rest: u32, width: usize, unit: &str| {
        let text = format!("{whole}.{rest:0width$}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => fraction(u64::from(nanos / 1_000), nanos % 1_000, 3, "µs"),
            _ => fraction(u64::from(nanos / 1_000_000), nanos % 1_000_000, 6, "ms"),
        };
    }
    let last = fraction(seconds % 60, nanos, 9, "s");
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => last,
        (0, minutes) => format!("{minutes}m{last}"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}"),
    }
}

/// Reads such a length; zero for anything else.
pub(crate) fn length_from_text(text: &str) -> Duration {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Duration::ZERO,
        };
        let Ok(number) = number.parse::<f64>() else { return Duration::ZERO };
        sum = sum
            .saturating_add(Duration::try_from_secs_f64(number * scale).unwrap_or(Duration::MAX));
        rest = tail;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_they_were_read_and_sort() {
        let texts = [
            "1969-12-31 23:59:59.999999999+00:00",
            "1970-01-01 00:00:00+00:00",
            "2024-02-29 12:00:00+00:00",
            "2024-02-29 12:00:00.05+00:00",
            "2024-02-29 12:00:00.5+00:00",
            "2024-03-01 00:00:00+00:00",
            "2100-03-01 00:00:00.000000001+00:00",
        ];
        let times: Vec<Timestamp> = texts.iter().map(|text| from_text(text).unwrap()).collect();
        assert!(times.is_sorted() && texts.is_sorted());
        for (text, time) in texts.iter().zip(times) {
            assert_eq!(to_text(time), *text);
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let want = Timestamp::from_unix(1_709_208_000, 500_000_000);
        for text in [
            "2024-02-29T12:00:00.5Z",
            "2024-02-29T14:00:00.5+02:00",
            "2024-02-29 12:00:00.5 +0000 UTC",
            "2024-02-29 12:00:00.500",
        ] {
            assert_eq!(from_text(text), Some(want), "{text}");
        }
        assert_eq!(to_rfc3339(want), "2024-02-29T12:00:00.5Z");
        for text in [
            "",
            "2024-13-01 00:00:00",
            "2024-02-29",
            "2024-02-29 12:00:00 noon",
            "é24-02-29 12:00:00",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_print_as_they_were_read() {
        for text in ["0s", "150ms", "10s", "1m0s", "1h2m3.5s", "1.5µs", "7ns", "168h0m0s"] {
            assert_eq!(length_to_text(length_from_text(text)), text);
        }
        assert_eq!(length_from_text("soon"), Duration::ZERO);
    }
}
