//! Threads: who owns what while lines become alerts.
//!
//! [`replay`] reads logs once, on as many cores as there are, in the order of the lines. [`agent`]
//! follows live sources until told to stop.

pub(crate) mod replay;

pub(crate) mod agent;

use model::Alert;
use std::io;

/// Takes alerts, in order.
pub(crate) trait Sink: Send {
    /// Takes one. An error ends the run: its alerts would go nowhere.
    fn alert(&mut self, alert: &Alert) -> io::Result<()>;
}
