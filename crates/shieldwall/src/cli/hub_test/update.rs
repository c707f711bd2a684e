//! Writes assertions for a test that has none: everything the run showed, as expressions.
//!
//! Empty texts are left out, and of a node that did not succeed only that is said. Paths are
//! compared by their last part, and where the year of a date is not in the log but was filled in,
//! the date is compared without it, so that the assertions hold on other machines in other years.

use engine::value::{Object, Text, Value};
use std::fmt::Write as _;

/// What the values of a run depend on besides the rules.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    /// The year that was filled in, when the log does not mention it.
    pub(super) year_filled_in: Option<String>,
}

impl Circumstances {
    /// Of a log replayed at a time whose year is `year`.
    pub(super) fn of(log: &[u8], year: i16) -> Self {
        let year = format!("{year:04}");
        let is_written = log.windows(year.len()).any(|part| part == year.as_bytes());
        Self { year_filled_in: (!is_written).then_some(year) }
    }
}

/// Assertions about `results` of parsers.
pub(super) fn of_parsers(results: &Value, circumstances: &Circumstances) -> String {
    let mut out = Writer { text: String::new(), circumstances };
    let Value::Map(stages) = results else { return out.text };
    out.line(format_args!("len(results) == {}", stages.entries.len()));
    for (stage, nodes) in &stages.entries {
        let Value::Map(nodes) = nodes else { continue };
        for (node, entries) in ranked(&nodes.entries) {
            let at = format!("results[{}][{}]", quote(stage), quote(node));
            out.line(format_args!("len({at}) == {}", entries.len()));
            for (index, entry) in entries.iter().enumerate() {
                if let Value::Object(entry) = entry {
                    out.entry(&format!("{at}[{index}]"), entry);
                }
            }
        }
    }
    out.text
}

/// The nodes of a stage in the order in which they ran.
fn ranked(nodes: &std::collections::BTreeMap<std::sync::Arc<str>, Value>) -> Vec<(&str, &[Value])> {
    let mut ranked: Vec<(i64, &str, &[Value])> = nodes
        .iter()
        .filter_map(|(name, entries)| {
            let Value::List(entries) = entries else { return None };
            let rank = match entries.first() {
                Some(Value::Object(entry)) => match entry.field("Idx") {
                    Some(Value::Int(rank)) => *rank,
                    _ => 0,
                },
                _ => 0,
            };
            Some((rank, &**name, entries.as_slice()))
        })
        .collect();
    ranked.sort_unstable_by_key(|(rank, name, _)| (*rank, *name));
    ranked.into_iter().map(|(_, name, entries)| (name, entries)).collect()
}

/// Assertions about `results` of scenarios.
pub(super) fn of_scenarios(results: &Value, circumstances: &Circumstances) -> String {
    let mut out = Writer { text: String::new(), circumstances };
    let Value::List(overflows) = results else { return out.text };
    out.line(format_args!("len(results) == {}", overflows.len()));
    for (index, event) in overflows.iter().enumerate() {
        let Some(overflow) = field(event, "Overflow").and_then(object) else { continue };
        let at = format!("results[{index}].Overflow");
        if let Some(Value::Map(sources)) = overflow.field("Sources") {
            for (key, source) in &sources.entries {
                let Some(source) = object(source) else { continue };
                let key = quote(key);
                let of = format!("{at}.Sources[{key}]");
                out.line(format_args!("{key} in {at}.GetSources()"));
                out.line(format_args!("{of}.IP == {}", quote(source.text("IP"))));
                out.line(format_args!("{of}.Range == {}", quote(source.text("Range"))));
                out.line(format_args!("{of}.GetScope() == {}", quote(source.text("Scope"))));
                out.line(format_args!("{of}.GetValue() == {}", quote(source.text("Value"))));
            }
        }
        if let Some(alert) = overflow.field("Alert").and_then(object) {
            out.alert(&format!("{at}.Alert"), alert);
        }
    }
    out.text
}

struct Writer<'a> {
    text: String,
    circumstances: &'a Circumstances,
}

