//! What a running source is given besides its settings: time, a way to stop, names, positions; and
//! what it gives back besides lines: counters and errors.

use crate::{checkpoint::Checkpoints, registry::Registry};
use model::Timestamp;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The two clocks a source reads.
pub trait Clock: Send + Sync {
    /// The wall clock, stamped on lines.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point, never stepping back: for timeouts and intervals.
    fn monotonic(&self) -> Duration;
}

/// Everything a source borrows from its owner while it runs.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time.
    pub clock: &'a dyn Clock,
    /// Tells the source to finish.
    pub stop: &'a Stop,
    /// Hands out the numbers of line sources.
    pub registry: &'a Registry,
    /// Positions from the last run, and where the new ones go.
    pub checkpoints: &'a Checkpoints,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("stop", &self.stop.is_set()).finish_non_exhaustive()
    }
}

/// A request to stop, made once and seen by every source that waits.
///
/// It is a descriptor that becomes readable and stays so: a thread waiting in `poll(2)` for data
/// wakes at once, without a timeout to tune.
#[derive(Debug)]
pub struct Stop(OwnedFd);

impl Stop {
    /// A request not made yet.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Asks everyone who holds this to finish. Idempotent.
    pub fn set(&self) {
        // The only way to fail is a counter at its maximum, which reads as set already.
        let _already_set = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Whether finishing was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// The same request, for a part of a source that outlives a borrow.
    pub(crate) fn share(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Waits up to `limit`; returns whether finishing was asked for.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        matches!(self.wait_for(&[], limit), Wake::Stop)
    }

    /// Waits until one of `inputs` can be read, finishing is asked for, or `limit` has passed.
    pub(crate) fn wait_for(&self, inputs: &[BorrowedFd<'_>], limit: Duration) -> Wake {
        let mut fds = Vec::with_capacity(inputs.len() + 1);
        fds.push(PollFd::new(&self.0, PollFlags::IN));
        fds.extend(inputs.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        // An interrupted wait counts as one that timed out: every caller loops.
        let n_ready = poll(&mut fds, Some(&timespec(limit))).unwrap_or(0);
        if !fds[0].revents().is_empty() {
            return Wake::Stop;
        }
        if n_ready == 0 {
            return Wake::Timeout;
        }
        Wake::Ready(fds[1..].iter().map(|fd| !fd.revents().is_empty()).collect())
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn timespec(limit: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    }
}

/// Why a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Stop,
    Timeout,
    /// Which of the inputs are ready, in the order they were given.
    Ready(Vec<bool>),
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one source did so far. Shared with whoever publishes metrics.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
        }

        /// The values of [`Counters`] at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all counters.
            #[must_use]
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Lines handed over.
    lines,
    /// Bytes of those lines.
    bytes,
    /// Lines longer than the limit, handed over without their rest.
    cut,
    /// Unfinished last lines handed over because their file was rotated away.
    unfinished,
    /// Files found truncated.
    truncations,
    /// Files found renamed, replaced or deleted.
    rotations,
    /// Files whose remembered position could not be found again: lines may be missing.
    lost_positions,
    /// Files or directories that could not be read.
    unreadable,
    /// Batches that had to wait for the consumer.
    waits,
    /// Nanoseconds spent in those waits.
    waited_nanos,
    /// Lines thrown away because the consumer was behind and the sender cannot be slowed (UDP).
    shed,
    /// Messages parsed as RFC 3164.
    rfc3164,
    /// Messages parsed as RFC 5424.
    rfc5424,
    /// Messages or frames that no format fits.
    malformed,
    /// Connections refused because the limit was reached.
    refused_connections,
    /// Restarts by the supervisor.
    restarts,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Whether it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The cause may pass.
    Later,
    /// Someone has to change something first.
    Never,
}

/// Why a source ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The settings cannot work.
    #[error("{0}")]
    Config(String),
    /// A file or directory refused.
    #[error("{doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A socket, pipe or other part of the system refused.
    #[error("{doing}")]
    System {
        /// What was tried.
        doing: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A program this source reads from is not installed.
    #[error("{program} is not installed")]
    Missing {
        /// Its name.
        program: String,
    },
    /// A program this source reads from ended.
    #[error("{program} ended with {status}: {message}")]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// The last thing it said.
        message: String,
    },
    /// The consumer of the lines is gone.
    #[error("nobody takes the lines any more")]
    Closed,
    /// A bug of ours, caught so that the other sources go on.
    #[error("panic: {0}")]
    Panic(String),
}

impl SourceError {
    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Config(_) | Self::Missing { .. } | Self::Closed => Retry::Never,
            Self::File { .. } | Self::System { .. } | Self::Ended { .. } | Self::Panic(_) => {
                Retry::Later
            }
        }
    }

    pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { doing, path: path.to_path_buf(), source }
    }

    pub(crate) fn system(doing: impl Into<String>, source: io::Error) -> Self {
        Self::System { doing: doing.into(), source }
    }
}

impl From<crate::batch::Closed> for SourceError {
    fn from(_: crate::batch::Closed) -> Self {
        Self::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_stays_set_for_every_waiter() {
        let stop = Stop::new().unwrap();
        assert!(!stop.is_set());
        stop.set();
        stop.set();
        assert!(stop.wait(Duration::from_secs(60)));
        assert!(stop.is_set());
    }

    #[test]
    fn wait_tells_which_input_is_ready() {
        use std::io::Write;
        let stop = Stop::new().unwrap();
        let (quiet, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (busy, mut sender) = std::os::unix::net::UnixStream::pair().unwrap();
        sender.write_all(b"x").unwrap();
        let wake = stop.wait_for(&[quiet.as_fd(), busy.as_fd()], Duration::from_secs(60));
        assert_eq!(wake, Wake::Ready(vec![false, true]));
        stop.set();
        assert_eq!(stop.wait_for(&[busy.as_fd()], Duration::from_secs(60)), Wake::Stop);
    }
}
