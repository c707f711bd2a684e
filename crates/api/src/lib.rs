//! The local API on the wire: its types, how they become nouns of `model`, and a client.
//!
//! Wire types stay here (I7): a handler turns what it was sent into nouns at once, and nouns into
//! wire types last. Field order, null or left out, and the texts of durations and dates are what
//! existing agents, bouncers and scripts read, so each of these types has golden tests.
//!
//! Reading order: [`alert`], [`decision`], the smaller messages in [`message`] and [`metrics`];
//! [`decode`] reads bodies; [`duration`], [`date`] and [`text`] hold the spellings. The feature `client` adds [`client`].
#![forbid(unsafe_code)]

mod alert;
#[cfg(feature = "client")]
pub mod client;
pub mod date;
mod decision;
pub mod decode;
pub mod duration;
mod message;
pub mod metrics;
#[cfg(feature = "pem")]
pub mod pem;
pub mod text;
mod told;

pub use alert::{Alert, Event, MetaItem, Source, WireError, pairs};
pub use decision::{Decision, DecisionDelta};
pub use message::{
    Allowlist, AllowlistItem, AllowlistMatches, BulkCheck, BulkCheckReply, CheckReply, Deleted,
    Login, Message, Registration, Token,
};
pub use told::write_decision;
