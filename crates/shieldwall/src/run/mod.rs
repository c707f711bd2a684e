//! Threads: who owns what while lines become alerts.
//!
//! [`replay`] reads logs once, on as many cores as there are, in the order of the lines. [`agent`]
//! follows live sources until told to stop.

pub(crate) mod replay;
