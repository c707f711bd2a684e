//! From items to a program: the last step of the compiler.
//!
//! Expressions are read, checked and lowered; a mistake in one is reported at its place and the item
//! it belongs to is left out (I3). Reading order: this file, `node`, `scenario`, `expr`, `data`.

mod data;
mod expr;
mod node;
mod scenario;

pub use data::ReadData;

use crate::SourceFile;
use crate::expr::check::Wanted;
use crate::expr::objects::Place;
use crate::expr::{ExprError, read};
use crate::grok::Registry;
use crate::item::read::check_on;
use crate::item::{DataFile, ExprSource, Items, Node};
use engine::data::DataFiles;
use engine::expr::Expr;
use engine::pool::{Pool, Space};
use engine::program::{Context, Program, StashCache};
use re2::Regex;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use syntax::{Diagnostics, Sources, Span};

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep captures that no rule reads: who looks at events wants to see them.
    pub keep_all: bool,
    /// Longest JSON of one alert context value, in bytes.
    pub context_length: usize,
    /// Grok definitions to start with; `None` means those of [`Registry::with_stand_ins`]. Who compiles many small
    /// sets of rules reads the pattern files once and shares them.
    pub patterns: Option<Registry>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_all: false, context_length: 4000, patterns: None }
    }
}

/// What became of a set of files.
#[derive(Debug)]
pub struct Compiled {
    /// Everything that can run, linked.
    pub program: Program,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// Everything that was wrong, in the order of the files.
    pub diagnostics: Diagnostics,
    /// What the nodes of the program said in the rules, by their number.
    pub nodes: Vec<NodeSource>,
    /// The grok definitions that parsers may use, those of all parsers included.
    pub parser_patterns: Registry,
    /// The same for postoverflows.
    pub postoverflow_patterns: Registry,
    /// Every data file the rules declare, also those that are not read here.
    pub data_files: Vec<DataFile>,
}

/// What a node said in the rules.
#[derive(Clone, Debug)]
pub struct NodeSource {
    /// Its name.
    pub name: String,
    /// Its filter's text.
    pub filter: Option<String>,
    /// Its grok pattern as written, names of registered patterns as references.
    pub pattern: Option<String>,
    /// The statics of its grok, as keys and expressions.
    pub grok_statics: Vec<String>,
    /// Its own statics.
    pub statics: Vec<String>,
}

/// Compiles files to a program. Never fails as a whole: what is broken is reported and left out.
#[must_use]
pub fn compile(files: Vec<SourceFile>, read_data: ReadData<'_>, options: &Options) -> Compiled {
    let checked =
        check_on(files, options.patterns.clone().unwrap_or_else(Registry::with_stand_ins));
    let mut diagnostics = checked.diagnostics;
    let items = checked.items;
    let data_files: Vec<DataFile> = declared(&items).cloned().collect();
    let data = data::load(data_files.iter(), read_data, &mut diagnostics);
    let mut lower = Lower {
        pool: Pool::new(),
        data,
        diagnostics,
        nodes: Vec::new(),
        stashes: Vec::new(),
        spans: Vec::new(),
        keep_captures: options.keep_all,
    };
    // Scenarios first: what they and other expressions read decides which captures are stored.
    let scenarios = lower.scenarios(&items);
    let context = lower.context(&items);
    lower.intern_reads(&items);
    let parsers = lower.stages(&items.parsers);
    let postoverflows = lower.stages(&items.postoverflows);
    let Lower { pool, data, mut diagnostics, nodes, stashes, spans, .. } = lower;
    let definitions = spans.iter().map(|span| definition(*span, &checked.sources)).collect();
    diagnostics.sort();
    let program = Program {
        pool,
        data,
        parsers,
        postoverflows,
        scenarios,
        definitions,
        context,
        context_length: options.context_length,
        stashes,
        n_nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
        keep_all: options.keep_all,
        ..Program::default()
    };
    Compiled {
        program: program.link(),
        sources: checked.sources,
        diagnostics,
        nodes,
        parser_patterns: checked.parser_patterns,
        postoverflow_patterns: checked.postoverflow_patterns,
        data_files,
    }
}

/// Compiles one expression against a pool and data files.
///
/// # Errors
/// Everything wrong with it.
pub fn compile_expr(
    text: &str,
    place: Place,
    wanted: Wanted,
    pool: &mut Pool,
    data: &DataFiles,
) -> Result<Expr, Vec<ExprError>> {
    let (ast, checked) = read(text, place, wanted, &is_regex)?;
    Ok(expr::lower(&ast, &checked, pool, data))
}

