//! The server as callers see it: real sockets, a real client, a database in a temporary directory.
//!
//! `sandbox` starts servers; `access` asks every route of the table as everybody who may not;
//! `golden` holds the answers byte for byte; `traps` are the quirks bouncers and agents rely on;
//! `secure` is TLS; `description` compares the OpenAPI document with the table.
#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod access;
mod description;
mod golden;
mod sandbox;
mod secure;
mod traps;
