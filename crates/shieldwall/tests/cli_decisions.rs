//! `decisions`, `alerts` and `why` as whole programs against a running server, under both names.

mod sandbox;

use sandbox::{Ran, Sandbox, http::Api, running::Up};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

/// A server, and a machine that may talk to it.
struct Server {
    sandbox: Sandbox,
    up: Option<Up>,
    address: String,
}

impl Server {
    fn start() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write(
            "config.yaml",
            "common: {log_media: stdout}\nconfig_paths: {config_dir: etc, data_dir: data}\n\
             db_config: {type: sqlite, db_path: data/crowdsec.db}\n\
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
        let up = Up::start(sandbox.command(&["serve", "-c", "config.yaml"]));
        let line = up.logged("CrowdSec Local API listening on 127");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        let server = Self { sandbox, up: Some(up), address };
        let url = format!("http://{}", server.address);
        server.works(&["machines", "add", "m1", "-a", "-u", &url]);
        server
    }

    fn stop(&mut self) {
        self.up.take().expect("it runs").stop();
    }

    fn cscli(&self, args: &[&str]) -> Ran {
        let args = [&["-c", "config.yaml"], args].concat();
        let program = self.sandbox.path("cscli");
        Ran::new(self.sandbox.command_as(&program, &args).output().expect("it runs"))
    }

    fn works(&self, args: &[&str]) -> Ran {
        let ran = self.cscli(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.out, ran.err);
        ran
    }

    fn fails(&self, args: &[&str], message: &str) {
        let ran = self.cscli(args);
        assert_eq!(ran.code, Some(1), "{args:?}: {}", ran.out);
        assert_eq!(ran.err.trim_end(), message, "{args:?}");
    }

