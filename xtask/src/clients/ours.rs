//! The other way round: our agent reports to Debian's crowdsec, also after that was away.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::running::{PATIENCE, Running};
use super::scene::Scene;
use super::server::Server;
use super::station::{self, Station};
use super::{Ending, Side, Steps};

const NAME: &str = "shieldwall-agent";

/// The attacker who comes while the server is away.
const LATER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    let Some(binary) = scene.binary() else {
        return Ok(Ending::Skipped("needs our program: name it with --binary".to_owned()));
    };
    let dir = scene.fresh_run_dir("our-agent")?;
    let mut server = Server::start(scene, Side::Crowdsec, &dir, None)?;
    let station = Station::new(scene, &dir.join("station"), None)?;
    server.machine(NAME, &station.credentials())?;

    let mut command = Command::new(binary);
    command.arg("agent").arg("-c").arg(station.config()).arg("--state").arg(dir.join("state"));
    command.env("TZ", "UTC");
    let agent = Running::start(&command, "our agent", &dir.join("agent.log"))?;
    let attack = steps.step("our alert arrives at theirs", || {
        station.attack_until_alert(&agent, || server.admin().alerts(&[]))
    })?;
    steps.step("the alert is complete, and their profile decided about it", || {
        let decisions = server.admin().decisions(&["--ip", &attack.address.to_string()])?;
        station::check_alert(&attack, &decisions)?;
        ensure!(attack.alert["machine_id"] == NAME, "{}", attack.alert);
        Ok(())
    })?;
    steps.step("our heartbeat arrives", || server.wait_for_heartbeat(NAME, &agent))?;
    steps.step("an alert from while they were away arrives, once", || {
        server.stop();
        station.attack(LATER)?;
        let address = LATER.to_string();
        agent.until("our agent sees the attack", PATIENCE, || {
            Ok(agent.said().contains(&address).then_some(()))
        })?;
        server.begin()?;
        let about = |alert: &Value| station::source(alert) == Some(address.as_str());
        let count = || -> Result<usize> {
            Ok(server.admin().alerts(&[])?.iter().filter(|alert| about(alert)).count())
        };
        agent.until("the alert", Duration::from_secs(90), || Ok((count()? > 0).then_some(())))?;
        // What was sent twice would follow in the next batch, which this attack makes.
        let known = server.admin().alerts(&[])?.len();
        station.attack(Ipv4Addr::new(203, 0, 113, 201))?;
        agent.until("the next alert", Duration::from_secs(90), || {
            Ok((server.admin().alerts(&[])?.len() > known).then_some(()))
        })?;
        let n_alerts = count()?;
        ensure!(n_alerts == 1, "it arrived {n_alerts} times");
        Ok(())
    })?;
    Ok(Ending::Passed)
}
