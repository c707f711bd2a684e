//! Connections: bounded in number, in silence and in the size of what they hold.

use super::{config::TcpLimits, framing::Framer, run::Outlet};
use crate::context::{Context, SourceError, count};
use std::{
    io::{self, Read},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// At the limit, a connection silent for this long makes way for a new one.
const MAKES_WAY: Duration = Duration::from_secs(60);

/// Read from one connection before the next gets its turn.
const CHUNK: usize = 16 * 1024;

/// A peer that is connected.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    from: IpAddr,
    framer: Framer,
    heard_at: Duration,
}

/// Binds the listener.
pub(super) fn bind(at: SocketAddr) -> Result<TcpListener, SourceError> {
    let bind = || {
        let listener = TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error: io::Error| SourceError::system(format!("listening on tcp {at}"), error))
}

/// Accepts whoever is waiting, within the limits.
pub(super) fn accept(
    listener: &TcpListener,
    limits: &TcpLimits,
    connections: &mut Vec<Connection>,
    outlet: &Outlet<'_>,
    context: &Context<'_>,
) {
    let now = context.clock.monotonic();
    // Errors concern the connection (it is gone again) or the process (no descriptor left); either
    // way the next turn tries again.
    while let Ok((stream, from)) = listener.accept() {
        if connections.len() >= limits.max_connections {
            let longest = (0..connections.len()).min_by_key(|index| connections[*index].heard_at);
            let longest = longest
                .filter(|index| now.saturating_sub(connections[*index].heard_at) >= MAKES_WAY);
            let Some(index) = longest else {
                count(&outlet.counters().refused_connections);
                continue;
            };
            connections.swap_remove(index);
        }
        if stream.set_nonblocking(true).is_ok() {
            let framer = Framer::new(limits.max_frame);
            connections.push(Connection { stream, from: from.ip(), framer, heard_at: now });
        }
    }
}

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Closed,
}

impl Connection {
    /// Reads one chunk and hands over its frames.
    pub(super) fn read(&mut self, outlet: &mut Outlet<'_>, context: &Context<'_>) -> Fate {
        let mut chunk = [0; CHUNK];
        let now = outlet.now(context);
        let from = self.from;
        let n_read = match self.stream.read(&mut chunk) {
            Ok(n_read) => n_read,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => return Fate::Open,
                // Reset by its peer: what came before was complete or will be sent again.
                _ => 0,
            },
        };
        if n_read == 0 {
            self.framer.finish(|frame| outlet.push_frame(frame, from, &now, context));
            return Fate::Closed;
        }
        self.heard_at = context.clock.monotonic();
        let fed = self
            .framer
            .feed(&chunk[..n_read], |frame| outlet.push_frame(frame, from, &now, context));
        if fed.is_err() {
            count(&outlet.counters().malformed);
            return Fate::Closed;
        }
        Fate::Open
    }

    /// Whether nothing was heard for `idle`.
    pub(super) const fn is_idle(&self, now: Duration, idle: Duration) -> bool {
        now.saturating_sub(self.heard_at).as_nanos() >= idle.as_nanos()
    }
}
