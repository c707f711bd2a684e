//! The crate table of `ARCHITECTURE.md` against what cargo says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::tree::Tree;

/// Crates that only develop and may depend on anything.
const UNBOUND: [&str; 2] = ["testkit", "xtask"];

/// Compares the two and reports each edge that stands in one place only.
pub(super) fn check(tree: &Tree, mistakes: &mut Vec<String>) -> Result<()> {
    let path = tree.root().join("ARCHITECTURE.md");
    let Ok(text) = fs::read_to_string(&path) else {
        mistakes.push("ARCHITECTURE.md: cannot be read".to_owned());
        return Ok(());
    };
    let written = table(&text)?;
    let actual = dependencies(&tree.metadata()?);
    for (name, edges) in &actual {
        if UNBOUND.contains(&name.as_str()) {
            continue;
        }
        let Some(allowed) = written.get(name) else {
            mistakes.push(format!("ARCHITECTURE.md: the crate table lacks {name}"));
            continue;
        };
        let Allowed::These(allowed) = allowed else { continue };
        for extra in edges.difference(allowed) {
            mistakes
                .push(format!("{name} depends on {extra}, which ARCHITECTURE.md does not allow"));
        }
        for stale in allowed.difference(edges) {
            // A crate that comes later may stand in the table before it exists.
            if actual.contains_key(stale) {
                mistakes
                    .push(format!("ARCHITECTURE.md lets {name} depend on {stale}; it does not"));
            }
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    All,
    These(BTreeSet<String>),
}

/// Reads the table whose second column is headed `in-workspace deps`.
fn table(text: &str) -> Result<BTreeMap<String, Allowed>> {
    let mut rows = text.lines().skip_while(|line| !line.contains("in-workspace deps"));
    if rows.next().is_none() {
        bail!("ARCHITECTURE.md has no table with a column `in-workspace deps`");
    }
    let mut crates = BTreeMap::new();
    for row in rows.take_while(|line| line.trim_start().starts_with('|')) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, edges, ..] = cells.as_slice() else { continue };
        let name = name.trim_matches('`');
        if name.starts_with('-') || name.is_empty() {
            continue;
        }
        let allowed = match *edges {
            "all" | "anything" => Allowed::All,
            edges => Allowed::These(
                edges
                    .split(',')
                    // `engine (profiles)` is an edge with a remark.
                    .filter_map(|edge| edge.split_whitespace().next())
                    .map(|edge| edge.trim_matches('`').to_owned())
                    .filter(|edge| edge != "—" && edge != "-")
                    .collect(),
            ),
        };
        crates.insert(name.to_owned(), allowed);
    }
    Ok(crates)
}

/// The normal dependencies of each workspace crate on others, by their short names.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let short = |package: &str| package.strip_prefix("shieldwall-").unwrap_or(package).to_owned();
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let edges = package["dependencies"].as_array().into_iter().flatten();
        let edges = edges
            .filter(|edge| edge["kind"].is_null() && edge["path"].is_string())
            .filter_map(|edge| edge["name"].as_str())
            .map(short);
        crates.insert(short(package["name"].as_str().unwrap_or_default()), edges.collect());
    }
    crates
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_is_read() {
        let text = "x\n\n| crate | in-workspace deps | never |\n|---|---|---|\n\
                    | `model` | — | a |\n| `rules` | `model`, engine (a remark) | b |\n\
                    | `shieldwall` | all | c |\n\n| other | table |\n";
        let table = table(text).expect("a table");
        assert_eq!(table["model"], Allowed::These(BTreeSet::new()));
        let rules = BTreeSet::from(["engine".to_owned(), "model".to_owned()]);
        assert_eq!(table["rules"], Allowed::These(rules));
        assert_eq!(table["shieldwall"], Allowed::All);
        assert_eq!(table.len(), 3);
        assert!(super::table("no table").is_err());
    }

    #[test]
    fn edges_are_normal_dependencies_inside() {
        let metadata = json!({"packages": [
            {"name": "shieldwall-rules", "dependencies": [
                {"name": "shieldwall-model", "kind": null, "path": "x"},
                {"name": "shieldwall-testkit", "kind": "dev", "path": "x"},
                {"name": "hashbrown", "kind": null}]}]});
        let edges = dependencies(&metadata);
        assert_eq!(edges["rules"], BTreeSet::from(["model".to_owned()]));
    }
}
