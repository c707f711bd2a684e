//! One way to speak SQL to two databases.
//!
//! Everything above this module writes each statement once, in the part of SQL that SQLite and
//! PostgreSQL have in common, with SQLite's marks (`?`, `?3`); `translate` turns it into what
//! PostgreSQL reads. Values go through [`Cell`], which has no more kinds than SQLite has: instants
//! are text on this side of the seam, and become what the column of the server is on the other.
//!
//! What a database alone has (how a transaction begins, how a connection is opened and comes back)
//! stays here and in `postgres`.
//!
//! Reading order: [`Connection`], [`Statement`], [`Row`]; `cell`; `server`, `postgres`, `tls`.

use rusqlite::params_from_iter;

mod cell;
mod postgres;
mod server;
mod tls;
mod translate;

pub(crate) use cell::{Bind, Cell, FromCell, Params, Value, params};
pub(crate) use postgres::{Role, Session, words};
pub use server::{ClientCertificate, Server, ServerAddress, SslMode};

/// What a database said.
#[derive(Debug)]
pub(crate) enum Error {
    /// SQLite did.
    Sqlite(rusqlite::Error),
    /// PostgreSQL did.
    Postgres(tokio_postgres::Error),
    /// Nobody did: there is no connection.
    Lost(String),
    /// PostgreSQL will not have us, because of this setting.
    Refused(&'static str, String),
    /// There was no row where one was asked for.
    NoRow,
    /// A column holds something else than was asked for.
    Type(usize),
}

/// What a database answers.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NoRow,
            error => Self::Sqlite(error),
        }
    }
}

/// Turns the lack of a row into `None`.
pub(crate) trait Optional<T> {
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A connection to either database.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Session>),
}

impl Connection {
    /// Prepares a statement, or finds it prepared.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(match self {
            Self::Sqlite(conn) => Statement::Sqlite(conn.prepare_cached(sql)?),
            Self::Postgres(session) => Statement::Postgres(session, sql.to_owned()),
        })
    }

    /// Runs statements without parameters.
    pub(crate) fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch(sql)?),
            Self::Postgres(session) => session.batch(sql),
        }
    }

    /// Connects again where the connection was lost, unless that failed a moment ago.
    pub(crate) fn revive(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.revive(),
        }
    }

    /// Begins a transaction that is the only one to write until it ends.
    pub(crate) fn begin(&self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch("BEGIN IMMEDIATE")?),
            Self::Postgres(session) => {
                session.revive()?;
                // Whoever holds this row holds the numbers of changes: other servers wait for it
                // here, rows changed by hand wait in their trigger.
                session.begin("SELECT value FROM shieldwall_state WHERE name = 'seq' FOR UPDATE")
            }
        }
    }

    /// Begins the transaction in which the tables are made: no other program is in one.
    pub(crate) fn begin_migration(&self) -> Result<()> {
        // Any number nobody else is likely to lock: "wall".
        const LOCK: i64 = 0x77_61_6c_6c;
        match self {
            Self::Sqlite(_) => self.begin(),
            Self::Postgres(session) => {
                session.begin(&format!("SELECT pg_advisory_xact_lock({LOCK})"))
            }
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// From now on a server must answer in time; while the store opens it may think.
    pub(crate) fn hurry(&self) {
        if let Self::Postgres(session) = self {
            session.hurry();
        }
    }

    /// Makes what was written last. After an error nobody knows whether it was; whoever repeats the
    /// request finds out.
    pub(crate) fn commit(&self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch("COMMIT")?),
            Self::Postgres(session) => session.commit(),
        }
    }

    /// Undoes what was written since `begin`.
    pub(crate) fn rollback(&self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch("ROLLBACK")?),
            Self::Postgres(session) => session.rollback(),
        }
    }

    /// Whether a transaction is open.
    pub(crate) fn is_in_transaction(&self) -> bool {
        match self {
            Self::Sqlite(conn) => !conn.is_autocommit(),
            Self::Postgres(session) => session.is_in_transaction(),
        }
    }

    /// Tidies up before the end.
    pub(crate) fn tidy(&self) {
        if let Self::Sqlite(conn) = self {
            // Leaves one file behind instead of three, where nobody else has it open.
            drop(conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
        }
    }
}

