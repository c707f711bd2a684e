//! Bouncers: what they believe is in force, from the stream they poll and from the feed.

use super::{
    client::Client,
    stage::{OnPanic, Stage},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    sync::Mutex,
    time::Duration,
};

/// What a bouncer believes.
pub(crate) type Belief = Mutex<BTreeSet<String>>;

fn apply(belief: &Belief, delta: &Value) {
    let mut belief = belief.lock().expect("no panic");
    let values = |part: &str| {
        let list = delta[part].as_array().cloned().unwrap_or_default();
        list.into_iter().map(|one| one["value"].as_str().expect("a value").to_owned())
    };
    belief.extend(values("new"));
    for value in values("deleted") {
        belief.remove(&value);
    }
}

/// Polls the stream as bouncers do: all of it once, then what changed. An answer that breaks off
/// changes nothing.
pub(crate) fn poll(stage: &Stage, key: &str, belief: &Belief) {
    let _guard = OnPanic(stage);
    let client = Client::with_key(key);
    let mut is_started = false;
    while let Some(address) = stage.address() {
        let path = format!("/v1/decisions/stream?startup={}", !is_started);
        match client.ask(&address, "GET", &path, None) {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                is_started = true;
                apply(belief, &answer.body);
                stage.pause(3);
            }
            Err(_killed) => stage.pause(1),
        }
    }
}

/// Follows the feed, and resumes behind the last event that had an `id`.
pub(crate) fn follow(stage: &Stage, key: &str, belief: &Belief) {
    let _guard = OnPanic(stage);
    let mut place = String::new();
    while let Some(address) = stage.address() {
        // An error is a server that was killed.
        let _killed = listen(stage, &address, key, &mut place, belief);
        stage.pause(1);
    }
}

fn listen(
    stage: &Stage,
    address: &str,
    key: &str,
    place: &mut String,
    belief: &Belief,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    // Without a limit a feed with nothing to say would keep the test from ending.
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let resume =
        if place.is_empty() { String::new() } else { format!("Last-Event-ID: {place}\r\n") };
    // In the old version an answer is not cut into chunks.
    let request = format!(
        "GET /v1/decisions/feed HTTP/1.0\r\nHost: x\r\nUser-Agent: test/v1\r\nX-Api-Key: {key}\r\n{resume}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut lines = BufReader::new(stream);
    let (mut event, mut id, mut data) = (String::new(), None, String::new());
    let mut line = String::new();
    let mut is_head = true;
    loop {
        match lines.read_line(&mut line) {
            Ok(0) => return Ok(()),
            Ok(_) if line.ends_with('\n') => {}
            // Broken off within a line.
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                if stage.is_over() {
                    return Ok(());
                }
                // What was read of the line is kept in it.
                continue;
            }
            Err(error) => return Err(error),
        }
        let text = line.trim_end().to_owned();
        line.clear();
        if is_head {
            is_head = !text.is_empty();
            assert!(!text.starts_with("HTTP/") || text.contains(" 200 "), "{text}");
        } else if let Some(name) = text.strip_prefix("event: ") {
            event = name.to_owned();
        } else if let Some(text) = text.strip_prefix("id: ") {
            id = Some(text.to_owned());
        } else if let Some(text) = text.strip_prefix("data: ") {
            data = text.to_owned();
        } else if text.is_empty() {
            match event.as_str() {
                "reset" => belief.lock().expect("no panic").clear(),
                "delta" => apply(belief, &serde_json::from_str(&data).expect("JSON")),
                _ => {}
            }
            event.clear();
            if let Some(id) = id.take() {
                *place = id;
            }
        }
    }
}
