//! Alerts: stored with their decisions, searched, deleted.

use std::sync::Arc;

use ipnet::IpNet;
use model::{
    Alert, AlertEvent, Decision, DecisionId, NewDecision, Scope, Source, Time, Timestamp, Uuid,
};

use crate::{
    AlertFilter, Error, Sort, Store,
    index::Change,
    matcher::{scope_of, text_of},
    net::Columns,
    query, row,
    row::Entry,
    sql::{self, Bind as _, Cell, Connection, Optional as _, Row, params},
    time,
    writer::{Failure, Tx},
};

/// Requests with more rows than this have a transaction of their own.
const LARGE: usize = 500;

/// Names one stored alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub i64);

/// An alert that is about to be stored, with what was decided about it.
#[derive(Clone, Debug)]
pub struct NewAlert {
    /// Its identifier. An alert whose identifier is stored already is not stored again.
    pub uuid: Uuid,
    /// The machine that sent it, by name; `None` for the community's and for machines that are gone.
    pub machine: Option<String>,
    /// `crowdsec`, `waf`, `capi`, `papi`, `cscli`, …
    pub kind: String,
    /// The alert.
    pub alert: Alert,
    /// What was decided; may be empty.
    pub decisions: Vec<NewDecision>,
    /// The profile that decided it, by name; `None` when the sender did, or nobody.
    pub profile: Option<String>,
}

/// What became of an alert that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored.
    Stored {
        /// Under this number.
        id: AlertId,
        /// With these decisions, in the order given, those without a readable address left out.
        decisions: Vec<DecisionId>,
    },
    /// An alert with this identifier was stored before, under this number.
    Known(AlertId),
    /// It had decisions, and none of them named a readable address.
    Discarded,
}

impl Recorded {
    /// The number it is stored under, if it is.
    #[must_use]
    pub fn id(&self) -> Option<AlertId> {
        match self {
            Self::Stored { id, .. } | Self::Known(id) => Some(*id),
            Self::Discarded => None,
        }
    }
}

/// A stored alert.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAlert {
    /// Its number.
    pub id: AlertId,
    /// Its identifier as stored.
    pub uuid: String,
    /// The machine that sent it, by name; `None` when that is gone.
    pub machine: Option<String>,
    /// `crowdsec`, `waf`, `capi`, …; empty when unknown.
    pub kind: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The alert. The dates of its events are RFC 3339 in UTC.
    pub alert: Alert,
    /// Its decisions, expired ones too; empty where the filter left them out.
    pub decisions: Vec<Decision>,
    /// The profile that made them, by name; `None` when the sender did, or nobody.
    pub profile: Option<String>,
}

impl Store {
    /// Stores alerts with their decisions, all or none, and answers for each in the order given.
    ///
    /// Decisions end their length after the end of their alert. Addresses and networks are made
    /// canonical: a network of one address becomes that address, host bits are cleared. Notes the
    /// machines' `last_push`.
    ///
    /// # Errors
    /// When the database refuses; then nothing is stored.
    pub async fn record(
        &self,
        alerts: Vec<NewAlert>,
        now: Timestamp,
    ) -> Result<Vec<Recorded>, Error> {
        self.record_shared(Arc::from(alerts), now).await
    }

