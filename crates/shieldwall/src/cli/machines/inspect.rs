//! `machines inspect`: everything known about a machine, and what it reported to have read.

use super::{Wire, auth_type, last, os, status};
use crate::cli::{
    metrics::Payload,
    table::{facts, table},
    tool::{Form, Tool, date},
};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{Machine, Metrics, MetricsFilter, MetricsSource};

/// A machine with what it counted.
#[derive(Serialize)]
struct Full {
    #[serde(flatten)]
    machine: Wire,
    metrics: Counted,
}

/// What a machine counted: the sum over all its reports on record.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counted {
    acquisition: Vec<SourceCount>,
    parsers: Vec<ParserCount>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct SourceCount {
    source: String,
    read: u64,
    parsed: u64,
    unparsed: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ParserCount {
    source: String,
    parser: String,
    stage: String,
    parsed: u64,
    unparsed: u64,
}

/// An item of the hub as a machine reports it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HubItem {
    name: String,
    version: String,
    status: String,
}

pub(super) fn run(name: &str, hub: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let machine = tool.wait(store.machine(name))?.context("unable to read machine data")?;
    let Some(machine) = machine else {
        bail!("unable to read machine data '{name}': user '{name}': user doesn't exist");
    };
    if hub {
        return show_hub(&machine, tool);
    }
    let reports = tool.wait(store.metrics(MetricsFilter::All))?.context("reading metrics")?;
    let own = |report: &&Metrics| {
        report.source == MetricsSource::LogProcessor && report.name == machine.name
    };
    let counted = Counted::of(reports.iter().filter(own));
    match tool.form {
        Form::Human => tool.line(&human(&machine, &counted, tool)),
        Form::Json | Form::Raw => {
            tool.json(&Full { machine: Wire::new(&machine), metrics: counted })
        }
    }
}

impl Counted {
    fn of<'a>(reports: impl Iterator<Item = &'a Metrics>) -> Self {
        let mut sources: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        let mut parsers: BTreeMap<(String, String, String), [u64; 2]> = BTreeMap::new();
        let details = reports.flat_map(|report| Payload::of(report).metrics.unwrap_or_default());
        for item in details.flat_map(|detail| detail.items.unwrap_or_default()) {
            let labels = item.labels.unwrap_or_default();
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            let value = item.value.and_then(|value| count(&value)).unwrap_or(0);
            let source = match label("datasource_type") {
                kind if kind.is_empty() => label("source"),
                kind => format!("{kind}:{}", label("source")),
            };
            let parser = label("parser_name");
            let name = item.name.unwrap_or_default();
            let column = match name.trim_start_matches("global_") {
                "read" => 0,
                "parsed" => 1,
                "unparsed" => 2,
                _ => continue,
            };
            let counter = match (parser.is_empty(), column) {
                (true, column) => &mut sources.entry(source).or_default()[column],
                (false, 0) => continue,
                (false, column) => {
                    let key = (source, parser, label("parser_stage"));
                    &mut parsers.entry(key).or_default()[column - 1]
                }
            };
            *counter = counter.saturating_add(value);
        }
        let source = |(source, [read, parsed, unparsed]): (String, [u64; 3])| SourceCount {
            source,
            read,
            parsed,
            unparsed,
        };
        type Key = (String, String, String);
        let parser = |((source, parser, stage), [parsed, unparsed]): (Key, [u64; 2])| ParserCount {
            source,
            parser,
            stage,
            parsed,
            unparsed,
        };
        Self {
            acquisition: sources.into_iter().map(source).collect(),
            parsers: parsers.into_iter().map(parser).collect(),
        }
    }
}

/// A count, which others may write as `3.0`.
fn count(value: &serde_json::Number) -> Option<u64> {
    value.as_u64().or_else(|| u64::try_from(crate::cli::metrics::whole(value.as_f64()?)).ok())
}

