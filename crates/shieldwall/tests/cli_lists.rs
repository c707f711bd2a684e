//! `allowlists`, `simulation`, `metrics` and `support` as whole programs.

mod sandbox;

use sandbox::{Ran, Sandbox, http::Api, running::Up};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "common: {log_media: stdout, log_dir: logs}\nconfig_paths: {config_dir: etc, data_dir: data}\n\
         db_config: {type: sqlite, db_path: data/crowdsec.db, password: hunter2}\n\
         api:\n  client: {credentials_path: credentials.yaml}\n  \
         server: {listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}\n",
    );
    sandbox.write(
        "profiles.yaml",
        "name: default\nfilters: [Alert.Remediation == true]\n\
         decisions: [{type: ban, duration: 4h}]\n",
    );
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_shieldwall"), sandbox.path("cscli")).expect("a link");
    sandbox
}

/// A running server, killed should the test fail.
struct Serving(Option<Up>, String);

impl Serving {
    fn start(sandbox: &Sandbox) -> Self {
        let up = Up::start(sandbox.command(&["serve", "-c", "config.yaml"]));
        let line = up.logged("CrowdSec Local API listening on 127");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        let url = format!("http://{address}");
        works(sandbox, &["machines", "add", "m1", "-a", "-u", &url]);
        Self(Some(up), address)
    }

    fn stop(mut self) {
        self.0.take().expect("it runs").stop();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(up) = self.0.take() {
            up.kill();
        }
    }
}

fn cscli(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let args = [&["-c", "config.yaml"], args].concat();
    Ran::new(sandbox.command_as(&sandbox.path("cscli"), &args).output().expect("it runs"))
}

fn works(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let ran = cscli(sandbox, args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.out, ran.err);
    ran
}

fn fails(sandbox: &Sandbox, args: &[&str], message: &str) {
    let ran = cscli(sandbox, args);
    assert_eq!(ran.code, Some(1), "{args:?}: {}", ran.out);
    assert_eq!(ran.err.trim_end(), message, "{args:?}");
}

/// The output of a command that works and says nothing else.
fn said(sandbox: &Sandbox, args: &[&str]) -> String {
    let ran = works(sandbox, args);
    assert_eq!(ran.err, "", "{args:?}");
    ran.out
}

#[test]
fn an_allowlist_lives() {
    let sandbox = sandbox();
    let server = Serving::start(&sandbox);
    let say = |args: &[&str]| said(&sandbox, &[&["allowlists"], args].concat());
    assert_eq!(say(&["list", "-o", "json"]), "[]\n");
    assert_eq!(say(&["create", "foo", "-d", "a foo"]), "allowlist 'foo' created successfully\n");
    fails(
        &sandbox,
        &["allowlists", "create", "foo", "-d", "again"],
        "Error: cscli allowlists create: allowlist 'foo' already exists",
    );
    fails(
        &sandbox,
        &["allowlists", "create", "bar"],
        "Error: cscli allowlists create: required flag(s) \"description\" not set",
    );
    fails(
        &sandbox,
        &["allowlists", "add", "bar", "192.0.2.1"],
        "Error: cscli allowlists add: allowlist 'bar' not found",
    );
    works(&sandbox, &["decisions", "add", "-i", "192.0.2.77"]);
    assert_eq!(
        say(&["add", "foo", "192.0.2.0/24", "198.51.100.1", "-d", "why not"]),
        "added 2 values to allowlist foo\n1 decisions deleted by allowlists\n"
    );
    assert_eq!(works(&sandbox, &["decisions", "list"]).out, "No active decisions\n");
    let ran = works(&sandbox, &["allowlists", "add", "foo", "198.51.100.1", "rubbish"]);
    assert_eq!(ran.out, "no new values for allowlist\n");
    assert_eq!(
        ran.err,
        "value 198.51.100.1 already in allowlist\n\
         unable to parse value rubbish: invalid ip address 'rubbish'\n"
    );
    assert_eq!(
        say(&["add", "foo", "2001:db8::1", "-e", "1d"]),
        "added 1 values to allowlist foo\n"
    );

    let list = works(&sandbox, &["allowlists", "inspect", "foo", "-o", "json"]).json();
    assert_eq!(list["description"], "a foo");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(list["items"][0]["description"], "why not");
    assert_eq!(list["items"][0]["expiration"], "0001-01-01T00:00:00.000Z");
    let raw = say(&["inspect", "foo", "-o", "raw"]);
    let lines: Vec<&str> = raw.lines().collect();
    assert_eq!(lines[0], "name,description,value,comment,expiration,created_at,console_managed");
    assert!(lines[1].starts_with("foo,a foo,192.0.2.0/24,why not,never,2"), "{raw}");
    assert!(!lines[3].contains("never"), "{raw}");
    let human = say(&["inspect", "foo"]);
    assert!(human.contains("in 23h 59m") && human.contains("never"), "{human}");
    let raw = say(&["list", "-o", "raw"]);
    assert!(
        raw.starts_with("name,description,created_at,updated_at,console_managed,size\nfoo,a foo,")
    );
    assert!(raw.ends_with(",false,3\n"), "{raw}");

    assert_eq!(
        say(&["check", "192.0.2.3", "203.0.113.9", "198.51.100.1"]),
        "192.0.2.3 is allowlisted by item 192.0.2.0/24 from foo (why not)\n203.0.113.9 is not allowlisted\n"
    );
    assert_eq!(say(&["remove", "foo", "198.51.100.1"]), "removed 1 values from allowlist foo\n");
    assert_eq!(say(&["remove", "foo", "1.1.1.1"]), "no value to remove from allowlist\n");
    sandbox.write("more.csv", "value,expiration,comment\n203.0.113.0/24,7d,x\n203.0.113.9,,\n");
    assert_eq!(say(&["import", "foo", "-i", "more.csv"]), "added 2 values to allowlist foo\n");
    sandbox.write("bad.csv", "value,expiration\n203.0.113.0/24,toto\n");
    fails(
        &sandbox,
        &["allowlists", "import", "foo", "-i", "bad.csv"],
        "Error: cscli allowlists import: row 1: invalid expiration \"toto\"",
    );
    sandbox.write("none.csv", "value\n");
    fails(
        &sandbox,
        &["allowlists", "import", "foo", "-i", "none.csv"],
        "Error: cscli allowlists import: no values to import",
    );
    assert_eq!(say(&["delete", "foo"]), "allowlist 'foo' deleted successfully\n");
    fails(
        &sandbox,
        &["allowlists", "delete", "foo"],
        "Error: cscli allowlists delete: allowlist 'foo' not found",
    );
    fails(
        &sandbox,
        &["allowlists", "inspect", "foo"],
        "Error: cscli allowlists inspect: allowlist 'foo' not found",
    );
    server.stop();
    let ran = cscli(&sandbox, &["allowlists", "list"]);
    assert!(
        ran.code == Some(1) && ran.err.contains("error while performing request"),
        "{}",
        ran.err
    );
}

