//! What bouncers report of themselves.
//!
//! Counters are added up over all reports on record. Gauges (`active_decisions`, and what ends in
//! `_gauge`) count as last reported, for each set of labels.

use super::{gather::Payload, show, tree::Node};
use crate::cli::table::table;
use model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use store::Metrics;

/// A gauge: the bouncer, its name, its unit, and its labels.
type GaugeKey = (String, String, String, BTreeMap<String, String>);

/// Reports of bouncers, added up.
#[derive(Debug, Default)]
pub(super) struct Bouncers {
    /// bouncer → origin → metric → unit → number
    counters: Node,
    /// When each gauge was told, and what.
    gauges: BTreeMap<GaugeKey, (i64, f64)>,
    /// Since when each bouncer counts, in seconds since 1970.
    since: BTreeMap<String, i64>,
}

fn is_gauge(name: &str) -> bool {
    name == "active_decisions" || name.ends_with("_gauge")
}

impl Bouncers {
    /// Adds a report.
    pub(super) fn add(&mut self, report: &Metrics) {
        let bouncer = report.name.as_str();
        for detail in Payload::of(report).metrics.unwrap_or_default() {
            let window = detail.meta.unwrap_or_default();
            let end = window.utc_now_timestamp.and_then(|it| it.as_i64()).unwrap_or(0);
            let length = window.window_size_seconds.and_then(|it| it.as_i64()).unwrap_or(0);
            let start = end.saturating_sub(length);
            let since = self.since.entry(bouncer.to_owned()).or_insert(start);
            *since = start.min(*since);
            for item in detail.items.unwrap_or_default() {
                let name = item.name.unwrap_or_default();
                let unit = item.unit.unwrap_or_default();
                let value = item.value.and_then(|value| value.as_f64()).unwrap_or(0.0);
                let labels = item.labels.unwrap_or_default();
                if is_gauge(&name) {
                    let key = (bouncer.to_owned(), name, unit, labels);
                    let last = self.gauges.entry(key).or_insert((end, value));
                    if end >= last.0 {
                        *last = (end, value);
                    }
                } else {
                    let origin = labels.get("origin").map_or("", String::as_str);
                    self.counters.add(&[bouncer, origin, &name, &unit], value);
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// bouncer → origin → metric → unit → number
    pub(super) fn tree(&self) -> Node {
        let mut tree = self.counters.clone();
        for ((bouncer, name, unit, labels), (_, value)) in &self.gauges {
            let origin = labels.get("origin").map_or("", String::as_str);
            tree.add(&[bouncer, origin, name, unit], *value);
        }
        tree
    }

    /// A table for each bouncer.
    pub(super) fn tables(&self, short: bool) -> Vec<String> {
        let tree = self.tree();
        let tables = tree.children().map(|(bouncer, origins)| {
            let since = self.since.get(bouncer).copied().unwrap_or(0);
            let since = api::date::printed(Timestamp::from_unix(since, 0));
            format!("Bouncer Metrics ({bouncer}) since {since}\n{}", of_one(origins, short))
        });
        tables.collect()
    }
}

fn of_one(origins: &Node, short: bool) -> String {
    let mut columns: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (_, metrics) in origins.children() {
        for (metric, units) in metrics.children() {
            columns.extend(units.children().map(|(unit, _)| (metric.as_str(), unit.as_str())));
        }
    }
    let title = |(metric, unit): &(&str, &str)| {
        let metric = metric.strip_suffix("_gauge").unwrap_or(metric);
        format!("{metric}\n{unit}s")
    };
    let titles: Vec<String> = columns.iter().map(title).collect();
    let mut header = vec!["Origin"];
    header.extend(titles.iter().map(String::as_str));

    let mut totals = vec![0.0; columns.len()];
    let mut rows = Vec::new();
    for (origin, metrics) in origins.children() {
        let mut row = vec![annotated(origin)];
        for ((metric, unit), total) in columns.iter().zip(&mut totals) {
            let value = metrics.get(metric).and_then(|units| units.get(unit));
            if let Some(Node::Number(number)) = value {
                *total += number;
            }
            row.push(value.map_or_else(|| "-".to_owned(), |node| show::cell(node, short)));
        }
        rows.push(row);
    }
    let mut total = vec!["Total".to_owned()];
    total.extend(totals.into_iter().map(|number| show::cell(&Node::Number(number), short)));
    rows.push(total);
    table(&header, &rows)
}

/// An origin, with a word on what it means.
fn annotated(origin: &str) -> String {
    match origin {
        "" => "-".to_owned(),
        "CAPI" => "CAPI (community blocklist)".to_owned(),
        "cscli" => "cscli (manual decisions)".to_owned(),
        "cscli-import" => "cscli-import (imported decisions)".to_owned(),
        "crowdsec" => "crowdsec (security engine)".to_owned(),
        "console" => "console (manual decisions)".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(end: i64, active: u32, dropped: u32) -> Metrics {
        Metrics {
            id: 1,
            source: store::MetricsSource::RemediationComponent,
            name: "fw".to_owned(),
            received_at: Timestamp::default(),
            pushed_at: None,
            payload: format!(
                r#"{{"type":"x","metrics":[{{"meta":{{"utc_now_timestamp":{end},"window_size_seconds":60}},"items":[
                {{"name":"active_decisions","unit":"ip","value":{active},"labels":{{"origin":"CAPI","ip_type":"ipv4"}}}},
                {{"name":"active_decisions","unit":"ip","value":1,"labels":{{"origin":"CAPI","ip_type":"ipv6"}}}},
                {{"name":"dropped","unit":"packet","value":{dropped},"labels":{{"origin":"cscli"}}}},
                {{"name":"processed","unit":"packet","value":7.9}}]}}]}}"#
            ),
        }
    }

    #[test]
    fn counters_add_up_and_gauges_are_the_latest() {
        let mut bouncers = Bouncers::default();
        assert!(bouncers.is_empty());
        bouncers.add(&report(1_700_000_100, 50, 1900));
        bouncers.add(&report(1_700_000_000, 40, 1900));
        assert_eq!(
            serde_json::to_string(&bouncers.tree()).unwrap(),
            concat!(
                r#"{"fw":{"":{"processed":{"packet":15}},"CAPI":{"active_decisions":{"ip":51}},"#,
                r#""cscli":{"dropped":{"packet":3800}}}}"#
            )
        );
        let tables = bouncers.tables(true);
        assert_eq!(tables.len(), 1);
        for part in [
            "Bouncer Metrics (fw) since 2023-11-14 22:12:20 +0000 UTC\n",
            "CAPI (community blocklist)",
            "3.80k",
            "Total",
        ] {
            assert!(tables[0].contains(part), "{part}\n{}", tables[0]);
        }
        assert!(bouncers.tables(false)[0].contains("3800"));
    }
}