impl Writer<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// What a node made of one event.
    fn entry(&mut self, at: &str, entry: &Object) {
        let succeeded = matches!(entry.field("Success"), Some(Value::Bool(true)));
        self.line(format_args!("{at}.Success == {succeeded}"));
        let Some(event) = entry.field("Evt").and_then(object).filter(|_| succeeded) else { return };
        for name in ["Parsed", "Meta", "Enriched", "Unmarshaled"] {
            if let Some(value) = event.field(name) {
                self.value(&format!("{at}.Evt.{name}"), "", value);
            }
        }
        if let Some(Value::Bool(true)) = event.field("Whitelisted") {
            self.line(format_args!("{at}.Evt.Whitelisted == true"));
            let reason = quote(event.text("WhitelistReason"));
            self.line(format_args!("{at}.Evt.WhitelistReason == {reason}"));
        }
    }

    /// A value found at `at`, whose last key is `key`.
    fn value(&mut self, at: &str, key: &str, value: &Value) {
        match value {
            Value::Text(Text::Shared(text)) => self.text(at, key, text),
            Value::Bool(value) => self.line(format_args!("{at} == {value}")),
            Value::Int(value) => self.line(format_args!("{at} == {value}")),
            Value::Float(value) => self.line(format_args!("FloatApproxEqual({at}, {value:?})")),
            Value::Map(map) => {
                for (key, value) in &map.entries {
                    self.value(&format!("{at}[{}]", quote(key)), key, value);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{at}[{index}]"), key, item);
                }
            }
            // Nothing, or no value that the maps of an event hold.
            Value::Nil
            | Value::Text(Text::Arena { .. } | Text::Lit(_))
            | Value::Bytes(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::Object(_)
            | Value::Event(_)
            | Value::Fields(..) => {}
        }
    }

    fn text(&mut self, at: &str, key: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        if key == "datasource_path" {
            let file = text.rsplit('/').next().unwrap_or(text);
            self.line(format_args!("basename({at}) == {}", quote(file)));
            return;
        }
        let year = self.circumstances.year_filled_in.as_deref();
        match year.and_then(|year| text.strip_prefix(year)).filter(|rest| is_date_rest(rest)) {
            Some(rest) => self.line(format_args!("{at}[4:] == {}", quote(rest))),
            None => self.line(format_args!("{at} == {}", quote(text))),
        }
    }

    fn alert(&mut self, at: &str, alert: &Object) {
        if let Some(Value::List(events)) = alert.field("Events") {
            for (index, event) in events.iter().enumerate() {
                let Some(Value::List(items)) = field(event, "Meta") else { continue };
                for item in items.iter().filter_map(object) {
                    let (key, value) = (item.text("Key"), item.text("Value"));
                    let at = format!("{at}.Events[{index}].GetMeta({})", quote(key));
                    self.text(&at, key, value);
                }
            }
        }
        self.line(format_args!("{at}.GetScenario() == {}", quote(alert.text("Scenario"))));
        let remediation = matches!(alert.field("Remediation"), Some(Value::Bool(true)));
        self.line(format_args!("{at}.Remediation == {remediation}"));
        if let Some(Value::Int(n_events)) = alert.field("EventsCount") {
            self.line(format_args!("{at}.GetEventsCount() == {n_events}"));
        }
    }
}

/// Whether this follows the year in a date: `-02-12T14:10:23Z`.
fn is_date_rest(rest: &str) -> bool {
    let shape: String =
        rest.chars().take(7).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "-00-00T"
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    object(value)?.field(name)
}

/// A text as the expression language spells it, which is how JSON does.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::value::{Map, Missing, ObjectKind};
    use std::{collections::BTreeMap, sync::Arc};

    fn map(pairs: Vec<(&str, Value)>) -> Value {
        let entries: BTreeMap<Arc<str>, Value> =
            pairs.into_iter().map(|(key, value)| (Arc::from(key), value)).collect();
        Value::Map(Arc::new(Map { missing: Missing::Nil, entries }))
    }

    #[test]
    fn everything_a_node_did_is_asserted() {
        let tree = map(vec![("n", Value::Float(1.0)), ("l", Value::list(vec![Value::Bool(true)]))]);
        let event = Value::object(
            ObjectKind::Event,
            vec![
                ("Parsed", map(vec![("empty", Value::shared("")), ("q", Value::shared("a\"b"))])),
                (
                    "Meta",
                    map(vec![
                        ("datasource_path", Value::shared("/x/y.log")),
                        ("timestamp", Value::shared("2026-02-12T14:10:23Z")),
                    ]),
                ),
                ("Unmarshaled", tree),
                ("Whitelisted", Value::Bool(false)),
            ],
        );
        let entry = |success, event| {
            let fields =
                vec![("Idx", Value::Int(1)), ("Evt", event), ("Success", Value::Bool(success))];
            Value::object(ObjectKind::Other, fields)
        };
        let entries = Value::list(vec![entry(true, event.clone()), entry(false, event)]);
        let results = map(vec![("s00-raw", map(vec![("a/p", entries)]))]);
        let circumstances = Circumstances::of(b"Feb 12 14:10:23 x", 2026);
        assert_eq!(
            of_parsers(&results, &circumstances),
            "len(results) == 1\n\
             len(results[\"s00-raw\"][\"a/p\"]) == 2\n\
             results[\"s00-raw\"][\"a/p\"][0].Success == true\n\
             results[\"s00-raw\"][\"a/p\"][0].Evt.Parsed[\"q\"] == \"a\\\"b\"\n\
             basename(results[\"s00-raw\"][\"a/p\"][0].Evt.Meta[\"datasource_path\"]) == \"y.log\"\n\
             results[\"s00-raw\"][\"a/p\"][0].Evt.Meta[\"timestamp\"][4:] == \"-02-12T14:10:23Z\"\n\
             results[\"s00-raw\"][\"a/p\"][0].Evt.Unmarshaled[\"l\"][0] == true\n\
             FloatApproxEqual(results[\"s00-raw\"][\"a/p\"][0].Evt.Unmarshaled[\"n\"], 1.0)\n\
             results[\"s00-raw\"][\"a/p\"][1].Success == false\n"
        );
    }

    #[test]
    fn a_year_that_is_in_the_log_is_compared() {
        let circumstances = Circumstances::of(b"2026-02-12 x", 2026);
        let mut out = Writer { text: String::new(), circumstances: &circumstances };
        out.text("x", "timestamp", "2026-02-12T00:00:00Z");
        assert_eq!(out.text, "x == \"2026-02-12T00:00:00Z\"\n");
    }
}
