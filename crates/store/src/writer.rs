//! The one thread that writes.
//!
//! It takes all requests that wait, runs them in one transaction, each in a savepoint of its own,
//! and answers them after the commit: what was answered is on disk (I10). While one flush to disk
//! runs, the next group gathers. A request that fails is rolled back alone; a commit that fails
//! fails its whole group and leaves nothing behind, in the database or in memory.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Seq,
    error::classify,
    index::{Change, Shared},
    query, row,
    schema::Place,
    sql::{self, Connection, Optional as _},
};

/// At most so many requests share a transaction.
const GROUP: usize = 512;
/// So long a group waits for more requests when many write at once. The pages that requests have in
/// common are written once for the group, so this saves far more than it takes.
const GATHER: Duration = Duration::from_millis(3);

/// Why one request failed: something the database said, or an answer of ours.
#[derive(Debug)]
pub(crate) enum Failure {
    Sql(sql::Error),
    Ours(Error),
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    pub(crate) fn sort(self, place: &Place) -> Error {
        match self {
            Self::Sql(error) => classify(place, &error),
            Self::Ours(error) => error,
        }
    }
}

/// The transaction a request runs in.
pub(crate) struct Tx<'a> {
    pub(crate) conn: &'a Connection,
    last: u64,
    taken: bool,
    /// Whether the group has a second number, for what must be told after the rest.
    later: bool,
    changes: Vec<Change>,
}

impl Tx<'_> {
    /// The number of this group's changes. One for the group: it becomes visible as one.
    pub(crate) fn seq(&mut self) -> Seq {
        if !self.taken {
            self.last = self.last.saturating_add(1);
            self.taken = true;
        }
        Seq(self.last)
    }

    /// The number of what the group tells again because of what it ended: one more.
    pub(crate) fn later_seq(&mut self) -> Seq {
        self.later = true;
        Seq(self.seq().0.saturating_add(1))
    }

    /// The newest number of the group.
    fn newest(&self) -> u64 {
        self.last.saturating_add(u64::from(self.later))
    }

    /// Notes a change for memory; it is applied after the commit.
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }
}

/// A request with its answer's way back. `answer` is called exactly once.
trait Request: Send {
    /// Whether it shall have a transaction of its own.
    fn is_large(&self) -> bool;
    fn run(&mut self, tx: &mut Tx<'_>, place: &Place) -> Result<(), Error>;
    fn answer(self: Box<Self>, failed: Option<Error>);
}

struct Typed<T, F> {
    work: Option<F>,
    is_large: bool,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Request for Typed<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send,
{
    fn is_large(&self) -> bool {
        self.is_large
    }

    fn run(&mut self, tx: &mut Tx<'_>, place: &Place) -> Result<(), Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A bug in one request must not stop the writer; its savepoint is rolled back.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| {
            Err(Failure::Ours(Error::Unusable {
                database: place.to_string(),
                reason: "a request ended in a bug".to_owned(),
            }))
        });
        let outcome = outcome.map_err(|failure| failure.sort(place));
        let failed = outcome.as_ref().err().cloned();
        self.outcome = Some(outcome);
        failed.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, failed: Option<Error>) {
        let outcome = match (failed, self.outcome) {
            // An answer of its own is more precise than the group's.
            (_, Some(Err(error))) | (Some(error), _) => Err(error),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(Error::Closed),
        };
        // Whoever asked may have gone; the change stands all the same.
        drop(self.reply.send(outcome));
    }
}

/// The way to the thread.
pub(crate) struct Writer {
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        conn: Connection,
        place: Place,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        // Full: callers wait their turn, which slows their clients down; nothing is shed.
        let (requests, inbox) = mpsc::channel(2 * GROUP);
        let database = place.to_string();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&conn, &place, &shared, inbox))
            .map_err(|error| Error::Unusable { database, reason: error.to_string() })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Runs `work` in a transaction and answers after its commit.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.send(work, false).await
    }

    /// The same for work that changes thousands of rows. It shares its transaction with nobody, as
    /// SQLite keeps a second copy of every page a savepoint touches.
    pub(crate) async fn write_large<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.send(work, true).await
    }

    async fn send<T, F>(&self, work: F, is_large: bool) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Typed { work: Some(work), is_large, outcome: None, reply });
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        requests.send(request).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches what its requests do wrong; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

