//! Keeps a source running: restarts it after a failure, waiting longer each time.
//!
//! A file source waits one second at first and up to a minute; the journal and syslog always wait
//! ten seconds, as their peers expect. A source that ran well for a minute starts from the
//! beginning of that ladder. A panic is a bug of ours and treated like any failure that may pass:
//! one source must not take the others down.

use crate::{
    batch::LineSink,
    config::{Mode, Source},
    context::{Context, Retry, SourceError, count},
};
use std::{
    any::Any,
    error::Error,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tracing::{error, info, warn};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const STREAM: Duration = Duration::from_secs(10);

/// Runs `source` until stopping is asked for, its input ends, or nothing can help it.
///
/// Blocks the calling thread, which should be named after the source.
///
/// # Errors
/// The failure that trying again cannot help; already logged.
pub fn supervise(
    source: &Source,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let module = source.module();
    let mut pause = Pause::new(source);
    loop {
        let started = context.clock.monotonic();
        info!(module, "datasource started");
        let outcome = guarded(|| crate::run(source, sink, context));
        let Err(failure) = outcome else {
            info!(module, "datasource ended");
            return Ok(());
        };
        let reason = chain(&failure);
        if context.stop.is_set() {
            warn!(module, error = %reason, "datasource failed while stopping");
            return Ok(());
        }
        if failure.retry() == Retry::Never || source.common().mode == Mode::Cat {
            error!(module, error = %reason, "datasource cannot go on");
            return Err(failure);
        }
        let ran = context.clock.monotonic().saturating_sub(started);
        let wait = pause.next(ran);
        count(&sink.counters().restarts);
        warn!(module, error = %reason, wait_seconds = wait.as_secs(), "datasource failed, restarting");
        if context.stop.wait(wait) {
            return Ok(());
        }
    }
}

/// How long to wait before the next start.
struct Pause {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Pause {
    const fn new(source: &Source) -> Self {
        let (first, longest) = match source {
            Source::File(_) | Source::Stdin(_) => (SHORTEST, LONGEST),
            Source::Journald(_) | Source::Syslog(_) => (STREAM, STREAM),
        };
        Self { next: first, first, longest }
    }

    fn next(&mut self, ran: Duration) -> Duration {
        if ran >= LONGEST {
            self.next = self.first;
        }
        let wait = self.next;
        self.next = self.longest.min(wait.saturating_mul(2));
        wait
    }
}

fn guarded(run: impl FnOnce() -> Result<(), SourceError>) -> Result<(), SourceError> {
    // Everything a source changes outside itself is replaced whole under a lock, so nothing is left
    // half done for the next attempt.
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|payload| Err(SourceError::Panic(message(payload.as_ref()))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    String::from(text.unwrap_or("without a message"))
}

fn chain(failure: &SourceError) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Common, channel, file::FileConfig, stdin::StdinConfig, testing::World};

    #[test]
    fn waits_longer_each_time_and_recovers() {
        let mut pause = Pause::new(&Source::Stdin(StdinConfig::new(Common::default())));
        let waits: Vec<_> = (0..8).map(|_| pause.next(Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause.next(Duration::from_secs(61)).as_secs(), 1);
    }

    #[test]
    fn gives_up_where_nothing_can_help() {
        let world = World::new();
        let (sink, _receiver) = channel(1);
        let config = FileConfig::new(Common::default(), vec![String::from("/log/[")]);
        let failure = supervise(&Source::File(config), &sink, &world.context()).unwrap_err();
        assert_eq!(failure.to_string(), "`/log/[` is not a file name pattern");
    }

    #[test]
    fn a_panic_is_a_failure_that_may_pass() {
        let failure = guarded(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!((chain(&failure).as_str(), failure.retry()), ("panic: number 7", Retry::Later));
    }
}
