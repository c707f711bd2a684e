//! Debian's crowdsec-custom-bouncer, which calls a script for each decision: the perfect recorder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::running::{PATIENCE, Running};
use super::scene::Scene;
use super::server::Server;
use super::{Ending, Steps};

const EARLY: &str = "192.0.2.1";
const LIVE: &str = "192.0.2.2";
const LATE: &str = "192.0.2.4";
const SIX: &str = "2001:db8::3";
const RANGE: &str = "198.51.100.0/24";

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    let program = scene.debian_program("crowdsec-custom-bouncer")?;
    let dir = scene.fresh_run_dir("custom-bouncer")?;
    let mut server = Server::start(scene, scene.side(), &dir, None)?;
    let key = server.bouncer("custom")?;
    server.admin().ban(EARLY, "1h")?;

    let calls = dir.join("calls.txt");
    let config = write_config(&dir, &calls, &server.url(), &key)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    let bouncer = Running::start(&command, "the bouncer", &dir.join("bouncer.log"))?;
    let wait_for = |verb: &str, value: &str| {
        let start = format!("{verb}\t{value}\t");
        bouncer.until(&format!("{verb} {value}"), PATIENCE, || {
            let text = fs::read_to_string(&calls).unwrap_or_default();
            Ok(text.lines().any(|line| line.starts_with(&start)).then_some(()))
        })
    };
    steps.step("is told at once what was decided before it came", || wait_for("add", EARLY))?;
    steps.step("is told what is decided while it listens", || {
        for value in [LIVE, SIX, RANGE] {
            server.admin().ban(value, "1h")?;
        }
        [LIVE, SIX, RANGE].into_iter().try_for_each(|value| wait_for("add", value))
    })?;
    steps.step("is told what is deleted", || {
        server.admin().unban(LIVE)?;
        server.admin().unban(RANGE)?;
        wait_for("del", LIVE)?;
        wait_for("del", RANGE)
    })?;
    steps.step("goes on when the server was killed and is back", || {
        server.stop();
        server.begin()?;
        server.admin().ban(LATE, "1h")?;
        wait_for("add", LATE)
    })?;
    steps.step("is told each thing exactly once, and all about it", || {
        // It logs one such line for each answer: four more polls repeat whatever repeats.
        let polls = || bouncer.said().matches("adding '").count();
        let n_polls = polls();
        bouncer.until("four more polls", PATIENCE, || Ok((polls() > n_polls + 4).then_some(())))?;
        check_calls(&fs::read_to_string(&calls)?)
    })?;
    steps.step("is known by its type", || {
        server.wait_for_bouncer("custom", "crowdsec-custom-bouncer")
    })?;
    Ok(Ending::Passed)
}

/// Checks what the script was called with, of which every call has to be expected.
fn check_calls(text: &str) -> Result<()> {
    let mut expected = vec![
        ("add", EARLY, "Ip"),
        ("add", LIVE, "Ip"),
        ("add", LATE, "Ip"),
        ("add", SIX, "Ip"),
        ("add", RANGE, "Range"),
        ("del", LIVE, "Ip"),
        ("del", RANGE, "Range"),
    ];
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let [verb, value, seconds, scenario, json, ..] = words.as_slice() else {
            bail!("called with too little: {line}");
        };
        let known = expected
            .iter()
            .position(|(its_verb, its_value, _)| (its_verb, its_value) == (verb, value));
        let known = known.with_context(|| format!("once too often: {line}"))?;
        let (_, _, scope) = expected.swap_remove(known);
        let seconds: f64 = seconds.parse().with_context(|| format!("no seconds: {line}"))?;
        let is_fitting =
            if *verb == "add" { (3500.0..=3600.0).contains(&seconds) } else { seconds <= 0.0 };
        ensure!(is_fitting, "{seconds} seconds: {line}");
        let decision: Value = serde_json::from_str(json).with_context(|| line.to_owned())?;
        ensure!(decision["id"].is_u64(), "{line}");
        let facts = [
            ("origin", "cscli"),
            ("type", "ban"),
            ("scope", scope),
            ("value", value),
            ("scenario", scenario),
        ];
        for (key, expect) in facts {
            ensure!(decision[key] == expect, "{key} should be {expect}: {line}");
        }
    }
    ensure!(expected.is_empty(), "never called: {expected:?}");
    Ok(())
}

fn write_config(dir: &Path, calls: &Path, url: &str, key: &str) -> Result<std::path::PathBuf> {
    let script = dir.join("record.sh");
    let text =
        format!("#!/bin/sh\nprintf '%s\\t%s\\t%s\\t%s\\t%s\\n' \"$@\" >> '{}'\n", calls.display());
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let config = dir.join("bouncer.yaml");
    let text = format!(
        "bin_path: {}\n\
         feed_via_stdin: false\n\
         total_retries: 0\n\
         piddir: {dir}/\n\
         update_frequency: 1s\n\
         cache_retention_duration: 10s\n\
         daemonize: false\n\
         log_mode: stdout\n\
         log_dir: {dir}/\n\
         log_level: info\n\
         api_url: {url}\n\
         api_key: {key}\n\
         prometheus: {{enabled: false}}\n",
        script.display(),
        dir = dir.display()
    );
    fs::write(&config, text)?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(verb: &str, value: &str, seconds: i32) -> String {
        let scope = if value.contains('/') { "Range" } else { "Ip" };
        let decision = serde_json::json!({
            "id": 1, "origin": "cscli", "type": "ban", "scope": scope, "value": value,
            "scenario": "s", "duration": "1h",
        });
        format!("{verb}\t{value}\t{seconds}\ts\t{decision}\n")
    }

    #[test]
    fn calls_are_counted() {
        let mut text: String =
            [EARLY, LIVE, LATE, SIX, RANGE].iter().map(|value| call("add", value, 3599)).collect();
        text += &call("del", LIVE, 0);
        let missing = check_calls(&text).expect_err("one is missing").to_string();
        assert!(missing.contains("never called"), "{missing}");
        text += &call("del", RANGE, -1);
        check_calls(&text).expect("all there");
        let twice = check_calls(&(text.clone() + &call("add", SIX, 3599))).expect_err("twice");
        assert!(twice.to_string().contains("once too often"), "{twice}");
        let short = text.replacen("\t3599\t", "\t60\t", 1);
        assert!(check_calls(&short).is_err());
    }
}
