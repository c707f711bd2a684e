//! Threads: who owns what while lines become alerts.
//!
//! [`replay`] reads logs once, on as many cores as there are, in the order of the lines. [`agent`]
//! follows live sources until told to stop. [`outbox`] keeps alerts until they are where they belong,
//! [`heartbeat`] says that the agent is alive, [`serve`] runs the local API, [`prometheus`] shows
//! what they count, [`notify`] tells the service manager.

pub(crate) mod replay;

pub(crate) mod agent;

pub(crate) mod outbox;

pub(crate) mod heartbeat;

pub(crate) mod serve;

pub(crate) mod notify;

pub(crate) mod prometheus;

use model::Alert;
use std::io;

/// Takes alerts, in order.
pub(crate) trait Sink: Send {
    /// Takes one. `identity` names the overflow it came from, where that can be told from all
    /// others. An error ends the run: its alerts would go nowhere.
    fn alert(&mut self, alert: &Alert, identity: Option<u128>) -> io::Result<()>;

    /// Nothing follows for the moment: what was taken is to be brought to safety.
    fn flush(&mut self) -> io::Result<Flushed> {
        Ok(Flushed::Safe)
    }
}

/// Where the alerts are that a [`Sink`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// They would be there if the process were killed now.
    Safe,
    /// They would not: the disk refuses. Asking again tries again.
    InMemory,
}
