//! Bodies that are too long, callers that are too slow, and those who suffer neither.

use std::{io::Write as _, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::sandbox::{Sandbox, alert};

const AGENT: &str = "User-Agent: a/b\r\n";

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

async fn send(sandbox: &Sandbox, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(sandbox.address).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

/// Everything the server says until it hangs up.
async fn rest(mut socket: TcpStream) -> String {
    let mut bytes = Vec::new();
    // Cut off or ended, it is over.
    drop(timeout(Duration::from_secs(600), socket.read_to_end(&mut bytes)).await.expect("an end"));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn what_is_announced_too_long_is_not_even_read() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    for (path, head, most) in [
        ("/v1/watchers", AGENT, 2usize << 20),
        ("/v1/watchers/login", AGENT, 2 << 20),
        ("/v1/alerts", token.as_str(), 50 << 20),
        ("/v1/allowlists/check", token.as_str(), 50 << 20),
        ("/v1/usage-metrics", token.as_str(), 50 << 20),
    ] {
        let request = |length: usize| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n"
            )
        };
        let answer = rest(send(&sandbox, &request(most + 1)).await).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.ends_with(r#"{"message":"http: request body too large"}"#), "{answer}");
    }
}

#[tokio::test]
async fn what_is_too_long_without_saying_so_is_refused_on_the_way() {
    let sandbox = Sandbox::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let head = "POST /v1/watchers/login HTTP/1.1\r\nHost: t\r\nUser-Agent: a/b\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut socket = send(&sandbox, head).await;
    for _ in 0..3 {
        // The server may have hung up by then.
        drop(socket.write_all(chunk.as_bytes()).await);
    }
    let mut answer = [0u8; 12];
    timeout(Duration::from_secs(60), socket.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn what_is_too_long_when_unpacked_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let head = format!("Content-Encoding: gzip\r\n{AGENT}");
    let bomb = packed(&vec![b' '; 3 << 20]);
    let answer = sandbox.ask_bytes("POST", "/v1/watchers/login", &head, &bomb).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    let bomb = packed(&vec![b' '; 51 << 20]);
    let head = format!("Content-Encoding: gzip\r\n{token}");
    let answer = sandbox.ask_bytes("POST", "/v1/alerts", &head, &bomb).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    let whole = sandbox.ask_bytes("POST", "/v1/alerts", &head, &packed(b"[]")).await;
    assert_eq!((whole.status, whole.body.as_str()), (201, "[]"));
    let broken = sandbox.ask("POST", "/v1/alerts", &head, "no gzip").await;
    assert_eq!(broken.status, 400);
    let half = packed(b"[]");
    let cut = sandbox.ask_bytes("POST", "/v1/alerts", &head, &half[..half.len() - 4]).await;
    assert_eq!(cut.status, 400, "{}", cut.body);
}

#[tokio::test]
async fn strangers_that_send_slowly_do_not_keep_agents_from_posting() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let half = "POST /v1/watchers/login HTTP/1.1\r\nHost: t\r\nUser-Agent: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"mac";
        slow.push(send(&sandbox, half).await);
    }
    // Longer than what is read without waiting for a turn.
    let body = alert("192.0.2.7")
        .replace(r#""message":"m""#, &format!(r#""message":"{}""#, "m".repeat(2 << 20)));
    let posted = async {
        assert_eq!(sandbox.post_alerts(&token, &format!("[{body}]")).await.status, 201);
        sandbox.login("m", "password").await;
    };
    timeout(Duration::from_secs(60), posted).await.expect("an agent waits for strangers");
    drop(slow);
}

/// The clock of the runtime stands still and jumps to the next deadline whenever nobody has
/// anything to do, so that patience costs no time here.
#[tokio::test(start_paused = true)]
async fn who_never_finishes_a_request_is_sent_away() {
    let sandbox = Sandbox::start().await;
    for half in
        ["", "G", "PRI * HTTP/2.0\r\n", "GET /health HTT", "GET /health HTTP/1.1\r\nHost: t\r\n"]
    {
        let answer = rest(send(&sandbox, half).await).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{half:?}: {answer}");
    }
    // A body that stops half-way.
    let half = "POST /v1/watchers/login HTTP/1.1\r\nHost: t\r\nUser-Agent: a/b\r\nContent-Length: 100\r\n\r\n{";
    let answer = rest(send(&sandbox, half).await).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#"{"message":"the body did not arrive"}"#), "{answer}");
    // A connection that is kept and not used.
    let answer = rest(send(&sandbox, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n").await).await;
    assert!(answer.ends_with(r#"{"status":"up"}"#), "{answer}");
}

/// Begins to post a body of so many bytes; the server has let the machine in and waits for it.
async fn begin(sandbox: &Sandbox, token: &str, length: usize) -> TcpStream {
    let head = format!(
        "POST /v1/alerts HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{token}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut socket = send(sandbox, &head).await;
    // The server asks for the body once it has judged the head.
    let mut go_on = [0u8; 25];
    let read = timeout(Duration::from_secs(60), socket.read_exact(&mut go_on)).await;
    read.unwrap().unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket
}

/// A request is judged when it comes; what it brings is judged when it is there.
#[tokio::test]
async fn machines_can_go_while_their_alerts_come() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let body = format!("[{}]", alert("192.0.2.7"));
    let mut late = begin(&sandbox, &token, body.len()).await;
    late.write_all(&body.as_bytes()[..20]).await.unwrap();
    sandbox.pass(3_601).await;
    late.write_all(&body.as_bytes()[20..]).await.unwrap();
    let answer = rest(late).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "the token was good when it was shown: {answer}");
    let refused = sandbox.post_alerts(&token, &body).await;
    assert_eq!(refused.status, 401, "it is not any more");

    let token = sandbox.login("m", "password").await;
    let mut gone = begin(&sandbox, &token, body.len()).await;
    sandbox.service.store().delete_machines(vec!["m".to_owned()]).await.unwrap();
    gone.write_all(body.as_bytes()).await.unwrap();
    let answer = rest(gone).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "nobody's alerts are not stored: {answer}");
    assert!(answer.ends_with(r#"{"code":401,"message":"ent: machine not found"}"#), "{answer}");
}
