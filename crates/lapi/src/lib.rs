//! The local API: what agents, bouncers and tools ask over HTTP.
//!
//! Every request takes the same way: [`route`] names its endpoint and who may call it, `auth` finds
//! out who calls, `body` reads what was sent within limits, `v1` answers from the store. Because
//! who may call is a column of the route table and not a line in each handler, no handler can
//! forget to ask.
//!
//! The wire is fixed by the agents and bouncers in use: statuses, bodies and texts are theirs, with
//! each quirk marked `COMPAT(crowdsec)`. What is ours is the feed of server-sent events.
//!
//! Reading order: [`Service`], [`route`], `auth`, `v1`; then [`Server`] with `connection` and `tls`.
#![forbid(unsafe_code)]

mod access;
mod auth;
mod body;
mod call;
mod connection;
mod decide;
pub mod exposition;
mod meter;
mod patience;
mod refusal;
pub mod route;
mod server;
mod service;
mod settings;
mod tls;
mod v1;

pub use auth::{key, password};
pub use decide::{Decide, Decided, History, Nobody, Nothing, Observer};
pub use refusal::Refusal;
pub use server::{BindError, Server};
pub use service::{Clock, Incoming, Service, SetupError};
pub use settings::{AutoRegistration, ClientVerification, Counting, Listen, Rules, Tls};
