//! What two engines must agree on about an alert, read from either one's JSON.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::{Deserializer, Value};

/// The compared part of an alert. Ordered by time first, for people who read tables of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) stop: String,
    pub(crate) scenario: String,
    pub(crate) source: String,
    pub(crate) start: String,
    pub(crate) n_events: u64,
    pub(crate) remediation: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stop, scenario, source, start, n_events, remediation } = self;
        let remedy = if *remediation { "remedy" } else { "-" };
        write!(out, "{scenario:<44} {source:<24} {n_events:>4} {start} .. {stop} {remedy}")
    }
}

/// Reads alerts in the names of the wire: `scenario`, `source`, `events_count`, `start_at`, …
///
/// COMPAT(crowdsec): an alert with several sources is posted once per source, but the incumbent's
/// copies all carry the same, arbitrarily chosen one. Such copies count once, under the words of
/// the message (`3 sources`).
pub(crate) fn seen(alerts: &[Value]) -> Vec<Seen> {
    let mut all: Vec<Seen> = alerts.iter().map(one).collect();
    all.sort();
    let mut kept: Vec<Seen> = Vec::new();
    for alert in all {
        if alert.source.ends_with(" sources") && kept.last() == Some(&alert) {
            continue;
        }
        kept.push(alert);
    }
    kept
}

fn one(alert: &Value) -> Seen {
    let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
    let source = &alert["source"];
    let value = source["value"].as_str().or_else(|| source.as_str()).unwrap_or_default();
    let several = sources_in_message(alert["message"].as_str().unwrap_or_default());
    Seen {
        stop: text("stop_at"),
        scenario: text("scenario"),
        source: several.unwrap_or_else(|| value.to_owned()),
        start: text("start_at"),
        n_events: alert["events_count"].as_u64().unwrap_or(0),
        remediation: alert["remediation"].as_bool().unwrap_or(false),
    }
}

/// `Ip 3 sources performed '…'` gives `3 sources`.
fn sources_in_message(message: &str) -> Option<String> {
    let who = message.split(" performed '").next()?;
    let mut words = who.rsplitn(3, ' ');
    let (last, count) = (words.next()?, words.next()?);
    let several = last == "sources" && count.bytes().all(|byte| byte.is_ascii_digit());
    several.then(|| format!("{count} sources"))
}

/// Collects the alerts in a program's JSON output: an array, an object with `alerts`, or one object
/// per line.
pub(crate) fn in_output(text: &str) -> Result<Vec<Value>> {
    let mut alerts = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.context("reading alerts")?;
        match value {
            Value::Array(items) => alerts.extend(items),
            Value::Object(mut object) => match object.get_mut("alerts").map(Value::take) {
                Some(Value::Array(items)) => alerts.extend(items),
                Some(_) => {}
                None if object.contains_key("scenario") => alerts.push(Value::Object(object)),
                None => {}
            },
            _ => {}
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_three_shapes_of_output() {
        let alert = r#"{"scenario":"a","source":{"value":"192.0.2.1"},"events_count":6}"#;
        for text in [
            format!("[{alert}]"),
            format!(r#"{{"lines":3,"alerts":[{alert}]}}"#),
            format!("{alert}\n{{\"lines\":3}}\n"),
        ] {
            let alerts = seen(&in_output(&text).expect("alerts"));
            assert_eq!(alerts.len(), 1, "{text}");
            assert_eq!(alerts[0].source, "192.0.2.1");
            assert_eq!(alerts[0].n_events, 6);
        }
        assert!(in_output("{\"alerts\":null}").expect("alerts").is_empty());
        assert!(in_output("nonsense").is_err());
    }

    #[test]
    fn copies_of_a_shared_alert_count_once() {
        let alert = |ip: &str| {
            json!({"scenario": "s", "source": {"value": ip}, "stop_at": "t",
                   "message": "Ip 2 sources performed 's' (11 events over 1s) at t"})
        };
        let alerts = seen(&[alert("192.0.2.1"), alert("192.0.2.1")]);
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].source, "2 sources");
        let plain =
            json!({"message": "Ip 192.0.2.1 performed 's'", "source": {"value": "192.0.2.1"}});
        assert_eq!(seen(&[plain])[0].source, "192.0.2.1");
    }
}
