//! An alert on the wire: what agents post and what people look at.

use model::{AlertEvent, NewDecision, Time, Timestamp, canonical_scope};
use serde::{Deserialize, Serialize};

use crate::{Decision, date, duration, duration::BadDuration};

/// An alert. As with [`Decision`], what the wire can leave out is an `Option`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Capacity of the bucket; -1 means unbounded.
    pub capacity: Option<i32>,
    /// When the server stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// What was decided.
    pub decisions: Option<Vec<Decision>>,
    /// The events that show it.
    pub events: Option<Vec<Event>>,
    /// How many events there were, which may be more than `events` holds.
    pub events_count: Option<i32>,
    /// Its number; given by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// `crowdsec`, `waf`, `cscli`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Never stored; always null in answers.
    #[serde(deserialize_with = "text::ignored")]
    pub labels: Option<Vec<String>>,
    /// The time one event takes to leak.
    pub leakspeed: Option<String>,
    /// Who sent it; given by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// One line for people.
    pub message: Option<String>,
    /// Alert context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Vec<MetaItem>>,
    /// Whether it asks for a decision.
    #[serde(skip_serializing_if = "text::is_false")]
    pub remediation: Option<bool>,
    /// The scenario.
    pub scenario: Option<String>,
    /// Hash of the scenario's file.
    pub scenario_hash: Option<String>,
    /// Version of the scenario's file.
    pub scenario_version: Option<String>,
    /// Whether the scenario only simulates.
    pub simulated: Option<bool>,
    /// Who did it.
    pub source: Option<Source>,
    /// When the first event was poured.
    pub start_at: Option<String>,
    /// When the bucket overflowed.
    pub stop_at: Option<String>,
    /// Its identifier. A sender who repeats an alert with its identifier repeats nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

/// One event of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What was known of it.
    pub meta: Option<Vec<MetaItem>>,
    /// When it happened: RFC 3339 from senders, as Go prints times in answers.
    pub timestamp: Option<String>,
}

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetaItem {
    /// The key.
    #[serde(deserialize_with = "text::null_as_empty")]
    pub key: String,
    /// The value.
    #[serde(deserialize_with = "text::null_as_empty")]
    pub value: String,
}

/// Who caused an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Name of the autonomous system.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub as_name: Option<String>,
    /// Number of the autonomous system.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub as_number: Option<String>,
    /// Country code.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub cn: Option<String>,
    /// The address.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub ip: Option<String>,
    /// Degrees north.
    #[serde(skip_serializing_if = "text::is_zero")]
    pub latitude: Option<f32>,
    /// Degrees east.
    #[serde(skip_serializing_if = "text::is_zero")]
    pub longitude: Option<f32>,
    /// The network the address belongs to.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub range: Option<String>,
    /// What kind of thing `value` is.
    pub scope: Option<String>,
    /// Whom it is about.
    pub value: Option<String>,
}

/// Why something from the wire is no noun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// What must be there is not; one line for each, without the heading.
    #[error("validation failure list:\n{}", .0.join("\n"))]
    Missing(Vec<String>),
    /// A duration that is none.
    #[error("decision duration '{text}' : {source}: unable to parse type")]
    Duration {
        /// What was sent.
        text: String,
        /// What is wrong with it.
        source: BadDuration,
    },
}

impl Alert {
    /// An alert to send. Identifier, kind and decisions are the sender's to add.
    #[must_use]
    pub fn from_model(alert: &model::Alert) -> Self {
        let nanos = i64::try_from(alert.leakspeed.as_nanos()).unwrap_or(i64::MAX);
        let events = alert.events.iter().map(|event| Event {
            meta: Some(pairs(&event.meta)),
            timestamp: Some(event.timestamp.clone()),
        });
        Self {
            capacity: Some(alert.capacity),
            events: Some(events.collect()),
            events_count: Some(i32::try_from(alert.events_count).unwrap_or(i32::MAX)),
            leakspeed: Some(duration::format(nanos)),
            message: Some(alert.message.clone()),
            meta: (!alert.meta.is_empty()).then(|| pairs(&alert.meta)),
            remediation: Some(alert.remediation),
            scenario: Some(alert.scenario.clone()),
            scenario_hash: Some(alert.scenario_hash.clone()),
            scenario_version: Some(alert.scenario_version.clone()),
            simulated: Some(alert.simulated),
            source: Some(Source::from_model(&alert.source)),
            start_at: Some(date::full(alert.start_at.at)),
            stop_at: Some(date::full(alert.stop_at.at)),
            ..Self::default()
        }
    }

