//! The hub's items, installed as the incumbent installs them, and their data files.
//!
//! Both engines are given the same directory: links into the hub tree, patterns, settings.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use testkit::geo;

use crate::child;
use crate::tree;

/// A hub tree with its index.
pub(crate) struct Hub {
    root: PathBuf,
    index: Value,
}

/// An item's type in the index, and its name.
type Item = (&'static str, String);

const KINDS: [&str; 4] = ["parsers", "scenarios", "postoverflows", "collections"];

/// Items that ask a name server; neither engine may depend on the network here.
const ASKS_NETWORK: [&str; 2] = ["crowdsecurity/rdns", "crowdsecurity/seo-bots-whitelist"];

/// Scenarios fed with other scenarios' overflows, which have no event time: even in a replay they
/// count by arrival, so a fast engine sees more of them than a slow one.
const USES_WALL_CLOCK: [&str; 1] = ["crowdsecurity/ban-defcon-drop_range"];

impl Hub {
    /// Opens the tree at `root`.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join(".index.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let index = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { root: root.to_path_buf(), index })
    }

    /// Every parser, scenario and post-overflow that works without a network.
    pub(crate) fn all(&self) -> BTreeSet<Item> {
        let names = |kind: &'static str| {
            let items = self.index[kind].as_object().into_iter().flatten();
            items.map(move |(name, _)| (kind, name.clone()))
        };
        let items = KINDS.into_iter().filter(|kind| *kind != "collections").flat_map(names);
        items.filter(|(_, name)| !ASKS_NETWORK.contains(&name.as_str())).collect()
    }

    /// As [`Hub::all`], without what a replay decides by the clock on the wall.
    pub(crate) fn comparable(&self) -> BTreeSet<Item> {
        let mut items = self.all();
        items.retain(|(_, name)| !USES_WALL_CLOCK.contains(&name.as_str()));
        items
    }

    /// The items with the given names and everything their collections list.
    pub(crate) fn closure(&self, names: &[&str]) -> Result<BTreeSet<Item>> {
        let mut items = BTreeSet::new();
        let mut open: Vec<Item> = Vec::new();
        for name in names {
            let found = KINDS.into_iter().find(|kind| !self.index[*kind][*name].is_null());
            match found {
                Some(kind) => open.push((kind, (*name).to_owned())),
                None => bail!("the hub has no item {name}"),
            }
        }
        while let Some((kind, name)) = open.pop() {
            if !items.insert((kind, name.clone())) {
                continue;
            }
            for part in KINDS {
                for listed in self.index[kind][&name][part].as_array().into_iter().flatten() {
                    open.extend(listed.as_str().map(|listed| (part, listed.to_owned())));
                }
            }
        }
        items.retain(|(kind, _)| *kind != "collections");
        Ok(items)
    }

    /// Makes `dir` a configuration directory in which `items` are installed.
    pub(crate) fn install(
        &self,
        items: &BTreeSet<Item>,
        patterns: &Path,
        dir: &Path,
    ) -> Result<()> {
        tree::fresh_dir(dir)?;
        symlink(&self.root, dir.join("hub"))?;
        symlink(patterns, dir.join("patterns"))?;
        fs::write(dir.join("simulation.yaml"), "simulation: false\n")?;
        fs::write(dir.join("acquis.yaml"), "")?;
        for (kind, name) in items {
            let item = &self.index[*kind][name];
            let path = item["path"].as_str().with_context(|| format!("{name} has no path"))?;
            let file = path.rsplit('/').next().unwrap_or(path);
            let stage = item["stage"].as_str().unwrap_or("");
            let installed = dir.join(kind).join(stage);
            fs::create_dir_all(&installed)?;
            symlink(dir.join("hub").join(path), installed.join(file))
                .with_context(|| format!("installing {name} as {file}"))?;
        }
        Ok(())
    }

    /// Fills `dir` with the data files that the hub's items name, taken from `known` by the name
    /// under which they are published, and with geographic databases of our own.
    pub(crate) fn data(&self, known: &Path, dir: &Path) -> Result<()> {
        tree::fresh_dir(dir)?;
        let mut files = Vec::new();
        yaml_files(&self.root, &mut files)?;
        for file in files {
            let text = fs::read_to_string(&file)?;
            for (published, wanted) in data_files(&text) {
                let target = dir.join(&wanted);
                if wanted.ends_with(".mmdb") || wanted.contains('/') || target.exists() {
                    continue;
                }
                // An item whose data nobody ships gets an empty file: it loads and never matches.
                let copied = [&published, &wanted]
                    .into_iter()
                    .any(|name| fs::copy(known.join(name), &target).is_ok());
                if !copied {
                    child::progress(&format!("data file {wanted} is not packaged, left empty"));
                    fs::write(&target, "")?;
                }
            }
        }
        geo::write(dir).context("writing the geographic databases")
    }
}

/// Lists the rules' files below `dir`.
fn yaml_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for kind in ["parsers", "scenarios", "postoverflows"] {
        let mut open = vec![dir.join(kind)];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "yaml") {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    Ok(())
}

/// Finds `(last part of source_url, dest_file)` in a rule's text. The hub always writes the address
/// before the file.
fn data_files(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut published = String::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        if let Some(url) = line.strip_prefix("source_url:") {
            url.trim().rsplit('/').next().unwrap_or("").clone_into(&mut published);
        } else if let Some(file) = line.strip_prefix("dest_file:") {
            found.push((std::mem::take(&mut published), file.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_files_are_found_by_both_names() {
        let text = "data:\n  - source_url: https://x.test/lists/one.txt\n    dest_file: uno.txt\n    \
                    type: string\n  - source_url: https://x.test/two\n    dest_file: two\n";
        let expected = [("one.txt".into(), "uno.txt".into()), ("two".into(), "two".into())];
        assert_eq!(data_files(text), expected);
    }

    #[test]
    fn collections_bring_what_they_list() {
        let root = tempfile::tempdir().expect("a directory");
        fs::write(
            root.path().join(".index.json"),
            r#"{"collections": {"a/c": {"parsers": ["a/p"], "collections": ["a/d"]},
                                "a/d": {"scenarios": ["a/s"], "collections": ["a/c"]}},
                "parsers": {"a/p": {"path": "parsers/s01/a/p.yaml", "stage": "s01"}},
                "scenarios": {"a/s": {"path": "scenarios/a/s.yaml"}, "a/t": {}}}"#,
        )
        .expect("written");
        let hub = Hub::open(root.path()).expect("a hub");
        let items = hub.closure(&["a/c"]).expect("items");
        let expected = BTreeSet::from([("parsers", "a/p".into()), ("scenarios", "a/s".into())]);
        assert_eq!(items, expected);
        assert!(hub.closure(&["a/none"]).is_err());
        assert_eq!(hub.all().len(), 3);
        assert_eq!(hub.comparable().len(), 3);

        let dir = root.path().join("etc");
        hub.install(&items, Path::new("/nowhere"), &dir).expect("installed");
        let link = fs::read_link(dir.join("parsers/s01/p.yaml")).expect("a link");
        assert!(link.ends_with("hub/parsers/s01/a/p.yaml"));
        assert!(fs::read_link(dir.join("scenarios/s.yaml")).is_ok());
    }
}
