//! The decision stream: what an enforcer must add and remove since it last asked.

use std::{fmt, str::FromStr, sync::Arc};

use model::{Decision, Timestamp};
use rusqlite::{Connection, params_from_iter, types::Value};
use tokio::sync::watch;

use crate::{
    DecisionFilter, Error, Store,
    index::Changed,
    matcher::Prepared,
    query, row, time,
    writer::{Failure, Tx},
};

/// The number of a change to the decisions. Grows with every change, over restarts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// How far an enforcer has read: up to a change, and up to an instant (decisions also end by
/// themselves). Opaque to clients; printed as `seq-nanoseconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// All changes up to this one were seen.
    pub seq: Seq,
    /// All ends up to this instant were seen.
    pub at: Timestamp,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq.0, self.at.unix_nanos())
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (seq, at) = text.split_once('-').ok_or(BadCursor)?;
        Ok(Self {
            seq: Seq(seq.parse().map_err(|_| BadCursor)?),
            at: Timestamp::from_unix_nanos(at.parse().map_err(|_| BadCursor)?),
        })
    }
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Everything that is active, and everything on record that has ended.
    Startup,
    /// What changed after this.
    After(Cursor),
}

/// Which copies of a decision are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// Of several about the same value, scope and remediation, those that last longest.
    #[default]
    Longest,
    /// All.
    Off,
}

/// So many ended decisions are read at once.
const PAGE: usize = 1000;

/// One answer to an enforcer, read in pages and never held as a whole.
pub struct Stream {
    store: Store,
    filter: Arc<Prepared>,
    dedup: Dedup,
    /// What the enforcer has: changes after this and ends after that are news.
    from: Cursor,
    /// What it will have.
    to: Cursor,
    /// Where the next page of decisions to add begins; `None` at the end.
    new_after: Option<(u64, i64)>,
    deleted: Deleted,
}

/// Where the next page of decisions to remove begins.
#[derive(Clone, Debug)]
enum Deleted {
    /// Those ended by somebody: by the number of the change.
    BySomebody { after: (i64, i64) },
    /// Those ended by time: by their end.
    ByTime { after: (String, i64) },
    /// The end.
    Done,
}

impl Stream {
    /// Where the next stream of the same enforcer begins, once this one was delivered whole.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.to
    }

    /// Some more decisions to add, by the number of their change; `None` at the end. A page may be
    /// empty. Takes well below a millisecond: no `spawn_blocking` is needed.
    pub fn next_new(&mut self) -> Option<Vec<Decision>> {
        let after = self.new_after?;
        let ask = Changed { after, through: self.to.seq, filter: &self.filter, dedup: self.dedup };
        // A store without an index made no stream.
        let (page, next) = self.store.inner.shared.read().ok()?.changed(&ask, self.to.at);
        self.new_after = next;
        Some(page)
    }

    /// Some more decisions to remove; `None` at the end. A page may be empty. Does not touch the
    /// database when nothing ended since the cursor.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn next_deleted(&mut self) -> Result<Option<Vec<Decision>>, Error> {
        let deleted = self.deleted.clone();
        if matches!(deleted, Deleted::Done) {
            return Ok(None);
        }
        let (from, to) = (self.from, self.to);
        let (filter, dedup) = (Arc::clone(&self.filter), self.dedup);
        let work = move |conn: &Connection| Ok(ended(conn, &deleted, from, to, &filter, dedup)?);
        let (mut page, next) = self.store.inner.readers.read::<_, _>(work).await?;
        self.deleted = next;
        if self.dedup == Dedup::Longest {
            let index = self.store.inner.shared.read()?;
            page.retain(|ended| !index.covers(&self.filter, ended, self.to.at));
        }
        Ok(Some(page))
    }
}

