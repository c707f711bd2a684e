//! Usage metrics: what agents and bouncers report of themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// A report. An agent fills `log_processors`, a bouncer `remediation_components`, with one element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllMetrics {
    /// Agents.
    pub log_processors: Option<Vec<Component>>,
    /// Bouncers.
    pub remediation_components: Option<Vec<Component>>,
}

/// What an agent or a bouncer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    /// How many datasources of each kind an agent has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasources: Option<Map<String, Value>>,
    /// Feature flags.
    pub feature_flags: Option<Vec<String>>,
    /// An agent's hub items, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_items: Option<Map<String, Value>>,
    /// What was measured.
    pub metrics: Option<Vec<Detail>>,
    /// Its name; the server knows better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    /// What a bouncer is (`crowdsec-firewall-bouncer`, …).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it started, seconds since 1970.
    pub utc_startup_timestamp: Option<Number>,
    /// Its version.
    pub version: Option<String>,
}

/// An operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Os {
    /// `linux`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// `debian`, …
    pub name: Option<String>,
    /// `12.4`, …
    pub version: Option<String>,
}

/// What was measured in one span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The measurements.
    pub items: Option<Vec<Item>>,
    /// The span of time.
    pub meta: Option<Window>,
}

/// A span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Its end, seconds since 1970.
    pub utc_now_timestamp: Option<Number>,
    /// Its length.
    pub window_size_seconds: Option<Number>,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// What distinguishes it from others of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// What was measured.
    pub name: Option<String>,
    /// In which unit.
    pub unit: Option<String>,
    /// How much.
    pub value: Option<Number>,
}

/// What an agent and a bouncer must say beyond what both must.
#[derive(Clone, Copy)]
enum Kind {
    LogProcessor,
    RemediationComponent,
}

impl AllMetrics {
    /// What is missing or too long, one line each.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut out = Vec::new();
        let lists = [
            ("log_processors", &self.log_processors, Kind::LogProcessor),
            ("remediation_components", &self.remediation_components, Kind::RemediationComponent),
        ];
        for (name, list, kind) in lists {
            for (index, component) in list.iter().flatten().enumerate() {
                component.check(&format!("{name}.{index}"), kind, &mut out);
            }
        }
        out
    }
}

impl Component {
    fn check(&self, at: &str, kind: Kind, out: &mut Vec<String>) {
        required(at, "version", self.version.is_none(), out);
        short(at, "version", self.version.as_deref(), out);
        required(at, "utc_startup_timestamp", self.utc_startup_timestamp.is_none(), out);
        if let Kind::LogProcessor = kind {
            required(at, "datasources", self.datasources.is_none(), out);
            required(at, "hub_items", self.hub_items.is_none(), out);
        }
        if let Some(os) = &self.os {
            for (name, field) in [("os.name", &os.name), ("os.version", &os.version)] {
                required(at, name, field.is_none(), out);
                short(at, name, field.as_deref(), out);
            }
        }
        for (index, detail) in self.metrics.iter().flatten().enumerate() {
            detail.check(&format!("{at}.metrics.{index}"), out);
        }
    }
}

impl Detail {
    fn check(&self, at: &str, out: &mut Vec<String>) {
        required(at, "items", self.items.is_none(), out);
        required(at, "meta", self.meta.is_none(), out);
        if let Some(meta) = &self.meta {
            required(at, "meta.utc_now_timestamp", meta.utc_now_timestamp.is_none(), out);
            required(at, "meta.window_size_seconds", meta.window_size_seconds.is_none(), out);
        }
        for (index, item) in self.items.iter().flatten().enumerate() {
            let at = format!("{at}.items.{index}");
            required(&at, "name", item.name.is_none(), out);
            required(&at, "unit", item.unit.is_none(), out);
            required(&at, "value", item.value.is_none(), out);
        }
    }
}

fn required(at: &str, name: &str, missing: bool, out: &mut Vec<String>) {
    if missing {
        out.push(format!("{at}.{name} in body is required"));
    }
}

fn short(at: &str, name: &str, text: Option<&str>, out: &mut Vec<String>) {
    if text.is_some_and(|text| text.chars().count() > 255) {
        out.push(format!("{at}.{name} in body should be at most 255 chars long"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let report: AllMetrics = serde_json::from_str(
            r#"{"log_processors":[{"version":"v1","utc_startup_timestamp":1,"hub_items":{},"metrics":[{"meta":{"window_size_seconds":0},"items":[{"name":"n","unit":"u"}]}]}],"remediation_components":null}"#,
        )
        .unwrap();
        assert_eq!(
            report.check(),
            [
                "log_processors.0.datasources in body is required",
                "log_processors.0.metrics.0.meta.utc_now_timestamp in body is required",
                "log_processors.0.metrics.0.items.0.value in body is required",
            ]
        );
    }
}
