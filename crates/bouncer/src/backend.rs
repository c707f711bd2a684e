//! What puts decisions into effect, and what all of them promise.
//!
//! A back-end holds a copy of what the [`set`](crate::set) wants. The copy can be read back and
//! repaired at any time ([`Backend::reconcile`]); losing it is never an error, only work. Each
//! entry ends by itself, even when nobody is left to end it (I11).
//!
//! Reading order: [`Backend`], [`enforce`], then one back-end: [`nftables`],
//! [`custom`].

pub mod custom;
pub mod nftables;

use std::time::Duration;

use model::Timestamp;

use crate::set::{Change, Wanted};

/// Puts entries into effect and takes them back.
pub trait Backend: Send {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Makes what entries need, or adopts what a predecessor left, without touching its entries.
    ///
    /// # Errors
    /// When this host cannot do it, see [`BackendError::Unsupported`], or refuses.
    fn prepare(&mut self) -> Result<(), BackendError>;

    /// Carries out a change.
    ///
    /// # Errors
    /// When it was not carried out, or not all of it; [`Backend::reconcile`] then puts it right.
    fn commit(&mut self, change: &Change, now: Timestamp) -> Result<Applied, BackendError>;

    /// Compares what there is with what is wanted, and makes it so, in one step where the
    /// back-end can.
    ///
    /// # Errors
    /// When what there is cannot be read, or the repair was not carried out.
    fn reconcile(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Applied, BackendError>;

    /// Whether somebody else changed something since the last look. Cheap; to be asked several
    /// times a second.
    ///
    /// # Errors
    /// When it cannot be told.
    fn drift(&mut self) -> Result<Drift, BackendError>;

    /// What was counted so far. Numbers only grow while the back-end's objects live.
    ///
    /// # Errors
    /// When they cannot be read.
    fn counters(&mut self) -> Result<Vec<Counter>, BackendError>;

    /// Lets go, leaving everything in effect or nothing.
    ///
    /// # Errors
    /// When what shall go cannot be removed.
    fn close(&mut self, leave: Leave) -> Result<(), BackendError>;
}

/// What becomes of entries when the back-end is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// They stay until they end; whoever comes next adopts them.
    InEffect,
    /// They go, and everything that was made for them.
    Nothing,
}

/// What a commit or a reconciliation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries put into effect.
    pub n_added: usize,
    /// Entries whose end or origin changed.
    pub n_changed: usize,
    /// Entries taken back.
    pub n_removed: usize,
    /// Whether rules or tables had to be made again.
    pub was_rebuilt: bool,
}

impl Applied {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What a look at somebody else's changes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nobody changed anything.
    None,
    /// Somebody changed something; what is ours looks untouched, its entries were not compared.
    Possible,
    /// What is ours is not as it was left.
    Certain,
}

/// Packets and bytes, since the counter was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What was counted.
    pub counted: Counted,
    /// Whether they were IPv6 packets.
    pub is_ipv6: bool,
    /// How many.
    pub packets: u64,
    /// How long, together.
    pub bytes: u64,
}

/// What a counter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Packets that were looked at.
    Processed,
    /// Packets that were stopped because of decisions of this origin.
    Stopped {
        /// The origin.
        origin: String,
    },
}

/// Why something was not put into effect.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// This host cannot do it, whatever is tried.
    #[error("{0}")]
    Unsupported(String),
    /// The settings make no sense here.
    #[error("{0}")]
    Settings(String),
    /// Something that somebody else must make is not there.
    #[error("{0}")]
    Missing(String),
    /// The kernel, or a program, refused.
    #[error("{doing}: {source}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// What was said.
        #[source]
        source: std::io::Error,
    },
    /// Something changed while it was read; the same may succeed at once.
    #[error("{doing}: somebody else changes the same all the time")]
    Busy {
        /// What was tried.
        doing: &'static str,
    },
}

/// Whether the same can succeed later without anybody changing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try again.
    Later,
    /// It will be refused again.
    Never,
}

impl BackendError {
    /// Whether to try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unsupported(_) | Self::Settings(_) => Retry::Never,
            Self::Missing(_) | Self::Refused { .. } | Self::Busy { .. } => Retry::Later,
        }
    }
}

/// Carries out a change; when that fails, compares everything and repairs.
///
/// # Errors
/// When the repair fails too.
pub fn enforce(
    backend: &mut dyn Backend,
    change: &Change,
    wanted: impl FnOnce() -> Wanted,
    now: Timestamp,
) -> Result<Applied, BackendError> {
    match backend.commit(change, now) {
        Ok(applied) => Ok(applied),
        Err(error) if error.retry() == Retry::Later => {
            tracing::warn!(backend = backend.name(), %error, "change refused; comparing everything");
            backend.reconcile(&wanted(), now)
        }
        Err(error) => Err(error),
    }
}

/// Looks for somebody else's changes and repairs them. `compare` says whether entries shall be
/// compared even if everything else looks untouched; with a million of them that takes a second.
///
/// # Errors
/// When it cannot be told, or the repair fails.
pub fn repair(
    backend: &mut dyn Backend,
    compare: bool,
    wanted: impl FnOnce() -> Wanted,
    now: Timestamp,
) -> Result<Option<Applied>, BackendError> {
    match backend.drift()? {
        Drift::None => Ok(None),
        Drift::Possible if !compare => Ok(None),
        Drift::Possible | Drift::Certain => {
            let applied = backend.reconcile(&wanted(), now)?;
            if !applied.is_nothing() {
                tracing::warn!(
                    backend = backend.name(),
                    n_added = applied.n_added,
                    n_removed = applied.n_removed,
                    was_rebuilt = applied.was_rebuilt,
                    "somebody changed what is in effect; repaired"
                );
            }
            Ok(Some(applied))
        }
    }
}

/// How often [`repair`] is worth calling: a foreign change is undone well within a second.
pub const REPAIR_EVERY: Duration = Duration::from_millis(250);
