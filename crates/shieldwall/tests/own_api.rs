//! Without any settings, the tools work with the API that `up` runs on this host.
//!
//! What this host has in its usual directories does not matter: the environment names a directory
//! without settings.

mod sandbox;

use sandbox::{Ran, Sandbox, running::Up};

/// A tool, on the database that `up` would use.
fn tool(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let database = sandbox.path("state/shieldwall.db");
    let database = database.to_str().expect("UTF-8");
    let mut command = sandbox.command(&[args, &["--database", database]].concat());
    command.env("SHIELDWALL_CONFIG", sandbox.path("none"));
    Ran::new(command.output().expect("the program runs"))
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("none")).expect("a directory");
    sandbox
}

#[test]
fn without_settings_the_tools_make_their_own_credentials() {
    let sandbox = sandbox();
    let tool = |args: &[&str]| tool(&sandbox, args);
    let before = tool(&["lapi", "status"]);
    assert_eq!(before.code, Some(1));
    assert!(before.err.contains("no local API on this host yet"), "{}", before.err);

    // The store alone, as a server leaves it.
    std::fs::create_dir_all(sandbox.path("state")).expect("a directory");
    assert_eq!(tool(&["bouncers", "add", "fw"]).code, Some(0));
    let made = tool(&["lapi", "status"]);
    assert!(made.err.contains("'command-line' successfully added"), "{}", made.err);
    let file = sandbox.path("state/local_api_credentials.yaml");
    let text = std::fs::read_to_string(&file).expect("credentials");
    assert!(text.contains("login: command-line"), "{text}");
    let again = tool(&["lapi", "status"]);
    assert!(!again.err.contains("successfully added"), "{}", again.err);
    let machines = tool(&["machines", "list", "-o", "json"]);
    assert!(machines.out.contains("command-line"), "{}", machines.out);
}

#[test]
fn the_tools_find_up_wherever_it_listens() {
    /// Killed should the test fail.
    struct Killed(Option<Up>);

    impl Drop for Killed {
        fn drop(&mut self) {
            if let Some(up) = self.0.take() {
                up.kill();
            }
        }
    }

    let sandbox = sandbox();
    sandbox.write("etc/acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write("logs/demo.log", "");
    // Everywhere, on a port that nobody knows before; and at another one the next time.
    for round in 0..2 {
        let args = ["up", "--rules", "etc", "--state", "state", "--listen", "0.0.0.0:0"];
        let args = [&args[..], &["--status", "1"]].concat();
        let mut up = Killed(Some(Up::start(sandbox.command(&args))));
        let running = up.0.as_ref().expect("it runs");
        let port = running.logged("Local API listening on 0.0.0.0:");
        let port = port.rsplit(':').next().expect("a port").to_owned();
        running.logged("status");
        let ran = tool(&sandbox, &["lapi", "status"]);
        assert!(
            ran.out.contains(&format!("on http://127.0.0.1:{port}/")),
            "{}{}",
            ran.out,
            ran.err
        );
        assert!(ran.out.contains("You can successfully interact"), "{}{}", ran.out, ran.err);
        if round == 0 {
            let ran = tool(&sandbox, &["decisions", "add", "-i", "192.0.2.9"]);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
        }
        let ran = tool(&sandbox, &["decisions", "list", "-o", "raw"]);
        assert!(ran.out.contains("192.0.2.9"), "{}{}", ran.out, ran.err);
        up.0.take().expect("it runs").stop();
    }
}