    /// The same for alerts that the caller still needs.
    ///
    /// # Errors
    /// When the database refuses; then nothing is stored.
    pub async fn record_shared(
        &self,
        alerts: Arc<[NewAlert]>,
        now: Timestamp,
    ) -> Result<Vec<Recorded>, Error> {
        let n_decisions: usize = alerts.iter().map(|alert| alert.decisions.len()).sum();
        let is_large = n_decisions + alerts.len() > LARGE;
        let work = move |tx: &mut Tx<'_>| {
            alerts.iter().map(|alert| insert(tx, alert, Older::Kept, now)).collect()
        };
        if is_large {
            return self.inner.writer.write_large(work).await;
        }
        self.inner.writer.write(work).await
    }

    /// Stores an alert whose decisions replace older ones of the same origin: a pulled blocklist.
    ///
    /// Older decisions of the same origin about the same value, of other alerts, are deleted.
    ///
    /// # Errors
    /// When the database refuses; then nothing is stored.
    pub async fn replace(&self, alert: NewAlert, now: Timestamp) -> Result<Recorded, Error> {
        let work = move |tx: &mut Tx<'_>| insert(tx, &alert, Older::Deleted, now);
        self.inner.writer.write_large(work).await
    }

    /// The alerts that match. For very long answers ask in pages (`limit` and `after`).
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn alerts(
        &self,
        filter: AlertFilter,
        now: Timestamp,
    ) -> Result<Vec<StoredAlert>, Error> {
        let work = move |conn: &Connection| {
            let ids = query::alert_ids(conn, &filter, now)?;
            let mut alerts = Vec::with_capacity(ids.len());
            for id in ids {
                // An alert may go between the two questions; it is then no longer an answer.
                alerts.extend(load(conn, id, filter.without_decisions)?);
            }
            Ok(alerts)
        };
        self.inner.readers.read(work).await
    }

    /// One alert with everything stored about it.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn alert(&self, id: AlertId) -> Result<StoredAlert, Error> {
        let found = self.inner.readers.read(move |conn| Ok(load(conn, id.0, false)?)).await?;
        found.ok_or_else(|| Error::NotFound { what: "alert", name: id.0.to_string() })
    }

    /// Deletes the alerts that match (`limit` and `after` do not count) and tells how many.
    ///
    /// Decisions that still hold end now and stay on record until enforcers have heard of it.
    ///
    /// # Errors
    /// When the database refuses; what was deleted before stays deleted.
    pub async fn delete_alerts(&self, filter: AlertFilter, now: Timestamp) -> Result<usize, Error> {
        let filter = AlertFilter { limit: None, after: None, sort: Sort::Ascending, ..filter };
        let ids =
            self.inner.readers.read(move |conn| Ok(query::alert_ids(conn, &filter, now)?)).await?;
        let mut n_deleted = 0;
        // In steps, so that others write in between.
        for step in ids.chunks(256) {
            let step = step.to_vec();
            let work = move |tx: &mut Tx<'_>| {
                step.iter().map(|id| delete(tx, *id, now)).sum::<Result<usize, Failure>>()
            };
            n_deleted += self.inner.writer.write(work).await?;
        }
        Ok(n_deleted)
    }

    /// Deletes one alert.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn delete_alert(&self, id: AlertId, now: Timestamp) -> Result<(), Error> {
        let work = move |tx: &mut Tx<'_>| match delete(tx, id.0, now)? {
            0 => Err(Error::NotFound { what: "alert", name: id.0.to_string() }.into()),
            _ => Ok(()),
        };
        self.inner.writer.write(work).await
    }

    /// How many alerts each scenario has, the community's and blocklists left out; by name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn alert_counts(&self) -> Result<Vec<(String, u64)>, Error> {
        let work = |conn: &Connection| {
            let community = query::COMMUNITY;
            let mut statement = conn.prepare_cached(&format!(
                "SELECT a.scenario, count(*) FROM alerts a WHERE NOT ({community}) GROUP BY a.scenario"
            ))?;
            let rows = statement.query_map((), |row| {
                let n: i64 = row.get(1)?;
                Ok((row.get(0)?, n.unsigned_abs()))
            })?;
            let mut counts: Vec<(String, u64)> = rows.collect::<Result<_, _>>()?;
            // Here, since databases differ in the order of texts.
            counts.sort();
            Ok(counts)
        };
        self.inner.readers.read(work).await
    }
}

/// What happens to older decisions of the same origin about the same value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Older {
    Kept,
    Deleted,
}

/// A decision whose target has been read.
struct Ready<'a> {
    decision: &'a NewDecision,
    net: Option<IpNet>,
    scope: Scope,
    value: String,
    until: Timestamp,
}

/// Reads the target of a decision; `None` when it should be an address and is not.
fn ready(decision: &NewDecision, stop: Timestamp) -> Option<Ready<'_>> {
    let until = time::kept(stop.after(decision.duration));
    let (net, scope, value) = match &decision.scope {
        Scope::Ip | Scope::Range => {
            let net = model::parse_target(decision.value.trim()).ok()?;
            (Some(net), scope_of(net), text_of(net))
        }
        Scope::Other(_) => (None, decision.scope.clone(), decision.value.clone()),
    };
    Some(Ready { decision, net, scope, value, until })
}

