//! Which fields a filter reads, and what they hold.
//!
//! The filter is looked at as text: every chain that starts at `evt` is followed into the event.
//! That is not how it is evaluated, but it is what its author wrote and wants to see the values of.

use engine::{
    eval::{Cx, event_value},
    value::{Text, Value},
};
use serde::Serialize;

/// Fields shown of one filter.
const MOST: usize = 6;

/// A field that a filter reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Read {
    /// As the filter spells it.
    pub(super) field: String,
    /// What it holds; `None` when it is not set.
    pub(super) value: Option<String>,
}

/// The fields `filter` reads of the event at hand.
pub(super) fn reads(filter: &str, cx: &mut Cx<'_>) -> Vec<Read> {
    let mut chains: Vec<Chain> = Vec::new();
    for chain in chains_of(filter) {
        if !chain.steps.is_empty() && !chains.contains(&chain) && chains.len() < MOST {
            chains.push(chain);
        }
    }
    if chains.is_empty() {
        return Vec::new();
    }
    let event = event_value(cx);
    chains
        .into_iter()
        .map(|chain| {
            let value = follow(&event, &chain.steps).map(|value| match &value {
                Value::Text(Text::Shared(text)) => format!("{text:?}"),
                other => cx.print(other),
            });
            Read { field: chain.text, value }
        })
        .collect()
}

/// `evt.a.b['c']`: its text, and the steps after `evt`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    text: String,
    steps: Vec<String>,
}

fn follow(event: &Value, steps: &[String]) -> Option<Value> {
    let mut value = event.clone();
    for step in steps {
        value = match &value {
            Value::Object(object) => object.field(step)?.clone(),
            Value::Map(map) => map.entries.get(step.as_str())?.clone(),
            Value::List(items) => items.get(step.parse::<usize>().ok()?)?.clone(),
            _ => return None,
        };
    }
    Some(value)
}

/// All chains of a filter, in order.
fn chains_of(filter: &str) -> Vec<Chain> {
    let mut chains = Vec::new();
    let mut scanner = Scanner { text: filter, at: 0 };
    while let Some(next) = scanner.peek() {
        match next {
            '\'' | '"' | '`' => drop(scanner.quoted()),
            c if c.is_alphanumeric() || c == '_' || c == '#' => {
                let start = scanner.at;
                let word = scanner.word();
                if word == "evt" {
                    chains.push(scanner.chain(start));
                } else if word.is_empty() {
                    scanner.skip();
                }
            }
            _ => scanner.skip(),
        }
    }
    chains
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// A text in quotes of any kind, without them.
    fn quoted(&mut self) -> String {
        let mut text = String::new();
        let Some(quote) = self.peek() else { return text };
        self.skip();
        while let Some(c) = self.peek() {
            self.skip();
            match c {
                '\\' if quote != '`' => {
                    text.extend(self.peek());
                    self.skip();
                }
                c if c == quote => break,
                c => text.push(c),
            }
        }
        text
    }

    /// The rest of a chain whose `evt` was read at `start`.
    fn chain(&mut self, start: usize) -> Chain {
        let mut steps = Vec::new();
        let mut end = self.at;
        loop {
            let rest = self.rest();
            let optional = rest.strip_prefix('?').unwrap_or(rest);
            let skipped = rest.len() - optional.len();
            if optional.starts_with('.') {
                self.at += skipped + 1;
                let step = self.word();
                if self.peek() == Some('(') {
                    // Of the methods only one reads a field whose name can be told from the text.
                    if step == "GetMeta" {
                        self.skip();
                        if matches!(self.peek(), Some('\'' | '"' | '`')) {
                            steps.extend(["Meta".to_owned(), self.quoted()]);
                            self.skip();
                            end = self.at.min(self.text.len());
                        }
                    }
                    break;
                }
                if step.is_empty() {
                    break;
                }
                steps.push(step.to_owned());
            } else if optional.starts_with('[') {
                self.at += skipped + 1;
                let step = match self.peek() {
                    Some('\'' | '"' | '`') => self.quoted(),
                    Some(c) if c.is_ascii_digit() => self.word().to_owned(),
                    _ => break,
                };
                if self.peek() != Some(']') {
                    break;
                }
                self.skip();
                steps.push(step);
            } else {
                break;
            }
            end = self.at;
        }
        Chain { text: self.text[start..end].to_owned(), steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, expect: &[(&str, &[&str])]) {
        let chains = chains_of(filter);
        let found: Vec<(&str, Vec<&str>)> = chains
            .iter()
            .map(|chain| (chain.text.as_str(), chain.steps.iter().map(String::as_str).collect()))
            .collect();
        let expect: Vec<(&str, Vec<&str>)> =
            expect.iter().map(|(text, steps)| (*text, steps.to_vec())).collect();
        assert_eq!(found, expect, "{filter}");
    }

    #[test]
    fn chains_are_found_where_they_are_code() {
        check(
            "evt.Parsed.program == 'evt.Meta.x'",
            &[("evt.Parsed.program", &["Parsed", "program"])],
        );
        check(
            "evt.Meta[\"a b\"] in ['x'] && Lower(evt.Line.Labels.type) == \"y\"",
            &[
                ("evt.Meta[\"a b\"]", &["Meta", "a b"]),
                ("evt.Line.Labels.type", &["Line", "Labels", "type"]),
            ],
        );
        check(
            "evt.Unmarshaled.k8s?.items[0].name != nil",
            &[(
                "evt.Unmarshaled.k8s?.items[0].name",
                &["Unmarshaled", "k8s", "items", "0", "name"],
            )],
        );
        check("evt.GetMeta('u') == 'x'", &[("evt.GetMeta('u')", &["Meta", "u"])]);
        check("1 == 1 and previevt.x", &[]);
    }

    #[test]
    fn no_text_is_too_odd() {
        for text in
            ["evt.", "evt[", "evt['", "evt.GetMeta(", "evt.GetMeta('", "'\\", "é.evt?", "evt[0"]
        {
            chains_of(text);
        }
    }
}
