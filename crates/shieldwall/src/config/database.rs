//! `db_config`: which database, and what may go from it.

use super::raw::{Desk, value};
use anyhow::{Result, bail};
use std::{path::PathBuf, time::Duration};
use store::Retention;
use syntax::yaml::Yaml;

/// How long reports of usage are kept unless settings say otherwise.
const METRICS_MAX_AGE: Duration = Duration::from_secs(7 * 86400);

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) kind: DatabaseKind,
    /// Its file; where the program keeps its state when nobody says.
    pub(crate) path: Option<PathBuf>,
    /// What may go from it.
    pub(crate) retention: Retention,
}

/// Which database it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// The one that is built in.
    #[default]
    Sqlite,
    /// Another one, as it is called. Only who opens it is troubled by that.
    Other(String),
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
        }
    }
}

impl Database {
    /// The file of the database, `usual` where settings name none.
    ///
    /// # Errors
    /// When settings name a database that cannot be used.
    pub(crate) fn file(&self, usual: PathBuf) -> Result<PathBuf> {
        match &self.kind {
            DatabaseKind::Sqlite => Ok(self.path.clone().unwrap_or(usual)),
            DatabaseKind::Other(name) => match name.as_str() {
                "mysql" | "pgx" | "postgres" | "postgresql" => {
                    bail!("`db_config.type` is {name}, which is not supported yet; use sqlite")
                }
                _ => bail!("unknown database type '{name}'"),
            },
        }
    }
}

/// Reads the section; `usual` is the file where it names none.
pub(super) fn read(tree: &Yaml, usual: PathBuf, desk: &mut Desk) -> Database {
    let kind = match desk.text(tree, "db_config.type") {
        None | Some("sqlite") => DatabaseKind::Sqlite,
        Some(other) => DatabaseKind::Other(other.to_owned()),
    };
    let path = desk.text(tree, "db_config.db_path").map_or(usual, PathBuf::from);
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
    Database { kind, path: Some(path), retention }
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
        assert_eq!(database.file("x".into()).unwrap(), PathBuf::from("/data/crowdsec.db"));
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
        assert!(database.file("x".into()).unwrap_err().to_string().contains("not supported yet"));
        let (database, _) = check("db_config: {type: meh}\n");
        let error = database.file("x".into()).unwrap_err().to_string();
        assert_eq!(error, "unknown database type 'meh'");
    }
}
