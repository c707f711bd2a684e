//! Clients that change things, each until it was told that the change is there.

use super::{
    client::{Answer, Client},
    stage::{Fact, OnPanic, Random, Stage},
};
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::{
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Addresses with a decision and an alert that somebody may end.
pub(crate) type Pool = Mutex<Vec<(String, u64)>>;

/// Asks until there is an answer; `None` when the test is over.
pub(crate) fn insist(
    stage: &Stage,
    client: &Client,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<Answer> {
    loop {
        let address = stage.address()?;
        match client.ask(&address, method, path, body) {
            Ok(answer) => return Some(answer),
            Err(_killed) => {
                stage.shut(&address);
                stage.pause(1);
            }
        }
    }
}

fn alert(uuid: &str, value: &str, duration: &str) -> Value {
    // A decision lasts from the end of its alert on.
    let now = jiff::Timestamp::now().to_string();
    let source = json!({ "scope": "Ip", "value": value, "ip": value });
    json!([{
        "uuid": uuid, "scenario": "test/kills", "scenario_hash": "", "scenario_version": "",
        "message": "under load", "events_count": 1, "capacity": 0, "leakspeed": "10s",
        "start_at": now, "stop_at": now,
        "simulated": false, "remediation": true, "source": source,
        "events": [{ "timestamp": now, "meta": [{ "key": "a", "value": "b" }] }],
        "decisions": [{
            "origin": "test", "type": "ban", "scope": "Ip", "value": value,
            "duration": duration, "scenario": "test/kills"
        }],
    }])
}

/// Posts alert after alert, each under one identifier until it is acknowledged.
pub(crate) fn attack(stage: &Stage, client: &Client, place: u8, pool: &Pool) {
    let _guard = OnPanic(stage);
    for n in 0_u32.. {
        if stage.is_winding_down() {
            return;
        }
        let value = format!("10.{place}.{}.{}", n >> 8 & 255, n & 255);
        let uuid = format!("{place:08x}-0000-4000-8000-{n:012x}");
        let body = alert(&uuid, &value, "4h");
        let Some(answer) = insist(stage, client, "POST", "/v1/alerts", Some(&body)) else { return };
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.body[0].as_str().and_then(|id| id.parse().ok()).expect("a number");
        stage.known(Fact::Alert(id), true);
        stage.known(Fact::Decided(value.clone()), true);
        pool.lock().expect("no panic").push((value, id));
    }
}

/// Ends decisions, and deletes some of their alerts.
pub(crate) fn relent(stage: &Stage, client: &Client, pool: &Pool, seed: u64) {
    let _guard = OnPanic(stage);
    let mut random = Random::new(seed);
    while !stage.is_winding_down() {
        let taken = {
            let mut pool = pool.lock().expect("no panic");
            let n = u64::try_from(pool.len()).expect("few");
            // About half of them stay.
            (n > 2).then(|| pool.swap_remove(usize::try_from(random.below(n)).expect("few")))
        };
        let Some((value, id)) = taken else {
            stage.pause(2);
            continue;
        };
        if random.below(2) == 0 {
            continue;
        }
        let decided = Fact::Decided(value.clone());
        stage.unknown(&decided);
        let path = format!("/v1/decisions?ip={value}");
        let Some(answer) = insist(stage, client, "DELETE", &path, None) else { return };
        assert_eq!(answer.status, 200, "{answer:?}");
        stage.known(decided, false);
        if random.below(3) == 0 {
            stage.unknown(&Fact::Alert(id));
            let path = format!("/v1/alerts/{id}");
            let Some(answer) = insist(stage, client, "DELETE", &path, None) else { return };
            // The answer to an earlier request may have been lost with the server.
            assert!(answer.status == 200 || answer.status == 500, "{answer:?}");
            let gone = answer.status == 200 || answer.body.to_string().contains("not found");
            assert!(gone, "{answer:?}");
            stage.known(Fact::Alert(id), false);
        }
    }
}

/// Makes decisions that end by themselves soon.
pub(crate) fn flash(stage: &Stage, client: &Client) {
    let _guard = OnPanic(stage);
    let mut ends: Vec<(Instant, String)> = Vec::new();
    for n in 0_u32.. {
        let value = format!("172.16.{}.{}", n >> 8 & 255, n & 255);
        let uuid = format!("ffffffff-0000-4000-8000-{n:012x}");
        if !stage.is_winding_down() {
            let body = alert(&uuid, &value, "1s");
            let Some(answer) = insist(stage, client, "POST", "/v1/alerts", Some(&body)) else {
                return;
            };
            assert_eq!(answer.status, 201, "{answer:?}");
            // A repeated request repeats nothing, so it ends a second after it was stored, at most.
            ends.push((Instant::now() + Duration::from_millis(1500), value));
        } else if ends.is_empty() || stage.is_over() {
            return;
        }
        let (over, rest) = ends.into_iter().partition(|(end, _)| *end < Instant::now());
        ends = rest;
        let over: Vec<(Instant, String)> = over;
        over.into_iter().for_each(|(_, value)| stage.known(Fact::Decided(value), false));
        stage.pause(10);
    }
}

/// Registers machines.
pub(crate) fn register(stage: &Stage) {
    let _guard = OnPanic(stage);
    let client = Client { proof: String::new() };
    for n in 0.. {
        if stage.is_winding_down() {
            return;
        }
        let name = format!("machine-{n}");
        let body = json!({ "machine_id": name, "password": "no secret" });
        loop {
            let answer = insist(stage, &client, "POST", "/v1/watchers", Some(&body));
            let Some(answer) = answer else { return };
            match answer.status {
                201 | 202 => break,
                // The answer to an earlier request was lost with the server.
                403 if answer.body.to_string().contains("exist") => break,
                429 => stage.pause(200),
                _ => panic!("{answer:?}"),
            }
        }
        stage.known(Fact::Machine(name), true);
        // Hashing a password costs more than everything else here.
        stage.pause(150);
    }
}

/// Runs a tool beside the server, and kills some of them too. True: it said that it is done.
fn tool(mut command: Command, random: &mut Random, stage: &Stage) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    if random.below(4) == 0 {
        stage.pause(random.below(60));
        let _ended = child.kill();
        child.wait().expect("a status");
        return false;
    }
    let output = child.wait_with_output().expect("a status");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    true
}

/// Adds and deletes bouncers, and changes an allowlist, in the database itself.
pub(crate) fn administer(stage: &Stage, sandbox: &Sandbox, seed: u64) {
    let _guard = OnPanic(stage);
    let mut random = Random::new(seed);
    let command = |args: &[&str]| sandbox.command(&[args, &["-c", "config.yaml"]].concat());
    for n in 0_u32.. {
        if stage.is_winding_down() {
            return;
        }
        let (name, key) = (format!("bouncer-{n}"), format!("key-of-{n}"));
        let fact = Fact::Key(key.clone());
        if tool(command(&["bouncers", "add", &name, "--key", &key]), &mut random, stage) {
            stage.known(fact.clone(), true);
            if random.below(2) == 0 {
                stage.unknown(&fact);
                if tool(command(&["bouncers", "delete", &name]), &mut random, stage) {
                    stage.known(fact, false);
                }
            }
        }
        let value = format!("192.168.{}.{}", n >> 8 & 255, n & 255);
        let fact = Fact::Allowed(value.clone());
        if tool(command(&["allowlists", "add", "list", &value]), &mut random, stage) {
            stage.known(fact.clone(), true);
            if random.below(2) == 0 {
                stage.unknown(&fact);
                if tool(command(&["allowlists", "remove", "list", &value]), &mut random, stage) {
                    stage.known(fact, false);
                }
            }
        }
    }
}
