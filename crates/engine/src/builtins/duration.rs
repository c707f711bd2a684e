//! Go's durations: `1h30m`, `1.5s`, `-250ms`; printed as `72h3m0.5s` (spec 12.9).
//!
//! A duration is a number of nanoseconds in an `i64`, some 292 years either way. What does not fit
//! is an error when read; nothing here wraps.

use super::number::write_u64;
use super::sprintf::quote;
use alloc::{format, string::String};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Reads a duration as Go writes it. A bare `0` is one, any other bare number is not.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let (negative, rest) = sign(text);
    let nanos = if rest == "0" { Some(0) } else { sum(rest, 0) };
    nanos.and_then(|nanos| signed(negative, nanos)).ok_or_else(|| invalid(text))
}

/// Reads a duration that may begin with whole days of 24 hours: `7d`, `2d3h`.
pub fn parse_duration_with_days(text: &str) -> Result<i64, String> {
    let (negative, rest) = sign(text);
    let Some((days, rest)) = rest.split_once('d') else {
        return parse_duration(text);
    };
    let nanos = (|| {
        if days.is_empty() || !days.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let days = days.parse::<u64>().ok()?.checked_mul(DAY)?;
        if rest.is_empty() { Some(days) } else { sum(rest, days) }
    })();
    nanos.and_then(|nanos| signed(negative, nanos)).ok_or_else(|| invalid(text))
}

/// Appends a duration as Go prints it.
pub fn write_duration(nanos: i64, out: &mut String) {
    if nanos < 0 {
        out.push('-');
    }
    let size = nanos.unsigned_abs();
    match size {
        0 => out.push_str("0s"),
        1..1_000 => write_scaled(size, 1, "ns", out),
        1_000..1_000_000 => write_scaled(size, 1_000, "µs", out),
        1_000_000..SECOND => write_scaled(size, 1_000_000, "ms", out),
        SECOND.. => {
            if size >= HOUR {
                write_u64(size / HOUR, out);
                out.push('h');
            }
            if size >= MINUTE {
                write_u64(size / MINUTE % 60, out);
                out.push('m');
            }
            write_scaled(size % MINUTE, SECOND, "s", out);
        }
    }
}

/// Returns a duration as Go prints it.
pub fn format_duration(nanos: i64) -> String {
    let mut out = String::new();
    write_duration(nanos, &mut out);
    out
}

/// Appends `size / unit` as a decimal without trailing zeros. `unit` is a power of ten.
fn write_scaled(size: u64, unit: u64, name: &str, out: &mut String) {
    write_u64(size / unit, out);
    let (mut fraction, mut unit) = (size % unit, unit);
    if fraction != 0 {
        out.push('.');
    }
    while fraction != 0 {
        unit /= 10;
        write_u64(fraction / unit, out);
        fraction %= unit;
    }
    out.push_str(name);
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn signed(negative: bool, nanos: u64) -> Option<i64> {
    if negative { 0_i64.checked_sub_unsigned(nanos) } else { i64::try_from(nanos).ok() }
}

fn invalid(text: &str) -> String {
    format!("{} is not a duration such as `1h30m`", quote(text))
}

/// Adds up one or more numbers with units.
fn sum(text: &str, start: u64) -> Option<u64> {
    let (mut total, mut rest) = (start, text);
    loop {
        let (nanos, after) = term(rest)?;
        total = total.checked_add(nanos).filter(|total| *total <= i64::MIN.unsigned_abs())?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

/// Reads one number and its unit.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|next: char| next == '.' || next.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let unit = match name {
        "ns" => 1,
        // The micro sign and the Greek letter look the same and are two characters.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let part = fraction_of(fraction, unit);
    Some((whole.checked_mul(unit)?.checked_add(part)?, rest))
}

/// Returns the nanoseconds in `0.<digits>` units, rounded down.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    // Digits past the eighteenth are below a nanosecond for every unit.
    let mut scale: u128 = 1;
    let mut value: u128 = 0;
    for digit in digits.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(0)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, nanos: Option<i64>) {
        assert_eq!(parse_duration(text).ok(), nanos, "{text}");
    }

    #[test]
    fn reads_what_go_reads() {
        check("0", Some(0));
        check("+0", Some(0));
        check("1h30m", Some(5_400_000_000_000));
        check("1.5h", Some(5_400_000_000_000));
        check("-1.5s", Some(-1_500_000_000));
        check(".5s", Some(500_000_000));
        check("1.s", Some(1_000_000_000));
        check("1us2µs3μs4ns", Some(6_004));
        check("0.3333333333333333333h", Some(1_199_999_999_999));
        check("9223372036854775807ns", Some(i64::MAX));
        check("-9223372036854775808ns", Some(i64::MIN));
        check("1m1m", Some(120_000_000_000));
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in
            ["", "5", "h", ".s", "1d", "1 h", "1h ", "--1s", "9223372036854775808ns", "1e3s"]
        {
            check(text, None);
        }
        check("99999999999999999999h", None);
        assert_eq!(parse_duration("7d").unwrap_err(), "\"7d\" is not a duration such as `1h30m`");
    }

    #[test]
    fn days_come_first() {
        let day = 86_400_000_000_000;
        assert_eq!(parse_duration_with_days("7d"), Ok(7 * day));
        assert_eq!(parse_duration_with_days("2d3h"), Ok(2 * day + 3 * 3_600_000_000_000));
        assert_eq!(parse_duration_with_days("-1d"), Ok(-day));
        assert_eq!(parse_duration_with_days("90s"), Ok(90_000_000_000));
        for text in ["d", "1.5d", "3h2d", "1d2", "1d-2h", "200000d", ""] {
            assert!(parse_duration_with_days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_what_go_prints() {
        for text in [
            "72h3m0.5s",
            "1m0s",
            "2s",
            "313.983994ms",
            "986.769µs",
            "15ns",
            "0s",
            "-1h0m0.000000001s",
            "2562047h47m16.854775807s",
            "1h0m59s",
        ] {
            let nanos = parse_duration(text).unwrap();
            assert_eq!(format_duration(nanos), text);
        }
        assert_eq!(format_duration(i64::MIN), "-2562047h47m16.854775808s");
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(nanos: i64) {
            prop_assert_eq!(parse_duration(&format_duration(nanos)), Ok(nanos));
        }

        #[test]
        fn never_panics(text in "[-+]?([0-9.]{0,22}[nuµsmhd]{0,2}){0,4}") {
            let _ = (parse_duration(&text).is_ok(), parse_duration_with_days(&text).is_ok());
        }
    }
}
