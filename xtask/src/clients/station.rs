//! A Debian installation of crowdsec that talks to a server: its `cscli` and its agent.
//!
//! The program and the rules are Debian's; the configuration and the credentials are its own.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::date::Moment;

use super::namespace::{self, Namespace};
use super::running;
use super::scene::Scene;

/// Such an installation.
pub(crate) struct Station<'a> {
    scene: &'a Scene,
    namespace: Option<&'a Namespace>,
    dir: PathBuf,
}

impl<'a> Station<'a> {
    /// Makes one in a directory, without credentials.
    pub(crate) fn new(
        scene: &'a Scene,
        dir: &Path,
        namespace: Option<&'a Namespace>,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let station = Self { scene, namespace, dir: dir.to_path_buf() };
        fs::write(station.attacked_log(), "")?;
        fs::write(
            dir.join("acquis.yaml"),
            format!(
                "filenames: [{}]\nlabels: {{type: syslog}}\n",
                station.attacked_log().display()
            ),
        )?;
        fs::write(station.config(), station.config_text())?;
        Ok(station)
    }

    /// Its configuration, which our agent reads as well.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.yaml")
    }

    /// Its credentials, which may be missing.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.dir.join("credentials.yaml")
    }

    /// The log that an agent here follows.
    fn attacked_log(&self) -> PathBuf {
        self.dir.join("auth.txt")
    }

    fn config_text(&self) -> String {
        let (rules, dir) = (self.scene.rules(), self.dir.display());
        let (rules, data) = (rules.display(), self.scene.peer().data_dir().display());
        format!(
            "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: .}}\n\
             config_paths:\n\
             \x20 config_dir: {rules}/\n\
             \x20 data_dir: {data}/\n\
             \x20 simulation_path: {rules}/simulation.yaml\n\
             \x20 hub_dir: {rules}/hub/\n\
             \x20 index_path: {rules}/hub/.index.json\n\
             \x20 notification_dir: {dir}/notifications/\n\
             \x20 plugin_dir: {dir}/plugins/\n\
             crowdsec_service: {{acquisition_path: {dir}/acquis.yaml, parser_routines: 1}}\n\
             cscli: {{output: human}}\n\
             api:\n\
             \x20 client:\n\
             \x20   insecure_skip_verify: false\n\
             \x20   credentials_path: {dir}/credentials.yaml\n\
             prometheus: {{enabled: false}}\n"
        )
    }

    /// A call of its `cscli`.
    pub(crate) fn cscli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.peer().program("cscli");
        command.arg("-c").arg(self.config()).args(arguments);
        namespace::inside(self.namespace, command)
    }

    /// What its `cscli` prints.
    pub(crate) fn cscli(&self, arguments: &[&str]) -> Result<String> {
        running::output(&self.cscli_command(arguments), &format!("cscli {}", arguments.join(" ")))
    }

    /// What its `cscli` prints as JSON; nothing is an empty list.
    pub(crate) fn cscli_json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.cscli(&[arguments, &["-o", "json"]].concat())?;
        json(&text).with_context(|| format!("cscli {} -o json", arguments.join(" ")))
    }

    /// The alerts its `cscli` lists.
    pub(crate) fn alerts(&self, filter: &[&str]) -> Result<Vec<Value>> {
        Ok(list(self.cscli_json(&[&["alerts", "list"], filter].concat())?))
    }

    /// The decisions its `cscli` lists, out of the alerts that hold them.
    pub(crate) fn decisions(&self, filter: &[&str]) -> Result<Vec<Value>> {
        let alerts = list(self.cscli_json(&[&["decisions", "list"], filter].concat())?);
        Ok(alerts.into_iter().flat_map(|alert| list(alert["decisions"].clone())).collect())
    }

    /// Bans an address or a range.
    pub(crate) fn ban(&self, value: &str, duration: &str) -> Result<()> {
        self.cscli(&["decisions", "add", flag(value), value, "--duration", duration])?;
        Ok(())
    }

    /// Ends the ban of an address or a range.
    pub(crate) fn unban(&self, value: &str) -> Result<()> {
        self.cscli(&["decisions", "delete", flag(value), value])?;
        Ok(())
    }

    /// The command that runs its agent, without a local API.
    pub(crate) fn agent(&self) -> Command {
        let mut command = self.scene.peer().program("crowdsec");
        command.arg("-c").arg(self.config()).args(["-no-api", "-no-capi"]);
        command
    }

    /// Lets `attacker` guess passwords: enough lines for one alert by `crowdsecurity/ssh-bf`.
    pub(crate) fn attack(&self, attacker: Ipv4Addr) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let date = Moment(i64::try_from(since.as_millis())?).syslog();
        let line = format!(
            "{date} gate sshd[4711]: Failed password for invalid user guest from {attacker} port \
             50022 ssh2\n"
        );
        append(&self.attacked_log(), &line.repeat(7))
    }
}

