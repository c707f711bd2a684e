//! The program under the name of the incumbent.

mod sandbox;

use sandbox::{Ran, Sandbox, fails};
use std::os::unix::fs::symlink;

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
    assert_eq!(run(&sandbox, &["-dsn", "file:///x"]).code, Some(2));
    assert_eq!(run(&sandbox, &["-no-api", "-no-cs"]).code, Some(1));
    let ran = run(&sandbox, &["-version"]);
    assert!(ran.out.starts_with("crowdsec (shieldwall) "), "{}", ran.out);
}
