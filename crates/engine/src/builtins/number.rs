//! Numbers as Go reads and prints them, and the few formulas expressions offer.

use super::time::DateTime;
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

/// Reads a float as Go does; `None` is no number. Numbers too large are infinite.
///
/// Go's hexadecimal floats (`0x1p-2`) are not read: no log writes them.
pub fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Returns what `Atof` gives: the number, or 0 for what is none.
pub fn atof(text: &str) -> f64 {
    parse_float(text).unwrap_or(0.0)
}

/// Reads a decimal integer with an optional sign.
pub fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Returns whether two floats differ by less than a millionth.
pub fn float_approx_equal(a: f64, b: f64) -> bool {
    libm::fabs(a - b) < 1e-6
}

/// Returns the kilometers between two points given in degrees, along a sphere of 6371 km radius.
///
/// A point of exactly 0,0 means "unknown" in the databases that coordinates come from, and is at no
/// distance from anywhere.
pub fn distance(lat1: &str, lon1: &str, lat2: &str, lon2: &str) -> Result<f64, String> {
    const EARTH_RADIUS: f64 = 6371.0;
    let degrees = |text: &str| {
        parse_float(text)
            .ok_or_else(|| format!("{} is not a coordinate", super::sprintf::quote(text)))
    };
    let (lat1, lon1, lat2, lon2) = (degrees(lat1)?, degrees(lon1)?, degrees(lat2)?, degrees(lon2)?);
    if (lat1 == 0.0 && lon1 == 0.0) || (lat2 == 0.0 && lon2 == 0.0) {
        return Ok(0.0);
    }
    // COMPAT(crowdsec): multiplied, then divided. `to_radians` rounds otherwise, and the last digits
    // of the distance differ.
    let radians = |degrees: f64| degrees * core::f64::consts::PI / 180.0;
    let (lat1, lon1, lat2, lon2) = (radians(lat1), radians(lon1), radians(lat2), radians(lon2));
    let squared_half_sine = |angle: f64| {
        let sine = libm::sin(angle / 2.0);
        sine * sine
    };
    let chord = squared_half_sine(lat2 - lat1)
        + libm::cos(lat1) * libm::cos(lat2) * squared_half_sine(lon2 - lon1);
    Ok(2.0 * libm::atan2(libm::sqrt(chord), libm::sqrt(1.0 - chord)) * EARTH_RADIUS)
}

/// Returns the mean time between neighbors in a list of times, in nanoseconds.
pub fn average_interval(times: &[DateTime]) -> Result<i64, String> {
    let intervals = intervals(times)?;
    let sum: i128 = intervals.iter().map(|nanos| i128::from(*nanos)).sum();
    let count = i128::try_from(intervals.len()).unwrap_or(1);
    // The mean of `i64`s is one.
    Ok(i64::try_from(sum / count).unwrap_or(i64::MAX))
}

/// Returns the median time between neighbors in a list of times, in nanoseconds. With an even count
/// it is the mean of the middle two.
pub fn median_interval(times: &[DateTime]) -> Result<i64, String> {
    let mut intervals = intervals(times)?;
    intervals.sort_unstable();
    let middle = intervals.len() / 2;
    if intervals.len() % 2 == 1 {
        return Ok(intervals[middle]);
    }
    let sum = i128::from(intervals[middle - 1]) + i128::from(intervals[middle]);
    Ok(i64::try_from(sum / 2).unwrap_or(i64::MAX))
}

/// Returns the times between neighbors, at least one.
fn intervals(times: &[DateTime]) -> Result<Vec<i64>, String> {
    if times.len() < 2 {
        return Err("an interval needs at least two times".to_owned());
    }
    let mut times = times.to_vec();
    times.sort_unstable();
    Ok(times.windows(2).map(|pair| pair[1].nanos_since(pair[0])).collect())
}

/// Appends a number in decimal.
pub(super) fn write_u64(mut value: u64, out: &mut String) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(digits[start..].iter().map(|digit| char::from(*digit)));
}

/// Which of Go's ways to print a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatStyle {
    /// `%f`: no exponent
    Fixed,
    /// `%e`: always an exponent
    Exponent,
    /// `%g`: an exponent for the very large and the very small
    General,
}

/// More digits than this are never significant: an `f64` has at most 1074 after the point.
const MAX_PRECISION: usize = 1100;

