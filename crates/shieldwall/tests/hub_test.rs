//! `shieldwall hub test`, as a whole program over a small hub.

mod sandbox;

use sandbox::{DATES, PARSER, Ran, SCENARIO, Sandbox, fails};
use std::fs;

const INDEX: &str = r#"{
  "parsers": {
    "test/demo": {"path": "parsers/s01-parse/test/demo.yaml", "stage": "s01-parse"},
    "test/dates": {"path": "parsers/s02-enrich/test/dates.yaml", "stage": "s02-enrich"}
  },
  "scenarios": {"test/three-fails": {"path": "scenarios/test/three-fails.yaml"}}
}"#;

/// A hub with the items of the sandbox.
fn hub() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("hub/.index.json", INDEX);
    sandbox.write("hub/parsers/s01-parse/test/demo.yaml", PARSER);
    sandbox.write("hub/parsers/s02-enrich/test/dates.yaml", DATES);
    sandbox.write("hub/scenarios/test/three-fails.yaml", SCENARIO);
    sandbox
}

/// A test of all items, without assertions.
fn add_test(sandbox: &Sandbox, name: &str, log: &str) {
    let config = format!(
        "parsers:\n- test/demo\n- ./parsers/s02-enrich/test/dates.yaml\nscenarios:\n\
         - test/three-fails\npostoverflows:\n- \"\"\ncollections: [unknown]\n\
         log_file: {name}.log\nlog_type: demo\nlabels: {{}}\nignore_parsers: false\n"
    );
    sandbox.write(&format!("hub/.tests/{name}/config.yaml"), &config);
    sandbox.write(&format!("hub/.tests/{name}/{name}.log"), log);
}

fn assertions(sandbox: &Sandbox, name: &str, parsers: &str, scenarios: &str) {
    sandbox.write(&format!("hub/.tests/{name}/parser.assert"), parsers);
    sandbox.write(&format!("hub/.tests/{name}/scenario.assert"), scenarios);
}

fn test(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut all = vec!["hub", "test", "--hub", "hub", "--now", "2024-06-01T00:00:00Z"];
    all.extend(args);
    sandbox.run(&all)
}

const SCENARIO_ASSERTS: &str = r#"len(results) == 1
"192.0.2.7" in results[0].Overflow.GetSources()
results[0].Overflow.Sources["192.0.2.7"].GetScope() == "Ip"
results[0].Overflow.Alert.Events[2].GetMeta("log_type") == "fail"
results[0].Overflow.Alert.GetScenario() == "test/three-fails"
results[0].Overflow.Alert.Remediation == true
results[0].Overflow.Alert.GetEventsCount() == 3
"#;

const PARSER_ASSERTS: &str = r#"len(results) == 3
len(results["success"][""]) == 0
len(results["nowhere"]["nobody"]) == 0
len(results["s01-parse"]["test/demo"]) == 4

results["s01-parse"]["test/demo"][0].Success == true
results["s01-parse"]["test/demo"][0].Evt.Parsed["what"] == "fail"
results["s01-parse"]["test/demo"][0].Evt.Parsed["none"] == ""
results["s02-enrich"]["test/dates"][0].Evt.MarshaledTime[4:] == "-03-01T10:00:00Z"
results["s01-parse"]["test/demo"][3].Success == false
"#;

