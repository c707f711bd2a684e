//! `shieldwall explain`, as a whole program.

mod sandbox;

use sandbox::{Ran, Sandbox, fails};
use serde_json::Value;
use std::{io::Write as _, process::Stdio};

fn explain(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut all = vec!["explain", "--type", "demo", "--rules", "etc"];
    all.extend(args);
    sandbox.run(&all)
}

#[test]
fn a_line_that_is_taken() {
    let sandbox = Sandbox::new();
    let ran = explain(&sandbox, &["--line", fails(0, "192.0.2.7", 1).trim_end()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        ran.out,
        "line 1: 2024-03-01T10:00:00Z fail from 192.0.2.7
├ s01-parse
│ ✓ test/demo (+6 ~1)
├ s02-enrich
│ ✓ test/dates (+2)
└ parser success
scenarios
├ test/three-fails [192.0.2.7]: 1 event, 1.0 of 2 in use

"
    );
}

#[test]
fn every_change_on_request() {
    let sandbox = Sandbox::new();
    let ran = explain(&sandbox, &["-v", "-l", fails(0, "192.0.2.7", 1).trim_end()]);
    for line in [
        "│   + evt.Meta.source_ip: 192.0.2.7",
        "│   ~ evt.Stage: s01-parse → s02-enrich",
        "│   + evt.MarshaledTime: 2024-03-01T10:00:00Z",
    ] {
        assert!(ran.out.lines().any(|other| other == line), "{line} in\n{}", ran.out);
    }
}

#[test]
fn how_near_it_came() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "etc/parsers/s01-parse/other.yaml",
        "name: test/other\ndescription: x\nfilter: evt.Line.Labels.type == 'other' && evt.Parsed.x == ''\n\
         onsuccess: next_stage\nnodes:\n- grok:\n    pattern: 'a %{WORD:a}'\n    apply_on: message\n",
    );
    let ran = explain(&sandbox, &["--line", "2024-03-01T10:00:00Z fail from nowhere"]);
    assert_eq!(
        ran.out,
        "line 1: 2024-03-01T10:00:00Z fail from nowhere
├ s01-parse
│ ✗ test/demo: matched `^%{DATE_Y:date} %{WORD:what} from `, then expected `%{ADDR:source}` at column 32: `nowhere`
│ ✗ test/other: filter `evt.Line.Labels.type == 'other' && evt.Parsed.x == ''` is false: evt.Line.Labels.type is \"demo\", evt.Parsed.x is not set
└ parser failure

"
    );
    let ran = sandbox.run(&["explain", "--type", "other", "--rules", "etc", "--line", "x"]);
    assert!(ran.out.contains("✗ test/other: none of its nodes took the line"), "{}", ran.out);
}

#[test]
fn the_static_that_lost_the_line() {
    let sandbox = Sandbox::new();
    let line = fails(0, "192.0.2.7", 1);
    let explained = |path: &str, text: &str| {
        sandbox.write(path, text);
        let ran = explain(&sandbox, &["--line", line.trim_end()]);
        std::fs::remove_file(sandbox.path(path)).expect("it was written");
        assert!(ran.out.contains("└ parser failure"), "{}", ran.out);
        ran.out
    };
    let of_node = explained(
        "etc/parsers/s02-enrich/a.yaml",
        "name: test/flag\ndescription: x\nfilter: 'true'\nstatics:\n\
         - {meta: kept, value: x}\n- {meta: flag, expression: \"evt.StrTime == ''\"}\n",
    );
    let expect = "├ s02-enrich\n│ ✗ test/flag: its static `meta: flag, expression: evt.StrTime == ''` \
                  gives a boolean, which cannot be stored: the line is lost\n";
    assert!(of_node.contains(expect), "{of_node}");
    // Of a child's grok, before anything else was told of its stage.
    let of_child = explained(
        "etc/parsers/s00-raw/a.yaml",
        "name: test/raw\ndescription: x\nfilter: 'true'\nnodes:\n- grok:\n    pattern: '%{WORD:w}'\n\
         \x20   apply_on: Line.Raw\n    statics:\n    - target: evt.Parsed.list\n\
         \x20     expression: split(evt.Line.Raw, ' ')\n",
    );
    let expect = ": its static `expression: split(evt.Line.Raw, ' ')` gives a list of texts, which \
                  cannot be stored: the line is lost\n";
    assert!(of_child.contains("├ s00-raw\n│ ✗ ") && of_child.contains(expect), "{of_child}");
}

#[test]
fn buckets_fill_and_overflow() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &fails(0, "192.0.2.7", 3));
    let ran = explain(&sandbox, &["-f", "demo.log"]);
    let states: Vec<&str> = ran.out.lines().filter(|line| line.contains("three-fails")).collect();
    assert_eq!(
        states,
        [
            "├ test/three-fails [192.0.2.7]: 1 event, 1.0 of 2 in use",
            "├ test/three-fails [192.0.2.7]: 2 events, 2.0 of 2 in use",
            "├ test/three-fails [192.0.2.7]: overflow",
            "alert 2024-03-01T10:00:02Z test/three-fails Ip 192.0.2.7 3 events in 2s",
        ]
    );
}

#[test]
fn programs_get_one_object_a_line() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &format!("nonsense\n{}", fails(0, "192.0.2.7", 1)));
    let ran = explain(&sandbox, &["--dsn", "file://demo.log", "-o", "json"]);
    let objects: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert_eq!(objects.len(), 2);
    let node = &objects[0]["stages"][0]["nodes"][0];
    assert_eq!(objects[0]["outcome"], "unparsed");
    assert_eq!(node["result"], "failed");
    assert_eq!(node["refusal"]["because"], "pattern");
    assert_eq!(node["refusal"]["column"], 1);
    assert_eq!(objects[1]["outcome"], "parsed");
    let node = &objects[1]["stages"][0]["nodes"][0];
    assert_eq!(node["changes"]["created"]["evt.Parsed.what"], "fail");
    assert_eq!(objects[1]["scenarios"][0]["bucket"], "waiting");
    assert_eq!(objects[1]["scenarios"][0]["n_events"], 1);
}

#[test]
fn only_failures_on_request() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &format!("{}nonsense\n", fails(0, "192.0.2.7", 2)));
    let ran = explain(&sandbox, &["-f", "demo.log", "--failures", "--only-successful-parsers"]);
    assert_eq!(ran.out, "line 3: nonsense\n├ s01-parse\n└ parser failure\n\n");
}

#[test]
fn standard_input_is_read_as_it_comes() {
    let sandbox = Sandbox::new();
    let args = ["explain", "--type", "demo", "--rules", "etc", "-f", "-"];
    let mut child = sandbox
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\n\xff\x1b[31mtwo\n").expect("written");
    drop(stdin);
    let ran = Ran::new(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("line 1: one\n"), "{}", ran.out);
    assert!(ran.out.contains("line 2: \u{fffd}\u{fffd}[31mtwo\n"), "{}", ran.out);
}

#[test]
fn nothing_to_explain_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("empty.log", "\n\n");
    let ran = explain(&sandbox, &["-f", "empty.log"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there was no line to explain"), "{}", ran.err);
    assert_eq!(explain(&sandbox, &[]).code, Some(2));
    assert_eq!(explain(&sandbox, &["--line", "x", "-f", "y"]).code, Some(2));
}
