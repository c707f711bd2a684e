//! Machines: the agents that send alerts.

use model::Timestamp;

use crate::{
    Error, Store,
    sql::{self, Connection, Optional as _, Row, params},
    time,
    writer::{Failure, Tx},
};

/// How a machine proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineAuth {
    /// By password.
    #[default]
    Password,
    /// By client certificate.
    Tls,
}

/// The operating system of a machine or bouncer, as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Os {
    /// `debian`, …
    pub name: String,
    /// `linux`, …
    pub family: String,
    /// `12.4`, …
    pub version: String,
}

/// An agent that may send alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its row.
    pub id: i64,
    /// Its name (`machine_id`).
    pub name: String,
    /// The hash of its password.
    pub password: String,
    /// The address it last logged in from.
    pub ip: Option<String>,
    /// The scenarios it runs, comma-joined as reported.
    pub scenarios: String,
    /// Its version as reported.
    pub version: Option<String>,
    /// Whether an administrator admitted it.
    pub validated: bool,
    /// How it proves who it is.
    pub auth: MachineAuth,
    /// When it was added.
    pub created_at: Timestamp,
    /// When the row was last changed.
    pub updated_at: Timestamp,
    /// When it last sent alerts.
    pub last_push: Option<Timestamp>,
    /// When it was last heard of.
    pub last_heartbeat: Option<Timestamp>,
    /// Its operating system, when reported.
    pub os: Option<Os>,
    /// Feature flags, comma-joined as reported.
    pub feature_flags: String,
    /// Installed hub items as reported: JSON.
    pub hub_state: Option<String>,
    /// Datasources and their counts as reported: JSON.
    pub datasources: Option<String>,
}

/// A machine that is about to be added.
#[derive(Clone, Debug, Default)]
pub struct NewMachine {
    /// Its name.
    pub name: String,
    /// The hash of its password.
    pub password: String,
    /// The address it came from; may be empty.
    pub ip: String,
    /// Whether it is admitted at once.
    pub validated: bool,
    /// How it proves who it is.
    pub auth: MachineAuth,
}

/// What changes about a machine; `None` keeps what is there.
#[derive(Clone, Debug, Default)]
pub struct MachineChange {
    /// New hash of the password.
    pub password: Option<String>,
    /// New address.
    pub ip: Option<String>,
    /// New scenarios, comma-joined.
    pub scenarios: Option<String>,
    /// New version.
    pub version: Option<String>,
    /// Admitted or not.
    pub validated: Option<bool>,
    /// It was heard of at this time.
    pub last_heartbeat: Option<Timestamp>,
    /// It sent alerts at this time.
    pub last_push: Option<Timestamp>,
    /// New operating system.
    pub os: Option<Os>,
    /// New feature flags, comma-joined.
    pub feature_flags: Option<String>,
    /// New hub items, JSON.
    pub hub_state: Option<String>,
    /// New datasources, JSON.
    pub datasources: Option<String>,
}

const MACHINE: &str = "id, machine_id, password, ip_address, scenarios, version, is_validated, \
    auth_type, created_at, updated_at, last_push, last_heartbeat, osname, osfamily, osversion, \
    featureflags, hubstate, datasources";

