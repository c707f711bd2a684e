//! A configuration directory: what is installed in it, and whether that came from the hub.
//!
//! Installed means: a file, or a link to one, in the directory of its kind (and stage). A link into
//! the hub directory is a hub item; everything else is the operator's own.

use super::{
    files,
    index::{Index, Kind, origin},
};
use anyhow::{Context as _, Result};
use rules::{FileKind, Origin, SourceFile};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How deep items may lie below the directory of their kind.
const MAX_DEPTH: usize = 8;

/// Where a configuration keeps its rules.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Holds `parsers`, `scenarios`, `postoverflows`, `contexts`.
    pub(crate) config_dir: PathBuf,
    /// Where links of hub items lead.
    pub(crate) hub_dir: PathBuf,
    /// The index that tells versions by digest.
    pub(crate) index: PathBuf,
    /// Grok pattern files.
    pub(crate) patterns: Option<PathBuf>,
    /// Which scenarios only simulate.
    pub(crate) simulation: PathBuf,
    /// The operator's own alert context.
    pub(crate) context: PathBuf,
}

impl Places {
    /// The usual places below a directory.
    pub(crate) fn in_dir(config_dir: &Path) -> Self {
        Self {
            config_dir: config_dir.to_path_buf(),
            hub_dir: config_dir.join("hub"),
            index: config_dir.join("hub/.index.json"),
            patterns: Some(config_dir.join("patterns")).filter(|dir| dir.is_dir()),
            simulation: config_dir.join("simulation.yaml"),
            context: config_dir.join("console/context.yaml"),
        }
    }
}

/// What was found, and what could not be used.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Everything to compile.
    pub(crate) files: Vec<SourceFile>,
    /// Files that were left out, each in one sentence.
    pub(crate) warnings: Vec<String>,
}

/// Reads everything installed.
pub(crate) fn read(places: &Places) -> Result<Found> {
    let mut found = Found::default();
    let index = index(places, &mut found.warnings);
    let hub = Hub { index, root: fs::canonicalize(&places.hub_dir).ok() };
    for kind in [Kind::Parser, Kind::Postoverflow, Kind::Scenario, Kind::Context] {
        let dir = places.config_dir.join(kind.directory());
        for path in yaml_files(&dir, &mut found.warnings)? {
            let source_kind = match kind {
                Kind::Scenario => FileKind::Scenario,
                Kind::Context => FileKind::Context,
                Kind::Parser | Kind::Postoverflow | Kind::Collection => {
                    let Some(stage) = stage_of(&path, &dir) else {
                        found.warnings.push(format!(
                            "{} is in no stage directory and is left out",
                            path.display()
                        ));
                        continue;
                    };
                    if kind == Kind::Parser {
                        FileKind::Parser { stage }
                    } else {
                        FileKind::Postoverflow { stage }
                    }
                }
            };
            match source(source_kind, &path, Some(&hub)) {
                Ok(source) => found.files.push(source),
                Err(error) => found.warnings.push(format!("{error:#}; it is left out")),
            }
        }
    }
    if let Some(dir) = &places.patterns {
        found.files.extend(patterns(dir)?);
    }
    let local = with_suffix(&places.simulation, ".local");
    for path in [&places.simulation, &local].into_iter().filter(|path| path.exists()) {
        found.files.push(source(FileKind::Simulation, path, None)?);
    }
    if places.context.exists() {
        found.files.push(source(FileKind::ConsoleContext, &places.context, None)?);
    }
    Ok(found)
}

/// Reads the grok pattern files of a directory.
pub(crate) fn patterns(dir: &Path) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    for path in entries(dir)? {
        // What cannot be followed is no pattern file: a subdirectory, a dangling link.
        if path.is_file() {
            sources.push(source(FileKind::Patterns, &path, None)?);
        }
    }
    Ok(sources)
}

/// What a file given by name alone holds, judged by where it lies and what it says.
pub(crate) fn guess_kind(path: &Path, text: &str) -> FileKind {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let after = |name: &str| {
        let at = parts.iter().rposition(|part| *part == name)?;
        parts.get(at + 1).map(|stage| (*stage).to_owned())
    };
    if let Some(stage) = after("postoverflows") {
        return FileKind::Postoverflow { stage };
    }
    if let Some(stage) = after("parsers") {
        return FileKind::Parser { stage };
    }
    if parts.contains(&"patterns") {
        return FileKind::Patterns;
    }
    let has_key = |key: &str| text.lines().any(|line| line.starts_with(key));
    if has_key("context:") {
        return FileKind::Context;
    }
    if has_key("simulation:") {
        return FileKind::Simulation;
    }
    // `type:` is what every scenario has and no parser may have.
    if parts.contains(&"scenarios") || has_key("type:") {
        return FileKind::Scenario;
    }
    FileKind::Parser { stage: "s01-parse".to_owned() }
}

