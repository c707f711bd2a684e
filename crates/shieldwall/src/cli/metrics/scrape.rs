//! Reads a Prometheus endpoint: one HTTP request, and the text format of its answer.
//!
//! HTTP/1.0 is asked for, because then the answer ends where the connection does and comes in one
//! piece. The endpoint is this host's own; times and sizes are limited all the same.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

/// How long to wait for a connection, and for each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer.
const LONGEST: u64 = 64 << 20;

/// The text at `url`.
pub(super) fn fetch(url: &str) -> Result<String> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("fetching metrics: {url}: only http:// is understood here"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.ends_with(']') || !host.contains(':') {
        format!("{host}:80")
    } else {
        host.to_owned()
    };
    let refused = |error: std::io::Error| {
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            _ => error.to_string(),
        };
        // COMPAT(crowdsec): scripts look for these words.
        anyhow!("fetching metrics: Get {url:?}: dial tcp {address}: {reason}")
    };
    let addresses: Vec<_> = address.to_socket_addrs().map_err(refused)?.collect();
    let mut last = None;
    for found in addresses {
        match TcpStream::connect_timeout(&found, PATIENCE) {
            Ok(stream) => {
                return ask(stream, host, path).with_context(|| format!("fetching metrics: {url}"));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(refused(last.unwrap_or_else(|| std::io::Error::other("the name has no address"))))
}

fn ask(mut stream: TcpStream, host: &str, path: &str) -> Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let sane = |text: &str| !text.contains(|c: char| c.is_control() || c == ' ');
    ensure!(sane(host) && sane(path), "the address is no address");
    // In one piece: a server may answer and close after what it takes for all of it.
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "the answer has status {status}");
    Ok(body.to_owned())
}

/// One number with its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: BTreeMap<&'a str, String>,
    pub(super) value: f64,
}

impl Sample<'_> {
    /// The value of a label; empty where there is none.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// The samples in a text; lines that are none are left out.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' ', '\t'])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once('=')?;
            let (value, after) = quoted(after.trim_start())?;
            labels.insert(label.trim(), value);
            rest = after.trim_start().trim_start_matches(',').trim_start();
        }
        rest = &rest[1..];
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Reads a text in quotes, and gives what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &inner[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn samples_are_read_and_the_rest_left_out() {
        let text = "# HELP x y\n# TYPE x counter\nx 1\ny{a=\"b\",c=\"d\\\"e\\\\,}\",} 2.5e3 1700\n\
                    z{a=\"b 1\nz{a 1\nz\nw NaN\n\nv{} +Inf\nq{é=\"é\"}3\n";
        let shown: Vec<String> = samples(text)
            .map(|it| {
                let labels: Vec<_> = it.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("{} {} {}", it.name, labels.join(";"), it.value)
            })
            .collect();
        assert_eq!(shown, ["x  1", "y a=b;c=d\"e\\,} 2500", "w  NaN", "v  inf", "q é=é 3"]);
    }

    #[test]
    fn an_endpoint_is_asked_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let n = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nx 1\n").unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        assert_eq!(fetch(&format!("http://{address}/metrics")).unwrap(), "x 1\n");
        assert!(server.join().unwrap().starts_with("GET /metrics HTTP/1.0\r\n"));
        // Nobody listens there any more.
        let error = format!("{:#}", fetch(&format!("http://{address}/metrics")).unwrap_err());
        let expect = format!(
            "fetching metrics: Get \"http://{address}/metrics\": dial tcp {address}: connect: \
             connection refused"
        );
        assert_eq!(error, expect);
        assert!(fetch("https://localhost/").is_err());
    }
}
