use super::super::rfc3339::{format_rfc3339_nano, parse_rfc3339};
use super::*;
use proptest::prelude::*;

/// Reads a text by a layout and shows the outcome in RFC 3339; `""` for none.
fn check(layout: &str, text: &str, expect: &str) {
    let time = GoLayout::compile(layout).parse(text);
    assert_eq!(time.map(format_rfc3339_nano).unwrap_or_default(), expect, "{layout} {text}");
}

#[test]
fn names_and_numbers() {
    check("Mon Jan _2 15:04:05 2006", "tue mar  5 01:02:03 2024", "2024-03-05T01:02:03Z");
    check("Monday, 2 January 2006", "FRIDAY, 1 march 2024", "2024-03-01T00:00:00Z");
    check("060102 15:04:05", "240301 1:02:03", "2024-03-01T01:02:03Z");
    check("060102 15:04:05", "690301 01:02:03", "1969-03-01T01:02:03Z");
    check("1/2/06 3:4:5 PM", "3/1/24 1:2:3 PM", "2024-03-01T13:02:03Z");
    check("1/2/06 3:4:5 PM", "03/01/24 12:02:03 AM", "2024-03-01T00:02:03Z");
    check("2006-01-02 03:04pm", "2024-03-01 12:04pm", "2024-03-01T12:04:00Z");
    check("2006-01-02 03:04pm", "2024-03-01 12:04PM", "");
    check("Jan 2 2006", "Foo 2 2006", "");
    check("Mon 2006", "Foo 2006", "");
}

#[test]
fn widths_are_minded_where_padded() {
    check("2006-01-02", "2024-3-1", "");
    check("2006-1-2", "2024-03-01", "2024-03-01T00:00:00Z");
    check("2006-01-_2", "2024-03- 1", "2024-03-01T00:00:00Z");
    check("2006-01-_2", "2024-03-1", "2024-03-01T00:00:00Z");
    check("2006", "24", "");
    check("15:04", "7:08", "0000-01-01T07:08:00Z");
    check("15:04", "7:8", "");
}

#[test]
fn ranges_are_checked() {
    for text in ["2024-00-01", "2024-13-01", "2024-02-30", "2023-02-29", "2024-01-00", "2024-04-31"]
    {
        check("2006-01-02", text, "");
    }
    for text in ["24:00:00", "23:60:00", "23:00:60"] {
        check("15:04:05", text, "");
    }
    check("Jan 2", "Feb 29", "0000-02-29T00:00:00Z");
    check("3:04 PM", "13:00 PM", "");
}

#[test]
fn blanks_match_blanks() {
    check("Jan  2 15:04:05", "Feb 12 14:10:23", "0000-02-12T14:10:23Z");
    check("Jan  2 15:04:05", "Feb    2  14:10:23", "0000-02-02T14:10:23Z");
    check("Jan 2", "Feb2", "");
    check("2006 ", "2024", "2024-01-01T00:00:00Z");
    check("2006", "2024 ", "");
}

#[test]
fn fractions_need_no_place() {
    check("15:04:05", "01:02:03.25", "0000-01-01T01:02:03.25Z");
    check("15:04:05", "01:02:03,25", "0000-01-01T01:02:03.25Z");
    check("15:04:05", "01:02:03.", "");
    check("15:04:05 2006", "01:02:03.1234567899 2024", "2024-01-01T01:02:03.123456789Z");
    check("15:04:05.000", "01:02:03.250", "0000-01-01T01:02:03.25Z");
    check("15:04:05.000", "01:02:03.25", "");
    check("15:04:05.000", "01:02:03", "");
    check("15:04:05.000", "01:02:03.2501", "");
    check("15:04:05,999", "01:02:03.250155", "0000-01-01T01:02:03.250155Z");
    check("15:04:05.999", "01:02:03", "0000-01-01T01:02:03Z");
    // Literal text does not hide that a fraction comes next.
    check("15:04:05x.000", "01:02:03x.250", "0000-01-01T01:02:03.25Z");
}

