//! Alerts as text: one line for people, or the local API's JSON for programs.
//!
//! The wire's names and habits stay here (I7): what is empty is left out, durations and dates are
//! spelt as the incumbent spells them.

use crate::terminal::quoted;
use engine::builtins::{duration::format_duration, rfc3339::format_rfc3339_nano};
use model::{Alert, AlertEvent, Source};
use serde::Serialize;
use std::fmt::Write as _;

/// An alert as the local API takes it.
#[derive(Serialize)]
pub(crate) struct WireAlert<'a> {
    kind: &'static str,
    scenario: &'a str,
    scenario_hash: &'a str,
    scenario_version: &'a str,
    message: &'a str,
    events_count: u32,
    start_at: String,
    stop_at: String,
    capacity: i32,
    leakspeed: String,
    simulated: bool,
    remediation: bool,
    source: WireSource<'a>,
    events: Vec<WireEvent<'a>>,
    meta: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct WireSource<'a> {
    scope: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ip: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    range: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    as_number: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    as_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f32>,
}

#[derive(Serialize)]
struct WireEvent<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    timestamp: &'a str,
    meta: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> WireAlert<'a> {
    /// The alert for the wire.
    pub(crate) fn new(alert: &'a Alert) -> Self {
        Self {
            kind: "crowdsec",
            scenario: &alert.scenario,
            scenario_hash: &alert.scenario_hash,
            scenario_version: &alert.scenario_version,
            message: &alert.message,
            events_count: alert.events_count,
            start_at: format_rfc3339_nano(alert.start_at.into()),
            stop_at: format_rfc3339_nano(alert.stop_at.into()),
            capacity: alert.capacity,
            leakspeed: format_duration(
                i64::try_from(alert.leakspeed.as_nanos()).unwrap_or(i64::MAX),
            ),
            simulated: alert.simulated,
            remediation: alert.remediation,
            source: WireSource::new(&alert.source),
            events: alert.events.iter().map(WireEvent::new).collect(),
            meta: pairs(&alert.meta),
        }
    }
}

impl<'a> WireSource<'a> {
    fn new(source: &'a Source) -> Self {
        // Zero stands for unknown, as it does for those who read this.
        let known = |degrees: f32| (degrees != 0.0).then_some(degrees);
        Self {
            scope: source.scope.name(),
            value: &source.value,
            ip: &source.ip,
            range: &source.range,
            as_number: &source.as_number,
            as_name: &source.as_name,
            cn: &source.cn,
            latitude: known(source.latitude),
            longitude: known(source.longitude),
        }
    }
}

impl<'a> WireEvent<'a> {
    fn new(event: &'a AlertEvent) -> Self {
        Self { timestamp: &event.timestamp, meta: pairs(&event.meta) }
    }
}

fn pairs(meta: &[(String, String)]) -> Vec<Pair<'_>> {
    meta.iter().map(|(key, value)| Pair { key, value }).collect()
}

/// An alert as one line for people.
pub(crate) fn human(alert: &Alert, color: bool) -> String {
    let (bold, red, dim, reset) =
        if color { ("\x1b[1m", "\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "", "") };
    let source = &alert.source;
    let stop = format_rfc3339_nano(alert.stop_at.into());
    let lasted = format_duration(alert.stop_at.at.nanos_since(alert.start_at.at));
    let mut line = format!(
        "{dim}{stop}{reset} {bold}{}{reset} {} {red}{}{reset}",
        quoted(&alert.scenario),
        quoted(source.scope.name()),
        quoted(&source.value),
    );
    let network = match (source.as_number.as_str(), source.as_name.as_str()) {
        ("" | "0", name) => name.to_owned(),
        (number, "") => format!("AS{number}"),
        (number, name) => format!("AS{number} {name}"),
    };
    let whereabouts: Vec<&str> =
        [source.cn.as_str(), &network].into_iter().filter(|part| !part.is_empty()).collect();
    if !whereabouts.is_empty() {
        // Writing to a string cannot fail.
        let _infallible = write!(line, " ({})", quoted(&whereabouts.join(", ")));
    }
    let s = if alert.events_count == 1 { "" } else { "s" };
    let _infallible = write!(line, " {} event{s} in {lasted}", alert.events_count);
    if alert.simulated {
        line.push_str(" [simulated]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Scope, Time, Timestamp};
    use std::time::Duration;

    fn alert() -> Alert {
        let at = |seconds| Time::utc(Timestamp::from_unix(seconds, 0));
        Alert {
            scenario: "a/b".into(),
            scenario_hash: String::new(),
            scenario_version: String::new(),
            message: "Ip 192.0.2.1 performed 'a/b'".into(),
            events_count: 6,
            start_at: at(1_700_000_000),
            stop_at: at(1_700_000_025),
            capacity: 5,
            leakspeed: Duration::from_secs(10),
            simulated: true,
            remediation: true,
            source: Source {
                scope: Scope::Ip,
                value: "192.0.2.1".into(),
                ip: "192.0.2.1".into(),
                range: String::new(),
                as_name: "Example\x1b[0m".into(),
                as_number: "64500".into(),
                cn: "FR".into(),
                latitude: 0.0,
                longitude: 2.5,
            },
            events: vec![AlertEvent {
                timestamp: "2023-11-14T22:13:20Z".into(),
                meta: vec![("k".into(), "v".into())],
            }],
            meta: Vec::new(),
        }
    }

    #[test]
    fn people_get_a_line_that_cannot_act() {
        assert_eq!(
            human(&alert(), false),
            "2023-11-14T22:13:45Z a/b Ip 192.0.2.1 (FR, AS64500 Example\u{fffd}[0m) 6 events in 25s [simulated]"
        );
    }

    #[test]
    fn programs_get_the_names_of_the_wire() {
        let json = serde_json::to_string(&WireAlert::new(&alert())).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"crowdsec","scenario":"a/b","scenario_hash":"","scenario_version":"","message":"Ip 192.0.2.1 performed 'a/b'","events_count":6,"start_at":"2023-11-14T22:13:20Z","stop_at":"2023-11-14T22:13:45Z","capacity":5,"leakspeed":"10s","simulated":true,"remediation":true,"source":{"scope":"Ip","value":"192.0.2.1","ip":"192.0.2.1","as_number":"64500","as_name":"Example\u001b[0m","cn":"FR","longitude":2.5},"events":[{"timestamp":"2023-11-14T22:13:20Z","meta":[{"key":"k","value":"v"}]}],"meta":[]}"#
        );
    }
}
