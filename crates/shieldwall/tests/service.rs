//! Detection and the local API as whole programs: an attack becomes a decision that a bouncer reads,
//! in one process and across two, and nothing is lost when one of them is away.

mod sandbox;

use sandbox::{Sandbox, http::Api, running::Up, wait_for};
use serde_json::Value;
use std::{fs, path::Path};

/// Settings with everything below the sandbox.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "common: {log_media: stdout}\n\
         config_paths: {config_dir: etc, data_dir: data}\n\
         crowdsec_service: {acquisition_path: acquis.yaml}\n\
         db_config: {type: sqlite, db_path: data/crowdsec.db, flush: {max_items: 5000}}\n\
         api:\n  client: {credentials_path: credentials.yaml}\n  \
         server: {listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}\n",
    );
    sandbox.write("acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write(
        "profiles.yaml",
        "name: twice_as_long_each_time\nfilters: [\"Alert.GetScope() == 'Ip'\"]\n\
         decisions: [{type: ban, duration: 1h}]\n\
         duration_expr: \"Sprintf('%dh', (GetDecisionsCount(Alert.GetValue()) + 1) * 2)\"\n\
         on_success: break\n",
    );
    sandbox.write("logs/demo.log", "");
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    sandbox
}

fn fail(sandbox: &Sandbox, address: &str) {
    let lines = format!("2024-03-01T10:00:00Z fail from {address}\n").repeat(3);
    sandbox.append("logs/demo.log", &lines);
}

/// Starts the program; gives where its API listens.
fn start(sandbox: &Sandbox, args: &[&str]) -> (Up, String) {
    let up = Up::start(sandbox.command(args));
    let line = up.logged("CrowdSec Local API listening on 127");
    let address = line.rsplit(' ').next().expect("an address").to_owned();
    (up, address)
}

