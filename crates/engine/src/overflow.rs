//! An overflow: what a bucket becomes, on its way to being one alert per source.
//!
//! All alerts of an overflow share everything but their source, so it holds the common part once
//! and the sources beside it. `evt.Overflow.Alert` is the first of them: writing its source's value
//! shows in `evt.Overflow.Sources` too, while the key stays (spec §4, aliasing).

use crate::builtins::duration::format_duration;
use crate::builtins::rfc3339::{format_rfc3339_nano, write_go_string};
use crate::value::{Map, Missing, ObjectKind, Value};
use alloc::{
    borrow::ToOwned, boxed::Box, collections::BTreeMap, format, string::String, sync::Arc, vec::Vec,
};
use model::{Alert, AlertEvent, Source};

/// What a bucket becomes when it overflows.
#[derive(Clone, Debug)]
pub struct Overflow {
    /// The bucket's key: SHA-1 of filter, partition and name in hex.
    pub mapkey: String,
    /// Whether it goes back into the scenarios.
    pub reprocess: bool,
    /// Whether a postoverflow whitelisted it.
    pub whitelisted: bool,
    /// Why.
    pub whitelist_reason: Box<str>,
    /// Names this overflow among all: the same each time the same lines make it, and that of no
    /// other. `None` where some line has no [`model::Stamp`].
    pub identity: Option<u128>,
    /// The alert, with the first source.
    pub alert: Alert,
    /// All sources by the key they were found under, sorted by key; never empty. The first one's
    /// current state is `alert.source`.
    pub sources: Vec<(String, Source)>,
}

impl Overflow {
    /// One alert per source.
    #[must_use]
    pub fn into_alerts(self) -> Vec<Alert> {
        let mut alerts = Vec::with_capacity(self.sources.len());
        for (_, source) in self.sources.into_iter().skip(1) {
            alerts.push(Alert { source, ..self.alert.clone() });
        }
        alerts.insert(0, self.alert);
        alerts
    }

    /// The sources as they are now.
    pub fn current_sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().enumerate().map(|(index, (key, source))| {
            (key.as_str(), if index == 0 { &self.alert.source } else { source })
        })
    }

    /// `evt.GetMeta` of an overflow: the first value that is not empty, over all events.
    #[must_use]
    pub fn meta(&self, key: &str) -> &str {
        self.alert
            .events
            .iter()
            .filter_map(|event| event.meta(key))
            .find(|value| !value.is_empty())
            .unwrap_or("")
    }

    /// `evt.Overflow` as expressions see it (spec §1.3).
    #[must_use]
    pub fn value(&self) -> Value {
        let alerts: Vec<Value> =
            self.current_sources().map(|(_, source)| alert_value(&self.alert, source)).collect();
        let sources: BTreeMap<Arc<str>, Value> = self
            .current_sources()
            .map(|(key, source)| (Arc::from(key), source_value(source)))
            .collect();
        let text = Value::shared;
        Value::object(
            ObjectKind::Overflow,
            alloc::vec![
                ("Mapkey", text(&self.mapkey)),
                ("BucketId", text("")),
                ("Whitelisted", Value::Bool(self.whitelisted)),
                ("Reprocess", Value::Bool(self.reprocess)),
                ("Sources", Value::Map(Arc::new(Map { missing: Missing::Nil, entries: sources }))),
                ("Alert", alerts.first().cloned().unwrap_or(Value::Nil)),
                ("APIAlerts", Value::list(alerts)),
            ],
        )
    }
}

/// `evt.Overflow` of an event that is none: everything empty.
#[must_use]
pub fn no_overflow() -> Value {
    Value::object(
        ObjectKind::Overflow,
        alloc::vec![
            ("Mapkey", Value::shared("")),
            ("BucketId", Value::shared("")),
            ("Whitelisted", Value::Bool(false)),
            ("Reprocess", Value::Bool(false)),
            ("Sources", Value::Map(Arc::new(Map::default()))),
            ("Alert", Value::Nil),
            ("APIAlerts", Value::list(Vec::new())),
        ],
    )
}

/// An alert as expressions see it (spec §1.4).
#[must_use]
pub fn alert_value(alert: &Alert, source: &Source) -> Value {
    let text = Value::shared;
    let events = alert.events.iter().map(event_value).collect();
    let meta = alert.meta.iter().map(|(key, value)| meta_item(key, value)).collect();
    Value::object(
        ObjectKind::Alert,
        alloc::vec![
            ("Capacity", Value::Int(i64::from(alert.capacity))),
            ("CreatedAt", text("")),
            ("Decisions", Value::list(Vec::new())),
            ("Events", Value::list(events)),
            ("EventsCount", Value::Int(i64::from(alert.events_count))),
            ("ID", Value::Int(0)),
            ("Kind", text("crowdsec")),
            ("Labels", Value::list(Vec::new())),
            ("Leakspeed", text(&format_duration(nanos(alert.leakspeed)))),
            ("MachineID", text("")),
            ("Message", text(&alert.message)),
            ("Meta", Value::list(meta)),
            ("Remediation", Value::Bool(alert.remediation)),
            ("Scenario", text(&alert.scenario)),
            ("ScenarioHash", text(&alert.scenario_hash)),
            ("ScenarioVersion", text(&alert.scenario_version)),
            ("Simulated", Value::Bool(alert.simulated)),
            ("Source", source_value(source)),
            ("StartAt", text(&format_rfc3339_nano(alert.start_at.into()))),
            ("StopAt", text(&format_rfc3339_nano(alert.stop_at.into()))),
            ("UUID", text("")),
        ],
    )
}

fn event_value(event: &AlertEvent) -> Value {
    let meta = event.meta.iter().map(|(key, value)| meta_item(key, value)).collect();
    Value::object(
        ObjectKind::AlertEvent,
        alloc::vec![("Meta", Value::list(meta)), ("Timestamp", Value::shared(&event.timestamp))],
    )
}

fn meta_item(key: &str, value: &str) -> Value {
    Value::object(
        ObjectKind::MetaItem,
        alloc::vec![("Key", Value::shared(key)), ("Value", Value::shared(value))],
    )
}

/// A source as expressions see it.
#[must_use]
pub fn source_value(source: &Source) -> Value {
    let text = Value::shared;
    Value::object(
        ObjectKind::Source,
        alloc::vec![
            ("IP", text(&source.ip)),
            ("Range", text(&source.range)),
            ("Scope", text(source.scope.name())),
            ("Value", text(&source.value)),
            ("AsName", text(&source.as_name)),
            ("AsNumber", text(&source.as_number)),
            ("Cn", text(&source.cn)),
            ("Latitude", Value::Float(f64::from(source.latitude))),
            ("Longitude", Value::Float(f64::from(source.longitude))),
        ],
    )
}

/// The line for people: `Ip 192.0.2.7 performed 'a/b' (6 events over 5s) at 2024-03-01 10:11:12 +0000 UTC`.
#[must_use]
pub fn message(
    scope: &str,
    sources: &[(String, Source)],
    scenario: &str,
    n_events: u32,
    lasted_nanos: i64,
    last: model::Time,
) -> String {
    let who = match sources {
        [] => "UNKNOWN".to_owned(),
        [(only, _)] => only.clone(),
        many => format!("{} sources", many.len()),
    };
    let lasted = format_duration(lasted_nanos);
    let mut text =
        format!("{scope} {who} performed '{scenario}' ({n_events} events over {lasted}) at ");
    write_go_string(last.into(), &mut text);
    text
}

/// A length of time in nanoseconds, saturating.
fn nanos(span: core::time::Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
