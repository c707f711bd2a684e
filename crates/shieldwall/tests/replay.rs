//! `shieldwall replay`, as a whole program.

mod sandbox;

use sandbox::{Ran, Sandbox, fails};
use std::{io::Write as _, process::Stdio};

fn log() -> String {
    let quiet = "2024-03-01T09:00:00Z ok from 192.0.2.9\nnonsense\n";
    format!("{quiet}{}{}", fails(0, "192.0.2.7", 3), fails(5, "198.51.100.2", 2))
}

#[test]
fn people_see_alerts_and_a_summary() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &log());
    let ran = sandbox.run(&["replay", "demo.log", "--type", "demo", "--rules", "etc"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let mut lines = ran.out.lines();
    assert_eq!(
        lines.next(),
        Some("2024-03-01T10:00:02Z test/three-fails Ip 192.0.2.7 3 events in 2s")
    );
    assert_eq!(lines.next(), Some(""));
    assert!(ran.out.contains("7 lines: 6 parsed, 1 unparsed"), "{}", ran.out);
    let row = ran.out.lines().find(|line| line.contains("test/demo")).expect("the parser's row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..2], ["test/demo", "s01-parse"]);
    assert!(ran.out.contains("1 alert\n"));
    assert!(ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn programs_get_one_object() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &log());
    let ran =
        sandbox.run(&["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"]);
    let json = ran.json();
    let alert = &json["alerts"][0];
    assert_eq!(alert["scenario"], "test/three-fails");
    assert_eq!(alert["source"]["value"], "192.0.2.7");
    assert_eq!(alert["source"]["scope"], "Ip");
    assert_eq!(alert["events_count"], 3);
    assert_eq!(alert["remediation"], true);
    assert_eq!(alert["start_at"], "2024-03-01T10:00:00Z");
    assert_eq!(alert["leakspeed"], "1m0s");
    assert_eq!(alert["events"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["summary"]["lines"], 7);
    assert_eq!(json["summary"]["unparsed"], 1);
    assert_eq!(json["summary"]["alerts_by_scenario"]["test/three-fails"], 1);
}

#[test]
fn threads_do_not_change_a_byte() {
    let sandbox = Sandbox::new();
    // An overflow that makes another scenario overflow, and enough lines for many batches.
    sandbox.write(
        "etc/scenarios/again.yaml",
        "type: trigger\nname: test/again\ndescription: x\nfilter: evt.Overflow.Alert.Scenario == \
         'test/three-fails'\nblackhole: 1m\nlabels: {remediation: false}\n",
    );
    let text = std::fs::read_to_string(sandbox.path("etc/scenarios/three-fails.yaml"));
    let text = text.expect("the scenario").replace("capacity: 2", "capacity: 2\nreprocess: true");
    sandbox.write("etc/scenarios/three-fails.yaml", &text);
    let mut log = String::new();
    for round in 0..24 {
        for host in 0..250 {
            log.push_str(&fails(
                round,
                &format!("10.{}.0.{host}", host % 7),
                1 + (host + round) % 4,
            ));
        }
    }
    sandbox.write("demo.log", &log);
    let alerts = |jobs: &str| {
        let args = ["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"];
        let now = ["--now", "2024-03-02T00:00:00Z", "--jobs", jobs];
        let ran = sandbox.run(&[&args[..], &now].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let end = ran.out.find("\"summary\"").expect("a summary");
        ran.out[..end].to_owned()
    };
    let one = alerts("1");
    assert!(one.matches("test/three-fails\"").count() > 500);
    assert!(one.contains("test/again"));
    for jobs in ["2", "7"] {
        assert!(one == alerts(jobs), "{jobs} threads differ from one");
    }
}

#[test]
fn an_overflow_comes_back_before_the_next_line() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(sandbox.path("etc/scenarios/three-fails.yaml"));
    let text = text.expect("the scenario").replace("capacity: 2", "capacity: 2\nreprocess: true");
    sandbox.write("etc/scenarios/three-fails.yaml", &text);
    // Two attackers with no `done` between them.
    sandbox.write(
        "etc/scenarios/wave.yaml",
        "type: leaky\nname: test/wave\ndescription: x\ncapacity: 1\nleakspeed: 24h\n\
         filter: evt.Meta.log_type == 'done' || evt.Overflow.Alert.Scenario == 'test/three-fails'\n\
         cancel_on: evt.Meta.log_type == 'done'\n\
         labels: {remediation: false}\n",
    );
    let waves = |log: &str| {
        sandbox.write("demo.log", log);
        // A bucket that an overflow makes follows the wall clock, which stands still here.
        let args = ["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"];
        let ran = sandbox.run(&[&args[..], &["--now", "2024-03-02T00:00:00Z"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(ran.out.matches("test/three-fails\",").count(), 2, "{}", ran.out);
        ran.json()["summary"]["alerts_by_scenario"]["test/wave"].as_u64().unwrap_or(0)
    };
    let done = "2024-03-01T10:00:30Z done from 192.0.2.9\n";
    let (one, two) = (fails(0, "192.0.2.7", 3), fails(1, "192.0.2.8", 3));
    // One alert for each attacker.
    assert_eq!(waves(&format!("{one}{two}{done}")), 2);
    // Everything is one batch, and still the first overflow is counted and forgotten in time.
    assert_eq!(waves(&format!("{one}{done}{two}")), 0);
}

#[test]
fn rules_for_pattern_files_need_none() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "etc/parsers/s01-parse/demo.yaml",
        "name: test/demo\ndescription: x\nfilter: 'true'\nonsuccess: next_stage\ngrok:\n  \
         pattern: '^%{SYSLOGLINE}'\n  apply_on: Line.Raw\nnodes:\n- grok: {name: SSHD_FAIL, \
         apply_on: message}\nstatics:\n- {target: evt.StrTime, expression: evt.Parsed.timestamp}\n\
         - {meta: source_ip, expression: evt.Parsed.sshd_client_ip}\n\
         - {meta: log_type, expression: \"evt.Parsed.sshd_client_ip == '' ? '' : 'fail'\"}\n",
    );
    let line = "Mar  1 10:00:00 host sshd[7]: Failed password for invalid user a from 192.0.2.7 \
                port 22 ssh2\n";
    sandbox.write("demo.log", &line.repeat(3));
    let alerts = |more: &[&str]| {
        let args = ["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"];
        let ran = sandbox.run(&[&args[..], more].concat());
        assert_eq!((ran.code, ran.err.contains("R0301")), (Some(0), false), "{}", ran.err);
        ran.json()["summary"]["alerts"].as_u64()
    };
    assert_eq!(alerts(&[]), Some(1));
    // What files say counts, and what they do not say still stands in.
    sandbox.write("mine/ssh", "SSHD_FAIL nothing of %{IP:sshd_client_ip}\n");
    assert_eq!(alerts(&["--patterns", "mine"]), Some(0));
}

#[test]
fn standard_input_compressed_files_and_several_files_are_one_log() {
    let sandbox = Sandbox::new();
    let text = fails(0, "192.0.2.7", 3);
    let (first, rest) = text.split_at(text.find('\n').expect("a line") + 1);
    sandbox.write("one.log", first);
    let args = ["replay", "one.log", "-", "--type", "demo", "--rules", "etc", "-o", "json"];
    let mut child = sandbox
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // No end of line at the end: that is a line as well.
    let input = child.stdin.take();
    input.expect("a pipe").write_all(rest.trim_end().as_bytes()).expect("written");
    let ran = Ran::new(child.wait_with_output().expect("the program ends"));
    assert_eq!(ran.json()["summary"]["alerts"], 1, "{}", ran.err);
}

#[test]
fn limits_labels_and_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.write("demo.log", &log());
    let base = ["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"];
    let ran = sandbox.run(&[&base[..], &["--limit", "3", "--label", "a:b"]].concat());
    assert_eq!(ran.json()["summary"]["lines"], 3);
    let ran = sandbox.run(&["replay", "gone.log", "--type", "demo", "--rules", "etc"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, "error: gone.log: No such file or directory (os error 2)\n");
    let ran = sandbox.run(&["replay", "demo.log", "--type", "demo", "--rules", "nowhere"]);
    assert_eq!(ran.err, "error: there is no directory nowhere\n");
    let ran = sandbox.run(&["replay", "demo.log", "--type", "demo", "--hub", "etc"]);
    assert!(ran.err.contains("name items with --with"), "{}", ran.err);
}

#[test]
fn hostile_lines_are_counted_and_change_nothing() {
    let sandbox = Sandbox::new();
    let mut log = Vec::new();
    log.extend(b"\0\0\0\n\xff\xfe\x80\n\x1b[2J\x1b]0;title\x07\n\r\n");
    log.extend(vec![b'x'; 3 << 20]);
    log.extend(b"\n9999-99-99T99:99:99Z fail from 192.0.2.1\n");
    log.extend(b"2024-03-01T10:00:00Z fail from ::ffff:999.1.1.1\n");
    log.extend(fails(0, "192.0.2.7", 3).as_bytes());
    std::fs::write(sandbox.path("demo.log"), log).expect("written");
    let ran =
        sandbox.run(&["replay", "demo.log", "--type", "demo", "--rules", "etc", "-o", "json"]);
    let json = ran.json();
    assert_eq!(json["summary"]["cut"], 1);
    assert_eq!(json["alerts"].as_array().map(Vec::len), Some(1), "{json}");
}
