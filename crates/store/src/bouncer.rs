//! Bouncers: the enforcers that read decisions.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use model::Timestamp;

use crate::{
    Cursor, Error, Os, Seq, Store,
    machine::{instant, os, text},
    sql::{self, Connection, Row, params},
    time,
    writer::{Failure, Tx},
};

/// How a bouncer proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BouncerAuth {
    /// By key.
    #[default]
    ApiKey,
    /// By client certificate.
    Tls,
}

/// Names one bouncer's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BouncerId(pub i64);

/// An enforcer that may read decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bouncer {
    /// Its row.
    pub id: BouncerId,
    /// Its name.
    pub name: String,
    /// The hash of its key: lower-case hexadecimal.
    pub key_hash: String,
    /// How it proves who it is.
    pub auth: BouncerAuth,
    /// Whether its key was withdrawn.
    pub revoked: bool,
    /// The address it reads from.
    pub ip: String,
    /// Its program as reported (`type`).
    pub kind: String,
    /// Its version as reported.
    pub version: String,
    /// When it last read decisions.
    pub last_pull: Option<Timestamp>,
    /// How far it has read; `None` means its next answer is a startup.
    pub cursor: Option<Cursor>,
    /// Whether the server made it for a second host on the same key.
    pub auto_created: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When the row was last changed.
    pub updated_at: Timestamp,
    /// Its operating system, when reported.
    pub os: Option<Os>,
    /// Feature flags, comma-joined as reported.
    pub feature_flags: String,
}

/// A bouncer that is about to be added.
#[derive(Clone, Debug, Default)]
pub struct NewBouncer {
    /// Its name.
    pub name: String,
    /// The hash of its key.
    pub key_hash: String,
    /// The address it came from; empty until it came.
    pub ip: String,
    /// How it proves who it is.
    pub auth: BouncerAuth,
    /// Whether the server makes it by itself.
    pub auto_created: bool,
    /// Its program, if known (`type`).
    pub kind: String,
    /// Its version, if known.
    pub version: String,
}

/// What changes about a bouncer; `None` keeps what is there.
#[derive(Clone, Debug, Default)]
pub struct BouncerChange {
    /// New address.
    pub ip: Option<String>,
    /// New program.
    pub kind: Option<String>,
    /// New version.
    pub version: Option<String>,
    /// It read decisions at this time. Leaves its cursor alone.
    pub last_pull: Option<Timestamp>,
    /// It has read so far; sets `last_pull` as well.
    pub cursor: Option<Cursor>,
    /// New operating system.
    pub os: Option<Os>,
    /// New feature flags, comma-joined.
    pub feature_flags: Option<String>,
}

/// The bouncers of each key as a server last told them, for while it is away.
pub(crate) type Keys = Arc<Mutex<HashMap<String, Arc<[Bouncer]>>>>;

/// So many keys are remembered.
const MOST_KEYS: usize = 4096;

const BOUNCER: &str = "id, name, api_key, auth_type, revoked, ip_address, type, version, last_pull, \
    cursor_seq, cursor_at, auto_created, created_at, updated_at, osname, osfamily, osversion, featureflags";