impl Store {
    /// All machines, by row.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn machines(&self) -> Result<Vec<Machine>, Error> {
        let work = |conn: &Connection| {
            let mut statement =
                conn.prepare_cached(&format!("SELECT {MACHINE} FROM machines ORDER BY id"))?;
            Ok(statement.query_map((), machine)?.collect::<Result<_, _>>()?)
        };
        self.inner.readers.read(work).await
    }

    /// One machine, if there is one of that name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        let name = name.to_owned();
        self.inner.readers.read(move |conn| Ok(find(conn, &name)?)).await
    }

    /// Adds a machine.
    ///
    /// # Errors
    /// `Exists`, or when the database refuses.
    pub async fn add_machine(&self, machine: NewMachine, now: Timestamp) -> Result<Machine, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let exists = || Error::Exists { what: "machine", name: machine.name.clone() };
            let n_added = tx
                .conn
                .prepare_cached(
                    "INSERT INTO machines (created_at, updated_at, machine_id, password, \
                     ip_address, scenarios, is_validated, auth_type) VALUES (?1, ?1, ?2, ?3, ?4, '', ?5, ?6) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    time::to_text(now),
                    machine.name,
                    machine.password,
                    machine.ip,
                    machine.validated,
                    machine.auth.name(),
                ])?;
            if n_added == 0 {
                return Err(exists().into());
            }
            Ok(find(tx.conn, &machine.name)?.ok_or_else(exists)?)
        };
        self.inner.writer.write(work).await
    }

    /// Changes a machine.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn change_machine(
        &self,
        name: &str,
        change: MachineChange,
        now: Timestamp,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
            let os = change.os.unwrap_or_default();
            let some = |text: String| (!text.is_empty()).then_some(text);
            let n_changed = tx
                .conn
                .prepare_cached(
                    "UPDATE machines SET updated_at = ?1, password = coalesce(?2, password), \
                     ip_address = coalesce(?3, ip_address), scenarios = coalesce(?4, scenarios), \
                     version = coalesce(?5, version), is_validated = coalesce(?6, is_validated), \
                     last_heartbeat = coalesce(?7, last_heartbeat), last_push = coalesce(?8, last_push), \
                     osname = coalesce(?9, osname), osfamily = coalesce(?10, osfamily), \
                     osversion = coalesce(?11, osversion), featureflags = coalesce(?12, featureflags), \
                     hubstate = coalesce(?13, hubstate), datasources = coalesce(?14, datasources) \
                     WHERE machine_id = ?15",
                )?
                .execute(params![
                    time::to_text(now),
                    change.password,
                    change.ip,
                    change.scenarios,
                    change.version,
                    change.validated,
                    change.last_heartbeat.map(time::to_text),
                    change.last_push.map(time::to_text),
                    some(os.name),
                    some(os.family),
                    some(os.version),
                    change.feature_flags,
                    change.hub_state,
                    change.datasources,
                    name,
                ])?;
            if n_changed == 0 {
                return Err(Error::NotFound { what: "machine", name }.into());
            }
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Deletes machines; their alerts stay, without an owner. Tells how many there were.
    ///
    /// # Errors
    /// When the database refuses; then none is deleted.
    pub async fn delete_machines(&self, names: Vec<String>) -> Result<usize, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let mut statement =
                tx.conn.prepare_cached("DELETE FROM machines WHERE machine_id = ?")?;
            Ok(names.iter().map(|name| statement.execute([name])).sum::<Result<usize, _>>()?)
        };
        self.inner.writer.write(work).await
    }
}

impl MachineAuth {
    /// As the database and the command line spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Tls => "tls",
        }
    }
}

fn find(conn: &Connection, name: &str) -> sql::Result<Option<Machine>> {
    conn.prepare_cached(&format!("SELECT {MACHINE} FROM machines WHERE machine_id = ?"))?
        .query_row([name], machine)
        .optional()
}

/// Reads an instant that may be missing.
pub(crate) fn instant(row: &Row<'_>, column: usize) -> sql::Result<Option<Timestamp>> {
    Ok(row.get_ref(column)?.as_str().and_then(time::from_text))
}

/// Reads a text that may be missing.
pub(crate) fn text(row: &Row<'_>, column: usize) -> sql::Result<String> {
    row.get::<Option<String>>(column).map(Option::unwrap_or_default)
}

/// Reads an operating system from three columns that may be missing.
pub(crate) fn os(row: &Row<'_>, column: usize) -> sql::Result<Option<Os>> {
    let os = Os {
        name: text(row, column)?,
        family: text(row, column + 1)?,
        version: text(row, column + 2)?,
    };
    Ok((os != Os::default()).then_some(os))
}

fn machine(row: &Row<'_>) -> sql::Result<Machine> {
    Ok(Machine {
        id: row.get(0)?,
        name: row.get(1)?,
        password: row.get(2)?,
        ip: Some(text(row, 3)?).filter(|ip| !ip.is_empty()),
        scenarios: text(row, 4)?,
        version: row.get(5)?,
        validated: row.get(6)?,
        auth: if text(row, 7)? == "tls" { MachineAuth::Tls } else { MachineAuth::Password },
        created_at: instant(row, 8)?.unwrap_or_default(),
        updated_at: instant(row, 9)?.unwrap_or_default(),
        last_push: instant(row, 10)?,
        last_heartbeat: instant(row, 11)?,
        os: os(row, 12)?,
        feature_flags: text(row, 15)?,
        hub_state: row.get(16)?,
        datasources: row.get(17)?,
    })
}
