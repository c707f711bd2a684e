//! From the items a test lists to source files, as if they had been installed for it.
//!
//! A name that the index has is a hub item. Anything else is a path: it is tried below the hub, then
//! below the test, and the two directories above the file tell its stage. The last part of a path
//! is the name the item gets when installed, and so decides its place in the order.

use super::{config::TestConfig, report::Broken};
use crate::hub::{
    files,
    index::{Index, Kind},
    select,
};
use rules::{FileKind, Origin, SourceFile};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The node that makes the assignments of `override_statics`: first of the first stage by name.
const OVERRIDES: &str = "parsers/s00-raw/00_overrides.yaml";

/// All files a test needs besides the grok patterns everybody needs.
pub(super) fn read(
    hub: &Path,
    index: &Index,
    test: &Path,
    config: &TestConfig,
) -> Result<Vec<SourceFile>, Broken> {
    let lists = [
        (Kind::Parser, &config.parsers),
        (Kind::Postoverflow, &config.postoverflows),
        (Kind::Scenario, &config.scenarios),
    ];
    let mut named = BTreeSet::new();
    // By installed name: what is listed twice is installed once.
    let mut installed: BTreeMap<String, SourceFile> = BTreeMap::new();
    for (kind, list) in lists {
        for item in list {
            if index.get(kind, item).is_some() {
                named.insert((kind, item.clone()));
            } else {
                let file = local(hub, test, kind, item)?;
                installed.insert(file.name.clone(), file);
            }
        }
    }
    for file in select::read(hub, index, &named)? {
        installed.entry(file.name.clone()).or_insert(file);
    }
    let mut found: Vec<SourceFile> = installed.into_values().collect();
    if !config.override_statics.is_empty() {
        found.push(overrides(&config.override_statics));
    }
    Ok(found)
}

/// An item that a test names by its path.
fn local(hub: &Path, test: &Path, kind: Kind, item: &str) -> Result<SourceFile, Broken> {
    let missing = || {
        Broken::Plain(format!(
            "`{item}` is neither an item of the hub nor a file below {} or the test",
            hub.display()
        ))
    };
    let path = find(hub, test, item).ok_or_else(missing)?;
    let parts: Vec<&str> = item.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let file = parts.last().copied().unwrap_or(item);
    let (kind, name) = match (kind, parts.as_slice()) {
        (Kind::Scenario, _) => (FileKind::Scenario, format!("scenarios/{file}")),
        (Kind::Parser, [.., stage, _, _]) => {
            let stage = (*stage).to_owned();
            let name = format!("parsers/{stage}/{file}");
            (FileKind::Parser { stage }, name)
        }
        (Kind::Postoverflow, [.., stage, _, _]) => {
            let stage = (*stage).to_owned();
            let name = format!("postoverflows/{stage}/{file}");
            (FileKind::Postoverflow { stage }, name)
        }
        _ => {
            let message = format!("the path `{item}` names no stage: …/<stage>/<author>/<file>");
            return Err(Broken::Plain(message));
        }
    };
    let text = files::read_rule(&path)?;
    Ok(SourceFile { kind, name, text, origin: Origin::Local })
}

fn find(hub: &Path, test: &Path, item: &str) -> Option<PathBuf> {
    // COMPAT(crowdsec): a path with a slash in front starts at the hub all the same.
    let item = item.trim_start_matches('/');
    [hub, test].iter().find_map(|root| files::below(root, item).filter(|path| path.is_file()))
}

/// A parser that makes assignments before every other.
fn overrides(statics: &[Vec<(String, String)>]) -> SourceFile {
    let mut text = String::from(
        "name: overrides\ndescription: assignments of the test\nfilter: \"1==1\"\nstatics:\n",
    );
    for pairs in statics {
        for (index, (key, value)) in pairs.iter().enumerate() {
            let lead = if index == 0 { "  - " } else { "    " };
            // A JSON text is a double-quoted YAML text. Writing to a string cannot fail.
            let (key, value) = (json(key), json(value));
            let _infallible = writeln!(text, "{lead}{key}: {value}");
        }
    }
    SourceFile {
        kind: FileKind::Parser { stage: "s00-raw".to_owned() },
        name: OVERRIDES.to_owned(),
        text,
        origin: Origin::Local,
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn hub() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("parsers/s01-parse/a/p.yaml", "hub");
        write(".tests/t/parsers/s02-enrich/b/q.yaml", "own");
        write("scenarios/a/s.yaml", "scenario");
        write(
            ".index.json",
            r#"{"parsers": {"a/p": {"path": "parsers/s01-parse/a/p.yaml", "stage": "s01-parse"}}}"#,
        );
        dir
    }

    fn list(config: &TestConfig) -> Result<Vec<(String, bool)>, String> {
        let dir = hub();
        let index = Index::open(dir.path()).unwrap();
        let files = read(dir.path(), &index, &dir.path().join(".tests/t"), config);
        files
            .map(|files| {
                let is_local = |file: &SourceFile| file.origin == Origin::Local;
                files.iter().map(|file| (file.name.clone(), is_local(file))).collect()
            })
            .map_err(|broken| broken.to_string())
    }

    #[test]
    fn names_come_from_the_hub_and_paths_from_hub_or_test() {
        let config = TestConfig {
            parsers: vec!["a/p".into(), "./parsers/s02-enrich/b/q.yaml".into()],
            scenarios: vec!["/scenarios/a/s.yaml".into()],
            ..TestConfig::default()
        };
        let expect = [
            ("parsers/s01-parse/p.yaml".to_owned(), false),
            ("parsers/s02-enrich/q.yaml".to_owned(), true),
            ("scenarios/s.yaml".to_owned(), true),
        ];
        assert_eq!(list(&config).unwrap(), expect);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let config =
            |item: &str| TestConfig { parsers: vec![item.into()], ..TestConfig::default() };
        assert!(list(&config("a/none")).unwrap_err().contains("`a/none` is neither an item"));
        assert!(list(&config("../../etc/passwd")).unwrap_err().contains("neither"));
        assert!(list(&config("config.yaml")).is_err());
    }

    #[test]
    fn overrides_are_a_parser() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let file = overrides(&[
            vec![pair("target", "evt.Line.Module"), pair("value", "a \"quoted\"\nword")],
            vec![pair("meta", "x"), pair("expression", "evt.Line.Src")],
        ]);
        let checked = rules::check(vec![file]);
        assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
        assert_eq!(checked.items.parsers[0].nodes[0].statics.len(), 2);
    }
}
