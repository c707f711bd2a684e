//! The numbers of line sources: each distinct [`LineSource`] gets one dense [`SourceId`].
//!
//! Sources register as they meet files and clients; the consumer looks the numbers up, or takes
//! the new ones in order with [`Registry::since`]. Numbers are never reused, so whoever lets the
//! outside choose `src` (a syslog client does) must bound how many it registers (I5).

use model::{LineSource, SourceId};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// All line sources met so far.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<Table>>);

#[derive(Debug, Default)]
struct Table {
    sources: Vec<Arc<LineSource>>,
    /// The numbers that share a `src`; nearly always one.
    ids: HashMap<String, Vec<SourceId>>,
}

impl Registry {
    /// A registry without sources.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of `source`, new if it was not met before.
    pub fn register(&self, source: LineSource) -> SourceId {
        // A panic while holding the lock leaves at worst a source without a number: still sound.
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = table.ids.get(&source.src).and_then(|ids| {
            ids.iter().copied().find(|id| table.at(*id).is_some_and(|known| **known == source))
        });
        if let Some(id) = known {
            return id;
        }
        let id = SourceId(u32::try_from(table.sources.len()).unwrap_or(u32::MAX));
        table.ids.entry(source.src.clone()).or_default().push(id);
        table.sources.push(Arc::new(source));
        id
    }

    /// What `id` stands for.
    #[must_use]
    pub fn source(&self, id: SourceId) -> Option<Arc<LineSource>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).at(id).cloned()
    }

    /// The sources registered after the first `n_known`, in the order of their numbers.
    #[must_use]
    pub fn since(&self, n_known: usize) -> Vec<Arc<LineSource>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.sources.get(n_known..).map(<[_]>::to_vec).unwrap_or_default()
    }
}

impl Table {
    fn at(&self, id: SourceId) -> Option<&Arc<LineSource>> {
        self.sources.get(usize::try_from(id.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(module: &str, src: &str) -> LineSource {
        LineSource { module: module.to_owned(), src: src.to_owned(), ..LineSource::default() }
    }

    #[test]
    fn equal_sources_share_a_number() {
        let registry = Registry::new();
        let first = registry.register(source("file", "/a"));
        let second = registry.register(source("syslog", "/a"));
        assert_eq!(registry.register(source("file", "/a")), first);
        assert_ne!(first, second);
        assert_eq!(registry.source(second).unwrap().module, "syslog");
        assert_eq!(registry.since(1).len(), 1);
        assert!(registry.since(9).is_empty());
        assert!(registry.source(SourceId(9)).is_none());
    }
}
