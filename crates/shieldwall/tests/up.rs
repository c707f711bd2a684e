//! `shieldwall up`, as a whole program: follows files, prints alerts, stops and resumes.

mod sandbox;

use sandbox::{Sandbox, running::Up};
use std::{fs, io::Write as _, process::Stdio};

fn up(sandbox: &Sandbox) -> Up {
    let listen = "127.0.0.1:0";
    let args = ["up", "--rules", "etc", "--state", "state", "--status", "1", "--listen", listen];
    Up::start(sandbox.command(&args))
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("etc/acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write("logs/demo.log", "");
    sandbox
}

fn fail(address: &str) -> String {
    format!("2024-03-01T10:00:00Z fail from {address}\n")
}

#[test]
fn follows_a_file_and_stops_when_told() {
    let sandbox = sandbox();
    let up = up(&sandbox);
    up.logged("following");
    sandbox.append("logs/demo.log", &fail("192.0.2.7").repeat(3));
    let line = up.line();
    assert!(line.contains("test/three-fails Ip 192.0.2.7 3 events"), "{line}");
    // Live lines follow the wall clock, not the date they carry.
    assert!(!line.starts_with("2024"), "{line}");
    up.logged("status");
    assert_eq!(up.stop(), Vec::<String>::new());
}

#[test]
fn a_restart_neither_loses_nor_repeats_lines() {
    let sandbox = sandbox();
    let first = up(&sandbox);
    first.logged("following");
    sandbox.append("logs/demo.log", &fail("192.0.2.1").repeat(3));
    assert!(first.line().contains("192.0.2.1"));
    first.stop();
    // Written while nobody looks; the file is rotated as well.
    sandbox.append("logs/demo.log", &fail("192.0.2.2").repeat(3));
    fs::rename(sandbox.path("logs/demo.log"), sandbox.path("logs/demo.log.1")).expect("renamed");
    sandbox.append("logs/demo.log", &fail("192.0.2.3").repeat(3));

    let second = up(&sandbox);
    assert!(second.line().contains("192.0.2.2"));
    assert!(second.line().contains("192.0.2.3"));
    assert_eq!(second.stop(), Vec::<String>::new(), "192.0.2.1 must not come again");
}

#[test]
fn rules_are_reloaded_and_broken_ones_are_not() {
    let sandbox = sandbox();
    let up = up(&sandbox);
    up.logged("following");
    let scenario = sandbox::SCENARIO.replace("three-fails", "reloaded");
    sandbox.write("etc/scenarios/three-fails.yaml", &scenario);
    up.signal("HUP");
    up.logged("rules reloaded");
    sandbox.append("logs/demo.log", &fail("192.0.2.1").repeat(3));
    assert!(up.line().contains("test/reloaded"));
    sandbox.write("etc/scenarios/three-fails.yaml", "type: leaky\nnmae: x\n");
    up.signal("HUP");
    up.logged("the old ones stay");
    sandbox.append("logs/demo.log", &fail("192.0.2.2").repeat(3));
    assert!(up.line().contains("test/reloaded"));
    up.stop();
}

#[test]
fn overflows_go_back_into_scenarios_and_come_out_before_the_end() {
    let sandbox = sandbox();
    sandbox.write(
        "etc/scenarios/again.yaml",
        "type: trigger\nname: test/again\ndescription: x\nfilter: evt.Overflow.Alert.Scenario == \
         'test/three-fails'\nlabels: {remediation: false}\n",
    );
    let scenario = sandbox::SCENARIO.replace("capacity: 2", "capacity: 2\nreprocess: true");
    sandbox.write("etc/scenarios/three-fails.yaml", &scenario);
    sandbox.write("etc/acquis.yaml", "source: stdin\nlabels: {type: demo}\nmode: cat\n");
    let mut command =
        sandbox.command(&["up", "--rules", "etc", "-o", "json", "--no-api", "--state", "state"]);
    command.stdin(Stdio::piped());
    let mut up = Up::start(command);
    let mut input = up.child.stdin.take().expect("a pipe");
    input.write_all(fail("192.0.2.1").repeat(3).as_bytes()).expect("written");
    drop(input);
    let (code, lines) = up.wait();
    assert_eq!(code, Some(0));
    let scenarios: Vec<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|alert| alert["scenario"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(scenarios, ["test/three-fails", "test/again"]);
}

#[test]
fn buckets_of_unchanged_scenarios_outlive_a_reload() {
    let sandbox = sandbox();
    let other = sandbox::SCENARIO.replace("three-fails", "other");
    sandbox.write("etc/scenarios/other.yaml", &other);
    let up = up(&sandbox);
    up.logged("following");
    sandbox.append("logs/demo.log", &fail("192.0.2.1").repeat(2));
    up.logged("buckets=2");
    // Other fields and numbers: a scenario and a parser before the ones there were, and one changed.
    sandbox.write(
        "etc/scenarios/a.yaml",
        "type: leaky\nname: test/a\ndescription: x\nfilter: evt.Parsed.unheard == 'x'\n\
         capacity: 2\nleakspeed: 1m\nlabels: {}\n",
    );
    sandbox.write(
        "etc/parsers/s01-parse/a.yaml",
        "name: test/a\ndescription: x\nfilter: evt.Parsed.unheard == 'y'\nstatics:\n\
         - {meta: a, value: x}\n",
    );
    sandbox.write("etc/scenarios/other.yaml", &other.replace("60s", "59s"));
    up.signal("HUP");
    up.logged("n_kept=1");
    sandbox.append("logs/demo.log", &fail("192.0.2.1"));
    let line = up.line();
    assert!(line.contains("test/three-fails Ip 192.0.2.1 3 events"), "{line}");
    assert_eq!(up.stop(), Vec::<String>::new(), "the changed scenario began anew");
}

#[test]
fn a_datasource_may_change_its_lines() {
    let sandbox = sandbox();
    let acquis = |transform: &str| {
        let text =
            format!("source: stdin\nlabels: {{type: demo}}\nmode: cat\ntransform: {transform}\n");
        sandbox.write("etc/acquis.yaml", &text);
        let mut command = sandbox
            .command(&["up", "--rules", "etc", "-o", "json", "--no-api", "--state", "state"]);
        command.stdin(Stdio::piped());
        Up::start(command)
    };
    let mut up = acquis(r#"'map(JsonExtractSlice(evt.Line.Raw, "records"), #.line)'"#);
    let record = |address: &str| {
        let lines = [fail(address), fail(address), fail(address)];
        let records = lines.map(|line| serde_json::json!({ "line": line.trim_end() }));
        serde_json::json!({ "records": records }).to_string()
    };
    let mut input = up.child.stdin.take().expect("a pipe");
    // A line that is no JSON gives no list, and stays what it is.
    let text = format!("{}\nnonsense\n{}\n", record("192.0.2.1"), record("192.0.2.2"));
    input.write_all(text.as_bytes()).expect("written");
    drop(input);
    let (code, lines) = up.wait();
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    assert!(lines[0].contains("192.0.2.1") && lines[1].contains("192.0.2.2"), "{lines:?}");

    let broken = acquis("evt.Line.Rwa");
    broken.logged("evt.Line.Rwa");
    let (code, lines) = broken.wait();
    assert_eq!((code, lines), (Some(1), Vec::new()), "a source with a mistake is left out");
}

#[test]
fn without_rules_it_says_what_to_do() {
    let sandbox = sandbox();
    fs::create_dir_all(sandbox.path("empty")).expect("a directory");
    let ran = sandbox.run(&["up", "--no-api", "--rules", "empty", "--acquis", "etc/acquis.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there are no rules") && ran.err.contains("--with"), "{}", ran.err);
    let ran = sandbox.run(&["up", "--rules", "etc", "--acquis", "gone.yaml"]);
    assert!(ran.err.contains("there is no acquisition file gone.yaml"), "{}", ran.err);
}
