//! Paths to elements: `/Event/EventData[1]/Data[@Name='IpAddress']`.
//!
//! This is the small dialect of XPath that rules use (spec 6.7). A path is a list of steps; a step
//! selects elements relative to one, then filters what it selected. As in upstream, a position such
//! as `[1]` counts within the selection from *one* element, and filters apply from left to right.

use super::{Name, XmlDoc};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

/// A search gives up after looking at this many elements; `//a//b//c` squares and cubes. One step
/// from one element looks at each element of the document at most twice, so it may overshoot by
/// that much and no more.
const MAX_VISITS: usize = 1_000_000;
/// More steps than this are refused; each may be one level of recursion.
const MAX_STEPS: usize = 100;

/// A path to elements of a document, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    selector: Selector,
    filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    /// A leading `/`
    Document,
    /// `.`
    Itself,
    /// `..`
    Parent,
    /// `*`
    Children,
    /// `name`
    ChildrenNamed(Name),
    /// What `//` adds: the element and everything below it, level by level
    Below,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    /// `[n]`, here counted from 0; negative from the end, -1 being the last
    Position(i64),
    /// `[@name]` or `[@name='value']`
    Attribute(Name, Option<String>),
    /// `[name]` or `[name='text']`
    Child(Name, Option<String>),
    /// `[text()]` and its kin, without or with a value
    Part(Part, Option<String>),
}

/// A text of an element itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    LocalName,
    FullName,
    Prefix,
}

impl XmlPath {
    /// Reads a path.
    pub fn compile(path: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = path.to_owned();
        if rest.ends_with("//") {
            rest.push('*');
        }
        if let Some(relative) = rest.strip_prefix('/') {
            steps.push(Step { selector: Selector::Document, filters: Vec::new() });
            rest = relative.to_owned();
        }
        for step in split_steps(&rest) {
            steps.push(compile_step(step)?);
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("path has more than {MAX_STEPS} steps"));
        }
        Ok(Self { steps })
    }

    /// Returns the first element on the path, taking the document itself as where it starts.
    pub(super) fn first(&self, document: &XmlDoc) -> Option<u32> {
        let mut search = Search { document, selected: Vec::new(), visits: 0 };
        search.first(0, &self.steps)
    }
}

/// Cuts a path at its slashes, except inside quotes.
fn split_steps(path: &str) -> Vec<&str> {
    let (mut steps, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, byte) in path.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'/') => {
                steps.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    steps.push(&path[start..]);
    steps
}

fn compile_step(step: &str) -> Result<Step, String> {
    let (name, mut rest) = step.split_at(step.find('[').unwrap_or(step.len()));
    let selector = match name {
        "" => Selector::Below,
        "." => Selector::Itself,
        ".." => Selector::Parent,
        "*" => Selector::Children,
        name => Selector::ChildrenNamed(Name::new(name)),
    };
    let mut filters = Vec::new();
    while let Some(inside) = rest.strip_prefix('[') {
        let end = filter_end(inside).ok_or_else(|| format!("`{step}` lacks a `]`"))?;
        filters.push(compile_filter(&inside[..end])?);
        rest = &inside[end + 1..];
    }
    if rest.is_empty() {
        Ok(Step { selector, filters })
    } else {
        Err(format!("`{rest}` is no filter"))
    }
}

/// Finds the bracket that ends a filter; one inside quotes does not.
fn filter_end(inside: &str) -> Option<usize> {
    let mut quote = None;
    inside.bytes().position(|byte| {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            _ => {}
        }
        quote.is_none() && byte == b']'
    })
}

fn compile_filter(filter: &str) -> Result<Filter, String> {
    let (key, value) = match filter.split_once('=') {
        Some((key, quoted)) if quoted.starts_with(['\'', '"']) => {
            let quote = if quoted.starts_with('"') { '"' } else { '\'' };
            let value = quoted[1..].strip_suffix(quote).filter(|value| !value.contains(quote));
            let value =
                value.ok_or_else(|| format!("`[{filter}]` has a quote too many or too few"))?;
            (key, Some(value.to_owned()))
        }
        _ => (filter, None),
    };
    if key.is_empty() {
        return Err(format!("`[{filter}]` filters by nothing"));
    }
    if let Some(name) = key.strip_prefix('@') {
        return Ok(Filter::Attribute(Name::new(name), value));
    }
    if let Some(function) = key.strip_suffix("()") {
        let part = match function {
            "text" => Part::Text,
            "local-name" | "tag" => Part::LocalName,
            "name" => Part::FullName,
            "namespace-prefix" => Part::Prefix,
            _ => return Err(format!("`{function}()` is not a function of paths")),
        };
        return Ok(Filter::Part(part, value));
    }
    match key.parse::<i64>() {
        // Positions count from 1; 0 is taken for the first as well.
        Ok(position) if value.is_none() => {
            Ok(Filter::Position(if position > 0 { position - 1 } else { position }))
        }
        _ => Ok(Filter::Child(Name::new(key), value)),
    }
}

