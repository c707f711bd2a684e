use super::*;
use proptest::prelude::*;
use syntax::FileId;

const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

fn registry(definitions: &[(&str, &str)]) -> Registry {
    let mut registry = Registry::base();
    for (name, text) in definitions {
        assert_eq!(registry.define(name, text, NOWHERE), Ok(Definition::New), "{name}");
    }
    registry
}

fn expand(pattern: &str) -> Expanded {
    registry(SAMPLE).expand(pattern).unwrap()
}

fn fields(expanded: &Expanded) -> Vec<(&str, &str)> {
    let pairs = expanded.fields.iter();
    pairs.map(|(field, group)| (field.as_str(), group.as_str())).collect()
}

/// What the fields of a pattern are after it matched `text`; `None` when it does not.
fn matched(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
    let expanded = expand(pattern);
    let groups: Vec<_> = expanded.fields.iter().map(|(_, group)| group.as_str()).collect();
    let regex = re2::Regex::with_groups(&expanded.regex, &groups).unwrap();
    let mut slots = vec![None; groups.len()];
    if !regex.captures(&mut re2::Cache::new(), text, &mut slots) {
        return None;
    }
    let value = |slot: Option<(u32, u32)>| {
        slot.map_or("", |(start, end)| &text[start as usize..end as usize]).to_owned()
    };
    Some(
        expanded
            .fields
            .into_iter()
            .map(|(field, _)| field)
            .zip(slots.into_iter().map(value))
            .collect(),
    )
}

fn check(pattern: &str, text: &str, expect: &[(&str, &str)]) {
    let expect: Vec<_> =
        expect.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    assert_eq!(matched(pattern, text), Some(expect), "{pattern:?} on {text:?}");
}

const SAMPLE: &[(&str, &str)] =
    &[("A", "a"), ("B", "b|bb"), ("PAIR", "%{A:left}-%{B:right}"), ("OUTER", "<%{PAIR}>%{A:left}")];

#[test]
fn references_become_groups() {
    let expanded = expand("x%{A}y");
    assert_eq!((expanded.regex.as_str(), fields(&expanded)), ("x(?:a)y", vec![]));
    let expanded = expand("%{A:f}(%{B})%{PAIR}");
    assert_eq!(expanded.regex, "(?P<__f0>a)((?:b|bb))(?:(?P<__f1>a)-(?P<__f2>b|bb))");
    assert_eq!(fields(&expanded), [("f", "__f0"), ("left", "__f1"), ("right", "__f2")]);
}

#[test]
fn the_last_one_at_a_level_gives_a_field() {
    let expanded = expand("%{A:f}|%{B:f}");
    assert_eq!(expanded.regex, "(?:a)|(?P<__f0>b|bb)");
    check("%{IP:ip}|host %{HOSTNAME:ip}", "1.2.3.4", &[("ip", "")]);
    check("%{IP:ip}|host %{HOSTNAME:ip}", "host x.org", &[("ip", "x.org")]);
}

#[test]
fn outer_fields_hide_nested_ones() {
    // `left` of PAIR is hidden by that of OUTER, although PAIR comes first.
    assert_eq!(expand("%{OUTER}").regex, "(?:<(?:(?:a)-(?P<__f0>b|bb))>(?P<__f1>a))");
    // The pattern's own `right` hides all others; `left` comes from the last reference that has it.
    let expanded = expand("%{B:right}%{OUTER}%{PAIR}");
    assert_eq!(
        expanded.regex,
        "(?P<__f0>b|bb)(?:<(?:(?:a)-(?:b|bb))>(?:a))(?:(?P<__f1>a)-(?:b|bb))"
    );
    assert_eq!(fields(&expanded), [("right", "__f0"), ("left", "__f1")]);
}

#[test]
fn a_reference_gives_its_own_field_and_nested_ones() {
    assert_eq!(
        fields(&expand("%{PAIR:pair}")),
        [("pair", "__f0"), ("left", "__f1"), ("right", "__f2")]
    );
    check(
        "%{URIHOST:host}",
        "shop.example:8080",
        &[("host", "shop.example:8080"), ("port", "8080")],
    );
}

