//! Scenarios: which events are counted together, and how many are too many.

use super::{DataFile, ExprSource, Label, Labels, data, document, labels};
use crate::{
    Origin, codes,
    reader::{At, Fields, Reader},
};
use core::{num::NonZeroU32, time::Duration};
use syntax::{Diagnostic, Span, yaml::Yaml};

/// A scenario that can run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The whole document, to point at.
    pub span: Span,
    /// Where its name is written.
    pub name_span: Span,
    /// `author/name` by convention.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Who wrote it.
    pub origin: Origin,
    /// Whether the author asked for verbose logs.
    pub debug: bool,
    /// Which events are poured.
    pub filter: ExprSource,
    /// The text that names the bucket; without one all events share a bucket.
    pub group_by: Option<ExprSource>,
    /// When a bucket overflows.
    pub shape: Shape,
    /// `capacity` as alerts report it; -1 is unbounded, 0 is unset.
    pub capacity: i32,
    /// `leakspeed` as alerts report it; zero when unset.
    pub leakspeed: Duration,
    /// How many events an overflow carries at most, besides the last one.
    pub queue: QueueLimit,
    /// What must be new for an event to count. Never set on a trigger, which cannot have it.
    pub distinct: Option<ExprSource>,
    /// What empties the bucket for good. Never set on a trigger, which cannot have it.
    pub cancel_on: Option<ExprSource>,
    /// What lets an overflow through.
    pub overflow_filter: Option<ExprSource>,
    /// How long a bucket is silent after it overflowed.
    pub blackhole: Option<Duration>,
    /// What the sources of an alert are.
    pub scope: ScenarioScope,
    /// What the author says about the scenario.
    pub labels: Labels,
    /// Whether alerts ask for a decision: `labels.remediation` is the boolean true.
    pub remediation: bool,
    /// Whether overflows are poured again as events.
    pub reprocess: bool,
    /// Files its expressions consult.
    pub data: Vec<DataFile>,
}

/// When a bucket overflows. Each kind carries what it needs, and only that.
#[derive(Clone, Debug)]
pub enum Shape {
    /// More than `capacity` events, less one for each `speed` that passes.
    Leaky {
        /// How many events fit.
        capacity: NonZeroU32,
        /// The time one event takes to leak.
        speed: Duration,
        /// A fixed life whose end is an overflow, instead of dying quietly once empty.
        lifetime: Option<Duration>,
        /// Overflows early when it holds.
        condition: Option<ExprSource>,
    },
    /// Each event overflows.
    Trigger,
    /// Everything within a fixed life, which ends in an overflow.
    Counter {
        /// Its life.
        lifetime: Duration,
        /// Overflows early when it holds.
        condition: Option<ExprSource>,
    },
    /// Overflows when a condition over the queue holds.
    Conditional {
        /// The condition.
        condition: ExprSource,
        /// How long a bucket lives without a new event (with it, when `ending` says so).
        lifetime: Duration,
        /// What its end is.
        ending: Ending,
    },
    /// Overflows when the odds of evil, updated by each condition, pass a threshold.
    Bayesian(Bayesian),
}

/// What the end of a conditional or bayesian bucket's life is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It dies quietly; each event prolongs its life.
    #[default]
    Quiet,
    /// It overflows; its life has a fixed length. COMPAT(crowdsec): a `duration` does that, although
    /// its length is ignored in favor of `leakspeed`.
    Overflow,
}

/// A bayesian bucket.
#[derive(Clone, Debug)]
pub struct Bayesian {
    /// Probability of evil before any evidence: above 0, at most 1.
    pub prior: f32,
    /// Overflows above it: at most 1, not 0.
    pub threshold: f32,
    /// The evidence, weighed in order. Never empty.
    pub conditions: Vec<Evidence>,
    /// How long a bucket lives without a new event.
    pub lifetime: Duration,
    /// What its end is.
    pub ending: Ending,
    /// Overflows early when it holds.
    pub condition: Option<ExprSource>,
}

/// One piece of evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What is observed.
    pub condition: ExprSource,
    /// Probability of it under evil.
    pub given_evil: f32,
    /// Probability of it under good.
    pub given_benign: f32,
    /// Whether, once true in a bucket, it stays true.
    pub guillotine: bool,
}

/// How many events a bucket remembers. It keeps one more than the limit: the event that overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// At most this many, and one.
    Events(u32),
    /// All of them, within the engine's own limits.
    Unbounded,
}

