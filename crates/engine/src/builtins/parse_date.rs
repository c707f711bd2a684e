//! The date enricher: turns whatever a log calls a date into a [`DateTime`] (spec 3.5).
//!
//! The layouts are tried in a fixed order and the first that fits wins, so the order decides what
//! `01/02/2024` means. Most of them cannot fit for a reason that the first five bytes show; those
//! are skipped, which changes nothing but the time it takes.
//!
//! INVARIANT: each table below holds every standard layout that can fit the texts it is chosen for,
//! and at most one of them fits any one text, so the common ones may come first. A test compares the
//! outcome with trying all layouts in order.

use super::layout::{Field, GoLayout, Pad, Piece, Separator, parse_pieces};
use super::rfc3339::{self, OffsetStyle};
use super::time::DateTime;
use alloc::string::String;

use Piece::{Field as F, Literal as L};

type Layout = &'static [Piece];

const BLANK: Piece = Piece::Blanks(1);
const YEAR: Piece = F(Field::Year);
const MONTH: Piece = F(Field::Month(Pad::Zero));
const MONTH_NAME: Piece = F(Field::MonthName);
const WEEKDAY: Piece = F(Field::Weekday);
const DAY: Piece = F(Field::Day(Pad::Zero));
const SHORT_DAY: Piece = F(Field::Day(Pad::None));
const HOUR: Piece = F(Field::Hour);
const MINUTE: Piece = F(Field::Minute(Pad::Zero));
const SECOND: Piece = F(Field::Second(Pad::Zero));
const COLON: Piece = L(':');
const DASH: Piece = L('-');
const SLASH: Piece = L('/');
const PLAIN_OFFSET: Piece = F(Field::Offset(OffsetStyle::Plain));

/// `2006-01-02T15:04:05Z07:00`
const RFC3339: Layout = &[
    YEAR,
    DASH,
    MONTH,
    DASH,
    DAY,
    L('T'),
    HOUR,
    COLON,
    MINUTE,
    COLON,
    SECOND,
    F(Field::ZuluOrOffset(OffsetStyle::Colon)),
];
/// `02/Jan/2006:15:04:05 -0700`
const COMMON_LOG: Layout = &[
    DAY,
    SLASH,
    MONTH_NAME,
    SLASH,
    YEAR,
    COLON,
    HOUR,
    COLON,
    MINUTE,
    COLON,
    SECOND,
    BLANK,
    PLAIN_OFFSET,
];
/// `Mon Jan 2 15:04:05 2006`
const ANSI_C: Layout = &[
    WEEKDAY, BLANK, MONTH_NAME, BLANK, SHORT_DAY, BLANK, HOUR, COLON, MINUTE, COLON, SECOND, BLANK,
    YEAR,
];
/// `02-Jan-2006 15:04:05 europe/paris`
const PARIS: Layout = &[
    DAY,
    DASH,
    MONTH_NAME,
    DASH,
    YEAR,
    BLANK,
    HOUR,
    COLON,
    MINUTE,
    COLON,
    SECOND,
    BLANK,
    L('e'),
    L('u'),
    L('r'),
    L('o'),
    L('p'),
    L('e'),
    L('/'),
    L('p'),
    L('a'),
    L('r'),
    L('i'),
    L('s'),
];
/// `01/02/2006 15:04:05`
const AMERICAN: Layout =
    &[MONTH, SLASH, DAY, SLASH, YEAR, BLANK, HOUR, COLON, MINUTE, COLON, SECOND];
/// `2006-01-02 15:04:05.999999999 -0700 MST`
const GO_STRING: Layout = &[
    YEAR,
    DASH,
    MONTH,
    DASH,
    DAY,
    BLANK,
    HOUR,
    COLON,
    MINUTE,
    COLON,
    SECOND,
    F(Field::OptionalFraction(Separator::Point, 9)),
    BLANK,
    PLAIN_OFFSET,
    BLANK,
    F(Field::ZoneName),
];
/// `Jan  2 15:04:05`
const SYSLOG: Layout =
    &[MONTH_NAME, Piece::Blanks(2), SHORT_DAY, BLANK, HOUR, COLON, MINUTE, COLON, SECOND];
/// `Mon Jan 02 15:04:05.000000 2006`
const APACHE_ERROR: Layout = &[
    WEEKDAY,
    BLANK,
    MONTH_NAME,
    BLANK,
    DAY,
    BLANK,
    HOUR,
    COLON,
    MINUTE,
    COLON,
    SECOND,
    F(Field::Fraction(Separator::Point, 6)),
    BLANK,
    YEAR,
];
/// `2006/01/02`
const SLASH_DATE: Layout = &[YEAR, SLASH, MONTH, SLASH, DAY];
/// `2006/01/02 15:04`
const SLASH_MINUTE: Layout = &[YEAR, SLASH, MONTH, SLASH, DAY, BLANK, HOUR, COLON, MINUTE];
/// `2006-01-02`
const DASH_DATE: Layout = &[YEAR, DASH, MONTH, DASH, DAY];
/// `2006-01-02 15:04`
const DASH_MINUTE: Layout = &[YEAR, DASH, MONTH, DASH, DAY, BLANK, HOUR, COLON, MINUTE];
/// `2006/01/02 15:04:05`
const SLASH_SECOND: Layout =
    &[YEAR, SLASH, MONTH, SLASH, DAY, BLANK, HOUR, COLON, MINUTE, COLON, SECOND];