#[test]
fn a_test_that_holds_passes() {
    let sandbox = hub();
    let log = format!("{}\r\n\r\nnonsense\n", fails(0, "192.0.2.7", 3).trim_end());
    add_test(&sandbox, "good", &log);
    assertions(&sandbox, "good", PARSER_ASSERTS, SCENARIO_ASSERTS);
    let ran = test(&sandbox, &["good"]);
    assert_eq!(ran.out, "ok   good (16 assertions)\n1 passed, 0 failed\n", "{}", ran.err);
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn a_failure_shows_assertion_value_and_place() {
    let sandbox = hub();
    add_test(&sandbox, "bad", &fails(0, "192.0.2.7", 3));
    assertions(
        &sandbox,
        "bad",
        "len(results) == 3\nresults[\"s01-parse\"][\"test/demo\"][1].Evt.Parsed[\"what\"] == \"ok\"\n",
        "len(results) == 2\nresults[0].Overflow.Alert.GetEventsCount() == 3\n\
         results[1].Overflow.Alert.GetEventsCount() == 3\nlen(results) == 7\n",
    );
    add_test(&sandbox, "wrong", "x\n");
    assertions(&sandbox, "wrong", "len(results == 3\n", "true\n");
    let ran = test(&sandbox, &["--all"]);
    assert_eq!(ran.code, Some(1));
    let expect = r#"FAIL bad: 3 of 5 assertions do not hold
  .tests/bad/parser.assert:2
    results["s01-parse"]["test/demo"][1].Evt.Parsed["what"] == "ok"
    found: "fail"
  .tests/bad/scenario.assert:1
    len(results) == 2
    found: 1
  .tests/bad/scenario.assert:3
    results[1].Overflow.Alert.GetEventsCount() == 3
    found: index out of range: the list has 1 elements
FAIL wrong: could not be run
"#;
    assert!(ran.out.starts_with(expect), "{}", ran.out);
    assert!(ran.out.contains(".tests/wrong/parser.assert:1"), "{}", ran.out);
    assert_eq!(ran.out.lines().last(), Some("0 passed, 2 failed"));
}

#[test]
fn assertions_are_written_on_request_and_hold_in_other_years() {
    let sandbox = hub();
    add_test(&sandbox, "new", &fails(0, "192.0.2.7", 3));
    let ran = test(&sandbox, &["new"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("holds no assertions; write them with --update"), "{}", ran.out);

    let ran = test(&sandbox, &["new", "--update"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("new  new: wrote .tests/new/parser.assert ("), "{}", ran.out);
    let written = fs::read_to_string(sandbox.path("hub/.tests/new/scenario.assert"));
    let written = written.expect("it was written");
    for line in SCENARIO_ASSERTS.lines() {
        assert!(written.lines().any(|other| other == line), "{line} in\n{written}");
    }
    let ran = sandbox.run(&["hub", "test", "new", "--hub", "hub", "--now", "2031-01-01T00:00:00Z"]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.ends_with("1 passed, 0 failed\n"));
}

#[test]
fn overrides_come_first_and_parsers_may_be_ignored() {
    let sandbox = hub();
    sandbox.write(
        "hub/.tests/other/config.yaml",
        "parsers: [test/demo, test/dates]\nscenarios: [test/three-fails]\nlog_file: x.log\n\
         log_type: unknown\nignore_parsers: true\noverride_statics:\n\
         - target: evt.Line.Labels.type\n  value: demo\n\
         - target: evt.Stage\n  value: s01-parse\n",
    );
    sandbox.write("hub/.tests/other/x.log", &fails(0, "192.0.2.7", 3));
    sandbox.write("hub/.tests/other/scenario.assert", "len(results) == 1\n");
    let ran = test(&sandbox, &["other"]);
    assert_eq!(ran.out, "ok   other (1 assertion)\n1 passed, 0 failed\n", "{}", ran.err);
}

#[test]
fn what_cannot_be_run_says_why() {
    let sandbox = hub();
    let ran = test(&sandbox, &["nothing", "../../etc"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("there is no .tests/nothing/config.yaml"), "{}", ran.out);
    assert!(ran.out.ends_with("0 passed, 2 failed\n"), "{}", ran.out);

    add_test(&sandbox, "broken", "x\n");
    sandbox.write("hub/scenarios/test/three-fails.yaml", &SCENARIO.replace("capacity", "capcity"));
    let ran = test(&sandbox, &["broken"]);
    assert!(ran.out.contains("help: a similar key exists"), "{}", ran.out);
    assert!(ran.out.contains("0 passed, 1 failed"), "{}", ran.out);

    let ran = sandbox.run(&["hub", "test", "--all", "--hub", "nowhere"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("nowhere"), "{}", ran.err);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let sandbox = hub();
    for number in 0..8 {
        let name = format!("t{number}");
        add_test(&sandbox, &name, &fails(number, "192.0.2.7", 3 - number % 2));
        assertions(&sandbox, &name, "true\n", "len(results) == 1\n");
    }
    let one = test(&sandbox, &["--all", "--jobs", "1"]);
    let many = test(&sandbox, &["--all", "--jobs", "4"]);
    assert_eq!(one.out, many.out);
    assert!(one.out.ends_with("4 passed, 4 failed\n"), "{}", one.out);
}

/// Two documents of one file with the same name and filter find each other's buckets, and who made
/// a bucket decides about distinct values.
#[test]
fn relatives_share_buckets() {
    let sandbox = hub();
    let first = SCENARIO.replace("capacity: 2", "capacity: 1");
    let second = format!("{first}distinct: evt.Meta.source_ip\n");
    sandbox.write("hub/scenarios/test/three-fails.yaml", &format!("{first}---\n{second}"));
    add_test(&sandbox, "twins", &fails(0, "192.0.2.7", 1));
    assertions(
        &sandbox,
        "twins",
        "true\n",
        "len(results) == 1\nresults[0].Overflow.Alert.GetEventsCount() == 2\n",
    );
    let ran = test(&sandbox, &["twins"]);
    assert!(ran.out.ends_with("1 passed, 0 failed\n"), "{}", ran.out);
}
