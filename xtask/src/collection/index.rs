//! The index of the collection, in the format hubs have (spec engine §10.1).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::item::Item;

/// The first version of an item.
const FIRST: &str = "0.1";

/// What a collection may consist of.
pub(crate) const PARTS: [&str; 5] =
    ["parsers", "postoverflows", "scenarios", "contexts", "collections"];

/// Reads the index; an object without entries where there is none.
pub(crate) fn read(path: &Path) -> Result<Value> {
    if !path.exists() {
        return Ok(json!({}));
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

/// Builds the index. An item whose file changed gets the version after its newest one; older
/// versions stay, so that installed copies of them are recognized.
pub(crate) fn build(items: &[Item], known: &Value) -> Value {
    let mut index = Map::new();
    for item in items {
        let section = index.entry(item.kind).or_insert_with(|| json!({}));
        section[&item.name] = describe(item, &known[item.kind][&item.name]);
    }
    Value::Object(index)
}

fn describe(item: &Item, known: &Value) -> Value {
    let mut versions = known["versions"].as_object().cloned().unwrap_or_default();
    let newest = versions.keys().max_by_key(|version| numbers(version)).cloned();
    let version = match newest {
        Some(newest) if versions[&newest]["digest"] == item.digest => newest,
        Some(newest) => next(&newest),
        None => FIRST.to_owned(),
    };
    versions.insert(version.clone(), json!({ "digest": item.digest, "deprecated": false }));
    let mut said = json!({
        "path": item.path,
        "version": version,
        "versions": versions,
        "author": item.name.split('/').next(),
    });
    if let Some(stage) = &item.stage {
        said["stage"] = stage.as_str().into();
    }
    if let Some(page) = item.encoded_page() {
        said["long_description"] = page.into();
    }
    for key in ["description", "references", "labels"].into_iter().chain(PARTS) {
        if !item.said[key].is_null() && (item.kind == "collections" || !PARTS.contains(&key)) {
            said[key] = item.said[key].clone();
        }
    }
    said
}

/// The numbers of a version, so that `0.10` comes after `0.9`.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn next(version: &str) -> String {
    let mut numbers = numbers(version);
    if let Some(last) = numbers.last_mut() {
        *last = last.saturating_add(1);
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(digest: &str) -> Item {
        Item {
            kind: "scenarios",
            stage: None,
            name: "me/one".to_owned(),
            path: "scenarios/me/one.yaml".to_owned(),
            digest: digest.to_owned(),
            said: json!({ "description": "d", "labels": { "service": "x" } }),
            page: Some("page".to_owned()),
        }
    }

    #[test]
    fn a_changed_item_gets_its_next_version_and_keeps_the_older_ones() {
        let first = build(&[item("a")], &json!({}));
        assert_eq!(first["scenarios"]["me/one"]["version"], "0.1");
        assert_eq!(build(&[item("a")], &first), first);
        let mut index = first;
        for digest in ["b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            index = build(&[item(digest)], &index);
        }
        let entry = &index["scenarios"]["me/one"];
        assert_eq!(entry["version"], "0.10");
        assert_eq!(entry["versions"]["0.1"]["digest"], "a");
        assert_eq!(entry["versions"]["0.10"]["digest"], "j");
        assert_eq!(entry["labels"]["service"], "x");
        assert_eq!(build(&[item("j")], &index), index);
    }
}
