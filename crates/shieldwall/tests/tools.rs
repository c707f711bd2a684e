//! `machines`, `bouncers`, `lapi` and `config` as whole programs, under both names.

mod sandbox;

use sandbox::{Ran, Sandbox};
use std::{fs, os::unix::fs::symlink};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "common: {log_level: debug}\nconfig_paths: {config_dir: etc, data_dir: data}\n\
         db_config: {type: sqlite, db_path: data/crowdsec.db}\n\
         api:\n  client: {credentials_path: credentials.yaml}\n  \
         server: {listen_uri: '127.0.0.1:18080'}\n",
    );
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_shieldwall"), sandbox.path("cscli")).expect("a link");
    sandbox
}

fn cscli(sandbox: &Sandbox, args: &str) -> Ran {
    let words: Vec<&str> = ["-c", "config.yaml"].into_iter().chain(args.split(' ')).collect();
    Ran::new(sandbox.command_as(&sandbox.path("cscli"), &words).output().expect("it runs"))
}

/// Runs a command that works; gives its output.
fn works(sandbox: &Sandbox, args: &str) -> Ran {
    let ran = cscli(sandbox, args);
    assert_eq!(ran.code, Some(0), "{args}: {}", ran.err);
    ran
}

/// Runs a command that fails with a message.
fn fails(sandbox: &Sandbox, args: &str, message: &str) {
    let ran = cscli(sandbox, args);
    assert_eq!(ran.code, Some(1), "{args}: {}", ran.out);
    assert_eq!(ran.err.trim_end(), message, "{args}");
}

#[test]
fn machines_come_and_go() {
    let sandbox = sandbox();
    assert_eq!(works(&sandbox, "machines list -o json").out, "[]\n");
    let ran = works(&sandbox, "machines add one --auto");
    assert_eq!(
        ran.err,
        "Machine 'one' successfully added to the local API.\n\
         API credentials written to 'credentials.yaml'.\n"
    );
    let credentials = fs::read_to_string(sandbox.path("credentials.yaml")).expect("written");
    assert!(credentials.starts_with("url: http://127.0.0.1:18080/\nlogin: one\npassword: "));
    fails(
        &sandbox,
        "machines add two --auto",
        "Error: cscli machines add: credentials file 'credentials.yaml' already exists: please \
         remove it, use \"--force\" or specify a different file with \"-f\" (\"-f -\" for standard \
         output)",
    );
    let ran = works(&sandbox, "machine add two -p secret -f -");
    assert!(ran.out.is_empty() && ran.err.contains("password: secret"), "{}", ran.err);
    fails(
        &sandbox,
        "machines add one --auto -f other.yaml",
        "Error: cscli machines add: unable to create machine: user 'one': user already exist",
    );
    works(&sandbox, "machines add one --auto --force");
    fails(
        &sandbox,
        "machines add",
        "Error: cscli machines add: please specify a machine name to add, or use --auto",
    );
    fails(
        &sandbox,
        "machines add three -f x.yaml",
        "Error: cscli machines add: please specify a password with --password or use --auto",
    );
    let list = works(&sandbox, "machines list -o json").json();
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["machineId"], "one");
    assert_eq!(list[0]["isValidated"], true);
    assert_eq!(list[0]["auth_type"], "password");
    assert!(list[0].get("last_push").is_none() && list[0].get("os").is_none());
    let raw = works(&sandbox, "machines list -o raw").out;
    assert!(raw.starts_with(
        "machine_id,ip_address,updated_at,validated,version,auth_type,last_heartbeat,os\none,"
    ));
    assert!(works(&sandbox, "machines list").out.contains("Last Heartbeat"));
    assert!(works(&sandbox, "machines inspect one").out.contains("validated"));
    fails(
        &sandbox,
        "machines inspect nobody",
        "Error: cscli machines inspect: unable to read machine data 'nobody': user 'nobody': user \
         doesn't exist",
    );
    // A machine that is not there is no failure.
    let ran = works(&sandbox, "machines delete nobody two");
    assert_eq!(
        ran.err,
        "unable to delete machine: 'nobody' does not exist\nmachine 'two' deleted successfully\n"
    );
    assert_eq!(works(&sandbox, "machines prune --force").out, "No machines to prune.\n");
    let ran = works(&sandbox, "machines prune --force -d 0s");
    assert!(ran.err.contains("successfully deleted 1 machines"), "{}", ran.err);
}