/// One use of a path.
struct Search<'d> {
    document: &'d XmlDoc,
    /// What the steps so far selected, a run for each step: one allocation serves all of them.
    selected: Vec<u32>,
    visits: usize,
}

impl Search<'_> {
    /// Returns the first element that the steps lead to from an element.
    fn first(&mut self, from: u32, steps: &[Step]) -> Option<u32> {
        let Some((step, rest)) = steps.split_first() else {
            return Some(from);
        };
        let start = self.selected.len();
        self.select(from, &step.selector);
        for filter in &step.filters {
            self.filter(start, filter);
        }
        self.visits = self.visits.saturating_add(self.selected.len() - start);
        for index in start..self.selected.len() {
            if self.visits > MAX_VISITS {
                break;
            }
            let found = self.first(self.selected[index], rest);
            if found.is_some() {
                return found;
            }
        }
        self.selected.truncate(start);
        None
    }

    fn select(&mut self, from: u32, selector: &Selector) {
        let document = self.document;
        match selector {
            Selector::Document => self.selected.push(0),
            Selector::Itself => self.selected.push(from),
            // The document has no parent.
            Selector::Parent if from == 0 => {}
            Selector::Parent => self.selected.push(document.element(from).parent),
            Selector::Children => self.selected.extend(document.children(from)),
            Selector::ChildrenNamed(name) => {
                self.visits = self.visits.saturating_add(document.n_children(from));
                let named = document.children(from).filter(|child| document.has_name(*child, name));
                self.selected.extend(named);
            }
            Selector::Below => {
                let mut next = self.selected.len();
                self.selected.push(from);
                while let Some(&element) = self.selected.get(next) {
                    self.selected.extend(document.children(element));
                    next += 1;
                }
            }
        }
    }

    /// Keeps of the elements from `start` on those that pass.
    fn filter(&mut self, start: usize, filter: &Filter) {
        let document = self.document;
        if let Filter::Position(position) = *filter {
            let run = &self.selected[start..];
            let index = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
            let index = if position >= 0 { Some(index) } else { run.len().checked_sub(index) };
            let kept = index.and_then(|index| run.get(index).copied());
            self.selected.truncate(start);
            self.selected.extend(kept);
            return;
        }
        let mut kept = start;
        for index in start..self.selected.len() {
            let id = self.selected[index];
            if let Filter::Child(..) = filter {
                self.visits = self.visits.saturating_add(document.n_children(id));
            }
            if document.passes(id, filter) {
                self.selected[kept] = id;
                kept += 1;
            }
        }
        self.selected.truncate(kept);
    }
}

impl XmlDoc {
    /// Returns whether an element passes a filter other than a position.
    fn passes(&self, id: u32, filter: &Filter) -> bool {
        match filter {
            Filter::Position(_) => true,
            Filter::Attribute(name, None) => self.attribute(id, name).is_some(),
            Filter::Attribute(name, Some(value)) => {
                self.attribute(id, name).is_some_and(|found| self.is(&found.value, value))
            }
            Filter::Child(name, None) => self.children(id).any(|child| self.has_name(child, name)),
            Filter::Child(name, Some(value)) => self.children(id).any(|child| {
                self.has_name(child, name) && self.is(&self.element(child).text, value)
            }),
            Filter::Part(part, value) => {
                let element = self.element(id);
                let (prefix, name) = (self.slice(&element.prefix), self.slice(&element.name));
                let full;
                let text = match part {
                    Part::Text => self.text(id),
                    Part::LocalName => name,
                    Part::Prefix => prefix,
                    Part::FullName if prefix.is_empty() => name,
                    Part::FullName => {
                        full = format!("{prefix}:{name}");
                        &full
                    }
                };
                value.as_ref().map_or(!text.is_empty(), |value| text == value)
            }
        }
    }
}
