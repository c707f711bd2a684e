//! What profiles may ask of the past, answered from the store.

use std::time::Duration;

use model::Timestamp;
use store::{DecisionFilter, Page, Simulated, Store};
use tokio::runtime::Handle;

use crate::History;

/// The past of a store. Lives on a thread that may block.
pub(super) struct Past<'a> {
    pub(super) store: &'a Store,
    pub(super) runtime: &'a Handle,
    pub(super) now: Timestamp,
}

impl Past<'_> {
    fn count(&self, value: &str, since: Option<Timestamp>) -> Result<u64, String> {
        self.runtime
            .block_on(self.store.decision_count(value.to_owned(), since))
            .map_err(|error| error.to_string())
    }
}

impl History for Past<'_> {
    fn decisions(&self, value: &str) -> Result<u64, String> {
        self.count(value, None)
    }

    fn decisions_since(&self, value: &str, since: Timestamp) -> Result<u64, String> {
        self.count(value, Some(since))
    }

    fn active_decisions(&self, value: &str) -> Result<u64, String> {
        self.store.active_count(value, self.now).map_err(|error| error.to_string())
    }

    fn active_time_left(&self, value: &str) -> Result<Duration, String> {
        let filter = DecisionFilter {
            value: Some(value.to_owned()),
            simulated: Simulated::Included,
            ..DecisionFilter::default()
        };
        let active = self.store.decisions(&filter, Page::default(), self.now);
        let ends = active.map_err(|error| error.to_string())?.into_iter().map(|one| one.until);
        let left = ends.max().map_or(0, |until| until.nanos_since(self.now).max(0));
        Ok(Duration::from_nanos(left.unsigned_abs()))
    }
}
