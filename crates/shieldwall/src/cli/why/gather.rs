//! Where the answer comes from: the database beside the server, or the local API.

use super::{Allowed, Findings, Reader, Reason, lines, spelled, verdict};
use crate::cli::{
    query::{Query, ask, client},
    text::wire_nanos,
    tool::Tool,
};
use anyhow::Result;
use api::{Alert, Decision};
use ipnet::IpNet;
use model::{Timestamp, parse_target};
use std::collections::BTreeMap;
use store::{AlertFilter, Relation, Store, StoredAlert};

/// Alerts looked at in each way to find them. Somebody who caused more has been understood by then.
const MOST_ALERTS: usize = 200;

/// Finds out everything about a target.
pub(super) fn findings(target: IpNet, tool: &Tool) -> Result<Findings> {
    let now = tool.now();
    let Found { alerts, allowlists, bouncers, profiles } = if tool.settings.server.is_some() {
        let store = tool.store()?;
        let found = tool.wait(from_store(target, &store, now))??;
        store.close();
        found
    } else {
        from_api(target, tool)?
    };
    let (mut alerts, is_cut) = newest_first(alerts);
    let mut decisions: Vec<Reason> =
        alerts.iter().flat_map(|alert| reasons(alert, target, &profiles, now)).collect();
    decisions
        .sort_by_key(|reason| (!reason.active, std::cmp::Reverse(reason.expires_in), reason.id));
    // A blocklist has a hundred thousand decisions, of which one concerns us; it stands above.
    for alert in &mut alerts {
        let all = alert.decisions.get_or_insert_default();
        all.retain(|decision| concerns(decision, target));
    }
    let logs = lines::find(target, &alerts, tool);
    let newest = decisions.iter().filter(|reason| reason.active).map(|reason| reason.at).max();
    let bouncers = bouncers.map(|bouncers| {
        let reader = |mut reader: Reader| {
            reader.knows = newest.map(|newest| reader.at.is_some_and(|at| at >= newest));
            reader
        };
        bouncers.into_iter().map(reader).collect()
    });
    Ok(Findings {
        target: spelled(target),
        verdict: verdict(&decisions, &allowlists, alerts.len()),
        decisions,
        allowlists,
        alerts,
        bouncers,
        logs,
        is_cut,
    })
}

/// What was found, and how.
struct Found {
    /// Alerts, found in several ways.
    alerts: Vec<Vec<Alert>>,
    allowlists: Vec<Allowed>,
    bouncers: Option<Vec<Reader>>,
    /// Who decided, by the number of the alert. The local API does not tell.
    profiles: BTreeMap<i64, String>,
}

async fn from_store(target: IpNet, store: &Store, now: Timestamp) -> Result<Found> {
    let usual = AlertFilter { limit: Some(MOST_ALERTS), ..AlertFilter::default() };
    let mut filters = vec![
        AlertFilter { net: Some((target, Relation::Contains)), ..usual.clone() },
        AlertFilter { value: Some(spelled(target)), ..usual.clone() },
    ];
    if target.prefix_len() < target.max_prefix_len() {
        filters.push(AlertFilter { net: Some((target, Relation::Inside)), ..usual });
    }
    let mut found = Vec::new();
    let mut profiles = BTreeMap::new();
    for filter in filters {
        let mut alerts = store.alerts(filter, now).await?;
        let named = |stored: &mut StoredAlert| Some((stored.id.0, stored.profile.take()?));
        profiles.extend(alerts.iter_mut().filter_map(named));
        found.push(alerts.into_iter().map(|stored| wire(stored, now)).collect());
    }
    let matches = store.allowed(vec![target], now).await?;
    let allowlists = matches.into_iter().flatten().map(|it| Allowed {
        allowlist: it.allowlist,
        value: it.value,
        comment: it.comment,
    });
    let bouncers = store.bouncers().await?;
    let readers = bouncers.into_iter().map(|bouncer| Reader {
        name: bouncer.name,
        kind: format!("{} {}", bouncer.kind, bouncer.version).trim().to_owned(),
        last_pull: bouncer.last_pull.map(api::date::full),
        revoked: bouncer.revoked,
        knows: None,
        at: bouncer.last_pull,
    });
    Ok(Found {
        alerts: found,
        allowlists: allowlists.collect(),
        bouncers: Some(readers.collect()),
        profiles,
    })
}

/// An alert of the database as the local API tells it.
fn wire(stored: StoredAlert, now: Timestamp) -> Alert {
    let decisions = stored.decisions.iter().map(|decision| {
        let left = api::duration::rounded(decision.until.nanos_since(now));
        Decision {
            until: Some(api::date::full(decision.until)),
            simulated: Some(decision.simulated),
            ..Decision::from_model(decision, left)
        }
    });
    Alert {
        id: Some(stored.id.0),
        uuid: Some(stored.uuid),
        machine_id: stored.machine,
        kind: Some(stored.kind).filter(|kind| !kind.is_empty()),
        created_at: Some(api::date::full(stored.created_at)),
        decisions: Some(decisions.collect()),
        ..Alert::from_model(&stored.alert)
    }
}

