//! `.index.json`: what a hub offers, in which versions, and what belongs together.

use super::files;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// What an item is. Kinds that this program does not run are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Parser,
    Postoverflow,
    Scenario,
    Context,
    Collection,
}

impl Kind {
    /// All kinds, in the order in which items are looked for and installed.
    pub(crate) const ALL: [Self; 5] =
        [Self::Parser, Self::Postoverflow, Self::Scenario, Self::Context, Self::Collection];

    /// The name of its directory, and of its section in the index.
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Self::Parser => "parsers",
            Self::Postoverflow => "postoverflows",
            Self::Scenario => "scenarios",
            Self::Context => "contexts",
            Self::Collection => "collections",
        }
    }
}

/// An item of the index.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Item {
    /// Where its file is, below the hub.
    #[serde(default)]
    pub(crate) path: String,
    /// The stage of a parser or postoverflow.
    #[serde(default)]
    pub(crate) stage: Option<String>,
    /// Digests of its versions.
    #[serde(default)]
    versions: BTreeMap<String, Version>,
    #[serde(default)]
    parsers: Option<Vec<String>>,
    #[serde(default)]
    postoverflows: Option<Vec<String>>,
    #[serde(default)]
    scenarios: Option<Vec<String>>,
    #[serde(default)]
    contexts: Option<Vec<String>>,
    #[serde(default)]
    collections: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Version {
    #[serde(default)]
    digest: String,
}

impl Item {
    /// What a collection consists of.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Kind, &str)> {
        let of = |kind: Kind| match kind {
            Kind::Parser => &self.parsers,
            Kind::Postoverflow => &self.postoverflows,
            Kind::Scenario => &self.scenarios,
            Kind::Context => &self.contexts,
            Kind::Collection => &self.collections,
        };
        Kind::ALL
            .into_iter()
            .flat_map(move |kind| of(kind).iter().flatten().map(move |name| (kind, name.as_str())))
    }

    /// Which version a file with this digest is: the newest that has it.
    fn version_of(&self, digest: &str) -> Option<&str> {
        let same = self.versions.iter().filter(|(_, version)| version.digest == digest);
        same.map(|(name, _)| name.as_str()).max_by_key(|name| numbers(name))
    }
}

/// The numbers of `1.10`, so that it is newer than `1.9`.
fn numbers(version: &str) -> Vec<u64> {
    version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// A hub's table of contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    items: BTreeMap<(Kind, String), Item>,
    by_path: BTreeMap<String, (Kind, String)>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    parsers: BTreeMap<String, Item>,
    #[serde(default)]
    postoverflows: BTreeMap<String, Item>,
    #[serde(default)]
    scenarios: BTreeMap<String, Item>,
    #[serde(default)]
    contexts: BTreeMap<String, Item>,
    #[serde(default)]
    collections: BTreeMap<String, Item>,
}

impl Index {
    /// Reads the index of the hub at `root`.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        Self::read(&root.join(".index.json"))
    }

    /// Reads the index at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = files::read_data(path)?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let wire: Wire = serde_json::from_str(text)?;
        let sections = [
            (Kind::Parser, wire.parsers),
            (Kind::Postoverflow, wire.postoverflows),
            (Kind::Scenario, wire.scenarios),
            (Kind::Context, wire.contexts),
            (Kind::Collection, wire.collections),
        ];
        let mut index = Self::default();
        for (kind, section) in sections {
            for (name, item) in section {
                index.by_path.insert(item.path.clone(), (kind, name.clone()));
                index.items.insert((kind, name), item);
            }
        }
        Ok(index)
    }

    /// The item of a kind and a name.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Option<&Item> {
        self.items.get(&(kind, name.to_owned()))
    }

    /// The kinds that have an item called `name`.
    pub(crate) fn kinds_of(&self, name: &str) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.get(*kind, name).is_some())
    }

    /// The item whose file lies at `path` below the hub.
    pub(crate) fn at_path(&self, path: &str) -> Option<&Item> {
        self.items.get(self.by_path.get(path)?)
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(|(_, name)| name.as_str())
    }
}

/// Where the text of an item's file comes from, as alerts tell it: the version its digest names,
/// or `?` when it was edited.
pub(crate) fn origin(item: &Item, text: &str) -> ::rules::Origin {
    let hash = sha256(text.as_bytes());
    let version = item.version_of(&hash).map(str::to_owned);
    ::rules::Origin::Hub {
        tainted: version.is_none(),
        version: version.unwrap_or_else(|| "?".to_owned()),
        hash,
    }
}

/// A digest in hex.
fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Where an item's file is, unless the index lies about it.
pub(crate) fn path_of(item: &Item, root: &Path) -> Result<PathBuf> {
    files::below(root, &item.path)
        .with_context(|| format!("the index names a path outside the hub: {:?}", item.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_by_digest_and_newest_wins() {
        let digest = sha256(b"text");
        let index = Index::parse(&format!(
            r#"{{"parsers": {{"a/p": {{"path": "parsers/s01-parse/a/p.yaml", "stage": "s01-parse",
                "versions": {{"0.9": {{"digest": "{digest}"}}, "0.10": {{"digest": "{digest}"}},
                              "0.2": {{"digest": "other"}}}}}}}},
                "appsec-rules": {{"a/w": {{"path": 7}}}}}}"#
        ))
        .unwrap();
        let item = index.at_path("parsers/s01-parse/a/p.yaml").unwrap();
        let expect = |version: &str, tainted, text: &str| {
            assert_eq!(
                origin(item, text),
                ::rules::Origin::Hub {
                    version: version.into(),
                    hash: sha256(text.as_bytes()),
                    tainted
                }
            );
        };
        expect("0.10", false, "text");
        expect("?", true, "edited");
        assert_eq!(index.kinds_of("a/p").collect::<Vec<_>>(), [Kind::Parser]);
    }

    #[test]
    fn a_lying_index_is_refused() {
        let item = Item { path: "../../etc/shadow".into(), ..Item::default() };
        assert!(path_of(&item, Path::new("/hub")).is_err());
    }
}
