//! What a service manager hears, at a real socket.

mod sandbox;

use sandbox::{Sandbox, running::Up};
use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// Starts the program under a manager that listens at `name`.
fn start(sandbox: &Sandbox, args: &[&str], name: OsString) -> Up {
    let mut command = sandbox.command(args);
    command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "300000");
    Up::start(command)
}

/// The next message but those that say that the program is alive.
fn heard(manager: &UnixDatagram) -> String {
    loop {
        let text = next(manager);
        if text != "WATCHDOG=1" {
            return text;
        }
    }
}

fn next(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let n = manager.recv(&mut bytes).expect("a message in time");
    String::from_utf8(bytes[..n].to_vec()).expect("text")
}

fn follows_the_protocol(up: Up, manager: &UnixDatagram) {
    manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    assert_eq!(heard(manager), "READY=1");
    // Three times: once could be the start.
    for _ in 0..3 {
        assert_eq!(next(manager), "WATCHDOG=1");
    }
    up.signal("HUP");
    let reloading = heard(manager);
    let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("a time");
    assert!(micros.parse::<u64>().expect("a number") > 0);
    assert_eq!(heard(manager), "READY=1");
    up.signal("TERM");
    assert_eq!(heard(manager), "STOPPING=1");
    assert_eq!(up.wait().0, Some(0));
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("etc/acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write("logs/demo.log", "");
    sandbox
}

const UP: [&str; 5] = ["up", "--rules", "etc", "--state", "state"];

#[test]
fn all_in_one_process() {
    let sandbox = sandbox();
    let path = sandbox.path("manager");
    let manager = UnixDatagram::bind(&path).expect("bound");
    let up = start(&sandbox, &[&UP[..], &["--listen", "127.0.0.1:0"]].concat(), path.into());
    follows_the_protocol(up, &manager);
}

#[test]
fn detection_alone_at_an_abstract_socket() {
    let sandbox = sandbox();
    let name = format!("shieldwall-test-{}", sandbox.path("").display());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("bound");
    let up = start(&sandbox, &[&UP[..], &["--no-api"]].concat(), format!("@{name}").into());
    follows_the_protocol(up, &manager);
}

#[test]
fn the_local_api_alone() {
    let sandbox = sandbox();
    let path = sandbox.path("manager");
    let manager = UnixDatagram::bind(&path).expect("bound");
    let args = ["serve", "--listen", "127.0.0.1:0", "--state", "state"];
    follows_the_protocol(start(&sandbox, &args, path.into()), &manager);
}

#[test]
fn nobody_listens_and_nothing_fails() {
    let sandbox = sandbox();
    for name in ["/nowhere/at/all", "@nobody-has-this-name", "nonsense"] {
        let args = [&UP[..], &["--listen", "127.0.0.1:0"]].concat();
        let up = start(&sandbox, &args, name.into());
        up.logged("following");
        up.stop();
        // A file is followed from its end only the first time.
        std::fs::remove_dir_all(sandbox.path("state")).expect("removed");
    }
}
