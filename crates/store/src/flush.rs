//! Retention: what is old enough goes, a little at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::Timestamp;

use crate::{
    Error, Store,
    sql::{self, Connection, Optional as _, params},
    time,
    writer::{Failure, Tx},
};

/// So many rows go in one step.
const STEP: i64 = 1000;
/// An ended decision stays for bouncers that read within this time; older ones start anew.
const TOLD_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// What may go. `None` keeps for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Alerts older than this, without active decisions.
    pub max_age: Option<Duration>,
    /// Alerts beyond this many, without active decisions.
    pub max_items: Option<u64>,
    /// Machines with a password not heard of for this long that own no alerts.
    pub machines_password: Option<Duration>,
    /// The same for machines with a certificate.
    pub machines_tls: Option<Duration>,
    /// Bouncers with a key that did not read for this long.
    pub bouncers_key: Option<Duration>,
    /// The same for bouncers with a certificate.
    pub bouncers_tls: Option<Duration>,
    /// Reports of usage older than this.
    pub metrics_max_age: Option<Duration>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Alerts.
    pub alerts: u64,
    /// Machines.
    pub machines: u64,
    /// Bouncers.
    pub bouncers: u64,
    /// Reports of usage.
    pub metrics: u64,
    /// Events, and ended decisions, that belonged to no alert.
    pub orphans: u64,
    /// Items of allowlists that had ended.
    pub allowlist_items: u64,
}

