//! `shieldwall check` and the small commands, as a whole program.

mod sandbox;

use sandbox::Sandbox;

#[test]
fn good_rules_pass() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["check", "--rules", "etc"]);
    assert_eq!(ran.err, "");
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        ran.out,
        "3 files checked: 0 errors, 0 warnings; 2 parsers, 1 scenario, 0 postoverflows in use\n"
    );
}

#[test]
fn every_mistake_is_shown_and_the_exit_code_is_two() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "etc/scenarios/broken.yaml",
        "type: leaky\nname: test/broken\ndescription: x\nfliter: evt.Meta.a == 'b'\ncapacity: 5\n\
         leakspeed: 10x\n",
    );
    sandbox.write(
        "etc/parsers/s01-parse/broken.yaml",
        "name: test/x\nfilter: 'evt.Meta.a =='\nstatics: [{meta: a, value: b}]\n",
    );
    let ran = sandbox.run(&["check", "--rules", "etc"]);
    assert_eq!(ran.code, Some(2));
    for part in ["fliter", "filter", "leakspeed", "broken.yaml:4:1", "s01-parse/broken.yaml:2"] {
        assert!(ran.err.contains(part), "{part} is not in\n{}", ran.err);
    }
    // The rest runs.
    assert!(ran.out.contains("2 parsers, 1 scenario"), "{}", ran.out);
    assert!(!ran.err.contains('\x1b'), "no color without a terminal");
}

#[test]
fn single_files_are_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.yaml", "type: leekly\nname: a/b\n");
    let ran = sandbox.run(&["check", "mine.yaml", "etc/parsers/s01-parse/demo.yaml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("leaky") && ran.err.contains("mine.yaml:1:"), "{}", ran.err);
    let ran = sandbox.run(&["check", "etc/parsers/s01-parse/demo.yaml"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn settings_and_acquisition_are_checked_too() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "etc/config.yaml",
        "config_paths: {data_dir: data, config_dir: etc}\ncommon: {log_levl: info}\n\
         crowdsec_service: {acquisition_path: etc/acquis.yaml}\n",
    );
    sandbox.write("etc/acquis.yaml", "source: docker\nlabels: {type: x}\n");
    let ran = sandbox.run(&["check", "--rules", "etc"]);
    assert_eq!(ran.code, Some(2));
    for part in ["log_levl", "`docker` is not supported yet", "2 errors"] {
        assert!((ran.err.clone() + &ran.out).contains(part), "{part}\n{}{}", ran.err, ran.out);
    }
}

#[test]
fn a_hub_tree_needs_no_installation() {
    let sandbox = Sandbox::new();
    sandbox.write("hub/scenarios/a/s.yaml", sandbox::SCENARIO);
    sandbox.write(
        "hub/.index.json",
        r#"{"collections": {"a/c": {"scenarios": ["a/s"]}},
            "scenarios": {"a/s": {"path": "scenarios/a/s.yaml"},
                          "a/evil": {"path": "../../etc/passwd"}}}"#,
    );
    let ran = sandbox.run(&["check", "--hub", "hub", "--with", "a/c"]);
    assert!(ran.out.starts_with("1 file checked"), "{}{}", ran.out, ran.err);
    let ran = sandbox.run(&["check", "--hub", "hub", "--with", "a/evil"]);
    assert!(ran.err.contains("outside the hub"), "{}", ran.err);
    let ran = sandbox.run(&["check", "--hub", "hub", "--with", "a/x"]);
    assert!(ran.err.contains("the hub has no item `a/x`"), "{}", ran.err);
}

#[test]
fn help_version_completion_and_manual() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["--help"]);
    assert!(ran.out.contains("shieldwall replay /var/log/auth.log.1 --type syslog"));
    let ran = sandbox.run(&["version"]);
    assert!(ran.out.starts_with("shieldwall 0."));
    for shell in ["bash", "zsh", "fish"] {
        let ran = sandbox.run(&["completion", shell]);
        assert!(ran.code == Some(0) && ran.out.contains("__complete"), "{shell}");
    }
    assert_eq!(sandbox.run(&["__complete", "rep"]).out, "replay\n:4\n");
    let ran = sandbox.run(&["completion", "powershell"]);
    assert!(ran.code == Some(0) && ran.out.contains("replay"));
    let ran = sandbox.run(&["man", "man"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(sandbox.path("man/shieldwall-replay.1").is_file());
    let ran = sandbox.run(&["repaly"]);
    assert!(ran.code == Some(2) && ran.err.contains("replay"));
}
