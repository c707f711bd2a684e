//! A clock that tests move, and the other things every source is given.

use crate::{Checkpoints, Clock, Context, Registry, Stop};
use model::Timestamp;
use std::{
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Stands still until told otherwise. Wall clock and monotonic clock move together.
#[derive(Debug, Default)]
pub(crate) struct FakeClock(AtomicU64);

impl FakeClock {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(1_700_000_000, 0).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Says on the real standard error, which the test harness does not swallow, that a test proves
/// nothing here.
pub(crate) fn skip(test: &str, reason: &str) {
    writeln!(io::stderr(), "SKIPPED {test}: {reason}").unwrap();
}

/// Stops a source when a test ends, also where it fails: a scope waits for its threads, and a test
/// that never ends says nothing of why.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// What a source borrows, owned by a test.
pub(crate) struct World {
    pub(crate) clock: FakeClock,
    pub(crate) stop: Stop,
    pub(crate) registry: Registry,
    pub(crate) checkpoints: Checkpoints,
}

impl World {
    /// A world that remembers nothing.
    pub(crate) fn new() -> Self {
        Self::with(Checkpoints::in_memory())
    }

    pub(crate) fn with(checkpoints: Checkpoints) -> Self {
        Self {
            clock: FakeClock::default(),
            stop: Stop::new().unwrap(),
            registry: Registry::new(),
            checkpoints,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            clock: &self.clock,
            stop: &self.stop,
            registry: &self.registry,
            checkpoints: &self.checkpoints,
        }
    }
}
