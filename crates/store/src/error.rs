//! What the database can refuse, sorted by what the caller can do about it.

use crate::sql;

/// Whether the same call can succeed later without anybody changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Ask again: the disk may have room, the lock may be free.
    Later,
    /// The same call will fail again.
    Never,
}

/// Why a call to the store did not do what it should.
///
/// Clone, because one failed transaction answers everybody who was part of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The thing named does not exist.
    #[error("{what} '{name}' not found")]
    NotFound {
        /// `machine`, `bouncer`, `allowlist`, `alert`, `decision`.
        what: &'static str,
        /// As the caller named it.
        name: String,
    },
    /// The name is taken.
    #[error("{what} '{name}' already exists")]
    Exists {
        /// `machine`, `bouncer`, `allowlist`.
        what: &'static str,
        /// As the caller named it.
        name: String,
    },
    /// There is no room left for the database.
    #[error("no space left for the database {database}")]
    Full {
        /// The database.
        database: String,
    },
    /// The database cannot be written.
    #[error("the database {database} cannot be written: {reason}")]
    ReadOnly {
        /// The database.
        database: String,
        /// What the system said.
        reason: String,
    },
    /// The file is damaged, or is no database.
    #[error("the database {database} is damaged: {reason}")]
    Corrupt {
        /// The database.
        database: String,
        /// What was noticed.
        reason: String,
    },
    /// The database was made by a newer or an altered program.
    #[error("the database {database} does not fit this program: {reason}")]
    Schema {
        /// The database.
        database: String,
        /// What differs.
        reason: String,
    },
    /// Another program holds the database, or a transaction was lost with that of a neighbor.
    #[error("the database {database} is busy: {reason}")]
    Busy {
        /// The database.
        database: String,
        /// Who or what held it, as far as known.
        reason: String,
    },
    /// The file cannot be opened or read.
    #[error("the database {database} cannot be used: {reason}")]
    Unusable {
        /// The database.
        database: String,
        /// What the system said.
        reason: String,
    },
    /// The server of the database is away, or went away before it answered. A change may have been
    /// made all the same; repeating it is safe, as an alert has an identifier.
    #[error("the database {database} cannot be reached: {reason}")]
    Unreachable {
        /// The database.
        database: String,
        /// What was noticed.
        reason: String,
    },
    /// The server of the database will not have us.
    #[error("the database {database} refuses us: {reason}")]
    Refused {
        /// The database.
        database: String,
        /// The setting to look at, as existing settings name it: `password`, `db_name`, ….
        setting: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The store was opened without its index of active decisions.
    #[error("the store was opened without the index of decisions")]
    NoIndex,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether to ask again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Full { .. }
            | Self::Busy { .. }
            | Self::ReadOnly { .. }
            | Self::Unreachable { .. }
            // Whoever changed a password on the server changes it here too.
            | Self::Refused { .. } => Retry::Later,
            Self::NotFound { .. }
            | Self::Exists { .. }
            | Self::Corrupt { .. }
            | Self::Schema { .. }
            | Self::Unusable { .. }
            | Self::NoIndex
            | Self::Closed => Retry::Never,
        }
    }
}

/// Sorts what a database says; `database` is what it is called.
pub(crate) fn classify(database: &impl std::fmt::Display, error: &sql::Error) -> Error {
    let database = database.to_string();
    match error {
        sql::Error::Sqlite(error) => of_sqlite(database, error),
        sql::Error::Postgres(error) => of_postgres(database, error),
        sql::Error::Lost(reason) => Error::Unreachable { database, reason: reason.clone() },
        sql::Error::Refused(setting, reason) => {
            Error::Refused { database, setting, reason: reason.clone() }
        }
        sql::Error::NoRow => {
            Error::Unusable { database, reason: "a row is missing that must be there".to_owned() }
        }
        sql::Error::Type(column) => {
            let reason = format!("column {column} of an answer holds something unexpected");
            Error::Unusable { database, reason }
        }
    }
}

fn of_sqlite(database: String, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let reason = error.to_string();
    let Some(code) = error.sqlite_error_code() else { return Error::Unusable { database, reason } };
    match code {
        Code::DiskFull => Error::Full { database },
        Code::ReadOnly | Code::PermissionDenied | Code::AuthorizationForStatementDenied => {
            Error::ReadOnly { database, reason }
        }
        Code::DatabaseCorrupt | Code::NotADatabase => Error::Corrupt { database, reason },
        Code::DatabaseBusy | Code::DatabaseLocked | Code::OperationInterrupted => {
            Error::Busy { database, reason }
        }
        Code::SystemIoFailure => match io_failure(error) {
            IoFailure::Growing => Error::Full { database },
            IoFailure::Writing => Error::ReadOnly { database, reason },
            IoFailure::Other => Error::Unusable { database, reason },
        },
        _ => Error::Unusable { database, reason },
    }
}

/// What the system could not do.
enum IoFailure {
    Growing,
    Writing,
    Other,
}

fn io_failure(error: &rusqlite::Error) -> IoFailure {
    // SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE: making room failed. A plain lack of room while
    // writing has a code of its own.
    const GROWING: [i32; 2] = [1546, 4874];
    // SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC: what a file system answers that
    // turned read-only beneath us.
    const WRITING: [i32; 3] = [778, 1034, 1290];
    match error {
        rusqlite::Error::SqliteFailure(code, _) if GROWING.contains(&code.extended_code) => {
            IoFailure::Growing
        }
        rusqlite::Error::SqliteFailure(code, _) if WRITING.contains(&code.extended_code) => {
            IoFailure::Writing
        }
        _ => IoFailure::Other,
    }
}

fn of_postgres(database: String, error: &tokio_postgres::Error) -> Error {
    let reason = sql::words(error);
    match error.code().map_or("", |code| code.code()) {
        "53100" => Error::Full { database },
        // A standby, or a disk that an administrator protects.
        "25006" => Error::ReadOnly { database, reason },
        "42501" => Error::Refused { database, setting: "user", reason },
        "XX001" | "XX002" => Error::Corrupt { database, reason },
        // Locks and deadlocks, cancelled statements, too many connections, too little memory.
        "55P03" | "40P01" | "40001" | "57014" | "53000" | "53200" | "53300" | "53400" => {
            Error::Busy { database, reason }
        }
        _ => Error::Unusable { database, reason },
    }
}