/// What the sources of an alert are.
#[derive(Clone, Debug)]
pub enum ScenarioScope {
    /// The addresses in `evt.Meta.source_ip`.
    Ip,
    /// The networks of those addresses, or what the expression says.
    Range(Option<ExprSource>),
    /// Something else the expression gives.
    Other {
        /// What the author calls it.
        name: String,
        /// Its value for an event.
        value: ExprSource,
    },
}

const KEYS: &[&str] = &[
    "format",
    "type",
    "name",
    "description",
    "references",
    "debug",
    "filter",
    "groupby",
    "capacity",
    "leakspeed",
    "duration",
    "distinct",
    "cancel_on",
    "condition",
    "overflow_filter",
    "blackhole",
    "cache_size",
    "scope",
    "labels",
    "reprocess",
    "data",
    "bayesian_prior",
    "bayesian_threshold",
    "bayesian_conditions",
    "version",
];

/// What `type` may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Leaky,
    Trigger,
    Counter,
    Conditional,
    Bayesian,
}

const KINDS: &[(&str, Kind)] = &[
    ("leaky", Kind::Leaky),
    ("trigger", Kind::Trigger),
    ("counter", Kind::Counter),
    ("conditional", Kind::Conditional),
    ("bayesian", Kind::Bayesian),
];

/// Reads a document of a scenario file. A scenario with an error is none.
pub(super) fn scenario(yaml: &Yaml, origin: &Origin, reader: &mut Reader) -> Option<Scenario> {
    if document::is_of_other_format(yaml, reader) {
        return None;
    }
    let n_errors = reader.n_errors();
    let fields = Fields::open("a scenario", yaml, KEYS, reader)?;
    // Everything is read before anything is missed, so that one run reports all mistakes.
    for key in ["format", "version"] {
        fields.text(key, reader);
    }
    fields.texts("references", reader);
    let name = fields.need_text("name", reader);
    let description = fields.need_text("description", reader);
    let filter = fields.need_expr("filter", reader);
    let capacity = capacity(&fields, reader);
    let leakspeed = fields.duration("leakspeed", reader);
    let kind = kind(&fields, reader);
    let shape = kind.and_then(|kind| shape(kind, capacity, leakspeed, &fields, reader));
    let capacity = capacity.map_or(0, |capacity| capacity.value);
    let queue = queue(capacity, &fields, reader);
    let labels = labels::labels(&fields, reader);
    let remediation =
        labels.iter().any(|(key, value)| key == "remediation" && *value == Label::Bool(true));
    let [distinct, cancel_on] = ["distinct", "cancel_on"].map(|key| match kind {
        Some(Kind::Trigger) => {
            fields.without_effect(key, NOT_ON_TRIGGERS, reader);
            None
        }
        _ => fields.expr(key, reader),
    });
    let scenario = Scenario {
        span: fields.span(),
        name_span: name.map_or_else(|| fields.head(), |scalar| scalar.span),
        name: name.map(|scalar| scalar.text.clone()).unwrap_or_default(),
        description: description.map(|scalar| scalar.text.clone()).unwrap_or_default(),
        origin: origin.clone(),
        debug: fields.flag("debug", reader).unwrap_or(false),
        group_by: fields.expr("groupby", reader),
        capacity,
        leakspeed: leakspeed.map(|leakspeed| leakspeed.value).unwrap_or_default(),
        queue,
        distinct,
        cancel_on,
        overflow_filter: fields.expr("overflow_filter", reader),
        blackhole: fields
            .duration("blackhole", reader)
            .map(|blackhole| blackhole.value)
            .filter(|blackhole| !blackhole.is_zero()),
        scope: scope(&fields, reader).unwrap_or(ScenarioScope::Ip),
        labels,
        remediation,
        reprocess: fields.flag("reprocess", reader).unwrap_or(false),
        data: data::data_files(&fields, reader),
        filter: filter?,
        shape: shape?,
    };
    (reader.n_errors() == n_errors).then_some(scenario)
}

fn kind(fields: &Fields<'_>, reader: &mut Reader) -> Option<Kind> {
    if fields.value("type").is_none() {
        fields.missing("type", reader);
    }
    fields.word("type", KINDS, reader)
}

