//! Data files: lists, pattern lists and tag maps that expressions consult by name.
//!
//! Loaded and compiled once, before the first line (spec §7).

use crate::value::{Map, Missing, Value};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use hashbrown::HashMap;
use re2::{Regex, RegexSet};

/// Names a pattern file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegexFileId(pub u32);

/// All data files of a program.
#[derive(Debug, Default)]
pub struct DataFiles {
    /// Lists of texts.
    pub lists: Vec<ListFile>,
    /// Lists of patterns.
    pub regexes: Vec<RegexFile>,
    /// Tag maps.
    pub maps: Vec<MapFile>,
}

/// A list of texts: `type: string`.
#[derive(Debug)]
pub struct ListFile {
    /// The name expressions use.
    pub name: Box<str>,
    /// The lines as a list value.
    pub lines: Value,
    /// The lines again, as they are in the file.
    pub texts: Vec<Box<str>>,
}

/// A list of patterns: `type: regexp`.
#[derive(Debug)]
pub struct RegexFile {
    /// The name expressions use.
    pub name: Box<str>,
    /// The patterns, as one matcher.
    pub set: RegexSet,
}

/// A tag map: `type: map`.
#[derive(Debug, Default)]
pub struct MapFile {
    /// The name expressions use.
    pub name: Box<str>,
    /// Exact texts and their tags.
    pub equals: HashMap<Box<str>, Box<str>>,
    /// Substrings and their tags, in file order.
    pub contains: Vec<(Box<str>, Box<str>)>,
    /// Patterns and their tags, in file order.
    pub regexes: Vec<(Regex, Box<str>)>,
    /// The rows as values, for `FileMap`.
    pub rows: Vec<Value>,
}

impl ListFile {
    /// A list of these lines.
    #[must_use]
    pub fn new(name: &str, lines: &[&str]) -> Self {
        Self {
            name: name.into(),
            lines: Value::texts(lines.iter().copied()),
            texts: lines.iter().map(|line| Box::from(*line)).collect(),
        }
    }
}

impl DataFiles {
    /// The list of a name.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&ListFile> {
        self.lists.iter().find(|file| &*file.name == name)
    }

    /// The patterns of a name.
    #[must_use]
    pub fn regex(&self, name: &str) -> Option<(RegexFileId, &RegexFile)> {
        let index = self.regexes.iter().position(|file| &*file.name == name)?;
        Some((RegexFileId(index as u32), &self.regexes[index]))
    }

    /// The tag map of a name.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&MapFile> {
        self.maps.iter().find(|file| &*file.name == name)
    }
}

impl MapFile {
    /// Adds a row, as `FileMap` shows it.
    pub fn add_row(&mut self, pairs: &[(&str, &str)]) {
        let entries: BTreeMap<Arc<str>, Value> =
            pairs.iter().map(|(key, value)| (Arc::from(*key), Value::shared(value))).collect();
        self.rows.push(Value::Map(Arc::new(Map { missing: Missing::Text, entries })));
    }

    /// The tag of a text: an equal one, else the leftmost substring (the first of the file among
    /// equals), else the first pattern that matches (spec §7.4).
    #[must_use]
    pub fn tag(&self, text: &str, mut matches: impl FnMut(usize, &Regex) -> bool) -> Option<&str> {
        if let Some(tag) = self.equals.get(text) {
            return Some(tag);
        }
        let substring = self
            .contains
            .iter()
            .filter_map(|(part, tag)| Some((text.find(&**part)?, tag)))
            .min_by_key(|(at, _)| *at);
        if let Some((_, tag)) = substring {
            return Some(tag);
        }
        self.regexes
            .iter()
            .enumerate()
            .find(|(index, (regex, _))| matches(*index, regex))
            .map(|(_, (_, tag))| &**tag)
    }
}
