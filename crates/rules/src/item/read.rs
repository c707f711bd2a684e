//! From files to items: what is read when, and in which order it takes effect.

use super::{
    Items, Scenario, Stage, context::Context, grok::grok_error, node, scenario,
    simulation::Simulation,
};
use crate::{
    FileKind, Origin, SourceFile, codes,
    grok::{Definition, Registry, pattern_lines},
    reader::Reader,
};
use syntax::{Diagnostic, Diagnostics, FileId, Sources, Span};

/// What [`check`] made of a set of files.
#[derive(Debug)]
pub struct Checked {
    /// Everything that can run.
    pub items: Items,
    /// Everything that was wrong, in the order of the files.
    pub diagnostics: Diagnostics,
    /// The texts, which places of items and diagnostics refer to.
    pub sources: Sources,
    /// The grok definitions that parsers may use, those of all parsers included.
    pub parser_patterns: Registry,
    /// The same for postoverflows.
    pub postoverflow_patterns: Registry,
}

/// Reads files to checked items.
///
/// Files take effect in the order of their names, whatever order they come in: first grok patterns,
/// then parsers and postoverflows stage by stage, each family with a registry of its own, then
/// scenarios. An item with an error is left out; all others are kept (I3).
///
/// ```
/// use rules::{FileKind, Origin, SourceFile, check};
///
/// let text = "\
/// type: leaky
/// name: demo/ssh-bf
/// description: SSH brute force
/// filter: evt.Meta.log_type == 'ssh_failed-auth'
/// group_by: evt.Meta.source_ip
/// capacity: 5
/// leakspeed: 10s
/// ";
/// let checked = check(vec![SourceFile {
///     kind: FileKind::Scenario,
///     name: "scenarios/ssh-bf.yaml".to_owned(),
///     text: text.to_owned(),
///     origin: Origin::Local,
/// }]);
/// let found = checked.diagnostics.iter().next().expect("a key is misspelled");
/// assert_eq!(found.message, "a scenario has no key `group_by`");
/// assert!(checked.items.scenarios.is_empty());
/// ```
#[must_use]
pub fn check(files: Vec<SourceFile>) -> Checked {
    check_on(files, Registry::with_stand_ins())
}

/// [`check`] on top of grok definitions that were read before.
pub(crate) fn check_on(files: Vec<SourceFile>, known: Registry) -> Checked {
    let mut sources = Sources::new();
    let mut files: Vec<File> =
        files.into_iter().map(|file| File::add(file, &mut sources)).collect();
    // Names are unique in practice; the sort is stable, so ties keep the caller's order.
    files.sort_by(|a, b| sources.name(a.id).cmp(sources.name(b.id)));
    let mut reader = Reader::new();
    let mut parser_patterns = patterns(&files, known, &sources, &mut reader);
    let mut postoverflow_patterns = parser_patterns.clone();
    let parsers = stages(&files, parser_stage, &mut parser_patterns, &sources, &mut reader);
    let postoverflows =
        stages(&files, postoverflow_stage, &mut postoverflow_patterns, &sources, &mut reader);
    let scenarios = scenarios(&files, &sources, &mut reader);
    let (context, simulation) = rest(&files, &sources, &mut reader);
    let items = Items { parsers, postoverflows, scenarios, context, simulation };
    let mut diagnostics = reader.diagnostics;
    diagnostics.sort();
    Checked { items, diagnostics, sources, parser_patterns, postoverflow_patterns }
}

/// A source file whose text has moved to the sources.
struct File {
    id: FileId,
    kind: FileKind,
    origin: Origin,
}

impl File {
    fn add(file: SourceFile, sources: &mut Sources) -> Self {
        let SourceFile { kind, name, text, origin } = file;
        Self { id: sources.add(name, text), kind, origin }
    }
}