/// The capacity, 0 when absent; `None` when it is wrong, which has been reported then.
fn capacity(fields: &Fields<'_>, reader: &mut Reader) -> Option<At<i32>> {
    if fields.value("capacity").is_none() {
        return Some(At { value: 0, span: fields.head() });
    }
    let written = fields.int("capacity", reader)?;
    let value = i32::try_from(written.value).ok().filter(|capacity| *capacity >= -1);
    if value.is_none() {
        let message = format!("`capacity` must be between -1 and {}", i32::MAX);
        reader.report(Diagnostic::error(codes::OUT_OF_RANGE, message).at(written.span, ""));
    }
    Some(At { value: value?, span: written.span })
}

/// Reads the shape of a scenario. Reports everything wrong with it and returns `None` if anything
/// was.
fn shape(
    kind: Kind,
    capacity: Option<At<i32>>,
    leakspeed: Option<At<Duration>>,
    fields: &Fields<'_>,
    reader: &mut Reader,
) -> Option<Shape> {
    if kind != Kind::Bayesian {
        for key in ["bayesian_prior", "bayesian_threshold", "bayesian_conditions"] {
            fields.without_effect(key, "unless `type` is `bayesian`", reader);
        }
    }
    let duration = fields.duration("duration", reader);
    let lifetime = duration.map(|duration| duration.value).filter(|duration| !duration.is_zero());
    let ending = if lifetime.is_some() { Ending::Overflow } else { Ending::Quiet };
    match kind {
        Kind::Leaky => {
            let condition = fields.expr("condition", reader);
            let capacity = finite(capacity, fields, reader);
            let speed = fields.need_duration("leakspeed", leakspeed, reader);
            Some(Shape::Leaky { capacity: capacity?, speed: speed?, lifetime, condition })
        }
        Kind::Trigger => {
            for key in ["condition", "duration"] {
                fields.without_effect(key, NOT_ON_TRIGGERS, reader);
            }
            if let Some(capacity) = capacity.filter(|capacity| capacity.value != 0) {
                let message = "a trigger has no capacity: each event overflows";
                reader
                    .report(Diagnostic::error(codes::OUT_OF_RANGE, message).at(capacity.span, ""));
            }
            Some(Shape::Trigger)
        }
        Kind::Counter => {
            let condition = fields.expr("condition", reader);
            unbounded("a counter", capacity, fields, reader);
            let lifetime = fields.need_duration("duration", duration, reader);
            Some(Shape::Counter { lifetime: lifetime?, condition })
        }
        Kind::Conditional => {
            let condition = fields.need_expr("condition", reader);
            let lifetime = fields.need_duration("leakspeed", leakspeed, reader);
            if let Some(capacity) = capacity.filter(|capacity| capacity.value != -1) {
                let message = "a conditional scenario overflows by its `condition` alone";
                reader.report(
                    Diagnostic::warning(codes::OUT_OF_RANGE, message)
                        .at(capacity.span, "")
                        .help("write `capacity: -1`"),
                );
            }
            Some(Shape::Conditional { condition: condition?, lifetime: lifetime?, ending })
        }
        Kind::Bayesian => {
            unbounded("a bayesian scenario", capacity, fields, reader);
            bayesian(ending, leakspeed, fields, reader).map(Shape::Bayesian)
        }
    }
}

/// Why much has no effect on triggers.
const NOT_ON_TRIGGERS: &str = "on a trigger, which never waits for a second event";

/// Demands a capacity of 1 or more.
fn finite(
    capacity: Option<At<i32>>,
    fields: &Fields<'_>,
    reader: &mut Reader,
) -> Option<NonZeroU32> {
    if fields.value("capacity").is_none() {
        fields.missing("capacity", reader);
        return None;
    }
    let capacity = capacity?;
    let finite = u32::try_from(capacity.value).ok().and_then(NonZeroU32::new);
    if finite.is_none() {
        let message = "the capacity of a leaky scenario must be 1 or more";
        reader.report(Diagnostic::error(codes::OUT_OF_RANGE, message).at(capacity.span, ""));
    }
    finite
}

/// Demands a capacity of -1.
fn unbounded(what: &str, capacity: Option<At<i32>>, fields: &Fields<'_>, reader: &mut Reader) {
    let Some(capacity) = capacity.filter(|capacity| capacity.value != -1) else { return };
    let message = format!("the capacity of {what} must be -1");
    let wrong = Diagnostic::error(codes::OUT_OF_RANGE, message).at(capacity.span, "");
    reader.report(match fields.key_span("capacity") {
        Some(_) => wrong.fix("without a bound", capacity.span, "-1"),
        None => wrong.help("add `capacity: -1`"),
    });
}

