//! PyPI's pycrowdsec: its live client and its stream client, with one key.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::running::Dialog;
use super::scene::Scene;
use super::server::Server;
use super::{Ending, Steps};
use crate::child;

const REQUIREMENT: &str = "pycrowdsec==0.0.5";
const DRIVER: &str = include_str!("drivers/pycrowdsec.py");

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    if !child::is_installed("python3") {
        return Ok(Ending::Skipped("there is no python3".to_owned()));
    }
    let python = scene.python_with(REQUIREMENT)?;
    let dir = scene.fresh_run_dir("pycrowdsec")?;
    let server = Server::start(scene, scene.side(), &dir, None)?;
    let key = server.bouncer("python")?;
    let admin = server.admin();
    admin.ban("192.0.2.1", "1h")?;

    let start = |key: &str, log: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", DRIVER, &server.url(), key]);
        Dialog::start(&command, &dir.join(log))
    };
    let mut driver = start(&key, "driver.log")?;
    steps.step("streams what was decided before it came", || {
        driver.ask_until("stream 192.0.2.1", &json!("ban"))?;
        driver.ask_until("stream 192.0.2.2", &json!(null))
    })?;
    steps.step("asks about single addresses", || {
        driver.ask_until("live 192.0.2.1", &json!(["ban"]))?;
        driver.ask_until("live 192.0.2.2", &json!([]))
    })?;
    steps.step("streams what is decided while it listens", || {
        admin.ban("192.0.2.2", "1h")?;
        admin.ban("198.51.100.0/24", "1h")?;
        admin.ban("2001:db8::2", "1h")?;
        driver.ask_until("stream 192.0.2.2", &json!("ban"))?;
        driver.ask_until("stream 2001:db8::2", &json!("ban"))?;
        driver.ask_until("stream 198.51.100.77", &json!("ban"))
    })?;
    steps.step("asks about an address in a banned range", || {
        driver.ask_until("live 198.51.100.77", &json!(["ban"]))?;
        driver.ask_until("live 2001:db8::2", &json!(["ban"]))
    })?;
    steps.step("streams what is deleted", || {
        for value in ["192.0.2.1", "198.51.100.0/24", "2001:db8::2"] {
            admin.unban(value)?;
        }
        for value in ["192.0.2.1", "198.51.100.77", "2001:db8::2"] {
            driver.ask_until(&format!("stream {value}"), &json!(null))?;
            driver.ask_until(&format!("live {value}"), &json!([]))?;
        }
        driver.ask_until("stream 192.0.2.2", &json!("ban"))
    })?;
    steps.step("is refused with a wrong key", || {
        start("not-a-key", "stranger.log")?.ask_until("status", &json!("403"))
    })?;
    steps.step("is known by its type", || server.wait_for_bouncer("python", "python-bouncer"))?;
    Ok(Ending::Passed)
}
