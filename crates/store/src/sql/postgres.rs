//! A connection to PostgreSQL, used from one thread like one to SQLite, that comes back by itself.
//!
//! Each session has a runtime of its own that runs while its thread waits for an answer. Before a
//! question or a transaction the session looks whether the server hung up in the meantime; then,
//! and after a failure that cost the connection, it connects again, at growing intervals while that
//! fails. In between, every call fails at once with the reason: nobody waits for a server that is
//! away.

use std::{
    cell::{Cell as Flag, RefCell},
    error::Error as StdError,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use hashbrown::HashMap;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tokio_postgres::{
    Client, Config, Row, Statement, config::SslMode as Ssl, error::SqlState, types::ToSql,
};

use super::{Cell, Error, Result, Server, ServerAddress, SslMode, tls, translate};

/// A server that takes longer to greet is away.
const GREETING: Duration = Duration::from_secs(10);
/// A server that takes longer to answer, once all is under way, is away.
const ANSWER: Duration = Duration::from_secs(60);
/// Connecting is tried again after this, then after twice as long, …
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// So many statements stay prepared; filters make ever new ones.
const PREPARED: usize = 256;
/// Rows are inserted in statements of so many, so that few statements have to be prepared.
const BLOCKS: [usize; 4] = [512, 64, 8, 1];

/// What a session does on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Writes,
    /// Only looking.
    Reads,
}

/// A connection to PostgreSQL.
pub(crate) struct Session {
    server: Arc<Server>,
    role: Role,
    runtime: Runtime,
    live: RefCell<std::result::Result<Live, Down>>,
    is_in_transaction: Flag<bool>,
    /// How long an answer may take; `None` while the store opens, as a migration takes its time.
    patience: Flag<Option<Duration>>,
}

#[derive(Clone)]
struct Live {
    client: Arc<Client>,
    _driver: Arc<Driver>,
    statements: Arc<std::sync::Mutex<HashMap<String, Statement>>>,
}

/// What moves bytes while somebody waits for an answer; ends with the session.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no connection, and when to try again.
struct Down {
    since: Instant,
    wait: Duration,
    /// The setting to look at, if it is one.
    setting: Option<&'static str>,
    reason: String,
}

impl Down {
    fn error(&self) -> Error {
        match self.setting {
            Some(setting) => Error::Refused(setting, self.reason.clone()),
            None => Error::Lost(self.reason.clone()),
        }
    }
}