fn run(
    conn: &Connection,
    place: &Place,
    shared: &Shared,
    mut inbox: mpsc::Receiver<Box<dyn Request>>,
) {
    let mut group: Vec<Box<dyn Request>> = Vec::new();
    let mut held = None;
    let mut n_refused: u64 = 0;
    // Whether somebody came while the last group was stored: whoever writes one thing after the
    // other never does, and is never kept waiting.
    let mut are_many = false;
    while let Some(first) = held.take().or_else(|| inbox.blocking_recv()) {
        let is_alone = first.is_large();
        group.push(first);
        if are_many && !is_alone {
            std::thread::sleep(GATHER);
        }
        while !is_alone
            && group.len() < GROUP
            && let Ok(next) = inbox.try_recv()
        {
            if next.is_large() {
                held = Some(next);
                break;
            }
            group.push(next);
        }
        let failed = commit(conn, place, shared, &mut group).err();
        if let Some(error) = &failed {
            if !matches!(error, Error::NotFound { .. } | Error::Exists { .. }) {
                n_refused = n_refused.saturating_add(1);
                // A full disk refuses all there is, for hours: each time half as often.
                if n_refused.is_power_of_two() {
                    tracing::warn!(%error, n = n_refused, "a transaction was not stored");
                }
            }
            if conn.is_in_transaction() {
                // Nothing can be done when this fails, and the next BEGIN will say so.
                drop(conn.rollback());
            }
        }
        if failed.is_none() && n_refused > 0 {
            tracing::info!(n = n_refused, "transactions are stored again");
            n_refused = 0;
        }
        are_many = !inbox.is_empty();
        for request in group.drain(..) {
            request.answer(failed.clone());
        }
    }
    conn.tidy();
}

/// Runs a group of requests in one transaction. An error means that nothing of it was stored.
fn commit(
    conn: &Connection,
    place: &Place,
    shared: &Shared,
    group: &mut [Box<dyn Request>],
) -> Result<(), Error> {
    let sql = |error: sql::Error| classify(place, &error);
    conn.begin().map_err(sql)?;
    let stored = newest_seq(conn).map_err(sql)?;
    let begun = stored.max(shared.seq().0);
    if stored < begun {
        // A server whose standby took over may have lost its last changes. Numbers that were given
        // away are not given again; what memory still shows goes with the next start.
        tracing::error!(database = %place, stored, known = begun, "the database lost changes");
    }
    let mut tx = Tx { conn, last: begun, taken: false, later: false, changes: Vec::new() };
    adopt(&mut tx).map_err(sql)?;
    if let [request] = group {
        // Alone it needs no savepoint: its failure is the group's.
        request.run(&mut tx, place)?;
        return finish(tx, place, shared, begun);
    }
    for request in group.iter_mut() {
        conn.execute_batch("SAVEPOINT request").map_err(sql)?;
        let n_changes = tx.changes.len();
        if let Err(error) = request.run(&mut tx, place) {
            tx.changes.truncate(n_changes);
            // A full disk makes SQLite give up the whole transaction, not only the statement; a lost
            // connection has the same effect.
            if !conn.is_in_transaction() {
                return Err(error);
            }
            conn.execute_batch("ROLLBACK TO request").map_err(sql)?;
        }
        conn.execute_batch("RELEASE request").map_err(sql)?;
    }
    finish(tx, place, shared, begun)
}

