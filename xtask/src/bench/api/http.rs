//! As much HTTP/1.1 as measuring takes: requests as bytes, answers found in a growing buffer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// A bouncer.
    Key(String),
    /// A machine that has logged in.
    Token(String),
    /// Nobody yet.
    Nobody,
}

/// The bytes of a request without a body.
pub(super) fn get(path: &str, credential: &Credential) -> Vec<u8> {
    request("GET", path, credential, &[], None)
}

/// The bytes of a request that sends JSON.
pub(super) fn post(path: &str, credential: &Credential, body: &str) -> Vec<u8> {
    request("POST", path, credential, &[], Some(body))
}

/// The bytes of a request.
pub(super) fn request(
    method: &str,
    path: &str,
    credential: &Credential,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    match credential {
        Credential::Key(key) => {
            text.push_str(&format!("User-Agent: bench-bouncer/v1\r\nX-Api-Key: {key}\r\n"));
        }
        Credential::Token(token) => {
            text.push_str(&format!(
                "User-Agent: crowdsec/v1.4.6-bench\r\nAuthorization: Bearer {token}\r\n"
            ));
        }
        Credential::Nobody => text.push_str("User-Agent: crowdsec/v1.4.6-bench\r\n"),
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let length = body.len();
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    } else {
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Where the body begins.
    pub(super) length: usize,
    pub(super) body: BodyKind,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    Sized(usize),
    Chunked,
}

/// The head at the beginning of a buffer; `None` while it is incomplete.
pub(super) fn head(buffer: &[u8]) -> Result<Option<Head>> {
    let Some(end) = find(buffer, b"\r\n\r\n") else {
        ensure!(buffer.len() < 64 << 10, "a head without an end");
        return Ok(None);
    };
    let text = std::str::from_utf8(&buffer[..end]).context("a head that is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|text| text.parse().ok()).context("a head without a status")?;
    let mut body = BodyKind::Sized(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = BodyKind::Sized(value.trim().parse().context("an odd content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = BodyKind::Chunked;
        }
    }
    Ok(Some(Head { status, length: end + 4, body }))
}

/// A whole answer at the beginning of a buffer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where the body is; with its chunk sizes, if it has such.
    pub(super) body: Range<usize>,
}

/// The answer at the beginning of a buffer; `None` while it is incomplete.
pub(super) fn answer(buffer: &[u8]) -> Result<Option<Answer>> {
    let Some(head) = head(buffer)? else { return Ok(None) };
    let end = match head.body {
        BodyKind::Sized(length) => head.length.checked_add(length).context("an endless body")?,
        BodyKind::Chunked => match chunks_end(buffer, head.length)? {
            Some(end) => end,
            None => return Ok(None),
        },
    };
    Ok((buffer.len() >= end).then_some(Answer { status: head.status, body: head.length..end }))
}

/// Where a chunked body ends.
fn chunks_end(buffer: &[u8], mut at: usize) -> Result<Option<usize>> {
    loop {
        let Some(rest) = buffer.get(at..) else { return Ok(None) };
        let Some(line) = find(rest, b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..line]).context("an odd size of a chunk")?;
        let size = usize::from_str_radix(size.trim(), 16).context("an odd size of a chunk")?;
        at = at.checked_add(line + 2 + size + 2).context("an endless chunk")?;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Sends one request and waits for the whole answer.
pub(super) fn ask(address: SocketAddr, request: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut socket = TcpStream::connect(address).context("connecting")?;
    socket.set_read_timeout(Some(Duration::from_secs(120)))?;
    socket.write_all(request).context("asking")?;
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 256 << 10]);
    loop {
        let n = socket.read(&mut chunk).context("reading an answer")?;
        if n == 0 {
            bail!("the answer broke off after {} bytes", buffer.len());
        }
        buffer.extend_from_slice(&chunk[..n]);
        // A long chunked answer is only looked at where it may end.
        if buffer.len() > 1 << 20 && !buffer.ends_with(b"\r\n") {
            continue;
        }
        if let Some(answer) = answer(&buffer)? {
            return Ok((answer.status, buffer[answer.body].to_vec()));
        }
    }
}

/// Logs a machine in.
pub(super) fn log_in(address: SocketAddr, machine: &str, password: &str) -> Result<Credential> {
    let body = serde_json::json!({"machine_id": machine, "password": password, "scenarios": []});
    let request = post("/v1/watchers/login", &Credential::Nobody, &body.to_string());
    let (status, body) = ask(address, &request)?;
    ensure!(status == 200, "logging in: {status} {}", String::from_utf8_lossy(&body));
    let body: serde_json::Value = serde_json::from_slice(&body).context("reading a token")?;
    let token = body["token"].as_str().context("a login without a token")?;
    Ok(Credential::Token(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(u16, &str)>) {
        let found = answer(text.as_bytes()).expect("an answer");
        let found = found.map(|answer| (answer.status, &text[answer.body]));
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn answers_are_found_when_they_are_whole() {
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull";
        check(sized, Some((200, "null")));
        check(&format!("{sized}HTTP/1.1 200"), Some((200, "null")));
        check(&sized[..sized.len() - 1], None);
        check("HTTP/1.1 403 Forbidden\r\n\r\n", Some((403, "")));
        check("HTTP/1.1 403 Forbidden\r\n", None);
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        check(chunked, Some((200, "3\r\nabc\r\n0\r\n\r\n")));
        for end in 0..chunked.len() {
            check(&chunked[..end], None);
        }
        assert!(answer(b"HTTP/1.1 ???\r\n\r\n").is_err());
    }

    #[test]
    fn requests_carry_their_length() {
        let bytes = post("/x", &Credential::Key("k".to_owned()), "[]");
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("POST /x HTTP/1.1\r\n") && text.contains("X-Api-Key: k\r\n"));
        assert!(text.ends_with("Content-Length: 2\r\n\r\n[]"), "{text}");
    }
}
