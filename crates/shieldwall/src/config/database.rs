//! `db_config`: which database, and what may go from it.

use super::{
    codes,
    raw::{Desk, value},
    settings::load,
};
use anyhow::{Context as _, Error, Result, anyhow, bail};
use model::Timestamp;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use store::{ClientCertificate, Index, Retention, ServerAddress, SslMode, Store};
use syntax::{Diagnostic, yaml::Yaml};

/// How long reports of usage are kept unless settings say otherwise.
const METRICS_MAX_AGE: Duration = Duration::from_secs(7 * 86400);

/// So many connections to a server are made at most, unless settings say otherwise.
const MAX_OPEN_CONNS: i64 = 100;

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) kind: DatabaseKind,
    /// Its file; where the program keeps its state when nobody says.
    pub(crate) path: Option<PathBuf>,
    /// What may go from it.
    pub(crate) retention: Retention,
    /// Where these settings were read.
    pub(crate) written_in: Option<PathBuf>,
}

/// Which database it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// The one that is built in.
    #[default]
    Sqlite,
    /// One on a PostgreSQL server.
    Postgres(Box<store::Server>),
    /// Another one, as it is called. Only who opens it is troubled by that.
    Other(String),
}

impl DatabaseKind {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgresql",
            Self::Other(name) => name,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            kind: DatabaseKind::Sqlite,
            path: None,
            retention: Retention {
                max_items: Some(5000),
                max_age: Some(Duration::from_secs(7 * 86400)),
                metrics_max_age: Some(METRICS_MAX_AGE),
                ..Retention::default()
            },
            written_in: None,
        }
    }
}

impl Database {
    /// Where the database is; in the file `usual` where settings name none.
    ///
    /// # Errors
    /// When settings name a database that cannot be used, or none and there is no usual one.
    pub(crate) fn location(&self, usual: impl FnOnce() -> Result<PathBuf>) -> Result<Location> {
        match &self.kind {
            DatabaseKind::Sqlite => Ok(Location::File(self.path.clone().map_or_else(usual, Ok)?)),
            DatabaseKind::Postgres(server) => {
                Ok(Location::Server(server.clone(), self.written_in.clone()))
            }
            DatabaseKind::Other(name) if name == "mysql" => bail!(
                "`db_config.type` is {name}, which is not supported yet; use sqlite or postgresql"
            ),
            DatabaseKind::Other(name) => bail!("unknown database type '{name}'"),
        }
    }

    /// The database in words.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            DatabaseKind::Postgres(server) => server.to_string(),
            DatabaseKind::Sqlite | DatabaseKind::Other(_) => {
                self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
            }
        }
    }
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// In a file.
    File(PathBuf),
    /// On a server, as some settings say.
    Server(Box<store::Server>, Option<PathBuf>),
}

impl Location {
    /// Opens the store; for a server the directory of its file is made.
    ///
    /// # Errors
    /// When it cannot be opened; where a setting is to blame, with its place and what can be done.
    pub(crate) fn open(&self, index: Index, now: Timestamp) -> Result<Store> {
        match self {
            Self::File(path) => {
                // A tool beside a server finds its directory there, or has nothing to look at.
                if let Some(dir) = path.parent().filter(|_| index == Index::Kept) {
                    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
                }
                Store::open(&store::Settings { path: path.clone(), index }, now)
                    .map_err(|error| remedied(error, path))
            }
            Self::Server(server, written_in) => Store::connect(server, index, now)
                .map_err(|error| explained(error, server, written_in.as_deref())),
        }
    }

    /// The file, where it is one.
    ///
    /// # Errors
    /// When it is on a server.
    pub(crate) fn file(&self) -> Result<&Path> {
        match self {
            Self::File(path) => Ok(path),
            Self::Server(server, _) => {
                bail!("the database is on a server ({server}), not in a file")
            }
        }
    }
}

