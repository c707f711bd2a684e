//! The items of the collection as their files tell them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use syntax::yaml::{Node, Yaml};
use syntax::{Diagnostics, Sources, Style, render, yaml};

/// Kinds in the order in which they are installed, each with whether its items have stages.
const KINDS: [(&str, bool); 5] = [
    ("parsers", true),
    ("postoverflows", true),
    ("scenarios", false),
    ("contexts", false),
    ("collections", false),
];

/// One rule file with its page.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) stage: Option<String>,
    /// `author/name`, from where the file is.
    pub(crate) name: String,
    /// Below the hub.
    pub(crate) path: String,
    pub(crate) digest: String,
    /// What the file says, as JSON.
    pub(crate) said: Value,
    /// The page beside it.
    pub(crate) page: Option<String>,
}

impl Item {
    /// The page as the index carries it.
    pub(crate) fn encoded_page(&self) -> Option<String> {
        self.page.as_ref().map(|page| STANDARD.encode(page))
    }
}

/// Reads all items below `hub`, in the order of kinds and paths.
pub(crate) fn read_all(hub: &Path) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (kind, has_stages) in KINDS {
        let dir = hub.join(kind);
        if !dir.is_dir() {
            continue;
        }
        let mut stages: Vec<(Option<String>, PathBuf)> = Vec::new();
        if has_stages {
            for path in entries(&dir)? {
                stages.push((Some(file_name(&path)?), path));
            }
        } else {
            stages.push((None, dir));
        }
        for (stage, dir) in stages {
            for author in entries(&dir)? {
                for path in entries(&author)? {
                    if path.extension().is_some_and(|extension| extension == "yaml") {
                        items.push(read(hub, kind, stage.clone(), &path)?);
                    }
                }
            }
        }
    }
    Ok(items)
}

fn read(hub: &Path, kind: &'static str, stage: Option<String>, path: &Path) -> Result<Item> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let below = path.strip_prefix(hub).context("an item outside of the hub")?;
    let below = below.to_str().context("a path that is no UTF-8")?.to_owned();
    let author = path.parent().context("an item without author")?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a file without name")?;
    let name = format!("{}/{stem}", file_name(author)?);
    let page = path.with_extension("md");
    let page = if page.is_file() {
        Some(fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?)
    } else {
        None
    };
    let digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let said = parse(&below, &text)?;
    Ok(Item { kind, stage, name, path: below, digest, said, page })
}

/// Reads YAML of one document.
pub(crate) fn parse(name: &str, text: &str) -> Result<Value> {
    let mut sources = Sources::new();
    let mut diagnostics = Diagnostics::new();
    let file = sources.add(name, text);
    let documents = yaml::parse(file, &sources, &mut diagnostics);
    if let Some(first) = diagnostics.iter().next() {
        bail!("{}", render(first, &sources, Style { color: false, width: 100 }));
    }
    ensure!(documents.len() == 1, "{name} has {} documents; write one", documents.len());
    Ok(documents.first().map_or(Value::Null, value))
}

fn value(yaml: &Yaml) -> Value {
    match &yaml.node {
        Node::Seq(items) => items.iter().map(value).collect(),
        Node::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, item)| (key.as_str().unwrap_or_default().to_owned(), value(item)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Node::Scalar(_) => match (yaml.is_null(), yaml.as_bool(), yaml.as_int()) {
            (true, ..) => Value::Null,
            (_, Some(flag), _) => flag.into(),
            (.., Some(number)) => number.into(),
            _ => yaml.as_str().unwrap_or_default().into(),
        },
    }
}

/// The entries of a directory by name, hidden ones left out.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry.with_context(|| format!("reading {}", dir.display()))?.path();
        let name = file_name(&path)?;
        if !name.starts_with('.') {
            found.insert(name, path);
        }
    }
    Ok(found.into_values().collect())
}

pub(crate) fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{} has no readable name", path.display()))?.to_owned())
}