fn insert(
    tx: &mut Tx<'_>,
    new: &NewAlert,
    older: Older,
    now: Timestamp,
) -> Result<Recorded, Failure> {
    let conn = tx.conn;
    let uuid = new.uuid.to_string();
    let known: Option<i64> = conn
        .prepare_cached("SELECT id FROM alerts WHERE uuid = ?")?
        .query_row([&uuid], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(Recorded::Known(AlertId(id)));
    }
    let stop = new.alert.stop_at.at;
    let decisions: Vec<Ready<'_>> =
        new.decisions.iter().filter_map(|decision| ready(decision, stop)).collect();
    if decisions.is_empty() && !new.decisions.is_empty() {
        return Ok(Recorded::Discarded);
    }
    let last_until = decisions.iter().map(|ready| ready.until).max();
    let now_text = time::to_text(now);
    let id = insert_row(conn, new, &uuid, &now_text, last_until)?;
    insert_details(conn, &new.alert, id, &now_text, now)?;
    if older == Older::Deleted {
        // The trigger that watches over foreign deletions would note down every one of these.
        conn.execute_batch(
            "INSERT INTO shieldwall_state VALUES ('quiet', 1) ON CONFLICT DO NOTHING",
        )?;
        for ready in &decisions {
            delete_older(tx, ready)?;
        }
        conn.execute_batch("DELETE FROM shieldwall_state WHERE name = 'quiet'")?;
    }
    let decisions = insert_decisions(tx, &decisions, id, &now_text, now)?;
    Ok(Recorded::Stored { id: AlertId(id), decisions })
}

fn insert_row(
    conn: &Connection,
    new: &NewAlert,
    uuid: &str,
    now: &str,
    last_until: Option<Timestamp>,
) -> Result<i64, Failure> {
    let machine: Option<i64> = match &new.machine {
        Some(name) => conn
            .prepare_cached(
                "UPDATE machines SET last_push = ?1, updated_at = ?1 WHERE machine_id = ?2 RETURNING id",
            )?
            .query_row([now, name], |row| row.get(0))
            .optional()?,
        None => None,
    };
    let alert = &new.alert;
    let source = &alert.source;
    let id = conn.prepare_cached(
        "INSERT INTO alerts (created_at, updated_at, scenario, bucket_id, message, events_count, \
         started_at, stopped_at, source_ip, source_range, source_as_number, source_as_name, \
         source_country, source_latitude, source_longitude, source_scope, source_value, capacity, \
         leak_speed, scenario_version, scenario_hash, simulated, uuid, remediation, kind, \
         machine_alerts, last_until, profile) \
         VALUES (?1, ?1, ?2, '', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
         ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)",
    )?
    .insert(params![
        now,
        alert.scenario,
        alert.message,
        alert.events_count,
        time::to_text(alert.start_at.at),
        time::to_text(alert.stop_at.at),
        source.ip,
        source.range,
        source.as_number,
        source.as_name,
        source.cn,
        source.latitude,
        source.longitude,
        source.scope.name(),
        source.value,
        alert.capacity,
        time::length_to_text(alert.leakspeed),
        alert.scenario_version,
        alert.scenario_hash,
        alert.simulated,
        uuid,
        alert.remediation,
        new.kind,
        machine,
        last_until.map(time::to_text),
        new.profile,
    ])?;
    Ok(id)
}

fn insert_details(
    conn: &Connection,
    alert: &Alert,
    id: i64,
    now_text: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO events (created_at, updated_at, time, serialized, alert_events) \
         VALUES (?1, ?1, ?2, ?3, ?4)",
    )?;
    for event in &alert.events {
        let at = time::from_text(&event.timestamp).unwrap_or(now);
        statement.execute(params![now_text, time::to_text(at), serialized(&event.meta), id])?;
    }
    let mut statement = conn.prepare_cached(
        "INSERT INTO meta (created_at, updated_at, key, value, alert_metas) VALUES (?1, ?1, ?2, ?3, ?4)",
    )?;
    for (key, value) in &alert.meta {
        statement.execute(params![now_text, cut(key, 255), cut(value, 4095), id])?;
    }
    Ok(())
}

/// The first `limit` bytes of a text, or somewhat fewer to end at a character.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The meta of an event as JSON of at most 8191 bytes, the length existing databases allow: values
/// are cut ever shorter until it fits, and given up when it never does.
fn serialized(meta: &[(String, String)]) -> String {
    const ROOM: usize = 8191;
    let write = |limit: usize| {
        let pairs: Vec<serde_json::Value> = meta
            .iter()
            .map(|(key, value)| {
                let value = if value.len() > limit {
                    format!("{}<stripped>", cut(value, limit))
                } else {
                    value.clone()
                };
                serde_json::json!({ "key": key, "value": value })
            })
            .collect();
        serde_json::Value::Array(pairs).to_string()
    };
    let whole = write(usize::MAX);
    if whole.len() <= ROOM {
        return whole;
    }
    let limits = std::iter::successors(Some(2048usize), |limit| (*limit > 0).then_some(limit / 2));
    limits.map(write).find(|text| text.len() <= ROOM).unwrap_or_else(|| "[]".to_owned())
}

