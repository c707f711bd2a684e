//! An alert: a scenario that overflowed, who caused it, and the events that show it.

use crate::Time;
use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

/// What kind of thing a source or a decision names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One address.
    Ip,
    /// A network prefix.
    Range,
    /// Anything else a scenario counts by: `Country`, `AS`, `username`, …, as the scenario spells it.
    Other(String),
}

impl Scope {
    /// Reads a scope as scenarios spell it. Only the exact words `Ip` and `Range` are special.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "Ip" => Self::Ip,
            "Range" => Self::Range,
            other => Self::Other(String::from(other)),
        }
    }

    /// The scope as it is written in alerts.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ip => "Ip",
            Self::Range => "Range",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who caused an alert. Texts are as the log gave them; empty means unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// What `value` names.
    pub scope: Scope,
    /// The address, prefix or other value.
    pub value: String,
    /// The address as written in the log; empty for scopes other than Ip and Range.
    pub ip: String,
    /// The network the address belongs to, in CIDR notation, when known.
    pub range: String,
    /// Name of the autonomous system.
    pub as_name: String,
    /// Number of the autonomous system, decimal.
    pub as_number: String,
    /// ISO 3166 country code.
    pub cn: String,
    /// Degrees north, 0 when unknown.
    pub latitude: f32,
    /// Degrees east, 0 when unknown.
    pub longitude: f32,
}

/// One event of an alert: its meta, sorted by key, and the date the log gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEvent {
    /// RFC 3339 text with the offset of the log; empty when the event has no date.
    pub timestamp: String,
    /// Key and value pairs, sorted by key.
    pub meta: Vec<(String, String)>,
}

impl AlertEvent {
    /// The value of the first pair named `key`.
    #[must_use]
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.meta.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A scenario that overflowed for one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Name of the scenario.
    pub scenario: String,
    /// Hex SHA-256 of the scenario's file for hub items, empty for local ones.
    pub scenario_hash: String,
    /// Version of the scenario's file, `?` when it was edited, empty for local ones.
    pub scenario_version: String,
    /// One line for people.
    pub message: String,
    /// Events poured, which may be more than `events` holds.
    pub events_count: u32,
    /// When the first event was poured.
    pub start_at: Time,
    /// When the bucket overflowed.
    pub stop_at: Time,
    /// The bucket's capacity; -1 means unbounded.
    pub capacity: i32,
    /// The time one event takes to leak; zero where the scenario gives none.
    pub leakspeed: Duration,
    /// Whether the scenario only simulates.
    pub simulated: bool,
    /// Whether the scenario asks for a decision.
    pub remediation: bool,
    /// Who did it.
    pub source: Source,
    /// The last events of the bucket, oldest first.
    pub events: Vec<AlertEvent>,
    /// Alert context: each key with its values as a compact JSON array.
    pub meta: Vec<(String, String)>,
}
