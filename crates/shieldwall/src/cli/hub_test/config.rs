//! `config.yaml` of a test: which items, which log, which labels.
//!
//! COMPAT(crowdsec): unknown keys are tolerated. Old tests list collections, which are not used,
//! and misspellings that never hurt anybody.

use super::report::{Broken, rendered};
use rules::codes;
use std::{collections::BTreeMap, path::Path};
use syntax::{
    Diagnostic, Diagnostics, Sources, Span,
    yaml::{Yaml, parse},
};

/// What a test says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TestConfig {
    /// Parsers by hub name or path.
    pub(super) parsers: Vec<String>,
    /// Postoverflows by hub name or path.
    pub(super) postoverflows: Vec<String>,
    /// Scenarios by hub name or path.
    pub(super) scenarios: Vec<String>,
    /// The log, below the test's directory.
    pub(super) log_file: String,
    /// The label `type`.
    pub(super) log_type: String,
    /// Other labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Whether what parsers did is of no interest.
    pub(super) ignore_parsers: bool,
    /// Assignments made before everything else, as keys and values of statics.
    pub(super) override_statics: Vec<Vec<(String, String)>>,
    /// Whether data files lie in the test's own directory.
    pub(super) own_data_dir: bool,
}

impl TestConfig {
    /// Reads a configuration.
    pub(super) fn read(name: &Path, text: &str) -> Result<Self, Broken> {
        let mut sources = Sources::new();
        let mut diagnostics = Diagnostics::new();
        let file = sources.add(name.display().to_string(), text);
        let documents = parse(file, &sources, &mut diagnostics);
        let config = documents.first().map(|yaml| Self::of(yaml, &mut diagnostics));
        if diagnostics.has_errors() {
            return Err(Broken::Diagnostics(rendered(&diagnostics, &sources)));
        }
        let config = config.unwrap_or_default();
        if config.log_file.is_empty() {
            let missing = Diagnostic::error(codes::MISSING_KEY, "a test needs `log_file`")
                .at(Span::new(file, 0, 0), "");
            diagnostics.push(missing);
            return Err(Broken::Diagnostics(rendered(&diagnostics, &sources)));
        }
        Ok(config)
    }

    fn of(yaml: &Yaml, diagnostics: &mut Diagnostics) -> Self {
        let mut at = Reader { yaml, diagnostics };
        Self {
            parsers: at.texts("parsers"),
            postoverflows: at.texts("postoverflows"),
            scenarios: at.texts("scenarios"),
            log_file: at.text("log_file"),
            log_type: at.text("log_type"),
            labels: at.labels(),
            ignore_parsers: at.flag("ignore_parsers"),
            override_statics: at.statics(),
            own_data_dir: at.flag("own_data_dir"),
        }
    }
}

/// Reads the keys of the document.
struct Reader<'a> {
    yaml: &'a Yaml,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    fn value(&self, key: &str) -> Option<&'a Yaml> {
        self.yaml.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, key: &str, wanted: &str, found: &Yaml) {
        let message = format!("`{key}` must be {wanted}");
        self.diagnostics.push(
            Diagnostic::error(codes::WRONG_TYPE, message)
                .at(found.span, format!("this is {}", found.describe())),
        );
    }

    fn text(&mut self, key: &str) -> String {
        let Some(value) = self.value(key) else { return String::new() };
        let Some(text) = value.as_str() else {
            self.wrong(key, "a text", value);
            return String::new();
        };
        text.to_owned()
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(value) = self.value(key) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(key, "true or false", value);
            false
        })
    }

    /// A list of names. Empty ones only keep their place.
    fn texts(&mut self, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.list(key) {
            match item.as_str() {
                Some("") => {}
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(key, "a list of texts", item),
            }
        }
        texts
    }

    fn list(&mut self, key: &str) -> &'a [Yaml] {
        let Some(value) = self.value(key) else { return &[] };
        value.as_seq().unwrap_or_else(|| {
            self.wrong(key, "a list", value);
            &[]
        })
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let Some(value) = self.value("labels") else { return BTreeMap::new() };
        let Some(pairs) = texts_of(value) else {
            self.wrong("labels", "a map of texts", value);
            return BTreeMap::new();
        };
        pairs.into_iter().collect()
    }

    fn statics(&mut self) -> Vec<Vec<(String, String)>> {
        let mut statics = Vec::new();
        for item in self.list("override_statics") {
            match texts_of(item) {
                Some(pairs) => statics.push(pairs),
                None => self.wrong("override_statics", "a list of statics", item),
            }
        }
        statics
    }
}

/// A map whose keys and values are texts.
fn texts_of(yaml: &Yaml) -> Option<Vec<(String, String)>> {
    let pairs = yaml.as_map()?.iter();
    pairs.map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TestConfig, Broken> {
        TestConfig::read(Path::new("config.yaml"), text)
    }

    #[test]
    fn everything_a_test_may_say() {
        let config = read(
            "parsers: [a/p, ./parsers/s01-parse/a/q.yaml]\nscenarios:\n- \"\"\npostoverflows:\n\
             ostoverflows: [x]\nlog_file: x.log\nlog_type: syslog\nlabels: {unit: 7}\n\
             ignore_parsers: true\noverride_statics:\n- target: evt.Line.Module\n  value: wineventlog\n",
        );
        let config = config.unwrap();
        assert_eq!(config.parsers, ["a/p", "./parsers/s01-parse/a/q.yaml"]);
        assert!(config.scenarios.is_empty() && config.postoverflows.is_empty());
        assert!(config.ignore_parsers && !config.own_data_dir);
        assert_eq!(config.labels["unit"], "7");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expect = vec![pair("target", "evt.Line.Module"), pair("value", "wineventlog")];
        assert_eq!(config.override_statics, [expect]);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, part) in [
            ("log_type: x\n", "needs `log_file`"),
            ("log_file: x\nparsers: a/p\n", "`parsers` must be a list"),
            ("log_file: x\nignore_parsers: maybe\n", "`ignore_parsers` must be true or false"),
            ("log_file: [x\n", "config.yaml:2"),
        ] {
            let broken = read(text).unwrap_err().to_string();
            assert!(broken.contains(part), "{text}: {broken}");
        }
    }
}