/// Says what can be done about a database that cannot be opened.
fn remedied(error: store::Error, path: &Path) -> Error {
    let path = path.display();
    let remedy = match &error {
        store::Error::Corrupt { .. } => format!(
            "move {path} away and put a copy of it from before in its place, or what \
             `sqlite3 {path} .recover` saves of it; without any file, the next start makes an empty \
             database, and machines and bouncers have to be added again"
        ),
        store::Error::Full { .. } => format!("make room on the disk of {path}"),
        store::Error::ReadOnly { .. } => {
            format!("see to it that {path} and its directory can be written")
        }
        _ => return error.into(),
    };
    anyhow!("{error}; {remedy}")
}

/// Adds to what a server refused which setting says so, and what can be done.
fn explained(error: store::Error, server: &store::Server, written_in: Option<&Path>) -> Error {
    let (user, database) = (&server.user, &server.database);
    let (key, help) = match &error {
        store::Error::Unreachable { .. } => match &server.address {
            ServerAddress::Tcp { .. } => {
                ("host", "start the server, or correct `host` and `port`".to_owned())
            }
            ServerAddress::Socket { .. } => (
                "db_path",
                "start the server, or name the directory of its socket, /var/run/postgresql for example"
                    .to_owned(),
            ),
        },
        store::Error::Refused { setting, reason, .. } => (
            *setting,
            match *setting {
                "password" => format!(
                    "correct it, or set it on the server: ALTER ROLE \"{user}\" LOGIN PASSWORD '…'"
                ),
                "db_name" => format!(
                    "correct it, or make the database: CREATE DATABASE \"{database}\" OWNER \"{user}\""
                ),
                "user" if reason.contains("permission") => {
                    format!("let the role make its tables: ALTER DATABASE \"{database}\" OWNER TO \"{user}\"")
                }
                "user" => format!("admit the role \"{user}\" from this host in the server's pg_hba.conf"),
                "sslmode" => "turn `ssl` on at the server, name who signs its certificate in \
                              `ssl_ca_cert`, or choose another `sslmode`"
                    .to_owned(),
                "ssl_ca_cert" => "name the certificate that signs the server's".to_owned(),
                _ => "name a certificate and its key in PEM".to_owned(),
            },
        ),
        _ => return error.into(),
    };
    // The line itself is not shown: it may hold the password.
    let place = written_in.and_then(|path| {
        let read = load(path).ok()?;
        let key = format!("db_config.{key}");
        let found = value(&read.tree, &key).or_else(|| value(&read.tree, "db_config"))?;
        let (line, column) = read.sources.line_col(found.span);
        let file = read.sources.name(found.span.file);
        Some(format!("\n  --> {file}:{line}:{column} `{key}`"))
    });
    anyhow!("{error}{}\n  help: {help}", place.unwrap_or_default())
}

/// Reads the section; `usual` is the file where it names none.
pub(super) fn read(tree: &Yaml, usual: PathBuf, desk: &mut Desk) -> Database {
    let kind = match desk.text(tree, "db_config.type") {
        None | Some("sqlite") => DatabaseKind::Sqlite,
        Some("postgresql" | "postgres" | "pgx") => {
            DatabaseKind::Postgres(Box::new(server(tree, desk)))
        }
        Some(other) => DatabaseKind::Other(other.to_owned()),
    };
    let path = desk.text(tree, "db_config.db_path").map(PathBuf::from);
    let path = match &kind {
        DatabaseKind::Postgres(_) => path,
        DatabaseKind::Sqlite | DatabaseKind::Other(_) => path.or(Some(usual)),
    };
    let max_items = desk.number(tree, "db_config.flush.max_items", 1..=i64::MAX);
    let mut age = |key: &str| {
        let path = format!("db_config.flush.{key}");
        value(tree, &path).and_then(|_| desk.duration(tree, &path))
    };
    let retention = Retention {
        max_age: age("max_age"),
        max_items: max_items.and_then(|items| u64::try_from(items).ok()),
        machines_password: age("agents_autodelete.login_password"),
        machines_tls: age("agents_autodelete.cert"),
        bouncers_key: age("bouncers_autodelete.api_key"),
        bouncers_tls: age("bouncers_autodelete.cert"),
        metrics_max_age: Some(age("metrics_max_age").unwrap_or(METRICS_MAX_AGE)),
    };
    Database { kind, path, retention, written_in: None }
}

