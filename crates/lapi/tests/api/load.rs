//! Many decisions, many bouncers, slow readers. What is asserted here does not depend on how busy
//! the machine is: memory, processor time, order. How fast it is, `cargo xtask bench api` measures.

use std::time::Duration;

use model::{NewDecision, Scope};
use store::NewAlert;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::sandbox::{Sandbox, alert};

const PATIENCE: Duration = Duration::from_secs(60);
const STARTUP: &str = "/v1/decisions/stream?startup=true";

/// Adds so many decisions, each of which takes some 400 bytes to tell.
async fn decide_many(sandbox: &Sandbox, n_decisions: u32) {
    let decisions = (0..n_decisions).map(|n| NewDecision {
        uuid: None,
        origin: "lists".to_owned(),
        scenario: "s".repeat(200),
        remediation: "ban".to_owned(),
        scope: Scope::Ip,
        value: std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(),
        duration: Duration::from_secs(4 * 3600),
        simulated: false,
    });
    let wire: api::Alert = serde_json::from_str(&alert("192.0.2.7")).unwrap();
    let (noun, _) = wire.into_model(sandbox.service.now()).unwrap();
    let alert = NewAlert {
        uuid: model::Uuid::from_random(7),
        machine: None,
        kind: "capi".to_owned(),
        alert: noun,
        decisions: decisions.collect(),
        profile: None,
    };
    sandbox.service.store().record(vec![alert], sandbox.service.now()).await.unwrap();
}

async fn begin(sandbox: &Sandbox, key: &str) -> TcpStream {
    let mut socket = TcpStream::connect(sandbox.address).await.unwrap();
    let request = format!(
        "GET {STARTUP} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Api-Key: {key}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// What this thread has used of a processor. The server of a sandbox runs on the test's thread.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Whether this test has a process of its own, whose memory and time are its own. Where not, it is
/// run in one.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "SHIELDWALL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args([test, "--exact"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    false
}

#[tokio::test]
async fn trap_18_large_startups_are_told_in_pieces() {
    const N_DECISIONS: u32 = 30_000;
    const N_READERS: usize = 24;
    if !is_alone("load::trap_18_large_startups_are_told_in_pieces") {
        return;
    }
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    decide_many(&sandbox, N_DECISIONS).await;
    for n in 0..N_READERS {
        sandbox.add_bouncer(&format!("b{n}"), &format!("key-{n}")).await;
    }
    let whole = sandbox.ask("GET", STARTUP, "X-Api-Key: key-0\r\n", "").await.body.len();
    assert!(whole > N_DECISIONS as usize * 300, "{whole} bytes");

    let before = resident();
    let mut readers = Vec::new();
    for n in 0..N_READERS {
        let mut socket = begin(&sandbox, &format!("key-{n}")).await;
        // The first piece comes although nobody takes the rest.
        let mut first = [0u8; 2048];
        timeout(PATIENCE, socket.read_exact(&mut first)).await.unwrap().unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200"));
        readers.push(socket);
    }
    // While all of them are in the middle, the server takes in alerts and answers others.
    let others = async {
        sandbox.decide(&token, "Ip", "192.0.2.99", "ban", "4h").await;
        let live =
            sandbox.ask("GET", "/v1/decisions?ip=192.0.2.99", "X-Api-Key: key-0\r\n", "").await;
        assert!(live.body.contains("192.0.2.99"), "{}", live.body);
    };
    timeout(PATIENCE, others).await.unwrap();
    let grown = resident().saturating_sub(before);
    // Each holds a page and what the connection buffers; as a whole they would take all of this.
    let all = whole * N_READERS;
    assert!(grown < all / 2, "{grown} bytes for answers of {all}");
    drop(readers);
}

#[tokio::test]
async fn trap_19_asking_for_nothing_costs_nothing() {
    const N_BOUNCERS: u32 = 200;
    if !is_alone("load::trap_19_asking_for_nothing_costs_nothing") {
        return;
    }
    let sandbox = Sandbox::start().await;
    decide_many(&sandbox, 20_000).await;
    let mut sockets = Vec::new();
    for n in 0..N_BOUNCERS {
        sandbox.add_bouncer(&format!("b{n}"), &format!("key-{n}")).await;
    }
    let request = |n: u32, query: &str| {
        format!(
            "GET /v1/decisions/stream{query} HTTP/1.1\r\nHost: t\r\nX-Api-Key: key-{n}\r\nUser-Agent: t/1\r\n\r\n"
        )
    };
    // Asks on a connection that is kept, and wants nothing.
    async fn poll(socket: &mut TcpStream, request: &str) {
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.ends_with("0\r\n\r\n") {
            let mut bytes = [0u8; 1024];
            let n = timeout(PATIENCE, socket.read(&mut bytes)).await.unwrap().unwrap();
            assert_ne!(n, 0, "the connection was not kept: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        assert!(text.contains("{\"new\": []") || text.contains("{\"new\": ["), "{text}");
    }
    for n in 0..N_BOUNCERS {
        let mut socket = TcpStream::connect(sandbox.address).await.unwrap();
        // Scopes of which there are no decisions: the first answer is empty too, and moves the
        // bouncer's place.
        poll(&mut socket, &request(n, "?scopes=as")).await;
        sockets.push(socket);
    }
    // What is written goes to the log first; the database itself follows when it suits it.
    let log = sandbox.directory.path().join("test.db-wal");
    let stored = || {
        let log = std::fs::metadata(&log).expect("there is a log");
        (log.len(), log.modified().expect("a date"))
    };
    let (before, began) = (stored(), processor_time());
    for (n, socket) in (0u32..).zip(&mut sockets) {
        poll(socket, &request(n, "")).await;
    }
    let spent = processor_time().saturating_sub(began);
    assert_eq!(stored(), before, "an empty answer wrote something down");
    // All of them ask once in ten seconds; five hundredths of a core are half a second of these.
    // This thread plays the bouncers too, and is not optimized.
    assert!(spent < Duration::from_millis(500), "{spent:?} for {N_BOUNCERS} empty answers");
}

/// A reader that takes minutes for its startup is no idle caller. The clock of the runtime jumps
/// ahead whenever both ends wait, so that it is minutes for the server.
#[tokio::test]
async fn trap_25_slow_readers_are_waited_for() {
    let sandbox = Sandbox::start().await;
    decide_many(&sandbox, 30_000).await;
    sandbox.add_bouncer("b", "good").await;
    let mut socket = begin(&sandbox, "good").await;
    let mut text = Vec::new();
    let mut bytes = vec![0u8; 256 * 1024];
    tokio::time::pause();
    loop {
        // Longer than any patience of the server with callers that say nothing.
        tokio::time::advance(Duration::from_secs(200)).await;
        let n = socket.read(&mut bytes).await.unwrap();
        text.extend_from_slice(&bytes[..n]);
        if n == 0 {
            break;
        }
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("0\r\n\r\n"), "it broke off after {} bytes", text.len());
    assert_eq!(text.matches("\"value\"").count(), 30_000);
}
