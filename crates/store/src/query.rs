//! Searching alerts and ending decisions in SQL.
//!
//! Alerts are found through whatever is rarest among the things asked for: a facet (a scenario,
//! remediation, origin, kind or scope, listed per alert), a value, an address, a time. How rare is
//! counted up to a limit first, so that no combination scans millions of rows to find nothing.

use model::{Decision, Scope, Timestamp};

use crate::{
    AlertFilter, DecisionFilter, HasActive, Relation, Simulated, Sort,
    index::Change,
    matcher::{Prepared, text_of},
    net, row,
    row::Entry,
    sql::{self, Connection, Optional as _, Value, params},
    time,
    writer::{Failure, Tx},
};

/// Counting how rare something is stops here.
const COMMON: i64 = 20_000;

/// Whether alert `a` carries the community's decisions or is a pulled list.
pub(crate) const COMMUNITY: &str = "EXISTS (SELECT 1 FROM shieldwall_alert_facets x \
    JOIN shieldwall_facets n ON n.id = x.facet_id \
    WHERE x.alert_id = a.id AND n.name IN ('o:CAPI', 'o:lists')) \
    OR (a.last_until IS NULL AND (a.source_scope = 'crowdsecurity/community-blocklist' \
        OR substr(a.source_scope, 1, 6) = 'lists:'))";

/// A way to the alerts asked for.
enum Way {
    /// Those with a facet, in the order of their numbers.
    Facet(i64),
    /// Those whose numbers this question answers.
    Ids(String, Vec<Value>),
}

/// Notes that an alert has a facet.
pub(crate) fn add_facet(conn: &Connection, name: &str, alert: i64) -> sql::Result<()> {
    conn.prepare_cached("INSERT INTO shieldwall_facets (name) VALUES (?) ON CONFLICT DO NOTHING")?
        .execute([name])?;
    conn.prepare_cached(
        "INSERT INTO shieldwall_alert_facets (facet_id, alert_id) \
         SELECT id, CAST(?2 AS BIGINT) FROM shieldwall_facets WHERE name = ?1 ON CONFLICT DO NOTHING",
    )?
    .execute(params![name, alert])?;
    Ok(())
}

