//! Dates on the wire: RFC 3339 in and out, and the default rendering of Go for events.

use jiff::{Timestamp as Instant, tz::TimeZone};
use model::{Time, Timestamp};

/// Writes an instant as RFC 3339 in UTC, to the second.
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes an instant as RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn millis(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Writes an instant as RFC 3339 in UTC with as many digits as it needs.
#[must_use]
pub fn full(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
}

/// Writes an instant as Go prints a time: `2006-01-02 15:04:05 +0000 UTC`.
#[must_use]
pub fn printed(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

/// Reads RFC 3339, or what Go prints by default.
#[must_use]
pub fn parse(text: &str) -> Option<Time> {
    if text.len() > 64 {
        return None;
    }
    // A time printed by Go may end in a zone name and a monotonic clock, which say nothing new.
    let text = text.split(" m=").next().unwrap_or(text);
    let words: Vec<&str> = text.split(' ').collect();
    let joined = match words.as_slice() {
        [date, clock, offset, ..] => {
            let (hours, minutes) = offset.split_at_checked(3)?;
            format!("{date}T{clock}{hours}:{minutes}")
        }
        _ => text.to_owned(),
    };
    let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(&joined).ok()?;
    let clock = pieces.time()?;
    let offset = pieces.to_numeric_offset()?;
    let at = offset.to_timestamp(pieces.date().to_datetime(clock)).ok()?;
    let nanos = i64::try_from(at.as_nanosecond()).unwrap_or(if at.as_second() < 0 {
        i64::MIN
    } else {
        i64::MAX
    });
    Some(Time { at: Timestamp::from_unix_nanos(nanos), offset: offset.seconds() })
}

fn instant(at: Timestamp) -> jiff::Zoned {
    let (seconds, nanos) = at.unix();
    let nanos = i32::try_from(nanos).unwrap_or_default();
    // The range of `model::Timestamp` ends centuries before that of the library.
    Instant::new(seconds, nanos).unwrap_or_default().to_zoned(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let time = parse("2026-01-02T03:04:05.25+02:00").unwrap();
        assert_eq!(time.offset, 7200);
        assert_eq!(seconds(time.at), "2026-01-02T01:04:05Z");
        assert_eq!(millis(time.at), "2026-01-02T01:04:05.250Z");
        assert_eq!(full(time.at), "2026-01-02T01:04:05.25Z");
        assert_eq!(printed(time.at), "2026-01-02 01:04:05.25 +0000 UTC");
        assert_eq!(full(parse("2026-01-02T03:04:05Z").unwrap().at), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn reads_what_go_prints() {
        let want = parse("2026-01-02T03:04:05Z").unwrap();
        for text in ["2026-01-02 03:04:05 +0000 UTC", "2026-01-02 03:04:05 +0000 UTC m=+0.01"] {
            assert_eq!(parse(text), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in
            ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "é é éé"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse("9999-01-01T00:00:00Z").unwrap().at, Timestamp::MAX);
    }
}
