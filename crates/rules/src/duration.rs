//! Durations as rules write them: numbers with units, `1h30m` or `0.5s`.

use core::time::Duration;

/// Units and their lengths in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    // Two characters that look the same: the micro sign and the Greek letter.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DurationFault {
    /// A number has no unit.
    NoUnit,
    /// A unit is none of ours: days, for example, which are not all of the same length.
    Unit,
    /// It is negative.
    Negative,
    /// It is longer than 292 years.
    TooLong,
    /// It is something else.
    Form,
}

/// Reads a duration. Only a bare `0` may lack a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationFault> {
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationFault::Form);
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(DurationFault::Form);
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit = &after[..unit_end];
        if unit.is_empty() {
            return Err(DurationFault::NoUnit);
        }
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationFault::Unit)?;
        let part = scaled(whole, fraction, *scale).ok_or(DurationFault::TooLong)?;
        nanos = nanos.checked_add(part).ok_or(DurationFault::TooLong)?;
        rest = &after[unit_end..];
    }
    if i64::try_from(nanos).is_err() {
        return Err(DurationFault::TooLong);
    }
    if negative && nanos > 0 {
        Err(DurationFault::Negative)
    } else {
        Ok(Duration::from_nanos(nanos))
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `whole.fraction` times `scale`, rounded down.
fn scaled(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits that stand for less than a nanosecond change nothing; the hour has thirteen others.
    let fraction = &fraction[..fraction.len().min(18)];
    let ten_to = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let below = u64::try_from(fraction * u128::from(scale) / ten_to).ok()?;
    whole.checked_mul(scale)?.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<u64, DurationFault>) {
        assert_eq!(parse(text), expect.map(Duration::from_nanos), "{text:?}");
    }

    #[test]
    fn numbers_have_units_and_add_up() {
        check("10s", Ok(10_000_000_000));
        check("1h30m", Ok(5_400_000_000_000));
        check("0.5s", Ok(500_000_000));
        check(".5s", Ok(500_000_000));
        check("1.s", Ok(1_000_000_000));
        check("1ms2us3ns", Ok(1_002_003));
        check("3µs", Ok(3_000));
        check("3μs", Ok(3_000));
        check("+1s", Ok(1_000_000_000));
        check("0", Ok(0));
        check("-0s", Ok(0));
        check("0.0000000001s", Ok(0));
    }

    #[test]
    fn everything_else_is_refused_for_a_reason() {
        check("", Err(DurationFault::Form));
        check("s", Err(DurationFault::Form));
        check("1 s", Err(DurationFault::Unit));
        check(".s", Err(DurationFault::Form));
        check("10", Err(DurationFault::NoUnit));
        check("1m30", Err(DurationFault::NoUnit));
        check("7d", Err(DurationFault::Unit));
        check("10S", Err(DurationFault::Unit));
        check("-10s", Err(DurationFault::Negative));
        check("9999999h", Err(DurationFault::TooLong));
        check("99999999999999999999s", Err(DurationFault::TooLong));
        check("0.99999999999999999999999999999999999999999999s", Ok(999_999_999));
    }
}