#[test]
fn zones() {
    check("2006 -0700", "2024 +0130", "2024-01-01T00:00:00+01:30");
    check("2006 -0700", "2024 Z", "");
    check("2006 Z0700", "2024 Z", "2024-01-01T00:00:00Z");
    check("2006 -07:00", "2024 -01:30", "2024-01-01T00:00:00-01:30");
    check("2006 -07:00", "2024 -0130", "");
    check("2006 -07", "2024 +05", "2024-01-01T00:00:00+05:00");
    check("2006 Z07:00:00", "2024 +05:00:00", "2024-01-01T00:00:00+05:00");
    check("2006 -070000", "2024 +050000", "2024-01-01T00:00:00+05:00");
    check("2006 -0700", "2024 +2500", "");
    check("2006 -0700 MST", "2024 +0100 CET", "2024-01-01T00:00:00+01:00");
    check("2006 MST", "2024 CET", "2024-01-01T00:00:00Z");
    check("2006 MST", "2024 UTC", "2024-01-01T00:00:00Z");
    check("2006 MST", "2024 GMT+3", "2024-01-01T00:00:00+03:00");
    check("2006 MST", "2024 GMT", "2024-01-01T00:00:00Z");
    check("2006 MST", "2024 +03", "2024-01-01T00:00:00Z");
    for zone in ["CEST", "WITA", "ChST", "ABCDT"] {
        check("2006 MST", &alloc::format!("2024 {zone}"), "2024-01-01T00:00:00Z");
    }
    for zone in ["CE", "cet", "CESX", "ABCDE", "ABCDEF", ""] {
        check("2006 MST", &alloc::format!("2024 {zone}"), "");
    }
}

#[test]
fn days_of_the_year() {
    check("2006-002", "2024-060", "2024-02-29T00:00:00Z");
    check("2006-002", "2023-060", "2023-03-01T00:00:00Z");
    check("2006 __2", "2024   5", "2024-01-05T00:00:00Z");
    check("2006-002", "2023-366", "");
    check("2006-002", "2023-000", "");
    check("2006-002", "2023-60", "");
    check("2006-01 002", "2023-02 060", "");
}

#[test]
fn what_names_nothing_is_literal() {
    check("Month é 2006", "Month é 2024", "2024-01-01T00:00:00Z");
    check("_2006", "_2024", "2024-01-01T00:00:00Z");
    check("2006.05", "2024.07", "2024-01-01T00:00:07Z");
    check("", "", "0000-01-01T00:00:00Z");
    check("", "x", "");
}

#[test]
fn printing() {
    let time = parse_rfc3339("2024-03-05T13:04:05.120034-03:30").unwrap();
    for (layout, expect) in [
        ("Mon Jan _2 15:04:05 2006", "Tue Mar  5 13:04:05 2024"),
        ("Monday, January 2 06 03:04:05pm", "Tuesday, March 5 24 01:04:05pm"),
        ("1/2 3PM", "3/5 1PM"),
        ("2006-01-02T15:04:05.000Z07:00", "2024-03-05T13:04:05.120-03:30"),
        ("05.999", "05.12"),
        ("05.999999999", "05.120034"),
        (",000000 ", ",120034 "),
        ("-07 -0700 -07:00:00 Z0700 MST", "-03 -0330 -03:30:00 -0330 -0330"),
        ("002 __2", "065  65"),
        ("year é", "year é"),
    ] {
        assert_eq!(GoLayout::compile(layout).format(time), expect, "{layout}");
    }
    let utc = parse_rfc3339("2024-03-05T00:04:05Z").unwrap();
    assert_eq!(GoLayout::compile("3:04:05.999 Z07:00 MST").format(utc), "12:04:05 Z UTC");
}

#[test]
fn a_zone_can_be_assumed() {
    let read =
        |layout, text| GoLayout::compile(layout).parse_at(text, 3600).map(format_rfc3339_nano);
    assert_eq!(read("2006", "2024").as_deref(), Some("2024-01-01T00:00:00+01:00"));
    assert_eq!(read("2006 -0700", "2024 +0000").as_deref(), Some("2024-01-01T00:00:00Z"));
}

proptest! {
    #[test]
    fn printing_and_reading_agree(seconds in 0_i64..4_000_000_000, nanos in 0..1_000_000_000_u32, minutes in -900..900) {
        let time = DateTime::from_unix(seconds, nanos, minutes * 60);
        for layout in [
            "2006-01-02T15:04:05.999999999Z07:00",
            "Monday January _2 2006 3:04:05.000000000 PM -0700",
            "2006 002 15 4 5,000000000 -070000",
        ] {
            let layout = GoLayout::compile(layout);
            prop_assert_eq!(layout.parse(&layout.format(time)), Some(time));
        }
    }

    #[test]
    fn never_panics(layout: String, text: String, soup in "(Jan|Mon|_2|02|06|2006|15|0|9|[.,-]|Z07:00|MST|é| ){0,10}") {
        let (layout, soup) = (GoLayout::compile(&layout), GoLayout::compile(&soup));
        for text in [&text, &soup.format(DateTime::from_unix(1_700_000_000, 5, -3600))] {
            let _ = (layout.parse(text), soup.parse(text));
        }
    }
}
