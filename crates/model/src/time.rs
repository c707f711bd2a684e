//! Instants. `Timestamp` counts UTC nanoseconds; `Time` remembers the offset it was written with.
//!
//! There is no `now()` here: the current time is an argument everywhere below the binary (I1).

use core::time::Duration;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, from 1677-09-21 to 2262-04-11.
///
/// Instants outside that range saturate, so a log line with a year 9999 compares later than
/// everything else and nothing overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant that can be told apart.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that can be told apart.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `nanos` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The instant `seconds` and `nanos` after the Unix epoch, saturating at the ends of the range.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos as i64))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch (rounded down) and the nanoseconds that remain.
    #[must_use]
    pub const fn unix(self) -> (i64, u32) {
        let nanos = self.0.rem_euclid(1_000_000_000);
        // `rem_euclid` by a positive number is never negative and below 10^9.
        (self.0.div_euclid(1_000_000_000), nanos.unsigned_abs() as u32)
    }

    /// Nanoseconds from `earlier` to `self`; negative when `self` is before it. Saturates.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `span` later, saturating.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The instant `nanos` later (earlier when negative), saturating.
    #[must_use]
    pub const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// An instant together with the offset from UTC it was written with.
///
/// Two times compare by instant alone: `10:00+02:00` equals `08:00Z`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Time {
    /// The instant.
    pub at: Timestamp,
    /// Seconds east of UTC, between -86399 and 86399. Only matters when the time is printed.
    pub offset: i32,
}

impl Time {
    /// `at`, to be printed in UTC.
    #[must_use]
    pub const fn utc(at: Timestamp) -> Self {
        Self { at, offset: 0 }
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_joins_around_the_epoch() {
        for nanos in [-1_500_000_000, -1, 0, 1, 1_700_000_000_123_456_789] {
            let at = Timestamp::from_unix_nanos(nanos);
            let (seconds, rest) = at.unix();
            assert_eq!(Timestamp::from_unix(seconds, rest), at);
        }
        assert_eq!(Timestamp::from_unix_nanos(-1).unix(), (-1, 999_999_999));
    }

    #[test]
    fn far_years_saturate() {
        assert_eq!(Timestamp::from_unix(253_402_300_799, 0), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.plus_nanos(1), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.nanos_since(Timestamp::MIN), i64::MAX);
    }
}