fn insert_decisions(
    tx: &mut Tx<'_>,
    decisions: &[Ready<'_>],
    alert: i64,
    now_text: &str,
    now: Timestamp,
) -> Result<Vec<DecisionId>, Failure> {
    if decisions.is_empty() {
        return Ok(Vec::new());
    }
    let seq = tx.seq();
    let seq_column = i64::try_from(seq.0).unwrap_or(i64::MAX);
    let mut ids = Vec::with_capacity(decisions.len());
    let mut facets = Vec::new();
    let mut statement = tx.conn.prepare_cached(
        "INSERT INTO decisions (created_at, updated_at, until, scenario, type, start_ip, end_ip, \
         start_suffix, end_suffix, ip_size, scope, value, origin, simulated, uuid, \
         alert_decisions, change_seq) \
         VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    // The decisions of one alert mostly share their end and their texts.
    let mut until_text = (Timestamp::MIN, String::new());
    let mut shared = Interned::default();
    let rows = decisions.iter().map(|ready| {
        let decision = ready.decision;
        if until_text.0 != ready.until || until_text.1.is_empty() {
            until_text = (ready.until, time::to_text(ready.until));
        }
        let columns = ready.net.map(Columns::of).unwrap_or_default();
        vec![
            now_text.bind(),
            until_text.1.clone().into(),
            decision.scenario.bind(),
            decision.remediation.bind(),
            columns.start.into(),
            columns.end.into(),
            columns.start_suffix.into(),
            columns.end_suffix.into(),
            columns.size.into(),
            ready.scope.name().bind(),
            ready.value.bind(),
            decision.origin.bind(),
            i64::from(decision.simulated).into(),
            decision.uuid.map_or(Cell::Null, |uuid| uuid.to_string().into()),
            alert.into(),
            seq_column.into(),
        ]
    });
    let new_ids = statement.insert_all(rows)?;
    for (ready, id) in decisions.iter().zip(new_ids) {
        let decision = ready.decision;
        ids.push(DecisionId(id));
        if shared.is_news(decision) {
            facets.push(format!("s:{}", decision.scenario));
            facets.push(format!("t:{}", decision.remediation));
            facets.push(format!("o:{}", decision.origin));
        }
        let (origin, scenario, remediation) = shared.texts(decision);
        if ready.until > now {
            tx.change(Change::Set(Entry {
                decision: Decision {
                    id: DecisionId(id),
                    uuid: decision.uuid,
                    origin,
                    scenario,
                    remediation,
                    scope: ready.scope.clone(),
                    value: ready.value.clone(),
                    until: ready.until,
                    simulated: decision.simulated,
                },
                net: ready.net,
                seq,
            }));
        } else {
            tx.change(Change::End { id, until: ready.until, seq });
        }
    }
    facets.sort_unstable();
    facets.dedup();
    for facet in &facets {
        query::add_facet(tx.conn, facet, alert)?;
    }
    Ok(ids)
}

/// The texts of the decision before, for those after it.
#[derive(Default)]
struct Interned {
    last: Option<[Arc<str>; 3]>,
}

impl Interned {
    fn is_news(&self, decision: &NewDecision) -> bool {
        !self.last.as_ref().is_some_and(|[origin, scenario, remediation]| {
            **origin == *decision.origin
                && **scenario == *decision.scenario
                && **remediation == *decision.remediation
        })
    }

    fn texts(&mut self, decision: &NewDecision) -> (Arc<str>, Arc<str>, Arc<str>) {
        if self.is_news(decision) {
            self.last = None;
        }
        let [origin, scenario, remediation] = self.last.get_or_insert_with(|| {
            [&decision.origin, &decision.scenario, &decision.remediation]
                .map(|text| Arc::from(text.as_str()))
        });
        (origin.clone(), scenario.clone(), remediation.clone())
    }
}

/// Deletes what a newer copy of a blocklist replaces.
fn delete_older(tx: &mut Tx<'_>, ready: &Ready<'_>) -> Result<(), Failure> {
    // Nothing of the new alert is stored yet, so whatever is found belongs to another one.
    let ids: Vec<i64> = tx
        .conn
        .prepare_cached("SELECT id FROM decisions WHERE value = ? AND origin = ?")?
        .query_map([&ready.value, &ready.decision.origin], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in ids {
        tx.conn.prepare_cached("DELETE FROM decisions WHERE id = ?")?.execute([id])?;
        tx.change(Change::Remove { id });
    }
    Ok(())
}

/// How long the end of a decision is told to bouncers that come late, also when its alert is deleted:
/// an hour.
const STILL_TOLD: i64 = 3_600_000_000_000;

/// Deletes one alert; tells how many there were. Active decisions end and stay, without an alert, and
/// so do those that ended lately.
fn delete(tx: &mut Tx<'_>, id: i64, now: Timestamp) -> Result<usize, Failure> {
    // Bouncers that have not asked since a decision ended are still to be told, and without its row
    // nobody could tell them. What ended long ago goes with the alert.
    let recent = time::to_text(now.plus_nanos(-STILL_TOLD));
    let active: Vec<i64> = tx
        .conn
        .prepare_cached("SELECT id FROM decisions WHERE alert_decisions = ? AND until > ?")?
        .query_map(params![id, recent], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if !active.is_empty() {
        query::end(tx, &active, query::Alert::Left, now)?;
    }
    Ok(tx.conn.prepare_cached("DELETE FROM alerts WHERE id = ?")?.execute([id])?)
}

const ALERT: &str = "a.id, a.uuid, m.machine_id, a.kind, a.created_at, a.scenario, a.scenario_hash, \
    a.scenario_version, a.message, a.events_count, a.started_at, a.stopped_at, a.capacity, \
    a.leak_speed, a.simulated, a.remediation, a.source_scope, a.source_value, a.source_ip, \
    a.source_range, a.source_as_name, a.source_as_number, a.source_country, a.source_latitude, \
    a.source_longitude, a.profile";

fn load(conn: &Connection, id: i64, without_decisions: bool) -> sql::Result<Option<StoredAlert>> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT {ALERT} FROM alerts a LEFT JOIN machines m ON m.id = a.machine_alerts WHERE a.id = ?"
        ))?
        .query_row([id], stored)
        .optional()?;
    let Some(mut stored) = found else { return Ok(None) };
    stored.alert.events = conn
        .prepare_cached("SELECT time, serialized FROM events WHERE alert_events = ? ORDER BY id")?
        .query_map([id], event)?
        .collect::<Result<_, _>>()?;
    stored.alert.meta = conn
        .prepare_cached("SELECT key, value FROM meta WHERE alert_metas = ? ORDER BY id")?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if !without_decisions {
        stored.decisions = conn
            .prepare_cached(&format!(
                "SELECT {} FROM decisions d WHERE alert_decisions = ? ORDER BY id",
                row::DECISION
            ))?
            .query_map([id], row::decision)?
            .collect::<Result<_, _>>()?;
    }
    Ok(Some(stored))
}

fn stored(row: &Row<'_>) -> sql::Result<StoredAlert> {
    // Rows of other programs may hold nothing where ours hold a text.
    let text = |column: usize| row.get::<Option<String>>(column).map(Option::unwrap_or_default);
    let instant = |column: usize| -> sql::Result<Timestamp> {
        Ok(row.get_ref(column)?.as_str().and_then(time::from_text).unwrap_or_default())
    };
    #[expect(clippy::cast_possible_truncation, reason = "coordinates are stored from an f32")]
    let degrees = |column: usize| row.get::<Option<f64>>(column).map(|d| d.unwrap_or(0.0) as f32);
    Ok(StoredAlert {
        id: AlertId(row.get(0)?),
        uuid: text(1)?,
        machine: row.get(2)?,
        kind: text(3)?,
        created_at: instant(4)?,
        alert: Alert {
            scenario: text(5)?,
            scenario_hash: text(6)?,
            scenario_version: text(7)?,
            message: text(8)?,
            events_count: row
                .get::<Option<i64>>(9)?
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0),
            start_at: Time::utc(instant(10)?),
            stop_at: Time::utc(instant(11)?),
            capacity: row.get::<Option<i64>>(12)?.and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
            leakspeed: time::length_from_text(&text(13)?),
            simulated: row.get(14)?,
            remediation: row.get::<Option<bool>>(15)?.unwrap_or(false),
            source: Source {
                scope: Scope::from_name(&text(16)?),
                value: text(17)?,
                ip: text(18)?,
                range: text(19)?,
                as_name: text(20)?,
                as_number: text(21)?,
                cn: text(22)?,
                latitude: degrees(23)?,
                longitude: degrees(24)?,
            },
            events: Vec::new(),
            meta: Vec::new(),
        },
        decisions: Vec::new(),
        profile: row.get(25)?,
    })
}

fn event(row: &Row<'_>) -> sql::Result<AlertEvent> {
    let at = row.get_ref(0)?.as_str().and_then(time::from_text).unwrap_or_default();
    let pairs: serde_json::Value = row
        .get_ref(1)?
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let text = |pair: &serde_json::Value, name: &str| {
        pair.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let meta = pairs
        .as_array()
        .map(|pairs| pairs.iter().map(|pair| (text(pair, "key"), text(pair, "value"))).collect())
        .unwrap_or_default();
    Ok(AlertEvent { timestamp: time::to_rfc3339(at), meta })
}