/// The numbers of the alerts that match, in order.
pub(crate) fn alert_ids(
    conn: &Connection,
    filter: &AlertFilter,
    now: Timestamp,
) -> sql::Result<Vec<i64>> {
    let mut ways = Vec::new();
    let mut conditions = String::from("true");
    let mut values: Vec<Value> = Vec::new();
    let facets = [
        ("s:", filter.scenario.as_deref()),
        ("t:", filter.decision_remediation.as_deref()),
        ("o:", filter.origin.as_deref()),
        ("k:", filter.kind.as_deref()),
        ("c:", filter.scope.as_ref().map(Scope::name)),
    ];
    for (letter, text) in facets {
        let Some(text) = text else { continue };
        let facet: Option<i64> = conn
            .prepare_cached("SELECT id FROM shieldwall_facets WHERE name = ?")?
            .query_row([format!("{letter}{text}")], |row| row.get(0))
            .optional()?;
        // No alert ever had it.
        let Some(facet) = facet else { return Ok(Vec::new()) };
        ways.push(Way::Facet(facet));
        conditions.push_str(
            " AND EXISTS (SELECT 1 FROM shieldwall_alert_facets x WHERE x.facet_id = ? AND x.alert_id = a.id)",
        );
        values.push(facet.into());
    }
    let mut newest_wanted = Vec::new();
    let mut compare = |column: &str, operator: &str, value: Value| {
        conditions.push_str(&format!(" AND a.{column} {operator} ?"));
        values.push(value.clone());
        let sql = format!("SELECT w.id FROM alerts w WHERE w.{column} {operator} ?");
        ways.push(Way::Ids(sql, vec![value]));
    };
    if let Some(value) = &filter.value {
        compare("source_value", "=", value.clone().into());
    }
    if let Some(at) = filter.started_since {
        compare("started_at", ">=", time::to_text(at).into());
    }
    let bounds = [("started_at", filter.started_until), ("created_at", filter.created_before)];
    for (column, at) in bounds {
        let Some(at) = at else { continue };
        let at = Value::from(time::to_text(at));
        compare(column, "<=", at.clone());
        if filter.sort == Sort::Descending && has_many_after(conn, column, &at)? {
            // Walking back from the newest would look at all of those first.
            newest_wanted.push((column, at));
        }
    }
    match filter.has_active {
        Some(HasActive::Yes) => compare("last_until", ">=", time::to_text(now).into()),
        Some(HasActive::NoneAtAll) => {
            conditions.push_str(" AND a.last_until IS NULL");
            let sql = "SELECT w.id FROM alerts w WHERE w.last_until IS NULL";
            ways.push(Way::Ids(sql.to_owned(), Vec::new()));
        }
        None => {}
    }
    if let Some((asked, relation)) = filter.net {
        let mut sql = String::from("SELECT DISTINCT w.alert_decisions FROM decisions w WHERE ");
        let mut asked_values = Vec::new();
        net::condition("w", asked, relation, &mut sql, &mut asked_values);
        let mut condition = String::new();
        net::condition("y", asked, relation, &mut condition, &mut values);
        // The plus keeps SQLite from looking up the addresses again for every alert.
        conditions.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM decisions y WHERE y.alert_decisions = a.id AND {})",
            condition.replace("y.start_ip", "+y.start_ip")
        ));
        ways.push(Way::Ids(sql, asked_values));
    }
    for (column, at) in newest_wanted {
        conditions.push_str(&format!(
            " AND a.id <= (SELECT max(w.id) FROM alerts w WHERE w.{column} <= ?)"
        ));
        values.push(at);
    }
    if filter.without_simulated {
        conditions.push_str(" AND NOT a.simulated");
    }
    if filter.without_community && filter.origin.is_none() {
        conditions.push_str(&format!(" AND NOT ({COMMUNITY})"));
    }
    if let Some((_, id)) = filter.after {
        let operator = if filter.sort == Sort::Ascending { ">" } else { "<" };
        conditions.push_str(&format!(" AND a.id {operator} ?"));
        values.push(id.into());
    }
    let mut from = String::from("alerts a");
    let mut order = "a.id";
    let mut all = Vec::new();
    match rarest(conn, ways)? {
        Some(Way::Facet(facet)) => {
            // Read in the order of the answer; CROSS keeps SQLite from choosing another way.
            from = "shieldwall_alert_facets f CROSS JOIN alerts a ON a.id = f.alert_id AND f.facet_id = ?".into();
            order = "f.alert_id";
            all.push(facet.into());
        }
        Some(Way::Ids(sql, way_values)) => {
            from = format!(
                "({sql}) f CROSS JOIN alerts a ON a.id = f.{}",
                if sql.contains("DISTINCT") { "alert_decisions" } else { "id" }
            );
            all.extend(way_values);
        }
        None => {}
    }
    all.append(&mut values);
    // Numbers grow with the time of storing, so this is the order of storing.
    let direction = if filter.sort == Sort::Ascending { "ASC" } else { "DESC" };
    let mut sql =
        format!("SELECT a.id FROM {from} WHERE {conditions} ORDER BY {order} {direction}");
    if let Some(limit) = filter.limit {
        sql.push_str(" LIMIT ?");
        all.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    }
    conn.prepare_cached(&sql)?.query_map(all, |row| row.get(0))?.collect()
}

/// Whether very many alerts are later than a bound.
fn has_many_after(conn: &Connection, column: &str, at: &Value) -> sql::Result<bool> {
    let sql =
        format!("SELECT count(*) FROM (SELECT 1 FROM alerts w WHERE w.{column} > ? LIMIT ?) later");
    let n: i64 =
        conn.prepare_cached(&sql)?.query_row(vec![at.clone(), COMMON.into()], |row| row.get(0))?;
    Ok(n >= COMMON)
}