/// Reads one page of ended decisions, and tells where the next begins.
fn ended(
    conn: &Connection,
    place: &Deleted,
    from: Cursor,
    to: Cursor,
    filter: &Prepared,
    dedup: Dedup,
) -> rusqlite::Result<(Vec<Decision>, Deleted)> {
    let seq = |seq: Seq| Value::from(i64::try_from(seq.0).unwrap_or(i64::MAX));
    let now = Value::from(time::to_text(to.at));
    let mut sql = format!("SELECT {} FROM decisions d WHERE ", row::DECISION);
    let mut values = Vec::new();
    match place {
        Deleted::BySomebody { after } => {
            sql.push_str("(d.change_seq, d.id) > (?, ?) AND d.change_seq <= ? AND +d.until <= ?");
            values.extend([after.0.into(), after.1.into(), seq(to.seq), now.clone()]);
        }
        Deleted::ByTime { after } => {
            sql.push_str("(d.until, d.id) > (?, ?) AND d.until <= ? AND +d.change_seq <= ?");
            values.extend([after.0.clone().into(), after.1.into(), now.clone(), seq(from.seq)]);
        }
        Deleted::Done => return Ok((Vec::new(), Deleted::Done)),
    }
    query::decision_conditions("d", filter, &mut sql, &mut values);
    if dedup == Dedup::Longest {
        sql.push_str(
            " AND NOT EXISTS (SELECT 1 FROM decisions l WHERE l.value = d.value AND l.scope = d.scope \
             AND l.type = d.type AND l.until > d.until AND +l.until <= ?",
        );
        values.push(now);
        query::decision_conditions("l", filter, &mut sql, &mut values);
        sql.push(')');
    }
    sql.push_str(match place {
        Deleted::BySomebody { .. } => " ORDER BY d.change_seq, d.id LIMIT ?",
        Deleted::ByTime { .. } | Deleted::Done => " ORDER BY d.until, d.id LIMIT ?",
    });
    values.push(i64::try_from(PAGE).unwrap_or(i64::MAX).into());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut page = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let entry = row::entry(row)?;
        last = Some((
            entry.seq,
            row.get_ref(7)?.as_str().unwrap_or_default().to_owned(),
            entry.decision.id.0,
        ));
        page.push(entry.decision);
    }
    let next = match (last.filter(|_| page.len() == PAGE), place) {
        (Some((seq, _, id)), Deleted::BySomebody { .. }) => {
            Deleted::BySomebody { after: (i64::try_from(seq.0).unwrap_or(i64::MAX), id) }
        }
        (Some((_, until, id)), _) => Deleted::ByTime { after: (until, id) },
        (None, Deleted::BySomebody { .. }) => by_time(from),
        (None, _) => Deleted::Done,
    };
    Ok((page, next))
}

/// Where the ends by time begin that are news after a cursor.
///
/// Others look two seconds further back, since an end is dated when it was asked for and may be
/// written later. Ours need not: an end that somebody wrote is found by the number of its change.
fn by_time(from: Cursor) -> Deleted {
    Deleted::ByTime { after: (time::to_text(from.at), i64::MAX) }
}

impl Store {
    /// Begins a stream for one enforcer. Pages are read as they are asked for, so a reader that is
    /// slow blocks nobody.
    ///
    /// # Errors
    /// `NoIndex`.
    pub fn stream(
        &self,
        from: From,
        filter: DecisionFilter,
        dedup: Dedup,
        now: Timestamp,
    ) -> Result<Stream, Error> {
        let shared = &self.inner.shared;
        shared.advance(now);
        let to = Cursor { seq: shared.seq(), at: now };
        let (last_end, last_end_seq) = shared.read()?.last_end();
        let from = match from {
            From::Startup => None,
            // A cursor from the future belongs to a database that was replaced.
            From::After(cursor) => (cursor.seq <= to.seq).then_some(cursor),
        };
        let stream = |from: Cursor, deleted: Deleted| Stream {
            store: self.clone(),
            filter: Arc::new(Prepared::new(filter)),
            dedup,
            new_after: (from.seq < to.seq).then_some((from.seq.0, i64::MAX)),
            from,
            to,
            deleted,
        };
        let Some(from) = from else {
            // Nothing lies before these, so the ends by time are all the ends there are.
            let beginning = Cursor { seq: Seq(0), at: Timestamp::MIN };
            let all = Deleted::ByTime { after: (String::new(), i64::MIN) };
            let mut stream = stream(beginning, all);
            stream.from.seq = to.seq;
            stream.new_after = Some((0, i64::MIN));
            return Ok(stream);
        };
        let deleted = if last_end_seq > from.seq {
            let seq = i64::try_from(from.seq.0).unwrap_or(i64::MAX);
            Deleted::BySomebody { after: (seq, i64::MAX) }
        } else if last_end > from.at {
            by_time(from)
        } else {
            Deleted::Done
        };
        Ok(stream(from, deleted))
    }

    /// The newest change.
    ///
    /// # Errors
    /// `NoIndex`.
    pub fn seq(&self) -> Result<Seq, Error> {
        drop(self.inner.shared.read()?);
        Ok(self.inner.shared.seq())
    }

    /// Tells when the newest change moves: `changed().await`, then `stream(After(cursor))`.
    /// It also moves after `tick` found that decisions have ended by themselves.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.shared.watch()
    }

    /// Does what time does: drops ended decisions from memory, wakes those who watch, and takes
    /// over what other programs wrote to the database. Call it every second or so.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn tick(&self, now: Timestamp) -> Result<(), Error> {
        let shared = Arc::clone(&self.inner.shared);
        shared.advance(now);
        let work = |conn: &Connection| -> Result<(u64, bool), Failure> {
            Ok((crate::writer::newest_seq(conn)?, crate::writer::has_unnumbered(conn)?))
        };
        let (newest, has_unnumbered) = self.inner.readers.read(work).await?;
        if has_unnumbered || newest > shared.seq().0 {
            // The writer reads what is new whenever it writes; give it the occasion.
            self.inner.writer.write(|_: &mut Tx<'_>| Ok(())).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
