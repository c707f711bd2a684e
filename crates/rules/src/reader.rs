//! Reading fields of YAML maps, reporting whatever is wrong with them.
//!
//! A reading function returns what it could make of a field, and `None` (or an empty list) both
//! when the field is absent and when it is wrong. Which of the two it was does not matter to most
//! callers: an item during whose reading an error was reported is dropped as a whole, which
//! [`Reader::n_errors`] tells. So reading goes on after each mistake and reports all of them.
//!
//! COMPAT(crowdsec): `null` and the empty text count as absent for every key, as they do for a
//! decoder that cannot tell them from the default.

use crate::{
    codes,
    duration::{self, DurationFault},
    item::ExprSource,
};
use core::time::Duration;
use syntax::{
    Diagnostic, Diagnostics, FileId, Severity, Sources, Span,
    yaml::{self, Scalar, Yaml},
};

/// What all reading functions share: where mistakes go.
pub(crate) struct Reader {
    pub(crate) diagnostics: Diagnostics,
    n_errors: usize,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { diagnostics: Diagnostics::new(), n_errors: 0 }
    }

    /// How many errors were reported so far.
    pub(crate) fn n_errors(&self) -> usize {
        self.n_errors
    }

    /// Reports a mistake.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.n_errors += 1,
            Severity::Warning => {}
        }
        self.diagnostics.push(diagnostic);
    }

    /// Parses a file, adding what is wrong with its YAML.
    pub(crate) fn parse(&mut self, file: FileId, sources: &Sources) -> Vec<Document> {
        let n_before = self.diagnostics.len();
        let trees = yaml::parse(file, sources, &mut self.diagnostics);
        let mut errors: Vec<u32> = self
            .diagnostics
            .iter()
            .skip(n_before)
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .filter_map(|diagnostic| diagnostic.place().map(|place| place.start))
            .collect();
        errors.sort_unstable();
        let is_broken = |span: Span| {
            let first = errors.partition_point(|error| *error < span.start);
            errors.get(first).is_some_and(|error| *error <= span.end)
        };
        // What a trailing `---` leaves behind is no document.
        let trees = trees.into_iter().filter(|tree| !tree.is_null());
        trees.map(|tree| Document { is_broken: is_broken(tree.span), tree }).collect()
    }

    /// Reports that `yaml` is not what belongs there.
    pub(crate) fn wrong_type(&mut self, subject: &str, wanted: &str, yaml: &Yaml) {
        self.report(
            Diagnostic::error(codes::WRONG_TYPE, format!("{subject} must be {wanted}"))
                .at(yaml.span, format!("this is {}", yaml.describe())),
        );
    }
}

/// A document of a file.
pub(crate) struct Document {
    pub(crate) tree: Yaml,
    /// Whether it has an error as YAML: a key that is there twice, for example. It is still read,
    /// to report what else is wrong, but nothing comes of it.
    pub(crate) is_broken: bool,
}

/// A value together with the place it was read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A map whose keys are known.
pub(crate) struct Fields<'y> {
    what: &'static str,
    yaml: &'y Yaml,
    pairs: &'y [(Yaml, Yaml)],
}

impl<'y> Fields<'y> {
    /// Takes `yaml` for `what` ("a scenario"), and reports keys other than `known`.
    pub(crate) fn open(
        what: &'static str,
        yaml: &'y Yaml,
        known: &[&str],
        reader: &mut Reader,
    ) -> Option<Self> {
        let Some(pairs) = yaml.as_map() else {
            reader.wrong_type(what, "a map", yaml);
            return None;
        };
        for (key, _) in pairs {
            let Some(name) = key.as_str() else {
                reader.wrong_type("a key", "a text", key);
                continue;
            };
            if known.contains(&name) {
                continue;
            }
            let message = format!("{what} has no key `{name}`");
            let unknown = Diagnostic::error(codes::UNKNOWN_KEY, message).at(key.span, "");
            reader.report(match syntax::nearest(name, known.iter().copied()) {
                Some(nearest) => unknown.fix("a similar key exists", key.span, nearest),
                None => unknown.note(format!("the keys are: {}", known.join(", "))),
            });
        }
        Some(Self { what, yaml, pairs })
    }

    /// The whole map.
    pub(crate) fn span(&self) -> Span {
        self.yaml.span
    }

    /// The place to point at when something is missing: the first key.
    pub(crate) fn head(&self) -> Span {
        self.pairs.first().map_or(self.yaml.span, |(key, _)| key.span)
    }