/// The way with the fewest alerts. A common facet still is a way, as it is read in order; other
/// common things are not, as they would have to be sorted: walking the newest alerts finds them soon.
fn rarest(conn: &Connection, ways: Vec<Way>) -> sql::Result<Option<Way>> {
    let mut best: Option<(i64, Way)> = None;
    for way in ways {
        let n: i64 = match &way {
            Way::Facet(facet) => conn
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM shieldwall_alert_facets WHERE facet_id = ? LIMIT ?) few",
                )?
                .query_row([*facet, COMMON], |row| row.get(0))?,
            Way::Ids(sql, values) => {
                let mut values = values.clone();
                values.push(COMMON.into());
                let n = conn
                    .prepare_cached(&format!("SELECT count(*) FROM ({sql} LIMIT ?) few"))?
                    .query_row(values, |row| row.get(0))?;
                if n >= COMMON {
                    continue;
                }
                n
            }
        };
        if best.as_ref().is_none_or(|(fewest, _)| n < *fewest) {
            best = Some((n, way));
        }
    }
    Ok(best.map(|(_, way)| way))
}

/// Adds to `sql` the conditions of a filter on the row named `row`.
pub(crate) fn decision_conditions(
    row: &str,
    prepared: &Prepared,
    sql: &mut String,
    values: &mut Vec<Value>,
) {
    let filter: &DecisionFilter = &prepared.filter;
    let mut one_of = |column: &str, wanted: Vec<String>| {
        if wanted.is_empty() {
            return;
        }
        let marks = vec!["?"; wanted.len()].join(", ");
        sql.push_str(&format!(" AND {row}.{column} IN ({marks})"));
        values.extend(wanted.into_iter().map(Value::from));
    };
    one_of("scope", filter.scopes.iter().map(|scope| scope.name().to_owned()).collect());
    one_of("origin", filter.origins.clone());
    one_of("type", filter.remediation.iter().cloned().collect());
    one_of("scenario", filter.scenario.iter().cloned().collect());
    one_of("uuid", filter.uuids.iter().map(ToString::to_string).collect());
    // An address is stored in canonical spelling, whatever spelling is asked for.
    let spellings = filter.value.iter().cloned().chain(prepared.value_net.map(text_of));
    one_of("value", spellings.collect());
    if filter.simulated == Simulated::Excluded {
        sql.push_str(&format!(" AND NOT {row}.simulated"));
    }
    if let Some((asked, relation)) = filter.net {
        sql.push_str(" AND ");
        net::condition(row, asked, relation, sql, values);
    }
    let contains = format!("instr(lower({row}.scenario), lower(?)) > 0");
    if !filter.scenarios_containing.is_empty() {
        let any = vec![contains.as_str(); filter.scenarios_containing.len()].join(" OR ");
        sql.push_str(&format!(" AND ({any})"));
        values.extend(filter.scenarios_containing.iter().cloned().map(Value::from));
    }
    for text in &filter.scenarios_not_containing {
        sql.push_str(&format!(" AND NOT {contains}"));
        values.push(text.clone().into());
    }
}

/// The numbers of the active decisions that match.
pub(crate) fn active_ids(
    conn: &Connection,
    filter: &Prepared,
    now: Timestamp,
) -> sql::Result<Vec<i64>> {
    // An address is rarer than being active: the plus keeps SQLite off the index of ends then.
    let plus = if filter.filter.net.is_some() || filter.filter.value.is_some() { "+" } else { "" };
    let mut sql = format!("SELECT d.id FROM decisions d WHERE {plus}d.until > ?");
    let mut values = vec![Value::from(time::to_text(now))];
    decision_conditions("d", filter, &mut sql, &mut values);
    sql.push_str(" ORDER BY d.id");
    conn.prepare_cached(&sql)?.query_map(values, |row| row.get(0))?.collect()
}

/// What happens to the alert of decisions that are ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    /// They keep it.
    Kept,
    /// They leave it, as it is about to be deleted.
    Left,
}