/// Reads which server it is and how to be let in.
fn server(tree: &Yaml, desk: &mut Desk) -> store::Server {
    if let Some(wal) = value(tree, "db_config.use_wal") {
        desk.report(
            Diagnostic::warning(
                codes::BAD_SETTING,
                "`db_config.use_wal` means nothing to PostgreSQL",
            )
            .at(wal.span, "for sqlite only"),
        );
    }
    let text = |desk: &mut Desk, key: &str| {
        desk.text(tree, &format!("db_config.{key}")).map(str::to_owned)
    };
    let file = |desk: &mut Desk, key: &str| text(desk, key).map(PathBuf::from);
    let host = text(desk, "host");
    let port = desk.number(tree, "db_config.port", 0..=65535);
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let socket = file(desk, "db_path").filter(|_| host.is_none() && port.is_none());
    let mode = text(desk, "sslmode");
    let known = mode.as_deref().map_or_else(|| Some(SslMode::default()), SslMode::named);
    if known.is_none()
        && let Some(written) = value(tree, "db_config.sslmode")
    {
        let modes = "disable, allow, prefer, require, verify-ca or verify-full";
        desk.bad(written.span, format!("`db_config.sslmode` must be {modes}"));
    }
    let (cert, key) = (file(desk, "ssl_client_cert"), file(desk, "ssl_client_key"));
    if cert.is_some() != key.is_some()
        && let Some(section) = value(tree, "db_config.ssl_client_cert")
            .or_else(|| value(tree, "db_config.ssl_client_key"))
    {
        desk.bad(section.span, "`ssl_client_cert` and `ssl_client_key` belong together");
    }
    let most = desk.number(tree, "db_config.max_open_conns", 0..=i64::from(i32::MAX));
    // COMPAT(crowdsec): zero means as many as one likes.
    let most = most.filter(|most| *most > 0).unwrap_or(MAX_OPEN_CONNS);
    store::Server {
        address: address(host, port, socket),
        user: text(desk, "user").unwrap_or_default(),
        password: text(desk, "password").unwrap_or_default(),
        database: text(desk, "db_name").unwrap_or_default(),
        ssl_mode: known.unwrap_or_default(),
        ca_cert: file(desk, "ssl_ca_cert"),
        client_cert: cert.zip(key).map(|(cert, key)| ClientCertificate { cert, key }),
        max_connections: usize::try_from(most).unwrap_or(usize::MAX),
    }
}