/// Returns a finite or infinite float as Go's `FormatFloat` does; `precision: None` means as many
/// digits as identify the number.
pub(super) fn format_float(value: f64, style: FloatStyle, precision: Option<usize>) -> String {
    let precision = precision.map(|digits| digits.min(MAX_PRECISION));
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf" } else { "+Inf" }.to_owned();
    }
    match (style, precision) {
        (FloatStyle::Fixed, None) => format!("{value}"),
        (FloatStyle::Fixed, Some(digits)) => format!("{value:.digits$}"),
        (FloatStyle::Exponent, None) => go_exponent(&format!("{value:e}")),
        (FloatStyle::Exponent, Some(digits)) => go_exponent(&format!("{value:.digits$e}")),
        (FloatStyle::General, None) => general(&format!("{value:e}"), 6),
        (FloatStyle::General, Some(digits)) => {
            let digits = digits.max(1);
            general(&format!("{value:.*e}", digits - 1), digits)
        }
    }
}

/// Turns `1.5e7` into `1.5e+07`.
fn go_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Lays out `d.ddde±x` as `%g` does: without trailing zeros, and without an exponent if that is
/// from -4 up to below `limit`, or below the number of digits.
fn general(text: &str, limit: usize) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|digit| *digit != '.').collect();
    let trimmed = digits.trim_end_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    if exponent < -4 || exponent >= i32::try_from(limit).unwrap_or(i32::MAX) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return go_exponent(&format!("{sign}{first}{point}{rest}e{exponent}"));
    }
    let Ok(n_whole) = usize::try_from(exponent + 1) else {
        let n_zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(n_zeros));
    };
    if n_whole == 0 {
        return format!("{sign}0.{digits}");
    }
    if digits.len() <= n_whole {
        return format!("{sign}{digits:0<n_whole$}");
    }
    format!("{sign}{}.{}", &digits[..n_whole], &digits[n_whole..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime {
        DateTime::from_unix(seconds, 0, 0)
    }

    #[test]
    fn floats_are_read_leniently() {
        assert_eq!(atof("1.5e3"), 1500.0);
        assert_eq!(atof("-.5"), -0.5);
        assert_eq!(atof("x"), 0.0);
        assert_eq!(atof(""), 0.0);
        assert_eq!(atof(" 1"), 0.0);
        assert_eq!(atof("1e999"), f64::INFINITY);
        assert_eq!(parse_int("+12"), Some(12));
        assert_eq!(parse_int("1.0"), None);
    }

    #[test]
    fn distance_is_a_great_circle() {
        assert_eq!(distance("51.45", "1.15", "41.54", "12.27"), Ok(1_389.179_311_829_306_7));
        assert_eq!(distance("0", "0.0", "41.54", "12.27"), Ok(0.0));
        assert_eq!(distance("51.45", "1.15", "0", "0"), Ok(0.0));
        assert_eq!(distance("x", "1", "2", "3").unwrap_err(), "\"x\" is not a coordinate");
    }

    #[test]
    fn intervals_are_taken_in_order() {
        let second = 1_000_000_000;
        let times = [at(10), at(0), at(4), at(5)];
        assert_eq!(average_interval(&times), Ok(second * 10 / 3));
        assert_eq!(median_interval(&times), Ok(4 * second));
        assert_eq!(median_interval(&[at(0), at(1), at(4)]), Ok(2 * second));
        assert!(average_interval(&[at(0)]).is_err());
        assert!(median_interval(&[]).is_err());
    }

    #[test]
    fn approximately_is_below_a_millionth() {
        assert!(float_approx_equal(1.0, 1.000_000_5));
        assert!(!float_approx_equal(1.0, 1.000_002));
        assert!(!float_approx_equal(f64::NAN, f64::NAN));
    }

    #[test]
    fn general_floats_look_like_gos() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-12.25, "-12.25"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float(value, FloatStyle::General, None), text);
        }
        assert_eq!(format_float(100.0, FloatStyle::General, Some(3)), "100");
        assert_eq!(format_float(1234.5, FloatStyle::General, Some(3)), "1.23e+03");
        assert_eq!(format_float(1.5, FloatStyle::Exponent, Some(6)), "1.500000e+00");
        assert_eq!(format_float(2.5, FloatStyle::Fixed, Some(0)), "2");
        assert_eq!(format_float(1.0, FloatStyle::Fixed, Some(usize::MAX)).len(), 1102);
    }
}