    /// Checks that what must be there is there. `at` is the alert's place in the request.
    pub fn check(&self, at: usize, out: &mut Vec<String>) {
        let fields = [
            ("capacity", self.capacity.is_none()),
            ("events", self.events.is_none()),
            ("events_count", self.events_count.is_none()),
            ("leakspeed", self.leakspeed.is_none()),
            ("message", self.message.is_none()),
            ("scenario", self.scenario.is_none()),
            ("scenario_hash", self.scenario_hash.is_none()),
            ("scenario_version", self.scenario_version.is_none()),
            ("simulated", self.simulated.is_none()),
            ("source", self.source.is_none()),
            ("start_at", self.start_at.is_none()),
            ("stop_at", self.stop_at.is_none()),
        ];
        for (name, _) in fields.iter().filter(|(_, missing)| *missing) {
            out.push(format!("{at}.{name} in body is required"));
        }
        if let Some(source) = &self.source {
            for (name, field) in [("scope", &source.scope), ("value", &source.value)] {
                if field.is_none() {
                    out.push(format!("{at}.source.{name} in body is required"));
                }
            }
        }
        for (index, decision) in self.decisions.iter().flatten().enumerate() {
            decision.missing(&format!("{at}.decisions.{index}"), out);
        }
    }

    /// The alert as nouns. Dates that cannot be read become `now`; what [`Self::check`] asks for
    /// was checked before.
    ///
    /// # Errors
    /// When the duration of a decision cannot be read.
    pub fn into_model(self, now: Timestamp) -> Result<(model::Alert, Vec<NewDecision>), WireError> {
        let time = |text: Option<String>| {
            text.as_deref().and_then(date::parse).unwrap_or_else(|| Time::utc(now))
        };
        let decisions: Result<Vec<_>, _> =
            self.decisions.into_iter().flatten().map(Decision::into_model).collect();
        let leakspeed = self.leakspeed.unwrap_or_default();
        let alert = model::Alert {
            scenario: self.scenario.unwrap_or_default(),
            scenario_hash: self.scenario_hash.unwrap_or_default(),
            scenario_version: self.scenario_version.unwrap_or_default(),
            message: self.message.unwrap_or_default(),
            events_count: u32::try_from(self.events_count.unwrap_or(0)).unwrap_or(0),
            start_at: time(self.start_at),
            stop_at: time(self.stop_at),
            capacity: self.capacity.unwrap_or(0),
            leakspeed: duration::parse_positive(&leakspeed).unwrap_or_default(),
            simulated: self.simulated.unwrap_or(false),
            remediation: self.remediation.unwrap_or(false),
            source: self.source.unwrap_or_default().into_model(),
            events: self.events.into_iter().flatten().map(Event::into_model).collect(),
            meta: items(self.meta),
        };
        Ok((alert, decisions?))
    }
}

impl Event {
    fn into_model(self) -> AlertEvent {
        let at = self.timestamp.as_deref().and_then(date::parse);
        let mut meta = items(self.meta);
        meta.sort();
        AlertEvent { timestamp: at.map(|time| date::full(time.at)).unwrap_or_default(), meta }
    }
}

impl Source {
    /// The source as it is told.
    #[must_use]
    pub fn from_model(source: &model::Source) -> Self {
        let some = |text: &String| Some(text.clone());
        Self {
            as_name: some(&source.as_name),
            as_number: some(&source.as_number),
            cn: some(&source.cn),
            ip: some(&source.ip),
            latitude: Some(source.latitude),
            longitude: Some(source.longitude),
            range: some(&source.range),
            scope: Some(source.scope.name().to_owned()),
            value: some(&source.value),
        }
    }

    fn into_model(self) -> model::Source {
        model::Source {
            scope: canonical_scope(&self.scope.unwrap_or_default()),
            value: self.value.unwrap_or_default(),
            ip: self.ip.unwrap_or_default(),
            range: self.range.unwrap_or_default(),
            as_name: self.as_name.unwrap_or_default(),
            as_number: self.as_number.unwrap_or_default(),
            cn: self.cn.unwrap_or_default(),
            latitude: self.latitude.unwrap_or(0.0),
            longitude: self.longitude.unwrap_or(0.0),
        }
    }
}