    /// The value of `key`, unless it is absent, null or empty.
    pub(crate) fn value(&self, key: &str) -> Option<&'y Yaml> {
        let (_, value) = self.entry(key)?;
        (!value.is_null() && value.as_str() != Some("")).then_some(value)
    }

    /// Where `key` itself is written, when it has a value.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.value(key)?;
        self.entry(key).map(|(key, _)| key.span)
    }

    fn entry(&self, key: &str) -> Option<(&'y Yaml, &'y Yaml)> {
        self.pairs
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(name, value)| (name, value))
    }

    /// Reports that `key` is missing.
    pub(crate) fn missing(&self, key: &str, reader: &mut Reader) {
        let (span, label) = match self.entry(key) {
            Some((_, value)) if !value.span.range().is_empty() => (value.span, "this is empty"),
            Some((key, _)) => (key.span, "this is empty"),
            None => (self.head(), "missing here"),
        };
        let missing = Diagnostic::error(codes::MISSING_KEY, format!("{} needs `{key}`", self.what))
            .at(span, label);
        reader.report(match example(key) {
            Some(example) => missing.help(format!("write `{key}: {example}`, for example")),
            None => missing,
        });
    }

    /// Warns that `key` has no effect.
    pub(crate) fn without_effect(&self, key: &str, why: &str, reader: &mut Reader) {
        if let Some(span) = self.key_span(key) {
            reader.report(
                Diagnostic::warning(
                    codes::KEY_WITHOUT_EFFECT,
                    format!("`{key}` has no effect {why}"),
                )
                .at(span, ""),
            );
        }
    }

    /// A text. An unquoted number or boolean is its own source text.
    pub(crate) fn text(&self, key: &str, reader: &mut Reader) -> Option<&'y Scalar> {
        let value = self.value(key)?;
        let scalar = value.as_scalar();
        if scalar.is_none() {
            reader.wrong_type(&format!("`{key}`"), "a text", value);
        }
        scalar
    }

    /// A text that must be there.
    pub(crate) fn need_text(&self, key: &str, reader: &mut Reader) -> Option<&'y Scalar> {
        if self.value(key).is_none() {
            self.missing(key, reader);
        }
        self.text(key, reader)
    }

    /// An expression.
    pub(crate) fn expr(&self, key: &str, reader: &mut Reader) -> Option<ExprSource> {
        self.text(key, reader).map(ExprSource::new)
    }

    /// An expression that must be there.
    pub(crate) fn need_expr(&self, key: &str, reader: &mut Reader) -> Option<ExprSource> {
        self.need_text(key, reader).map(ExprSource::new)
    }

    /// A boolean, by the words of YAML 1.1.
    pub(crate) fn flag(&self, key: &str, reader: &mut Reader) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            let wrong =
                Diagnostic::error(codes::WRONG_TYPE, format!("`{key}` must be true or false"))
                    .at(value.span, format!("this is {}", value.describe()));
            reader.report(match value.as_str() {
                Some(word @ ("true" | "false")) => {
                    wrong.fix("take the quotes away", value.span, word)
                }
                _ => wrong,
            });
        }
        flag
    }

    /// A whole number.
    pub(crate) fn int(&self, key: &str, reader: &mut Reader) -> Option<At<i64>> {
        let value = self.value(key)?;
        let int = value.as_int().or_else(|| value.as_float().and_then(whole));
        if int.is_none() {
            self.no_number(key, "a whole number", value, reader);
        }
        Some(At { value: int?, span: value.span })
    }

    /// A number.
    pub(crate) fn number(&self, key: &str, reader: &mut Reader) -> Option<At<f64>> {
        let value = self.value(key)?;
        let number = value.as_float();
        if number.is_none() {
            self.no_number(key, "a number", value, reader);
        }
        Some(At { value: number?, span: value.span })
    }

    fn no_number(&self, key: &str, wanted: &str, value: &Yaml, reader: &mut Reader) {
        let wrong = Diagnostic::error(codes::WRONG_TYPE, format!("`{key}` must be {wanted}"))
            .at(value.span, format!("this is {}", value.describe()));
        let unquoted = value.as_str().filter(|text| text.parse::<i64>().is_ok());
        reader.report(match unquoted {
            Some(text) => wrong.fix("take the quotes away", value.span, text),
            None => wrong,
        });
    }

    /// A duration of zero or more.
    pub(crate) fn duration(&self, key: &str, reader: &mut Reader) -> Option<At<Duration>> {
        let scalar = self.text(key, reader)?;
        match duration::parse(&scalar.text) {
            Ok(value) => Some(At { value, span: scalar.span }),
            Err(fault) => {
                reader.report(bad_duration(key, scalar, fault));
                None
            }
        }
    }

    /// A duration that must be there and be longer than zero, `read` being what was read of it.
    pub(crate) fn need_duration(
        &self,
        key: &str,
        read: Option<At<Duration>>,
        reader: &mut Reader,
    ) -> Option<Duration> {
        if self.value(key).is_none() {
            self.missing(key, reader);
        }
        let duration = read?;
        if duration.value.is_zero() {
            reader.report(
                Diagnostic::error(codes::BAD_DURATION, format!("`{key}` must be longer than zero"))
                    .at(duration.span, ""),
            );
            return None;
        }
        Some(duration.value)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        reader: &mut Reader,
    ) -> Option<T> {
        let scalar = self.text(key, reader)?;
        let found = words.iter().find(|(word, _)| *word == scalar.text);
        if found.is_none() {
            reader.report(unknown_word(key, scalar, words));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A list.
    pub(crate) fn list(&self, key: &str, reader: &mut Reader) -> &'y [Yaml] {
        let Some(value) = self.value(key) else { return &[] };
        value.as_seq().unwrap_or_else(|| {
            reader.wrong_type(&format!("`{key}`"), "a list", value);
            &[]
        })
    }

    /// A list of texts. Empty ones are reported.
    pub(crate) fn texts(&self, key: &str, reader: &mut Reader) -> Vec<&'y Scalar> {
        texts(key, self.list(key, reader), reader)
    }
}

