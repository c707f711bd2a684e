//! Items of a hub tree by name, with everything their collections list.

use super::{
    files,
    index::{Index, Kind, origin, path_of},
};
use anyhow::{Context as _, Result, bail};
use rules::{FileKind, SourceFile};
use std::{collections::BTreeSet, path::Path};

/// The items called `names` and, recursively, what they consist of. Collections themselves are not
/// among them.
pub(crate) fn closure(index: &Index, names: &[String]) -> Result<BTreeSet<(Kind, String)>> {
    let mut open = Vec::new();
    for name in names {
        let (wanted, plain) = qualified(name);
        let kinds =
            index.kinds_of(plain).filter(|kind| wanted.is_none_or(|wanted| wanted == *kind));
        let kinds: Vec<Kind> = kinds.collect();
        match kinds.as_slice() {
            // A collection stands for the parser or scenario of the same name as well.
            [.., kind] => open.push((*kind, plain.to_owned())),
            [] => bail!("{}", unknown(index, plain)),
        }
    }
    let mut items = BTreeSet::new();
    while let Some((kind, name)) = open.pop() {
        // A part that the index lists and does not have is the hub's mistake, not the caller's.
        let Some(item) = index.get(kind, &name) else { continue };
        if items.insert((kind, name)) {
            open.extend(item.parts().map(|(kind, name)| (kind, name.to_owned())));
        }
    }
    items.retain(|(kind, _)| *kind != Kind::Collection);
    Ok(items)
}

/// `scenarios/author/name` names the scenario where a parser or collection is called the same.
fn qualified(name: &str) -> (Option<Kind>, &str) {
    let kind = Kind::ALL.into_iter().find_map(|kind| {
        let rest = name.strip_prefix(kind.directory())?;
        let rest = rest.strip_prefix([':', '/'])?;
        rest.contains('/').then_some((kind, rest))
    });
    kind.map_or((None, name), |(kind, rest)| (Some(kind), rest))
}

fn unknown(index: &Index, name: &str) -> String {
    match syntax::nearest(name, index.names()) {
        Some(nearest) => format!("the hub has no item `{name}`; did you mean `{nearest}`?"),
        None => format!("the hub has no item `{name}`"),
    }
}

/// Reads the files of items, as if they were installed.
pub(crate) fn read(
    root: &Path,
    index: &Index,
    items: &BTreeSet<(Kind, String)>,
) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::with_capacity(items.len());
    for (kind, name) in items {
        let item = index.get(*kind, name).with_context(|| unknown(index, name))?;
        let text = files::read_rule(&path_of(item, root)?)?;
        let file = item.path.rsplit('/').next().unwrap_or(&item.path);
        let stage = || stage(item.stage.as_deref(), &item.path);
        let (kind, installed) = match kind {
            Kind::Parser => {
                let stage = stage()?;
                (FileKind::Parser { stage: stage.clone() }, format!("parsers/{stage}/{file}"))
            }
            Kind::Postoverflow => {
                let stage = stage()?;
                let installed = format!("postoverflows/{stage}/{file}");
                (FileKind::Postoverflow { stage }, installed)
            }
            Kind::Scenario => (FileKind::Scenario, format!("scenarios/{file}")),
            Kind::Context => (FileKind::Context, format!("contexts/{file}")),
            Kind::Collection => continue,
        };
        let origin = origin(item, &text);
        sources.push(SourceFile { kind, name: installed, text, origin });
    }
    Ok(sources)
}

/// The stage of an item: what the index says, else the directory of its path.
fn stage(stage: Option<&str>, path: &str) -> Result<String> {
    let stage = stage.filter(|stage| !stage.is_empty()).or_else(|| path.split('/').nth(1));
    let stage = stage.with_context(|| format!("the index names no stage for {path}"))?;
    Ok(stage.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn hub() -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("parsers/s01-parse/a/p.yaml", "name: a/p\n");
        write("scenarios/a/s.yaml", "name: a/s\n");
        write(
            ".index.json",
            r#"{"collections": {"a/c": {"parsers": ["a/p"], "collections": ["a/d"]},
                                "a/d": {"scenarios": ["a/s", "a/gone"], "collections": ["a/c"]}},
                "parsers": {"a/p": {"path": "parsers/s01-parse/a/p.yaml"}},
                "scenarios": {"a/s": {"path": "scenarios/a/s.yaml"},
                              "a/p": {"path": "scenarios/a/p.yaml"}}}"#,
        );
        let index = Index::open(dir.path()).unwrap();
        (dir, index)
    }

    #[test]
    fn collections_bring_what_they_list_even_in_a_circle() {
        let (dir, index) = hub();
        let items = closure(&index, &["a/c".into()]).unwrap();
        let sources = read(dir.path(), &index, &items).unwrap();
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["parsers/s01-parse/p.yaml", "scenarios/s.yaml"]);
        assert_eq!(sources[0].kind, FileKind::Parser { stage: "s01-parse".into() });
    }

    #[test]
    fn names_can_be_qualified_and_misspelt() {
        let (_dir, index) = hub();
        let items = closure(&index, &["parsers/a/p".into()]).unwrap();
        assert_eq!(items, BTreeSet::from([(Kind::Parser, "a/p".into())]));
        let error = closure(&index, &["a/cc".into()]).unwrap_err().to_string();
        assert_eq!(error, "the hub has no item `a/cc`; did you mean `a/c`?");
    }
}