/// Ends decisions now, and tells again those that they had hidden from enforcers.
pub(crate) fn end(
    tx: &mut Tx<'_>,
    ids: &[i64],
    alert: Alert,
    now: Timestamp,
) -> Result<Vec<Decision>, Failure> {
    let seq = tx.seq();
    let seq_column = i64::try_from(seq.0).unwrap_or(i64::MAX);
    let conn = tx.conn;
    let now = time::kept(now);
    let now_text = time::to_text(now);
    let keep = if alert == Alert::Kept { "alert_decisions" } else { "NULL" };
    let mut update = conn.prepare_cached(&format!(
        "UPDATE decisions SET until = ?1, updated_at = ?1, change_seq = ?2, alert_decisions = {keep} WHERE id = ?3"
    ))?;
    let mut find = conn.prepare_cached(&format!(
        "SELECT {}, d.alert_decisions FROM decisions d WHERE d.id = ?",
        row::DECISION
    ))?;
    let mut ended = Vec::with_capacity(ids.len());
    let mut alerts = Vec::new();
    for id in ids {
        let found = find
            .query_row([id], |row| Ok((row::decision(row)?, row.get::<Option<i64>>(11)?)))
            .optional()?;
        let Some((decision, of_alert)) = found else { continue };
        update.execute(params![now_text, seq_column, id])?;
        tx.change(Change::End { id: *id, until: now, seq });
        alerts.extend(of_alert);
        ended.push(Decision { until: now, ..decision });
    }
    alerts.sort_unstable();
    alerts.dedup();
    let mut last_until = conn.prepare_cached(
        "UPDATE alerts SET last_until = (SELECT max(until) FROM decisions WHERE alert_decisions = ?1) WHERE id = ?1",
    )?;
    for id in alerts {
        last_until.execute([id])?;
    }
    let mut heir = conn.prepare_cached(&format!(
        "UPDATE decisions AS d SET change_seq = ?1 WHERE d.id = (SELECT id FROM decisions \
         WHERE value = ?2 AND scope = ?3 AND type = ?4 AND until > ?5 ORDER BY until DESC LIMIT 1) \
         RETURNING {}",
        row::DECISION.replace("d.", "")
    ))?;
    // What means something else and stays in force, of each meaning the longest.
    let mut others = conn.prepare_cached(
        "SELECT id, type FROM decisions WHERE value = ?1 AND scope = ?2 AND type <> ?3 \
         AND +until > ?4 AND NOT simulated ORDER BY type, until DESC",
    )?;
    let mut survivors: Vec<i64> = Vec::new();
    for decision in &ended {
        let (scope, remediation) = (decision.scope.name(), &*decision.remediation);
        let told: Option<Entry> = heir
            .query_row(
                params![seq_column, decision.value, scope, remediation, now_text],
                row::entry,
            )
            .optional()?;
        if let Some(entry) = told {
            tx.change(Change::Tell { id: entry.decision.id.0, seq });
        } else if !decision.simulated {
            let mut last = None;
            let params = params![decision.value, scope, remediation, now_text];
            for row in others.query_map(params, |row| Ok((row.get(0)?, row.get::<String>(1)?)))? {
                let (id, remediation) = row?;
                if last.as_ref() != Some(&remediation) {
                    survivors.push(id);
                    last = Some(remediation);
                }
            }
        }
    }
    drop((heir, others));
    survivors.sort_unstable();
    survivors.dedup();
    tell_again(tx, &survivors, now)?;
    Ok(ended)
}

/// Tells decisions again, in the answer after the one that tells what has ended by now. Those that
/// have ended themselves meanwhile are left alone.
pub(crate) fn tell_again(tx: &mut Tx<'_>, ids: &[i64], now: Timestamp) -> sql::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let (end_seq, seq) = (tx.seq(), tx.later_seq());
    let (conn, now) = (tx.conn, time::kept(now));
    let mut update =
        conn.prepare_cached("UPDATE decisions SET change_seq = ?1 WHERE id = ?2 AND until > ?3")?;
    let (seq_column, now_text) = (i64::try_from(seq.0).unwrap_or(i64::MAX), time::to_text(now));
    for id in ids {
        if update.execute(params![seq_column, id, now_text])? > 0 {
            tx.change(Change::Tell { id: *id, seq });
        }
    }
    tx.change(Change::Revived { seq, end_seq, end_at: now });
    Ok(())
}

/// A condition that is true of everything inside or around a network: both ways at once.
pub(crate) fn related_ids(
    conn: &Connection,
    asked: ipnet::IpNet,
    now: Timestamp,
) -> sql::Result<Vec<i64>> {
    let mut ids = Vec::new();
    for relation in [Relation::Contains, Relation::Inside] {
        let filter = DecisionFilter {
            net: Some((asked, relation)),
            simulated: Simulated::Included,
            ..DecisionFilter::default()
        };
        ids.extend(active_ids(conn, &Prepared::new(filter), now)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
