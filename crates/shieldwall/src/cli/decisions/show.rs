//! Decisions as a table and as CSV.

use crate::cli::{
    cells::{Machine, id, network, text, whom},
    table::table,
    text::{span, wire_nanos},
};
use api::{Alert, Decision};
use std::collections::HashSet;

/// Leaves active decisions, and of those that say the same the first; tells how many more there
/// were of such. Alerts without any are left out.
pub(super) fn only_active_once(alerts: &mut Vec<Alert>) -> usize {
    let mut seen = HashSet::new();
    let mut skipped = 0;
    for alert in &mut *alerts {
        let decisions = alert.decisions.get_or_insert_default();
        decisions.retain(|decision| {
            if wire_nanos(decision.duration.as_deref()) <= 0 {
                return false;
            }
            let is_new = seen.insert((
                decision.simulated == Some(true),
                decision.remediation.clone(),
                decision.scope.clone(),
                decision.value.clone(),
            ));
            skipped += usize::from(!is_new);
            is_new
        });
    }
    alerts.retain(|alert| alert.decisions.iter().flatten().next().is_some());
    skipped
}

fn each(alerts: &[Alert]) -> impl Iterator<Item = (&Alert, &Decision)> {
    alerts
        .iter()
        .flat_map(|alert| alert.decisions.iter().flatten().map(move |decision| (alert, decision)))
}

/// What a list tells of a decision, up to the time it has left.
fn common(alert: &Alert, decision: &Decision, action: String, left: String) -> Vec<String> {
    let source = alert.source.clone().unwrap_or_default();
    vec![
        id(decision.id),
        text(&decision.origin).to_owned(),
        whom(&decision.scope, &decision.value),
        text(&decision.scenario).to_owned(),
        action,
        text(&source.cn).to_owned(),
        network(&source),
        alert.events_count.unwrap_or(0).to_string(),
        left,
    ]
}

/// Decisions as scripts read them: the names of the columns, and the rows.
pub(super) fn csv(alerts: &[Alert], with_machine: bool) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let machine = Machine { is_shown: with_machine, title: "machine" };
    let columns = [
        "id",
        "source",
        "ip",
        "reason",
        "action",
        "country",
        "as",
        "events_count",
        "expiration",
        "simulated",
        "alert_id",
    ];
    let rows = each(alerts).map(|(alert, decision)| {
        let action = text(&decision.remediation).to_owned();
        let mut row = common(alert, decision, action, text(&decision.duration).to_owned());
        row.extend([(decision.simulated == Some(true)).to_string(), id(alert.id)]);
        machine.row(row, alert)
    });
    (machine.header(&columns), rows.collect())
}

/// Decisions as a table.
pub(super) fn all(alerts: &[Alert], with_machine: bool, color: bool) -> String {
    let machine = Machine { is_shown: with_machine, title: "Machine" };
    let columns = [
        "ID",
        "Source",
        "Scope:Value",
        "Reason",
        "Action",
        "Country",
        "AS",
        "Events",
        "expires in",
        "Alert ID",
    ];
    let rows = each(alerts).map(|(alert, decision)| {
        let simulated = if decision.simulated == Some(true) { "(simul)" } else { "" };
        let action = format!("{simulated}{}", text(&decision.remediation));
        let left = span(wire_nanos(decision.duration.as_deref()));
        let mut row = common(alert, decision, action, left);
        row.push(id(alert.id));
        machine.row(row, alert)
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return "No active decisions".to_owned();
    }
    let text = table(&machine.header(&columns), &rows);
    if color { text.replace(" ban ", " \x1b[31mban\x1b[0m ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts() -> Vec<Alert> {
        serde_json::from_str(
            r#"[{"id":2,"events_count":6,"machine_id":"m","source":{"scope":"Ip","value":"192.0.2.1","cn":"DE","as_number":"0"},
                 "decisions":[{"id":5,"duration":"3h12m5s","type":"ban","scope":"Ip","value":"192.0.2.1","origin":"crowdsec","scenario":"a/b","simulated":false},
                              {"id":4,"duration":"-3s","type":"ban","scope":"Ip","value":"192.0.2.2","origin":"crowdsec","scenario":"a/b"}]},
                {"id":1,"decisions":[{"id":3,"duration":"1h0m0s","type":"ban","scope":"Ip","value":"192.0.2.1","origin":"cscli","scenario":"x"}]},
                {"id":0,"decisions":null}]"#,
        )
        .unwrap()
    }

    #[test]
    fn what_ended_and_what_says_the_same_is_left_out() {
        let mut alerts = alerts();
        assert_eq!(only_active_once(&mut alerts), 1);
        assert_eq!(alerts.len(), 1);
        let (header, rows) = csv(&alerts, false);
        assert_eq!(
            header.join(","),
            "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id"
        );
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].join(","), "5,crowdsec,Ip:192.0.2.1,a/b,ban,DE,,6,3h12m5s,false,2");
        let text = all(&alerts, true, false);
        assert!(text.contains("3h 12m") && text.contains("Machine"), "{text}");
        assert!(all(&alerts, false, true).contains("\x1b[31mban"));
        assert_eq!(all(&[], false, false), "No active decisions");
    }
}
