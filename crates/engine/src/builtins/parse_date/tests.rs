use super::super::rfc3339::{format_rfc3339_nano, parse_rfc3339};
use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Every standard layout, in order.
const ALL: [(&str, Layout); 15] = [
    ("2006-01-02T15:04:05Z07:00", RFC3339),
    ("02/Jan/2006:15:04:05 -0700", COMMON_LOG),
    ("Mon Jan 2 15:04:05 2006", ANSI_C),
    ("02-Jan-2006 15:04:05 europe/paris", PARIS),
    ("01/02/2006 15:04:05", AMERICAN),
    ("2006-01-02 15:04:05.999999999 -0700 MST", GO_STRING),
    ("Jan  2 15:04:05", SYSLOG),
    ("Mon Jan 02 15:04:05.000000 2006", APACHE_ERROR),
    ("2006/01/02", SLASH_DATE),
    ("2006/01/02 15:04", SLASH_MINUTE),
    ("2006-01-02", DASH_DATE),
    ("2006-01-02 15:04", DASH_MINUTE),
    ("2006/01/02 15:04:05", SLASH_SECOND),
    ("2006-01-02 15:04:05", DASH_SECOND),
    ("2006-01-02T15:04:05", ISO_NO_ZONE),
];

fn now() -> DateTime {
    parse_rfc3339("2023-06-07T08:09:10Z").unwrap()
}

/// The marshaled time of a text; `""` if it is no date.
fn marshaled(text: &str, layout: &str) -> String {
    let layout = (!layout.is_empty()).then(|| GoLayout::compile(layout));
    parse_date(text, layout.as_ref(), now()).map(format_rfc3339_nano).unwrap_or_default()
}

fn check(text: &str, expect: &str) {
    assert_eq!(marshaled(text, ""), expect, "{text}");
}

#[test]
fn tables_say_what_the_layouts_say() {
    for (text, pieces) in ALL {
        assert_eq!(GoLayout::compile(text).pieces(), pieces, "{text}");
    }
}

#[test]
fn standard_layouts() {
    check("2024-03-01T10:11:12+01:00", "2024-03-01T10:11:12+01:00");
    check("2024-03-01T10:11:12.345Z", "2024-03-01T10:11:12.345Z");
    check("2024-03-01T1:11:12,5Z", "2024-03-01T01:11:12.5Z");
    check("28/Jan/2016:14:19:36 +0300", "2016-01-28T14:19:36+03:00");
    check("Tue Mar 5 01:02:03 2024", "2024-03-05T01:02:03Z");
    check("Tue Mar  5 01:02:03.5 2024", "2024-03-05T01:02:03.5Z");
    check("05-Mar-2024 01:02:03 europe/paris", "2024-03-05T01:02:03Z");
    check("03/01/2024 10:11:12", "2024-03-01T10:11:12Z");
    check("13/01/2024 10:11:12", "");
    check("2024-03-01 10:11:12.5 +0100 CET", "2024-03-01T10:11:12.5+01:00");
    check("2024-03-01 10:11:12 +0000 UTC", "2024-03-01T10:11:12Z");
    check("Wed Sep 28 10:11:12.123456 2022", "2022-09-28T10:11:12.123456Z");
    check("2024/03/01", "2024-03-01T00:00:00Z");
    check("2024/03/01 10:11", "2024-03-01T10:11:00Z");
    check("2024-03-01", "2024-03-01T00:00:00Z");
    check("2024-03-01 10:11", "2024-03-01T10:11:00Z");
    check("2024/03/01 10:11:12.25", "2024-03-01T10:11:12.25Z");
    check("2024-03-01 10:11:12,345", "2024-03-01T10:11:12.345Z");
    check("2024-03-01T10:11:12.6206890", "2024-03-01T10:11:12.620689Z");
}

#[test]
fn the_current_year_is_filled_in() {
    check("Feb 12 14:10:23", "2023-02-12T14:10:23Z");
    check("Feb  2 14:10:23", "2023-02-02T14:10:23Z");
    check("Feb 29 14:10:23", "2023-03-01T14:10:23Z");
    check("Dec 31 23:59:59", "2023-12-31T23:59:59Z");
    // Late on New Year's Eve west of UTC, the year of UTC counts.
    let late = parse_rfc3339("2023-12-31T23:00:00-05:00").unwrap();
    let time = parse_date("Jan  1 00:00:00", None, late).unwrap();
    assert_eq!(format_rfc3339_nano(time), "2024-01-01T00:00:00Z");
}

