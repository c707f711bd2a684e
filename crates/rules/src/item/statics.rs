//! Statics: assignments a node makes once it succeeded.

use super::ExprSource;
use crate::{
    codes,
    reader::{Fields, Reader},
};
use syntax::{
    Diagnostic, Span,
    yaml::{Scalar, Yaml},
};

/// One assignment: where a value goes, and where it comes from.
#[derive(Clone, Debug)]
pub struct Static {
    /// The whole item, to point at.
    pub span: Span,
    /// What is written.
    pub to: Destination,
    /// What is written there.
    pub from: Value,
}

/// Where the value of a static goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Through an enricher; what it returns is written to `evt.Enriched`.
    Method(Enricher),
    /// To `evt.Parsed` under this key.
    Parsed(String),
    /// To `evt.Meta` under this key.
    Meta(String),
    /// To `evt.Enriched` under this key.
    Enriched(String),
    /// To a field of the event given by its path.
    Target(Target),
}

/// Where the value of a static comes from.
#[derive(Clone, Debug)]
pub enum Value {
    /// It is written in the rule. Never empty: an empty `value` counts as absent.
    Literal(String),
    /// It is computed.
    Expr(ExprSource),
}

/// What `method:` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enricher {
    /// City, country and coordinates of an address.
    GeoIpCity,
    /// Autonomous system of an address.
    GeoIpAsn,
    /// The network of the autonomous system's record an address lies in.
    IpToRange,
    /// First PTR name of an address.
    ReverseDns,
    /// A date text to `MarshaledTime`. The only one that runs on an empty value.
    ParseDate,
    /// The raw line as JSON into `evt.Unmarshaled`.
    UnmarshalJson,
}

/// A field of the event that `target:` can write. All of them are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `evt.StrTime`
    StrTime,
    /// `evt.StrTimeFormat`
    StrTimeFormat,
    /// `evt.MarshaledTime`
    MarshaledTime,
    /// `evt.Stage`
    Stage,
    /// `evt.WhitelistReason`
    WhitelistReason,
    /// `evt.Line.Raw`
    LineRaw,
    /// `evt.Line.Src`
    LineSrc,
    /// `evt.Line.Module`
    LineModule,
    /// `evt.Line.Labels.<key>`
    LineLabel(String),
    /// `evt.Parsed.<key>`
    Parsed(String),
    /// `evt.Meta.<key>`
    Meta(String),
    /// `evt.Enriched.<key>`
    Enriched(String),
    /// `evt.Unmarshaled.<key>`
    Unmarshaled(String),
    /// `evt.Overflow.Mapkey`
    OverflowMapkey,
    /// `evt.Overflow.Alert.<field>`
    Alert(AlertField),
    /// `evt.Overflow.Alert.Source.<field>`
    Source(SourceField),
}

/// The texts of `evt.Overflow.Alert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertField {
    /// `Message`
    Message,
    /// `Scenario`
    Scenario,
    /// `ScenarioHash`
    ScenarioHash,
    /// `ScenarioVersion`
    ScenarioVersion,
    /// `StartAt`
    StartAt,
    /// `StopAt`
    StopAt,
}

/// The texts of `evt.Overflow.Alert.Source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceField {
    /// `IP`
    Ip,
    /// `Range`
    Range,
    /// `Scope`
    Scope,
    /// `Value`
    Value,
    /// `AsName`
    AsName,
    /// `AsNumber`
    AsNumber,
    /// `Cn`
    Cn,
}

/// Names of enrichers. They are exact: `geoipcity` calls nothing.
const ENRICHERS: &[(&str, Enricher)] = &[
    ("GeoIpASN", Enricher::GeoIpAsn),
    ("GeoIpCity", Enricher::GeoIpCity),
    ("IpToRange", Enricher::IpToRange),
    ("ParseDate", Enricher::ParseDate),
    ("UnmarshalJSON", Enricher::UnmarshalJson),
    ("reverse_dns", Enricher::ReverseDns),
];

/// Destinations, the one that counts first when there are several.
const DESTINATIONS: &[&str] = &["method", "parsed", "meta", "enriched", "target"];

const KEYS: &[&str] = &["method", "parsed", "meta", "enriched", "target", "value", "expression"];

/// Reads a list of statics.
///
/// COMPAT(crowdsec): a static that calls an unknown method, or assigns to what is no text, does
/// nothing; it is reported as a warning and left out.
pub(super) fn statics(fields: &Fields<'_>, reader: &mut Reader) -> Vec<Static> {
    fields.list("statics", reader).iter().filter_map(|item| read_static(item, reader)).collect()
}

fn read_static(item: &Yaml, reader: &mut Reader) -> Option<Static> {
    let fields = Fields::open("a static", item, KEYS, reader)?;
    let to = destination(&fields, reader);
    let from = value(&fields, reader);
    Some(Static { span: fields.span(), to: to?, from: from? })
}

fn destination(fields: &Fields<'_>, reader: &mut Reader) -> Option<Destination> {
    let mut given = DESTINATIONS.iter().filter(|key| fields.value(key).is_some());
    let Some(key) = given.next() else {
        reader.report(
            Diagnostic::error(codes::MISSING_KEY, "a static has nowhere to go")
                .at(fields.head(), "")
                .help("add one of `parsed`, `meta`, `enriched`, `target` and `method`"),
        );
        return None;
    };
    for other in given {
        fields.without_effect(other, &format!("beside `{key}`"), reader);
    }
    let scalar = fields.text(key, reader)?;
    let name = scalar.text.clone();
    match *key {
        "method" => enricher(scalar, reader).map(Destination::Method),
        "parsed" => Some(Destination::Parsed(name)),
        "meta" => Some(Destination::Meta(name)),
        "enriched" => Some(Destination::Enriched(name)),
        _ => target(scalar, reader).map(Destination::Target),
    }
}

