//! Settings as written: YAML with its places, the environment filled in, keys checked.
//!
//! What every settings file shares: `$VAR` and `${VAR}` are replaced before the text is read as
//! YAML (undefined ones stay as they are), a `.local` file amends the main one, and keys are those
//! of a list. Reading values reports what is wrong with them and goes on.

use super::codes;
use crate::hub::files;
use anyhow::Result;
use std::{path::Path, time::Duration};
use syntax::{
    Diagnostic, Diagnostics, FileId, Sources, Span,
    yaml::{self, Node, Yaml},
};

/// Texts and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) sources: Sources,
    pub(crate) diagnostics: Diagnostics,
}

impl Desk {
    /// Reads the documents of a file; empty ones are left out.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Vec<Yaml>> {
        let text = files::read_rule(path)?;
        Ok(self.parse(&path.display().to_string(), &text))
    }

    /// Reads the documents of a text.
    pub(crate) fn parse(&mut self, name: &str, text: &str) -> Vec<Yaml> {
        let text = expand(text, &|name| std::env::var(name).ok());
        let file: FileId = self.sources.add(name, text);
        let trees = yaml::parse(file, &self.sources, &mut self.diagnostics);
        trees.into_iter().filter(|tree| !tree.is_null()).collect()
    }

    /// Reports a mistake.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Puts `over` on top of `base`: maps are merged, all else is replaced.
    pub(crate) fn merge(&mut self, base: Yaml, over: Yaml) -> Yaml {
        let is_map = |yaml: &Yaml| yaml.as_map().is_some();
        let is_seq = |yaml: &Yaml| yaml.as_seq().is_some();
        if base.is_null() {
            return over;
        }
        if !over.is_null() && (is_map(&base), is_seq(&base)) != (is_map(&over), is_seq(&over)) {
            let (old, new) = (base.describe(), over.describe());
            self.report(
                Diagnostic::error(codes::CLASH, format!("{new} cannot amend {old}"))
                    .at(over.span, "")
                    .see(base.span, "what is to be amended"),
            );
            return base;
        }
        let (span, tag) = (base.span, base.tag);
        match (base.node, over.node) {
            (Node::Map(mut entries), Node::Map(more)) => {
                for (key, value) in more {
                    let known = entries.iter_mut().find(|(name, _)| name.as_str() == key.as_str());
                    match known {
                        Some((_, old)) => {
                            let empty =
                                Yaml { span: old.span, node: Node::Seq(Vec::new()), tag: None };
                            let before = std::mem::replace(old, empty);
                            *old = self.merge(before, value);
                        }
                        None => entries.push((key, value)),
                    }
                }
                Yaml { span, node: Node::Map(entries), tag }
            }
            (_, node) => Yaml { span: over.span, node, tag: over.tag },
        }
    }

    /// Reports the keys of `yaml`, and of the maps in it, that are not in `known`: dotted paths, of
    /// which one that ends in `.*` allows anything below it.
    pub(crate) fn check_keys(&mut self, yaml: &Yaml, known: &[&str]) {
        self.check_below(yaml, "", known);
    }

    fn check_below(&mut self, yaml: &Yaml, prefix: &str, known: &[&str]) {
        for (key, value) in yaml.as_map().into_iter().flatten() {
            let Some(name) = key.as_str() else {
                self.wrong(key, "a key", "a text");
                continue;
            };
            let path = format!("{prefix}{name}");
            let section = format!("{path}.");
            if known.contains(&path.as_str()) || known.contains(&format!("{section}*").as_str()) {
                continue;
            }
            if known.iter().any(|known| known.starts_with(&section)) {
                if value.as_map().is_some() {
                    self.check_below(value, &section, known);
                } else if !value.is_null() {
                    self.wrong(value, &format!("`{path}`"), "a map");
                }
                continue;
            }
            let siblings: Vec<&str> = known
                .iter()
                .filter_map(|known| known.strip_prefix(prefix)?.split('.').next())
                .collect();
            let unknown =
                Diagnostic::error(codes::UNKNOWN_SETTING, format!("there is no setting `{path}`"))
                    .at(key.span, "");
            self.report(match syntax::nearest(name, siblings) {
                Some(nearest) => unknown.fix("a similar setting exists", key.span, nearest),
                None => unknown,
            });
        }
    }

    /// Reports that a value is of the wrong kind.
    pub(crate) fn wrong(&mut self, yaml: &Yaml, subject: &str, wanted: &str) {
        self.report(
            Diagnostic::error(codes::WRONG_SETTING, format!("{subject} must be {wanted}"))
                .at(yaml.span, format!("this is {}", yaml.describe())),
        );
    }

    /// Reports that a value makes no sense.
    pub(crate) fn bad(&mut self, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(codes::BAD_SETTING, message).at(span, ""));
    }

    /// A text; an unquoted number or boolean is its own source text.
    pub(crate) fn text<'y>(&mut self, map: &'y Yaml, path: &str) -> Option<&'y str> {
        let value = value(map, path)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(value, &format!("`{path}`"), "a text");
        }
        text
    }

    /// A boolean.
    pub(crate) fn flag(&mut self, map: &Yaml, path: &str) -> Option<bool> {
        let value = value(map, path)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong(value, &format!("`{path}`"), "true or false");
        }
        flag
    }

    /// A whole number in a range.
    pub(crate) fn number(
        &mut self,
        map: &Yaml,
        path: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = value(map, path)?;
        let Some(number) = value.as_int() else {
            self.wrong(value, &format!("`{path}`"), "a whole number");
            return None;
        };
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.bad(value.span, format!("`{path}` must be between {low} and {high}"));
            return None;
        }
        Some(number)
    }

    /// A length of time.
    pub(crate) fn duration(&mut self, map: &Yaml, path: &str) -> Option<Duration> {
        let value = value(map, path)?;
        let text = value.as_str().unwrap_or_default();
        let parsed = engine::builtins::duration::parse_duration_with_days(text);
        let span = parsed.ok().and_then(|nanos| u64::try_from(nanos).ok());
        if span.is_none() {
            self.bad(value.span, format!("`{path}` must be a duration, `1h30m` for example"));
        }
        span.map(Duration::from_nanos)
    }

    /// A list of texts, or a single one.
    pub(crate) fn texts(&mut self, map: &Yaml, path: &str) -> Vec<String> {
        let Some(value) = value(map, path) else { return Vec::new() };
        let items = value.as_seq().unwrap_or_else(|| std::slice::from_ref(value));
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(item, &format!("each item of `{path}`"), "a text"),
            }
        }
        texts
    }
}