/// The texts of a list called `key`.
pub(crate) fn texts<'y>(key: &str, list: &'y [Yaml], reader: &mut Reader) -> Vec<&'y Scalar> {
    list.iter()
        .filter_map(|item| {
            let scalar = item.as_scalar().filter(|scalar| !scalar.is_null());
            if scalar.is_none() {
                reader.wrong_type(&format!("each item of `{key}`"), "a text", item);
            }
            scalar
        })
        .collect()
}

/// What is wrong with a text that should be one of `words`.
pub(crate) fn unknown_word<T>(key: &str, scalar: &Scalar, words: &[(&str, T)]) -> Diagnostic {
    let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let message = format!("`{key}` knows no `{}`", scalar.text);
    let unknown = Diagnostic::error(codes::UNKNOWN_WORD, message)
        .at(scalar.span, "")
        .note(format!("it is one of: {}", names.join(", ")));
    match syntax::nearest(&scalar.text, names) {
        Some(nearest) => unknown.fix("a similar word exists", scalar.span, nearest),
        None => unknown,
    }
}

fn bad_duration(key: &str, scalar: &Scalar, fault: DurationFault) -> Diagnostic {
    let text = &scalar.text;
    let error =
        |message: String| Diagnostic::error(codes::BAD_DURATION, message).at(scalar.span, "");
    match fault {
        DurationFault::NoUnit => {
            let error = error(format!("a number in `{key}` has no unit"));
            if text.parse::<f64>().is_ok() {
                error.fix("if these are seconds", scalar.span, format!("{text}s"))
            } else {
                error.note("units are ns, us, ms, s, m and h")
            }
        }
        DurationFault::Unit => {
            let error = error(format!("`{key}` has a unit that is none"));
            let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
            match days.and_then(|days| days.checked_mul(24)) {
                Some(hours) => error.fix("write days as hours", scalar.span, format!("{hours}h")),
                None => error.note("units are ns, us, ms, s, m and h"),
            }
        }
        DurationFault::Negative => error(format!("`{key}` is negative")),
        DurationFault::TooLong => error(format!("`{key}` is longer than 292 years")),
        DurationFault::Form => {
            error(format!("`{key}` is not a duration")).help("write `1h30m` or `0.5s`, for example")
        }
    }
}

/// What a missing key could hold.
fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "apply_on" => "message",
        "capacity" => "5",
        "condition" => "\"len(queue.Queue) >= 3\"",
        "dest_file" => "names.txt",
        "description" => "\"Detect SSH brute force\"",
        "duration" => "1m",
        "filter" => "\"evt.Meta.log_type == 'ssh_failed-auth'\"",
        "key" => "evt.Meta.source_ip",
        "leakspeed" => "10s",
        "name" => "author/name",
        "pattern" => "\"%{IP:source_ip}\"",
        "ttl" => "10m",
        "type" => "leaky",
        _ => return None,
    })
}

/// The whole number `number` is, if it is one that fits.
fn whole(number: f64) -> Option<i64> {
    // Both bounds are exact; whatever lies between them and has no fraction fits.
    let fits = number.fract() == 0.0
        && (-9_007_199_254_740_992.0..=9_007_199_254_740_992.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
    fits.then_some(number as i64)
}
