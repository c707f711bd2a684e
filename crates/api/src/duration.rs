//! Durations as Go writes them: `4h0m0s`, `1.5s`, `-3m2s`; days (`7d`) are understood, not written.

use std::time::Duration;

const NANOS: i128 = 1_000_000_000;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time: invalid duration \"{0}\"")]
pub struct BadDuration(pub String);

/// Reads a duration in nanoseconds, possibly negative. `d` counts 24 hours.
///
/// ```
/// assert_eq!(api::duration::parse("1d12h").unwrap(), 36 * 3600 * 1_000_000_000);
/// assert!(api::duration::parse("4 hours").is_err());
/// ```
///
/// # Errors
/// When `text` is not a sequence of numbers with units, or is longer than 292 years.
pub fn parse(text: &str) -> Result<i64, BadDuration> {
    read(text).ok_or_else(|| BadDuration(text.chars().take(64).collect()))
}

/// Reads a duration that must not be negative.
///
/// # Errors
/// As [`parse`], and when it is below zero.
pub fn parse_positive(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.chars().take(64).collect());
    u64::try_from(parse(text)?).map(Duration::from_nanos).map_err(|_| bad())
}

fn read(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(part(number, unit_nanos(unit)?)?)?;
        rest = tail;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS,
        "m" => 60 * NANOS,
        "h" => 3600 * NANOS,
        "d" => 24 * 3600 * NANOS,
        _ => return None,
    })
}

/// `number` units of `unit` nanoseconds. Digits beyond what a nanosecond can tell are dropped.
fn part(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { i128::from(whole.parse::<u64>().ok()?) };
    let fraction = fraction.get(..fraction.len().min(15)).unwrap_or("");
    let digits: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(digits.checked_mul(unit)? / scale)
}

/// Writes a duration the way Go does, without rounding.
#[must_use]
pub fn format(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let rest = nanos.unsigned_abs();
    if rest < 1_000_000_000 {
        let (unit, scale) = match rest {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("\u{b5}s", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(rest / scale, rest % scale, scale));
    }
    let seconds = rest / 1_000_000_000;
    let tail = decimal(seconds % 60, rest % 1_000_000_000, 1_000_000_000);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{tail}s"),
        (0, minutes) => format!("{sign}{minutes}m{tail}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{tail}s"),
    }
}

/// `whole` and `rest` parts of `scale` as a decimal number without trailing zeros.
fn decimal(whole: u64, rest: u64, scale: u64) -> String {
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// What remains of a decision that still holds: whole seconds, at least one.
///
/// Firewalls take a lifetime of zero for ever, so the last second is never rounded down.
#[must_use]
pub fn remaining(nanos: i64) -> String {
    format(whole_remaining(nanos))
}

/// The same as a number of nanoseconds.
#[must_use]
pub fn whole_remaining(nanos: i64) -> i64 {
    round(nanos).max(1_000_000_000)
}

/// How long ago a decision ended (negative), or how long it holds: whole seconds.
#[must_use]
pub fn rounded(nanos: i64) -> String {
    format(round(nanos))
}

/// To the nearest second, halves away from zero, saturating at the ends of the range.
#[must_use]
pub fn round(nanos: i64) -> i64 {
    let half = if nanos < 0 { -500_000_000 } else { 500_000_000 };
    nanos.saturating_add(half) / 1_000_000_000 * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads_and_days() {
        let second = 1_000_000_000i64;
        for (text, want) in [
            ("0", 0),
            ("4h", 4 * 3600 * second),
            ("3h59m12s", (3 * 3600 + 59 * 60 + 12) * second),
            ("-1m5s", -65 * second),
            ("+1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", second),
            ("7d", 7 * 24 * 3600 * second),
            ("1d12h", 36 * 3600 * second),
            ("10us", 10_000),
            ("10\u{b5}s", 10_000),
            ("1h1h", 7200 * second),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for bad in ["", "-", "4", "4 h", "h", "1..2s", ".s", "1x", "1e3s", "99999999999999h", "1w"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse_positive("-1s").is_err());
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5\u{b5}s"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (4 * 3600 * 1_000_000_000, "4h0m0s"),
            (-182_000_000_000, "-3m2s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format(nanos), want);
        }
    }

    #[test]
    fn the_last_second_is_a_second() {
        assert_eq!(remaining(1), "1s");
        assert_eq!(remaining(1_499_999_999), "1s");
        assert_eq!(remaining(1_500_000_000), "2s");
        assert_eq!(rounded(-400_000_000), "0s");
        assert_eq!(rounded(-1_600_000_000), "-2s");
        assert_eq!(rounded(i64::MAX), format(i64::MAX / 1_000_000_000 * 1_000_000_000));
    }
}
