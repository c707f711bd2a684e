//! A syslog server: datagrams and connections in, lines in the classic form out.
//!
//! One thread serves the UDP socket, the TCP listener and all connections; it waits in `poll(2)`.
//! When the consumer is behind, connections are simply not read, which slows their peers; datagrams
//! cannot be slowed and are thrown away and counted.
//!
//! Reading order: `config`, `framing` (bytes to frames), `rfc3164` and `rfc5424` (frames to
//! messages), `decode` (messages to lines), `udp` and `tcp`, `run`; [`offline`] is the same without
//! sockets.

mod config;
mod decode;
mod framing;
pub mod offline;
mod rfc3164;
mod rfc5424;
mod run;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use config::{Parsing, Protocol, SyslogConfig, TcpLimits};
pub(crate) use run::run;