fn bayesian(
    ending: Ending,
    leakspeed: Option<At<Duration>>,
    fields: &Fields<'_>,
    reader: &mut Reader,
) -> Option<Bayesian> {
    let prior = probability("bayesian_prior", Bound::AboveZero, fields, reader);
    let threshold = probability("bayesian_threshold", Bound::AboveZero, fields, reader);
    let list = fields.list("bayesian_conditions", reader);
    if list.is_empty() {
        fields.missing("bayesian_conditions", reader);
    }
    let conditions: Vec<_> = list.iter().filter_map(|item| evidence(item, reader)).collect();
    let lifetime = fields.need_duration("leakspeed", leakspeed, reader);
    let condition = fields.expr("condition", reader);
    Some(Bayesian {
        prior: prior?,
        threshold: threshold?,
        conditions,
        lifetime: lifetime?,
        ending,
        condition,
    })
}

fn evidence(item: &Yaml, reader: &mut Reader) -> Option<Evidence> {
    let known = &["condition", "prob_given_evil", "prob_given_benign", "guillotine"];
    let fields = Fields::open("a bayesian condition", item, known, reader)?;
    let condition = fields.need_expr("condition", reader);
    let given_evil = probability("prob_given_evil", Bound::Zero, &fields, reader);
    let given_benign = probability("prob_given_benign", Bound::Zero, &fields, reader);
    let guillotine = fields.flag("guillotine", reader).unwrap_or(false);
    Some(Evidence {
        condition: condition?,
        given_evil: given_evil?,
        given_benign: given_benign?,
        guillotine,
    })
}

/// Where probabilities begin.
#[derive(Clone, Copy)]
enum Bound {
    Zero,
    AboveZero,
}

fn probability(key: &str, bound: Bound, fields: &Fields<'_>, reader: &mut Reader) -> Option<f32> {
    if fields.value(key).is_none() {
        fields.missing(key, reader);
    }
    let number = fields.number(key, reader)?;
    // COMPAT(crowdsec): probabilities are 32-bit numbers, and so is the arithmetic on them.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what is wanted")]
    let value = number.value as f32;
    let (holds, wanted) = match bound {
        Bound::Zero => ((0.0..=1.0).contains(&value), "between 0 and 1"),
        Bound::AboveZero => (value > 0.0 && value <= 1.0, "above 0 and at most 1"),
    };
    if !holds {
        reader.report(
            Diagnostic::error(codes::OUT_OF_RANGE, format!("`{key}` must be {wanted}"))
                .at(number.span, ""),
        );
    }
    holds.then_some(value)
}

/// How many events are kept: as many as fit, unless `cache_size` says fewer.
fn queue(capacity: i32, fields: &Fields<'_>, reader: &mut Reader) -> QueueLimit {
    let capacity = u32::try_from(capacity).ok();
    let asked = fields.int("cache_size", reader).and_then(|size| {
        let asked = u32::try_from(size.value).ok();
        if asked.is_none() {
            reader.report(
                Diagnostic::error(codes::OUT_OF_RANGE, "`cache_size` must be 0 or more")
                    .at(size.span, ""),
            );
        }
        asked.filter(|asked| *asked > 0)
    });
    match (capacity, asked) {
        (None, None) => QueueLimit::Unbounded,
        (None, Some(asked)) => QueueLimit::Events(asked),
        (Some(capacity), None) => QueueLimit::Events(capacity),
        (Some(capacity), Some(asked)) => {
            if asked > capacity {
                fields.without_effect("cache_size", "above `capacity`", reader);
            }
            QueueLimit::Events(asked.min(capacity))
        }
    }
}

fn scope(fields: &Fields<'_>, reader: &mut Reader) -> Option<ScenarioScope> {
    let yaml = fields.value("scope")?;
    let fields = Fields::open("a scope", yaml, &["type", "expression"], reader)?;
    let name = fields.text("type", reader).map_or("Ip", |scalar| &scalar.text);
    match name {
        "Ip" => {
            if let Some(span) = fields.key_span("expression") {
                reader.report(
                    Diagnostic::error(
                        codes::FORBIDDEN_KEY,
                        "a scope of type `Ip` has no expression",
                    )
                    .at(span, "")
                    .note("its value is always `evt.Meta.source_ip`"),
                );
            }
            Some(ScenarioScope::Ip)
        }
        "Range" => Some(ScenarioScope::Range(fields.expr("expression", reader))),
        other => {
            let name = other.to_owned();
            let value = fields.need_expr("expression", reader)?;
            Some(ScenarioScope::Other { name, value })
        }
    }
}
