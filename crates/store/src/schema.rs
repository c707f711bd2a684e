//! Opens connections, and brings a database to this program's schema: forward only, each step once,
//! in one transaction, remembered with the checksum of its text.

use std::{
    fmt,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::Timestamp;
use rusqlite::OpenFlags;
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    error::classify,
    sql::{self, Connection, Optional as _, Role, Server, Session, params},
    time,
};

/// Each step with its text for SQLite and for PostgreSQL. What was released never changes.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (
        1,
        include_str!("../migrations/0001_base.sql"),
        include_str!("../migrations/postgres/0001_base.sql"),
    ),
    (
        2,
        include_str!("../migrations/0002_changes.sql"),
        include_str!("../migrations/postgres/0002_changes.sql"),
    ),
    (
        3,
        include_str!("../migrations/0003_profile.sql"),
        include_str!("../migrations/0003_profile.sql"),
    ),
];

/// Columns that databases made by others may lack, before which migration they are needed, and how
/// they are declared for SQLite; `add_column` knows the types of PostgreSQL. SQLite cannot add a
/// column only where it is missing, so this list can.
const COLUMNS: [(i64, &str, &str, &str); 24] = [
    (1, "machines", "last_heartbeat", "DATETIME NULL"),
    (1, "machines", "auth_type", "TEXT NOT NULL DEFAULT ('password')"),
    (1, "machines", "osname", "TEXT NULL"),
    (1, "machines", "osfamily", "TEXT NULL"),
    (1, "machines", "osversion", "TEXT NULL"),
    (1, "machines", "featureflags", "TEXT NULL"),
    (1, "machines", "hubstate", "JSON NULL"),
    (1, "machines", "datasources", "JSON NULL"),
    (1, "bouncers", "auth_type", "TEXT NOT NULL DEFAULT ('api-key')"),
    (1, "bouncers", "osname", "TEXT NULL"),
    (1, "bouncers", "osfamily", "TEXT NULL"),
    (1, "bouncers", "osversion", "TEXT NULL"),
    (1, "bouncers", "featureflags", "TEXT NULL"),
    (1, "bouncers", "auto_created", "BOOL NOT NULL DEFAULT (false)"),
    (1, "alerts", "uuid", "TEXT NULL"),
    (1, "alerts", "remediation", "BOOL NULL"),
    (1, "alerts", "kind", "TEXT NULL"),
    (1, "decisions", "uuid", "TEXT NULL"),
    (1, "decisions", "start_suffix", "INTEGER NULL"),
    (1, "decisions", "end_suffix", "INTEGER NULL"),
    (2, "decisions", "change_seq", "INTEGER NULL"),
    (2, "alerts", "last_until", "DATETIME NULL"),
    (2, "bouncers", "cursor_seq", "INTEGER NULL"),
    (2, "bouncers", "cursor_at", "INTEGER NULL"),
];

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a file.
    File(PathBuf),
    /// On a server.
    Server(Arc<Server>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl Place {
    /// Opens the connection that writes.
    pub(crate) fn open_writer(&self) -> Result<Connection, Error> {
        let conn = match self {
            Self::File(path) => open_writer(path).map(Connection::Sqlite).map_err(Into::into),
            Self::Server(server) => open_session(server, Role::Writes),
        };
        conn.map_err(|error| classify(self, &error))
    }

    /// Opens a connection that only reads.
    pub(crate) fn open_reader(&self) -> Result<Connection, Error> {
        let conn = match self {
            Self::File(path) => open_reader(path).map(Connection::Sqlite).map_err(Into::into),
            Self::Server(server) => open_session(server, Role::Reads),
        };
        conn.map_err(|error| classify(self, &error))
    }
}

fn open_session(server: &Arc<Server>, role: Role) -> sql::Result<Connection> {
    Ok(Connection::Postgres(Box::new(Session::open(server, role)?)))
}

/// Makes the file when there is none, so that nobody else can read it at any moment.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    // The mode also goes to the files SQLite puts beside it.
    OpenOptions::new().create(true).append(true).mode(0o640).open(path).map(drop).map_err(|error| {
        let (database, reason) = (path.display().to_string(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Error::ReadOnly { database, reason }
            }
            std::io::ErrorKind::StorageFull => Error::Full { database },
            _ => Error::Unusable { database, reason },
        }
    })
}

