//! Data files: lists and maps that expressions consult.

use crate::{
    codes,
    reader::{Fields, Reader, unknown_word},
};
use core::{num::NonZeroU32, time::Duration};
use syntax::{
    Diagnostic, Severity, Span,
    yaml::{Scalar, Yaml},
};

/// A declared data file.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Where its path is written.
    pub span: Span,
    /// Where the hub fetches it from; `None` when the operator provides the file.
    pub source_url: Option<String>,
    /// Its path below the data directory: relative, without `..`. Expressions name it so.
    pub dest_file: String,
    /// How the engine reads it; `None` for files it does not read here, databases for example.
    pub kind: Option<DataKind>,
    /// Whether and how results of look-ups are remembered. Only meaningful for `Regexp`.
    pub cache: Option<Cache>,
}

/// How a data file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// One text a line.
    String,
    /// One regular expression a line.
    Regexp,
    /// One JSON object a line: pattern, tag, type.
    Map,
    /// One JSON object a line: a crawler and how to recognize it.
    Bots,
}

/// A bounded cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Who leaves when it is full.
    pub strategy: Eviction,
    /// How many entries it holds.
    pub size: NonZeroU32,
    /// How long an entry lives; `None` for ever.
    pub ttl: Option<Duration>,
}

/// Who leaves a full cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// The entry used longest ago.
    #[default]
    Lru,
    /// The entry used least often.
    Lfu,
    /// A mixture that adapts.
    Arc,
}

/// Words for kinds of data files.
const KINDS: &[(&str, DataKind)] = &[
    ("string", DataKind::String),
    ("regexp", DataKind::Regexp),
    ("regex", DataKind::Regexp),
    ("map", DataKind::Map),
    ("bots", DataKind::Bots),
];

/// Words for strategies.
pub(super) const STRATEGIES: &[(&str, Eviction)] =
    &[("LRU", Eviction::Lru), ("LFU", Eviction::Lfu), ("ARC", Eviction::Arc)];

/// How many entries a look-up cache holds unless told.
const CACHE_SIZE: NonZeroU32 = NonZeroU32::new(50).expect("fifty is not zero");

const KEYS: &[&str] = &["source_url", "dest_file", "type", "cache", "strategy", "size", "ttl"];

/// Reads the data files of an item.
pub(super) fn data_files(fields: &Fields<'_>, reader: &mut Reader) -> Vec<DataFile> {
    fields.list("data", reader).iter().filter_map(|item| data_file(item, reader)).collect()
}

fn data_file(item: &Yaml, reader: &mut Reader) -> Option<DataFile> {
    let fields = Fields::open("a data file", item, KEYS, reader)?;
    let source_url = fields.text("source_url", reader).map(|scalar| scalar.text.clone());
    let dest_file = fields.need_text("dest_file", reader);
    let span = dest_file.map_or_else(|| fields.head(), |scalar| scalar.span);
    let dest_file = dest_file.and_then(|scalar| path(scalar, reader));
    let kind = kind(&fields, reader);
    let cache = cache(&fields, reader);
    Some(DataFile { span, source_url, dest_file: dest_file?, kind, cache })
}

/// COMPAT(crowdsec): an unknown kind keeps the file from being read, and nothing else.
fn kind(fields: &Fields<'_>, reader: &mut Reader) -> Option<DataKind> {
    let scalar = fields.text("type", reader)?;
    let found = KINDS.iter().find(|(word, _)| *word == scalar.text);
    if found.is_none() {
        let mut unknown = unknown_word("type", scalar, KINDS);
        unknown.severity = Severity::Warning;
        reader.report(unknown.note("the file will not be read"));
    }
    found.map(|(_, kind)| *kind)
}

/// COMPAT(crowdsec): only the exact word `regexp` has a cache, and only if an option asks for it.
fn cache(fields: &Fields<'_>, reader: &mut Reader) -> Option<Cache> {
    let wanted = fields.flag("cache", reader);
    let strategy = fields.word("strategy", STRATEGIES, reader);
    let size = positive("size", fields, reader);
    let ttl = fields.duration("ttl", reader).map(|ttl| ttl.value).filter(|ttl| !ttl.is_zero());
    let is_regexp = fields.value("type").and_then(Yaml::as_str) == Some("regexp");
    let asks = strategy.is_some() || size.is_some() || ttl.is_some();
    (is_regexp && asks && wanted != Some(false)).then(|| Cache {
        strategy: strategy.unwrap_or_default(),
        size: size.unwrap_or(CACHE_SIZE),
        ttl,
    })
}

/// A number of entries, above zero.
pub(super) fn positive(key: &str, fields: &Fields<'_>, reader: &mut Reader) -> Option<NonZeroU32> {
    let number = fields.int(key, reader)?;
    let positive = u32::try_from(number.value).ok().and_then(NonZeroU32::new);
    if positive.is_none() {
        reader.report(
            Diagnostic::error(
                codes::OUT_OF_RANGE,
                format!("`{key}` must be between 1 and {}", u32::MAX),
            )
            .at(number.span, ""),
        );
    }
    positive
}

/// A path that cannot leave the data directory (I12).
fn path(scalar: &Scalar, reader: &mut Reader) -> Option<String> {
    let path = &scalar.text;
    let leaves = path.starts_with('/')
        || path.contains(['\\', '\0'])
        || path.split('/').any(|part| part == "..")
        || path.split('/').all(|part| part.is_empty() || part == ".");
    if leaves {
        reader.report(
            Diagnostic::error(
                codes::BAD_PATH,
                "`dest_file` must name a file in the data directory",
            )
            .at(scalar.span, "")
            .help("write a relative path without `..`"),
        );
    }
    (!leaves).then(|| path.clone())
}
