//! Profiles: from `profiles.yaml` to [`engine::profile::Profiles`].
//!
//! Each document is one profile; they are tried in the order in which they are given. Who has a
//! file that amends another (`profiles.yaml.local`) gives it first. A document with a mistake is
//! reported and left out, as rules are (I3); whether the rest may be used is for the caller to say,
//! since a ban list with a hole is not what was asked for.

use crate::{
    codes,
    expr::{check::Wanted, objects::Place},
    item::ExprSource,
    lower::compile_expr,
    reader::{Fields, Reader},
};
use core::time::Duration;
use engine::{
    builtins::duration::parse_duration_with_days,
    expr::Expr,
    profile::{Filter, OnError, OnFailure, Profile, Profiles, Template, Then, USUAL_DURATION},
};
use model::Scope;
use syntax::{
    Diagnostic, Diagnostics, Sources,
    yaml::{Scalar, Yaml},
};

/// What became of the files.
#[derive(Debug)]
pub struct CompiledProfiles {
    /// Every profile without a mistake, in order.
    pub profiles: Profiles,
    /// The texts that diagnostics point into.
    pub sources: Sources,
    /// Everything that was wrong.
    pub diagnostics: Diagnostics,
}

const KEYS: &[&str] = &[
    "name",
    "debug",
    "filters",
    "decisions",
    "duration_expr",
    "on_success",
    "on_failure",
    "on_error",
    "notifications",
    // Written in files for many programs, and meaningless to all of them.
    "description",
];

const DECISION_KEYS: &[&str] = &[
    "type",
    "duration",
    "scope",
    "simulated",
    "origin",
    "value",
    // What upstream's type for decisions has besides; none of it ever reaches a decision.
    "id",
    "scenario",
    "until",
    "uuid",
];

/// Compiles the texts of profile files, given with the names that diagnostics show, in the order in
/// which they are tried.
///
/// ```
/// let text = "\
/// name: ban_addresses
/// filters:
///   - Alert.Remediation == true && Alert.GetScope() == 'Ip'
/// decisions:
///   - {type: ban, duration: 4h}
/// on_success: break
/// ";
/// let compiled = rules::compile_profiles([("profiles.yaml".to_owned(), text.to_owned())]);
/// assert!(compiled.diagnostics.is_empty());
/// assert_eq!(&*compiled.profiles.list[0].name, "ban_addresses");
/// ```
#[must_use]
pub fn compile_profiles(files: impl IntoIterator<Item = (String, String)>) -> CompiledProfiles {
    let mut sources = Sources::new();
    let mut reader = Reader::new();
    let mut profiles = Profiles::default();
    for (name, text) in files {
        let file = sources.add(name, text);
        for document in reader.parse(file, &sources) {
            let profile = profile(&document.tree, &mut profiles, &mut reader);
            profiles.list.extend(profile.filter(|_| !document.is_broken));
        }
    }
    profiles.pool.finish();
    let mut diagnostics = reader.diagnostics;
    diagnostics.sort();
    CompiledProfiles { profiles, sources, diagnostics }
}

/// One document. `None`: it was reported.
fn profile(yaml: &Yaml, profiles: &mut Profiles, reader: &mut Reader) -> Option<Profile> {
    let n_errors = reader.n_errors();
    let fields = Fields::open("a profile", yaml, KEYS, reader)?;
    let name = fields.text("name", reader).map_or("", |scalar| scalar.text.as_str());
    let debug = fields.flag("debug", reader).unwrap_or(false);
    let filters = filters(&fields, profiles, reader);
    let decisions = fields
        .list("decisions", reader)
        .iter()
        .filter_map(|item| template(item, fields.value("duration_expr").is_some(), reader))
        .collect();
    let duration = fields
        .expr("duration_expr", reader)
        .and_then(|source| expr(&source, Wanted::Anything, profiles, reader));
    let on_success =
        fields.word("on_success", &[("continue", Then::Continue), ("break", Then::Break)], reader);
    let on_failure = fields.word(
        "on_failure",
        &[
            ("continue", OnFailure::Continue),
            ("break", OnFailure::Break),
            ("apply", OnFailure::Apply),
        ],
        reader,
    );
    let on_error = fields.word(
        "on_error",
        &[
            ("continue", OnError::Continue),
            ("break", OnError::Break),
            ("apply", OnError::Apply),
            ("ignore", OnError::Ignore),
        ],
        reader,
    );
    let notifications = fields
        .texts("notifications", reader)
        .into_iter()
        .map(|scalar| scalar.text.as_str().into())
        .collect();
    (reader.n_errors() == n_errors).then(|| Profile {
        name: name.into(),
        debug,
        filters,
        decisions,
        duration,
        on_success: on_success.unwrap_or_default(),
        on_failure: on_failure.unwrap_or_default(),
        on_error,
        notifications,
    })
}