fn value(fields: &Fields<'_>, reader: &mut Reader) -> Option<Value> {
    if fields.value("value").is_some() {
        fields.without_effect("expression", "beside `value`", reader);
        return fields.text("value", reader).map(|scalar| Value::Literal(scalar.text.clone()));
    }
    if fields.value("expression").is_none() {
        reader.report(
            Diagnostic::error(codes::MISSING_KEY, "a static has no value")
                .at(fields.head(), "")
                .help("add `value` with a text, or `expression`"),
        );
    }
    fields.expr("expression", reader).map(Value::Expr)
}

fn enricher(scalar: &Scalar, reader: &mut Reader) -> Option<Enricher> {
    let known = ENRICHERS.iter().find(|(name, _)| *name == scalar.text);
    if known.is_none() {
        let message = format!("no method is called `{}`, so this static does nothing", scalar.text);
        let unknown = Diagnostic::warning(codes::UNKNOWN_METHOD, message).at(scalar.span, "");
        let names = ENRICHERS.iter().map(|(name, _)| *name);
        reader.report(match syntax::nearest(&scalar.text, names) {
            Some(nearest) => unknown.fix("a similar method exists", scalar.span, nearest),
            None => unknown,
        });
    }
    known.map(|(_, enricher)| *enricher)
}

/// Paths that are assigned to as they are.
const FIXED: &[(&str, Target)] = &[
    ("StrTime", Target::StrTime),
    ("StrTimeFormat", Target::StrTimeFormat),
    ("MarshaledTime", Target::MarshaledTime),
    ("Stage", Target::Stage),
    ("WhitelistReason", Target::WhitelistReason),
    ("Line.Raw", Target::LineRaw),
    ("Line.Src", Target::LineSrc),
    ("Line.Module", Target::LineModule),
    ("Overflow.Mapkey", Target::OverflowMapkey),
    ("Overflow.Alert.Message", Target::Alert(AlertField::Message)),
    ("Overflow.Alert.Scenario", Target::Alert(AlertField::Scenario)),
    ("Overflow.Alert.ScenarioHash", Target::Alert(AlertField::ScenarioHash)),
    ("Overflow.Alert.ScenarioVersion", Target::Alert(AlertField::ScenarioVersion)),
    ("Overflow.Alert.StartAt", Target::Alert(AlertField::StartAt)),
    ("Overflow.Alert.StopAt", Target::Alert(AlertField::StopAt)),
    ("Overflow.Alert.Source.IP", Target::Source(SourceField::Ip)),
    ("Overflow.Alert.Source.Range", Target::Source(SourceField::Range)),
    ("Overflow.Alert.Source.Scope", Target::Source(SourceField::Scope)),
    ("Overflow.Alert.Source.Value", Target::Source(SourceField::Value)),
    ("Overflow.Alert.Source.AsName", Target::Source(SourceField::AsName)),
    ("Overflow.Alert.Source.AsNumber", Target::Source(SourceField::AsNumber)),
    ("Overflow.Alert.Source.Cn", Target::Source(SourceField::Cn)),
];

/// Makes a target of a map's key.
type OfKey = fn(String) -> Target;

/// Maps whose keys can be assigned to.
const MAPS: &[(&str, OfKey)] = &[
    ("Parsed", Target::Parsed),
    ("Meta", Target::Meta),
    ("Enriched", Target::Enriched),
    ("Unmarshaled", Target::Unmarshaled),
    ("Line.Labels", Target::LineLabel),
];

fn target(scalar: &Scalar, reader: &mut Reader) -> Option<Target> {
    let path = scalar.text.strip_prefix("evt.").unwrap_or(&scalar.text);
    if let Some((_, target)) = FIXED.iter().find(|(name, _)| *name == path) {
        return Some(target.clone());
    }
    let below = |map: &str| path.strip_prefix(map)?.strip_prefix('.');
    let in_map = MAPS.iter().find_map(|(map, make)| Some((below(map)?, make)));
    if let Some((keys, make)) = in_map.filter(|(keys, _)| !keys.is_empty()) {
        // COMPAT(crowdsec): keys have no dots; what follows the first one is ignored.
        let (key, ignored) =
            keys.split_once('.').map_or((keys, None), |(key, rest)| (key, Some(rest)));
        if let Some(ignored) = ignored {
            let end = scalar.text.len();
            reader.report(
                Diagnostic::warning(codes::BAD_TARGET, format!("`.{ignored}` is ignored"))
                    .at(scalar.locate(end - ignored.len() - 1, end), "")
                    .note("keys below a map cannot hold dots"),
            );
        }
        if !key.is_empty() {
            return Some(make(key.to_owned()));
        }
    }
    let message = format!("`evt.{path}` is no text of the event, so this static does nothing");
    let bad = Diagnostic::warning(codes::BAD_TARGET, message).at(scalar.span, "");
    reader.report(match nearest_target(path) {
        Some(nearest) => bad.fix("a similar text exists", scalar.span, format!("evt.{nearest}")),
        None => bad,
    });
    None
}

/// The path that looks most like `path`: a fixed one, or the same key of a map spelled right.
fn nearest_target(path: &str) -> Option<String> {
    let in_maps = path.rsplit_once('.').and_then(|(map, key)| {
        let nearest = syntax::nearest(map, MAPS.iter().map(|(name, _)| *name))?;
        Some(format!("{nearest}.{key}"))
    });
    let fixed = FIXED.iter().map(|(name, _)| *name);
    syntax::nearest(path, fixed.chain(in_maps.as_deref())).map(str::to_owned)
}
