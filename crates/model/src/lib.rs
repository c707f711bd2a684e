//! The nouns of Shieldwall: lines and where they came from, instants, alerts.
//!
//! Plain data that every other crate speaks. Nothing here reads a clock, a file or a socket (I1),
//! and nothing here is serializable: what goes over a wire has a type of its own there (I7).
//!
//! Reading order: [`time`], [`line`], [`alert`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod alert;
mod line;
mod time;

pub use alert::{Alert, AlertEvent, Scope, Source};
pub use line::{Line, LineSource, SourceId, TimeMode};
pub use time::{Time, Timestamp};