fn from_api(target: IpNet, tool: &Tool) -> Result<Found> {
    let client = client(tool)?;
    let is_single = target.prefix_len() == target.max_prefix_len();
    let spelled = spelled(target);
    let key = if is_single { "ip" } else { "range" };
    let mut queries = vec![vec![(key, "")], vec![("value", "")]];
    if !is_single {
        queries.push(vec![(key, ""), ("contains", "false")]);
    }
    let mut found = Vec::new();
    for pairs in queries {
        let mut query = Query::default();
        for (key, value) in pairs {
            query.add(key, if value.is_empty() { spelled.as_str() } else { value });
        }
        query.add("limit", MOST_ALERTS.to_string());
        found.push(ask(tool, client.alerts(&query.pairs()))?);
    }
    let reply = ask(tool, client.check_allowlists(std::slice::from_ref(&spelled)))?;
    let allowlists = reply.results.into_iter().flat_map(|result| result.allowlists).map(|text| {
        // `192.0.2.0/24 from office (Berlin)`
        let (value, list) = text.split_once(" from ").unwrap_or((&text, ""));
        let (list, comment) = list.split_once(" (").unwrap_or((list, ""));
        Allowed {
            allowlist: list.to_owned(),
            value: value.to_owned(),
            comment: comment.strip_suffix(')').unwrap_or(comment).to_owned(),
        }
    });
    Ok(Found {
        alerts: found,
        allowlists: allowlists.collect(),
        bouncers: None,
        profiles: BTreeMap::new(),
    })
}

/// Alerts that were found in several ways, each once; and whether there may be more.
fn newest_first(found: Vec<Vec<Alert>>) -> (Vec<Alert>, bool) {
    let is_cut = found.iter().any(|alerts| alerts.len() >= MOST_ALERTS);
    let by_id: BTreeMap<i64, Alert> =
        found.into_iter().flatten().map(|alert| (alert.id.unwrap_or(0), alert)).collect();
    (by_id.into_values().rev().collect(), is_cut)
}

fn net(decision: &Decision) -> Option<IpNet> {
    let is_net = matches!(decision.scope.as_deref(), Some("Ip" | "Range"));
    decision.value.as_deref().filter(|_| is_net).and_then(|value| parse_target(value).ok())
}

fn concerns(decision: &Decision, target: IpNet) -> bool {
    net(decision).is_some_and(|net| net.contains(&target) || target.contains(&net))
}

/// The decisions of an alert that concern the target.
fn reasons(
    alert: &Alert,
    target: IpNet,
    profiles: &BTreeMap<i64, String>,
    now: Timestamp,
) -> Vec<Reason> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let created_at = alert.created_at.clone().unwrap_or_default();
    let at = api::date::parse(&created_at).map(|time| time.at).unwrap_or_default();
    let reason = |decision: &Decision| {
        let net = net(decision).filter(|net| net.contains(&target) || target.contains(net))?;
        let until = match decision.until() {
            Some(until) => until,
            None => now.plus_nanos(wire_nanos(decision.duration.as_deref())),
        };
        Some(Reason {
            id: decision.id.unwrap_or(0),
            alert_id: alert.id.unwrap_or(0),
            remediation: text(&decision.remediation),
            scope: text(&decision.scope),
            value: text(&decision.value),
            origin: text(&decision.origin),
            scenario: text(&decision.scenario),
            machine: text(&alert.machine_id),
            profile: alert.id.and_then(|id| profiles.get(&id)).cloned(),
            decided_at: created_at.clone(),
            until: api::date::seconds(until),
            expires_in: until.nanos_since(now).div_euclid(1_000_000_000),
            active: until > now,
            simulated: decision.simulated == Some(true) || alert.simulated == Some(true),
            covers: net.contains(&target),
            at,
        })
    };
    alert.decisions.iter().flatten().filter_map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: i64, decisions: &[(&str, &str, &str)]) -> Alert {
        let decision = |(scope, value, duration): &(&str, &str, &str)| Decision {
            scope: Some((*scope).to_owned()),
            value: Some((*value).to_owned()),
            duration: Some((*duration).to_owned()),
            ..Decision::default()
        };
        Alert {
            id: Some(id),
            created_at: Some("2026-01-02T03:04:05Z".to_owned()),
            decisions: Some(decisions.iter().map(decision).collect()),
            ..Alert::default()
        }
    }

    #[test]
    fn only_what_concerns_the_target_is_a_reason() {
        let now = api::date::parse("2026-01-02T03:05:05Z").unwrap().at;
        let alert = alert(
            7,
            &[
                ("Ip", "192.0.2.1", "1h0m0s"),
                ("Range", "192.0.2.0/24", "-5s"),
                ("Ip", "192.0.2.2", "1h0m0s"),
                ("username", "192.0.2.1", "1h0m0s"),
                ("Ip", "rubbish", "1h0m0s"),
            ],
        );
        let shown = |target: &str| {
            let reasons = reasons(&alert, parse_target(target).unwrap(), &BTreeMap::new(), now);
            let line =
                |it: &Reason| format!("{} {} {} {}", it.value, it.active, it.covers, it.until);
            reasons.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(
            shown("192.0.2.1"),
            [
                "192.0.2.1 true true 2026-01-02T04:05:05Z",
                "192.0.2.0/24 false true 2026-01-02T03:05:00Z"
            ]
        );
        assert_eq!(
            shown("192.0.2.2/31"),
            [
                "192.0.2.0/24 false true 2026-01-02T03:05:00Z",
                "192.0.2.2 true false 2026-01-02T04:05:05Z"
            ]
        );
        assert!(shown("198.51.100.1").is_empty());
    }

    #[test]
    fn an_alert_found_twice_counts_once() {
        let (alerts, is_cut) = newest_first(vec![
            vec![alert(3, &[]), alert(1, &[])],
            vec![alert(3, &[]), alert(2, &[])],
        ]);
        let ids: Vec<i64> = alerts.iter().filter_map(|alert| alert.id).collect();
        assert_eq!((ids, is_cut), (vec![3, 2, 1], false));
    }
}
