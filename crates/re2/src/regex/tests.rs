//! The matcher against `regex-automata`, which takes another road to the same answers.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use regex_automata::Input;
use regex_automata::meta;

use super::*;
use crate::LiteralSet;

/// Compares all entry points with the oracle, with caches of several sizes. Wants the groups that
/// have names.
fn check(pattern: &str, texts: &[&str]) {
    let hir = crate::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let oracle = meta::Builder::new()
        .configure(meta::Config::new().utf8_empty(true).hybrid(false).dfa(false))
        .build_from_hir(&hir)
        .unwrap();
    let info = oracle.group_info().clone();
    let names: Vec<(usize, &str)> = info
        .pattern_names(regex_automata::PatternID::ZERO)
        .enumerate()
        .filter_map(|(i, name)| Some((i, name?)))
        .collect();
    let groups: Vec<&str> = names.iter().map(|&(_, name)| name).collect();
    let regex = Regex::with_groups(pattern, &groups).unwrap();
    let exact = regex.required().map(LiteralSet::new);
    let folded = regex.required_folded().map(|set| LiteralSet::new_folded(&set));
    let mut caches = [Cache::new(), Cache::with_limit(0), Cache::with_limit(3000)];
    for text in texts {
        let mut expect = oracle.create_captures();
        oracle.search_captures(&Input::new(text), &mut expect);
        let span = expect.get_match().map(|found| (found.start(), found.end()));
        let expect_groups: Vec<Option<(u32, u32)>> = names
            .iter()
            .map(|&(i, _)| {
                let span = expect.get_group(i)?;
                Some((span.start as u32, span.end as u32))
            })
            .collect();
        for cache in &mut caches {
            let about = format!("{pattern:?} on {text:?}, limit {}", cache.limit);
            assert_eq!(regex.find(cache, text), span, "{about}");
            assert_eq!(regex.is_match(cache, text), span.is_some(), "{about}");
            let mut slots = vec![Some((7, 7)); groups.len()];
            assert_eq!(regex.captures(cache, text, &mut slots), span.is_some(), "{about}");
            assert_eq!(slots, expect_groups, "{about}: {groups:?}");
            // Texts as short as these hardly ever come to that by themselves.
            cache.float();
            assert_eq!(regex.find(cache, text), span, "{about}, floating");
            cache.float();
            assert_eq!(regex.is_match(cache, text), span.is_some(), "{about}, floating");
            cache.float();
            assert_eq!(
                regex.captures(cache, text, &mut slots),
                span.is_some(),
                "{about}, floating"
            );
            assert_eq!(slots, expect_groups, "{about}, floating: {groups:?}");
            if span.is_some() {
                assert!(exact.as_ref().is_none_or(|set| set.contains_any(text)), "{about}");
                assert!(folded.as_ref().is_none_or(|set| set.contains_any(text)), "{about}");
                assert!(text.starts_with(regex.literal_prefix()), "{about}");
            }
        }
    }
}

#[test]
fn leftmost_first() {
    for pattern in ["(?P<a>a|ab)(?P<b>c|bcd)(?P<c>d*)", "(?P<a>samwise|sam)", "(?P<a>sam|samwise)"]
    {
        check(pattern, &["abcd", "xxabcdabcd", "samwise", "sam", ""]);
    }
}

#[test]
fn greed_and_laziness() {
    for pattern in [
        "(?P<a>a*)(?P<b>a*)",
        "(?P<a>a*?)(?P<b>a*)",
        "(?P<a>a+?)(?P<b>a*?)b",
        "(?P<a>a??)(?P<b>a?)",
        "(?P<a>a{1,2}?)(?P<b>a{2,})",
        "(?U)(?P<a>a+)(?P<b>a*?)",
    ] {
        check(pattern, &["", "a", "aa", "aaaa", "baab", "aaab", "bbb"]);
    }
}

#[test]
fn empty_rounds_of_loops() {
    for pattern in [
        "(?P<a>(?P<b>a*)*)",
        "(?P<a>(?P<b>a*)+)b",
        "(?P<a>(?P<b>a|b)*?)*c",
        "(?P<a>(?P<b>)*)*",
        "(?:(?P<a>a)|b)*",
        "(?:(?P<a>a)|(?P<b>b)|)*?c",
        "(?:(?P<a>a?)(?P<b>b?)){0,3}",
        "(?P<a>a*?){2,}(?P<b>b)?",
    ] {
        check(pattern, &["", "a", "b", "ab", "ba", "aab", "abab", "abc", "c", "bbaac"]);
    }
}