    /// Posts an alert as an agent does.
    fn alert(&self, value: &str) {
        let credentials = fs::read_to_string(self.sandbox.path("credentials.yaml")).expect("text");
        let alert = serde_json::json!([{
            "scenario": "test/ssh-bf", "scenario_version": "0.3", "scenario_hash": "",
            "message": "m", "events_count": 6, "capacity": 5, "leakspeed": "10s",
            "start_at": "2026-01-02T03:04:05Z", "stop_at": "2026-01-02T03:04:17Z",
            "simulated": false, "remediation": false,
            "source": {"scope": "Ip", "value": value, "ip": value, "cn": "DE",
                       "as_number": "64500", "as_name": "Example, Inc."},
            "events": [{"timestamp": "2026-01-02T03:04:17Z",
                        "meta": [{"key": "target_user", "value": "root"}]}],
            "meta": [{"key": "user", "value": "[\"root\"]"}],
        }]);
        let api = Api::with_credentials(&self.address, &credentials);
        let (status, answer) = api.post("/v1/alerts", &alert);
        assert_eq!(status, 201, "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test leaves no server behind.
        if let Some(up) = self.up.take() {
            up.kill();
        }
    }
}

/// The table's lines without what changes from run to run.
fn cells(table: &str) -> Vec<Vec<String>> {
    let rows = table.lines().filter(|line| line.starts_with('│'));
    rows.map(|row| row.split(['│', '┆']).map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn a_decision_by_hand_from_its_first_to_its_last_day() {
    let mut server = Server::start();
    assert_eq!(server.works(&["decisions", "list"]).out, "No active decisions\n");
    assert_eq!(server.works(&["decisions", "list", "-o", "json"]).out, "[]\n");
    assert_eq!(server.works(&["alerts", "list"]).out, "No active alerts\n");

    let ran = server.works(&["decisions", "add", "-i", "192.0.2.7", "-d", "1d12h30m"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "Decision successfully added\n"));
    let ran = server.works(&["decisions", "add", "-r", "198.51.100.9/24", "-o", "json"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "scripts are told nothing");
    server.works(&[
        "decisions",
        "add",
        "-v",
        "root",
        "--scope",
        "user",
        "-t",
        "captcha",
        "-R",
        "x y",
    ]);

    let alerts = server.works(&["decisions", "list", "-o", "json"]).json();
    let alerts = alerts.as_array().expect("alerts");
    assert_eq!(alerts.len(), 3);
    let first = &alerts[2];
    assert_eq!(first["scenario"], "manual 'ban' from 'm1'");
    assert_eq!(first["kind"], "cscli");
    let decision = &first["decisions"][0];
    assert_eq!(decision["origin"], "cscli");
    assert_eq!(decision["value"], "192.0.2.7");
    assert!(decision["duration"].as_str().expect("text").starts_with("36h"), "{decision}");
    assert_eq!(alerts[1]["decisions"][0]["value"], "198.51.100.0/24");
    assert_eq!(alerts[0]["decisions"][0]["type"], "captcha");

    let raw = server.works(&["decisions", "list", "-o", "raw", "-m"]).out;
    let lines: Vec<&str> = raw.lines().collect();
    assert_eq!(
        lines[0],
        "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id,machine"
    );
    assert!(lines[1].starts_with("3,cscli,user:root,x y,captcha,,,1,"), "{raw}");
    assert!(lines[1].ends_with(",false,3,m1"), "{raw}");

    let table = server.works(&["decisions", "list"]).out;
    let rows = cells(&table);
    let header = [
        "",
        "ID",
        "Source",
        "Scope:Value",
        "Reason",
        "Action",
        "Country",
        "AS",
        "Events",
        "expires in",
        "Alert ID",
        "",
    ];
    assert_eq!(rows[0], header);
    assert_eq!(rows[3][3], "Ip:192.0.2.7");
    assert_eq!(rows[3][9], "1d 12h", "{table}");

    // Found by an address inside, and by what lies inside a network.
    let found = |args: &[&str]| {
        let list = [&["decisions", "list", "-o", "json"], args].concat();
        server.works(&list).json().as_array().map_or(0, Vec::len)
    };
    assert_eq!(found(&["-i", "198.51.100.77"]), 1);
    assert_eq!(found(&["-r", "198.51.0.0/16"]), 0);
    assert_eq!(found(&["-r", "198.51.0.0/16", "--contained"]), 1);
    assert_eq!(found(&["--origin", "CAPI"]), 0);
    assert_eq!(found(&["-t", "captcha"]), 1);

    let ran = server.works(&["decisions", "delete", "-i", "192.0.2.7"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "1 decision(s) deleted\n"));
    assert_eq!(found(&["-i", "192.0.2.7"]), 0);
    server.works(&["decisions", "delete", "--id", "3"]);
    assert_eq!(server.works(&["decision", "remove", "--all"]).err, "1 decision(s) deleted\n");
    assert_eq!(found(&[]), 0);
    // The alerts stay.
    let alerts = server.works(&["alerts", "list", "-o", "json"]).json();
    assert_eq!(alerts.as_array().map(Vec::len), Some(3));
    server.stop();
}

#[test]
fn mistakes_are_answered_in_known_words() {
    let mut server = Server::start();
    let add = "Error: cscli decisions add: ";
    server.fails(
        &["decisions", "add"],
        &format!(
            "{add}missing arguments, a value is required (--ip, --range or --scope and --value)"
        ),
    );
    server.fails(&["decisions", "add", "-i", "x"], &format!("{add}invalid ip address 'x'"));
    server.fails(
        &["decisions", "delete"],
        "Error: cscli decisions delete: at least one filter or --all must be specified",
    );
    server.fails(
        &["alerts", "delete", "--contained"],
        "Error: cscli alerts delete: at least one filter or --all must be specified",
    );
    server.fails(
        &["alerts", "list", "--until", "toto"],
        "Error: cscli alerts list: invalid argument \"toto\" for \"--until\" flag: time: invalid \
         duration \"toto\"",
    );
    let ran = server.cscli(&["alerts", "inspect", "99"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("can't find alert with id 99: API error: "), "{}", ran.err);
    let ran = server.cscli(&["alerts", "delete", "--id", "99"]);
    assert!(
        ran.err.contains("unable to delete alert: API error: ent: alert not found"),
        "{}",
        ran.err
    );
    server.fails(
        &["decisions", "list", "-o", "xml"],
        "Error: cscli decisions list: output format 'xml' not supported: must be one of human, \
         json, raw",
    );
    server.fails(
        &["decisions", "import"],
        "Error: cscli decisions import: required flag(s) \"input\" not set",
    );
    // Without a server there is an answer, too.
    server.stop();
    let ran = Ran::new(
        server
            .sandbox
            .command(&["decisions", "list", "-c", "config.yaml"])
            .output()
            .expect("it runs"),
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("error while performing request"), "{}", ran.err);
}

#[test]
fn alerts_are_listed_inspected_and_deleted() {
    let mut server = Server::start();
    server.alert("192.0.2.1");
    server.alert("192.0.2.2");
    let raw = server.works(&["alerts", "list", "-o", "raw", "-m"]).out;
    let lines: Vec<&str> = raw.lines().collect();
    assert_eq!(lines[0], "id,scope,value,reason,country,as,decisions,created_at,kind,machine");
    assert!(
        lines[1].starts_with("2,Ip,192.0.2.2,test/ssh-bf,DE,\"64500 Example, Inc.\",,"),
        "{raw}"
    );
    assert_eq!(lines.len(), 3);
    let json = server.works(&["alerts", "list", "-o", "json", "-v", "192.0.2.1"]).json();
    assert_eq!(json.as_array().map(Vec::len), Some(1));
    assert_eq!(json[0]["source"]["cn"], "DE");
    let empty = server.works(&["alerts", "list", "-o", "json", "--since", "1h"]).json();
    assert_eq!(empty, Value::Array(Vec::new()), "they are from long ago");

    let human = server.works(&["alerts", "inspect", "1", "--details"]).out;
    for part in [
        " - ID           : 1\n",
        " - Reason       : test/ssh-bf\n",
        " - Scope:Value  : Ip:192.0.2.1\n",
        " - AS           : 64500 Example, Inc.\n",
        " - Machine      : m1\n",
        " - Context :\n",
        " - Events :\n",
        "target_user",
    ] {
        assert!(human.contains(part), "{part}\n{human}");
    }
    assert!(
        server
            .works(&["alerts", "inspect", "1", "-o", "raw"])
            .out
            .contains("scenario: test/ssh-bf\n")
    );
    assert_eq!(server.works(&["alerts", "inspect", "1", "-o", "json"]).json()["id"], 1);

    assert_eq!(server.works(&["alerts", "delete", "-v", "192.0.2.1"]).err, "1 alert(s) deleted\n");
    assert_eq!(server.works(&["alerts", "delete", "--all"]).err, "1 alert(s) deleted\n");
    assert_eq!(server.works(&["alerts", "list"]).out, "No active alerts\n");
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        server.alert(address);
    }
    let ran = server.works(&["alerts", "flush", "--max-items", "1"]);
    assert!(ran.err.contains("Alerts flushed"), "{}", ran.err);
    let left = server.works(&["alerts", "list", "-o", "json"]).json();
    assert!(left.as_array().map(Vec::len) < Some(3), "{left}");
    server.stop();
}

#[test]
fn lists_are_imported_in_three_forms() {
    let mut server = Server::start();
    server
        .sandbox
        .write("a.csv", "value,duration,reason,scope\n1.2.3.4,2h,bad,\n10.0.0.0/8,,,range\n");
    let ran = server.works(&["decisions", "import", "-i", "a.csv"]);
    assert_eq!(ran.out, "Parsing csv\nImported 2 decisions\n");
    server.sandbox.write("b.json", r#"[{"value":"1.2.3.5","type":"captcha","origin":"x"}]"#);
    server.works(&["decisions", "import", "-i", "b.json", "-d", "3h30m"]);
    server.sandbox.write("c.txt", " 1.2.3.6 \n\n1.2.3.7\n");
    let ran =
        server.works(&["decisions", "import", "-i", "c.txt", "--format", "values", "--batch", "1"]);
    assert_eq!(ran.out, "Parsing values\nImported 2 decisions\n");
    let alerts = server.works(&["decisions", "list", "-o", "json"]).json();
    let alerts = alerts.as_array().expect("alerts");
    let names: Vec<&str> = alerts.iter().map(|it| it["scenario"].as_str().expect("text")).collect();
    assert_eq!(
        names,
        [
            "import c.txt: 1 IPs",
            "import c.txt: 1 IPs",
            "import b.json: 1 IPs",
            "import a.csv: 2 IPs"
        ]
    );
    let decisions = alerts[3]["decisions"].as_array().expect("decisions");
    assert!(decisions.iter().all(|it| it["origin"] == "cscli-import"));
    assert!(decisions.iter().any(|it| it["scope"] == "Range" && it["value"] == "10.0.0.0/8"));
    assert!(alerts[2]["decisions"][0]["duration"].to_string().starts_with("\"3h"));

    // What is allowlisted is left out; one address that is none stops everything.
    server.works(&["allowlists", "create", "ours", "-d", "x"]);
    server.works(&["allowlists", "add", "ours", "192.0.2.0/24"]);
    server.sandbox.write("d.txt", "192.0.2.9\n1.2.3.8\n");
    let ran = server.works(&["decisions", "import", "-i", "d.txt", "--format", "values"]);
    assert_eq!(
        ran.out,
        "Parsing values\nValue 192.0.2.9 is allowlisted by [192.0.2.0/24 from ours]\n\
         Imported 1 decisions\n"
    );
    server.sandbox.write("e.txt", "1.2.3.9\nbad\n");
    let ran = server.cscli(&["decisions", "import", "-i", "e.txt", "--format", "values"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("API error: invalid ip address 'bad'"), "{}", ran.err);
    let none = server.works(&["decisions", "list", "-o", "json", "-i", "1.2.3.9"]).json();
    assert_eq!(none, Value::Array(Vec::new()));
    let ran = server.cscli(&["decisions", "add", "-i", "192.0.2.9"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.ends_with(
            "192.0.2.9 is allowlisted by item 192.0.2.0/24 from ours, use --bypass-allowlist to \
             add the decision anyway\n"
        ),
        "{}",
        ran.err
    );
    server.works(&["decisions", "add", "-i", "192.0.2.9", "-B"]);
    server.stop();
}

#[test]
fn a_long_list_is_imported_in_batches() {
    let mut server = Server::start();
    let mut list = String::new();
    for n in 0..20_000_u32 {
        list += &format!("10.{}.{}.{}\n", n >> 16, (n >> 8) & 255, n & 255);
    }
    server.sandbox.write("long.txt", &list);
    let started = Instant::now();
    let ran = server.works(&["decisions", "import", "-i", "long.txt", "--format", "values"]);
    assert!(ran.out.ends_with("Imported 20000 decisions\n"), "{}", ran.out);
    // A wide margin: the machine that runs tests may be busy, and the server works as well.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let alerts = server.works(&["alerts", "list", "-o", "json", "-l", "0"]).json();
    let alerts = alerts.as_array().expect("alerts");
    assert_eq!(alerts.len(), 20);
    assert!(alerts.iter().all(|it| it["decisions"].as_array().map(Vec::len) == Some(1000)));
    server.stop();
}

#[test]
fn why_tells_everything_on_one_screen() {
    let mut server = Server::start();
    let nothing = server.works(&["why", "192.0.2.7"]).out;
    assert!(
        nothing.starts_with("192.0.2.7 is not blocked: nothing is known about it\n"),
        "{nothing}"
    );
    server.alert("192.0.2.7");
    let seen = server.works(&["why", "192.0.2.7"]).out;
    assert!(seen.starts_with("192.0.2.7 is not blocked; it was seen"), "{seen}");
    for part in [
        "test/ssh-bf on m1, version 0.3",
        "6 events in 12s; the bucket holds 5 and leaks one every 10s",
        "user = [\"root\"]",
        "target_user=root",
        "No bouncer enforces anything",
    ] {
        assert!(seen.contains(part), "{part}\n{seen}");
    }

    server.works(&["decisions", "add", "-r", "192.0.2.0/24", "-R", "web scan"]);
    let key = server.works(&["bouncers", "add", "wall", "-o", "raw"]).out;
    let why = server.works(&["why", "192.0.2.7"]).out;
    assert!(why.starts_with("192.0.2.7 is blocked: ban for 3h 59m more, until "), "{why}");
    for part in ["Range:192.0.2.0/24", "a person on m1", "wall has never read decisions"] {
        assert!(why.contains(part), "{part}\n{why}");
    }
    let api = Api::with_key(&server.address, &key);
    assert_eq!(api.get("/v1/decisions/stream?startup=true").0, 200);
    let why = server.works(&["why", "192.0.2.7"]).out;
    assert!(why.contains("enforces it: read decisions"), "{why}");

    let json = server.works(&["why", "192.0.2.7", "-o", "json"]).json();
    assert_eq!(json["verdict"], "blocked");
    assert_eq!(json["decisions"][0]["covers"], true);
    assert_eq!(json["alerts"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["bouncers"][0]["knows"], true);
    let wider = server.works(&["why", "192.0.0.0/16", "-o", "json"]).json();
    assert_eq!(wider["verdict"], "partly_blocked");

    // An allowlist ends the decision, and both are told.
    server.works(&["allowlists", "create", "ours", "-d", "x"]);
    server.works(&["allowlists", "add", "ours", "192.0.2.0/24", "-d", "Berlin"]);
    let why = server.works(&["why", "192.0.2.7"]).out;
    assert!(why.starts_with("192.0.2.7 is allowlisted\n"), "{why}");
    assert!(why.contains("192.0.2.0/24 is on ours: Berlin") && why.contains("ended "), "{why}");

    // The database answers when the server does not; another host asks the API.
    server.stop();
    assert!(server.works(&["why", "192.0.2.7"]).out.starts_with("192.0.2.7 is allowlisted\n"));
    server.fails(&["why", "192.0.2"], "Error: cscli why: invalid ip address '192.0.2'");
}

#[test]
fn why_works_from_another_host() {
    let mut server = Server::start();
    server.alert("192.0.2.7");
    server.works(&["decisions", "add", "-i", "192.0.2.7"]);
    server.sandbox.write(
        "elsewhere.yaml",
        "config_paths: {config_dir: etc, data_dir: other}\n\
         api: {client: {credentials_path: credentials.yaml}}\n",
    );
    let ran = server.sandbox.run(&["why", "192.0.2.7", "-c", "elsewhere.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("192.0.2.7 is blocked: ban for "), "{}", ran.out);
    assert!(ran.out.contains("is known where the local API runs"), "{}", ran.out);
    assert!(ran.out.contains("test/ssh-bf"), "{}", ran.out);
    server.works(&["allowlists", "create", "ours", "-d", "x"]);
    server.works(&["allowlists", "add", "ours", "192.0.2.0/24", "-d", "Berlin"]);
    let ran = server.sandbox.run(&["why", "192.0.2.7", "-c", "elsewhere.yaml"]);
    assert!(ran.out.contains("192.0.2.0/24 is on ours: Berlin"), "{}", ran.out);
    server.stop();
}
