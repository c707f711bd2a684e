//! The local API on a PostgreSQL server, as a whole program: what was stored is there after a restart,
//! a server that goes away is done without, and one that will not have us is told apart.

mod sandbox;

use sandbox::{Ran, Sandbox, http::Api, running::Up, wait_for};
use std::fs;
use testkit::postgres::{PASSWORD, ROLE, Server};

/// Settings that name the server as CrowdSec's do; `changed` replaces some of its lines.
fn sandbox(server: &Server, database: &str, changed: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut settings = format!(
        "common: {{log_media: stdout}}\nconfig_paths: {{config_dir: etc, data_dir: data}}\n\
         db_config:\n  type: postgresql\n  host: 127.0.0.1\n  port: {}\n  user: {ROLE}\n  \
         password: \"{PASSWORD}\"\n  db_name: {database}\n  sslmode: disable\n  \
         flush: {{max_items: 5000}}\n\
         api:\n  client: {{credentials_path: credentials.yaml}}\n  \
         server: {{listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}}\n",
        server.port()
    );
    for (before, after) in changed {
        assert!(settings.contains(before), "{before} is not in\n{settings}");
        settings = settings.replace(before, after);
    }
    sandbox.write("config.yaml", &settings);
    sandbox.write(
        "profiles.yaml",
        "name: default\nfilters: [Alert.Remediation == true]\ndecisions: [{type: ban, duration: 4h}]\n",
    );
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    sandbox
}

/// A running API that dies with the test.
struct Serving {
    up: Option<Up>,
    address: String,
}

impl Serving {
    fn start(sandbox: &Sandbox) -> Self {
        let up = Up::start(sandbox.command(&["serve", "-c", "config.yaml"]));
        let line = up.logged("CrowdSec Local API listening on 127");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        Self { up: Some(up), address }
    }

    fn stop(mut self) {
        self.up.take().expect("it runs").stop();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(up) = self.up.take() {
            up.kill();
        }
    }
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    sandbox.run(&[args, &["-c", "config.yaml"]].concat())
}

fn works(sandbox: &Sandbox, args: &[&str]) -> String {
    let ran = run(sandbox, args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.out, ran.err);
    ran.out
}

/// Makes the credentials of this host speak to where the API listens now.
fn login(sandbox: &Sandbox, serving: &Serving) {
    let url = format!("http://{}", serving.address);
    works(sandbox, &["machines", "add", "m1", "-a", "-u", &url, "--force"]);
}

#[test]
fn what_was_decided_is_there_after_a_restart() {
    let Some(mut server) = Server::start() else { return };
    let sandbox = sandbox(&server, &server.create_database(), &[]);
    let serving = Serving::start(&sandbox);
    login(&sandbox, &serving);
    works(&sandbox, &["decisions", "add", "-i", "192.0.2.7", "-d", "24h"]);
    let key = works(&sandbox, &["bouncers", "add", "wall", "-o", "raw"]);
    let api = Api::with_key(&serving.address, &key);
    let (status, found) = api.get("/v1/decisions?ip=192.0.2.7");
    assert_eq!((status, &found[0]["type"]), (200, &"ban".into()), "{found}");
    serving.stop();
    assert!(!sandbox.path("data/crowdsec.db").exists(), "nothing went to a file");

    let serving = Serving::start(&sandbox);
    login(&sandbox, &serving);
    let listed = works(&sandbox, &["decisions", "list", "-o", "raw"]);
    assert!(listed.contains("192.0.2.7"), "{listed}");
    let api = Api::with_key(&serving.address, &key);

    let (status, _) = api.get("/v1/decisions?ip=192.0.2.7");
    assert_eq!(status, 200, "the key is known from here on");

    // Away: bouncers read on, who writes is told; and back.
    server.kill();
    let (status, found) = api.get("/v1/decisions?ip=192.0.2.7");
    assert_eq!((status, &found[0]["type"]), (200, &"ban".into()), "{found}");
    let ran = run(&sandbox, &["decisions", "add", "-i", "192.0.2.8", "-d", "24h"]);
    assert_ne!(ran.code, Some(0));
    server.launch();
    wait_for("the database", || {
        let ran = run(&sandbox, &["decisions", "add", "-i", "192.0.2.9", "-d", "24h"]);
        (ran.code == Some(0)).then_some(())
    });
    let (_, found) = api.get("/v1/decisions?ip=192.0.2.9");
    assert_eq!(found[0]["value"], "192.0.2.9");
    serving.stop();
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_remedy() {
    let Some(mut server) = Server::start() else { return };
    let database = server.create_database();
    let check = |server: &Server, changed: (&str, &str), want: &[&str]| {
        let sandbox = sandbox(server, &database, &[changed]);
        for args in [&["serve"][..], &["machines", "list"]] {
            let ran = run(&sandbox, args);
            assert_ne!(ran.code, Some(0), "{args:?}");
            for want in want {
                assert!(ran.err.contains(want), "{args:?}: no `{want}` in\n{}", ran.err);
            }
            assert!(!ran.err.contains("hunter2"), "the password is told:\n{}", ran.err);
        }
    };
    check(
        &server,
        ("hunter2", "hunter2 hunter2"),
        &[
            "password authentication failed",
            "config.yaml:8:13 `db_config.password`",
            "ALTER ROLE \"guard\"",
        ],
    );
    check(
        &server,
        (&database, "nowhere"),
        &[
            "database \"nowhere\" does not exist",
            "config.yaml:9:12 `db_config.db_name`",
            "CREATE DATABASE \"nowhere\"",
        ],
    );
    check(
        &server,
        ("sslmode: disable", "sslmode: verify-full"),
        &["TLS", "config.yaml:10:12 `db_config.sslmode`", "`ssl_ca_cert`"],
    );
    server.stop();
    check(
        &server,
        ("flush", "max_open_conns: 5\n  flush"),
        &["cannot be reached", "config.yaml:5:9 `db_config.host`", "start the server"],
    );
}
