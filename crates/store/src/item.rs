//! Small things: settings that belong to the database, locks between servers, usage metrics.

use std::time::Duration;

use model::Timestamp;

use crate::{
    Error, Store,
    machine::instant,
    sql::{self, Connection, Optional as _, Row, params},
    time,
    writer::Tx,
};

/// Who reported usage metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsSource {
    /// A machine (`LP`).
    LogProcessor,
    /// A bouncer (`RC`).
    RemediationComponent,
}

/// A report of usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Its row.
    pub id: i64,
    /// Who reported.
    pub source: MetricsSource,
    /// The machine's or bouncer's name.
    pub name: String,
    /// When.
    pub received_at: Timestamp,
    /// When it was passed on, if it was.
    pub pushed_at: Option<Timestamp>,
    /// The report: JSON.
    pub payload: String,
}

/// Which reports are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFilter {
    /// All.
    #[default]
    All,
    /// Those not passed on yet.
    Unpushed,
}

impl Store {
    /// A setting kept in the database.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn config_item(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_owned();
        let work = move |conn: &Connection| {
            let mut statement =
                conn.prepare_cached("SELECT value FROM config_items WHERE name = ?")?;
            Ok(statement.query_row([name], |row| row.get(0)).optional()?)
        };
        self.inner.readers.read(work).await
    }

    /// Sets a setting kept in the database.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_config_item(
        &self,
        name: &str,
        value: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let work = move |tx: &mut Tx<'_>| {
            tx.conn
                .prepare_cached(
                    "INSERT INTO config_items (created_at, updated_at, name, value) VALUES (?1, ?1, ?2, ?3) \
                     ON CONFLICT (name) DO UPDATE SET value = ?3, updated_at = ?1",
                )?
                .execute(params![time::to_text(now), name, value])?;
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Forgets a setting kept in the database.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_config_item(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            tx.conn.prepare_cached("DELETE FROM config_items WHERE name = ?")?.execute([name])?;
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Takes a lock, if nobody holds it or its holder is older than `stale_after`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn lock(
        &self,
        name: &str,
        stale_after: Duration,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            let stale = i64::try_from(stale_after.as_nanos()).unwrap_or(i64::MAX);
            tx.conn
                .prepare_cached("DELETE FROM locks WHERE name = ? AND created_at < ?")?
                .execute(params![name, time::to_text(now.plus_nanos(-stale))])?;
            let n_taken = tx
                .conn
                .prepare_cached(
                    "INSERT INTO locks (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![name, time::to_text(now)])?;
            Ok(n_taken == 1)
        };
        self.inner.writer.write(work).await
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unlock(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            tx.conn.prepare_cached("DELETE FROM locks WHERE name = ?")?.execute([name])?;
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Stores a report of usage.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_metrics(
        &self,
        source: MetricsSource,
        name: &str,
        payload: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            tx.conn
                .prepare_cached(
                    "INSERT INTO metrics (generated_type, generated_by, received_at, payload) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![source.name(), name, time::to_text(now), payload])?;
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Reports of usage, oldest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn metrics(&self, filter: MetricsFilter) -> Result<Vec<Metrics>, Error> {
        let work = move |conn: &Connection| {
            let condition = match filter {
                MetricsFilter::All => "true",
                MetricsFilter::Unpushed => "pushed_at IS NULL",
            };
            let mut statement = conn.prepare_cached(&format!(
                "SELECT id, generated_type, generated_by, received_at, pushed_at, payload \
                 FROM metrics WHERE {condition} ORDER BY id"
            ))?;
            Ok(statement.query_map((), metrics)?.collect::<Result<_, _>>()?)
        };
        self.inner.readers.read(work).await
    }

    /// Notes that reports were passed on.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn mark_pushed(&self, ids: Vec<i64>, now: Timestamp) -> Result<(), Error> {
        let work = move |tx: &mut Tx<'_>| {
            let now = time::to_text(now);
            let mut statement =
                tx.conn.prepare_cached("UPDATE metrics SET pushed_at = ? WHERE id = ?")?;
            for id in ids {
                statement.execute(params![now, id])?;
            }
            Ok(())
        };
        self.inner.writer.write(work).await
    }
}

impl MetricsSource {
    const fn name(self) -> &'static str {
        match self {
            Self::LogProcessor => "LP",
            Self::RemediationComponent => "RC",
        }
    }
}

fn metrics(row: &Row<'_>) -> sql::Result<Metrics> {
    let source = match row.get_ref(1)?.as_str() {
        Some("LP") => MetricsSource::LogProcessor,
        _ => MetricsSource::RemediationComponent,
    };
    Ok(Metrics {
        id: row.get(0)?,
        source,
        name: row.get(2)?,
        received_at: instant(row, 3)?.unwrap_or_default(),
        pushed_at: instant(row, 4)?,
        payload: row.get(5)?,
    })
}