impl Session {
    /// Connects.
    pub(crate) fn open(server: &Arc<Server>, role: Role) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Lost(error.to_string()))?;
        let live = connect(&runtime, server, role);
        let session = Self {
            server: Arc::clone(server),
            role,
            runtime,
            live: RefCell::new(live.map_err(|(setting, reason)| Down {
                since: Instant::now(),
                wait: FIRST_WAIT,
                setting,
                reason,
            })),
            is_in_transaction: Flag::new(false),
            patience: Flag::new(None),
        };
        session.live()?;
        Ok(session)
    }

    /// From now on the server must answer in time.
    pub(crate) fn hurry(&self) {
        self.patience.set(Some(ANSWER));
    }

    /// Connects again where the server hung up, unless that failed a moment ago.
    pub(crate) fn revive(&self) -> Result<()> {
        let wait = match &*self.live.borrow() {
            Ok(live) => {
                // Twice: once for what the network brought, once for the driver to read it.
                self.runtime.block_on(async {
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                });
                if !live.client.is_closed() {
                    return Ok(());
                }
                Duration::ZERO
            }
            Err(down) if down.since.elapsed() < down.wait => return Err(down.error()),
            Err(down) => down.wait,
        };
        self.is_in_transaction.set(false);
        let live = connect(&self.runtime, &self.server, self.role);
        let outcome = live.map_err(|(setting, reason)| {
            let wait = wait.saturating_mul(2).clamp(FIRST_WAIT, LONGEST_WAIT);
            Down { since: Instant::now(), wait, setting, reason }
        });
        match &outcome {
            Ok(_) => tracing::info!(database = %self.server, "connected again"),
            Err(down) => {
                tracing::debug!(database = %self.server, reason = down.reason, "still away");
            }
        }
        let failed = outcome.as_ref().err().map(Down::error);
        *self.live.borrow_mut() = outcome;
        failed.map_or(Ok(()), Err)
    }

    fn live(&self) -> Result<Live> {
        match &*self.live.borrow() {
            Ok(live) => Ok(live.clone()),
            Err(down) => Err(down.error()),
        }
    }

    /// Waits for an answer.
    fn wait<T>(&self, work: impl Future<Output = Answer<T>>) -> Result<T> {
        let done = match self.patience.get() {
            Some(patience) => {
                self.runtime.block_on(async { tokio::time::timeout(patience, work).await })
            }
            None => Ok(self.runtime.block_on(work)),
        };
        match done {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_lost(&error) => Err(self.lose(words(&error))),
            Ok(Err(error)) => Err(Error::Postgres(error)),
            Err(_late) => Err(self.lose(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// Gives the connection up. What was open on the server ends there by itself.
    fn lose(&self, reason: String) -> Error {
        self.is_in_transaction.set(false);
        let down = Down { since: Instant::now(), wait: Duration::ZERO, setting: None, reason };
        let error = down.error();
        *self.live.borrow_mut() = Err(down);
        error
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        let client = self.live()?.client;
        self.wait(client.batch_execute(sql))
    }

    pub(super) fn begin(&self, lock: &str) -> Result<()> {
        self.is_in_transaction.set(true);
        self.batch(&format!("BEGIN; {lock}"))
    }

    pub(super) fn commit(&self) -> Result<()> {
        // The question first: where a statement had failed, a bare COMMIT would undo everything and
        // call that a success.
        self.batch("SELECT 1; COMMIT")?;
        self.is_in_transaction.set(false);
        Ok(())
    }

    pub(super) fn rollback(&self) -> Result<()> {
        self.is_in_transaction.set(false);
        self.batch("ROLLBACK")
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.is_in_transaction.get()
    }

    /// Finds a statement prepared, or prepares it. `name` is the statement before `text` made it
    /// one of PostgreSQL's.
    fn prepare(&self, live: &Live, name: &str, text: impl FnOnce() -> String) -> Result<Statement> {
        let statements =
            || live.statements.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(statement) = statements().get(name) {
            return Ok(statement.clone());
        }
        let text = text();
        let statement = self.wait(live.client.prepare(&text))?;
        let mut statements = statements();
        if statements.len() >= PREPARED {
            statements.clear();
        }
        statements.insert(name.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn execute<'p>(
        &self,
        sql: &str,
        cells: impl Iterator<Item = Cell<'p>>,
    ) -> Result<usize> {
        let live = self.live()?;
        let statement = self.prepare(&live, sql, || translate::translate(sql))?;
        let cells: Vec<Cell<'p>> = cells.collect();
        let n_changed = self.wait(live.client.execute(&statement, &references(&cells)))?;
        Ok(usize::try_from(n_changed).unwrap_or(usize::MAX))
    }

    pub(super) fn query<'p>(
        &self,
        sql: &str,
        cells: impl Iterator<Item = Cell<'p>>,
    ) -> Result<Vec<Row>> {
        let live = self.live()?;
        let statement = self.prepare(&live, sql, || translate::translate(sql))?;
        let cells: Vec<Cell<'p>> = cells.collect();
        self.wait(live.client.query(&statement, &references(&cells)))
    }

    pub(super) fn each<'p>(
        &self,
        sql: &str,
        cells: impl Iterator<Item = Cell<'p>>,
        mut read: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let live = self.live()?;
        let statement = self.prepare(&live, sql, || translate::translate(sql))?;
        let cells: Vec<Cell<'p>> = cells.collect();
        let rows = self.wait(live.client.query_raw(&statement, references(&cells)))?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = self.wait(rows.try_next())? {
            read(&row)?;
        }
        Ok(())
    }

    pub(super) fn insert<'p>(
        &self,
        sql: &str,
        cells: impl Iterator<Item = Cell<'p>>,
    ) -> Result<i64> {
        let ids = self.insert_all(sql, std::iter::once(cells.collect()))?;
        ids.first().copied().ok_or(Error::NoRow)
    }

    pub(super) fn insert_all<'p>(
        &self,
        sql: &str,
        rows: impl Iterator<Item = Vec<Cell<'p>>>,
    ) -> Result<Vec<i64>> {
        let live = self.live()?;
        let mut rows = rows.peekable();
        let mut ids = Vec::new();
        while rows.peek().is_some() {
            let largest = BLOCKS[0];
            let block: Vec<Vec<Cell<'p>>> = rows.by_ref().take(largest).collect();
            let mut rest = block.as_slice();
            while let Some(size) = BLOCKS.into_iter().find(|size| (1..=rest.len()).contains(size)) {
                let (now, later) = rest.split_at(size);
                let n_params = now.first().map_or(0, Vec::len);
                let statement = self.prepare(&live, &format!("{size} {sql}"), || {
                    translate::insertion(sql, n_params, size)
                })?;
                let params: Vec<&(dyn ToSql + Sync)> =
                    now.iter().flatten().map(|cell| cell as &(dyn ToSql + Sync)).collect();
                // Rows are inserted, and answered, in the order they are written.
                for row in self.wait(live.client.query(&statement, &params))? {
                    ids.push(row.try_get(0).map_err(Error::Postgres)?);
                }
                rest = later;
            }
        }
        Ok(ids)
    }
}

