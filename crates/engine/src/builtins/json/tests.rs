use super::*;
use proptest::prelude::*;

fn check(text: &str, compact: &str) {
    let value = Json::parse(text).unwrap();
    assert_eq!(value.to_compact().as_deref(), Ok(compact), "{text}");
}

#[test]
fn documents_come_back_compact_and_sorted() {
    check(" null ", "null");
    check(
        r#"{"b": [1, 2.50, -0.0, 1e3], "a": {"c": true}, "b2": {}}"#,
        r#"{"a":{"c":true},"b":[1,2.5,-0,1000],"b2":{}}"#,
    );
    check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#);
    check(
        "[1e21, 1e20, 1e-6, 1e-7, 123456789012345678]",
        "[1e+21,100000000000000000000,0.000001,1e-7,123456789012345680]",
    );
    check("[[],[ ]]", "[[],[]]");
}

#[test]
fn strings_are_decoded_and_escaped() {
    check(
        r#""a\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00\u2028""#,
        "\"a\\\"\\\\/\\b\\f\\n\\r\\téé😀\\u2028\"",
    );
    check(r#""<a href='x'>&""#, r#""\u003ca href='x'\u003e\u0026""#);
    check(r#""\u0001\u007f""#, "\"\\u0001\u{7f}\"");
    check(r#""\ud800x\udc00\ud800\u0041""#, "\"\u{fffd}x\u{fffd}\u{fffd}A\"");
}

#[test]
fn indented_like_go() {
    let value = Json::parse(r#"{"b":[1,{"x":null}],"a":{},"c":[]}"#).unwrap();
    let expect = "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"c\": []\n}";
    assert_eq!(value.to_indented("  ").as_deref(), Ok(expect));
    assert_eq!(Json::Int(i64::MIN).to_compact().as_deref(), Ok("-9223372036854775808"));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "nullx",
        "{",
        "[1",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "1 2",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "1e999",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "'a'",
        "[1}",
        "\"\\u+123\"",
    ] {
        assert!(Json::parse(text).is_err(), "{text}");
    }
    let message = Json::parse("{\"a\": x}").unwrap_err();
    assert_eq!(message, "JSON has an unexpected 'x' at byte 6");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(Json::parse(&nested(MAX_DEPTH + 2)).is_err());
    assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    let mut deep = Json::Null;
    for _ in 0..MAX_DEPTH + 2 {
        deep = Json::List(alloc::vec![deep]);
    }
    assert!(deep.to_compact().is_err());
    assert!(Json::Number(f64::NAN).to_compact().is_err());
}

fn trees() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Json::Number),
        any::<String>().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Json::Map),
        ]
    })
}

proptest! {
    #[test]
    fn writing_and_reading_agree(tree in trees()) {
        prop_assert_eq!(Json::parse(&tree.to_compact().unwrap()), Ok(tree.clone()));
        prop_assert_eq!(Json::parse(&tree.to_indented("\t").unwrap()), Ok(tree));
    }

    #[test]
    fn never_panics(text: String, soup in r#"([\[\]{}:,"\\u0-9eE.+-]|true|null|é| ){0,20}"#) {
        let _ = (Json::parse(&text).is_ok(), Json::parse(&soup).is_ok());
    }
}
