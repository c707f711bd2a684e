//! Opens connections, and brings a database to this program's schema: forward only, each step once,
//! in one transaction, remembered with the checksum of its text.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path};

use model::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use crate::{Error, error::classify, time};

const MIGRATIONS: [(i64, &str); 2] = [
    (1, include_str!("../migrations/0001_base.sql")),
    (2, include_str!("../migrations/0002_changes.sql")),
];

/// Columns that databases made by others may lack, before which migration they are needed, and how
/// they are declared. SQLite cannot add a column only where it is missing, so this list can.
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

/// Makes the file when there is none, so that nobody else can read it at any moment.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    // The mode also goes to the files SQLite puts beside it.
    OpenOptions::new().create(true).append(true).mode(0o640).open(path).map(drop).map_err(|error| {
        let (path, reason) = (path.to_path_buf(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Error::ReadOnly { path, reason }
            }
            std::io::ErrorKind::StorageFull => Error::Full { path },
            _ => Error::Unusable { path, reason },
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
pub(crate) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
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
pub(crate) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // The flush of the database file is what makes it safe to use the log again.
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -256;")?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
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

/// Applies the migrations the database does not have yet.
pub(crate) fn migrate(conn: &mut Connection, path: &Path, now: Timestamp) -> Result<(), Error> {
    let sql = |error: rusqlite::Error| classify(path, &error);
    // Immediate: of two programs that start at once, one migrates and the other finds it done.
    let tx =
        conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sql)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS shieldwall_migrations (\
         version INTEGER PRIMARY KEY NOT NULL, checksum TEXT NOT NULL, applied_at DATETIME NOT NULL)",
    )
    .map_err(sql)?;
    let newest: Option<i64> = tx
        .query_row("SELECT max(version) FROM shieldwall_migrations", [], |row| row.get(0))
        .map_err(sql)?;
    let known = MIGRATIONS.len();
    if newest.is_some_and(|newest| usize::try_from(newest).is_ok_and(|newest| newest > known)) {
        return Err(Error::Schema {
            path: path.to_path_buf(),
            reason: format!(
                "it has schema {}, this program knows up to {known}; use a newer program",
                newest.unwrap_or_default()
            ),
        });
    }
    for (version, text) in MIGRATIONS {
        let checksum = hex(&Sha256::digest(text));
        let applied: Option<String> = tx
            .query_row(
                "SELECT checksum FROM shieldwall_migrations WHERE version = ?",
                [version],
                |row| row.get(0),
            )
            .optional()
            .map_err(sql)?;
        match applied {
            Some(applied) if applied == checksum => continue,
            Some(_) => {
                return Err(Error::Schema {
                    path: path.to_path_buf(),
                    reason: format!("migration {version} was applied with another text"),
                });
            }
            None => {}
        }
        for (_, table, column, declaration) in COLUMNS.iter().filter(|column| column.0 == version) {
            add_column(&tx, table, column, declaration).map_err(sql)?;
        }
        tx.execute_batch(text).map_err(sql)?;
        tx.execute(
            "INSERT INTO shieldwall_migrations (version, checksum, applied_at) VALUES (?, ?, ?)",
            (version, checksum, time::to_text(now)),
        )
        .map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

/// Adds a column to a table that exists and lacks it. Table and column are our own constants.
fn add_column(
    conn: &Connection,
    table: &str,
    column: &str,
    declaration: &str,
) -> rusqlite::Result<()> {
    let columns: Vec<String> = conn
        .prepare("SELECT name FROM pragma_table_info(?)")?
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
