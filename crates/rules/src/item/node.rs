//! Nodes: the steps of parsers and postoverflows.

use super::{
    DataFile, Eviction, ExprSource, Grok, Static, Whitelist, data, document, grok, statics,
    whitelist,
};
use crate::{
    codes,
    grok::Registry,
    reader::{Fields, Reader},
};
use core::{num::NonZeroU32, time::Duration};
use syntax::{Diagnostic, Span, yaml::Yaml};

/// One step of a stage.
///
/// INVARIANT: it does something: it has a grok, children, statics or a whitelist.
#[derive(Clone, Debug)]
pub struct Node {
    /// The whole mapping, to point at.
    pub span: Span,
    /// Name in metrics and dumps; `child-<parent>` for children without a name of their own.
    pub name: String,
    /// Whether the author asked for verbose logs. Children inherit it.
    pub debug: bool,
    /// Entry condition; without one every event enters.
    pub filter: Option<ExprSource>,
    /// What a success does to the event's stage.
    pub on_success: OnSuccess,
    /// The pattern that decides whether the node succeeds.
    pub grok: Option<Grok>,
    /// Values remembered for later events.
    pub stashes: Vec<Stash>,
    /// Steps below this one, in order.
    pub children: Vec<Self>,
    /// Assignments made on success, in order.
    pub statics: Vec<Static>,
    /// What excuses an event.
    pub whitelist: Option<Whitelist>,
    /// Files its expressions consult.
    pub data: Vec<DataFile>,
}

/// What happens after a node succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSuccess {
    /// The next node of the stage has its turn.
    #[default]
    Continue,
    /// The event moves to the next stage at once.
    NextStage,
}

/// A value to remember under a key for a while.
#[derive(Clone, Debug)]
pub struct Stash {
    /// The whole item, to point at.
    pub span: Span,
    /// Name of the cache. Several stashes may share it.
    pub name: String,
    /// The key, a text.
    pub key: ExprSource,
    /// The value, a text.
    pub value: ExprSource,
    /// How long an entry lives.
    pub ttl: Duration,
    /// How many entries the cache holds.
    pub size: NonZeroU32,
    /// Who leaves when it is full.
    pub strategy: Eviction,
}

const KEYS: &[&str] = &[
    "format",
    "name",
    "author",
    "description",
    "references",
    "stage",
    "debug",
    "profiling",
    "filter",
    "onsuccess",
    "pattern_syntax",
    "grok",
    "stash",
    "nodes",
    "statics",
    "whitelist",
    "data",
];

/// How many entries a stash's cache holds unless told.
const STASH_SIZE: NonZeroU32 = NonZeroU32::new(100).expect("a hundred is not zero");

/// Reads a document of a parser or postoverflow file. A node with an error is none.
pub(super) fn document(yaml: &Yaml, patterns: &mut Registry, reader: &mut Reader) -> Option<Node> {
    // Before anything else: what is skipped is not read, since it may follow rules of its own.
    if document::is_of_other_format(yaml, reader) {
        return None;
    }
    let is_map = yaml.as_map().is_some();
    let lacks = |key: &&str| {
        yaml.get(key).is_none_or(|value| value.is_null() || value.as_str() == Some(""))
    };
    if is_map && ["name", "description", "author"].iter().all(lacks) {
        let head = yaml.as_map().and_then(|pairs| pairs.first());
        reader.report(
            Diagnostic::warning(
                codes::UNNAMED_DOCUMENT,
                "this document is skipped: it has no name, description or author",
            )
            .at(head.map_or(yaml.span, |(key, _)| key.span), ""),
        );
        return None;
    }
    let n_errors = reader.n_errors();
    let node = node(yaml, None, patterns, reader);
    node.filter(|_| reader.n_errors() == n_errors)
}

/// What children inherit.
struct Parent<'a> {
    name: &'a str,
    debug: bool,
}

