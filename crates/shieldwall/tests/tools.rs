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
    assert_eq!(key("Config.DbConfig.Type"), "sqlite\n");
    assert_eq!(key("Config.API.Server.AutoRegister"), "nil\n");
    assert_eq!(key("Config.API.Server.TrustedIPs"), "[]\n");
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
    let ran = cscli(&sandbox, "machines lits");
    assert_eq!(
        ran.err.trim_end(),
        "Error: cscli machines: unknown command \"lits\" for \"cscli machines\"; did you mean \
         \"list\"?"
    );
    let ran = cscli(&sandbox, "machines prune --forse");
    assert!(ran.err.ends_with("unknown flag: --forse; did you mean \"--force\"?\n"), "{}", ran.err);
    // Below our own name, what the user wrote wrong has a code of its own.
    assert_eq!(sandbox.run(&["machines", "delete"]).code, Some(2));
    let bare = Ran::new(sandbox.command_as(&sandbox.path("cscli"), &[]).output().expect("it runs"));
    assert_eq!(bare.code, Some(0));
    assert!(bare.out.contains("Usage: cscli"), "{}", bare.out);
}

#[test]
fn what_a_machine_reported_is_shown() {
    let sandbox = sandbox();
    works(&sandbox, "machines add one --auto");
    let found = works(&sandbox, "machines inspect one -o json").json();
    assert_eq!(found["machineId"], "one");
    assert_eq!(found["metrics"], serde_json::json!({"acquisition": [], "parsers": []}));
    assert_eq!(works(&sandbox, "machines inspect one --hub -o json").out, "{}\n");
    assert!(works(&sandbox, "machines inspect one -H").out.contains("no hub items"));
}

#[test]
fn shells_are_told_what_could_come_next() {
    let sandbox = sandbox();
    works(&sandbox, "bouncers add wall");
    works(&sandbox, "bouncers add gate");
    let words = |args: &[&str]| {
        Ran::new(sandbox.command_as(&sandbox.path("cscli"), args).output().expect("it runs")).out
    };
    assert_eq!(
        words(&["__complete", "-c", "config.yaml", "bouncers", "delete", "w"]),
        "wall\n:4\n"
    );
    assert_eq!(words(&["__complete", "mach"]), "machines\n:4\n");
    for shell in ["bash", "fish", "zsh", "powershell"] {
        let script = words(&["completion", shell]);
        assert!(script.contains(&format!("# {shell} completion for cscli")), "{shell}: {script}");
    }
    // The script is tried where there is such a shell.
    let script = sandbox.write("complete.bash", &words(&["completion", "bash"]));
    let program = sandbox.path("cscli");
    let ask = format!(
        ". {}; COMP_WORDS=({} -c config.yaml bouncers inspect g); COMP_CWORD=5; _cscli_complete; \
         echo \"${{COMPREPLY[@]}}\"",
        script.display(),
        program.display()
    );
    let mut bash = std::process::Command::new("bash");
    match bash.args(["-c", &ask]).current_dir(sandbox.path("")).output() {
        Ok(ran) => assert_eq!(Ran::new(ran).out, "gate\n"),
        Err(error) => eprintln!("SKIPPED: the script for bash is not tried: {error}"),
    }
}

#[test]
fn what_was_removed_says_so() {
    let sandbox = sandbox();
    for (args, message) in [
        (
            "dashboard setup --listen x",
            "Error: cscli dashboard: command 'dashboard' has been removed",
        ),
        ("config backup /x", "Error: cscli config backup: 'cscli config backup' has been removed"),
        ("lapi context delete x", "Error: cscli lapi context delete: log processor is disabled"),
    ] {
        let ran = cscli(&sandbox, args);
        assert_eq!(ran.code, Some(1), "{args}");
        assert!(ran.err.starts_with(message), "{args}: {}", ran.err);
    }
    let version = works(&sandbox, "version").out;
    for name in ["version:", "Codename:", "BuildDate:", "GoVersion:", "Platform:", "libre2:"] {
        assert!(version.lines().any(|line| line.starts_with(name)), "{name}: {version}");
    }
}

