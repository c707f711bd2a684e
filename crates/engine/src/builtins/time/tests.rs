use super::super::rfc3339::{format_go_string, format_rfc3339_nano, parse_rfc3339};
use super::*;
use proptest::prelude::*;

fn at(text: &str) -> DateTime {
    parse_rfc3339(text).unwrap()
}

#[test]
fn instants_compare_whatever_their_offset() {
    assert_eq!(at("2024-03-01T10:00:00Z"), at("2024-03-01T11:00:00+01:00"));
    assert!(at("2024-03-01T10:00:00.000000001Z") > at("2024-03-01T11:00:00+01:00"));
    let later = at("2024-03-01T10:00:00.25Z");
    assert_eq!(later.nanos_since(at("2024-03-01T09:59:59.5Z")), 750_000_000);
    assert_eq!(at("9999-01-01T00:00:00Z").nanos_since(at("0001-01-01T00:00:00Z")), i64::MAX);
    assert_eq!(later.add_nanos(-500_000_000), at("2024-03-01T09:59:59.75Z"));
}

#[test]
fn calendars_know_weekdays_and_leap_years() {
    assert_eq!(at("1970-01-01T00:00:00Z").weekday(), 4);
    assert_eq!(at("2024-02-29T23:00:00-02:00").weekday(), 4);
    assert_eq!(at("1969-12-28T00:00:00Z").weekday(), 0);
    assert_eq!(at("2024-12-31T00:00:00Z").year_day(), 366);
    assert_eq!(at("2023-03-01T00:00:00Z").year_day(), 60);
    assert_eq!(days_in_month(1900, 2), 28);
    assert_eq!(days_in_month(2000, 2), 29);
    assert_eq!(days_in_month(0, 2), 29);
}

#[test]
fn dates_count_on_past_the_end_of_a_month() {
    let check = |from: &str, (years, months, days), to: &str| {
        assert_eq!(format_rfc3339_nano(at(from).add_date(years, months, days)), to);
    };
    check("0000-02-29T01:02:03Z", (2023, 0, 0), "2023-03-01T01:02:03Z");
    check("0000-02-29T01:02:03Z", (2024, 0, 0), "2024-02-29T01:02:03Z");
    check("2024-01-31T00:00:00+02:00", (0, 1, 0), "2024-03-02T00:00:00+02:00");
    check("2024-01-31T00:00:00Z", (0, -2, 1), "2023-12-02T00:00:00Z");
    check("2024-01-01T00:00:00.5Z", (0, 13, -1), "2025-01-31T00:00:00.5Z");
}

#[test]
fn the_models_time_saturates() {
    let far = Time::from(at("9999-01-01T00:00:00+01:00"));
    assert_eq!((far.at, far.offset), (Timestamp::MAX, 3600));
    let near = at("2024-03-01T10:11:12.5-03:30");
    let back = DateTime::from(Time::from(near));
    assert_eq!(format_rfc3339_nano(back), "2024-03-01T10:11:12.5-03:30");
}

#[test]
fn extremes_are_brought_into_range() {
    for time in [
        DateTime::from_unix(i64::MAX, u32::MAX, i32::MAX),
        DateTime::from_unix(i64::MIN, 0, i32::MIN),
    ] {
        let moved =
            time.add_nanos(i64::MAX).add_nanos(i64::MIN).add_date(i64::MAX, i64::MIN, i64::MAX);
        assert!(!format_go_string(moved).is_empty());
        assert!(moved.weekday() < 7 && moved.year_day() > 0);
    }
}

proptest! {
    #[test]
    fn calendar_and_instant_agree(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0..1_000_000_000_u32, minutes in -1439..1440) {
        let time = DateTime::from_unix(seconds, nanos, minutes * 60);
        let civil = time.civil();
        prop_assert_eq!(DateTime::from_civil(civil, time.offset()), time);
        if (0..=9999).contains(&civil.year) {
            prop_assert_eq!(parse_rfc3339(&format_rfc3339_nano(time)), Some(time));
        }
    }
}