#[test]
fn simulation_is_switched_on_and_off() {
    let sandbox = sandbox();
    let status = || said(&sandbox, &["simulation", "status"]);
    assert_eq!(status(), "global simulation: disabled (configuration file is missing)\n");
    let ran = works(&sandbox, &["simulation", "enable", "a/b"]);
    assert_eq!(ran.err, "'a/b' doesn't exist or is not a scenario\n");
    for name in ["a/b", "c/d"] {
        let scenario = sandbox::SCENARIO.replace("test/three-fails", name);
        sandbox.write(&format!("etc/scenarios/{}.yaml", name.replace('/', "-")), &scenario);
    }
    let ran = works(&sandbox, &["simulation", "enable", "test/three-fial"]);
    assert!(ran.err.contains("did you mean 'test/three-fails'?"), "{}", ran.err);
    let ran = works(&sandbox, &["simulation", "enable", "a/b", "c/d"]);
    assert!(
        ran.out.is_empty() && ran.err.contains("simulation mode for 'a/b' enabled"),
        "{}",
        ran.err
    );
    let text = fs::read_to_string(sandbox.path("etc/simulation.yaml")).expect("written");
    assert_eq!(text, "simulation: false\nexclusions:\n  - \"a/b\"\n  - \"c/d\"\n");
    works(&sandbox, &["simulation", "disable", "a/b"]);
    assert_eq!(status(), "global simulation: disabled\nScenarios in simulation mode :\n  - c/d\n");
    works(&sandbox, &["simulation", "enable", "--global"]);
    works(&sandbox, &["simulation", "disable", "e/f"]);
    assert_eq!(
        status(),
        "global simulation: enabled\nScenarios not in simulation mode :\n  - e/f\n"
    );
    let json = works(&sandbox, &["simulation", "status", "-o", "json"]).json();
    assert_eq!(json, json!({"simulation": true, "exclusions": ["e/f"]}));
    works(&sandbox, &["simulation", "disable", "-g"]);
    assert_eq!(status(), "global simulation: disabled\n");
    // The rules are read by the same words.
    works(&sandbox, &["simulation", "enable", "test/three-fails"]);
    sandbox.write("a.log", &sandbox::fails(0, "192.0.2.1", 3));
    let ran = sandbox.run(&["replay", "a.log", "--type", "demo", "--rules", "etc", "-o", "json"]);
    let alerts = ran.json()["alerts"].clone();
    let simulated: Vec<&serde_json::Value> = alerts
        .as_array()
        .expect("a list")
        .iter()
        .filter(|alert| alert["simulated"] == true)
        .map(|alert| &alert["scenario"])
        .collect();
    assert_eq!(simulated, ["test/three-fails"], "{}", ran.out);
}