#[test]
fn every_command_has_a_page() {
    let sandbox = sandbox();
    fails(
        &sandbox,
        "doc --target nowhere",
        "Error: cscli doc: failed to generate cscli documentation: no directory nowhere",
    );
    fs::create_dir_all(sandbox.path("doc")).expect("a directory");
    assert_eq!(works(&sandbox, "doc").out, "Documentation generated in ./doc\n");
    let page = fs::read_to_string(sandbox.path("doc/cscli_machines_add.md")).expect("a page");
    assert!(page.starts_with("# cscli machines add\n") && page.contains("--auto"), "{page}");
}

#[test]
fn color_is_as_the_command_line_says() {
    let sandbox = sandbox();
    let red = |args: &str| cscli(&sandbox, args).err.contains("\u{1b}[31m");
    assert!(red("--color yes bouncers delete nobody"));
    assert!(!red("bouncers delete nobody") && !red("--color no bouncers delete nobody"));
    let ran = cscli(&sandbox, "--color purple bouncers list");
    assert!(ran.err.contains("invalid argument \"purple\" for \"--color\" flag"), "{}", ran.err);
    sandbox.write("config.yaml.local", "cscli: {color: yes}\n");
    assert!(red("bouncers delete nobody") && !red("--color no bouncers delete nobody"));
}

#[test]
fn feature_flags_come_from_the_file_and_the_environment() {
    let sandbox = sandbox();
    assert!(!works(&sandbox, "config feature-flags").out.contains('✓'));
    sandbox.write("feature.yaml", "- re2_grok_support\n");
    let out = works(&sandbox, "config feature-flags --retired").out;
    assert!(out.contains("✓ re2_grok_support:") && out.contains("✗ papi_client:"), "{out}");
    let words = ["-c", "config.yaml", "config", "feature-flags"];
    let mut command = sandbox.command_as(&sandbox.path("cscli"), &words);
    command.env("CROWDSEC_FEATURE_PPROF_BLOCK_PROFILE", "true");
    let out = Ran::new(command.output().expect("it runs")).out;
    assert!(out.contains("✓ pprof_block_profile:"), "{out}");
}

#[test]
fn alerts_tell_what_the_context_says() {
    let sandbox = sandbox();
    sandbox.write("config.yaml.local", "crowdsec_service: {enable: true}\n");
    assert_eq!(works(&sandbox, "lapi context status").out, "No context found on this agent.\n");
    works(&sandbox, "lapi context add --key user --value evt.Meta.target_user");
    works(&sandbox, "lapi context add --value evt.Meta.source_ip --value evt.Meta.log_type");
    let again = works(&sandbox, "lapi context add --key user --value evt.Meta.target_user");
    assert!(again.err.contains("already") && !again.err.contains("reload"), "{}", again.err);
    let ran = cscli(&sandbox, "lapi context add --key x --value evt.");
    assert!(ran.code == Some(1) && ran.err.contains("the expression 'evt.'"), "{}", ran.err);
    let status = works(&sandbox, "lapi context status").out;
    assert_eq!(
        status,
        "log_type:\n    - evt.Meta.log_type\nsource_ip:\n    - evt.Meta.source_ip\n\
         user:\n    - evt.Meta.target_user\n"
    );
    let detected = works(&sandbox, "lapi context detect test/demo").out;
    for field in ["evt.Parsed.what", "evt.Meta.source_ip", "evt.StrTime"] {
        assert!(detected.contains(field), "{field}: {detected}");
    }
    assert!(works(&sandbox, "lapi context detect --all").out.contains("test/dates:"));
    fails(
        &sandbox,
        "lapi context detect nothing",
        "Error: cscli lapi context detect: parser 'nothing' is not installed",
    );
}

#[test]
fn lines_are_explained_with_the_rules_of_the_settings() {
    let sandbox = sandbox();
    let line = "2024-03-01T10:00:00Z fail from 192.0.2.7";
    let words = ["-c", "config.yaml", "explain", "--log", line, "--type", "demo", "--no-clean"];
    let ran = sandbox.command_as(&sandbox.path("cscli"), &words).output().expect("it runs");
    let ran = Ran::new(ran);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("test/demo") && ran.out.contains("test/three-fails"), "{}", ran.out);
    fs::remove_dir_all(sandbox.path("etc/parsers")).expect("removed");
    let ran = sandbox.command_as(&sandbox.path("cscli"), &words).output().expect("it runs");
    let ran = Ran::new(ran);
    assert!(ran.code == Some(1) && ran.err.contains("no parser found"), "{}", ran.err);
}