impl Store {
    /// All bouncers, by row.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn bouncers(&self) -> Result<Vec<Bouncer>, Error> {
        self.inner.readers.read(|conn| Ok(find(conn, "?1 = ?1", "")?)).await
    }

    /// One bouncer, if there is one of that name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn bouncer(&self, name: &str) -> Result<Option<Bouncer>, Error> {
        let name = name.to_owned();
        let found =
            self.inner.readers.read(move |conn| Ok(find(conn, "name = ?1", &name)?)).await?;
        Ok(found.into_iter().next())
    }

    /// All bouncers with this key, of either way to prove it, by row. Remembered as long as nobody
    /// writes to the database; to be called for every request.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn bouncers_with_key(&self, key_hash: &str) -> Result<Arc<[Bouncer]>, Error> {
        let Some(keys) = &self.inner.keys else { return self.keys_of_server(key_hash).await };
        let version = match keys.find(key_hash) {
            Ok(found) => return Ok(found),
            Err(version) => version,
        };
        let hash = key_hash.to_owned();
        let work = move |conn: &Connection| Ok((find(conn, "api_key = ?1", &hash)?, hash));
        let (found, hash): (Vec<Bouncer>, String) = self.inner.readers.read(work).await?;
        let found = Arc::from(found);
        if let Some(version) = version {
            keys.remember(hash, &found, version);
        }
        Ok(found)
    }

    /// The same where a server has the database: it is asked each time, as others write to it too.
    async fn keys_of_server(&self, key_hash: &str) -> Result<Arc<[Bouncer]>, Error> {
        let asked = key_hash.to_owned();
        let work = move |conn: &Connection| Ok(find(conn, "api_key = ?1", &asked)?);
        let known = || self.inner.last_keys.lock().unwrap_or_else(PoisonError::into_inner);
        match self.inner.readers.read(work).await {
            Ok(found) => {
                let found: Arc<[Bouncer]> = Arc::from(found);
                let mut known = known();
                if found.is_empty() {
                    known.remove(key_hash);
                } else if known.len() < MOST_KEYS || known.contains_key(key_hash) {
                    known.insert(key_hash.to_owned(), Arc::clone(&found));
                }
                Ok(found)
            }
            // Whoever was let in when the server was last there keeps reading from memory.
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                known().get(key_hash).cloned().ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a bouncer.
    ///
    /// # Errors
    /// `Exists`, or when the database refuses.
    pub async fn add_bouncer(&self, bouncer: NewBouncer, now: Timestamp) -> Result<Bouncer, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let exists = || Error::Exists { what: "bouncer", name: bouncer.name.clone() };
            let n_added = tx
                .conn
                .prepare_cached(
                    "INSERT INTO bouncers (created_at, updated_at, name, api_key, revoked, \
                     ip_address, type, version, auth_type, auto_created) \
                     VALUES (?1, ?1, ?2, ?3, false, ?4, ?5, ?6, ?7, ?8) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    time::to_text(now),
                    bouncer.name,
                    bouncer.key_hash,
                    bouncer.ip,
                    bouncer.kind,
                    bouncer.version,
                    bouncer.auth.name(),
                    bouncer.auto_created,
                ])?;
            if n_added == 0 {
                return Err(exists().into());
            }
            let found = find(tx.conn, "name = ?1", &bouncer.name)?;
            Ok(found.into_iter().next().ok_or_else(exists)?)
        };
        self.inner.writer.write(work).await
    }

    /// Changes a bouncer. After an answer with nothing in it the cursor need not be stored.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn change_bouncer(
        &self,
        id: BouncerId,
        change: BouncerChange,
        now: Timestamp,
    ) -> Result<(), Error> {
        let work = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
            let os = change.os.unwrap_or_default();
            let some = |text: String| (!text.is_empty()).then_some(text);
            let last_pull = change.last_pull.or_else(|| change.cursor.map(|cursor| cursor.at));
            let n_changed = tx
                .conn
                .prepare_cached(
                    "UPDATE bouncers SET updated_at = ?1, ip_address = coalesce(?2, ip_address), \
                     type = coalesce(?3, type), version = coalesce(?4, version), \
                     last_pull = coalesce(?5, last_pull), cursor_seq = coalesce(?6, cursor_seq), \
                     cursor_at = coalesce(?7, cursor_at), osname = coalesce(?8, osname), \
                     osfamily = coalesce(?9, osfamily), osversion = coalesce(?10, osversion), \
                     featureflags = coalesce(?11, featureflags) WHERE id = ?12",
                )?
                .execute(params![
                    time::to_text(now),
                    change.ip,
                    change.kind,
                    change.version,
                    last_pull.map(time::to_text),
                    change.cursor.map(|cursor| i64::try_from(cursor.seq.0).unwrap_or(i64::MAX)),
                    change.cursor.map(|cursor| cursor.at.unix_nanos()),
                    some(os.name),
                    some(os.family),
                    some(os.version),
                    change.feature_flags,
                    id.0,
                ])?;
            if n_changed == 0 {
                return Err(Error::NotFound { what: "bouncer", name: id.0.to_string() }.into());
            }
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Deletes bouncers and tells how many there were.
    ///
    /// # Errors
    /// When the database refuses; then none is deleted.
    pub async fn delete_bouncers(&self, names: Vec<String>) -> Result<usize, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let mut statement = tx.conn.prepare_cached("DELETE FROM bouncers WHERE name = ?")?;
            Ok(names.iter().map(|name| statement.execute([name])).sum::<Result<usize, _>>()?)
        };
        let n_deleted = self.inner.writer.write(work).await?;
        self.inner.last_keys.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(n_deleted)
    }
}

impl BouncerAuth {
    /// As the database and the command line spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::Tls => "tls",
        }
    }
}

fn find(conn: &Connection, condition: &str, value: &str) -> sql::Result<Vec<Bouncer>> {
    conn.prepare_cached(&format!("SELECT {BOUNCER} FROM bouncers WHERE {condition} ORDER BY id"))?
        .query_map([value], bouncer)?
        .collect()
}

fn bouncer(row: &Row<'_>) -> sql::Result<Bouncer> {
    let last_pull = instant(row, 8)?;
    let cursor = match (row.get::<Option<i64>>(9)?, row.get::<Option<i64>>(10)?) {
        (Some(seq), Some(at)) => u64::try_from(seq)
            .ok()
            .map(|seq| Cursor { seq: Seq(seq), at: Timestamp::from_unix_nanos(at) }),
        _ => None,
    };
    Ok(Bouncer {
        id: BouncerId(row.get(0)?),
        name: row.get(1)?,
        key_hash: row.get(2)?,
        auth: if text(row, 3)? == "tls" { BouncerAuth::Tls } else { BouncerAuth::ApiKey },
        revoked: row.get(4)?,
        ip: text(row, 5)?,
        kind: text(row, 6)?,
        version: text(row, 7)?,
        last_pull,
        // Whoever clears `last_pull` by hand wants the next answer to be a startup.
        cursor: cursor.filter(|_| last_pull.is_some()),
        auto_created: row.get(11)?,
        created_at: instant(row, 12)?.unwrap_or_default(),
        updated_at: instant(row, 13)?.unwrap_or_default(),
        os: os(row, 14)?,
        feature_flags: text(row, 17)?,
    })
}