/// A statement that was prepared, or will be when it is used.
pub(crate) enum Statement<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres(&'c Session, String),
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a statement is called with an array as it is written"
)]
impl Statement<'_> {
    /// Runs it and tells how many rows it changed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Self::Sqlite(statement) => Ok(statement.execute(params_from_iter(params.cells()))?),
            Self::Postgres(session, sql) => session.execute(sql, params.cells()),
        }
    }

    /// Runs it, an insertion into a table with a column `id`, and tells the new row's.
    pub(crate) fn insert(&mut self, params: impl Params) -> Result<i64> {
        match self {
            Self::Sqlite(statement) => Ok(statement.insert(params_from_iter(params.cells()))?),
            Self::Postgres(session, sql) => session.insert(sql, params.cells()),
        }
    }

    /// Inserts rows, of which there may be very many, and tells their numbers in the same order.
    pub(crate) fn insert_all<'p>(
        &mut self,
        rows: impl Iterator<Item = Vec<Cell<'p>>>,
    ) -> Result<Vec<i64>> {
        match self {
            Self::Sqlite(statement) => rows
                .map(|row| Ok(statement.insert(params_from_iter(row))?))
                .collect::<Result<Vec<i64>>>(),
            Self::Postgres(session, sql) => session.insert_all(sql, rows),
        }
    }

    /// Whether it finds a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query_row(params, |_| Ok(())).optional()?.is_some())
    }

    /// Reads the first row; `NoRow` when there is none.
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Sqlite(statement) => {
                let mut rows = statement.query(params_from_iter(params.cells()))?;
                read(&Row::Sqlite(rows.next()?.ok_or(Error::NoRow)?))
            }
            Self::Postgres(session, sql) => {
                let rows = session.query(sql, params.cells())?;
                read(&Row::Postgres(rows.first().ok_or(Error::NoRow)?))
            }
        }
    }

    /// Reads all rows. Those of PostgreSQL are all in memory then; see `each`.
    pub(crate) fn query_map<T, F>(&mut self, params: impl Params, read: F) -> Result<Mapped<'_, F>>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        Ok(match self {
            Self::Sqlite(statement) => {
                Mapped::Sqlite(statement.query(params_from_iter(params.cells()))?, read)
            }
            Self::Postgres(session, sql) => {
                Mapped::Postgres(session.query(sql, params.cells())?.into_iter(), read)
            }
        })
    }

    /// Reads all rows, however many, one at a time. `read` must not use the connection.
    pub(crate) fn each(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.query_map(params, read)?.collect(),
            Self::Postgres(session, sql) => {
                session.each(sql, params.cells(), |row| read(&Row::Postgres(row)))
            }
        }
    }
}

/// Rows, each read as it is asked for.
pub(crate) enum Mapped<'s, F> {
    Sqlite(rusqlite::Rows<'s>, F),
    Postgres(std::vec::IntoIter<tokio_postgres::Row>, F),
}

impl<T, F> Iterator for Mapped<'_, F>
where
    F: FnMut(&Row<'_>) -> Result<T>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        match self {
            Self::Sqlite(rows, read) => match rows.next() {
                Ok(row) => Some(read(&Row::Sqlite(row?))),
                Err(error) => Some(Err(error.into())),
            },
            Self::Postgres(rows, read) => Some(read(&Row::Postgres(&rows.next()?))),
        }
    }
}

/// One row of an answer.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// Reads a column.
    pub(crate) fn get<T: FromCell>(&self, column: usize) -> Result<T> {
        T::from_cell(self.get_ref(column)?).ok_or(Error::Type(column))
    }

    /// A column as it is.
    pub(crate) fn get_ref(&self, column: usize) -> Result<Cell<'_>> {
        match self {
            Self::Sqlite(row) => Ok(Cell::from_sqlite(row.get_ref(column)?)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| Error::Type(column)),
        }
    }
}
