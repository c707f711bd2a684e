//! The only place that asks the system what time it is.

use model::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The wall clock. A clock before 1970 counts as 1970: logs and buckets only need an order.
    pub(crate) fn wall() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default().after(since)
    }
}

impl acquis::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Self::wall()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