fn key(sandbox: &Sandbox) -> String {
    let ran = sandbox.run(&["bouncers", "add", "wall", "-c", "config.yaml", "-o", "raw"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran.out
}

/// Waits until a bouncer reads a decision about an address.
fn decided(api: &Api, address: &str) -> Value {
    wait_for("a decision", || {
        let (status, found) = api.get(&format!("/v1/decisions?ip={address}"));
        assert_eq!(status, 200, "{found}");
        found.get(0).cloned()
    })
}

#[test]
fn an_attack_becomes_a_decision() {
    let sandbox = sandbox();
    let (up, address) = start(&sandbox, &["up", "-c", "config.yaml"]);
    let api = Api::with_key(&address, &key(&sandbox));
    assert_eq!(api.get("/v1/decisions?ip=192.0.2.7"), (200, Value::Null));
    up.logged("following");
    fail(&sandbox, "192.0.2.7");
    let decision = decided(&api, "192.0.2.7");
    assert_eq!(decision["type"], "ban");
    assert_eq!(decision["origin"], "crowdsec");
    assert_eq!(decision["scenario"], "test/three-fails");
    let duration = decision["duration"].as_str().expect("a duration");
    assert!(duration.starts_with("1h59m") || duration == "2h0m0s", "{duration}");
    // The history is asked: the second time is longer.
    fail(&sandbox, "192.0.2.7");
    wait_for("a longer decision", || {
        let (_, found) = api.get("/v1/decisions?ip=192.0.2.7");
        let found = found.as_array().cloned().unwrap_or_default();
        let is_longer = |it: &Value| {
            let duration = it["duration"].as_str().unwrap_or_default();
            duration.starts_with("3h59m") || duration == "4h0m0s"
        };
        found.iter().any(is_longer).then_some(())
    });
    let machines = sandbox.run(&["machines", "list", "-c", "config.yaml", "-o", "json"]).json();
    assert_eq!(machines.as_array().map(Vec::len), Some(1), "{machines}");
    assert!(machines[0]["last_push"].is_string() && machines[0]["isValidated"] == true);
    up.stop();
    // All of it is still there.
    let (up, address) = start(&sandbox, &["serve", "-c", "config.yaml"]);
    let api = Api { address, ..api };
    assert_eq!(api.get("/v1/decisions?ip=192.0.2.7").1.as_array().map(Vec::len), Some(2));
    up.stop();
}

#[test]
fn an_agent_and_a_server_lose_nothing_and_tell_nothing_twice() {
    let sandbox = sandbox();
    let (server, address) = start(&sandbox, &["serve", "-c", "config.yaml"]);
    let url = format!("http://{address}");
    let args = ["machines", "add", "agent-1", "--auto", "-c", "config.yaml", "-u", &url];
    let ran = sandbox.run(&[&args[..], &["-f", "central.yaml"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let bouncer = Api::with_key(&address, &key(&sandbox));
    let agent = |ready: &str| {
        let args = ["agent", "--rules", "etc", "--acquis", "acquis.yaml", "--state", "agent"];
        let args = [&args[..], &["--credentials", "central.yaml"]].concat();
        let agent = Up::start(sandbox.command(&args));
        agent.logged(ready);
        agent
    };
    let running = agent("following");
    fail(&sandbox, "192.0.2.1");
    decided(&bouncer, "192.0.2.1");

    // The server is killed; what happens meanwhile waits on disk, also when the agent ends.
    server.kill();
    fail(&sandbox, "192.0.2.2");
    running.logged("alerts wait in the outbox");
    running.stop();
    // The file is known already; its position was kept.
    let running = agent("starting");
    running.logged("alerts wait in the outbox");
    fail(&sandbox, "192.0.2.3");

    let (server, _) = start(&sandbox, &["serve", "-c", "config.yaml", "--listen", &address]);
    decided(&bouncer, "192.0.2.2");
    decided(&bouncer, "192.0.2.3");
    let credentials = fs::read_to_string(sandbox.path("central.yaml")).expect("written");
    let machine = Api::with_credentials(&address, &credentials);
    let (_, alerts) = machine.get("/v1/alerts");
    let mut values: Vec<&str> = alerts
        .as_array()
        .expect("alerts")
        .iter()
        .map(|alert| alert["source"]["value"].as_str().expect("a value"))
        .collect();
    values.sort_unstable();
    assert_eq!(values, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert!(alerts.as_array().expect("alerts").iter().all(|it| it["machine_id"] == "agent-1"));
    let inspected =
        sandbox.run(&["machines", "inspect", "agent-1", "-c", "config.yaml", "-o", "json"]);
    assert!(inspected.json()["last_heartbeat"].is_string(), "{}", inspected.out);
    running.stop();
    server.stop();
    assert!(is_drained(&sandbox.path("agent/outbox")));
}

/// Whether no alerts are left in an outbox.
fn is_drained(outbox: &Path) -> bool {
    let entries = fs::read_dir(outbox).expect("a directory");
    !entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".log"))
}

#[test]
fn two_parents_get_the_same_alerts() {
    let (first, second) = (sandbox(), sandbox());
    let mut servers = Vec::new();
    for (sandbox, file) in [(&first, "a.yaml"), (&second, "b.yaml")] {
        let (server, address) = start(sandbox, &["serve", "-c", "config.yaml"]);
        let url = format!("http://{address}");
        let file = first.path(file).display().to_string();
        let args = ["machines", "add", "m", "-a", "-c", "config.yaml", "-u", &url, "-f", &file];
        assert_eq!(sandbox.run(&args).code, Some(0));
        let bouncer = Api::with_key(&address, &key(sandbox));
        servers.push((server, bouncer));
    }
    let agent = Up::start(first.command(&[
        "agent",
        "--rules",
        "etc",
        "--acquis",
        "acquis.yaml",
        "--state",
        "agent",
        "--credentials",
        "a.yaml",
        "--credentials",
        "b.yaml",
    ]));
    agent.logged("following");
    fail(&first, "192.0.2.9");
    for (_, bouncer) in &servers {
        decided(bouncer, "192.0.2.9");
    }
    agent.stop();
    servers.into_iter().for_each(|(server, _)| drop(server.stop()));
}

#[test]
fn a_machine_registers_and_is_admitted() {
    let sandbox = sandbox();
    let (server, address) = start(&sandbox, &["serve", "-c", "config.yaml"]);
    let url = format!("http://{address}");
    let run = |args: &[&str]| sandbox.run(&[args, &["-c", "config.yaml"]].concat());
    let ran = run(&["lapi", "register", "--machine", "new", "-u", &url]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    assert!(ran.err.contains("Successfully registered to Local API (LAPI)"), "{}", ran.err);
    assert!(ran.err.contains("credentials written to 'credentials.yaml'"), "{}", ran.err);
    let ran = run(&["lapi", "status"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("failed to authenticate to Local API (LAPI): API error:"),
        "{}",
        ran.err
    );
    let again = run(&["lapi", "register", "--machine", "new", "-u", &url, "-f", "other.yaml"]);
    assert!(
        again.err.contains("403 Forbidden: API error: user 'new': user already exist"),
        "{}",
        again.err
    );
    let ran = run(&["machines", "validate", "new"]);
    assert_eq!(ran.err, "machine 'new' validated successfully\n");
    let ran = run(&["lapi", "status"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines = format!(
        "Loaded credentials from credentials.yaml\nTrying to authenticate with username new on \
         {url}/\nYou can successfully interact with Local API (LAPI)\n"
    );
    assert_eq!(ran.out, lines);
    server.stop();
}

#[test]
fn profiles_are_reloaded_and_broken_ones_are_not() {
    let sandbox = sandbox();
    let (up, address) = start(&sandbox, &["up", "-c", "config.yaml"]);
    let api = Api::with_key(&address, &key(&sandbox));
    up.logged("following");
    sandbox.write("profiles.yaml", "name: broken\nfilters: [nonsense\n");
    up.signal("HUP");
    up.logged("the new profiles are not used");
    sandbox.write(
        "profiles.yaml",
        "name: captcha\nfilters: ['true']\ndecisions: [{type: captcha, duration: 1h}]\n",
    );
    up.signal("HUP");
    up.logged("profiles reloaded");
    fail(&sandbox, "192.0.2.8");
    assert_eq!(decided(&api, "192.0.2.8")["type"], "captcha");
    up.stop();
}

#[test]
fn what_cannot_run_says_why() {
    let sandbox = sandbox();
    let ran = sandbox.run(&["agent", "-c", "config.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("no such file or directory"), "{}", ran.err);
    sandbox.write("profiles.yaml", "# none\n");
    let ran = sandbox.run(&["serve", "-c", "config.yaml"]);
    assert!(ran.err.contains("zero profiles loaded for LAPI"), "{}", ran.err);
    let config = fs::read_to_string(sandbox.path("config.yaml")).expect("written");
    sandbox.write("config.yaml", &config.replace("api:", "api:\n  servr: {}"));
    let ran = sandbox.run(&["serve", "-c", "config.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there is no setting `api.servr`"), "{}", ran.err);
}
