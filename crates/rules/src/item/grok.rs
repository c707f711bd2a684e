//! Groks of nodes: what they read, and the definitions nodes bring along.

use super::{ExprSource, Static, statics};
use crate::{
    codes,
    grok::{Definition, Expanded, GrokError, GrokFault, Registry, false_references, is_name},
    reader::{Fields, Reader},
};
use syntax::{
    Diagnostic, Span,
    yaml::{Scalar, Yaml},
};

/// A pattern, what it is applied on, and the assignments made when it matches.
#[derive(Clone, Debug)]
pub struct Grok {
    /// The whole object, to point at.
    pub span: Span,
    /// What the pattern is applied on.
    pub input: GrokInput,
    /// The registered name it was called by, when it was.
    pub name: Option<String>,
    /// The pattern as written, or the name it was called by.
    pub text: String,
    /// The pattern as a regular expression, and which groups give which fields.
    pub pattern: Expanded,
    /// Where the pattern or its name is written.
    pub pattern_span: Span,
    /// Assignments made on a match, before children run.
    pub statics: Vec<Static>,
}

/// What a grok reads.
#[derive(Clone, Debug)]
pub enum GrokInput {
    /// `Line.Raw`: the line as it was read.
    Line,
    /// A key of `evt.Parsed`, taken literally: dots have no meaning. Absent: no match.
    Parsed(String),
    /// A computed text.
    Expr(ExprSource),
}

/// Reads a grok.
pub(super) fn grok(yaml: &Yaml, patterns: &mut Registry, reader: &mut Reader) -> Option<Grok> {
    let known = &["apply_on", "name", "pattern", "expression", "statics"];
    let fields = Fields::open("a grok", yaml, known, reader)?;
    let input = input(&fields, reader);
    let name = fields.text("name", reader);
    let pattern = match name {
        Some(name) => {
            fields.without_effect("pattern", "beside `name`", reader);
            by_name(name, patterns, reader).map(|expanded| (expanded, name))
        }
        None => {
            let pattern = fields.need_text("pattern", reader);
            pattern.and_then(|pattern| Some((inline(pattern, patterns, reader)?, pattern)))
        }
    };
    let statics = statics::statics(&fields, reader);
    let (pattern, written) = pattern?;
    if pattern.fields.is_empty() {
        reader.report(
            Diagnostic::warning(
                codes::GROK_WITHOUT_FIELD,
                "this grok can never succeed: it has no field",
            )
            .at(written.span, "")
            .note("only `%{NAME:field}` makes a field; a group `(?P<field>…)` does not"),
        );
    }
    Some(Grok {
        span: fields.span(),
        input: input?,
        name: name.map(|scalar| scalar.text.clone()),
        text: written.text.clone(),
        pattern,
        pattern_span: written.span,
        statics,
    })
}

fn input(fields: &Fields<'_>, reader: &mut Reader) -> Option<GrokInput> {
    if fields.value("apply_on").is_some() {
        fields.without_effect("expression", "beside `apply_on`", reader);
        let key = fields.text("apply_on", reader)?;
        return Some(match key.text.as_str() {
            "Line.Raw" => GrokInput::Line,
            key => GrokInput::Parsed(key.to_owned()),
        });
    }
    if fields.value("expression").is_none() {
        fields.missing("apply_on", reader);
    }
    fields.expr("expression", reader).map(GrokInput::Expr)
}

/// A grok that calls a pattern by its name, and may add a field for all of it: `NAME:field`.
fn by_name(name: &Scalar, patterns: &mut Registry, reader: &mut Reader) -> Option<Expanded> {
    let (pattern, field) = name.text.split_once(':').unwrap_or((&name.text, "all"));
    if !is_name(pattern) || !is_name(field) {
        let message = format!("`{}` cannot be the name of a grok pattern", name.text);
        reader.report(
            Diagnostic::error(codes::BAD_GROK_NAME, message)
                .at(name.span, "")
                .help("write the pattern itself under `pattern`"),
        );
        return None;
    }
    // The reference puts two bytes before the name and one behind it.
    let within = |range: core::ops::Range<usize>| {
        name.locate(range.start.saturating_sub(2), range.end.saturating_sub(2))
    };
    expand(&format!("%{{{}}}", name.text), patterns, within, reader)
}

fn inline(pattern: &Scalar, patterns: &mut Registry, reader: &mut Reader) -> Option<Expanded> {
    warn_of_false_references(pattern, reader);
    expand(&pattern.text, patterns, |range| pattern.locate(range.start, range.end), reader)
}

