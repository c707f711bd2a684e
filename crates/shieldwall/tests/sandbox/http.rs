//! Just enough HTTP to ask a local API.

use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A local API, and how we prove who we are to it.
pub(crate) struct Api {
    pub(crate) address: String,
    /// A header line without its line break; may be empty.
    pub(crate) proof: String,
}

impl Api {
    pub(crate) fn with_key(address: &str, key: &str) -> Self {
        Self { address: address.to_owned(), proof: format!("X-Api-Key: {}", key.trim()) }
    }

    /// Logs in as a machine with the file of credentials the program wrote.
    pub(crate) fn with_credentials(address: &str, yaml: &str) -> Self {
        let field = |name: &str| {
            let line = yaml.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.expect("the field is there").trim_matches('"').to_owned()
        };
        let api = Self { address: address.to_owned(), proof: String::new() };
        let login = serde_json::json!({
            "machine_id": field("login"),
            "password": field("password"),
        });
        let (status, token) = api.ask("POST", "/v1/watchers/login", &login.to_string());
        assert_eq!(status, 200, "{token}");
        let token = token["token"].as_str().expect("a token").to_owned();
        Self { proof: format!("Authorization: Bearer {token}"), ..api }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let proof = if self.proof.is_empty() { String::new() } else { self.proof.clone() + "\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: x\r\nUser-Agent: test/v1\r\n{proof}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}