#[test]
fn metrics_are_what_bouncers_and_the_database_know() {
    let sandbox = sandbox();
    let server = Serving::start(&sandbox);
    works(&sandbox, &["decisions", "add", "-i", "192.0.2.1", "-R", "scan"]);
    let key = works(&sandbox, &["bouncers", "add", "wall", "-o", "raw"]).out;
    let api = Api::with_key(&server.1, &key);
    let item = |name: &str, unit: &str, value: u32, origin: &str| json!({"name": name, "unit": unit, "value": value, "labels": {"origin": origin}});
    let report = json!({"remediation_components": [{
        "version": "v1", "type": "firewall", "utc_startup_timestamp": 1_700_000_000,
        "metrics": [{"meta": {"utc_now_timestamp": 1_700_000_900, "window_size_seconds": 900},
                     "items": [item("dropped", "packet", 1900, "CAPI"),
                               item("active_decisions", "ip", 50, "CAPI"),
                               item("dropped", "packet", 3, "cscli")]}],
    }]});
    for _ in 0..2 {
        assert_eq!(api.post("/v1/usage-metrics", &report).0, 201);
    }
    let ran = works(&sandbox, &["metrics", "-o", "json"]);
    assert!(ran.err.contains("prometheus is not enabled, can't show metrics"), "{}", ran.err);
    let all = ran.json();
    assert_eq!(
        all["bouncers"]["wall"],
        json!({"CAPI": {"active_decisions": {"ip": 50}, "dropped": {"packet": 3800}},
               "cscli": {"dropped": {"packet": 6}}})
    );
    assert_eq!(all["decisions"], json!({"scan": {"cscli": {"ban": 1}}}));
    assert_eq!(all["alerts"], json!({"scan": 1}));
    assert_eq!(all["acquisition"], json!({}));
    let human = works(&sandbox, &["metrics", "show", "bouncers"]).out;
    for part in [
        "Bouncer Metrics (wall) since 2023-11-14 22:13:20 +0000 UTC\n",
        "CAPI (community blocklist)",
        "cscli (manual decisions)",
        "3.80k",
    ] {
        assert!(human.contains(part), "{part}\n{human}");
    }
    assert!(!human.contains("Local API"), "{human}");
    assert!(works(&sandbox, &["metrics", "show", "bouncers", "--no-unit"]).out.contains("3800"));
    fails(
        &sandbox,
        &["metrics", "show", "foobar"],
        "Error: cscli metrics show: unknown metrics type: foobar",
    );
    let list = works(&sandbox, &["metrics", "list", "-o", "json"]).json();
    assert_eq!(list[0]["type"], "acquisition");
    // Nobody listens at the endpoint: it is said, and the rest is shown.
    let url = "http://127.0.0.1:1/metrics";
    let ran = works(&sandbox, &["metrics", "show", "alerts", "-u", url]);
    assert!(
        ran.err.contains(
            "fetching metrics: Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: \
             connection refused"
        ),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("Local API Alerts:"), "{}", ran.out);
    server.stop();
}

#[test]
fn an_archive_for_those_who_help_holds_no_secret() {
    let sandbox = sandbox();
    let server = Serving::start(&sandbox);
    sandbox.write("logs/crowdsec.log", "a line of the log\n");
    let ran = works(&sandbox, &["support", "dump", "-f", "dump.zip"]);
    assert_eq!((ran.out.as_str(), ran.err.contains("Written zip file: dump.zip")), ("", true));
    let path = sandbox.path("dump.zip");
    assert_eq!(fs::metadata(&path).expect("written").permissions().mode() & 0o777, 0o600);
    let script = "import sys,zipfile\nfor i in zipfile.ZipFile(sys.argv[1]).infolist():\n \
                  print('==', i.filename)\n \
                  print(zipfile.ZipFile(sys.argv[1]).read(i).decode())";
    let archive = fs::read(&path).expect("written");
    for name in
        ["version.txt", "lapi/agents.txt", "config/crowdsec.yaml", "log/crowdsec.log", "dump.log"]
    {
        let is_there = archive.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(is_there, "{name}");
    }
    // What is inside is only read where there is a program for it.
    let python = std::process::Command::new("python3").args(["-c", script]).arg(&path).output();
    if let Ok(python) = python {
        let text = String::from_utf8_lossy(&python.stdout).into_owned();
        let credentials = fs::read_to_string(sandbox.path("credentials.yaml")).expect("text");
        let password = credentials.lines().find_map(|it| it.strip_prefix("password: "));
        assert!(
            !text.contains("hunter2") && !text.contains(password.expect("a password")),
            "{text}"
        );
        for part in ["a line of the log", "You can successfully interact", "m1", "default"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    server.stop();
    // Without a server there is an archive all the same.
    works(&sandbox, &["support", "dump", "--fast", "-f", "again.zip"]);
}