/// Commits, and shows in memory what was committed.
fn finish(mut tx: Tx<'_>, place: &Place, shared: &Shared, begun: u64) -> Result<(), Error> {
    let sql = |error: sql::Error| classify(place, &error);
    let conn = tx.conn;
    if tx.taken {
        let value = i64::try_from(tx.newest()).unwrap_or(i64::MAX);
        conn.prepare_cached("UPDATE shieldwall_state SET value = ? WHERE name = 'seq'")
            .and_then(|mut statement| statement.execute([value]))
            .map_err(sql)?;
    }
    // What others wrote in the meantime is read in the same snapshot the group was written in.
    let mut changes = foreign_changes(conn, shared, begun).map_err(sql)?;
    changes.append(&mut tx.changes);
    let last = tx.newest();
    conn.commit().map_err(sql)?;
    shared.apply(changes, Seq(last));
    Ok(())
}

/// Gives decisions that were added by hand what ours have: a number of a change, facets, the end of
/// their alert.
fn adopt(tx: &mut Tx<'_>) -> sql::Result<()> {
    let conn = tx.conn;
    let mut find = conn.prepare_cached(&format!(
        "SELECT {}, d.alert_decisions FROM decisions d WHERE d.change_seq IS NULL",
        row::DECISION
    ))?;
    let found: Vec<(row::Entry, Option<i64>)> = find
        .query_map((), |row| Ok((row::entry(row)?, row.get(11)?)))?
        .collect::<Result<_, _>>()?;
    for (mut entry, alert) in found {
        entry.seq = tx.seq();
        let seq = i64::try_from(entry.seq.0).unwrap_or(i64::MAX);
        conn.prepare_cached("UPDATE decisions SET change_seq = ? WHERE id = ?")?
            .execute([seq, entry.decision.id.0])?;
        if let Some(alert) = alert {
            let decision = &entry.decision;
            query::add_facet(conn, &format!("s:{}", decision.scenario), alert)?;
            query::add_facet(conn, &format!("t:{}", decision.remediation), alert)?;
            query::add_facet(conn, &format!("o:{}", decision.origin), alert)?;
            conn.prepare_cached(
                "UPDATE alerts SET last_until = (SELECT max(until) FROM decisions \
                 WHERE alert_decisions = ?1) WHERE id = ?1",
            )?
            .execute([alert])?;
        }
        tx.change(Change::Set(entry));
    }
    Ok(())
}

/// Adopts what was added while nobody ran.
pub(crate) fn adopt_all(conn: &Connection) -> sql::Result<()> {
    if !has_unnumbered(conn)? {
        return Ok(());
    }
    conn.begin()?;
    let last = newest_seq(conn)?;
    let mut tx = Tx { conn, last, taken: false, later: false, changes: Vec::new() };
    adopt(&mut tx)?;
    conn.prepare_cached("UPDATE shieldwall_state SET value = ? WHERE name = 'seq'")?
        .execute([i64::try_from(tx.last).unwrap_or(i64::MAX)])?;
    conn.commit()
}

/// Whether decisions wait to be adopted.
pub(crate) fn has_unnumbered(conn: &Connection) -> sql::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM decisions WHERE change_seq IS NULL LIMIT 1")?.exists(())
}

/// The number of the newest change in the database.
pub(crate) fn newest_seq(conn: &Connection) -> sql::Result<u64> {
    let value: Option<i64> = conn
        .prepare_cached("SELECT value FROM shieldwall_state WHERE name = 'seq'")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
}

/// The changes other programs made up to the number `newest`, that memory does not have.
fn foreign_changes(conn: &Connection, shared: &Shared, newest: u64) -> sql::Result<Vec<Change>> {
    let known = shared.seq().0;
    if known >= newest || !shared.is_kept() {
        return Ok(Vec::new());
    }
    let range = [known, newest].map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let mut changes = Vec::new();
    let mut removed = conn.prepare_cached(
        "SELECT decision_id FROM shieldwall_removed WHERE change_seq > ? AND change_seq <= ?",
    )?;
    for id in removed.query_map(range, |row| row.get(0))? {
        changes.push(Change::Remove { id: id? });
    }
    let mut changed = conn.prepare_cached(&format!(
        "SELECT {} FROM decisions d WHERE change_seq > ? AND change_seq <= ? ORDER BY change_seq, id",
        row::DECISION
    ))?;
    for entry in changed.query_map(range, row::entry)? {
        changes.push(Change::Set(entry?));
    }
    Ok(changes)
}