/// `2006-01-02 15:04:05`
const DASH_SECOND: Layout =
    &[YEAR, DASH, MONTH, DASH, DAY, BLANK, HOUR, COLON, MINUTE, COLON, SECOND];
/// `2006-01-02T15:04:05`
const ISO_NO_ZONE: Layout =
    &[YEAR, DASH, MONTH, DASH, DAY, L('T'), HOUR, COLON, MINUTE, COLON, SECOND];

/// For texts that begin with a letter.
const BY_NAME: &[Layout] = &[ANSI_C, SYSLOG, APACHE_ERROR];
/// For `2006-…T…`
const BY_DASH_T: &[Layout] = &[RFC3339, ISO_NO_ZONE];
/// For `2006-…` otherwise.
const BY_DASH: &[Layout] = &[DASH_SECOND, GO_STRING, DASH_DATE, DASH_MINUTE];
/// For `2006/…`
const BY_SLASH: &[Layout] = &[SLASH_SECOND, SLASH_DATE, SLASH_MINUTE];
/// For two digits and a slash.
const BY_DAY_SLASH: &[Layout] = &[COMMON_LOG, AMERICAN];
/// For two digits and a dash.
const BY_DAY_DASH: &[Layout] = &[PARIS];

/// Reads a date in the layout the event names, else in one of the standard ones, else as seconds
/// since 1970. Returns `None` when the text is no date; the event then counts as of now.
///
/// `now` supplies the year for dates without one (in UTC; it is not corrected at the turn of the
/// year) and, by its offset, the local zone in which seconds since 1970 are shown.
///
/// hot: every line passes here.
pub fn parse_date(text: &str, layout: Option<&GoLayout>, now: DateTime) -> Option<DateTime> {
    if text.is_empty() {
        return None;
    }
    let year = || now.at_offset(0).civil().year;
    if let Some(layout) = layout
        && let Some(time) = layout.parse_with_year(text, year).filter(is_usable)
    {
        return Some(time);
    }
    standard(text, year).or_else(|| parse_unix(text, now.offset()))
}

/// Appends what `MarshaledTime` holds for a text: its date in RFC 3339, or `now` in UTC. Returns the
/// date if the text had one.
pub fn parse_date_into(
    text: &str,
    layout: Option<&GoLayout>,
    now: DateTime,
    out: &mut String,
) -> Option<DateTime> {
    let time = parse_date(text, layout, now);
    rfc3339::write_rfc3339_nano(time.unwrap_or_else(|| now.at_offset(0)), out);
    time
}

/// Reads seconds since 1970, ignoring anything after a point: `1644674623.9`. Only positive numbers
/// are dates.
pub fn parse_unix(text: &str, offset: i32) -> Option<DateTime> {
    let whole = text.split('.').next()?;
    let seconds = whole.parse::<i64>().ok().filter(|seconds| *seconds > 0)?;
    let time = DateTime::from_unix(seconds, 0, offset);
    (time.unix_seconds() == seconds && time.civil().year <= 9999).then_some(time)
}

/// Returns what `ParseUnix` gives: RFC 3339, or nothing for what is no positive number.
pub fn parse_unix_text(text: &str, offset: i32) -> String {
    parse_unix(text, offset).map(rfc3339::format_rfc3339).unwrap_or_default()
}

fn standard(text: &str, year: impl Fn() -> i64) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let layouts = match (bytes.first()?, bytes.get(2), bytes.get(4)) {
        (b'A'..=b'Z' | b'a'..=b'z', ..) => BY_NAME,
        (_, Some(b'/'), _) => BY_DAY_SLASH,
        (_, Some(b'-'), _) => BY_DAY_DASH,
        (_, _, Some(b'/')) => BY_SLASH,
        (_, _, Some(b'-')) if bytes.get(10) == Some(&b'T') => {
            // Year 0 takes the slower way, which replaces it.
            let time = rfc3339::parse_rfc3339(text).filter(is_usable);
            if time.is_some() && !text.starts_with("0000") {
                return time;
            }
            BY_DASH_T
        }
        (_, _, Some(b'-')) => BY_DASH,
        _ => return None,
    };
    layouts.iter().find_map(|layout| parse_pieces(layout, text, &year).filter(is_usable))
}

/// Refuses what RFC 3339 cannot write, which only an offset of a day can be, and Go's zero time,
/// which upstream takes for a failure.
fn is_usable(time: &DateTime) -> bool {
    !time.is_zero() && time.offset().abs() < 24 * 3600
}

/// Reads a date for the language's `date()`: in the layout given, else in one of a few common ones.
/// A text without an offset is taken to be at `offset`.
pub fn date(text: &str, layout: Option<&str>, offset: i32) -> Option<DateTime> {
    const LAYOUTS: [&str; 7] = [
        "2006-01-02",
        "15:04:05",
        "2006-01-02 15:04:05",
        "2006-01-02T15:04:05Z07:00",
        "02 Jan 06 15:04 MST",
        "Monday, 02-Jan-06 15:04:05 MST",
        "Mon, 02 Jan 2006 15:04:05 MST",
    ];
    if let Some(layout) = layout {
        return GoLayout::compile(layout).parse_at(text, offset);
    }
    LAYOUTS.iter().find_map(|layout| GoLayout::compile(layout).parse_at(text, offset))
}

#[cfg(test)]
mod tests;
