//! What the database can refuse, sorted by what the caller can do about it.

use std::path::PathBuf;

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
    #[error("no space left for the database {path}")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database cannot be written.
    #[error("the database {path} cannot be written: {reason}")]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is damaged, or is no database.
    #[error("the database {path} is damaged: {reason}")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was noticed.
        reason: String,
    },
    /// The database was made by a newer or an altered program.
    #[error("the database {path} does not fit this program: {reason}")]
    Schema {
        /// The database.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Another program holds the database, or a transaction was lost with that of a neighbor.
    #[error("the database {path} is busy: {reason}")]
    Busy {
        /// The database.
        path: PathBuf,
        /// Who or what held it, as far as known.
        reason: String,
    },
    /// The file cannot be opened or read.
    #[error("the database {path} cannot be used: {reason}")]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What the system said.
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
            Self::Full { .. } | Self::Busy { .. } | Self::ReadOnly { .. } => Retry::Later,
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

/// Sorts what SQLite says about the database at `path`.
pub(crate) fn classify(path: &std::path::Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let path = path.to_path_buf();
    let reason = error.to_string();
    let Some(code) = error.sqlite_error_code() else { return Error::Unusable { path, reason } };
    match code {
        Code::DiskFull => Error::Full { path },
        Code::ReadOnly | Code::PermissionDenied | Code::AuthorizationForStatementDenied => {
            Error::ReadOnly { path, reason }
        }
        Code::DatabaseCorrupt | Code::NotADatabase => Error::Corrupt { path, reason },
        Code::DatabaseBusy | Code::DatabaseLocked | Code::OperationInterrupted => {
            Error::Busy { path, reason }
        }
        Code::SystemIoFailure => match io_failure(error) {
            IoFailure::Growing => Error::Full { path },
            IoFailure::Writing => Error::ReadOnly { path, reason },
            IoFailure::Other => Error::Unusable { path, reason },
        },
        _ => Error::Unusable { path, reason },
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
