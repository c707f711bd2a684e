use super::*;
use proptest::prelude::*;

const BLOB: &str = r#"{"a":{"b":["x\"y",2]},"s":"x\"y"}"#;

fn check(document: &str, path: &str, expect: &str) {
    assert_eq!(json_extract(document, &JsonPath::compile(path)), expect, "{document} {path}");
}

#[test]
fn values_come_as_written() {
    check(BLOB, "a.b[0]", r#"x\"y"#);
    check(BLOB, "a.b[1]", "2");
    check(BLOB, "a.b", r#"["x\"y",2]"#);
    check(BLOB, "a", r#"{"b":["x\"y",2]}"#);
    check(BLOB, "s", r#"x\"y"#);
    for (value, text) in [("null", "null"), ("true", "true"), ("-1.50e3", "-1.50e3"), ("\"\"", "")]
    {
        check(&alloc::format!("{{\"k\" : {value} }}"), "k", text);
    }
}

#[test]
fn missing_values_are_empty() {
    for path in ["a.z", "z", "a.b[2]", "a.b[-1]", "a.b[x]", "a.b[", "a.b.c", "s.x", "a[0]", ""] {
        check(BLOB, path, "");
    }
}

#[test]
fn arrays_may_come_first_and_nest() {
    let document = r#" [ {"a": [[1, [2]], "z,]"]} , 3 ]"#;
    check(document, "[0].a.[0].[1].[0]", "2");
    check(document, "[0].a.[1]", "z,]");
    check(document, "[1]", "3");
    // A path that begins with a bracket is not rewritten.
    check(document, "[0].a[0]", "");
    check("[[1,2]]", "[0][1]", "");
    check("[]", "[0]", "");
}

#[test]
fn keys_are_compared_unescaped() {
    check(r#"{"a\"b":1,"\u0041":2}"#, "A", "2");
    assert_eq!(
        JsonPath::from_steps(["a\"b"]).find(r#"{"a\"b":1}"#).map(|found| found.text),
        Some("1")
    );
    check(r#"{"t":{"$date":"x"}}"#, "t.$date", "x");
    assert_eq!(
        JsonPath::from_steps(["a.b", "c[0]"]).find(r#"{"a.b":{"c[0]":1}}"#).map(|found| found.text),
        Some("1")
    );
}

#[test]
fn documents_are_not_validated() {
    check(r#"junk {"a":1 "b":2, nonsense"#, "b", "2");
    check(r#"{"a":1,"b":"#, "a", "1");
    check(r#"{"a":{"x":1},"a":{"b":2}}"#, "a.b", "2");
    check(r#"{"a":[{"b":1}],"b":2}"#, "b", "2");
    check(r#""text" {"a":1}"#, "a", "1");
    for document in
        ["", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":x}", "{:1}", "\"a\":1", "key: {\"a\":1}"]
    {
        check(document, "a", "");
    }
    check(r#"{"x":"unclosed,"a":1}"#, "a", "");
}

#[test]
fn only_strings_are_unescaped() {
    let unescaped = |document, step| json_extract_unescape(document, &JsonPath::from_steps([step]));
    assert_eq!(unescaped(BLOB, "s"), "x\"y");
    assert_eq!(unescaped(BLOB, "a"), "");
    assert_eq!(unescaped(r#"{"a":"\u00e9\n"}"#, "a"), "é\n");
    assert_eq!(unescaped(r#"{"a":"\x"}"#, "a"), "");
    assert_eq!(unescaped(r#"{"a":1}"#, "a"), "");
}

#[test]
fn lists_and_objects_are_read() {
    let path = JsonPath::compile("a.b");
    let items = json_extract_slice(BLOB, &path).unwrap();
    assert_eq!(items, [Json::Text("x\"y".to_owned()), Json::Number(2.0)]);
    assert_eq!(json_extract_object(BLOB, &path), None);
    let entries = json_extract_object(BLOB, &JsonPath::compile("a")).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(json_extract_slice(r#"{"a":[1,}]}"#, &JsonPath::compile("a")), None);
    assert_eq!(json_extract_slice(BLOB, &JsonPath::compile("z")), None);
}

#[test]
fn long_paths_and_deep_documents_are_harmless() {
    let deep = "{\"a\":".repeat(100_000);
    check(&deep, &("a.".repeat(1000) + "a"), "");
    check(&"[".repeat(100_000), "[0].a", "");
    check(&("{\"a\":".repeat(50) + "1"), "a.".repeat(50).trim_end_matches('.'), "1");
}

fn valid() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("1".to_owned()), Just("null".to_owned()), "\"[a-z{}:,]{0,3}\""];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| alloc::format!("[{}]", items.join(","))),
            proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| alloc::format!("\"{key}\": {value}"))
                    .collect();
                alloc::format!("{{{}}}", entries.join(" , "))
            }),
        ]
    })
}

/// Walks the tree instead of the text.
fn by_tree<'j>(value: &'j Json, steps: &[&str]) -> Option<&'j Json> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    let next = match (value, step.strip_prefix('[')) {
        (Json::Map(entries), None) => entries.get(*step)?,
        (Json::List(items), Some(index)) => {
            items.get(index.trim_end_matches(']').parse::<usize>().ok()?)?
        }
        _ => return None,
    };
    by_tree(next, rest)
}

proptest! {
    #[test]
    fn agrees_with_the_tree(document in valid(), steps in proptest::collection::vec("[a-c]|\\[[0-2]\\]", 1..4)) {
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let tree = Json::parse(&document).unwrap();
        let found = JsonPath::from_steps(steps.iter().copied()).find(&document);
        let found = found.map(|found| match found.kind {
            Kind::Text => Json::Text(found.text.to_owned()),
            _ => Json::parse(found.text).unwrap(),
        });
        prop_assert_eq!(found.as_ref(), by_tree(&tree, &steps));
    }

    #[test]
    fn never_panics(document: String, path: String, soup in r#"([\[\]{}:,"\\]|[abé01 ]|"a":){0,24}"#) {
        let path = JsonPath::compile(&path);
        for document in [&document, &soup] {
            drop((json_extract(document, &path), json_extract_unescape(document, &path)));
            for path in ["a", "a.a", "[0]", "a[1].a"] {
                let path = JsonPath::compile(path);
                drop((json_extract(document, &path), json_extract_slice(document, &path)));
            }
        }
    }
}