/// Pairs as the wire has them.
#[must_use]
pub fn pairs(meta: &[(String, String)]) -> Vec<MetaItem> {
    meta.iter().map(|(key, value)| MetaItem { key: key.clone(), value: value.clone() }).collect()
}

fn items(meta: Option<Vec<MetaItem>>) -> Vec<(String, String)> {
    meta.into_iter().flatten().map(|item| (item.key, item.value)).collect()
}

/// What serde must be told about null and nothing.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, de::IgnoredAny};

    /// Reads null as the empty value, as Go does.
    pub(crate) fn null_as_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de> + Default,
    {
        Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
    }

    /// Takes anything and keeps nothing.
    pub(crate) fn ignored<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
    {
        IgnoredAny::deserialize(deserializer).map(|_| None)
    }

    pub(crate) fn is_empty(text: &Option<String>) -> bool {
        text.as_deref().is_none_or(str::is_empty)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(crate) fn is_zero(number: &Option<f32>) -> bool {
        number.is_none_or(|number| number == 0.0)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(crate) fn is_false(flag: &Option<bool>) -> bool {
        !flag.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::to_json;
    use std::time::Duration;

    const POSTED: &str = r#"{"capacity":5,"decisions":[{"duration":"4h","origin":"cscli","scenario":"by hand","scope":"IP","type":"Ban","value":"192.0.2.7"}],
        "events":[{"timestamp":"2026-01-02T03:04:05Z","meta":[{"key":"b","value":"<2>"},{"key":"a","value":null}]}],"events_count":6,
        "labels":{"any":"thing"},"leakspeed":"10s","message":"m","remediation":true,"scenario":"demo/bf","scenario_hash":"","scenario_version":"",
        "simulated":false,"source":{"scope":"ip","value":"192.0.2.7","ip":"192.0.2.7","latitude":1.5},"start_at":"2026-01-02T03:04:05Z","stop_at":"yesterday","unknown":1}"#;

    #[test]
    fn a_posted_alert_becomes_nouns() {
        let wire: Alert = serde_json::from_str(POSTED).unwrap();
        let mut missing = Vec::new();
        wire.check(0, &mut missing);
        assert_eq!(missing, Vec::<String>::new());
        let now = Timestamp::from_unix(1_700_000_000, 0);
        let (alert, decisions) = wire.into_model(now).unwrap();
        assert_eq!(alert.stop_at.at, now, "an unreadable date is now");
        assert_eq!(alert.source.scope, model::Scope::Ip);
        assert_eq!(alert.events[0].meta[0], ("a".to_owned(), String::new()));
        assert_eq!(decisions[0].duration, Duration::from_secs(4 * 3600));
        assert_eq!(decisions[0].scope, model::Scope::Ip);
        assert_eq!(decisions[0].remediation, "ban");
        let again: Alert = serde_json::from_slice(&to_json(&Alert::from_model(&alert))).unwrap();
        assert_eq!(again.into_model(now).unwrap().0, alert);
    }

    #[test]
    fn what_is_missing_is_named() {
        let wire: Alert =
            serde_json::from_str(r#"{"source":{},"decisions":[{"duration":"1h"}]}"#).unwrap();
        let mut missing = Vec::new();
        wire.check(3, &mut missing);
        let text = WireError::Missing(missing).to_string();
        assert!(text.starts_with("validation failure list:\n3.capacity in body is required\n"));
        assert!(text.contains("\n3.source.scope in body is required\n"), "{text}");
        assert!(text.ends_with("\n3.decisions.0.value in body is required"), "{text}");
    }

    #[test]
    fn a_bad_duration_says_which() {
        let decision = Decision { duration: Some("4 hours".to_owned()), ..Decision::default() };
        assert_eq!(
            decision.into_model().unwrap_err().to_string(),
            "decision duration '4 hours' : time: invalid duration \"4 hours\": unable to parse type"
        );
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let json = to_json(&Alert {
            remediation: Some(false),
            source: Some(Source::default()),
            ..Alert::default()
        });
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"capacity":null,"decisions":null,"events":null,"events_count":null,"labels":null,"leakspeed":null,"message":null,"scenario":null,"scenario_hash":null,"scenario_version":null,"simulated":null,"source":{"scope":null,"value":null},"start_at":null,"stop_at":null}"#
        );
    }
}