#[test]
fn seconds_since_1970() {
    check("1644674623.9", "2022-02-12T14:03:43Z");
    check("1644674623", "2022-02-12T14:03:43Z");
    check("1644674623.x.y", "2022-02-12T14:03:43Z");
    check("1", "1970-01-01T00:00:01Z");
    for text in ["0", "-5", ".5", "1644674623123456", "9223372036854775807", "1e9"] {
        check(text, "");
    }
    let local = now().at_offset(7200);
    let time = parse_date("1644674623.9", None, local).unwrap();
    assert_eq!(format_rfc3339_nano(time), "2022-02-12T16:03:43+02:00");
    assert_eq!(parse_unix_text("1644674623.9", 0), "2022-02-12T14:03:43Z");
    assert_eq!(parse_unix_text("x", 0), "");
}

#[test]
fn the_events_own_layout_comes_first() {
    assert_eq!(marshaled("02/03/2024 10:11:12", "02/01/2006 15:04:05"), "2024-03-02T10:11:12Z");
    assert_eq!(marshaled("2024-03-01", "02/01/2006 15:04:05"), "2024-03-01T00:00:00Z");
    assert_eq!(marshaled("231231 7:08:09", "060102 15:04:05"), "2023-12-31T07:08:09Z");
    assert_eq!(marshaled("12 Feb", "2 Jan"), "2023-02-12T00:00:00Z");
}

#[test]
fn what_is_no_date_is_now() {
    for text in ["", "not a date", "12:13:14.123456", "Thu, 27 Apr 2023 10:11:12 GMT", "0001-01-01"]
    {
        check(text, "");
        let mut out = String::new();
        let local = now().at_offset(7200);
        assert_eq!(parse_date_into(text, None, local, &mut out), None);
        assert_eq!(out, "2023-06-07T08:09:10Z");
    }
    // RFC 3339 has no offsets of a day.
    check("28/Jan/2016:14:19:36 +2400", "");
}

#[test]
fn the_languages_date_has_its_own_layouts() {
    let check = |text: &str, layout, expect: &str| {
        let time = date(text, layout, 0).map(format_rfc3339_nano);
        assert_eq!(time.unwrap_or_default(), expect, "{text}");
    };
    check("2024-03-01", None, "2024-03-01T00:00:00Z");
    check("10:11:12", None, "0000-01-01T10:11:12Z");
    check("2024-03-01 10:11:12", None, "2024-03-01T10:11:12Z");
    check("2024-03-01T10:11:12+02:00", None, "2024-03-01T10:11:12+02:00");
    check("Fri, 01 Mar 2024 10:11:12 GMT", None, "2024-03-01T10:11:12Z");
    check("01/03/24", Some("02/01/06"), "2024-03-01T00:00:00Z");
    check("01/03/24", None, "");
}

fn all_in_order(text: &str) -> Option<DateTime> {
    ALL.iter().find_map(|(layout, _)| {
        GoLayout::compile(layout).parse_with_year(text, || 2023).filter(is_usable)
    })
}

fn dates() -> impl Strategy<Value = String> {
    let layouts: Vec<&str> = ALL.iter().map(|(layout, _)| *layout).collect();
    let broken = (
        proptest::sample::select(layouts),
        0_i64..2_000_000_000,
        0_usize..40,
        any::<Option<char>>(),
    );
    broken.prop_map(|(layout, seconds, at, change)| {
        let mut text = GoLayout::compile(layout).format(DateTime::from_unix(seconds, 0, 3600));
        if let (Some(c), true) = (change, text.is_char_boundary(at)) {
            text.insert(at, c);
        }
        text
    })
}

proptest! {
    #[test]
    fn skipping_layouts_changes_nothing(text in dates()) {
        let expect = all_in_order(&text).or_else(|| parse_unix(&text, 0));
        prop_assert_eq!(parse_date(&text, None, now()), expect);
    }

    #[test]
    fn never_panics(text: String, soup in "[-0-9/:. TZ+JanMo]{0,30}") {
        let _ = (parse_date(&text, None, now()), parse_date(&soup, None, now()));
        prop_assert_eq!(parse_date(&soup, None, now()).is_none(), all_in_order(&soup).or_else(|| parse_unix(&soup, 0)).is_none());
    }
}