#[test]
fn what_is_no_reference_is_text() {
    for text in ["%{INT:n:int}", "%{WORD:a.b}", "%{WORD:a-b}", "%{}", "%{:f}", "%{A:}", "%{Ä}"] {
        assert_eq!(references(text).count(), 0, "{text}");
    }
    assert!(references("%{%{A}").map(|found| found.whole).eq(core::iter::once(2..6)));
    let lookalikes = false_references("%{INT:n:int} %{A} %{3}");
    assert!(lookalikes.into_iter().eq(core::iter::once(0..12)));
    // The braces are no repetition, so they are text to match.
    assert!(expand("%{INT:n:int}").fields.is_empty());
}

#[test]
fn an_optional_part_that_did_not_match_is_empty() {
    check("%{WORD:a}( %{INT:b})?", "foo", &[("a", "foo"), ("b", "")]);
}

#[test]
fn an_unknown_name_is_found_by_its_place() {
    let error = registry(SAMPLE).expand("ab%{PAIRS:x}").unwrap_err();
    assert_eq!(error.range, 4..9);
    assert_eq!(error.fault, GrokFault::Unknown { name: "PAIRS".to_owned() });
}

#[test]
fn definitions_refer_to_earlier_ones_only() {
    let mut registry = Registry::base();
    let error = registry.define("LOOP", "x%{LOOP}", NOWHERE).unwrap_err();
    assert_eq!(error.fault, GrokFault::Unknown { name: "LOOP".to_owned() });
    let error = registry.expand("%{LOOP}").unwrap_err();
    assert_eq!(error.fault, GrokFault::Broken { name: "LOOP".to_owned() });
}

#[test]
fn the_first_definition_stays() {
    let mut registry = registry(SAMPLE);
    let known = registry.define("A", "z", NOWHERE);
    assert_eq!(known, Ok(Definition::Known { first: Some(NOWHERE), same_text: false }));
    let known = registry.define("USER", "%{USERNAME}", NOWHERE);
    assert_eq!(known, Ok(Definition::Known { first: None, same_text: true }));
    assert_eq!(registry.expand("%{A}").unwrap().regex, "(?:a)");
}

#[test]
fn errors_of_regexes_point_into_the_pattern() {
    let mut registry = registry(SAMPLE);
    let error = registry.expand("%{A}%{PAIR} (?P<x>a)*+").unwrap_err();
    let GrokFault::Regex { .. } = error.fault else { panic!("{error:?}") };
    assert_eq!(&"%{A}%{PAIR} (?P<x>a)*+"[error.range], "*+");
}

#[test]
fn places_of_references_are_whole() {
    let expanded = expand("xx%{PAIR}yy");
    assert_eq!(expanded.regex, "xx(?:(?P<__f0>a)-(?P<__f1>b|bb))yy");
    let end = expanded.regex.len();
    assert_eq!(expanded.locate(1..2), 1..2);
    assert_eq!(expanded.locate(5..7), 2..9);
    assert_eq!(expanded.locate(1..7), 1..9);
    assert_eq!(expanded.locate(end - 1..end), 10..11);
    assert_eq!(expanded.locate(end..end), 11..11);
    assert_eq!(expanded.locate(end + 5..end + 9), 11..11);
    assert_eq!(expand("").locate(0..3), 0..0);
}

#[test]
fn growth_is_bounded() {
    let mut registry = Registry::base();
    registry.define("P0", "x", NOWHERE).unwrap();
    let error = (1..100).find_map(|n| {
        let last = format!("%{{P{}}}", n - 1);
        registry.define(&format!("P{n}"), &last.repeat(4), NOWHERE).err()
    });
    assert_eq!(error.map(|error| error.fault), Some(GrokFault::TooLong));

    let mut registry = Registry::base();
    registry.define("D0", "x", NOWHERE).unwrap();
    let error = (1..1000).find_map(|n| {
        registry.define(&format!("D{n}"), &format!("%{{D{}}}", n - 1), NOWHERE).err()
    });
    assert_eq!(error.map(|error| error.fault), Some(GrokFault::TooDeep));

    let mut registry = Registry::base();
    registry.define("LONG", &"x".repeat(1 << 19), NOWHERE).unwrap();
    let error = (0..1000).find_map(|_| registry.expand("%{LONG}").err());
    assert_eq!(error.map(|error| error.fault), Some(GrokFault::Exhausted));
}