fn human(machine: &Machine, counted: &Counted, tool: &Tool) -> String {
    let now = tool.now();
    let mut text = facts(&[
        ("Name", machine.name.clone()),
        ("IP Address", machine.ip.clone().unwrap_or_default()),
        ("Status", status(machine).to_owned()),
        ("Created At", date(machine.created_at)),
        ("Last Update", date(machine.updated_at)),
        ("Last Heartbeat", last(machine.last_heartbeat, now)),
        ("Last Push", last(machine.last_push, now)),
        ("Version", machine.version.clone().unwrap_or_default()),
        ("OS", os(machine.os.as_ref())),
        ("Auth Type", auth_type(machine.auth).to_owned()),
        ("Feature Flags", machine.feature_flags.clone()),
        ("Scenarios", machine.scenarios.clone()),
        ("Datasources", datasources(machine)),
    ]);
    if !counted.acquisition.is_empty() {
        let row = |it: &SourceCount| {
            vec![
                it.source.clone(),
                it.read.to_string(),
                it.parsed.to_string(),
                it.unparsed.to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = counted.acquisition.iter().map(row).collect();
        text += "\n\nAcquisition\n";
        text += &table(&["Source", "Lines read", "Parsed", "Unparsed"], &rows);
    }
    if !counted.parsers.is_empty() {
        let row = |it: &ParserCount| {
            vec![
                it.parser.clone(),
                it.stage.clone(),
                it.source.clone(),
                it.parsed.to_string(),
                it.unparsed.to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = counted.parsers.iter().map(row).collect();
        text += "\n\nParsers\n";
        text += &table(&["Parser", "Stage", "Source", "Parsed", "Unparsed"], &rows);
    }
    text
}

/// `file: 2, journalctl: 1`
fn datasources(machine: &Machine) -> String {
    let counts = Wire::new(machine).datasources.into_iter();
    counts.map(|(kind, n)| format!("{kind}: {n}")).collect::<Vec<_>>().join(", ")
}

/// The hub items a machine reported, by kind.
fn show_hub(machine: &Machine, tool: &Tool) -> Result<()> {
    let state = machine.hub_state.as_deref().unwrap_or("{}");
    if tool.form == Form::Json {
        let state: serde_json::Value = serde_json::from_str(state).unwrap_or_default();
        return tool.json(&state);
    }
    let kinds: BTreeMap<String, Vec<HubItem>> = serde_json::from_str(state).unwrap_or_default();
    if tool.form == Form::Raw {
        let rows = kinds.into_iter().flat_map(|(kind, items)| {
            items.into_iter().map(move |it| vec![kind.clone(), it.name, it.status, it.version])
        });
        return tool.raw(&["type", "name", "status", "version"], &rows.collect::<Vec<_>>());
    }
    if kinds.values().all(Vec::is_empty) {
        return tool.line("The machine has reported no hub items.");
    }
    for (kind, items) in kinds.into_iter().filter(|(_, items)| !items.is_empty()) {
        let rows: Vec<Vec<String>> =
            items.into_iter().map(|it| vec![it.name, it.status, it.version]).collect();
        tool.line(&format!(
            "{}\n{}",
            kind.to_uppercase(),
            table(&["Name", "Status", "Version"], &rows)
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn reports_add_up_by_source_and_parser() {
        let report = Metrics {
            id: 1,
            source: MetricsSource::LogProcessor,
            name: "m".to_owned(),
            received_at: Timestamp::default(),
            pushed_at: None,
            payload: r#"{"metrics":[{"items":[
                {"name":"read","value":5,"labels":{"source":"/a","datasource_type":"file"}},
                {"name":"parsed","value":4.0,"labels":{"source":"/a","datasource_type":"file"}},
                {"name":"global_unparsed","value":1,"labels":{"source":"/a","datasource_type":"file"}},
                {"name":"parsed","value":4,"labels":{"source":"/a","datasource_type":"file","parser_name":"p","parser_stage":"s01-parse"}},
                {"name":"whitelisted","value":9}]}]}"#
                .to_owned(),
        };
        let counted = Counted::of([&report, &report].into_iter());
        assert_eq!(
            serde_json::to_string(&counted).unwrap(),
            concat!(
                r#"{"acquisition":[{"source":"file:/a","read":10,"parsed":8,"unparsed":2}],"#,
                r#""parsers":[{"source":"file:/a","parser":"p","stage":"s01-parse","parsed":8,"unparsed":0}]}"#
            )
        );
    }
}