/// A hash of what is written somewhere, for comparisons within this process.
fn definition(span: Span, sources: &Sources) -> u64 {
    let mut hasher = DefaultHasher::new();
    sources.text(span.file).get(span.start as usize..span.end as usize).hash(&mut hasher);
    hasher.finish()
}

fn is_regex(pattern: &str) -> Result<(), String> {
    Regex::new(pattern).map(drop).map_err(|error| error.to_string())
}

/// Every data file the items declare.
fn declared(items: &Items) -> impl Iterator<Item = &DataFile> {
    fn of_node<'a>(node: &'a Node, files: &mut Vec<&'a DataFile>) {
        files.extend(&node.data);
        node.children.iter().for_each(|child| of_node(child, files));
    }
    let mut files = Vec::new();
    for stage in items.parsers.iter().chain(&items.postoverflows) {
        stage.nodes.iter().for_each(|node| of_node(node, &mut files));
    }
    files.extend(items.scenarios.iter().flat_map(|scenario| &scenario.data));
    files.into_iter()
}

/// What lowering needs at every step.
struct Lower {
    pool: Pool,
    data: DataFiles,
    diagnostics: Diagnostics,
    nodes: Vec<NodeSource>,
    stashes: Vec<StashCache>,
    /// Where each scenario that was lowered is written.
    spans: Vec<Span>,
    /// Whether captures that no rule names are stored too.
    keep_captures: bool,
}

impl Lower {
    /// Compiles an expression; what is wrong with it is reported.
    fn expr(&mut self, source: &ExprSource, place: Place, wanted: Wanted) -> Option<Expr> {
        match compile_expr(source.text(), place, wanted, &mut self.pool, &self.data) {
            Ok(expr) => {
                self.note_reads(&expr);
                Some(expr)
            }
            Err(errors) => {
                let located = errors
                    .into_iter()
                    .map(|error| error.into_diagnostic(|range| source.locate(range)));
                self.diagnostics.extend(located);
                None
            }
        }
    }

    /// Notes which captures and labels an expression reads in ways that do not make them known by
    /// themselves: of an event in a queue, as in `#.Parsed.user`, or, of captures, under names that
    /// are known only when it runs.
    fn note_reads(&mut self, expr: &Expr) {
        let (mut n_maps, mut n_named) = (0, 0);
        let mut named = Vec::new();
        let pool = &self.pool;
        let is_parsed = |expr: &Expr| member_name(expr, pool) == Some("Parsed");
        expr.walk(&mut |part| {
            let is_whole = matches!(
                part,
                Expr::Fields(Space::Parsed)
                    | Expr::FieldAt(Space::Parsed, _)
                    | Expr::HasFieldAt(Space::Parsed, _)
            );
            n_maps += usize::from(is_whole || is_parsed(part));
            let (Expr::Member { of, .. } | Expr::Index { of, .. }) = part else { return };
            let Some(name) = member_name(part, pool) else { return };
            if is_parsed(of) {
                n_named += 1;
                named.push((Space::Parsed, name.to_owned()));
            } else if member_name(of, pool) == Some("Labels") {
                named.push((Space::Label, name.to_owned()));
            }
        });
        self.keep_captures |= n_maps > n_named;
        for (space, name) in named {
            self.pool.field(space, &name);
        }
    }

    /// Compiles an expression that may be absent. The outer `None`: it is there and wrong.
    #[expect(clippy::option_option, reason = "absent and wrong are different answers")]
    fn optional(
        &mut self,
        source: Option<&ExprSource>,
        place: Place,
        wanted: Wanted,
    ) -> Option<Option<Expr>> {
        match source {
            None => Some(None),
            Some(source) => self.expr(source, place, wanted).map(Some),
        }
    }

    fn context(&mut self, items: &Items) -> Vec<Context> {
        let mut contexts = Vec::new();
        for (key, sources) in &items.context.entries {
            let exprs: Vec<Expr> = sources
                .iter()
                .filter_map(|source| self.expr(source, Place::Context, Wanted::Anything))
                .collect();
            if !exprs.is_empty() {
                contexts.push(Context { key: key.as_str().into(), exprs });
            }
        }
        contexts
    }
}

/// The name a member is read by, where it is written in the rule.
fn member_name<'a>(expr: &Expr, pool: &'a Pool) -> Option<&'a str> {
    match expr {
        Expr::Member { name, .. } => Some(pool.lit_text(*name)),
        Expr::Index { key, .. } => match **key {
            Expr::Lit(name) => Some(pool.lit_text(name)),
            _ => None,
        },
        _ => None,
    }
}
