//! What the evaluator keeps between expressions: pattern caches, variables, stashes, parsed XML.
//!
//! One per thread. Nothing here changes what an expression gives, only how fast (stashes excepted,
//! which are a feature of the language).

use super::{Eval, EvalError};
use crate::builtins::json_path::JsonPath;
use crate::builtins::xml::{XmlDoc, XmlPath};
use crate::data::RegexFileId;
use crate::pool::{RegexId, RegexSetId};
use crate::value::Value;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use hashbrown::HashMap;
use model::Timestamp;
use re2::{Cache, Regex, SetCache};

/// Patterns made at run time that are remembered; past this many all are forgotten and made anew.
const MAX_COMPUTED: usize = 1024;

/// Caches and variables of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    regexes: Vec<Cache>,
    sets: Vec<SetCache>,
    pool_sets: Vec<SetCache>,
    computed: HashMap<Box<str>, Option<(Regex, Cache)>>,
    map_regexes: HashMap<(usize, usize), Cache>,
    locals: Vec<Value>,
    frames: Vec<Frame>,
    /// Elements made by the current expression.
    pub(crate) spent: u32,
    /// Whether the error on its way up is the end of an optional chain.
    pub(crate) left_chain: bool,
    /// A date being written.
    pub(crate) date: String,
    /// What the geo databases said lately.
    pub(crate) geo: crate::enrich::GeoCache,
    /// Captures of the grok at hand.
    pub(crate) captures: Vec<Option<(u32, u32)>>,
    /// Who could match, for each list of nodes being run: a stack of bit sets.
    pub(crate) bits: Vec<u64>,
    /// The last XML document, which a line asks about many times.
    xml: Option<(String, Option<XmlDoc>)>,
    xml_paths: HashMap<Box<str>, Option<XmlPath>>,
    json_paths: HashMap<Box<str>, JsonPath>,
    stashes: HashMap<Box<str>, Stash>,
}

/// One closure being run.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// `#`
    pub(crate) element: Value,
    /// `#index`
    pub(crate) index: i64,
    /// `#acc`
    pub(crate) acc: Value,
}

#[derive(Debug)]
struct Stash {
    size: usize,
    ttl: i64,
    entries: HashMap<Box<str>, (Box<str>, Timestamp, u64)>,
    clock: u64,
}

impl Scratch {
    /// The cache of a pattern.
    pub(crate) fn regex(&mut self, id: RegexId) -> &mut Cache {
        let index = id.0 as usize;
        if index >= self.regexes.len() {
            self.regexes.resize_with(index + 1, Cache::new);
        }
        &mut self.regexes[index]
    }

    /// The cache of a pattern, and where its captures go.
    pub(crate) fn regex_and_captures(
        &mut self,
        id: RegexId,
    ) -> (&mut Cache, &mut Vec<Option<(u32, u32)>>) {
        let index = id.0 as usize;
        if index >= self.regexes.len() {
            self.regexes.resize_with(index + 1, Cache::new);
        }
        (&mut self.regexes[index], &mut self.captures)
    }

    /// The cache of a pattern file.
    pub(crate) fn set(&mut self, id: RegexFileId) -> &mut SetCache {
        let index = id.0 as usize;
        if index >= self.sets.len() {
            self.sets.resize_with(index + 1, SetCache::new);
        }
        &mut self.sets[index]
    }

    /// The cache of a set of patterns of the pool.
    pub(crate) fn pool_set(&mut self, id: RegexSetId) -> &mut SetCache {
        let index = id.0 as usize;
        if index >= self.pool_sets.len() {
            self.pool_sets.resize_with(index + 1, SetCache::new);
        }
        &mut self.pool_sets[index]
    }

    /// The cache of a pattern of a tag map.
    pub(crate) fn map_regex(&mut self, file: usize, row: usize) -> &mut Cache {
        self.map_regexes.entry((file, row)).or_default()
    }

    /// Matches a pattern known only now.
    pub(crate) fn computed_match(&mut self, pattern: &str, text: &str) -> Eval<bool> {
        if !self.computed.contains_key(pattern) {
            if self.computed.len() >= MAX_COMPUTED {
                self.computed.clear();
            }
            let compiled = Regex::new(pattern).ok().map(|regex| (regex, Cache::new()));
            self.computed.insert(pattern.into(), compiled);
        }
        match self.computed.get_mut(pattern) {
            Some(Some((regex, cache))) => Ok(regex.is_match(cache, text)),
            _ => Err(EvalError::new(format!("`{pattern}` is not a regular expression"))),
        }
    }

