//! What comes out of YAML, what is said about YAML that is wrong, and that nothing is too much.

use proptest::prelude::*;

use super::*;
use crate::diagnostic::Diagnostics;
use crate::render::{Style, render};
use crate::source::Sources;

struct Parsed {
    sources: Sources,
    documents: Vec<Yaml>,
    diags: Diagnostics,
}

fn read(text: &str) -> Parsed {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", text);
    let mut diags = Diagnostics::new();
    let documents = parse(file, &sources, &mut diags);
    Parsed { sources, documents, diags }
}

/// Writes a node as one line: `{a: [b, c]}`, texts in quotes where they are not plain.
fn show(yaml: &Yaml) -> String {
    let tag = yaml.tag.as_ref().map(|tag| format!("<{tag}>")).unwrap_or_default();
    let node = match &yaml.node {
        Node::Scalar(scalar) if scalar.style == ScalarStyle::Plain => scalar.text.clone(),
        Node::Scalar(scalar) => format!("{:?}", scalar.text),
        Node::Seq(elements) => {
            format!("[{}]", elements.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Node::Map(entries) => {
            let entries =
                entries.iter().map(|(key, value)| format!("{}: {}", show(key), show(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    format!("{tag}{node}")
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let Parsed { sources, documents, diags } = read(text);
    let found: Vec<String> = diags
        .iter()
        .map(|diag| render(diag, &sources, Style { color: false, width: 80 }))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(documents.iter().map(show).collect::<Vec<_>>(), expect, "{text}");
}

/// Checks code, line, column and message of everything that is said about a text.
#[track_caller]
fn check_wrong(text: &str, expect: &[&str]) -> Vec<Yaml> {
    let Parsed { sources, documents, diags } = read(text);
    let said = |diag: &crate::Diagnostic| {
        let (line, column) = sources.line_col(diag.place().expect("each has a place"));
        format!("{} {line}:{column} {}", diag.code, diag.message)
    };
    let start: String = text.chars().take(200).collect();
    assert_eq!(diags.iter().map(said).collect::<Vec<_>>(), expect, "{start}");
    documents
}

#[test]
fn documents_without_content_are_left_out() {
    check("", &[]);
    check("# nothing\n", &[]);
    check("---\n---\na: b\n---\n# nothing\n---\nc: d\n...\n---\n", &["{a: b}", "{c: d}"]);
    check("--- ~\n", &["~"]);
}

#[test]
fn nesting_comes_out_as_written() {
    check("a:\n- b\n- c: [d, {e: f}]\n  g:\n", &["{a: [b, {c: [d, {e: f}], g: }]}"]);
    check(
        "a: 'it''s'\nb: \"\\u00e9\\n\"\nc: |\n  x\n   y\n\nd: >-\n  x\n  y\n\n  z\n",
        &[r#"{a: "it's", b: "é\n", c: "x\n y\n", d: "x y\nz"}"#],
    );
    check(
        "a: !!str 5\nb: ! 6\nc: !own\n  d: e\n",
        &["{a: <tag:yaml.org,2002:str>5, b: <!>6, c: <!own>{d: e}}"],
    );
    check("\u{feff}a: b\r\nc: |\r\n  x\r\n", &[r#"{a: b, c: "x\n"}"#]);
}

#[test]
fn spans_cover_what_was_written() {
    let text = "a: 'x' # note\nb: [1, 2 ] # note\nc:\n  - d: e\n  - f\n\ng: !t &n |-\n\n   block\n   text\nh:\n";
    let Parsed { sources, documents, .. } = read(text);
    let slice = |key: &str| sources.slice(documents[0].get(key).expect("it is there").span);
    assert_eq!(slice("a"), "'x'");
    assert_eq!(slice("b"), "[1, 2 ]");
    assert_eq!(slice("c"), "- d: e\n  - f");
    assert_eq!(slice("g"), "block\n   text");
    assert_eq!(
        sources.line_col(documents[0].get("h").expect("it is there").span),
        (11, 3),
        "behind the colon"
    );
    assert_eq!(sources.line_col(documents[0].span), (1, 1));
}

#[test]
fn words_and_numbers_follow_yaml_1_1() {
    let value = |text: &str| {
        read(&format!("a: {text}\n")).documents.remove(0).get("a").cloned().expect("it is there")
    };
    for word in ["y", "Y", "yes", "on", "On", "TRUE"] {
        assert_eq!(value(word).as_bool(), Some(true), "{word}");
    }
    for word in ["n", "No", "off", "OFF", "false"] {
        assert_eq!(value(word).as_bool(), Some(false), "{word}");
    }
    for word in ["'true'", "yEs", "1", "truely", "!!str true", "\"on\"", "|-\n  true"] {
        assert_eq!(value(word).as_bool(), None, "{word}");
    }
    for (word, int) in
        [("5", 5), ("-5", -5), ("+5", 5), ("0x1F", 31), ("017", 15), ("0o17", 15), ("0b101", 5)]
    {
        assert_eq!(value(word).as_int(), Some(int), "{word}");
    }
    assert_eq!(value("1_000").as_int(), Some(1000));
    assert_eq!(value("-9223372036854775808").as_int(), Some(i64::MIN));
    for word in ["08", "1.5", "'5'", "--5", "0x", "_", "5s", "9223372036854775808", "0x-1", ""] {
        assert_eq!(value(word).as_int(), None, "{word}");
    }
    assert_eq!(value("08").as_float(), Some(8.0));
    assert_eq!(value("1e3").as_float(), Some(1000.0));
    assert_eq!(value("-.inf").as_float(), Some(f64::NEG_INFINITY));
    assert_eq!(value("7").as_float(), Some(7.0));
    for word in ["inf", "nan", "1.2.3", "e", "."] {
        assert_eq!(value(word).as_float(), None, "{word}");
    }
    assert!(value("").is_null() && value("~").is_null() && value("null").is_null());
    assert!(!value("''").is_null() && !value("nULL").is_null());
}

#[test]
fn nodes_say_what_they_are() {
    let Parsed { documents, .. } = read("[[], {}, 1, off, x, ~]");
    let names: Vec<&str> =
        documents[0].as_seq().expect("it is a list").iter().map(Yaml::describe).collect();
    assert_eq!(names, ["a list", "a map", "a number", "a boolean", "a text", "nothing"]);
}

#[test]
fn a_key_that_is_there_twice_is_reported_once_and_dropped() {
    let documents = check_wrong(
        "a: 1\nb: 2\n'a': 3\na: 4\n",
        &["R0004 3:1 the key `a` is there twice", "R0004 4:1 the key `a` is there twice"],
    );
    assert_eq!(show(&documents[0]), "{a: 1, b: 2}");
}

#[test]
fn aliases_repeat_what_they_name() {
    check("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n", &["{a: [1, 2], b: [1, 2], c: 3, d: 3}"]);
    let Parsed { sources, documents, .. } = read("a: &x text\nb: *x\n");
    let alias = documents[0].get("b").expect("it is there");
    assert_eq!(sources.line_col(alias.span), (1, 7), "an alias keeps the place of what it names");
}

#[test]
fn aliases_to_nothing_are_reported() {
    check_wrong("a: *x\n", &["R0005 1:4 no such anchor"]);
    check_wrong("a: &x 1\n---\nb: *x\n", &["R0005 3:4 no such anchor"]);
    check_wrong("a: &x [*x]\n", &["R0005 1:8 an alias cannot stand inside what it names"]);
}

#[test]
fn merge_keys_bring_what_is_not_there() {
    check("a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: *a\n", &["{a: {x: 1, y: 2}, b: {y: 3, x: 1}}"]);
    check(
        "- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n",
        &["[{x: 1}, {x: 2, y: 2}, {x: 1, y: 2}]"],
    );
    check("'<<': {x: 1}\n", &[r#"{"<<": {x: 1}}"#]);
    check_wrong("<<: x\n", &["R0006 1:5 a merge key takes a map or a list of maps"]);
}

#[test]
fn what_upstream_lets_pass_is_read() {
    check(
        "files: [\n  \"/a\",\n]\nlabels: {\n  type: x\n}\nz: 1\n",
        &[r#"{files: ["/a"], labels: {type: x}, z: 1}"#],
    );
    check("- a: [b,\n  c\n  ]\n  d: e\n", &["[{a: [b, c], d: e}]"]);
    check("a:\n  b: \"one\ntwo\"\n  c: 'x\n\ny'\n", &[r#"{a: {b: "one two", c: "x\ny"}}"#]);
    check("a:\tb\nc: \"d\"# note\n", &[r#"{a: b, c: "d"}"#]);
    check("a:\n  b: [\n# note\n'c',\nd ]\ne: f\n", &[r#"{a: {b: ["c", d]}, e: f}"#]);
    check("a: |\n  x\n  y", &[r#"{a: "x\ny"}"#]);
    // Places are those of the file, not of the repaired copy.
    let Parsed { sources, documents, .. } = read("é: [\n  a,\nbé\n]\nc: d\n");
    let list = documents[0].get("é").expect("it is there");
    assert_eq!(sources.slice(list.span), "[\n  a,\nbé\n]");
    assert_eq!(sources.slice(list.as_seq().expect("it is a list")[1].span), "bé");
    assert_eq!(sources.slice(documents[0].get("c").expect("it is there").span), "d");
}

#[test]
fn a_syntax_error_has_a_place_and_keeps_earlier_documents() {
    let documents = check_wrong("a: b\n---\nc: d: e\n", &["R0001 3:5 a `: ` is not expected here"]);
    assert_eq!(documents.len(), 1);
    check_wrong("filter: evt.x ? \"a\" : \"b\"\n", &["R0001 1:21 a `: ` is not expected here"]);
    check_wrong("a: \"x\n", &["R0001 1:4 this quote is never closed"]);
    check_wrong("a: \"x\\d+\"\n", &["R0001 1:4 this text holds an escape that YAML does not know"]);
    check_wrong("a:\n\tb: c\n", &["R0001 2:2 tabs cannot indent"]);
    check_wrong("a: [b, c\n", &["R0001 2:1 a `,` or `]` is expected here"]);
    check_wrong("a: %x\n", &["R0001 1:4 no value can start with this character"]);
    check_wrong(
        "a:\n  - b\n c: d\n",
        &["R0001 3:2 a `key: value` or the end of the map is expected here"],
    );
}

#[test]
fn characters_that_yaml_does_not_know_are_refused() {
    check_wrong("a: b\0c\n", &["R0002 1:5 the character U+0000 is not allowed in YAML"]);
    check_wrong("a: \u{1b}[31m\n", &["R0002 1:4 the character U+001B is not allowed in YAML"]);
}

#[test]
fn texts_that_unfold_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check_wrong(&bomb, &["R0003 6:10 the file unfolds into more than 200000 nodes"]);

    let mut long = format!("a: &a {}\nb:\n", "x".repeat(1 << 20));
    long.push_str(&"- *a\n".repeat(50));
    check_wrong(&long, &["R0003 10:3 aliases copy more than 8 MiB of text"]);
}

#[test]
fn deep_texts_are_refused() {
    check_wrong(&"[".repeat(200), &["R0003 1:129 maps and lists are nested more than 128 deep"]);
    check_wrong(
        &"[".repeat(100_000),
        &["R0003 1:256 maps and lists are nested more than 128 deep"],
    );
    check_wrong(
        &"- ".repeat(100_000),
        &["R0003 1:257 maps and lists are nested more than 128 deep"],
    );
    let mut steps = "a0: &a0 [[[[[[[[[[]]]]]]]]]]\n".to_owned();
    for level in 1..20 {
        steps.push_str(&format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1));
    }
    check_wrong(&steps, &["R0003 13:21 maps and lists are nested more than 128 deep"]);
}

#[test]
fn large_texts_are_refused() {
    check_wrong(&"#".repeat(MAX_BYTES + 1), &["R0003 1:1 the file is larger than 8 MiB"]);
    check_wrong(
        &"- a\n".repeat(MAX_NODES + 1),
        &["R0003 200001:4 the file unfolds into more than 200000 nodes"],
    );
}

#[test]
fn places_in_values_lead_back_to_the_source() {
    let check = |text: &str, part: &str, expect: &str| {
        let Parsed { sources, documents, .. } = read(text);
        let scalar = documents[0].get("a").and_then(Yaml::as_scalar).expect("it is there");
        let start = scalar.text.find(part).expect("the part is there");
        assert_eq!(sources.slice(scalar.locate(start, start + part.len())), expect, "{text}");
    };
    check("a: evt.Line.Raw == 1\n", "Raw", "Raw");
    check("a: 'it''s here'\n", "here", "here");
    check("a: 'it''s here'\n", "'s", "''s");
    check("a: \"tab\\tand \\u00e9 end\"\n", "end", "end");
    check("a: \"tab\\tand \\u00e9 end\"\n", "é", "\\u00e9");
    check("a: \"one \\\n   two\"\n", "two", "two");
    check("a: one\n  two\n\n  three\n", "three", "three");
    check("a: one\n  two\n", "e t", "e\n  t");
    check("a: |\n  one\n    two\n\n  three\n", "three", "three");
    check("a: |\n  one\n    two\n\n  three\n", "two\n", "two\n");
    check("a: >\n  one\n  two\n\n    more\n  three\n", "three", "three");
    check("a: >\n  one\n  two\n\n    more\n  three\n", "more", "more");
    check("a: !!str >-\n\n  one\n  two\n", "two", "two");
    check("a: |\r\n  one\r\n  two\r\n", "two", "two");
    check("a: |2\n    one\n  two\n", "two", "two");
    check("a: |\n\n\n  one\n", "one", "one");
}

/// Texts that put every style of scalar to work.
fn content() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => "[a-zéA-Z0-9=(.)]{1,6}",
        1 => prop::sample::select(vec!["'", "\"", "\\", "\t", "  ", " ", "\n", "\n\n", "#", ": ", "[", "😀", "\u{85}"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 1..12).prop_map(|words| words.concat())
}

fn single_quoted(text: &str) -> String {
    format!("a: '{}'\n", text.replace('\'', "''").replace('\n', "\n\n"))
}

fn double_quoted(text: &str) -> String {
    let mut out = "a: \"".to_owned();
    for (at, char) in text.chars().enumerate() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if at % 5 == 4 => out.push_str(&format!("\\U{:08x}", u32::from(char))),
            _ if at % 11 == 10 && char != ' ' => out.push_str(&format!("\\\n  {char}")),
            _ => out.push(char),
        }
    }
    out + "\"\n"
}

fn literal(text: &str) -> String {
    format!(
        "a: |2+\n{}\n",
        text.split('\n').map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    )
}

proptest! {
    /// Each character of a value leads back to where it was written, in every style.
    #[test]
    fn every_character_leads_back(text in content()) {
        let written = [single_quoted(&text), double_quoted(&text), literal(&text), format!("a: {text}\n")];
        for source in written {
            let Parsed { sources, documents, diags } = read(&source);
            let Some(scalar) = documents.first().and_then(|doc| doc.get("a")).and_then(Yaml::as_scalar) else {
                // Only what stands without quotes can be something else.
                let is_plain = source == format!("a: {text}\n");
                prop_assert!(is_plain || diags.has_errors());
                continue;
            };
            let mut last = 0;
            for (at, char) in scalar.text.char_indices() {
                let span = scalar.locate(at, at + char.len_utf8());
                prop_assert!(span.start >= last, "{source:?} {at}");
                last = span.start;
                let found = sources.slice(span);
                let is_same = found == char.encode_utf8(&mut [0; 4]);
                let is_fold = char.is_whitespace() && found.trim().is_empty();
                let is_escape = found.starts_with('\\') || found == "''";
                prop_assert!(is_same || is_fold || is_escape, "{source:?}: {char:?} came from {found:?}");
            }
        }
    }

    /// Whatever the text, reading it ends, and what is said about it can be shown.
    #[test]
    fn no_text_is_too_much(text in prop_oneof![
        ".{0,60}",
        "[-?:,\\[\\]{}#&*!|>'\"%@ab \t\r\n<]{0,80}",
        prop::collection::vec(prop::sample::select(vec![
            "a: ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", "'", "\"", "|", ">", "|2-", "&a ", "*a", "? ", ": ",
            "!!str ", "!", "<<: ", "#", " #", "---\n", "...\n", "%YAML 1.1\n", "\t", "\\", "\\x", "é", "\u{feff}", "\r", "x", "~",
        ]), 0..40).prop_map(|parts| parts.concat()),
    ]) {
        let Parsed { sources, documents, diags } = read(&text);
        for diag in diags.iter() {
            let shown = render(diag, &sources, Style { color: true, width: 60 });
            prop_assert!(!shown.is_empty());
        }
        let mut nodes: Vec<&Yaml> = documents.iter().collect();
        while let Some(yaml) = nodes.pop() {
            prop_assert!(text.get(yaml.span.range()).is_some(), "{:?} is no place in {text:?}", yaml.span);
            match &yaml.node {
                Node::Scalar(scalar) => {
                    for at in 0..=scalar.text.len() {
                        prop_assert!(text.get(scalar.locate(0, at).range()).is_some() || !scalar.text.is_char_boundary(at));
                    }
                }
                Node::Seq(elements) => nodes.extend(elements),
                Node::Map(entries) => nodes.extend(entries.iter().flat_map(|(key, value)| [key, value])),
            }
        }
    }
}