#[test]
fn bouncers_come_and_go() {
    let sandbox = sandbox();
    let added = works(&sandbox, "bouncers add wall -o json").json();
    assert_eq!(added.as_str().map(str::len), Some(43));
    assert_eq!(works(&sandbox, "bouncers add gate -k mykey -o raw").out, "mykey\n");
    assert!(works(&sandbox, "bouncers add door").out.starts_with("API key for 'door':\n\n   "));
    fails(
        &sandbox,
        "bouncers add wall",
        "Error: cscli bouncers add: unable to create bouncer: bouncer wall already exists",
    );
    let ran = works(&sandbox, "bouncers list -o json");
    assert!(ran.out.contains("\n    \"name\": \"wall\",\n"), "one key per line: {}", ran.out);
    let list = ran.json();
    assert_eq!(list[0]["ip_address"], "");
    assert!(list[0]["last_pull"].is_null() && list[0]["revoked"] == false);
    assert_eq!(list[0]["auth_type"], "api-key");
    let raw = works(&sandbox, "bouncers list -o raw").out;
    assert!(raw.starts_with("name,ip,revoked,last_pull,type,version,auth_type\nwall,,validated,,"));
    assert_eq!(works(&sandbox, "bouncers inspect gate -o json").json()["name"], "gate");
    fails(
        &sandbox,
        "bouncers delete gone",
        "Error: cscli bouncers delete: unable to delete bouncer gone: ent: bouncer not found",
    );
    works(&sandbox, "bouncers delete gone --ignore-missing");
    let ran = works(&sandbox, "bouncers remove wall gate");
    assert!(ran.err.contains("bouncer 'wall' deleted successfully"), "{}", ran.err);
    assert_eq!(works(&sandbox, "bouncers prune --force").out, "No bouncers to prune.\n");
    works(&sandbox, "bouncers prune --force -d 0s");
    assert_eq!(works(&sandbox, "bouncers list -o json").out, "[]\n");
}

#[test]
fn the_local_api_is_asked_by_its_credentials() {
    let sandbox = sandbox();
    fails(
        &sandbox,
        "lapi status",
        "Error: cscli lapi status: loading api client: while reading yaml file: open \
         credentials.yaml: no such file or directory",
    );
    sandbox.write("credentials.yaml", "");
    fails(
        &sandbox,
        "lapi status",
        "Error: cscli lapi status: no credentials or URL found in api client configuration \
         'credentials.yaml'",
    );
}

#[test]
fn without_a_local_api_there_is_nothing_to_manage() {
    let sandbox = sandbox();
    sandbox.write("config.yaml.local", "api: {server: {enable: false}}\n");
    fails(
        &sandbox,
        "machines list",
        "Error: cscli machines list: local API is disabled -- this command must be run on the \
         local API machine",
    );
}

#[test]
fn settings_are_shown() {
    let sandbox = sandbox();
    let key = |key: &str| works(&sandbox, &format!("config show --key {key}")).out;
    assert_eq!(key("Config.API.Server.ListenURI"), "127.0.0.1:18080\n");
    assert_eq!(key("Config.API.Server.Enable"), "&true\n");
    assert_eq!(key("Config.Crowdsec"), "nil\n");
    assert_eq!(key("Config.Common.LogLevel"), "5\n");
    let yaml = works(&sandbox, "config show-yaml").out;
    assert!(yaml.contains("\n    server:\n        listen_uri: \"127.0.0.1:18080\"\n"), "{yaml}");
    let json = works(&sandbox, "config show -o json").json();
    assert_eq!(json["API"]["Server"]["ListenURI"], "127.0.0.1:18080");
    let human = works(&sandbox, "config show").out;
    assert!(
        human.contains("Crowdsec (disabled):") && human.contains("Local API Server:"),
        "{human}"
    );
}

#[test]
fn wrong_command_lines_are_answered_as_scripts_expect() {
    let sandbox = sandbox();
    let ran = cscli(&sandbox, "machines delete");
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("Usage: cscli machines delete"), "{}", ran.out);
    assert_eq!(
        ran.err.trim_end(),
        "Error: cscli machines delete: requires at least 1 arg(s), only received 0"
    );
    fails(
        &sandbox,
        "machines list -o xml",
        "Error: cscli machines list: output format 'xml' not supported: must be one of human, \
         json, raw",
    );
    // Below our own name, what the user wrote wrong has a code of its own.
    assert_eq!(sandbox.run(&["machines", "delete"]).code, Some(2));
    let bare = Ran::new(sandbox.command_as(&sandbox.path("cscli"), &[]).output().expect("it runs"));
    assert_eq!(bare.code, Some(0));
    assert!(bare.out.contains("Usage: cscli"), "{}", bare.out);
}
