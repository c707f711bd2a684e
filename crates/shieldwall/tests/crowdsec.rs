//! The program under the name of the incumbent.

mod sandbox;

use sandbox::{Ran, Sandbox, fails, running::Up, wait_for};
use std::{fs, os::unix::fs::symlink};

fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let name = sandbox.path("crowdsec");
    if !name.exists() {
        symlink(env!("CARGO_BIN_EXE_shieldwall"), &name).expect("a link");
    }
    Ran::new(sandbox.command_as(&name, args).output().expect("the program runs"))
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "common: {log_media: stdout}\nconfig_paths: {config_dir: etc, data_dir: data}\n\
         crowdsec_service: {acquisition_path: acquis.yaml, parser_routines: 1}\n\
         api: {client: {credentials_path: nowhere}}\n",
    );
    sandbox.write("acquis.yaml", "filename: x.log\nlabels: {type: demo}\n");
    sandbox
}

#[test]
fn a_log_is_read_once_by_its_url() {
    let sandbox = sandbox();
    sandbox.write("a-1.log", &fails(0, "192.0.2.7", 2));
    sandbox.write("a-2.log", &fails(0, "192.0.2.7", 1));
    let url = format!("file://{}", sandbox.path("a-*.log").display());
    let ran = run(&sandbox, &["-c", "config.yaml", "-dsn", &url, "-type", "demo", "-no-api"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("test/three-fails Ip 192.0.2.7 3 events"), "{}", ran.out);
}

#[test]
fn settings_are_tested() {
    let sandbox = sandbox();
    let ran = run(&sandbox, &["-c", "config.yaml", "-t"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("Configuration test done"), "{}", ran.err);
    let ran = run(&sandbox, &["-c", "config.yaml", "-t", "-error"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    sandbox.write("etc/scenarios/broken.yaml", "type: leaky\nname: x\n");
    let ran = run(&sandbox, &["-c", "config.yaml", "-t"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("broken.yaml"), "{}", ran.err);
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let sandbox = sandbox();
    assert_eq!(run(&sandbox, &["-nope"]).code, Some(2));
    let ran = run(&sandbox, &["-dsn", "file:///x"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("-dsn requires a -type argument"), "{}", ran.err);
    assert_eq!(run(&sandbox, &["-no-api", "-no-cs"]).code, Some(1));
    let ran = run(&sandbox, &["-version"]);
    assert!(ran.out.starts_with("crowdsec (shieldwall) "), "{}", ran.out);
}

/// Settings with a local API on a free port, and profiles that ban for long.
fn with_api() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write(
        "config.yaml",
        "common: {log_media: file, log_dir: logs}\n\
         config_paths: {config_dir: etc, data_dir: data}\n\
         crowdsec_service: {acquisition_path: acquis.yaml}\n\
         db_config: {type: sqlite, db_path: data/crowdsec.db}\n\
         api:\n  client: {credentials_path: credentials.yaml}\n  \
         server: {listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}\n",
    );
    sandbox.write(
        "profiles.yaml",
        "name: ban_for_long\nfilters: [Alert.Remediation == true]\n\
         decisions: [{type: ban, duration: 200000h}]\n",
    );
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    sandbox
}

fn why(sandbox: &Sandbox, address: &str) -> Ran {
    sandbox.run(&["why", address, "-c", "config.yaml", "-o", "json"])
}

#[test]
fn alerts_of_a_log_read_once_become_decisions() {
    let sandbox = with_api();
    // What was a comma is a dot once it was transformed.
    sandbox.write("a.log", &fails(0, "192,0,2,7", 3));
    let url = format!("file://{}", sandbox.path("a.log").display());
    let transform = "replace(evt.Line.Raw, ',', '.')";
    let args = ["-c", "config.yaml", "-dsn", &url, "-type", "demo", "-transform", transform];
    let ran = run(&sandbox, &args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found = why(&sandbox, "192.0.2.7").json();
    assert_eq!(found["verdict"], "blocked", "{found}");
    assert_eq!(found["decisions"][0]["profile"], "ban_for_long");
    assert_eq!(found["alerts"][0]["scenario"], "test/three-fails");
    let human = sandbox.run(&["why", "192.0.2.7", "-c", "config.yaml"]).out;
    assert!(human.contains("profile ban_for_long"), "{human}");
    let log = fs::read_to_string(sandbox.path("logs/crowdsec.log")).expect("a log");
    for words in ["Adding file ", " at once", "Acquisition is finished, shutting down"] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    let broken = ["-c", "config.yaml", "-dsn", &url, "-type", "demo", "-transform", "evt."];
    assert_eq!(run(&sandbox, &broken).code, Some(1));
}

#[test]
fn without_an_api_of_its_own_alerts_go_to_the_one_that_runs() {
    /// Killed should the test fail.
    struct Killed(Option<Up>);

    impl Drop for Killed {
        fn drop(&mut self) {
            if let Some(up) = self.0.take() {
                up.kill();
            }
        }
    }

    let sandbox = with_api();
    let mut server = Killed(Some(Up::start(sandbox.command(&["serve", "-c", "config.yaml"]))));
    let log = || fs::read_to_string(sandbox.path("logs/crowdsec.log")).unwrap_or_default();
    let address = wait_for("the address", || {
        let log = log();
        let line = log.lines().find(|line| line.contains("Local API listening on"))?;
        line.rsplit(' ').next().map(str::to_owned)
    });
    let url = format!("http://{address}");
    let ran = sandbox.run(&["machines", "add", "m1", "-a", "-u", &url, "-c", "config.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    sandbox.write("a.log", &fails(0, "192.0.2.8", 3));
    let dsn = format!("file://{}", sandbox.path("a.log").display());
    let ran = run(&sandbox, &["-c", "config.yaml", "-dsn", &dsn, "-type", "demo", "-no-api"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found = why(&sandbox, "192.0.2.8").json();
    assert_eq!(found["verdict"], "blocked", "{found}");
    assert_eq!(found["decisions"][0]["machine"], "m1");
    server.0.take().expect("it runs").stop();
    // Requests are logged apart from the rest.
    let access = fs::read_to_string(sandbox.path("logs/crowdsec_api.log")).expect("a log");
    assert!(access.contains("POST /v1/alerts"), "{access}");
    assert!(!log().contains("POST /v1/alerts"), "{}", log());
    // Nobody is there any more.
    let ran = run(&sandbox, &["-c", "config.yaml", "-dsn", "file:///nowhere", "-type", "demo"]);
    assert!(ran.err.contains("no file matches"), "{}", ran.err);
}

#[test]
fn mistakes_are_told_on_standard_error_and_in_the_log() {
    let sandbox = with_api();
    sandbox.write("profiles.yaml", "name: x\nfiltres: []\n");
    let ran = run(&sandbox, &["-c", "config.yaml", "-no-cs"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("the profiles have mistakes"), "{}", ran.err);
    let log = fs::read_to_string(sandbox.path("logs/crowdsec.log")).expect("a log");
    assert!(log.contains("the profiles have mistakes"), "{log}");
}

#[test]
fn why_shows_the_lines_and_who_understands_them() {
    let sandbox = with_api();
    let path = sandbox.write("a.log", &(fails(0, "192.0.2.7", 3) + &fails(1, "192.0.2.70", 1)));
    let path = path.display().to_string();
    sandbox.write("acquis.yaml", &format!("filename: {path}\nlabels: {{type: demo}}\n"));
    let parser =
        sandbox::PARSER.to_owned() + "  - meta: datasource_path\n    expression: evt.Line.Src\n";
    sandbox.write("etc/parsers/s01-parse/demo.yaml", &parser);
    let url = format!("file://{path}");
    let ran = run(&sandbox, &["-c", "config.yaml", "-dsn", &url, "-type", "demo"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found = why(&sandbox, "192.0.2.7").json();
    assert_eq!(found["logs"][0]["path"], path.as_str(), "{found}");
    let lines = found["logs"][0]["lines"].as_array().expect("lines").clone();
    assert_eq!(lines.len(), 3, "{found}");
    assert_eq!(lines[2]["text"], "2024-03-01T10:00:02Z fail from 192.0.2.7");
    assert_eq!(lines[2]["parser"], "test/demo");
    let human = sandbox.run(&["why", "192.0.2.7", "-c", "config.yaml"]).out;
    for part in [
        "blocked",
        "profile ban_for_long",
        "3 events in 2s; the bucket holds 2 and leaks one every 1m",
        "understood by test/demo",
        "No bouncer enforces anything",
    ] {
        assert!(human.contains(part), "{part}\n{human}");
    }
    let quiet = why(&sandbox, "192.0.2.70").json();
    assert_eq!(quiet["verdict"], "unknown", "{quiet}");
}
