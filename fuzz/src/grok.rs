//! Grok: a file of definitions, a pattern and a line.
//!
//! The input is a pattern file, a zero byte, a pattern, a zero byte and a text. Expansion must be
//! bounded, mistakes must be placed inside what was written, and what expands must compile, capture
//! pieces of the text and nothing else.

use super::bytes::{Bytes, text};
use ::re2::{Cache, Error, Regex};
use rules::grok::{Definition, Expanded, GrokError, Registry, pattern_lines};
use std::sync::OnceLock;
use syntax::{Sources, Span};

/// Longest text: the search is linear, so longer ones show nothing new.
const MAX_TEXT: usize = 4000;

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let file = text(input.until(0));
    let pattern = text(input.until(0));
    let mut line = text(input.rest());
    while MAX_TEXT < line.len() {
        line.pop();
    }
    let mut sources = Sources::new();
    let id = sources.add("patterns", file.clone());
    let mut registry = base().clone();
    let mut text_left = 4 << 20;
    for found in pattern_lines(&file).take(50) {
        let at = Span::new(id, found.name.start, found.name.end);
        let (name, regex) = (&file[found.name], &file[found.regex]);
        match registry.define(name, regex, at) {
            Ok(Definition::New | Definition::Known { .. }) => {}
            Err(error) => check_error(regex, &error),
        }
        // A definition twice as long as the last, fifty times: the registry bounds that too, but
        // only past the patience of a fuzzer.
        let Ok(expanded) = registry.expand(&format!("%{{{name}}}")) else { continue };
        text_left -= expanded.regex.len().min(text_left);
        if text_left == 0 {
            return;
        }
    }
    match registry.expand(&pattern) {
        Ok(expanded) => check_expanded(&pattern, &expanded, &line),
        Err(error) => check_error(&pattern, &error),
    }
}

fn base() -> &'static Registry {
    static BASE: OnceLock<Registry> = OnceLock::new();
    BASE.get_or_init(Registry::base)
}

fn check_error(pattern: &str, error: &GrokError) {
    assert!(pattern.get(error.range.clone()).is_some(), "{pattern:?}: bad place of {error:?}");
    assert!(!error.to_string().is_empty());
}

fn check_expanded(pattern: &str, expanded: &Expanded, line: &str) {
    let length = expanded.regex.len();
    assert!(length <= 1 << 20, "{pattern:?} becomes {length} bytes");
    for at in [0, length / 3, length / 2, length] {
        let located = expanded.locate(at..length);
        assert!(located.start <= located.end && located.end <= pattern.len(), "{pattern:?}");
    }
    // The matcher's own limit is lower for what is mostly Unicode classes; that is no defect.
    if 100_000 < length {
        return;
    }
    let groups: Vec<&str> = expanded.fields.iter().map(|(_, group)| group.as_str()).collect();
    let regex = match Regex::with_groups(&expanded.regex, &groups) {
        Ok(regex) => regex,
        // A field inside `[…]` is part of the class; whoever wants the field is told so.
        Err(Error::TooLarge | Error::Unsupported | Error::Group(_)) => return,
        Err(error) => panic!("{pattern:?} expands to what does not compile: {error}"),
    };
    let mut cache = Cache::new();
    let mut slots = vec![None; groups.len()];
    let matches = regex.captures(&mut cache, line, &mut slots);
    assert_eq!(matches, regex.is_match(&mut cache, line), "{pattern:?} on {line:?}");
    for slot in slots.into_iter().flatten() {
        let range = slot.0 as usize..slot.1 as usize;
        assert!(line.get(range).is_some(), "{pattern:?} on {line:?} captures {slot:?}");
    }
}
