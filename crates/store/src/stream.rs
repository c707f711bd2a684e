//! The decision stream: what an enforcer must add and remove since it last asked.
//!
//! Many enforcers know a target only, not what is to be done about it: when its ban ends and a
//! captcha stays, they drop both, whichever list they read first. So what survives is told again,
//! in the answer after the one that told of the end: a stream stops short before such a change.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use model::{Decision, Timestamp};
use tokio::sync::watch;

use crate::{
    DecisionFilter, Error, Store,
    index::Changed,
    matcher::Prepared,
    query,
    reader::Ahead,
    row,
    sql::{self, Connection, Value},
    time,
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
const PAGE: usize = 2000;

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
    /// The next page of decisions to remove, read while the one before is written.
    ahead: Option<Ahead<Ended>>,
    seen: Option<Arc<Mutex<Seen>>>,
    /// Whether there are changes that the next stream shall tell and not this one.
    stops_short: bool,
}

/// A page of decisions to remove, and where the next one begins.
type Ended = (Vec<Decision>, Deleted);

/// Where the next page of decisions to remove begins.
#[derive(Clone, Debug)]
enum Deleted {
    /// Those ended by somebody: by the number of the change.
    BySomebody { after: (i64, i64) },
    /// Those ended by time: by their end.
    ByTime { after: (String, i64) },
    /// All there are, the last ones first, so that the first of a target is the longest.
    All { before: (String, i64) },
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
        if matches!(self.deleted, Deleted::Done) {
            return Ok(None);
        }
        let readers = &self.store.inner.readers;
        let (mut page, next) = match self.ahead.take() {
            Some(ahead) => readers.finish(ahead).await?,
            None => readers.read::<Ended, _>(self.read_ended(self.deleted.clone())).await?,
        };
        if !matches!(next, Deleted::Done) {
            self.ahead = readers.begin(self.read_ended(next.clone()));
        }
        self.deleted = next;
        if self.dedup == Dedup::Longest {
            let index = self.store.inner.shared.read()?;
            page.retain(|ended| !index.covers(&self.filter, ended, self.to.at));
        }
        Ok(Some(page))
    }

    /// The work of reading a page of ended decisions.
    fn read_ended(
        &self,
        place: Deleted,
    ) -> impl FnOnce(&Connection) -> Result<Ended, Failure> + Send + use<> {
        let (from, to, dedup) = (self.from, self.to, self.dedup);
        let (filter, seen) = (Arc::clone(&self.filter), self.seen.clone());
        move |conn| {
            // Pages are read one after the other, so nobody ever waits here.
            let mut seen =
                seen.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(ended(conn, &place, from, to, &filter, dedup, seen.as_deref_mut())?)
        }
    }

    /// Whether changes are known that only the next stream tells, so that its cursor must be kept
    /// even if this one is empty.
    #[must_use]
    pub fn stops_short(&self) -> bool {
        self.stops_short
    }
}

/// Which targets were seen, more or less: in constant memory, and wrong only on the side of yes.
struct Seen {
    hasher: RandomState,
    bits: Vec<u64>,
}

impl Seen {
    /// Two megabytes: of two million targets one in twenty is asked about in vain.
    const WORDS: usize = 1 << 18;

    fn new() -> Self {
        Self { hasher: RandomState::new(), bits: vec![0; Self::WORDS] }
    }

