//! The store: everything that must survive a restart, and the active decisions in memory.
//!
//! One thread writes, a few read, all on SQLite in WAL mode. A call that changes something is
//! answered after its transaction is on disk (I10); calls that wait at the same time share one
//! transaction. Active decisions are answered from an index in memory that is rebuilt from the
//! database when the store opens; every change to them carries a [`Seq`].
//!
//! Tables and columns bear the names existing tools know, so a CrowdSec database can be taken over
//! and raw SQL keeps working; no type here shows a table or a transaction.
//!
//! Reading order: [`Store`], `alert`, `decision`, `stream`; below them `writer`, `reader`, `index`.
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
use rusqlite::Connection;

use checkpoint::Checkpoints;
use index::Shared;
use keys::Keys;
use reader::Readers;
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

/// So many threads read.
const READERS: usize = 3;

/// The database and the index. Clones share them; the last one to go closes the database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields go in this order: the writer last, as it tidies up the file.
struct Inner {
    readers: Readers,
    keys: Keys,
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
        let path = settings.path.as_path();
        schema::create(path)?;
        let sql = |error: rusqlite::Error| error::classify(path, &error);
        let mut conn = schema::open_writer(path).map_err(sql)?;
        schema::migrate(&mut conn, path, now)?;
        writer::adopt_all(&conn).map_err(sql)?;
        let seq = Seq(writer::newest_seq(&conn).map_err(sql)?);
        let index = match settings.index {
            Index::Kept => Some(load(&conn, seq, now).map_err(sql)?),
            Index::None => None,
        };
        let shared = Arc::new(Shared::new(index, seq));
        let writer = Writer::start(conn, path.to_path_buf(), Arc::clone(&shared))?;
        let readers = Readers::start(path, READERS)?;
        let keys = Keys::open(path)?;
        let checkpoints = match settings.index {
            Index::Kept => Some(Checkpoints::start(path)?),
            Index::None => None,
        };
        let (allow, n_pauses) = (Arc::default(), Arc::default());
        Ok(Self {
            inner: Arc::new(Inner {
                readers,
                keys,
                _checkpoints: checkpoints,
                writer,
                shared,
                allow,
                n_pauses,
            }),
        })
    }

    /// Finishes what is waiting and ends the threads, unless a clone is still in use. Blocks.
    pub fn close(self) {
        drop(self);
    }
}

/// Builds the index from the database.
fn load(conn: &Connection, seq: Seq, now: Timestamp) -> rusqlite::Result<index::Index> {
    let now_text = time::to_text(now);
    let last_end: Option<String> =
        conn.query_row("SELECT max(until) FROM decisions WHERE until <= ?", [&now_text], |row| {
            row.get(0)
        })?;
    let last_end = last_end.as_deref().and_then(time::from_text).unwrap_or(Timestamp::MIN);
    // Who ended what before the start is not remembered, so everybody's first question goes to the
    // database.
    let mut index = index::Index::new(last_end, seq);
    let mut statement =
        conn.prepare(&format!("SELECT {} FROM decisions d WHERE d.until > ?", row::DECISION))?;
    let mut rows = statement.query([&now_text])?;
    while let Some(row) = rows.next()? {
        index.apply(index::Change::Set(row::entry(row)?));
    }
    Ok(index)
}

#[cfg(test)]
mod tests;
