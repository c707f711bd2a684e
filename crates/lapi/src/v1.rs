//! The handlers, one module for each kind of thing.
//!
//! Who calls was found out before; see [`crate::route`].

pub(crate) mod alerts;
pub(crate) mod allowlists;
pub(crate) mod decisions;
pub(crate) mod feed;
mod filter;
mod history;
pub(crate) mod metrics;
pub(crate) mod stream;
pub(crate) mod watchers;
