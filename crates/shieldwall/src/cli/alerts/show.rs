//! Alerts as tables, as CSV, and one in full.

use crate::{
    cli::{
        cells::{Machine, id, network, text, whom},
        table::table,
        text::{remaining, wire_nanos},
    },
    terminal::quoted,
};
use api::{Alert, Decision, MetaItem, Source};
use std::{collections::BTreeMap, fmt::Write as _};

/// `ban:3 captcha:1`, most urgent name first by the alphabet.
fn decisions(alert: &Alert) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for decision in alert.decisions.iter().flatten() {
        let simulated = decision.simulated == Some(true);
        let kind = if simulated { "(simul)" } else { text(&decision.remediation) };
        *counts.entry(kind).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(kind, n)| format!("{kind}:{n}")).collect();
    counts.join(" ")
}

/// Alerts as scripts read them: the names of the columns, and the rows.
pub(super) fn csv(alerts: &[Alert], with_machine: bool) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let machine = Machine { is_shown: with_machine, title: "machine" };
    let columns =
        ["id", "scope", "value", "reason", "country", "as", "decisions", "created_at", "kind"];
    let rows = alerts.iter().map(|alert| {
        let source = alert.source.clone().unwrap_or_default();
        let mut row =
            vec![id(alert.id), text(&source.scope).to_owned(), text(&source.value).to_owned()];
        row.extend(common(alert, &source));
        machine.row(row, alert)
    });
    (machine.header(&columns), rows.collect())
}

/// What a list tells of an alert besides its number and its source.
fn common(alert: &Alert, source: &Source) -> [String; 6] {
    [
        text(&alert.scenario).to_owned(),
        text(&source.cn).to_owned(),
        network(source),
        decisions(alert),
        text(&alert.created_at).to_owned(),
        text(&alert.kind).to_owned(),
    ]
}

/// Alerts as a table.
pub(super) fn all(alerts: &[Alert], with_machine: bool) -> String {
    if alerts.is_empty() {
        return "No active alerts".to_owned();
    }
    let machine = Machine { is_shown: with_machine, title: "machine" };
    let columns = ["ID", "value", "reason", "country", "as", "decisions", "created_at", "kind"];
    let rows = alerts.iter().map(|alert| {
        let source = alert.source.clone().unwrap_or_default();
        let mut row = vec![id(alert.id), whom(&source.scope, &source.value)];
        row.extend(common(alert, &source));
        machine.row(row, alert)
    });
    table(&machine.header(&columns), &rows.collect::<Vec<_>>())
}

/// One alert with its decisions, its context and, if asked for, its events.
pub(super) fn whole(alert: &Alert, with_events: bool) -> String {
    let source = alert.source.clone().unwrap_or_default();
    let flag = |flag: Option<bool>| flag.unwrap_or(false).to_string();
    let lines = [
        ("ID", id(alert.id)),
        ("Date", text(&alert.created_at).to_owned()),
        ("Machine", text(&alert.machine_id).to_owned()),
        ("Simulation", flag(alert.simulated)),
        ("Remediation", flag(alert.remediation)),
        ("Kind", text(&alert.kind).to_owned()),
        ("Reason", text(&alert.scenario).to_owned()),
        ("Events Count", alert.events_count.unwrap_or(0).to_string()),
        ("Scope:Value", whom(&source.scope, &source.value)),
        ("Country", text(&source.cn).to_owned()),
        ("AS", network(&source)),
        ("Begin", text(&alert.start_at).to_owned()),
        ("End", text(&alert.stop_at).to_owned()),
        ("UUID", text(&alert.uuid).to_owned()),
    ];
    let mut out = String::new();
    for (name, value) in lines {
        let _ = writeln!(out, " - {name:<12} : {}", quoted(&value));
    }
    let active: Vec<Vec<String>> = alert.decisions.iter().flatten().filter_map(active).collect();
    if !active.is_empty() {
        let header = ["ID", "scope:value", "action", "expires in", "origin"];
        let _ = write!(out, "\n - Active Decisions :\n{}\n", table(&header, &active));
    }
    let context: Vec<Vec<String>> = alert.meta.iter().flatten().flat_map(context).collect();
    if !context.is_empty() {
        let _ = write!(out, "\n - Context :\n{}\n", table(&["Key", "Value"], &context));
    }
    if with_events {
        let _ = writeln!(out, "\n - Events :");
        for event in alert.events.iter().flatten() {
            let pairs = event.meta.iter().flatten();
            let rows: Vec<Vec<String>> =
                pairs.map(|pair| vec![pair.key.clone(), pair.value.clone()]).collect();
            let date = quoted(text(&event.timestamp));
            let _ = write!(out, "\n- Date: {date}\n{}\n", table(&["Key", "Value"], &rows));
        }
    }
    out
}

/// A decision as a row, while it holds.
fn active(decision: &Decision) -> Option<Vec<String>> {
    let nanos = wire_nanos(decision.duration.as_deref());
    (nanos > 0).then(|| {
        vec![
            id(decision.id),
            whom(&decision.scope, &decision.value),
            text(&decision.remediation).to_owned(),
            remaining(nanos),
            text(&decision.origin).to_owned(),
        ]
    })
}

/// Context is a JSON list of texts; each is a row of its own.
fn context(pair: &MetaItem) -> Vec<Vec<String>> {
    let values = serde_json::from_str::<Vec<String>>(&pair.value);
    let values = values.unwrap_or_else(|_| vec![pair.value.clone()]);
    values.into_iter().map(|value| vec![pair.key.clone(), value]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        serde_json::from_str(
            r#"{"id":7,"scenario":"a/ssh-bf","kind":"crowdsec","machine_id":"m","events_count":6,
                "created_at":"2026-01-02T03:04:05Z","uuid":"u","simulated":false,
                "source":{"scope":"Ip","value":"192.0.2.1","cn":"DE","as_number":"64500","as_name":"A, B"},
                "decisions":[{"id":9,"duration":"3h12m0s","type":"ban","scope":"Ip","value":"192.0.2.1","origin":"crowdsec"},
                             {"id":8,"duration":"-1m0s","type":"ban","scope":"Ip","value":"192.0.2.1","origin":"cscli"}],
                "meta":[{"key":"user","value":"[\"root\",\"admin\"]"}],
                "events":[{"timestamp":"t","meta":[{"key":"log_type","value":"ssh"}]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn csv_is_what_scripts_expect() {
        let (header, rows) = csv(&[alert()], true);
        assert_eq!(
            header.join(";"),
            "id;scope;value;reason;country;as;decisions;created_at;kind;machine"
        );
        assert_eq!(
            rows[0].join(";"),
            "7;Ip;192.0.2.1;a/ssh-bf;DE;64500 A, B;ban:2;2026-01-02T03:04:05Z;crowdsec;m"
        );
    }

    #[test]
    fn one_alert_shows_what_still_holds() {
        let text = whole(&alert(), true);
        for part in [" - Scope:Value  : Ip:192.0.2.1\n", "3h 12m", "Context", "admin", "log_type"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("ago") && !whole(&alert(), false).contains("log_type"), "{text}");
        assert_eq!(all(&[], false), "No active alerts");
    }
}
