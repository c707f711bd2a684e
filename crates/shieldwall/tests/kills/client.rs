//! HTTP as a careful client speaks it: an answer that broke off is no answer.

use serde_json::Value;
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// Asks, and proves who it is.
pub(crate) struct Client {
    /// A header line without its line break; may be empty.
    pub(crate) proof: String,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn with_key(key: &str) -> Self {
        Self { proof: format!("X-Api-Key: {}\r\n", key.trim()) }
    }

    #[allow(dead_code, reason = "each test program uses a part of it")]
    pub(crate) fn with_token(token: &str) -> Self {
        Self { proof: format!("Authorization: Bearer {token}\r\n") }
    }

    /// Asks once. An error: nobody knows what became of the request.
    pub(crate) fn ask(
        &self,
        address: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: test/v1\r\nConnection: close\r\n{}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.proof,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Reads a whole answer; `None` for one that broke off.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&bytes[..split]).ok()?, &bytes[split + 4..]);
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let body = if header("transfer-encoding") == Some("chunked") {
        whole(body)?
    } else {
        let length: usize = header("content-length").map_or(Some(0), |it| it.parse().ok())?;
        body.get(..length)?.to_vec()
    };
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
    Some(Answer { status, body })
}

/// Puts chunks together; `None` where the last one is missing.
fn whole(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|it| it == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        let chunk = bytes.get(end + 2..end + 2 + length)?;
        bytes = bytes.get(end + 2 + length + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
    }
}
