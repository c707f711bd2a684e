//! The store: everything that must survive a restart, and the active decisions in memory.
//!
//! One thread writes, a few read, on SQLite in WAL mode or on a PostgreSQL server; `sql` makes the two
//! look the same to everything above it. A call that changes something is
//! answered after its transaction is on disk (I10); calls that wait at the same time share one
//! transaction. Active decisions are answered from an index in memory that is rebuilt from the
//! database when the store opens; every change to them carries a [`Seq`]. While a server is away,
//! memory still answers, everything else fails with [`Error::Unreachable`], and the connections come
//! back by themselves.
//!
//! Tables and columns bear the names existing tools know, so a CrowdSec database can be taken over
//! and raw SQL keeps working; no type here shows a table or a transaction.
//!
//! Reading order: [`Store`], `alert`, `decision`, `stream`; below them `writer`, `reader`, `index`,
//! `sql`.
#![forbid(unsafe_code)]

mod alert;
mod allowlist;
mod bouncer;
mod decision;
mod error;
mod filter;
mod flush;
mod item;
mod machine;
mod stream;

mod checkpoint;
mod keys;
mod reader;
mod schema;
mod sql;
mod writer;

mod index;
mod matcher;
mod names;
mod order;
mod records;

mod net;
mod query;
mod row;
mod time;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use model::Timestamp;

use checkpoint::Checkpoints;
use index::Shared;
use keys::Keys;
use reader::Readers;
use schema::Place;
use sql::Connection;
use writer::Writer;

pub use alert::{AlertId, NewAlert, Recorded, StoredAlert};
pub use allowlist::{AllowMatch, Allowlist, AllowlistItem, Items, NewAllowlist, NewAllowlistItem};
pub use bouncer::{Bouncer, BouncerAuth, BouncerChange, BouncerId, NewBouncer};
pub use decision::ActiveCount;
pub use error::{Error, Retry};
pub use filter::{AlertFilter, DecisionFilter, HasActive, Page, Relation, Simulated, Sort};
pub use flush::{FlushPause, Flushed, Retention};
pub use item::{Metrics, MetricsFilter, MetricsSource};
pub use machine::{Machine, MachineAuth, MachineChange, NewMachine, Os};
pub use sql::{ClientCertificate, Server, ServerAddress, SslMode};
pub use stream::{BadCursor, Cursor, Dedup, From, Seq, Stream};

/// Where the database is and how it is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database file; made, with mode 0640, when there is none.
    pub path: PathBuf,
    /// Whether the active decisions are held in memory.
    pub index: Index,
}

/// Whether a store answers questions about active decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// It does: for servers.
    Kept,
    /// It does not: for tools that work on machines, bouncers and allowlists beside a server.
    None,
}

/// So many threads read; one of a server fewer than it grants us connections.
const READERS: usize = 3;

/// The database and the index. Clones share them; the last one to go closes the database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields go in this order: the writer last, as it tidies up the file.
struct Inner {
    readers: Readers,
    /// Where the database is a file.
    keys: Option<Keys>,
    /// Where it is on a server.
    last_keys: bouncer::Keys,
    /// Only beside an index: who opens a database for a moment leaves its log to others.
    _checkpoints: Option<Checkpoints>,
    writer: Writer,
    shared: Arc<Shared>,
    allow: allowlist::Cache,
    n_pauses: Arc<AtomicUsize>,
}

impl Store {
    /// Opens the database, brings it to this program's schema and builds the index.
    /// Blocks, for some seconds per million active decisions.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written, or is newer than this program.
    pub fn open(settings: &Settings, now: Timestamp) -> Result<Self, Error> {
        schema::create(&settings.path)?;
        Self::start(&Place::File(settings.path.clone()), settings.index, READERS, now)
    }

    /// Connects to a database on a PostgreSQL server, as `open` opens a file.
    ///
    /// # Errors
    /// When the server cannot be reached or will not have us, or the database cannot be written or
    /// is newer than this program.
    pub fn connect(server: &Server, index: Index, now: Timestamp) -> Result<Self, Error> {
        let wanted = if index == Index::Kept { READERS } else { 1 };
        let n_readers = server.max_connections.saturating_sub(1).clamp(1, wanted);
        let place = Place::Server(Arc::new(server.clone()));
        // Each connection has a runtime, which cannot be started where the caller is part of one.
        let starting = || Self::start(&place, index, n_readers, now);
        let started = std::thread::scope(|scope| scope.spawn(starting).join());
        started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn start(place: &Place, index: Index, n_readers: usize, now: Timestamp) -> Result<Self, Error> {
        let sql = |error: sql::Error| error::classify(place, &error);
        let conn = place.open_writer()?;
        schema::migrate(&conn, place, now)?;
        writer::adopt_all(&conn).map_err(sql)?;
        let seq = Seq(writer::newest_seq(&conn).map_err(sql)?);
        let index = match index {
            Index::Kept => Some(load(&conn, seq, now).map_err(sql)?),
            Index::None => None,
        };
        conn.hurry();
        let shared = Arc::new(Shared::new(index, seq));
        let writer = Writer::start(conn, place.clone(), Arc::clone(&shared))?;
        let readers = Readers::start(place, n_readers)?;
        // What a server has others may change unseen, and it keeps its own log.
        let (keys, checkpoints) = match (place, shared.is_kept()) {
            (Place::File(path), true) => (Some(Keys::open(path)?), Some(Checkpoints::start(path)?)),
            (Place::File(path), false) => (Some(Keys::open(path)?), None),
            (Place::Server(_), _) => (None, None),
        };
        let (allow, last_keys, n_pauses) = (Arc::default(), Arc::default(), Arc::default());
        let inner = Inner {
            readers,
            keys,
            last_keys,
            _checkpoints: checkpoints,
            writer,
            shared,
            allow,
            n_pauses,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finishes what is waiting and ends the threads, unless a clone is still in use. Blocks.
    pub fn close(self) {
        drop(self);
    }
}

/// Builds the index from the database.
fn load(conn: &Connection, seq: Seq, now: Timestamp) -> sql::Result<index::Index> {
    let now_text = time::to_text(now);
    let last_end: Option<String> = conn
        .prepare_cached("SELECT max(until) FROM decisions WHERE until <= ?")?
        .query_row([&now_text], |row| row.get(0))?;
    let last_end = last_end.as_deref().and_then(time::from_text).unwrap_or(Timestamp::MIN);
    // Who ended what before the start is not remembered, so everybody's first question goes to the
    // database.
    let mut index = index::Index::new(last_end, seq);
    let active = format!("SELECT {} FROM decisions d WHERE d.until > ?", row::DECISION);
    conn.prepare_cached(&active)?.each([&now_text], |row| {
        index.apply(index::Change::Set(row::entry(row)?));
        Ok(())
    })?;
    Ok(index)
}

#[cfg(test)]
mod tests;
