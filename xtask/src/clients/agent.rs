//! Debian's crowdsec as an agent: it registers, is admitted, follows a log, and reports here.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::running::{self, Running};
use super::scene::Scene;
use super::server::Server;
use super::station::{self, Station};
use super::{Ending, Steps};

const NAME: &str = "debian-agent";

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    let dir = scene.fresh_run_dir("agent")?;
    let server = Server::start(scene, scene.side(), &dir, None)?;
    let station = Station::new(scene, &dir.join("station"), None)?;
    let credentials = station.credentials();

    steps.step("registers itself", || {
        let (url, file) = (server.url(), credentials.to_string_lossy().into_owned());
        // This version refuses to write a file that it cannot read.
        fs::write(&credentials, "url: http://127.0.0.1:8080/\n")?;
        station.cscli(&["lapi", "register", "-u", &url, "-f", &file, "--machine", NAME])?;
        let machine = server.known_machine(NAME)?;
        ensure!(machine["isValidated"] != true, "nobody admitted it yet: {machine}");
        Ok(())
    })?;
    steps.step("is refused before it is admitted", || {
        let refused = running::output(&station.cscli_command(&["lapi", "status"]), "lapi status");
        ensure!(refused.is_err(), "lapi status succeeds");
        Ok(())
    })?;
    steps.step("is admitted and logs in", || {
        server.tool(&["machines", "validate", NAME])?;
        station.cscli(&["lapi", "status"])
    })?;

    let command = station.agent();
    let agent = Running::start(&command, "Debian's agent", &dir.join("agent.log"))?;
    let attack = steps.step("its alert arrives", || {
        station.attack_until_alert(&agent, || server.admin().alerts(&[]))
    })?;
    steps.step("the alert is complete, and our profile decided about it", || {
        let decisions = server.admin().decisions(&["--ip", &attack.address.to_string()])?;
        station::check_alert(&attack, &decisions)?;
        ensure!(attack.alert["machine_id"] == NAME, "{}", attack.alert);
        let id = attack.alert["id"].as_u64().context("the alert has no number")?.to_string();
        // Only `inspect` is told the events.
        let whole = server.admin().cscli_json(&["alerts", "inspect", &id])?;
        let events = whole["events"].as_array().context("the alert has no events")?;
        let metas = events.iter().filter_map(|event| event["meta"].as_array()).flatten();
        let address = attack.address.to_string();
        let n_sources =
            metas.filter(|meta| meta["key"] == "source_ip" && meta["value"] == *address).count();
        ensure!(n_sources >= 5, "the events do not tell their source: {whole}");
        Ok(())
    })?;
    steps.step("it sends a heartbeat", || server.wait_for_heartbeat(NAME, &agent))?;
    steps.step("nothing was refused", || {
        let said = agent.said();
        let bad = said.lines().find(|line| {
            line.contains("level=error") || line.contains("level=fatal") || line.contains("panic")
        });
        ensure!(bad.is_none(), "the agent complains: {}", bad.unwrap_or_default());
        Ok(())
    })?;
    Ok(Ending::Passed)
}
