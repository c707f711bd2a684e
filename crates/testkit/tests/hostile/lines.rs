//! What one line can do.

use super::guard::{BRUTE_FORCE, Guard, LOGINS, REPLAY};
use engine::{Limits, Outcome};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Far above what any of these takes unoptimized on a busy machine, far below what a quadratic
/// algorithm would take.
const PATIENCE: Duration = Duration::from_secs(60);

fn guard() -> Guard {
    Guard::new(&[LOGINS], &[BRUTE_FORCE], Limits::default())
}

/// Three honest failures, one after the other; the third one is reported.
fn attack(guard: &mut Guard, ip: &str) {
    for _ in 0..3 {
        guard.line(format!("2024-03-01T12:00:00Z failed root from {ip}"));
    }
}

#[test]
fn a_mebibyte_of_anything_is_one_line() {
    let started = Instant::now();
    let mut guard = guard();
    let long = |byte: u8| vec![byte; MIB];
    let lines: Vec<Vec<u8>> = vec![
        long(b'a'),
        long(b' '),
        long(0),
        long(0xff),
        long(0x1b),
        "é".repeat(MIB / 2).into_bytes(),
        b"\xf0\x9f".repeat(MIB / 2),
        b"1.".repeat(MIB / 2),
        b"failed a from ".repeat(MIB / 14),
        b"2024-03-01T12:00:00Z failed ".iter().copied().chain(long(b'x')).collect(),
    ];
    let n_lines = lines.len() as u64;
    for line in lines {
        assert_eq!(guard.line(line), Outcome::Unparsed);
    }
    assert_eq!(guard.engine.parser.counters.lines, n_lines);
    assert_eq!(guard.engine.parser.counters.parsed, 0);
    attack(&mut guard, "192.0.2.7");
    assert_eq!(guard.sources(), ["192.0.2.7"]);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn a_mebibyte_in_a_field_stays_there() {
    let mut guard = guard();
    for _ in 0..3 {
        let user = "u".repeat(MIB);
        let line = format!("2024-03-01T12:00:00Z failed {user} from 192.0.2.7");
        assert_eq!(guard.line(line), Outcome::Poured(1));
    }
    assert_eq!(guard.sources(), ["192.0.2.7"]);
    let meta = guard.overflows[0].alert.events[0].meta("user");
    assert_eq!(meta.map(str::len), Some(MIB));
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_the_line_counts() {
    let mut guard = guard();
    let users: [&[u8]; 3] = [b"a\0b", b"\xc3\x28\xff", b"\x1b[31mroot\x1b[0m\x07"];
    for user in users {
        let line = [b"2024-03-01T12:00:00Z failed ", user, b" from 192.0.2.7"].concat();
        assert_eq!(guard.line(line), Outcome::Poured(1), "{user:?}");
    }
    assert_eq!(guard.sources(), ["192.0.2.7"]);
    let events = &guard.overflows[0].alert.events;
    let users: Vec<&str> = events.iter().filter_map(|event| event.meta("user")).collect();
    // As it was: who shows it to a terminal has to escape it.
    assert_eq!(users, ["a\0b", "\u{fffd}(\u{fffd}", "\x1b[31mroot\x1b[0m\x07"]);
}

#[test]
fn an_address_must_be_the_whole_of_what_stands_there() {
    let mut guard = guard();
    for _ in 0..5 {
        guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7x");
        guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7 \0");
        guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7\r");
        guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.\u{661}");
        guard.line("2024-03-01T12:00:00Z failed root from ::ffff:192.0.2.7%eth0\u{2028}");
    }
    assert!(guard.sources().iter().all(|source| !source.starts_with("192.0.2.7")));
}

/// Dates that no calendar has, and dates at the ends of what can be told apart.
const DATES: &[&str] = &[
    "0000-00-00T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "1677-09-21T00:12:43Z",
    "1969-12-31T23:59:59.999999999Z",
    "2024-02-30T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-03-01T24:00:00Z",
    "2024-03-01T23:59:60Z",
    "2024-03-01T25:61:61Z",
    "2024-03-01T12:00:00+99:99",
    "2024-03-01T12:00:00-24:00",
    "2024-03-01T12:00:00.99999999999999999999Z",
    "2262-04-11T23:47:16.854775807Z",
    "2262-04-12T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "99999-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1e308",
    "NaN",
    "inf",
    "1709294400.999999999999",
    "",
];

#[test]
fn no_date_disturbs_the_others() {
    for source in [super::guard::LIVE, REPLAY] {
        let mut guard = guard();
        let mut n_lines = 0;
        for second in 0..3 {
            for (n, date) in DATES.iter().enumerate() {
                let line = format!("{date} failed root from 198.51.100.{n}");
                guard.line_from(source, line);
                n_lines += 1;
            }
            let line = format!("2024-03-01T12:00:0{second}Z failed root from 192.0.2.7");
            assert_eq!(guard.line_from(source, line), Outcome::Poured(1));
            n_lines += 1;
        }
        assert_eq!(guard.engine.parser.counters.lines, n_lines);
        let reported: Vec<&str> = guard.sources();
        let honest = reported.iter().filter(|source| **source == "192.0.2.7").count();
        assert_eq!(honest, 1, "{reported:?}");
        let alert = &guard.overflows.last().unwrap().alert;
        assert_eq!(alert.events_count, 3);
        // Every one of the others sent three lines, so each is reported once at most.
        assert!(reported.len() <= DATES.len() + 1, "{reported:?}");
    }
}

#[test]
fn one_sender_whose_dates_jump_disturbs_only_himself() {
    let mut guard = guard();
    for (n, date) in DATES.iter().cycle().take(300).enumerate() {
        guard.line_from(REPLAY, format!("{date} failed root from 198.51.100.1"));
        if n % 100 == 0 {
            let second = n / 100;
            let line = format!("2024-03-01T12:00:0{second}Z failed root from 192.0.2.7");
            guard.line_from(REPLAY, line);
        }
    }
    let reported = guard.sources();
    assert_eq!(reported.iter().filter(|source| **source == "192.0.2.7").count(), 1);
    assert!(reported.iter().all(|source| matches!(*source, "192.0.2.7" | "198.51.100.1")));
}

/// Everything a rule can do to a line with readers of foreign formats.
const READERS: &[&str] = &[
    "string(UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'json')) + ToJsonString(evt.Unmarshaled)",
    "string(ParseKV(evt.Line.Raw, evt.Unmarshaled, 'kv')) + ToJsonString(evt.Unmarshaled)",
    "JsonExtract(evt.Line.Raw, 'a.b[1].c')",
    "JsonExtractUnescape(evt.Line.Raw, 'a', 'b')",
    "toJSON(fromJSON(evt.Line.Raw))",
    "XMLGetNodeValue(evt.Line.Raw, '//a/b')",
    "XMLGetAttributeValue(evt.Line.Raw, '/a/b[1]', 'c')",
    "PathUnescape(QueryUnescape(evt.Line.Raw))",
    "ToJsonString(ParseUri(evt.Line.Raw))",
    "B64Decode(evt.Line.Raw)",
    "string(len(Split(evt.Line.Raw, 'a')) + len(Fields(evt.Line.Raw)))",
];

#[test]
fn deep_and_wide_texts_of_every_format_end() {
    let started = Instant::now();
    // Each in a node of its own, so that one that gives up does not save the others.
    let readers: Vec<String> = READERS
        .iter()
        .enumerate()
        .map(|(n, reader)| {
            let statics = format!("statics: [{{parsed: x, expression: \"{reader}\"}}]");
            format!("name: test/reader{n}\nfilter: 'true'\n{statics}\n")
        })
        .collect();
    let readers: Vec<&str> = readers.iter().map(String::as_str).collect();
    let mut guard = Guard::new(&readers, &[BRUTE_FORCE], Limits::default());
    let n = 20_000;
    let wide = |piece: &dyn Fn(usize) -> String| (0..n).map(piece).collect::<String>();
    let lines = [
        "[".repeat(10 * n),
        "{\"a\":".repeat(n),
        format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n)),
        format!("{}{}", "[".repeat(n), "]".repeat(n)),
        format!("{{{}\"z\":1}}", wide(&|n| format!("\"k{n}\":{n},"))),
        format!("{{\"a\":\"{}\"}}", "\\u0041\\ud83d".repeat(n)),
        format!("{{\"a\":1{}}}", "0".repeat(10 * n)),
        format!("{{\"a\":1e{}}}", "9".repeat(n)),
        format!("[{}1]", "1,".repeat(10 * n)),
        wide(&|n| format!("k{n}=v{n} ")),
        "k=v ".repeat(n),
        "k=\"".repeat(n),
        "=".repeat(10 * n),
        format!("k=\"{}\"", "\\\"".repeat(n)),
        "<a>".repeat(n),
        format!("{}{}", "<a><b>".repeat(n), "</b></a>".repeat(n)),
        format!("<a {}/>", wide(&|n| format!("k{n}='v' "))),
        format!("<!DOCTYPE a [<!ENTITY x \"{}\">]><a>{}</a>", "y".repeat(n), "&x;".repeat(n)),
        "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\
         <!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>\
         <!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;'>\
         <!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;'>]><a><b>&g;&g;&g;&g;&g;&g;&g;&g;</b></a>"
            .to_owned(),
        format!("/x?{}", wide(&|n| format!("a{n}=%41&"))),
        format!("/x?{}", "a=1&".repeat(n)),
        "%".repeat(10 * n),
        "%25".repeat(3 * n),
        "QUFB".repeat(n),
        "a ".repeat(5 * n),
    ];
    for line in &lines {
        let shown = &line[..line.len().min(40)];
        let begun = Instant::now();
        guard.line(line);
        assert!(begun.elapsed() < PATIENCE / 2, "{shown}: {:?}", begun.elapsed());
    }
    assert_eq!(guard.engine.parser.counters.lines, lines.len() as u64);
    assert!(started.elapsed() < 3 * PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn what_one_rule_spends_on_a_line_is_not_missing_to_the_next() {
    let greedy = "
type: trigger
name: test/a-greedy
description: makes more elements than a rule may
filter: len(Split(evt.Meta.user, 'a')) > 3 or len(Split(evt.Meta.user, 'a')) > 4
groupby: evt.Meta.source_ip
";
    let frugal = "
type: trigger
name: test/b-frugal
description: makes one element
filter: any([evt.Meta.source_ip], {# != ''})
groupby: evt.Meta.source_ip
";
    let mut guard = Guard::new(&[LOGINS], &[greedy, frugal], Limits::default());
    let user = "a".repeat(MIB);
    guard.line(format!("2024-03-01T12:00:00Z failed {user} from 192.0.2.7"));
    let scenarios: Vec<&str> =
        guard.overflows.iter().map(|overflow| overflow.alert.scenario.as_str()).collect();
    assert_eq!(scenarios, ["test/b-frugal"]);
    assert_eq!(guard.engine.parser.counters.errors, 1);
}