/// Opens the connection that writes.
///
/// `synchronous = FULL` flushes the log at every commit, so an acknowledged change survives a power
/// cut and not only a kill; requests that wait share the flush, which keeps it affordable. Agents
/// delete an alert from their outbox once it is acknowledged, so `NORMAL` could lose it for good.
///
/// `temp_store` stays at files: the journals of savepoints, kept in memory, are cut back by walking
/// them from the start after every statement, which made large transactions quadratic.
fn open_writer(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let conn = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(std::time::Duration::from_secs(30))?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;\
         PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;\
         PRAGMA wal_autocheckpoint = 16000;",
    )?;
    conn.set_prepared_statement_cache_capacity(128);
    // The first write lock shows at once what would fail later.
    conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    Ok(conn)
}

/// Opens the connection that moves the log into the database.
pub(crate) fn open_checkpointer(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let conn = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // The flush of the database file is what makes it safe to use the log again.
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -256;")?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let conn = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(std::time::Duration::from_secs(30))?;
    conn.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;",
    )?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Applies the migrations the database does not have yet. Of two programs that start at once, one
/// migrates and the other waits, and finds it done.
pub(crate) fn migrate(conn: &Connection, place: &Place, now: Timestamp) -> Result<(), Error> {
    let outcome = apply(conn, place, now);
    if outcome.is_err() && conn.is_in_transaction() {
        // The first error is the one to tell.
        drop(conn.rollback());
    }
    outcome
}

fn apply(conn: &Connection, place: &Place, now: Timestamp) -> Result<(), Error> {
    let sql = |error: sql::Error| classify(place, &error);
    conn.begin_migration().map_err(sql)?;
    let instant = if conn.is_postgres() { "TIMESTAMPTZ" } else { "DATETIME" };
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS shieldwall_migrations (\
         version INTEGER PRIMARY KEY NOT NULL, checksum TEXT NOT NULL, applied_at {instant} NOT NULL)",
    ))
    .map_err(sql)?;
    let newest: Option<i64> = conn
        .prepare_cached("SELECT max(version) FROM shieldwall_migrations")
        .and_then(|mut statement| statement.query_row((), |row| row.get(0)))
        .map_err(sql)?;
    let known = MIGRATIONS.len();
    if newest.is_some_and(|newest| usize::try_from(newest).is_ok_and(|newest| newest > known)) {
        return Err(Error::Schema {
            database: place.to_string(),
            reason: format!(
                "it has schema {}, this program knows up to {known}; use a newer program",
                newest.unwrap_or_default()
            ),
        });
    }
    for (version, of_sqlite, of_postgres) in MIGRATIONS {
        let text = if conn.is_postgres() { of_postgres } else { of_sqlite };
        let checksum = hex(&Sha256::digest(text));
        let applied: Option<String> = conn
            .prepare_cached("SELECT checksum FROM shieldwall_migrations WHERE version = ?")
            .and_then(|mut statement| statement.query_row([version], |row| row.get(0)).optional())
            .map_err(sql)?;
        match applied {
            Some(applied) if applied == checksum => continue,
            Some(_) => {
                return Err(Error::Schema {
                    database: place.to_string(),
                    reason: format!("migration {version} was applied with another text"),
                });
            }
            None => {}
        }
        for (_, table, column, declaration) in COLUMNS.iter().filter(|column| column.0 == version) {
            add_column(conn, table, column, declaration).map_err(sql)?;
        }
        conn.execute_batch(text).map_err(sql)?;
        conn.prepare_cached(
            "INSERT INTO shieldwall_migrations (version, checksum, applied_at) VALUES (?, ?, ?)",
        )
        .and_then(|mut statement| statement.execute(params![version, checksum, time::to_text(now)]))
        .map_err(sql)?;
    }
    conn.commit().map_err(sql)
}

/// Adds a column to a table that exists and lacks it. Table and column are our own constants.
fn add_column(conn: &Connection, table: &str, column: &str, declaration: &str) -> sql::Result<()> {
    if conn.is_postgres() {
        let declaration =
            declaration.replace("DATETIME", "TIMESTAMPTZ").replace("INTEGER", "BIGINT");
        return conn.execute_batch(&format!(
            "ALTER TABLE IF EXISTS {table} ADD COLUMN IF NOT EXISTS {column} {declaration}"
        ));
    }
    let columns: Vec<String> = conn
        .prepare_cached("SELECT name FROM pragma_table_info(?)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if columns.is_empty() || columns.iter().any(|name| name.eq_ignore_ascii_case(column)) {
        return Ok(());
    }
    conn.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declaration}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