/// Reads a node. It may have errors: [`document`] looks at that, once for a whole tree.
///
/// The order of the lines below is the order in which definitions of grok patterns become known:
/// a node's own come before its grok, and both come before those of its children.
fn node(
    yaml: &Yaml,
    parent: Option<&Parent<'_>>,
    patterns: &mut Registry,
    reader: &mut Reader,
) -> Option<Node> {
    let fields = Fields::open("a parser node", yaml, KEYS, reader)?;
    for key in ["author", "description", "stage", "format"] {
        fields.text(key, reader);
    }
    fields.texts("references", reader);
    fields.flag("profiling", reader);
    let name = name(&fields, parent, reader);
    let debug =
        fields.flag("debug", reader).unwrap_or(false) || parent.is_some_and(|node| node.debug);
    let filter = fields.expr("filter", reader);
    let on_success = fields.word("onsuccess", ON_SUCCESS, reader).unwrap_or_default();
    grok::pattern_syntax(&fields, patterns, reader);
    let grok = fields.value("grok").and_then(|yaml| grok::grok(yaml, patterns, reader));
    let stashes: Vec<_> =
        fields.list("stash", reader).iter().filter_map(|item| stash(item, reader)).collect();
    let this = Parent { name: &name, debug };
    let children = fields.list("nodes", reader).iter();
    let children = children.filter_map(|yaml| node(yaml, Some(&this), patterns, reader)).collect();
    let statics = statics::statics(&fields, reader);
    let n_errors = reader.n_errors();
    let whitelist = whitelist::whitelist(&fields, reader);
    let is_bad_whitelist = reader.n_errors() > n_errors;
    let data = data::data_files(&fields, reader);
    let does_something = ["grok", "nodes", "statics"].iter().any(|key| {
        fields.value(key).is_some_and(|value| value.as_seq().is_none_or(|list| !list.is_empty()))
    });
    if whitelist.is_none() && !is_bad_whitelist {
        if does_something {
            fields.without_effect("whitelist", "without `ip`, `cidr` or `expression`", reader);
        } else {
            empty(&fields, reader);
        }
    }
    Some(Node {
        span: fields.span(),
        name,
        debug,
        filter,
        on_success,
        grok,
        stashes,
        children,
        statics,
        whitelist,
        data,
    })
}

const ON_SUCCESS: &[(&str, OnSuccess)] =
    &[("continue", OnSuccess::Continue), ("next_stage", OnSuccess::NextStage)];

fn name(fields: &Fields<'_>, parent: Option<&Parent<'_>>, reader: &mut Reader) -> String {
    let own = fields.text("name", reader).map(|scalar| scalar.text.clone());
    own.unwrap_or_else(|| format!("child-{}", parent.map_or("", |parent| parent.name)))
}

fn empty(fields: &Fields<'_>, reader: &mut Reader) {
    let empty =
        Diagnostic::error(codes::EMPTY_NODE, "this node does nothing").at(fields.head(), "");
    let empty = match fields.key_span("whitelist").or_else(|| fields.key_span("stash")) {
        Some(span) => empty.see(span, "this alone is not enough"),
        None => empty,
    };
    reader.report(empty.help(
        "add `grok`, `nodes`, `statics`, or a `whitelist` with an `ip`, `cidr` or `expression`",
    ));
}

fn stash(item: &Yaml, reader: &mut Reader) -> Option<Stash> {
    let known = &["name", "key", "value", "ttl", "size", "strategy"];
    let fields = Fields::open("a stash", item, known, reader)?;
    let name = fields.need_text("name", reader).map(|scalar| scalar.text.clone());
    let key = fields.need_expr("key", reader);
    let value = fields.need_expr("value", reader);
    let ttl = fields.duration("ttl", reader);
    let ttl = fields.need_duration("ttl", ttl, reader);
    let size = data::positive("size", &fields, reader).unwrap_or(STASH_SIZE);
    let strategy = fields.word("strategy", data::STRATEGIES, reader).unwrap_or_default();
    Some(Stash {
        span: fields.span(),
        name: name?,
        key: key?,
        value: value?,
        ttl: ttl?,
        size,
        strategy,
    })
}
