//! npm's @crowdsec/nodejs-bouncer: health, live and stream mode, usage metrics.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::running::Dialog;
use super::scene::Scene;
use super::server::Server;
use super::{Ending, Side, Steps};
use crate::child;

const PACKAGE: &str = "@crowdsec/nodejs-bouncer@0.2.0";
const DRIVER: &str = include_str!("drivers/nodejs-bouncer.mjs");

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    if let Some(missing) = ["node", "npm"].into_iter().find(|name| !child::is_installed(name)) {
        return Ok(Ending::Skipped(format!("there is no {missing}")));
    }
    let modules = scene.node_dir_with(PACKAGE)?;
    let dir = scene.fresh_run_dir("nodejs-bouncer")?;
    let server = Server::start(scene, scene.side(), &dir, None)?;
    let key = server.bouncer("node")?;
    let admin = server.admin();
    admin.ban("192.0.2.1", "1h")?;

    // Modules are looked for beside the script.
    let script = modules.join("driver.mjs");
    fs::write(&script, DRIVER)?;
    let url = server.url();
    let start = |key: &str, log: &str| {
        let mut command = Command::new("node");
        command.arg(&script).arg(url.trim_end_matches('/')).arg(key);
        Dialog::start(&command, &dir.join(log))
    };
    let mut driver = start(&key, "driver.log")?;
    let ban = json!({"remediation": "ban", "origin": "cscli"});
    let bypass = json!({"remediation": "bypass", "origin": "clean"});

    steps.step("finds the server healthy", || driver.ask_until("health", &json!("OK")))?;
    steps.step("tells a wrong key from a broken server", || {
        start("not-a-key", "stranger.log")?.ask_until("health", &json!("INVALID_API_TOKEN"))
    })?;
    steps.step("asks about single addresses", || {
        driver.ask_until("live 192.0.2.1", &ban)?;
        driver.ask_until("live 192.0.2.2", &bypass)
    })?;
    steps.step("streams what was decided before it came", || {
        driver.ask_until("stream 192.0.2.1", &ban)?;
        driver.ask_until("stream 192.0.2.2", &bypass)
    })?;
    steps.step("streams what is decided while it listens", || {
        admin.ban("192.0.2.2", "1h")?;
        admin.ban("198.51.100.0/24", "1h")?;
        driver.ask_until("stream 192.0.2.2", &ban)?;
        driver.ask_until("stream 198.51.100.77", &ban)?;
        driver.ask_until("live 198.51.100.77", &ban)
    })?;
    steps.step("shows its wall to whoever is banned", || {
        driver.ask_until("wall 192.0.2.2", &json!(403))?;
        driver.ask_until("wall 192.0.2.3", &json!(200))
    })?;
    steps.step("streams what is deleted", || {
        admin.unban("192.0.2.1")?;
        admin.unban("198.51.100.0/24")?;
        for address in ["192.0.2.1", "198.51.100.77"] {
            driver.ask_until(&format!("stream {address}"), &bypass)?;
            driver.ask_until(&format!("live {address}"), &bypass)?;
        }
        driver.ask_until("stream 192.0.2.2", &ban)
    })?;
    steps.step("is known by its type", || server.wait_for_bouncer("node", "nodejs-cs-bouncer"))?;
    match scene.side() {
        Side::Ours => {
            steps.step("delivers its usage metrics, and is known by what they say", || {
                driver.ask_until("metrics", &json!(true))?;
                server.wait_for_bouncer("node", "crowdsec-nodejs-bouncer")
            })?
        }
        Side::Crowdsec => child::print(
            "SKIPPED nodejs-bouncer: usage metrics: Debian's server is too old for them",
        ),
    }
    Ok(Ending::Passed)
}