#[test]
fn positions_that_look_around() {
    for pattern in [
        r"\b(?P<a>\w+)\b",
        r"\B(?P<a>.)",
        r"\B",
        r"\b",
        r"^(?P<a>.*)$",
        r"(?m)^(?P<a>.*)$",
        r"(?m)$(?P<a>\n?)",
        r"(?m:^)b|(?P<a>a$)",
        r"(?:^|(?P<a>,))(?P<b>[^,]*)$",
        r"x*\b(?P<a>a|\B)",
        r"\Aa|b\z",
    ] {
        let texts =
            ["", "a", "ab", " ab ", "a\nb", "\n", "\n\n", "é", "aé", "éa", "é é", "x,a,b", "b\n"];
        check(pattern, &texts);
    }
}

#[test]
fn characters_of_many_bytes() {
    for pattern in [
        r"(?P<a>.)(?P<b>.)$",
        r"(?P<a>[^a]*)(?P<b>.)",
        r"(?P<a>[aé€]+)(?P<b>[^é]?)",
        r"(?P<a>[^é]*)é",
        r"(?P<a>\pL+)",
        r"(?P<a>\PL+)",
        r"(?P<a>.{2})(?P<b>.*?)",
        r"(?i)(?P<a>k|ſ)+",
        r"(?P<a>[😀-😎])",
    ] {
        let texts = ["", "é", "aé€😀", "😀é", "éaé", "ÀÿĀ", "kKK", "Sſs", "\u{80}\u{7ff}\u{800}"];
        check(pattern, &texts);
    }
}

#[test]
fn literals_ahead() {
    for pattern in [
        r"abc(?P<a>\d+)",
        r"\babc(?P<a>\d+)?",
        r"(?P<a>\d+) port (?P<b>\d+)",
        r"^abc(?P<a>.*) port",
        r"abab(?P<a>c)",
        r"a(?P<a>b)?c",
    ] {
        let texts = [
            "abc",
            "abc1",
            "xabc12",
            "abcabc12",
            "abc abc3",
            "1 port 2",
            "x 1 port",
            "abc port",
            "ababab ababc",
            "abababc",
            "ab ac",
            "",
        ];
        check(pattern, &texts);
    }
}

#[test]
fn long_runs() {
    let plain = "x".repeat(300);
    let quoted = format!("\"{plain}\" \"{plain}é{plain}\" tail {plain}\n{plain}");
    for pattern in [
        r"(?P<a>.*)",
        r"(?P<a>.*?)(?P<b>tail)(?P<c>.*)",
        r#""(?P<a>[^"]*)" "(?P<b>[^"]*)""#,
        r"(?P<a>\S+) (?P<b>\S+)",
        r"(?s)(?P<a>.*)(?P<b>x)",
        r"(?s)(?P<a>.*)\b(?P<b>t)",
        r"(?P<a>.*)$",
        r"(?P<a>[^\n]+)\n(?P<b>[^y]+)y",
    ] {
        check(pattern, &[&plain, &quoted, "", "é", &format!("{plain}\n")]);
    }
}

#[test]
fn wants_only_the_groups_asked_for() {
    let regex = Regex::with_groups(r"(?P<x>a)(?P<y>b)?(c)", &["y"]).unwrap();
    let mut slots = [None];
    assert!(regex.captures(&mut Cache::new(), "zabc", &mut slots));
    assert_eq!(slots, [Some((2, 3))]);
    // More or fewer places than groups are no mistake.
    let mut slots = [Some((9, 9)); 3];
    assert!(regex.captures(&mut Cache::new(), "zabc", &mut slots));
    assert_eq!(slots, [Some((2, 3)), None, None]);
    assert!(regex.captures(&mut Cache::new(), "zabc", &mut []));
}

#[test]
fn refuses_groups_that_are_not_there() {
    assert!(matches!(Regex::with_groups("(?P<x>a)", &["y"]), Err(Error::Group(_))));
    assert!(matches!(Regex::with_groups("(?P<x>a)", &["x", "x"]), Err(Error::Group(_))));
    assert!(matches!(Regex::new("("), Err(Error::Syntax(_))));
    assert!(matches!(
        Regex::new("(?:(?:.{100}){10}a{900}){99}"),
        Err(Error::TooLarge | Error::Syntax(_))
    ));
}

#[test]
fn a_new_cache_allocates_nothing_and_may_change_hands() {
    let (one, two) = (Regex::new("a+").unwrap(), Regex::new("b+").unwrap());
    let mut cache = Cache::new();
    assert_eq!(cache.memory(), 0);
    assert_eq!(one.find(&mut cache, "xab"), Some((1, 2)));
    assert!(0 < cache.memory());
    assert_eq!(two.find(&mut cache, "xab"), Some((2, 3)));
    assert_eq!(one.clone().find(&mut cache, "xab"), Some((1, 2)));
}

