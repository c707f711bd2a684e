//! Debian's cscli against a server: everything that goes through the local API.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::running;
use super::scene::Scene;
use super::server::Server;
use super::station::{Station, source};
use super::{Ending, Steps};

const ADDRESS: &str = "192.0.2.7";
const SIX: &str = "2001:db8::7";
const RANGE: &str = "198.51.100.0/24";

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    let dir = scene.fresh_run_dir("cscli")?;
    let server = Server::start(scene, scene.side(), &dir, None)?;
    let station = Station::new(scene, &dir.join("station"), None)?;
    server.machine("tool", &station.credentials())?;

    steps.step("lapi status", || station.cscli(&["lapi", "status"]))?;
    steps.step("lapi status with a wrong password", || {
        let stranger = Station::new(scene, &dir.join("stranger"), None)?;
        let text = fs::read_to_string(station.credentials())?.replace("Correct", "Wrong");
        fs::write(stranger.credentials(), text)?;
        let refused = running::output(&stranger.cscli_command(&["lapi", "status"]), "lapi status");
        ensure!(refused.is_err(), "it succeeds");
        Ok(())
    })?;
    steps.step("empty lists", || {
        ensure!(station.alerts(&[])?.is_empty() && station.decisions(&[])?.is_empty());
        Ok(())
    })?;
    add(&station, steps)?;
    list(&station, steps)?;
    alerts(&station, steps)?;
    delete(&station, steps)?;
    Ok(Ending::Passed)
}

fn add(station: &Station<'_>, steps: &Steps<'_>) -> Result<()> {
    steps.step("decisions add", || {
        station.cscli(&[
            "decisions",
            "add",
            "--ip",
            ADDRESS,
            "--duration",
            "2h",
            "--reason",
            "too curious",
        ])?;
        station.cscli(&[
            "decisions",
            "add",
            "--ip",
            SIX,
            "--duration",
            "3h",
            "--type",
            "captcha",
        ])?;
        station.cscli(&["decisions", "add", "--range", RANGE, "--duration", "1h30m"])?;
        station.cscli(&[
            "decisions",
            "add",
            "--scope",
            "Country",
            "--value",
            "ZZ",
            "--duration",
            "5m",
        ])?;
        let decisions = station.decisions(&[])?;
        ensure!(decisions.len() == 4, "four were made, there are {}", decisions.len());
        let decision = about(&decisions, ADDRESS)?;
        let expected =
            [("origin", "cscli"), ("scenario", "too curious"), ("scope", "Ip"), ("type", "ban")];
        for (key, value) in expected {
            ensure!(decision[key] == value, "{key} should be {value}: {decision}");
        }
        // What is left, in whole seconds: asked at once, all of it.
        let lasts = |value: &str, whole: &str, start: &str| -> Result<()> {
            let decision = about(&decisions, value)?;
            let duration = decision["duration"].as_str().unwrap_or_default();
            let fits = duration == whole || duration.starts_with(start);
            ensure!(fits, "duration should be {whole} or {start}…: {decision}");
            Ok(())
        };
        lasts(ADDRESS, "2h0m0s", "1h59m")?;
        lasts(SIX, "3h0m0s", "2h59m")?;
        lasts(RANGE, "1h30m0s", "1h29m")?;
        lasts("ZZ", "5m0s", "4m")
    })?;
    steps.step("decisions import", || {
        // This version reads a file by its name: keys of JSON objects in a list.
        let path = station.config().with_file_name("import.json");
        let values = ["192.0.2.101", "192.0.2.102", "192.0.2.103"];
        let rows: Vec<Value> = values
            .iter()
            .map(|value| {
                serde_json::json!({
                    "value": value, "scope": "Ip", "type": "ban", "duration": "24h",
                    "reason": "imported",
                })
            })
            .collect();
        fs::write(&path, serde_json::to_string(&rows)?)?;
        station.cscli(&["decisions", "import", "--input", &path.to_string_lossy()])?;
        let decisions = station.decisions(&["--origin", "cscli-import"])?;
        ensure!(decisions.len() == 3, "three were imported, there are {}", decisions.len());
        values.iter().try_for_each(|value| about(&decisions, value).map(drop))
    })
}

