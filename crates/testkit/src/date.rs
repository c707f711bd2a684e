//! Dates as logs write them.
//!
//! A [`Moment`] is milliseconds since the epoch, in UTC; [`Moment::civil`] splits it into calendar
//! fields and one method per spelling writes it. No clock is read here.

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// The calendar fields of a [`Moment`], in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year, four digits in any log we write.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999.
    pub millis: i64,
    /// 0 is Sunday.
    pub weekday: i64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_MILLIS: i64 = 86_400_000;

impl Moment {
    /// Builds the moment of a date and time of day in UTC.
    #[must_use]
    pub fn from_civil(
        year: i64,
        month: i64,
        day: i64,
        hour: i64,
        minute: i64,
        second: i64,
    ) -> Self {
        // Years begin in March, so that the leap day is the last of its year.
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Self(days * DAY_MILLIS + ((hour * 60 + minute) * 60 + second) * 1000)
    }

    /// The moment `millis` later.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Splits the moment into calendar fields.
    #[must_use]
    pub fn civil(self) -> Civil {
        let days = self.0.div_euclid(DAY_MILLIS);
        let millis = self.0.rem_euclid(DAY_MILLIS);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Civil {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: millis / 3_600_000,
            minute: millis / 60_000 % 60,
            second: millis / 1000 % 60,
            millis: millis % 1000,
            weekday: (days + 4).rem_euclid(7),
        }
    }

    /// `Mar  6 07:05:09`, as syslog writes it: no year, the day padded with a blank.
    #[must_use]
    pub fn syslog(self) -> String {
        let at = self.civil();
        format!("{} {:2} {}", month(at), at.day, clock(at))
    }

    /// `06/Mar/2023:07:05:09 +0000`, as web servers write it.
    #[must_use]
    pub fn http(self) -> String {
        let at = self.civil();
        format!("{:02}/{}/{}:{} +0000", at.day, month(at), at.year, clock(at))
    }

    /// `Mon Mar  6 07:05:09 2023`, as C's `ctime` writes it.
    #[must_use]
    pub fn ctime(self) -> String {
        let at = self.civil();
        format!("{} {} {:2} {} {}", weekday(at), month(at), at.day, clock(at), at.year)
    }

    /// `2023-03-06`.
    #[must_use]
    pub fn ymd(self) -> String {
        let at = self.civil();
        format!("{}-{:02}-{:02}", at.year, at.month, at.day)
    }

    /// `07:05:09`.
    #[must_use]
    pub fn hms(self) -> String {
        clock(self.civil())
    }

    /// `2023-03-06 07:05:09`, with `separator` for the blank.
    #[must_use]
    pub fn iso(self, separator: char) -> String {
        format!("{}{separator}{}", self.ymd(), self.hms())
    }

    /// `2023-03-06 07:05:09.123`, with `separator` for the blank.
    #[must_use]
    pub fn iso_millis(self, separator: char) -> String {
        format!("{}.{:03}", self.iso(separator), self.civil().millis)
    }

    /// `2023/03/06 07:05:09`.
    #[must_use]
    pub fn slashes(self) -> String {
        self.iso(' ').replace('-', "/")
    }

    /// `06-Mar-2023 07:05:09.123`, as the name server writes it.
    #[must_use]
    pub fn named(self) -> String {
        let at = self.civil();
        format!("{:02}-{}-{} {}.{:03}", at.day, month(at), at.year, clock(at), at.millis)
    }

    /// `Mon, 06 Mar 2023 07:05:09.123000 UTC`, as the SMB server writes it.
    #[must_use]
    pub fn samba(self) -> String {
        let at = self.civil();
        let (day, month, clock) = (weekday(at), month(at), clock(at));
        format!("{day}, {:02} {month} {} {clock}.{:03}000 UTC", at.day, at.year, at.millis)
    }

    /// `06/Mar/2023:07:05:09.123`, as the load balancer writes it.
    #[must_use]
    pub fn haproxy(self) -> String {
        let at = self.civil();
        format!("{:02}/{}/{}:{}.{:03}", at.day, month(at), at.year, clock(at), at.millis)
    }
}

fn month(at: Civil) -> &'static str {
    usize::try_from(at.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan")
}

fn weekday(at: Civil) -> &'static str {
    usize::try_from(at.weekday).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"Sun")
}

fn clock(at: Civil) -> String {
    format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_and_back() {
        let mut at = Moment::from_civil(1999, 12, 30, 23, 59, 58);
        for _ in 0..2000 {
            let civil = at.civil();
            let back = Moment::from_civil(
                civil.year,
                civil.month,
                civil.day,
                civil.hour,
                civil.minute,
                civil.second,
            );
            assert_eq!(back, at);
            at = at.plus(86_400_000 + 3_723_000);
        }
    }

    #[test]
    fn spellings() {
        let at = Moment::from_civil(2024, 2, 29, 7, 5, 9).plus(123);
        assert_eq!(at.0, 1_709_190_309_123);
        assert_eq!(at.syslog(), "Feb 29 07:05:09");
        assert_eq!(Moment::from_civil(2023, 3, 6, 0, 0, 0).syslog(), "Mar  6 00:00:00");
        assert_eq!(at.http(), "29/Feb/2024:07:05:09 +0000");
        assert_eq!(at.ctime(), "Thu Feb 29 07:05:09 2024");
        assert_eq!(at.iso_millis('T'), "2024-02-29T07:05:09.123");
        assert_eq!(at.slashes(), "2024/02/29 07:05:09");
        assert_eq!(at.named(), "29-Feb-2024 07:05:09.123");
        assert_eq!(at.samba(), "Thu, 29 Feb 2024 07:05:09.123000 UTC");
        assert_eq!(at.haproxy(), "29/Feb/2024:07:05:09.123");
    }
}