#[test]
fn memory_stays_within_the_limit() {
    // Each text takes the automaton through states of its own.
    let regex = Regex::with_groups(r"(?P<a>[ab]*)a(?P<b>[ab]{12})c", &["a", "b"]).unwrap();
    let mut cache = Cache::with_limit(1 << 16);
    let mut slots = [None; 2];
    for i in 0..2000_u32 {
        let text: String =
            (0..20).map(|bit| if i >> (bit % 11) & 1 == 0 { 'a' } else { 'b' }).collect();
        let text = format!("{text}c");
        let expect = text.as_bytes()[7] == b'a';
        assert_eq!(regex.captures(&mut cache, &text, &mut slots), expect);
        if expect {
            assert_eq!(slots, [Some((0, 7)), Some((8, 20))]);
        }
    }
    assert!(cache.memory() < 1 << 18, "{}", cache.memory());
}

#[test]
fn texts_of_a_mebibyte() {
    let n = 1 << 20;
    let text = "ab".repeat(n / 2);
    for pattern in [
        r"(?P<a>a*)*c",
        r"(?P<a>(?P<b>a+)b)+$",
        r"(?P<a>(x+x+)+y)",
        r"(?P<a>.*)(?P<b>b)",
        r"(?P<a>\w*?)(?P<b>.)$",
    ] {
        let names = if pattern.contains("<b>") { &["a", "b"][..] } else { &["a"] };
        let regex = Regex::with_groups(pattern, names).unwrap();
        let mut slots = vec![None; names.len()];
        let found = regex.captures(&mut Cache::new(), &text, &mut slots);
        let n = n as u32;
        match pattern {
            r"(?P<a>(?P<b>a+)b)+$" => {
                assert_eq!(slots, [Some((n - 2, n)), Some((n - 2, n - 1))]);
            }
            r"(?P<a>.*)(?P<b>b)" | r"(?P<a>\w*?)(?P<b>.)$" => {
                assert_eq!(slots, [Some((0, n - 1)), Some((n - 1, n))]);
            }
            _ => assert!(!found),
        }
    }
}

#[test]
fn hostile_patterns_and_texts_take_linear_time() {
    let xs = "x".repeat(100_000);
    let text = "a".repeat(100_000);
    for (pattern, text) in
        [("(a*)*b", &text), ("(x+x+)+y", &xs), ("(a|aa)+$b", &text), ("(?:a?){50}a{50}b", &text)]
    {
        let regex = Regex::new(pattern).unwrap();
        assert!(!regex.is_match(&mut Cache::new(), text), "{pattern}");
        assert_eq!(regex.find(&mut Cache::new(), text), None, "{pattern}");
    }
}

#[test]
fn long_texts_with_a_tiny_cache_are_rebased() {
    let text = "ab".repeat(3000);
    for pattern in [r"(?P<a>(?P<b>a+)b)+$", r"(?P<a>.*)(?P<b>a.)", r"(?P<a>[ab]*?)(?P<b>abab)$"] {
        check(pattern, &[&text]);
    }
}

#[test]
fn few_states_for_a_plain_log_line() {
    let regex = Regex::with_groups(
        r#"^(?P<host>\S+) (?P<what>\w+) "(?P<quoted>[^"]*)" (?P<rest>.*)"#,
        &["host", "what", "quoted", "rest"],
    )
    .unwrap();
    let mut cache = Cache::new();
    let mut slots = [None; 4];
    for i in 0..200 {
        let text = format!("host-{i}.example GET \"/a/{i}?é\" 200 {i} \"agent{i}\"");
        assert!(regex.captures(&mut cache, &text, &mut slots));
    }
    assert!(cache.n_states() < 20, "{}", cache.n_states());
}

/// A pattern, where `@` stands for the name of a group.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abc ]{1,3}",
        prop::sample::select(vec![
            "é", ".", "[ab]", "[^a]", "[a-cé]", r"\w", r"\W", r"\b", r"\B", "^", "$", "(?m:^)",
            "(?m:$)", "(?i:aB)", "",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            inner.clone().prop_map(|part| format!("(?P<@>{part})")),
            (inner, "[*+?]|\\{2\\}|\\{1,3\\}|\\{0,2\\}|\\{2,\\}", "\\??")
                .prop_map(|(part, count, lazy)| format!("(?:{part}){count}{lazy}")),
        ]
    })
    .prop_map(|pattern| {
        let mut parts = pattern.split('@');
        let mut named = parts.next().unwrap_or_default().to_owned();
        for (i, part) in parts.enumerate() {
            named.push_str(&format!("g{i}{part}"));
        }
        named
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn agrees_with_the_oracle(
        pattern in pattern(),
        texts in prop::collection::vec("[abcAé \n_€]{0,14}", 1..6),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        check(&pattern, &texts);
    }
}
