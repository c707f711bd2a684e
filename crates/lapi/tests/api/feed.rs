//! The feed: told at once, resumed where it broke off, over when its bouncer is.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::sandbox::Sandbox;

const KEY: &str = "X-Api-Key: good\r\n";

/// Nothing here takes a minute, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Listener {
    socket: TcpStream,
    text: String,
}

impl Listener {
    async fn open(sandbox: &Sandbox, head: &str) -> Self {
        let mut socket = TcpStream::connect(sandbox.address).await.unwrap();
        let request = format!("GET /v1/decisions/feed HTTP/1.1\r\nHost: t\r\n{KEY}{head}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Self { socket, text: String::new() }
    }

    async fn until(&mut self, what: &str) {
        let wait = async {
            let mut bytes = [0u8; 4096];
            while !self.text.contains(what) {
                let n = self.socket.read(&mut bytes).await.unwrap();
                assert_ne!(n, 0, "the feed ended: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    /// Listens until the server ends the answer; the last chunk of it must have come.
    async fn until_end(&mut self) {
        let wait = async {
            let mut bytes = [0u8; 4096];
            while !self.text.ends_with("\r\n0\r\n\r\n") {
                let n = self.socket.read(&mut bytes).await.unwrap();
                assert_ne!(n, 0, "the answer broke off: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        };
        timeout(PATIENCE, wait).await.expect("the feed goes on");
    }

    fn place(&self) -> String {
        self.text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned()
    }
}

async fn with_bouncer() -> (Sandbox, String) {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    (sandbox, token)
}

#[tokio::test]
async fn it_tells_at_once_and_resumes() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.1", "ban", "4h").await;
    let mut one = Listener::open(&sandbox, "").await;
    one.until("event: ready").await;
    assert!(one.text.contains("event: reset") && one.text.contains("192.0.2.1"), "{}", one.text);
    let place = one.place();
    one.text.clear();
    sandbox.decide(&token, "Ip", "192.0.2.2", "ban", "4h").await;
    one.until("192.0.2.2").await;
    drop(one);
    // An enforcer that was away hears what it missed, and only that.
    let mut again = Listener::open(&sandbox, &format!("Last-Event-ID: {place}\r\n")).await;
    again.until("event: ready").await;
    let text = &again.text;
    assert!(
        text.contains("192.0.2.2") && !text.contains("192.0.2.1\"") && !text.contains("reset"),
        "{text}"
    );
    // A place that no server gave, or another one, means to begin again.
    for place in ["junk", "999999999-0", "-"] {
        let mut lost = Listener::open(&sandbox, &format!("Last-Event-ID: {place}\r\n")).await;
        lost.until("event: ready").await;
        assert!(lost.text.contains("event: reset"), "{place}: {}", lost.text);
    }
    // The server can stop although somebody listens.
    timeout(PATIENCE, sandbox.stop()).await.unwrap();
}

#[tokio::test]
async fn it_ends_when_the_bouncer_is_deleted() {
    let (sandbox, _) = with_bouncer().await;
    let mut listener = Listener::open(&sandbox, "").await;
    listener.until("event: ready").await;
    sandbox.service.store().delete_bouncers(vec!["b".to_owned()]).await.unwrap();
    listener.until_end().await;
}

#[tokio::test]
async fn it_ends_when_the_key_is_withdrawn_however_much_happens() {
    let (sandbox, token) = with_bouncer().await;
    let mut listener = Listener::open(&sandbox, "").await;
    listener.until("event: ready").await;
    let path = sandbox.directory.path().join("test.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE bouncers SET revoked = 1", []).unwrap();
    // A feed that always has something to tell finds no moment of silence to look.
    let busy = async {
        loop {
            sandbox.decide(&token, "Ip", "192.0.2.9", "ban", "4h").await;
        }
    };
    tokio::select! {
        () = listener.until_end() => {}
        () = busy => {}
    }
}