/// The definitions of all pattern files, on top of those known before.
fn patterns(files: &[File], known: Registry, sources: &Sources, reader: &mut Reader) -> Registry {
    let mut registry = known;
    let mut files: Vec<_> = files.iter().filter(|file| file.kind == FileKind::Patterns).collect();
    files.sort_by_key(|file| file_name(sources.name(file.id)));
    for file in files {
        // Editors leave copies with a dot in their name.
        if file_name(sources.name(file.id)).contains('.') {
            continue;
        }
        let text = sources.text(file.id);
        for line in pattern_lines(text) {
            let name_span = Span::new(file.id, line.name.start, line.name.end);
            let defined =
                registry.define(&text[line.name.clone()], &text[line.regex.clone()], name_span);
            match defined {
                Ok(Definition::New) => {}
                Ok(Definition::Known { first, .. }) => {
                    let message = format!("`{}` is defined already", &text[line.name]);
                    let taken =
                        Diagnostic::error(codes::GROK_NAME_TAKEN, message).at(name_span, "");
                    reader.report(match first {
                        Some(first) => taken.see(first, "first defined here"),
                        None => taken.note("it is one of the patterns everyone has"),
                    });
                }
                Err(error) => {
                    let regex = Span::new(file.id, line.regex.start, line.regex.end);
                    let span = regex.sub(error.range.start, error.range.end);
                    reader.report(grok_error(&error, span));
                }
            }
        }
    }
    registry
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parser_stage(kind: &FileKind) -> Option<&str> {
    match kind {
        FileKind::Parser { stage } => Some(stage),
        _ => None,
    }
}

fn postoverflow_stage(kind: &FileKind) -> Option<&str> {
    match kind {
        FileKind::Postoverflow { stage } => Some(stage),
        _ => None,
    }
}

/// The stages of one family, in order. A stage none of whose nodes can run does not exist.
fn stages(
    files: &[File],
    stage_of: fn(&FileKind) -> Option<&str>,
    patterns: &mut Registry,
    sources: &Sources,
    reader: &mut Reader,
) -> Vec<Stage> {
    let mut files: Vec<_> =
        files.iter().filter_map(|file| Some((stage_of(&file.kind)?, file))).collect();
    files.sort_by_key(|(stage, _)| *stage);
    let mut stages: Vec<Stage> = Vec::new();
    for (stage, file) in files {
        for document in reader.parse(file.id, sources) {
            let node = node::document(&document.tree, patterns, reader);
            let Some(node) = node.filter(|_| !document.is_broken) else { continue };
            match stages.last_mut().filter(|last| last.name == stage) {
                Some(last) => last.nodes.push(node),
                None => stages.push(Stage { name: stage.to_owned(), nodes: vec![node] }),
            }
        }
    }
    stages
}

/// The scenarios, by name.
///
/// COMPAT(crowdsec): of two files with a scenario of the same name, the operator's own wins, else
/// the first. Within one file both are kept: they are parts of one item.
fn scenarios(files: &[File], sources: &Sources, reader: &mut Reader) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for file in files.iter().filter(|file| file.kind == FileKind::Scenario) {
        for document in reader.parse(file.id, sources) {
            let scenario = scenario::scenario(&document.tree, &file.origin, reader);
            scenarios.extend(scenario.filter(|_| !document.is_broken));
        }
    }
    // Local ones first, then in the order of their files.
    scenarios.sort_by_key(|scenario| scenario.origin != Origin::Local);
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    let mut kept: Vec<Scenario> = Vec::with_capacity(scenarios.len());
    for scenario in scenarios {
        let twin = kept.last().filter(|last| last.name == scenario.name);
        let Some(twin) = twin else {
            kept.push(scenario);
            continue;
        };
        let same_file = twin.span.file == scenario.span.file;
        let message = if same_file {
            format!("two scenarios are called `{}`, and may share buckets", scenario.name)
        } else {
            format!("another scenario is called `{}`; this one is left out", scenario.name)
        };
        reader.report(
            Diagnostic::warning(codes::SAME_NAME, message)
                .at(scenario.name_span, "")
                .see(twin.name_span, "the other one"),
        );
        if same_file {
            kept.push(scenario);
        }
    }
    kept
}

fn rest(files: &[File], sources: &Sources, reader: &mut Reader) -> (Context, Simulation) {
    let mut context = Context::default();
    let mut simulation = Simulation::default();
    for file in files {
        match file.kind {
            FileKind::Context => {
                for document in reader.parse(file.id, sources) {
                    context.add_hub_document(&document.tree, reader);
                }
            }
            FileKind::ConsoleContext => {
                for document in reader.parse(file.id, sources) {
                    context.add_pairs(&document.tree, reader);
                }
            }
            FileKind::Simulation => {
                for document in reader.parse(file.id, sources) {
                    simulation.amend(&document.tree, reader);
                }
            }
            FileKind::Parser { .. }
            | FileKind::Postoverflow { .. }
            | FileKind::Scenario
            | FileKind::Patterns => {}
        }
    }
    (context, simulation)
}