/// The conditions, any of which makes the profile match.
fn filters(fields: &Fields<'_>, profiles: &mut Profiles, reader: &mut Reader) -> Vec<Filter> {
    let texts = fields.texts("filters", reader);
    if texts.is_empty() {
        let message = "a profile without `filters` never matches";
        reader.report(
            Diagnostic::warning(codes::MISSING_KEY, message)
                .at(fields.head(), "missing here")
                .help("write `filters: [\"true\"]` for one that always does"),
        );
    }
    texts
        .into_iter()
        .filter_map(|scalar| {
            let expr = expr(&ExprSource::new(scalar), Wanted::Bool, profiles, reader)?;
            Some(Filter { expr, text: scalar.text.as_str().into() })
        })
        .collect()
}

fn expr(
    source: &ExprSource,
    wanted: Wanted,
    profiles: &mut Profiles,
    reader: &mut Reader,
) -> Option<Expr> {
    let Profiles { pool, data, .. } = profiles;
    match compile_expr(source.text(), Place::Profile, wanted, pool, data) {
        Ok(expr) => Some(expr),
        Err(errors) => {
            for error in errors {
                reader.report(error.into_diagnostic(|range| source.locate(range)));
            }
            None
        }
    }
}

/// One decision to make.
fn template(yaml: &Yaml, has_computed: bool, reader: &mut Reader) -> Option<Template> {
    let fields = Fields::open("a decision", yaml, DECISION_KEYS, reader)?;
    for key in ["id", "scenario", "until", "uuid"] {
        fields.without_effect(key, "in a profile", reader);
    }
    fields.without_effect("value", "in a profile: the value is that of the alert's source", reader);
    let remediation = fields.need_text("type", reader);
    let duration = match fields.text("duration", reader) {
        Some(scalar) => duration(scalar, reader),
        None => {
            if !has_computed && fields.value("duration").is_none() {
                let message = "a decision without `duration` lasts 4h";
                let warning = Diagnostic::warning(codes::MISSING_KEY, message);
                reader.report(warning.at(fields.head(), "missing here"));
            }
            Some(USUAL_DURATION)
        }
    };
    let scope = fields.text("scope", reader).map(|scalar| scope(&scalar.text));
    let simulated = fields.flag("simulated", reader).unwrap_or(false);
    let origin = fields.text("origin", reader).map(|scalar| scalar.text.as_str().into());
    let remediation = remediation?.text.as_str().into();
    Some(Template { remediation, duration: duration?, scope, simulated, origin })
}

/// A duration that may have days, which those of rules may not.
fn duration(scalar: &Scalar, reader: &mut Reader) -> Option<Duration> {
    let nanos = parse_duration_with_days(&scalar.text);
    let duration = nanos.ok().and_then(|nanos| u64::try_from(nanos).ok());
    let duration = duration.filter(|nanos| *nanos > 0).map(Duration::from_nanos);
    if duration.is_none() {
        let message = "`duration` must be a length of time";
        reader.report(
            Diagnostic::error(codes::BAD_DURATION, message)
                .at(scalar.span, "")
                .help("write `4h` or `7d`, for example"),
        );
    }
    duration
}

/// A scope as decisions spell it, whatever the case it is written in.
fn scope(text: &str) -> Scope {
    let known = ["Ip", "Range", "AS", "Country"];
    let canonical = known.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    Scope::from_name(canonical.unwrap_or(text))
}

#[cfg(test)]
mod tests;