fn expand(
    pattern: &str,
    patterns: &mut Registry,
    locate: impl Fn(core::ops::Range<usize>) -> Span,
    reader: &mut Reader,
) -> Option<Expanded> {
    match patterns.expand(pattern) {
        Ok(expanded) => Some(expanded),
        Err(error) => {
            report_grok(&error, locate(error.range.clone()), patterns, reader);
            None
        }
    }
}

/// Looking for similar names takes time; after that many errors nobody reads them anyway.
const MAX_SUGGESTIONS: usize = 200;

/// Reports a pattern that means nothing, `span` being the part that is to blame.
fn report_grok(error: &GrokError, span: Span, patterns: &Registry, reader: &mut Reader) {
    let diagnostic = grok_error(error, span);
    let unknown = match &error.fault {
        GrokFault::Unknown { name } if reader.n_errors() < MAX_SUGGESTIONS => Some(name),
        _ => None,
    };
    reader.report(match unknown.and_then(|name| syntax::nearest(name, patterns.names())) {
        Some(nearest) => diagnostic.fix("a similar pattern exists", span, nearest),
        None => diagnostic,
    });
}

/// A diagnostic for a pattern that means nothing, `span` being the part that is to blame.
pub(super) fn grok_error(error: &GrokError, span: Span) -> Diagnostic {
    let code = match &error.fault {
        GrokFault::Unknown { .. } => codes::UNKNOWN_GROK,
        GrokFault::Broken { .. } => codes::BROKEN_GROK,
        GrokFault::TooLong | GrokFault::TooDeep | GrokFault::Exhausted => codes::HUGE_GROK,
        GrokFault::Regex { .. } => codes::BAD_REGEX,
    };
    Diagnostic::error(code, error.to_string()).at(span, "")
}

/// Makes the definitions of a node known.
///
/// COMPAT(crowdsec): they are known to every later node of every file, and the first definition of
/// a name stays.
pub(super) fn pattern_syntax(fields: &Fields<'_>, patterns: &mut Registry, reader: &mut Reader) {
    let Some(map) = fields.value("pattern_syntax") else { return };
    let Some(pairs) = map.as_map() else {
        reader.wrong_type("`pattern_syntax`", "a map", map);
        return;
    };
    for (key, value) in pairs {
        let (Some(name), Some(text)) = (key.as_str(), value.as_scalar()) else {
            reader.wrong_type("each pattern of `pattern_syntax`", "a name and a text", value);
            continue;
        };
        if !is_name(name) {
            let message = format!("no reference can spell `{name}`");
            reader.report(
                Diagnostic::warning(codes::BAD_GROK_NAME, message)
                    .at(key.span, "")
                    .note("names are made of ASCII letters, digits and `_`"),
            );
        }
        warn_of_false_references(text, reader);
        match patterns.define(name, &text.text, key.span) {
            Ok(Definition::New) => {}
            // The same text again is what happens when files share definitions.
            Ok(Definition::Known { same_text: true, .. }) => {}
            Ok(Definition::Known { first, same_text: false }) => {
                let message = format!("`{name}` is defined already; this definition has no effect");
                let taken = Diagnostic::warning(codes::GROK_NAME_TAKEN, message).at(key.span, "");
                reader.report(match first {
                    Some(first) => taken.see(first, "first defined here"),
                    None => taken.note("it is one of the patterns everyone has"),
                });
            }
            Err(error) => {
                let span = text.locate(error.range.start, error.range.end);
                let later = match &error.fault {
                    GrokFault::Unknown { name } if reader.n_errors() < MAX_SUGGESTIONS => {
                        pairs.iter().find(|(key, _)| key.as_str() == Some(name))
                    }
                    _ => None,
                };
                match later {
                    Some((later, _)) => reader.report(
                        grok_error(&error, span)
                            .see(later.span, "defined only here")
                            .help("patterns must be defined before they are used"),
                    ),
                    None => report_grok(&error, span, patterns, reader),
                }
            }
        }
    }
}

fn warn_of_false_references(pattern: &Scalar, reader: &mut Reader) {
    for found in false_references(&pattern.text) {
        let text = &pattern.text[found.clone()];
        let message = format!("`{text}` is no reference to a grok pattern, but text to match");
        reader.report(
            Diagnostic::warning(codes::GROK_NO_REFERENCE, message)
                .at(pattern.locate(found.start, found.end), "")
                .note("references are `%{NAME}` and `%{NAME:field}`, of ASCII letters, digits and `_`"),
        );
    }
}
