//! What a rule file, a data file or an expression can do.

use super::guard::{BRUTE_FORCE, Guard, LOGINS, compiled};
use engine::{Limits, Outcome};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use syntax::{Style, render};

/// Far above what any of these takes unoptimized on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Compiles a parser that may be wrong beside rules that are right, which must go on to work.
fn beside(text: &str) -> rules::Compiled {
    let started = Instant::now();
    let compiled = compiled(&[LOGINS, text], &[BRUTE_FORCE], &mut |_| None);
    for diagnostic in compiled.diagnostics.iter() {
        let shown = render(diagnostic, &compiled.sources, Style { color: false, width: 100 });
        assert!(shown.len() < 100_000, "{} bytes for one mistake", shown.len());
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    compiled
}

fn still_works(compiled: rules::Compiled) {
    let mut guard = Guard::with(compiled, Limits::default());
    for _ in 0..3 {
        guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7");
    }
    assert_eq!(guard.sources(), ["192.0.2.7"]);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..40 {
        let before = format!("*a{}, ", n - 1).repeat(10);
        writeln!(bomb, "a{n}: &a{n} [{before}]").unwrap();
    }
    bomb.push_str("name: test/bomb\nfilter: 'true'\n");
    let compiled = beside(&bomb);
    assert!(compiled.diagnostics.has_errors());
    still_works(compiled);
}

#[test]
fn merges_and_anchors_that_multiply_are_refused() {
    let mut bomb = String::from("m0: &m0 {k0: 1, k1: 1}\n");
    for n in 1..40 {
        writeln!(bomb, "m{n}: &m{n} {{a: *m{0}, b: *m{0}, <<: *m{0}}}", n - 1).unwrap();
    }
    let compiled = beside(&bomb);
    assert!(compiled.diagnostics.has_errors());
    still_works(compiled);
    still_works(beside("a: &a [*a]\n"));
    still_works(beside("&a name: *a\n"));
}

#[test]
fn nesting_and_size_of_yaml_are_bounded() {
    let n = 100_000;
    let texts = [
        "[".repeat(n),
        "{a: ".repeat(n),
        "- ".repeat(n),
        format!("{}x", "? ".repeat(n)),
        (0..2000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n"),
        format!("name: {}", "x".repeat(10 * n)),
        format!("name: 'x'\nfilter: \"{}\"", "\\x41".repeat(n)),
        "a: b\n".repeat(n / 10),
        "---\n".repeat(n / 10),
        "name: x\nfilter: '('\n---\n".repeat(n / 100),
        "&a ".repeat(n),
        "!!str ".repeat(n),
        "\u{85}\u{2028}\0\u{feff}".repeat(n / 10),
        format!("nodes:\n{}", "- nodes:\n  - filter: 'true'\n".repeat(n / 100)),
        (0..500).fold(String::from("name: deep\n"), |text, depth| {
            let indent = "  ".repeat(depth);
            text + &indent + "nodes:\n" + &indent + "- filter: 'true'\n"
        }),
    ];
    for text in &texts {
        still_works(beside(text));
    }
}

fn filter(expression: &str) -> String {
    format!("name: test/filter\nfilter: >-\n  {expression}\nstatics: [{{meta: a, value: b}}]\n")
}

#[test]
fn an_expression_that_asks_for_too_much_stops() {
    let expressions = [
        "len(map(1..100000000, {#})) > 0",
        "len(map(1..1000, {map(1..1000, {map(1..1000, {#})})})) > 0",
        "len(filter(1..1000, {len(filter(1..1000, {len(filter(1..1000, {true})) > 0})) > 0})) > 0",
        "all(1..1000, {all(1..1000, {all(1..1000, {true})})})",
        "count(1..1000, {count(1..1000, {count(1..1000, {# > 0}) > 0}) > 0}) > 0",
        "sum(1..1000, {sum(1..1000, {sum(1..1000)})}) > 0",
        "reduce(1..1000, {#acc + #acc}, 'x') == ''",
        "reduce(1..1000, {[#acc, #acc]}, []) == []",
        "reduce(1..1000, {{'a': #acc, 'b': #acc}}, {}) == {}",
        "string(reduce(1..100, {[#acc, #acc]}, [1])) == ''",
        "ToJsonString(reduce(1..100, {[#acc, #acc]}, [1])) == ''",
        "reduce(1..100, {[#acc, #acc]}, [1]) == reduce(1..100, {[#acc, #acc]}, [1])",
        "reduce(1..100000, {[#acc]}, [1]) == [1]",
        "len(repeat('x', 1000000000)) > 0",
        "len(repeat(repeat('x', 100000), 100000)) > 0",
        "len(Sprintf('%999999999d', 1)) > 0",
        "len(Sprintf('%.999999999f', 1.0)) > 0",
        "len(replace(repeat('a', 100000), 'a', repeat('b', 100000))) > 0",
        "len(Replace(evt.Line.Raw, '', repeat('b', 100000), -1)) > 0",
        "len(join(map(1..100000, {repeat('x', 100000)}), ',')) > 0",
        "len(split(repeat('ab', 1000000), 'a')) > 0",
        "len(flatten([[1..1000000], [1..1000000]])) > 0",
        "LevenshteinDistance(repeat('a', 100000), repeat('b', 100000)) > 0",
        "repeat('a', 100000) matches repeat('(a*)*', 1000)",
        "evt.Line.Raw matches '(((a*)*)*)*b'",
        "-9223372036854775807 - 2 < 0 and 9223372036854775807 * 9223372036854775807 > 0",
        "1 % 0 == 0 or 1 / 0 > 0 or int('9999999999999999999999') > 0",
        "abs(-9223372036854775807 - 1) > 0 or (-9223372036854775807 - 1) % -1 == 0",
        "bitshl(1, 64) == 0 or bitshl(1, -1) == 0 or bitshr(1, 9223372036854775807) == 0",
        "duration('9999999h') + duration('9999999h') > duration('0s')",
        "date('9999-12-31').Add(duration('2562047h')).Unix() > 0",
        "[1,2,3][9223372036854775807] == 1 or [1,2,3][-9223372036854775808:] == []",
        "evt.Line.Raw[-9223372036854775807:9223372036854775807] == ''",
    ];
    for expression in expressions {
        let started = Instant::now();
        let compiled = beside(&filter(expression));
        let mut guard = Guard::with(compiled, Limits::default());
        guard.line("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        for _ in 0..3 {
            guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7");
        }
        assert_eq!(guard.sources(), ["192.0.2.7"], "{expression}");
        assert!(started.elapsed() < PATIENCE, "{expression}: {:?}", started.elapsed());
    }
}

#[test]
fn a_long_or_deep_expression_is_refused_in_time() {
    let n = 50_000;
    let texts = [
        "(".repeat(n),
        "[".repeat(n),
        "not ".repeat(n) + "true",
        "-".repeat(n) + "1 > 0",
        "1+".repeat(n) + "1 > 0",
        "true and ".repeat(n) + "true",
        "true ? ".repeat(n),
        "a.".repeat(n) + "b",
        "let a = 1; ".repeat(n) + "true",
        "evt.Meta.x in ['a'".to_owned() + &", 'a'".repeat(n) + "]",
        "'".to_owned() + &"x".repeat(n * 10) + "' == ''",
        "nosuch(".repeat(n),
        "unknown and ".repeat(n) + "true",
        "evt.Line.Raw matches '".to_owned() + &"(a|b)*".repeat(n) + "'",
        "1..".repeat(n) + "1",
        "x ?? ".repeat(n) + "y",
        "true | ".repeat(n) + "len()",
    ];
    for text in &texts {
        still_works(beside(&filter(text)));
    }
}

/// Patterns on which searches that try one way after the other take for ever, with how long lines
/// may be here: each byte may cost as much as the pattern is large, and tests are not optimized.
const PATTERNS: &[(&str, usize)] = &[
    ("(a{1000}){1000}", 2_000),
    ("((a{100}){100}){100}", 2_000),
    ("(((((a*)*)*)*)*)*b", 2_000),
    ("(a|aa)+$", 2_000),
    ("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", 2_000),
    ("(x+x+)+y", 2_000),
    ("[a-z]{1,50}[a-z]{1,50}b", 2_000),
    ("[a-z]{1,1000}[a-z]{1,1000}b", 300),
    ("(?i)(\\pL{500}|\\pN{500})", 2_000),
    ("((a?){500})a{500}", 2_000),
];

/// Whoever writes rules gets an answer in time, and so does whoever writes lines. How the cost grows
/// is counted in [`a_search_costs_no_more_than_a_pattern_is_large`].
#[test]
fn a_pattern_that_would_explode_is_refused_or_linear() {
    let nested: String = format!("{}a{}", "(".repeat(2000), ")".repeat(2000));
    let wide = vec!["a?"; 2_000].concat();
    let more = [(nested.as_str(), 2_000), (wide.as_str(), 2_000)];
    for (pattern, n) in PATTERNS.iter().copied().chain(more) {
        let started = Instant::now();
        let shown = &pattern[..pattern.len().min(40)];
        let grok = format!(
            "name: test/grok\nfilter: 'true'\ngrok:\n  pattern: '{pattern}%{{WORD:x}}'\n  apply_on: Line.Raw\n"
        );
        let mut guard = Guard::with(beside(&grok), Limits::default());
        guard.line("a".repeat(n));
        guard.line("x".repeat(n));
        let data = "name: test/data\nfilter: RegexpInFile(evt.Line.Raw, 'bombs')\n\
                    data: [{dest_file: bombs, type: regexp}]\nstatics: [{meta: a, value: b}]\n";
        let compiled = compiled(&[LOGINS, data], &[BRUTE_FORCE], &mut |_| {
            Some(format!("{pattern}\nharmless\n"))
        });
        let mut guard = Guard::with(compiled, Limits::default());
        guard.line("a".repeat(n));
        for _ in 0..3 {
            assert_eq!(
                guard.line("2024-03-01T12:00:00Z failed root from 192.0.2.7"),
                Outcome::Poured(1)
            );
        }
        assert_eq!(guard.sources(), ["192.0.2.7"], "{shown}");
        assert!(started.elapsed() < PATIENCE, "{shown}: {:?}", started.elapsed());
    }
}

/// What searches for captures took beyond a look-up per byte, in tables of a limited size.
fn effort(pattern: &str, limit: usize, text: &str) -> u64 {
    let regex = re2::Regex::with_groups(pattern, &["found"]).unwrap();
    let mut cache = re2::Cache::with_limit(limit);
    let mut groups = vec![None; regex.groups().len()];
    regex.captures(&mut cache, text, &mut groups);
    cache.effort()
}

/// A text of `letters` without a period, so that an automaton meets ever new states.
fn restless(letters: &[u8], n: usize) -> String {
    let mut rng = testkit::rng::Rng::new(11);
    (0..n).map(|_| char::from(*rng.pick(letters))).collect()
}

/// Counts what searches do, which is the same on every machine and in every build, instead of timing
/// it. Two things must hold for each pattern, text, and room for tables:
///
/// - a text twice as long costs at most three times as much, once it is longer than the pattern is
///   large: the cost is linear (a search that tries one way after the other is at four and more);
/// - a byte costs at most a few times the pattern's size, whatever the length: so this holds for the
///   pattern of two thousand steps, too, on lines much shorter than that.
///
/// With 16 KiB the tables are cleared every few bytes, the worst case.
#[test]
fn a_search_costs_no_more_than_a_pattern_is_large() {
    // The pattern, about how many instructions it has, and letters that keep it from matching.
    let cases: [(&str, u64, &[u8]); 6] = [
        ("(?P<found>[a-z]{1,50}[a-z]{1,50})!", 200, b"a"),
        ("(?P<found>[a-z]{1,50}[a-z]{1,50})!", 200, b"abcdefg"),
        ("(?P<found>(?:a|b)*a(?:a|b){60})!", 130, b"ab"),
        ("(?P<found>(((((a*)*)*)*)*)*)!", 30, b"a"),
        ("(?P<found>(?:x+x+)+)y", 20, b"xxxz"),
        ("(?P<found>(?:.*,){12})!", 60, b"a,"),
    ];
    for limit in [16 << 10, 1 << 20] {
        for (pattern, size, letters) in cases {
            let costs: Vec<u64> = [500, 1_000, 2_000]
                .iter()
                .map(|n| effort(pattern, limit, &restless(letters, *n)))
                .collect();
            let told = format!("{pattern} in {limit} bytes: {costs:?}");
            assert!(costs[0] > 0, "nothing is counted: {told}");
            assert!(costs[1] <= 3 * costs[0] && costs[2] <= 3 * costs[1], "{told}");
            assert!(costs[2] <= 2_000 * 4 * size, "{told}");
        }
        for n in [100_u32, 200, 400] {
            let text = restless(b"abcdefg", n as usize);
            let cost = effort("(?P<found>[a-z]{1,1000}[a-z]{1,1000})!", limit, &text);
            assert!(cost <= u64::from(n) * 4 * 4_000, "{n} bytes in {limit}: {cost}");
        }
    }
}

#[test]
fn grok_definitions_that_double_are_refused() {
    let mut text =
        String::from("name: test/grok\nfilter: 'true'\npattern_syntax:\n  D0: 'aaaaaaaaaa'\n");
    for n in 1..60 {
        writeln!(text, "  D{n}: '%{{D{0}}}%{{D{0}}}'", n - 1).unwrap();
    }
    text.push_str("grok:\n  pattern: '%{D59:x}'\n  apply_on: Line.Raw\n");
    let compiled = beside(&text);
    assert!(compiled.diagnostics.has_errors());
    still_works(compiled);
}

#[test]
fn data_files_may_hold_anything() {
    let parser = |kind: &str, filter: &str| {
        format!(
            "name: test/data\nfilter: {filter}\ndata: [{{dest_file: file, type: {kind}}}]\n\
             statics: [{{meta: a, value: b}}]\n"
        )
    };
    let parsers = [
        parser("string", "any(File('file'), {evt.Line.Raw contains #})"),
        parser("string", "evt.Line.Raw in File('file')"),
        parser("regexp", "RegexpInFile(evt.Line.Raw, 'file')"),
        parser("regexp", "any(File('file'), {evt.Line.Raw matches #})"),
        parser("map", "LookupFile(evt.Line.Raw, 'file') != ''"),
        parser("map", "len(FileMap('file')) > 3"),
    ];
    let contents = [
        String::new(),
        "\0\u{feff}\u{2028}\r\n\r\n".to_owned(),
        "x".repeat(1 << 20),
        "a\n".repeat(100_000),
        (0..50_000).fold(String::new(), |text, n| text + &format!("word{n}\n")),
        "[".repeat(10_000),
        "{\"pattern\":\"a\",\"tag\":\"t\",\"type\":\"regex\"}\n".repeat(1000),
        "{\"pattern\":\"(a{1000}){1000}\",\"tag\":\"t\",\"type\":\"regex\"}\n".to_owned(),
    ];
    for text in &parsers {
        for content in &contents {
            let started = Instant::now();
            let compiled =
                compiled(&[LOGINS, text], &[BRUTE_FORCE], &mut |_| Some(content.clone()));
            still_works(compiled);
            assert!(started.elapsed() < PATIENCE, "{text}: {:?}", started.elapsed());
        }
    }
}