fn list(station: &Station<'_>, steps: &Steps<'_>) -> Result<()> {
    steps.step("decisions list with filters", || {
        let check = |filter: &[&str], expect: &[&str]| -> Result<()> {
            let decisions = station.decisions(filter)?;
            let mut found: Vec<&str> =
                decisions.iter().filter_map(|decision| decision["value"].as_str()).collect();
            found.sort_unstable();
            ensure!(found == expect, "{}: {found:?}, not {expect:?}", filter.join(" "));
            Ok(())
        };
        check(&["--ip", ADDRESS], &[ADDRESS])?;
        check(&["--ip", SIX], &[SIX])?;
        check(&["--ip", "198.51.100.77"], &[RANGE])?;
        check(&["--range", RANGE], &[RANGE])?;
        check(&["--range", "192.0.2.0/29", "--contained"], &[ADDRESS])?;
        check(&["--type", "captcha"], &[SIX])?;
        check(&["--scope", "Country"], &["ZZ"])?;
        check(&["--ip", "192.0.2.8"], &[])
    })?;
    steps.step("decisions list for people and as CSV", || {
        let table = station.cscli(&["decisions", "list"])?;
        ensure!(table.contains(ADDRESS) && table.contains(SIX), "{table}");
        let csv = station.cscli(&["decisions", "list", "-o", "raw"])?;
        ensure!(csv.contains(&format!("Ip:{ADDRESS}")), "{csv}");
        Ok(())
    })
}

fn alerts(station: &Station<'_>, steps: &Steps<'_>) -> Result<()> {
    steps.step("alerts list with filters", || {
        // One for each manual decision, one for the import, which old servers hide by default.
        let alerts = station.alerts(&["--all"])?;
        ensure!(alerts.len() == 5, "five were made, there are {}", alerts.len());
        let decisions = |alert: &Value| alert["decisions"].as_array().map_or(0, Vec::len);
        ensure!(alerts.iter().any(|alert| decisions(alert) == 3), "one is the import: {alerts:?}");
        let alerts = station.alerts(&["--ip", ADDRESS])?;
        ensure!(alerts.len() == 1 && source(&alerts[0]) == Some(ADDRESS), "{alerts:?}");
        let alerts = station.alerts(&["--limit", "2"])?;
        ensure!(alerts.len() == 2, "a limit of two gives {}", alerts.len());
        ensure!(station.alerts(&["--until", "1h"])?.is_empty(), "nothing is an hour old");
        let recent = station.alerts(&["--all", "--since", "1h"])?;
        ensure!(recent.len() == 5, "all are from this hour, not {}", recent.len());
        Ok(())
    })?;
    steps.step("alerts inspect", || {
        let id = alert_id(station, ADDRESS)?;
        let alert = station.cscli_json(&["alerts", "inspect", &id.to_string()])?;
        ensure!(alert["id"] == id && source(&alert) == Some(ADDRESS), "{alert}");
        ensure!(alert["machine_id"] == "tool", "{alert}");
        let decisions = alert["decisions"].as_array().map_or(0, Vec::len);
        ensure!(decisions == 1, "{alert}");
        let text = station.cscli(&["alerts", "inspect", "--details", &id.to_string()])?;
        ensure!(text.contains(ADDRESS), "{text}");
        Ok(())
    })?;
    steps.step("alerts inspect of none", || {
        let command = station.cscli_command(&["alerts", "inspect", "999999"]);
        ensure!(running::output(&command, "alerts inspect").is_err(), "it succeeds");
        Ok(())
    })
}

fn delete(station: &Station<'_>, steps: &Steps<'_>) -> Result<()> {
    steps.step("decisions delete", || {
        let n_before = station.decisions(&[])?.len();
        station.unban(ADDRESS)?;
        ensure!(station.decisions(&["--ip", ADDRESS])?.is_empty(), "it is still there");
        let decisions = station.decisions(&["--ip", SIX])?;
        let id = about(&decisions, SIX)?["id"].to_string();
        station.cscli(&["decisions", "delete", "--id", &id])?;
        station.cscli(&["decisions", "delete", "--range", RANGE])?;
        let n_after = station.decisions(&[])?.len();
        ensure!(n_after + 3 == n_before, "of {n_before} three were deleted, {n_after} are left");
        Ok(())
    })?;
    steps.step("a deleted decision stays with its alert", || {
        let id = alert_id(station, ADDRESS)?;
        let alert = station.cscli_json(&["alerts", "inspect", &id.to_string()])?;
        let duration = alert["decisions"][0]["duration"].as_str().unwrap_or_default();
        ensure!(duration.starts_with('-'), "it should be over: {alert}");
        Ok(())
    })?;
    steps.step("alerts delete", || {
        station.cscli(&["alerts", "delete", "--ip", ADDRESS])?;
        ensure!(station.alerts(&["--ip", ADDRESS])?.is_empty(), "it is still there");
        station.cscli(&["alerts", "delete", "--all"])?;
        ensure!(station.alerts(&[])?.is_empty(), "alerts are left");
        ensure!(station.decisions(&[])?.is_empty(), "decisions are left");
        Ok(())
    })
}

fn about<'a>(decisions: &'a [Value], value: &str) -> Result<&'a Value> {
    let found = decisions.iter().find(|decision| decision["value"] == value);
    found.with_context(|| format!("no decision about {value}"))
}

fn alert_id(station: &Station<'_>, address: &str) -> Result<u64> {
    let alerts = station.alerts(&["--ip", address])?;
    let alert = alerts.first().with_context(|| format!("no alert about {address}"))?;
    alert["id"].as_u64().context("the alert has no number")
}