/// The flag for what is to be banned.
fn flag(value: &str) -> &'static str {
    if value.contains('/') { "--range" } else { "--ip" }
}

/// Adds text to a file, in one write.
fn append(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::options().append(true).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("writing {}", path.display()))
}

/// Reads what a tool printed; these tools print nothing, or `null`, for an empty list.
pub(crate) fn json(text: &str) -> Result<Value> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return Ok(Value::Array(Vec::new()));
    }
    serde_json::from_str(text).with_context(|| format!("reading JSON: {text:.200}"))
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// An address that attacked, and its alert.
pub(crate) struct Attack {
    pub(crate) address: Ipv4Addr,
    pub(crate) alert: Value,
}

impl Station<'_> {
    /// Attacks from new addresses until `seen` shows an alert of one of them. The agent that
    /// follows the log may not have opened it yet, and then misses the first.
    pub(crate) fn attack_until_alert(
        &self,
        agent: &running::Running,
        mut seen: impl FnMut() -> Result<Vec<Value>>,
    ) -> Result<Attack> {
        let mut addresses = Vec::new();
        let mut n_looks = 0_u32;
        agent.until("an alert", Duration::from_secs(90), || {
            // Looks take about half a second each: a new address every few seconds.
            if n_looks.is_multiple_of(6) {
                let last = 10 + u8::try_from(addresses.len())?;
                let address = Ipv4Addr::new(203, 0, 113, last);
                self.attack(address)?;
                addresses.push(address);
            }
            n_looks += 1;
            let found = seen()?.into_iter().find_map(|alert| {
                let address = source(&alert).and_then(|value| value.parse().ok())?;
                addresses.contains(&address).then_some(Attack { address, alert })
            });
            Ok(found)
        })
    }
}

/// The address an alert is about.
pub(crate) fn source(alert: &Value) -> Option<&str> {
    alert["source"]["value"].as_str()
}

/// Checks that an alert and its decision are what the attack and the profile make of it.
pub(crate) fn check_alert(attack: &Attack, decisions: &[Value]) -> Result<()> {
    let alert = &attack.alert;
    ensure!(alert["scenario"] == "crowdsecurity/ssh-bf", "the alert is {alert}");
    ensure!(alert["source"]["scope"] == "Ip", "the alert is {alert}");
    ensure!(alert["events_count"].as_u64().is_some_and(|count| count >= 6), "{alert}");
    let address = attack.address.to_string();
    let decision = decisions.iter().find(|decision| decision["value"] == *address);
    let decision = decision.with_context(|| format!("no decision about {address}"))?;
    let expected = [
        ("origin", "crowdsec"),
        ("scenario", "crowdsecurity/ssh-bf"),
        ("scope", "Ip"),
        ("type", "ban"),
    ];
    for (key, value) in expected {
        ensure!(decision[key] == value, "{key} should be {value}: {decision}");
    }
    let duration = decision["duration"].as_str().unwrap_or_default();
    let fits = duration == "4h0m0s" || duration.starts_with("3h59m");
    ensure!(fits, "the profile says 4h: {decision}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_empty_list() {
        assert_eq!(json("null\n").expect("JSON"), serde_json::json!([]));
        assert_eq!(json("").expect("JSON"), serde_json::json!([]));
        assert_eq!(json("{\"a\": 1}").expect("JSON"), serde_json::json!({"a": 1}));
        assert!(json("No active decisions").is_err());
    }

    #[test]
    fn alerts_are_checked() {
        let alert = serde_json::json!({
            "scenario": "crowdsecurity/ssh-bf", "events_count": 6,
            "source": {"scope": "Ip", "value": "203.0.113.9"},
        });
        let attack = Attack { address: Ipv4Addr::new(203, 0, 113, 9), alert };
        let mut decision = serde_json::json!({
            "origin": "crowdsec", "scenario": "crowdsecurity/ssh-bf", "scope": "Ip", "type": "ban",
            "value": "203.0.113.9", "duration": "3h59m58s",
        });
        check_alert(&attack, std::slice::from_ref(&decision)).expect("a good alert");
        assert!(check_alert(&attack, &[]).is_err());
        decision["duration"] = "1h".into();
        assert!(check_alert(&attack, &[decision]).is_err());
    }
}
