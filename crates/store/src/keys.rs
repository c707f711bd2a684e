//! The bouncers behind keys, remembered between requests.
//!
//! A bouncer in live mode asks for every address that knocks, so its key is looked up ten thousand
//! times a second. What was found stays good until anybody, another program too, writes to the
//! database: SQLite keeps a number of that, which costs two microseconds to read. INVARIANT: a key
//! that was withdrawn before a request came is never found for it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;

use crate::{Bouncer, Error, error::classify, schema};

/// More keys than this are not remembered at once.
const MOST_KEYS: usize = 4096;

/// What is remembered.
pub(crate) struct Keys {
    known: Mutex<Known>,
}

struct Known {
    conn: Connection,
    /// The number of the database when what follows was read or before.
    version: i64,
    by_hash: HashMap<String, Arc<[Bouncer]>>,
}

/// The state of the database at a miss; what is read after it may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(i64);

impl Keys {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let conn = schema::open_reader(path);
        let conn = conn.map_err(|error| classify(&path.display(), &error.into()))?;
        let known = Known { conn, version: 0, by_hash: HashMap::new() };
        Ok(Self { known: Mutex::new(known) })
    }

    /// The bouncers with this key, if they are remembered and nothing was written since.
    pub(crate) fn find(&self, hash: &str) -> Result<Arc<[Bouncer]>, Option<Version>> {
        let mut known = self.lock();
        let version = known.conn.prepare_cached("PRAGMA data_version");
        let version = version.and_then(|mut version| version.query_row([], |row| row.get(0)));
        // A database that does not answer this is asked the long way, which has a proper error.
        let Ok(version) = version else { return Err(None) };
        if known.version != version {
            known.version = version;
            known.by_hash.clear();
        }
        known.by_hash.get(hash).cloned().ok_or(Some(Version(version)))
    }

    /// Remembers what was read after a miss. That there are none is not worth remembering: anybody
    /// can ask with keys that do not exist.
    pub(crate) fn remember(&self, hash: String, found: &Arc<[Bouncer]>, version: Version) {
        let mut known = self.lock();
        if known.version != version.0 || found.is_empty() {
            return;
        }
        if known.by_hash.len() >= MOST_KEYS {
            known.by_hash.clear();
        }
        known.by_hash.insert(hash, Arc::clone(found));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What is remembered is whole after every statement.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
