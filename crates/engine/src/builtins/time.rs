//! Instants with an offset, and the proleptic Gregorian calendar.
//!
//! A [`DateTime`] is what a date in a log turns into: an instant, and the offset from UTC it was
//! written in, because the offset is shown again in alerts. Unlike [`model::Time`], which saturates,
//! it holds every year a text can name, so that year 1 and year 9999 print as they were read. Names
//! of zones are not kept: they are ambiguous, and what an alert shows went through RFC 3339 anyway.
//!
//! Comparing two times compares the instants; `10:00Z` equals `11:00+01:00`.
//!
//! INVARIANT: `nanos < 1_000_000_000` and `|offset|` is below 100 hours, so that every sum in here
//! fits. All arithmetic on instants saturates.

use core::cmp::Ordering;
use model::{Time, Timestamp};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: u32 = 1_000_000_000;
/// Far beyond any year a text can name (about ±9 million years), and small enough that adding an
/// offset or a duration cannot overflow.
const SECONDS_LIMIT: i64 = 1 << 48;
const OFFSET_LIMIT: i32 = 100 * 3600;

/// An instant, together with the offset from UTC in which it is shown.
#[derive(Clone, Copy, Debug)]
pub struct DateTime {
    seconds: i64,
    nanos: u32,
    offset: i32,
}

/// A date and a time of day, as on a calendar and a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year; year 0 exists and is a leap year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; leap seconds do not exist here.
    pub second: u8,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl DateTime {
    /// Returns the instant `seconds` and `nanos` after 1970-01-01T00:00:00Z, shown at `offset`
    /// seconds east of UTC. Values out of range are brought to the nearest one in range.
    pub const fn from_unix(seconds: i64, nanos: u32, offset: i32) -> Self {
        let seconds = if seconds > SECONDS_LIMIT {
            SECONDS_LIMIT
        } else if seconds < -SECONDS_LIMIT {
            -SECONDS_LIMIT
        } else {
            seconds
        };
        let nanos = if nanos < NANOS_PER_SECOND { nanos } else { NANOS_PER_SECOND - 1 };
        let offset = if offset > OFFSET_LIMIT {
            OFFSET_LIMIT
        } else if offset < -OFFSET_LIMIT {
            -OFFSET_LIMIT
        } else {
            offset
        };
        Self { seconds, nanos, offset }
    }

    /// Returns the instant at which a calendar and a clock `offset` seconds east of UTC show `civil`.
    ///
    /// A day past the end of its month is counted on, so February 30 is March 1 or 2.
    pub fn from_civil(civil: Civil, offset: i32) -> Self {
        let year = civil.year.clamp(-1_000_000, 1_000_000);
        let days = days_from_civil(year, civil.month, civil.day);
        let clock = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60;
        let local = days * SECONDS_PER_DAY + clock + i64::from(civil.second);
        Self::from_unix(local - i64::from(offset), civil.nanos, offset)
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z, rounded towards the past.
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`Self::unix_seconds`].
    pub fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Returns the offset from UTC in seconds, positive to the east.
    pub fn offset(self) -> i32 {
        self.offset
    }

    /// Returns the same instant, shown at another offset.
    pub fn at_offset(self, offset: i32) -> Self {
        Self::from_unix(self.seconds, self.nanos, offset)
    }

    /// Returns what a calendar and a clock at this time's offset show.
    pub fn civil(self) -> Civil {
        let local = self.seconds + i64::from(self.offset);
        let (year, month, day) = civil_from_days(local.div_euclid(SECONDS_PER_DAY));
        let clock = local.rem_euclid(SECONDS_PER_DAY);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        Civil {
            year,
            month,
            day,
            hour: part(clock / 3600),
            minute: part(clock / 60 % 60),
            second: part(clock % 60),
            nanos: self.nanos,
        }
    }

    /// Returns the day of the week, Sunday being 0.
    pub fn weekday(self) -> u8 {
        let days = (self.seconds + i64::from(self.offset)).div_euclid(SECONDS_PER_DAY);
        // 1970-01-01 was a Thursday.
        u8::try_from((days + 4).rem_euclid(7)).unwrap_or(0)
    }

    /// Returns the day of the year, January 1 being 1.
    pub fn year_day(self) -> u16 {
        let civil = self.civil();
        let days = days_from_civil(civil.year, civil.month, civil.day);
        u16::try_from(days - days_from_civil(civil.year, 1, 1) + 1).unwrap_or(0)
    }

    /// Returns the time that many nanoseconds later, at the same offset.
    pub fn add_nanos(self, nanos: i64) -> Self {
        let per_second = i64::from(NANOS_PER_SECOND);
        let sum = i64::from(self.nanos) + nanos.rem_euclid(per_second);
        let seconds = self.seconds + nanos.div_euclid(per_second) + sum / per_second;
        let rest = u32::try_from(sum % per_second).unwrap_or(0);
        Self::from_unix(seconds, rest, self.offset)
    }

    /// Returns the nanoseconds from `earlier` to this instant, or the nearest number that fits.
    pub fn nanos_since(self, earlier: Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos)
            - i128::from(earlier.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// Returns the time with years, months and days added to its calendar date.
    ///
    /// As in Go, a day that its month lacks is counted on: January 31 and one month is March 2 or 3.
    pub fn add_date(self, years: i64, months: i64, days: i64) -> Self {
        let limit = |n: i64| n.clamp(-100_000_000, 100_000_000);
        let civil = self.civil();
        let month = i64::from(civil.month) - 1 + limit(months);
        let year = civil.year + limit(years) + month.div_euclid(12);
        let year = year.clamp(-1_000_000, 1_000_000);
        let month = u8::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
        let moved = Self::from_civil(Civil { year, month, ..civil }, self.offset);
        let seconds = moved.seconds + limit(days) * SECONDS_PER_DAY;
        Self::from_unix(seconds, self.nanos, self.offset)
    }

    /// Returns whether this is midnight of January 1 of year 1 in UTC, Go's "no time at all".
    pub fn is_zero(self) -> bool {
        self.seconds == -62_135_596_800 && self.nanos == 0
    }
}

impl From<Time> for DateTime {
    fn from(time: Time) -> Self {
        let (seconds, nanos) = time.at.unix();
        Self::from_unix(seconds, nanos, time.offset)
    }
}

/// Instants outside 1677 to 2262 become the nearest one inside.
impl From<DateTime> for Time {
    fn from(time: DateTime) -> Self {
        Self { at: Timestamp::from_unix(time.seconds, time.nanos), offset: time.offset }
    }
}

impl PartialEq for DateTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DateTime {}

impl PartialOrd for DateTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DateTime {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

/// Returns the number of days in a month (1 to 12) of a year.
pub fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Returns whether a year has a February 29.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Counts days from 1970-01-01. Years are taken to begin in March, so the leap day comes last and
/// the lengths of months before it follow one linear formula.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = year - i64::from(month <= 2);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

#[cfg(test)]
mod tests;