    /// The XML document of a text and a compiled path; `None` when either is not well formed.
    pub(crate) fn xml(&mut self, text: &str, path: &str) -> Option<(&XmlDoc, &XmlPath)> {
        if self.xml.as_ref().is_none_or(|(of, _)| of != text) {
            self.xml = Some((text.into(), XmlDoc::parse(text).ok()));
        }
        let document = self.xml.as_ref()?.1.as_ref()?;
        if !self.xml_paths.contains_key(path) {
            if self.xml_paths.len() >= MAX_COMPUTED {
                self.xml_paths.clear();
            }
            self.xml_paths.insert(path.into(), XmlPath::compile(path).ok());
        }
        Some((document, self.xml_paths.get(path)?.as_ref()?))
    }

    /// A compiled JSON path.
    pub(crate) fn json_path(&mut self, path: &str) -> &JsonPath {
        if self.json_paths.len() >= MAX_COMPUTED && !self.json_paths.contains_key(path) {
            self.json_paths.clear();
        }
        if !self.json_paths.contains_key(path) {
            self.json_paths.insert(path.into(), JsonPath::compile(path));
        }
        &self.json_paths[path]
    }

    /// Forgets the variables of the last expression.
    pub fn begin(&mut self) {
        self.spent = 0;
        self.left_chain = false;
    }

    pub(crate) fn local(&self, local: u16) -> Value {
        self.locals.get(local as usize).cloned().unwrap_or(Value::Nil)
    }

    pub(crate) fn set_local(&mut self, local: u16, value: Value) {
        let index = local as usize;
        if index >= self.locals.len() {
            self.locals.resize(index + 1, Value::Nil);
        }
        self.locals[index] = value;
    }

    pub(crate) fn frame(&self, depth: u16) -> Frame {
        let nothing = Frame { element: Value::Nil, index: 0, acc: Value::Nil };
        self.frames.get(depth as usize).cloned().unwrap_or(nothing)
    }

    pub(crate) fn set_frame(&mut self, depth: u16, frame: Frame) {
        let index = depth as usize;
        if index >= self.frames.len() {
            let nothing = Frame { element: Value::Nil, index: 0, acc: Value::Nil };
            self.frames.resize(index + 1, nothing);
        }
        self.frames[index] = frame;
    }

    /// Declares a stash, unless its name is taken: the first declaration wins for reads.
    pub fn declare_stash(&mut self, name: &str, size: usize, ttl_nanos: i64) {
        self.stashes.entry(name.into()).or_insert_with(|| Stash {
            size: size.max(1),
            ttl: ttl_nanos,
            entries: HashMap::new(),
            clock: 0,
        });
    }

    /// `GetFromStash`: the value of a key that has not expired.
    pub(crate) fn stashed(&mut self, name: &str, key: &str, now: Timestamp) -> Option<&str> {
        let stash = self.stashes.get_mut(name)?;
        stash.clock += 1;
        let clock = stash.clock;
        if stash.entries.get(key)?.1 <= now {
            stash.entries.remove(key);
            return None;
        }
        let entry = stash.entries.get_mut(key)?;
        entry.2 = clock;
        Some(&entry.0)
    }

    /// `SetInStash`. `false` when there is no such stash.
    pub(crate) fn stash(
        &mut self,
        name: &str,
        key: &str,
        value: &str,
        ttl_nanos: Option<i64>,
        now: Timestamp,
    ) -> bool {
        let Some(stash) = self.stashes.get_mut(name) else { return false };
        stash.clock += 1;
        if stash.entries.len() >= stash.size && !stash.entries.contains_key(key) {
            // The entry used longest ago leaves. Stashes are small (100 by default), so a scan will do.
            let oldest =
                stash.entries.iter().min_by_key(|(_, entry)| entry.2).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                stash.entries.remove(&oldest);
            }
        }
        let until = now.plus_nanos(ttl_nanos.unwrap_or(stash.ttl));
        stash.entries.insert(key.into(), (value.into(), until, stash.clock));
        true
    }
}
