//! Without any settings, the tools work with the API that `up` runs on this host.

mod sandbox;

use sandbox::Sandbox;

#[test]
fn without_settings_the_tools_make_their_own_credentials() {
    if ["/etc/shieldwall", "/etc/crowdsec"].iter().any(|dir| std::path::Path::new(dir).exists()) {
        eprintln!("SKIPPED: this host has settings, and the test is about having none");
        return;
    }
    let sandbox = Sandbox::new();
    let database = sandbox.path("state/shieldwall.db");
    let database = database.to_str().expect("UTF-8");
    let tool = |args: &[&str]| sandbox.run(&[args, &["--database", database]].concat());
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