/// The value at a dotted path, unless it is absent, null or empty.
pub(crate) fn value<'y>(map: &'y Yaml, path: &str) -> Option<&'y Yaml> {
    let value = path.split('.').try_fold(map, |map, key| map.get(key))?;
    (!value.is_null() && value.as_str() != Some("")).then_some(value)
}

/// Replaces `$NAME` and `${NAME}` by what `lookup` gives; what it does not know stays.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, length) = match rest[1..].strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => (&inner[..end], end + 3),
                None => ("", 1),
            },
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = rest[1..].find(|c| !is_name(c)).unwrap_or(rest.len() - 1);
                (&rest[1..=end], end + 1)
            }
        };
        match lookup(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_filled_in_where_it_is_known() {
        let lookup = |name: &str| (name == "HOME_1").then(|| "/root".to_owned());
        let check = |text: &str, expect: &str| assert_eq!(expand(text, &lookup), expect);
        check("a: $HOME_1/x ${HOME_1}y", "a: /root/x /rooty");
        check("a: $NONE ${NONE} $ ${ $1", "a: $NONE ${NONE} $ ${ $1");
        check("$HOME_1", "/root");
        check("ü$", "ü$");
    }

    #[test]
    fn local_files_amend_maps_and_replace_the_rest() {
        let mut desk = Desk::default();
        let base = desk.parse("a", "x: {a: 1, b: [1, 2]}\ny: 3\nz: {q: 1}\n").remove(0);
        let over = desk.parse("b", "x: {b: [9], c: 4}\nz: [1]\n").remove(0);
        let merged = desk.merge(base, over);
        assert_eq!(desk.number(&merged, "x.a", 0..=9), Some(1));
        assert_eq!(desk.texts(&merged, "x.b"), ["9"]);
        assert_eq!(desk.number(&merged, "x.c", 0..=9), Some(4));
        assert_eq!(desk.number(&merged, "z.q", 0..=9), Some(1), "a clash changes nothing");
        assert_eq!(desk.diagnostics.len(), 1);
    }

    #[test]
    fn unknown_keys_get_the_nearest_sibling() {
        let mut desk = Desk::default();
        let tree =
            desk.parse("a", "common: {log_levle: x, log_dir: y}\nfree: {any: 1}\n").remove(0);
        desk.check_keys(&tree, &["common.log_level", "common.log_dir", "free.*"]);
        let found: Vec<_> = desk.diagnostics.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(found, ["there is no setting `common.log_levle`"]);
    }
}
