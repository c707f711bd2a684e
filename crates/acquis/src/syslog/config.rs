//! Settings of a syslog server.

use crate::config::Common;
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Where to listen and what to expect.
#[derive(Clone, Debug)]
pub struct SyslogConfig {
    /// What all sources have.
    pub common: Common,
    /// The address to listen on. Default: 127.0.0.1, since syslog knows no sender it could trust.
    pub listen_addr: IpAddr,
    /// The port, for both protocols. Default: 514.
    pub listen_port: u16,
    /// What to listen for. Default: UDP alone, as CrowdSec does.
    pub protocol: Protocol,
    /// Datagrams are cut behind this many bytes. Default: 2048.
    pub max_message_len: usize,
    /// What to do with a message. Default: parse it.
    pub parsing: Parsing,
    /// Bounds for connections.
    pub tcp: TcpLimits,
}

impl SyslogConfig {
    /// The default settings.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self {
            common,
            listen_addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            listen_port: 514,
            protocol: Protocol::Udp,
            max_message_len: 2048,
            parsing: Parsing::Rfc,
            tcp: TcpLimits::default(),
        }
    }
}

/// The transports a server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// Both, on the same port.
    Both,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsing {
    /// It is parsed as RFC 3164, then as RFC 5424, and put into one form. What fits neither is
    /// dropped and counted.
    Rfc,
    /// Only the priority is taken off.
    StripPriority,
}

/// Bounds for TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at a time. At the limit a connection that was silent for a minute makes way for
    /// a new one; if there is none, the new one is refused and counted. Default: 256.
    pub max_connections: usize,
    /// A connection silent for this long is closed. Default: one hour.
    pub idle: Duration,
    /// A frame is cut behind this many bytes. Default: 64 KiB.
    pub max_frame: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self { max_connections: 256, idle: Duration::from_secs(3600), max_frame: 64 * 1024 }
    }
}
