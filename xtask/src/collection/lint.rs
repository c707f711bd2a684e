//! What every item owes: a page, a test that shows it at work, and for a scenario one that shows
//! that ordinary use is let alone, and labels that say what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::index::PARTS;
use super::item::{self, Item};

/// Labels without which an alert says too little.
const LABELS: [&str; 7] =
    ["behavior", "classification", "confidence", "spoofable", "remediation", "label", "service"];

/// The end of the name of a test with ordinary use.
const TWIN: &str = "-benign";

/// What that test asserts.
const NOTHING: &str = "len(results) == 0";

/// One test of the collection.
struct Test {
    name: String,
    /// The items it runs.
    items: BTreeSet<String>,
    /// What it asserts about overflows.
    overflows: String,
}

/// Tells everything that is missing.
pub(crate) fn check(hub: &Path, items: &[Item]) -> Result<Vec<String>> {
    let tests = read_tests(hub)?;
    let by_kind = names(items);
    let mut faults = Vec::new();
    for item in items {
        let mut fault = |text: String| faults.push(format!("{}: {text}", item.path));
        if item.said["name"] != item.name.as_str() {
            fault(format!("its name is not `{}`, as its place says", item.name));
        }
        if item.said["description"].as_str().is_none_or(str::is_empty) {
            fault("it has no description".to_owned());
        }
        if item.page.as_ref().is_none_or(|page| page.trim().is_empty()) {
            fault("it has no page: write a .md of the same name beside it".to_owned());
        }
        match item.kind {
            "collections" => parts(item, &by_kind).into_iter().for_each(&mut fault),
            "contexts" => {}
            kind => {
                if !tests.iter().any(|test| test.items.contains(&item.name)) {
                    fault("no test runs it".to_owned());
                }
                if kind == "scenarios" {
                    scenario(item, &tests).into_iter().for_each(&mut fault);
                }
            }
        }
    }
    Ok(faults)
}

/// What is missing of a scenario.
fn scenario(item: &Item, tests: &[Test]) -> Vec<String> {
    let mut faults = Vec::new();
    for label in LABELS {
        if item.said["labels"][label].is_null() {
            faults.push(format!("it has no label `{label}`"));
        }
    }
    let runs = |test: &&Test| test.items.contains(&item.name);
    let quoted = format!("\"{}\"", item.name);
    if !tests.iter().filter(runs).any(|test| test.overflows.contains(&quoted)) {
        faults.push("no test asserts that it overflows".to_owned());
    }
    let is_twin = |test: &Test| test.name.ends_with(TWIN) && test.overflows.trim() == NOTHING;
    if !tests.iter().filter(runs).any(is_twin) {
        faults.push(format!("no test `…{TWIN}` runs it and asserts `{NOTHING}`"));
    }
    faults
}

/// What a collection names and the hub does not have.
fn parts(item: &Item, known: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut n_parts = 0;
    for kind in PARTS {
        for part in item.said[kind].as_array().into_iter().flatten() {
            let part = part.as_str().unwrap_or_default();
            n_parts += 1;
            if !known.get(kind).is_some_and(|names| names.contains(part)) {
                faults.push(format!("there is no `{part}` in {kind}"));
            }
        }
    }
    if n_parts == 0 {
        faults.push("it has no parts".to_owned());
    }
    faults
}

fn names(items: &[Item]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for item in items {
        names.entry(item.kind).or_default().insert(&item.name);
    }
    names
}

fn read_tests(hub: &Path) -> Result<Vec<Test>> {
    let dir = hub.join(".tests");
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut tests = Vec::new();
    for path in item::entries(&dir)?.into_iter().filter(|path| path.is_dir()) {
        let config = path.join("config.yaml");
        let text =
            fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
        let config = item::parse(&config.display().to_string(), &text)?;
        let items = ["parsers", "postoverflows", "scenarios"]
            .into_iter()
            .flat_map(|key| config[key].as_array().cloned().unwrap_or_default())
            .filter_map(|name: Value| name.as_str().map(str::to_owned))
            .collect();
        // A test of parsers alone asserts nothing about overflows.
        let overflows = fs::read_to_string(path.join("scenario.assert")).unwrap_or_default();
        tests.push(Test { name: item::file_name(&path)?, items, overflows });
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_is_owed_is_asked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let hub = dir.path();
        let write = |path: &str, text: &str| {
            let path = hub.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, text).expect("a file");
        };
        write("scenarios/me/one.yaml", "name: me/two\n");
        write("collections/me/all.yaml", "name: me/all\ndescription: d\nscenarios: [me/none]\n");
        write("collections/me/all.md", "page\n");
        let faults = check(hub, &item::read_all(hub).expect("items")).expect("faults");
        assert_eq!(faults.len(), 3 + 1 + LABELS.len() + 2 + 1, "{faults:#?}");

        let labels: Value = LABELS.iter().map(|label| (*label, json!(1))).collect();
        let text = json!({ "name": "me/one", "description": "d", "labels": labels }).to_string();
        write("scenarios/me/one.yaml", &text);
        write("scenarios/me/one.md", "page\n");
        for (test, overflows) in [
            ("one", "results[0].Overflow.Alert.GetScenario() == \"me/one\""),
            ("one-benign", NOTHING),
        ] {
            write(&format!(".tests/{test}/config.yaml"), "scenarios: [me/one]\n");
            write(&format!(".tests/{test}/scenario.assert"), overflows);
        }
        write("collections/me/all.yaml", "name: me/all\ndescription: d\nscenarios: [me/one]\n");
        let faults = check(hub, &item::read_all(hub).expect("items")).expect("faults");
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
