//! Pattern and text: our matcher against `regex-automata`, which takes another road.
//!
//! The input is a pattern, a zero byte, and a text. Whatever the pattern, reading it must not
//! panic and must stay small; whatever it matches, both matchers must agree on the span and on every
//! named group, with caches so small that they are cleared all the time and with ordinary ones.

use super::bytes::{Bytes, text};
use re2::{Cache, LiteralSet, Regex, RegexSet, SetCache};
use regex_automata::{Input, PatternID, meta};

/// Longest pattern: beyond this the oracle is what takes the time.
const MAX_PATTERN: usize = 200;

/// Longest text, for the same reason.
const MAX_TEXT: usize = 2000;

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let pattern = text(input.until(0));
    let text = text(input.rest());
    if MAX_PATTERN < pattern.len() || MAX_TEXT < text.len() {
        return;
    }
    let hir = match ::re2::parse(&pattern) {
        Ok(hir) => hir,
        Err(error) => {
            let range = error.start..error.end;
            assert!(pattern.get(range).is_some(), "{pattern:?}: bad place of {error:?}");
            assert!(Regex::new(&pattern).is_err(), "{pattern:?} is refused and accepted");
            return;
        }
    };
    let Ok(plain) = Regex::new(&pattern) else { return };
    let config = meta::Config::new()
        .utf8_empty(true)
        .nfa_size_limit(Some(4 << 20))
        .hybrid(false)
        .dfa(false)
        .onepass(false);
    let Ok(oracle) = meta::Builder::new().configure(config).build_from_hir(&hir) else { return };
    let info = oracle.group_info().clone();
    let names: Vec<(usize, &str)> = info
        .pattern_names(PatternID::ZERO)
        .enumerate()
        .filter_map(|(index, name)| Some((index, name?)))
        .collect();
    let groups: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
    let regex = Regex::with_groups(&pattern, &groups).expect("a pattern has the groups it names");
    let mut found = oracle.create_captures();
    oracle.search_captures(&Input::new(&text), &mut found);
    let span = found.get_match().map(|found| (found.start(), found.end()));
    let offset = |at: usize| u32::try_from(at).expect("the text is short");
    let expect: Vec<Option<(u32, u32)>> = names
        .iter()
        .map(|(index, _)| {
            found.get_group(*index).map(|span| (offset(span.start), offset(span.end)))
        })
        .collect();
    for limit in [1 << 20, 0, 3000] {
        let mut cache = Cache::with_limit(limit);
        // Twice: the second search finds the states of the first.
        for _ in 0..2 {
            let about = format!("{pattern:?} on {text:?}, limit {limit}");
            assert_eq!(regex.find(&mut cache, &text), span, "{about}");
            assert_eq!(regex.is_match(&mut cache, &text), span.is_some(), "{about}");
            let mut slots = vec![Some((7, 7)); groups.len()];
            assert_eq!(regex.captures(&mut cache, &text, &mut slots), span.is_some(), "{about}");
            assert_eq!(slots, expect, "{about}: {groups:?}");
            assert_eq!(plain.is_match(&mut Cache::with_limit(limit), &text), span.is_some());
        }
    }
    if span.is_some() {
        let holds = |set: Option<LiteralSet>| set.is_none_or(|set| set.contains_any(&text));
        assert!(holds(plain.required().map(LiteralSet::new)), "{pattern:?} on {text:?}: required");
        let folded = plain.required_folded().map(|set| LiteralSet::new_folded(&set));
        assert!(holds(folded), "{pattern:?} on {text:?}: required, folded");
        // Not where the match may start later: then the prefix is that of the match.
        let at = span.map_or(0, |(start, _)| start);
        assert!(text[at..].starts_with(plain.literal_prefix()), "{pattern:?} on {text:?}: prefix");
    }
    in_sets(&pattern, &text, span.is_some());
}

/// A pattern must match in a set exactly when it matches alone, whatever stands beside it.
fn in_sets(pattern: &str, text: &str, matches: bool) {
    let sets: [&[&str]; 2] =
        [&[pattern, "(?i)sqlmap", "^$", "[xy]z"], &["zzzzzz", "q{3}", pattern]];
    for patterns in sets {
        let set = RegexSet::new(patterns).expect("each pattern compiles by itself");
        let first = set.is_match_any(&mut SetCache::new(), text);
        let index = patterns.iter().position(|other| *other == pattern).unwrap_or(0);
        if matches {
            assert!(
                first.is_some_and(|first| first <= index),
                "{pattern:?} on {text:?} in {patterns:?}"
            );
        } else {
            assert_ne!(first, Some(index), "{pattern:?} on {text:?} in {patterns:?}");
        }
    }
}