impl Store {
    /// Deletes what may go, in steps between which others write and read.
    ///
    /// A decision that ended stays until every bouncer that was here in the last week has read past
    /// its end: some enforcers lift a ban only when they are told.
    ///
    /// # Errors
    /// When the database refuses; the steps done stay done.
    pub async fn flush(&self, retention: &Retention, now: Timestamp) -> Result<Flushed, Error> {
        let mut flushed = Flushed::default();
        if self.inner.n_pauses.load(Ordering::Acquire) > 0 {
            return Ok(flushed);
        }
        let before = |age: Duration| {
            time::to_text(now.plus_nanos(-i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)))
        };
        flushed.alerts = self.flush_alerts(retention, now).await?;
        let told = self.told_until(now).await?;
        let ended = "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions \
             WHERE alert_decisions IS NULL AND until < ? LIMIT ?)";
        flushed.orphans = self.steps(ended, Some(told)).await?;
        flushed.orphans += self
            .steps(
                "DELETE FROM events WHERE id IN (SELECT id FROM events \
                 WHERE alert_events IS NULL AND created_at < ? LIMIT ?)",
                Some(time::to_text(now)),
            )
            .await?;
        let machines = "DELETE FROM machines WHERE id IN (SELECT id FROM machines m \
             WHERE last_heartbeat < ? AND auth_type = 'AUTH' \
             AND ip_address NOT IN ('127.0.0.1', '::1') \
             AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.machine_alerts = m.id) LIMIT ?)";
        let password = machines.replace("AUTH", "password");
        flushed.machines = self.steps(&password, retention.machines_password.map(before)).await?;
        let tls = machines.replace("AUTH", "tls");
        flushed.machines += self.steps(&tls, retention.machines_tls.map(before)).await?;
        let bouncers = "DELETE FROM bouncers WHERE id IN (SELECT id FROM bouncers \
             WHERE last_pull < ? AND auth_type = 'AUTH' LIMIT ?)";
        let key = bouncers.replace("AUTH", "api-key");
        flushed.bouncers = self.steps(&key, retention.bouncers_key.map(before)).await?;
        let tls = bouncers.replace("AUTH", "tls");
        flushed.bouncers += self.steps(&tls, retention.bouncers_tls.map(before)).await?;
        let metrics = "DELETE FROM metrics WHERE id IN (SELECT id FROM metrics WHERE received_at < ? LIMIT ?)";
        flushed.metrics = self.steps(metrics, retention.metrics_max_age.map(before)).await?;
        // The year 1 stands for never.
        let items = "DELETE FROM allow_list_items WHERE id IN (SELECT id FROM allow_list_items \
             WHERE expires_at > '1971-01-01 00:00:00+00:00' AND expires_at < ? LIMIT ?)";
        flushed.allowlist_items = self.steps(items, Some(time::to_text(now))).await?;
        Ok(flushed)
    }

    /// Holds `flush` back as long as the guard lives: an import is under way.
    #[must_use]
    pub fn pause_flush(&self) -> FlushPause {
        self.inner.n_pauses.fetch_add(1, Ordering::AcqRel);
        FlushPause { n_pauses: Arc::clone(&self.inner.n_pauses) }
    }

    /// Runs a deletion of rows older than `before` step by step, and tells how many rows went.
    async fn steps(&self, sql: &str, before: Option<String>) -> Result<u64, Error> {
        let Some(before) = before else { return Ok(0) };
        let mut n_deleted = 0;
        loop {
            let (sql, before) = (sql.to_owned(), before.clone());
            // Looked up by a reader first, so that the usual nothing costs no transaction.
            let probe =
                sql.split_once("IN (").map(|(_, rest)| rest.trim_end_matches(')').to_owned());
            if let Some(probe) = probe {
                let before = before.clone();
                let work = move |conn: &Connection| {
                    Ok(conn.prepare_cached(&probe)?.exists(params![before, 1])?)
                };
                if !self.inner.readers.read(work).await? {
                    return Ok(n_deleted);
                }
            }
            let work = move |tx: &mut Tx<'_>| -> Result<usize, Failure> {
                Ok(tx.conn.prepare_cached(&sql)?.execute(params![before, STEP])?)
            };
            let n_step = self.inner.writer.write_large(work).await?;
            n_deleted += u64::try_from(n_step).unwrap_or(u64::MAX);
            if n_step == 0 {
                return Ok(n_deleted);
            }
        }
    }

    /// Up to when ends have been told to every bouncer that still counts.
    async fn told_until(&self, now: Timestamp) -> Result<String, Error> {
        let week = now.plus_nanos(-i64::try_from(TOLD_WITHIN.as_nanos()).unwrap_or(i64::MAX));
        let work = move |conn: &Connection| {
            let oldest: Option<String> = conn
                .prepare_cached("SELECT min(last_pull) FROM bouncers WHERE last_pull > ?")?
                .query_row([time::to_text(week)], |row| row.get(0))?;
            let oldest = oldest.as_deref().and_then(time::from_text).unwrap_or(now);
            Ok(time::to_text(oldest.min(now)))
        };
        self.inner.readers.read(work).await
    }

    async fn flush_alerts(&self, retention: &Retention, now: Timestamp) -> Result<u64, Error> {
        let told = self.told_until(now).await?;
        let oldest_kept = retention
            .max_age
            .map(|age| now.plus_nanos(-i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
        let max_items = retention.max_items;
        let bound = move |conn: &Connection| Ok(flush_bound(conn, oldest_kept, max_items)?);
        let Some(bound) = self.inner.readers.read(bound).await? else { return Ok(0) };
        let mut floor = i64::MIN;
        let mut n_deleted = 0;
        loop {
            let until = told.clone();
            let work = move |conn: &Connection| -> Result<Vec<i64>, Failure> {
                let mut statement = conn.prepare_cached(
                    "SELECT id FROM alerts WHERE id > ? AND id <= ? \
                     AND (last_until IS NULL OR last_until < ?) ORDER BY id LIMIT 200",
                )?;
                Ok(statement
                    .query_map(params![floor, bound, until], |row| row.get(0))?
                    .collect::<Result<_, _>>()?)
            };
            let ids = self.inner.readers.read(work).await?;
            let Some(last) = ids.last() else { return Ok(n_deleted) };
            floor = *last;
            for id in ids {
                n_deleted += self.flush_alert(id, told.clone()).await?;
            }
        }
    }

    /// Deletes one alert, its decisions first, in steps: a pulled list has very many.
    async fn flush_alert(&self, id: i64, told: String) -> Result<u64, Error> {
        loop {
            let told = told.clone();
            let work = move |tx: &mut Tx<'_>| -> Result<Option<usize>, Failure> {
                let n_step = tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions \
                         WHERE alert_decisions = ? AND until < ? LIMIT ?)",
                    )?
                    .execute(params![id, told, STEP])?;
                if i64::try_from(n_step).unwrap_or(i64::MAX) == STEP {
                    return Ok(None);
                }
                // Somebody may have prolonged a decision in the meantime.
                let n_alerts = tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM alerts WHERE id = ?1 AND NOT EXISTS \
                         (SELECT 1 FROM decisions WHERE alert_decisions = ?1)",
                    )?
                    .execute([id])?;
                Ok(Some(n_alerts))
            };
            if let Some(n_alerts) = self.inner.writer.write_large(work).await? {
                return Ok(u64::try_from(n_alerts).unwrap_or(0));
            }
        }
    }
}

/// The greatest number of an alert that is too old or too many.
fn flush_bound(
    conn: &Connection,
    oldest_kept: Option<Timestamp>,
    max_items: Option<u64>,
) -> sql::Result<Option<i64>> {
    let by_age: Option<i64> = match oldest_kept {
        Some(oldest) => conn
            .prepare_cached("SELECT id FROM alerts WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1")?
            .query_row([time::to_text(oldest)], |row| row.get(0))
            .optional()?,
        None => None,
    };
    let newest: Option<i64> =
        conn.prepare_cached("SELECT max(id) FROM alerts")?.query_row((), |row| row.get(0))?;
    let by_count = max_items.zip(newest).and_then(|(max, newest)| {
        newest.checked_sub(i64::try_from(max).ok()?)?.checked_sub(1).filter(|bound| *bound > 0)
    });
    Ok(by_age.max(by_count))
}

/// Holds `flush` back until dropped.
#[derive(Debug)]
pub struct FlushPause {
    n_pauses: Arc<AtomicUsize>,
}

impl Drop for FlushPause {
    fn drop(&mut self) {
        self.n_pauses.fetch_sub(1, Ordering::AcqRel);
    }
}