/// A pattern as a list of references to earlier definitions, each with or without a field.
type Shape = Vec<(usize, Option<usize>)>;

/// The table of fields as the rules say it, level by level: field → path of reference indexes.
fn table_of_shape(shapes: &[Shape], shape: &Shape) -> Vec<(usize, Vec<usize>)> {
    let mut table: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut set = |field: usize, path: Vec<usize>, keep: &[usize]| {
        if !keep.contains(&field) {
            table.retain(|(known, _)| *known != field);
            table.push((field, path));
        }
    };
    let own: Vec<usize> = shape.iter().filter_map(|(_, field)| *field).collect();
    for (index, (definition, field)) in shape.iter().enumerate() {
        for (nested, path) in table_of_shape(shapes, &shapes[*definition]) {
            set(nested, std::iter::once(index).chain(path).collect(), &own);
        }
        if let Some(field) = field {
            set(*field, vec![index], &[]);
        }
    }
    table.sort();
    table
}

/// A pattern for a shape. Each reference is followed by its path in parentheses when expanded, but
/// texts of definitions know only their own index, so the path is read off the nesting.
fn text_of(shape: &Shape) -> String {
    let reference = |(definition, field): &(usize, Option<usize>)| match field {
        Some(field) => format!("%{{D{definition}:f{field}}}"),
        None => format!("%{{D{definition}}}"),
    };
    shape.iter().map(reference).collect()
}

/// Field → path, read off an expanded pattern whose every group is a reference.
fn table_of(expanded: &Expanded) -> Vec<(usize, Vec<usize>)> {
    let mut table = Vec::new();
    let mut path: Vec<usize> = Vec::new();
    let mut next = 0;
    let mut rest = expanded.regex.as_str();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(')') {
            next = path.pop().unwrap() + 1;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("(?:") {
            path.push(next);
            next = 0;
            rest = after;
        } else {
            let (group, after) = rest.strip_prefix("(?P<").unwrap().split_once('>').unwrap();
            path.push(next);
            next = 0;
            rest = after;
            let (field, _) = expanded.fields.iter().find(|(_, name)| name == group).unwrap();
            table.push((field[1..].parse().unwrap(), path.clone()));
        }
    }
    table.sort();
    table
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = |n: usize| {
        prop::collection::vec((0..n.max(1), prop::option::of(0..4_usize)), 0..4)
            .prop_map(move |shape| if n == 0 { Vec::new() } else { shape })
    };
    (shape(0), shape(1), shape(2), shape(3), shape(4), shape(5))
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
}

proptest! {
    #[test]
    fn fields_come_from_where_the_rules_say(shapes in shapes()) {
        let mut registry = Registry::base();
        for (index, shape) in shapes.iter().enumerate() {
            registry.define(&format!("D{index}"), &text_of(shape), NOWHERE).unwrap();
        }
        let last = shapes.last().unwrap();
        let expanded = registry.expand(&text_of(last)).unwrap();
        prop_assert_eq!(table_of(&expanded), table_of_shape(&shapes, last));
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(text in r"([%{}:()\[\]|*?\\a-cä]|%\{A\}|%\{PAIR:x\}){0,20}") {
        let mut registry = registry(SAMPLE);
        match registry.expand(&text) {
            Ok(expanded) => {
                let at = |offset| expanded.regex.floor_char_boundary(offset);
                let len = expanded.regex.len();
                let range = expanded.locate(at(len / 3)..at(len / 2));
                prop_assert!(text.get(range).is_some());
            }
            Err(error) => prop_assert!(text.get(error.range).is_some()),
        }
    }
}