/// COMPAT(crowdsec): `db_path` counts where neither host nor port is given. It names the directory of
/// the socket; here the socket itself may be named too.
fn address(host: Option<String>, port: Option<u16>, socket: Option<PathBuf>) -> ServerAddress {
    const PORT: u16 = 5432;
    let directory = match (host, socket) {
        (Some(host), _) if host.starts_with('/') => PathBuf::from(host),
        (None, Some(socket)) => socket,
        (host, _) => {
            let host = host.unwrap_or_else(|| "localhost".to_owned());
            return ServerAddress::Tcp { host, port: port.unwrap_or(PORT) };
        }
    };
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match (name.strip_prefix(".s.PGSQL.").and_then(|port| port.parse().ok()), directory.parent()) {
        (Some(port), Some(parent)) => {
            ServerAddress::Socket { directory: parent.to_path_buf(), port }
        }
        _ => ServerAddress::Socket { directory, port: port.unwrap_or(PORT) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Database, Vec<String>) {
        let mut desk = Desk::default();
        let tree = desk.parse("config.yaml", text).remove(0);
        let database = read(&tree, PathBuf::from("/data/crowdsec.db"), &mut desk);
        (database, desk.diagnostics.iter().map(|it| it.message.clone()).collect())
    }

    #[test]
    fn what_is_not_written_stays_for_ever() {
        let (database, mistakes) = check("db_config: {type: sqlite}\n");
        assert_eq!(mistakes, Vec::<String>::new());
        let location = database.location(|| Ok("x".into())).unwrap();
        assert_eq!(location.file().unwrap(), Path::new("/data/crowdsec.db"));
        assert_eq!(database.retention.max_age, None);
        assert_eq!(database.retention.metrics_max_age, Some(METRICS_MAX_AGE));
    }

    #[test]
    fn ages_may_have_days_and_counts_are_positive() {
        let (database, mistakes) = check(
            "db_config:\n  db_path: /x.db\n  flush: {max_items: 0, max_age: 7d, \
             bouncers_autodelete: {api_key: 1h}}\n",
        );
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains("`db_config.flush.max_items` must be between 1"));
        assert_eq!(database.retention.max_age, Some(Duration::from_secs(7 * 86400)));
        assert_eq!(database.retention.bouncers_key, Some(Duration::from_secs(3600)));
    }

    #[test]
    fn other_databases_trouble_only_who_opens_them() {
        let (database, mistakes) = check("db_config: {type: mysql}\n");
        assert!(mistakes.is_empty());
        assert!(
            database
                .location(|| Ok("x".into()))
                .unwrap_err()
                .to_string()
                .contains("not supported yet")
        );
        let (database, _) = check("db_config: {type: meh}\n");
        let error = database.location(|| Ok("x".into())).unwrap_err().to_string();
        assert_eq!(error, "unknown database type 'meh'");
    }

    fn postgres(text: &str) -> (store::Server, Vec<String>) {
        let (database, mistakes) = check(&format!("db_config: {{{text}}}\n"));
        let DatabaseKind::Postgres(server) = database.kind else { panic!("{:?}", database.kind) };
        (*server, mistakes)
    }

    #[test]
    fn a_server_is_read_by_any_of_its_names() {
        for name in ["postgresql", "postgres", "pgx"] {
            let (server, mistakes) = postgres(&format!(
                "type: {name}, host: db.lan, port: 5433, user: guard, password: 'a: b', db_name: wall, \
                 sslmode: verify-full, ssl_ca_cert: /ca.pem, ssl_client_cert: /c.pem, \
                 ssl_client_key: /k.pem, max_open_conns: 7"
            ));
            assert_eq!(mistakes, Vec::<String>::new());
            let want = store::Server {
                address: ServerAddress::Tcp { host: "db.lan".to_owned(), port: 5433 },
                user: "guard".to_owned(),
                password: "a: b".to_owned(),
                database: "wall".to_owned(),
                ssl_mode: SslMode::VerifyFull,
                ca_cert: Some("/ca.pem".into()),
                client_cert: Some(ClientCertificate {
                    cert: "/c.pem".into(),
                    key: "/k.pem".into(),
                }),
                max_connections: 7,
            };
            assert_eq!(server, want);
        }
    }

    #[test]
    fn where_a_server_listens() {
        let check = |text: &str, want: &str| {
            let (server, mistakes) = postgres(&format!("type: postgresql, db_name: w{text}"));
            assert!(mistakes.is_empty(), "{mistakes:?}");
            assert_eq!(server.to_string(), want);
        };
        check("", "postgresql://localhost:5432/w");
        check(", host: '', port: 0, db_path: /run/pg", "postgresql:///w?host=/run/pg&port=5432");
        check(", db_path: /run/pg/.s.PGSQL.5433", "postgresql:///w?host=/run/pg&port=5433");
        check(", host: /run/pg, port: 5434", "postgresql:///w?host=/run/pg&port=5434");
        check(", host: db, db_path: /data/old.db", "postgresql://db:5432/w");
    }

    #[test]
    fn what_makes_no_sense_to_a_server_is_said() {
        let check = |text: &str, want: &str| {
            let (_, mistakes) = postgres(&format!("type: pgx, {text}"));
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].contains(want), "{mistakes:?}");
        };
        check("sslmode: maybe", "must be disable, allow, prefer");
        check("use_wal: true", "means nothing to PostgreSQL");
        check("ssl_client_key: /k.pem", "belong together");
        check("port: 70000", "must be between 0 and 65535");
        check("max_open_conns: -1", "must be between 0");
    }
}
