//! Settings without their secrets.
//!
//! What is masked is decided by the name of a key, wherever it stands: a secret shown once too
//! often cannot be taken back, a harmless value masked can be asked for.

use crate::{cli::text::yaml as write_yaml, hub::files};
use anyhow::{Result, bail};
use serde_json::{Map, Value};
use std::path::Path;
use syntax::{
    Diagnostics, Sources,
    yaml::{self, Node, Yaml},
};

const MASK: &str = "****";

/// Parts of names of keys whose values are secrets.
const SECRET: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "credential",
    "auth",
    "webhook",
    "private",
    "access_key",
    "session",
];

/// Names of keys whose values are secrets, or tell where a database is.
const SECRET_NAMES: [&str; 5] = ["key", "user", "host", "username", "headers"];

/// Names that look like secrets and only say where something is, or how.
const HARMLESS: [&str; 5] =
    ["credentials_path", "auto_registration", "auth_type", "agents_autodelete", "key_file"];

/// The documents of a settings file, without secrets and comments.
pub(super) fn file(path: &Path) -> Result<String> {
    let documents = documents(path)?;
    let texts: Vec<String> =
        documents.iter().map(|document| write_yaml(&masked(document))).collect();
    Ok(texts.join("---\n"))
}

/// A text in the first document of a settings file.
pub(super) fn text_at(path: &Path, keys: &[&str]) -> Option<String> {
    let documents = documents(path).ok()?;
    let found = keys.iter().try_fold(documents.first()?, |map, key| map.get(key))?;
    found.as_str().map(str::to_owned)
}

fn documents(path: &Path) -> Result<Vec<Yaml>> {
    let text = files::read_rule(path)?;
    // The environment is not filled in: what is in it is nobody's business.
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let file = sources.add(path.display().to_string(), text);
    let documents = yaml::parse(file, &sources, &mut diagnostics);
    if diagnostics.has_errors() {
        bail!("it is no YAML, and might show a secret");
    }
    Ok(documents)
}

fn masked(yaml: &Yaml) -> Value {
    match &yaml.node {
        Node::Scalar(scalar) => Value::from(address(&scalar.text)),
        Node::Seq(items) => Value::Array(items.iter().map(masked).collect()),
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let name = key.as_str().unwrap_or_default().to_owned();
                let value = if is_secret(&name) { hidden(value) } else { masked(value) };
                map.insert(name, value);
            }
            Value::Object(map)
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if HARMLESS.contains(&name.as_str()) {
        // What is below is looked at key by key.
        return false;
    }
    SECRET_NAMES.contains(&name.as_str()) || SECRET.iter().any(|part| name.contains(part))
}

/// Everything below a secret is one.
fn hidden(yaml: &Yaml) -> Value {
    match &yaml.node {
        Node::Scalar(scalar) if scalar.text.is_empty() => Value::from(""),
        Node::Scalar(_) => Value::from(MASK),
        Node::Seq(items) => Value::Array(items.iter().map(hidden).collect()),
        Node::Map(entries) => {
            let pair = |(key, value): &(Yaml, Yaml)| {
                (key.as_str().unwrap_or_default().to_owned(), hidden(value))
            };
            Value::Object(entries.iter().map(pair).collect())
        }
    }
}

/// An address without the name and the password in it.
pub(super) fn address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    // A question may hold a token as well.
    let path = match path.split_once('?') {
        Some((path, _)) => format!("{path}?{MASK}"),
        None => path.to_owned(),
    };
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn secrets_do_not_leave() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        fs::write(
            &path,
            "# hunter0\ndb_config: {type: mysql, user: hunter1, password: 'hunter2', host: hunter3, db_name: x}\n\
             api:\n  server:\n    auto_registration:\n      token: hunter4\n      enabled: true\n\
             \x20   profiles_path: /etc/p.yaml\n  cti:\n    key: hunter5\n\
             url: https://me:hunter6@host.example/path?token=hunter7\n\
             headers: {Authorization: [Bearer hunter8]}\nwebhook: https://x/hunter9\n---\nb: 1\n",
        )
        .unwrap();
        let text = file(&path).unwrap();
        assert!(!text.contains("hunter"), "{text}");
        for part in ["type: mysql", "db_name: x", "/etc/p.yaml", "host.example/path", "---\nb:"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(text_at(&path, &["db_config", "type"]).as_deref(), Some("mysql"));
        fs::write(&path, "a: [hunter2\n").unwrap();
        assert!(file(&path).is_err());
    }
}