/// Reads one file.
pub(crate) fn source(kind: FileKind, path: &Path, hub: Option<&Hub>) -> Result<SourceFile> {
    let text = files::read_rule(path)?;
    let origin = hub.map(|hub| hub.origin(path, &text)).unwrap_or_default();
    Ok(SourceFile { kind, name: path.display().to_string(), text, origin })
}

/// The hub that installed items may come from.
#[derive(Debug)]
pub(crate) struct Hub {
    index: Index,
    root: Option<PathBuf>,
}

impl Hub {
    fn origin(&self, path: &Path, text: &str) -> Origin {
        let item = self.root.as_deref().and_then(|root| {
            let real = fs::canonicalize(path).ok()?;
            self.index.at_path(real.strip_prefix(root).ok()?.to_str()?)
        });
        item.map(|item| origin(item, text)).unwrap_or_default()
    }
}

/// Without an index all items count as the operator's own; that is worth a word only if it is there
/// and cannot be read.
fn index(places: &Places, warnings: &mut Vec<String>) -> Index {
    if !places.index.exists() {
        return Index::default();
    }
    Index::read(&places.index).unwrap_or_else(|error| {
        warnings.push(format!("{error:#}; alerts will not tell versions of rules"));
        Index::default()
    })
}

/// The first directory below `dir`.
fn stage_of(path: &Path, dir: &Path) -> Option<String> {
    let inside = path.strip_prefix(dir).ok()?.parent()?;
    let stage = inside.iter().next()?;
    Some(stage.to_string_lossy().into_owned())
}

/// The `.yaml` and `.yml` files below a directory, in order of their paths. Hidden ones are not
/// looked at; links that lead nowhere are reported.
fn yaml_files(dir: &Path, warnings: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![(dir.to_path_buf(), 0)];
    while let Some((dir, depth)) = open.pop() {
        for path in entries(&dir)? {
            let metadata = match fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) => {
                    warnings.push(format!("{}: {error}; it is left out", path.display()));
                    continue;
                }
            };
            if metadata.is_dir() && depth < MAX_DEPTH {
                open.push((path, depth + 1));
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str());
            if metadata.is_file() && matches!(extension, Some("yaml" | "yml")) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The visible entries of a directory in order; none when there is no such directory.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("reading {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(doing),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.with_context(doing)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// `simulation.yaml` and `.local` give `simulation.yaml.local`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn links_into_the_hub_are_hub_items_and_all_else_is_local() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "hub/parsers/s01-parse/a/p.yaml", "name: a/p\n");
        write(
            root,
            "hub/.index.json",
            r#"{"parsers": {"a/p": {"path": "parsers/s01-parse/a/p.yaml"}}}"#,
        );
        write(root, "parsers/s01-parse/own.yaml", "name: me/own\n");
        write(root, "parsers/stray.yaml", "");
        write(root, "parsers/.git/x.yaml", "");
        write(root, "scenarios/s.yml", "");
        write(root, "scenarios/readme.md", "");
        write(root, "patterns/mine", "A b\n");
        write(root, "simulation.yaml", "simulation: false\n");
        symlink(root.join("hub/parsers/s01-parse/a/p.yaml"), root.join("parsers/s01-parse/p.yaml"))
            .unwrap();
        symlink("nowhere", root.join("scenarios/gone.yaml")).unwrap();

        let found = read(&Places::in_dir(root)).unwrap();
        let names: Vec<_> = found
            .files
            .iter()
            .map(|file| file.name.strip_prefix(root.to_str().unwrap()).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "/parsers/s01-parse/own.yaml",
                "/parsers/s01-parse/p.yaml",
                "/scenarios/s.yml",
                "/patterns/mine",
                "/simulation.yaml"
            ]
        );
        assert_eq!(found.files[0].origin, Origin::Local);
        assert!(matches!(&found.files[1].origin, Origin::Hub { tainted: true, .. }));
        assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
    }

    #[test]
    fn files_given_by_name_are_told_apart() {
        let check = |path: &str, text: &str, expect: FileKind| {
            assert_eq!(guess_kind(Path::new(path), text), expect, "{path}");
        };
        let parser = |stage: &str| FileKind::Parser { stage: stage.into() };
        check("etc/parsers/s00-raw/x.yaml", "", parser("s00-raw"));
        check("x.yaml", "name: a\nnodes: []\n", parser("s01-parse"));
        check("x.yaml", "type: leaky\n", FileKind::Scenario);
        check("postoverflows/s0/x.yaml", "", FileKind::Postoverflow { stage: "s0".into() });
        check("x.yaml", "context:\n  a: [b]\n", FileKind::Context);
    }
}