type Answer<T> = std::result::Result<T, tokio_postgres::Error>;

fn references<'c>(cells: &'c [Cell<'_>]) -> Vec<&'c (dyn ToSql + Sync)> {
    cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect()
}

/// Connects and agrees on how to work; otherwise tells the setting to look at, and why.
fn connect(
    runtime: &Runtime,
    server: &Server,
    role: Role,
) -> std::result::Result<Live, (Option<&'static str>, String)> {
    let tls = tls::Tls::new(server)?;
    let config = config(server, role);
    let sort = |error: tokio_postgres::Error| (setting(&error, server), words(&error));
    let connecting = async {
        let (client, connection) = config.connect(tls).await.map_err(sort)?;
        // How the connection ended is told to whoever waits for an answer.
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        client.batch_execute(AGREEMENT).await.map_err(sort)?;
        if role == Role::Reads {
            let only = "SET default_transaction_read_only = on";
            client.batch_execute(only).await.map_err(sort)?;
        }
        Ok(Live { client: Arc::new(client), _driver: Arc::new(driver), statements: Arc::default() })
    };
    let late = |_| (None, format!("no greeting within {} s", GREETING.as_secs()));
    runtime.block_on(async { tokio::time::timeout(GREETING, connecting).await }).map_err(late)?
}

/// How we work on the server, whatever its defaults are: a commit that is answered is on its disk,
/// a lock is not waited for for ever, and who vanishes in a transaction does not keep his.
const AGREEMENT: &str = "SET standard_conforming_strings = on; SET client_min_messages = warning; \
    SET jit = off; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '120s'; \
    SET default_transaction_isolation = 'read committed'; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

fn config(server: &Server, role: Role) -> Config {
    let mut config = Config::new();
    let application = match role {
        Role::Writes => "shieldwall",
        Role::Reads => "shieldwall reader",
    };
    config.application_name(application).connect_timeout(GREETING);
    // A host that vanished is noticed within a minute.
    config.keepalives_idle(Duration::from_secs(20)).keepalives_interval(Duration::from_secs(5));
    config.keepalives_retries(4).tcp_user_timeout(Duration::from_secs(40));
    match &server.address {
        ServerAddress::Tcp { host, port } => config.host(host.as_str()).port(*port),
        ServerAddress::Socket { directory, port } => config.host_path(directory).port(*port),
    };
    for (text, set) in [
        (&server.user, Config::user as fn(&mut Config, String) -> &mut Config),
        (&server.database, Config::dbname),
    ] {
        if !text.is_empty() {
            set(&mut config, text.clone());
        }
    }
    if !server.password.is_empty() {
        config.password(&server.password);
    }
    let is_local = matches!(server.address, ServerAddress::Socket { .. });
    config.ssl_mode(match server.ssl_mode {
        _ if is_local => Ssl::Disable,
        SslMode::Disable => Ssl::Disable,
        SslMode::Prefer => Ssl::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Ssl::Require,
    });
    config
}

/// The setting that a failed attempt to connect speaks of.
fn setting(error: &tokio_postgres::Error, server: &Server) -> Option<&'static str> {
    if let Some(code) = error.code() {
        return match *code {
            SqlState::INVALID_PASSWORD => Some("password"),
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION | SqlState::INSUFFICIENT_PRIVILEGE => {
                Some("user")
            }
            SqlState::INVALID_CATALOG_NAME => Some("db_name"),
            _ => None,
        };
    }
    let text = words(error);
    if text.contains("password missing") {
        return Some("password");
    }
    let is_tls = text.contains("TLS") || text.contains("certificate");
    match (is_tls, &server.ca_cert) {
        (true, Some(_)) => Some("ssl_ca_cert"),
        (true, None) => Some("sslmode"),
        (false, _) => None,
    }
}

/// Whether an error cost the connection.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let gone = [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ];
            gone.contains(code) || code.code().starts_with("08")
        }
        None => {
            error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
        }
    }
}

/// An error and what is behind it, in one line.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let more = db.hint().or_else(|| db.detail());
        return more
            .map_or_else(|| db.message().to_owned(), |more| format!("{} ({more})", db.message()));
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
