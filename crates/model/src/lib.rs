//! The nouns of Shieldwall: lines and where they came from, instants, alerts, decisions.
//!
//! Plain data that every other crate speaks. Nothing here reads a clock, a file or a socket (I1),
//! and nothing here is serializable: what goes over a wire has a type of its own there (I7).
//!
//! Reading order: [`time`], [`line`], [`alert`], [`decision`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod alert;
mod decision;
mod line;
mod time;

pub use alert::{Alert, AlertEvent, Scope, Source};
pub use decision::{
    BadTarget, Decision, DecisionId, NewDecision, Uuid, canonical_net, canonical_scope, parse_ip,
    parse_range, parse_target,
};
pub use line::{Line, LineSource, SourceId, Stamp, TimeMode};
pub use time::{Time, Timestamp};