    /// Whether the like of it may have been noted before; notes it.
    fn note(&mut self, decision: &Decision) -> bool {
        let of = (&*decision.value, decision.scope.name(), &*decision.remediation);
        let hash = self.hasher.hash_one(of);
        [hash, hash >> 32].into_iter().fold(true, |seen, half| {
            let bit = usize::try_from(half & 0xffff_ffff).unwrap_or(0) % (Self::WORDS * 64);
            let (word, mask) = (&mut self.bits[bit / 64], 1u64 << (bit % 64));
            let was_set = *word & mask != 0;
            *word |= mask;
            seen & was_set
        })
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
    mut seen: Option<&mut Seen>,
) -> sql::Result<Ended> {
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
        Deleted::All { before } => {
            sql.push_str("(d.until, d.id) < (?, ?) AND +d.change_seq <= ?");
            values.extend([before.0.clone().into(), before.1.into(), seq(from.seq)]);
        }
        Deleted::Done => return Ok((Vec::new(), Deleted::Done)),
    }
    query::decision_conditions("d", filter, &mut sql, &mut values);
    if dedup == Dedup::Longest && seen.is_none() {
        sql.push_str(
            " AND NOT EXISTS (SELECT 1 FROM decisions l WHERE l.value = d.value AND l.scope = d.scope \
             AND l.type = d.type AND l.until > d.until AND +l.until <= ?",
        );
        values.push(now.clone());
        query::decision_conditions("l", filter, &mut sql, &mut values);
        sql.push(')');
    }
    sql.push_str(match place {
        Deleted::BySomebody { .. } => " ORDER BY d.change_seq, d.id LIMIT ?",
        Deleted::All { .. } => " ORDER BY d.until DESC, d.id DESC LIMIT ?",
        Deleted::ByTime { .. } | Deleted::Done => " ORDER BY d.until, d.id LIMIT ?",
    });
    values.push(i64::try_from(PAGE).unwrap_or(i64::MAX).into());
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(values, |row| {
        let until = row.get_ref(7)?.as_str().unwrap_or_default().to_owned();
        Ok((row::decision(row)?, row::seq(row)?, until))
    })?;
    let mut page = Vec::with_capacity(PAGE);
    let (mut n_read, mut last) = (0, None);
    for row in rows {
        let (decision, seq, until) = row?;
        n_read += 1;
        if n_read == PAGE {
            last = Some((seq, until, decision.id.0));
        }
        let is_hidden = match &mut seen {
            Some(seen) => seen.note(&decision) && has_longer(conn, &decision, filter, &now)?,
            None => false,
        };
        if !is_hidden {
            page.push(decision);
        }
    }
    let next = match (last, place) {
        (Some((seq, _, id)), Deleted::BySomebody { .. }) => {
            Deleted::BySomebody { after: (i64::try_from(seq.0).unwrap_or(i64::MAX), id) }
        }
        (Some((_, until, id)), Deleted::All { .. }) => Deleted::All { before: (until, id) },
        (Some((_, until, id)), _) => Deleted::ByTime { after: (until, id) },
        (None, Deleted::BySomebody { .. }) => by_time(from),
        (None, _) => Deleted::Done,
    };
    Ok((page, next))
}

/// Whether one of the same target, scope and remediation ended later.
fn has_longer(
    conn: &Connection,
    decision: &Decision,
    filter: &Prepared,
    now: &Value,
) -> sql::Result<bool> {
    let mut sql = String::from(
        "SELECT 1 FROM decisions l WHERE l.value = ? AND l.scope = ? AND l.type = ? \
         AND +l.until > ? AND +l.until <= ?",
    );
    let mut values = vec![
        Value::from(decision.value.clone()),
        decision.scope.name().to_owned().into(),
        decision.remediation.to_string().into(),
        time::to_text(decision.until).into(),
        now.clone(),
    ];
    query::decision_conditions("l", filter, &mut sql, &mut values);
    conn.prepare_cached(&sql)?.exists(values)
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
        let newest = shared.seq();
        let now = time::kept(now);
        let index = shared.read()?;
        let (last_end, last_end_seq) = index.last_end();
        let from = match from {
            From::Startup => None,
            // A cursor from the future belongs to a database that was replaced.
            From::After(cursor) => (cursor.seq <= newest).then_some(cursor),
        };
        let to = match from {
            Some(from) => Cursor { seq: index.last_before_revival(from, newest), at: now },
            None => Cursor { seq: newest, at: now },
        };
        drop(index);
        let stream = |from: Cursor, deleted: Deleted| Stream {
            store: self.clone(),
            filter: Arc::new(Prepared::new(filter)),
            dedup,
            new_after: (from.seq < to.seq).then_some((from.seq.0, i64::MAX)),
            from,
            to,
            deleted,
            ahead: None,
            seen: None,
            stops_short: to.seq < newest,
        };
        let Some(from) = from else {
            // Nothing lies before these, so the ends by time are all the ends there are.
            let beginning = Cursor { seq: Seq(0), at: Timestamp::MIN };
            let all = Deleted::All { before: (time::to_text(now), i64::MAX) };
            let mut stream = stream(beginning, all);
            stream.from.seq = to.seq;
            stream.new_after = Some((0, i64::MIN));
            stream.seen = (dedup == Dedup::Longest).then(|| Arc::new(Mutex::new(Seen::new())));
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
        let survivors = shared.take_survivors();
        if !survivors.is_empty() {
            let work = move |tx: &mut Tx<'_>| Ok(query::tell_again(tx, &survivors, now)?);
            self.inner.writer.write(work).await?;
        }
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
