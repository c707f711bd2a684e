//! Takes the alerts that Debian's crowdsec wants to deliver.
//!
//! The incumbent's engine cannot run without a local API to log in to. This one accepts any login on
//! a loopback port, keeps every alert that is posted, and answers just enough to keep the client
//! going. It sees exactly what a real server would be told, after whitelists and post-overflows,
//! which the incumbent's own dump does not show.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A loopback server that keeps the alerts posted to it.
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    alerts: Mutex<Vec<Value>>,
    stopping: AtomicBool,
}

/// Larger bodies come from nobody we start.
const BODY_LIMIT: u64 = 1 << 30;

impl Sink {
    /// Starts serving on a free port.
    pub(crate) fn start() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening for alerts")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting })
    }

    /// The address to give to the client.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stops serving and returns the alerts, in the order in which they came.
    pub(crate) fn finish(self) -> Vec<Value> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The accepting thread sits in `accept`; one more connection wakes it.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.join());
        let mut alerts = self.shared.alerts.lock().unwrap_or_else(|poison| poison.into_inner());
        std::mem::take(&mut alerts)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        connections.push(thread::spawn(move || drop(serve(stream, &shared))));
    }
    for connection in connections {
        drop(connection.join());
    }
}

/// Answers the requests of one connection until it ends.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    // The client may keep an idle connection open; the program that owns it is gone by then.
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        loop {
            match reader.read_line(&mut request) {
                Ok(0) => return Ok(()),
                Ok(_) => break,
                Err(error) if idle(&error) && !shared.stopping.load(Ordering::SeqCst) => {}
                Err(error) => return Err(error),
            }
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<u64>().unwrap_or(0).min(BODY_LIMIT);
            }
        }
        let mut body = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut body)?;
        let (status, answer) = answer(&request, &body, shared);
        write!(
            writer,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}

fn idle(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn answer(request: &str, body: &[u8], shared: &Shared) -> (&'static str, &'static str) {
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if path.contains("/watchers/login") {
        return ("200 OK", r#"{"code":200,"expire":"2099-01-01T00:00:00Z","token":"a.b.c"}"#);
    }
    if method == "POST" && path.contains("/alerts") {
        if let Ok(Value::Array(posted)) = serde_json::from_slice(body) {
            shared.alerts.lock().unwrap_or_else(|poison| poison.into_inner()).extend(posted);
        }
        return ("201 Created", r#"["1"]"#);
    }
    ("200 OK", "{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(stream: &mut TcpStream, path: &str, body: &str) -> String {
        write!(stream, "POST {path} HTTP/1.1\r\nContent-length: {}\r\n\r\n{body}", body.len())
            .expect("written");
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let mut status = String::new();
        reader.read_line(&mut status).expect("an answer");
        let mut rest = String::new();
        while !rest.ends_with("\r\n\r\n") {
            reader.read_line(&mut rest).expect("a header");
        }
        let length: usize = rest
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .and_then(|length| length.parse().ok())
            .expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        format!("{} {}", status.trim(), String::from_utf8_lossy(&body))
    }

    #[test]
    fn alerts_are_kept_across_requests_of_one_connection() {
        let sink = Sink::start().expect("a sink");
        let address = sink.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut stream = TcpStream::connect(address).expect("a connection");
        let login = post(&mut stream, "/v1/watchers/login", "{}");
        assert!(login.starts_with("HTTP/1.1 200") && login.contains("token"), "{login}");
        let posted = post(&mut stream, "/v1/alerts", r#"[{"scenario":"a"},{"scenario":"b"}]"#);
        assert!(posted.starts_with("HTTP/1.1 201"), "{posted}");
        post(&mut stream, "/v1/alerts", "not json");
        drop(stream);
        let names: Vec<String> =
            sink.finish().iter().map(|alert| alert["scenario"].to_string()).collect();
        assert_eq!(names, [r#""a""#, r#""b""#]);
    }
}
