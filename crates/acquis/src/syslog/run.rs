//! The server's loop, and the one place its lines go through.

use super::{
    config::{Protocol, SyslogConfig},
    decode::{Decoded, Moment, decode},
    framing::Frame,
    tcp::{self, Connection, Fate},
    udp,
};
use crate::{
    batch::{Batch, LineSink, Refused},
    context::{Context, Counters, SourceError, Wake, add, count},
    throttle::Throttle,
};
use jiff::tz::TimeZone;
use model::{Line, SourceId, Timestamp};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};
use tracing::{info, warn};

/// Addresses that get a line source of their own; all others share one (I5): addresses of
/// datagrams cost their sender nothing.
const MAX_CLIENTS: usize = 10_000;

/// How often room in the channel is looked for while there is none.
const BLOCKED: Duration = Duration::from_millis(20);

/// How often silent connections are looked for.
const IDLE: Duration = Duration::from_secs(1);

/// Serves until stopping is asked for.
pub(crate) fn run(
    config: &SyslogConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    Server::bind(config)?.serve(config, sink, context)
}

/// The open sockets.
pub(super) struct Server {
    udp: Option<UdpSocket>,
    tcp: Option<TcpListener>,
}

impl Server {
    pub(super) fn bind(config: &SyslogConfig) -> Result<Self, SourceError> {
        let at = SocketAddr::new(config.listen_addr, config.listen_port);
        let (udp, tcp) = match config.protocol {
            Protocol::Udp => (Some(udp::bind(at)?), None),
            Protocol::Tcp => (None, Some(tcp::bind(at)?)),
            Protocol::Both => (Some(udp::bind(at)?), Some(tcp::bind(at)?)),
        };
        Ok(Self { udp, tcp })
    }

    #[cfg(test)]
    pub(super) fn addrs(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let udp = self.udp.as_ref().and_then(|socket| socket.local_addr().ok());
        let tcp = self.tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        (udp, tcp)
    }

    pub(super) fn serve(
        self,
        config: &SyslogConfig,
        sink: &LineSink,
        context: &Context<'_>,
    ) -> Result<(), SourceError> {
        info!(addr = %config.listen_addr, port = config.listen_port, "syslog server listening");
        let mut outlet = Outlet::new(config, sink);
        let mut connections: Vec<Connection> = Vec::new();
        loop {
            let blocked = !outlet.flush(context)?;
            // Unread connections slow their peers; that is all the back-pressure there is.
            let full = !outlet.make_room()?;
            let served: &[Connection] = if full { &[] } else { &connections };
            let mut inputs = Vec::with_capacity(served.len() + 2);
            inputs.extend(self.udp.as_ref().map(AsFd::as_fd));
            inputs.extend(self.tcp.as_ref().map(AsFd::as_fd));
            inputs.extend(served.iter().map(|connection| connection.stream.as_fd()));
            let limit = if blocked { BLOCKED } else { IDLE };
            let mut ready = match context.stop.wait_for(&inputs, limit) {
                Wake::Stop => break,
                Wake::Timeout => Vec::new(),
                Wake::Ready(ready) => ready,
            }
            .into_iter();
            if let Some(socket) = &self.udp
                && ready.next() == Some(true)
            {
                udp::receive(socket, config.max_message_len, &mut outlet, context)?;
            }
            let knocked = self.tcp.is_some() && ready.next() == Some(true);
            let now = context.clock.monotonic();
            connections.retain_mut(|connection| {
                // A failure to make room shows again when the loop comes round.
                if ready.next() == Some(true) && outlet.make_room().unwrap_or(false) {
                    return connection.read(&mut outlet, context) == Fate::Open;
                }
                full || !connection.is_idle(now, config.tcp.idle)
            });
            if let Some(listener) = self.tcp.as_ref().filter(|_| knocked) {
                tcp::accept(listener, &config.tcp, &mut connections, &outlet, context);
            }
        }
        outlet.finish(context)
    }
}

/// The moment of a read: as lines are stamped, and as a message without date shows it.
pub(super) struct Now {
    read_at: Timestamp,
    local: Moment,
}

/// Turns frames into lines and hands them over without waiting.
pub(super) struct Outlet<'a> {
    config: &'a SyslogConfig,
    sink: &'a LineSink,
    zone: TimeZone,
    batch: Batch,
    line: Vec<u8>,
    clients: HashMap<IpAddr, SourceId>,
    others: Option<SourceId>,
    blocked_since: Option<Duration>,
    throttle: Throttle,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(config: &'a SyslogConfig, sink: &'a LineSink) -> Self {
        Self {
            config,
            sink,
            zone: TimeZone::system(),
            batch: sink.batch(),
            line: Vec::new(),
            clients: HashMap::new(),
            others: None,
            blocked_since: None,
            throttle: Throttle::default(),
        }
    }

    pub(super) const fn counters(&self) -> &Arc<Counters> {
        self.sink.counters()
    }

    /// The present moment, in the local zone.
    pub(super) fn now(&self, context: &Context<'_>) -> Now {
        let read_at = context.clock.now();
        let at = jiff::Timestamp::from_nanosecond(read_at.unix_nanos().into());
        let local = at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone());
        // All of these are small and not negative.
        let small = |n: i8| u8::try_from(n).unwrap_or_default();
        let local = Moment {
            month: small(local.month()),
            day: small(local.day()),
            hour: small(local.hour()),
            minute: small(local.minute()),
            second: small(local.second()),
        };
        Now { read_at, local }
    }

    pub(super) fn push_frame(
        &mut self,
        frame: Frame<'_>,
        from: IpAddr,
        now: &Now,
        context: &Context<'_>,
    ) {
        if frame.cut {
            count(&self.counters().cut);
        }
        self.push(frame.text, from, now, context);
    }

    /// Adds the line of one message.
    pub(super) fn push(&mut self, frame: &[u8], from: IpAddr, now: &Now, context: &Context<'_>) {
        let mut line = std::mem::take(&mut self.line);
        let counters = self.sink.counters();
        match decode(frame, self.config.parsing, now.local, &mut line) {
            Decoded::Rfc3164 => count(&counters.rfc3164),
            Decoded::Rfc5424 => count(&counters.rfc5424),
            Decoded::Stripped => {}
            Decoded::Malformed => {
                count(&counters.malformed);
                if let Some(n) = self.throttle.report(context.clock.monotonic()) {
                    let start = String::from_utf8_lossy(&frame[..frame.len().min(256)]);
                    warn!(client = %from, message = ?start, n, "not a syslog message");
                }
            }
        }
        if !line.is_empty() {
            let source = self.client(from.to_canonical(), context);
            self.batch.push(Line { text: &line, source, read_at: now.read_at });
        }
        self.line = line;
    }

    /// The line source of a client.
    fn client(&mut self, from: IpAddr, context: &Context<'_>) -> SourceId {
        if let Some(id) = self.clients.get(&from) {
            return *id;
        }
        let register =
            |src: &str| context.registry.register(self.config.common.line_source("syslog", src));
        if self.clients.len() < MAX_CLIENTS {
            let id = register(&from.to_string());
            self.clients.insert(from, id);
            return id;
        }
        *self.others.get_or_insert_with(|| register("other"))
    }

    /// Whether another line fits, after handing over what can be handed over at once.
    pub(super) fn make_room(&mut self) -> Result<bool, SourceError> {
        if self.batch.is_full() {
            self.try_send()?;
        }
        Ok(!self.batch.is_full())
    }

    /// Hands over what there is if that is possible at once; returns whether it was.
    fn flush(&mut self, context: &Context<'_>) -> Result<bool, SourceError> {
        if !self.batch.is_empty() {
            self.try_send()?;
        }
        let blocked = !self.batch.is_empty();
        let now = context.clock.monotonic();
        match (blocked, self.blocked_since) {
            (true, None) => {
                count(&self.counters().waits);
                self.blocked_since = Some(now);
            }
            (false, Some(since)) => {
                let waited = now.saturating_sub(since).as_nanos();
                add(&self.counters().waited_nanos, u64::try_from(waited).unwrap_or(u64::MAX));
                self.blocked_since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        Ok(!blocked)
    }

    fn try_send(&mut self) -> Result<(), SourceError> {
        match self.sink.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => self.batch = self.sink.batch(),
            Err(Refused::Full(batch)) => self.batch = batch,
            Err(Refused::Closed) => return Err(SourceError::Closed),
        }
        Ok(())
    }

    fn finish(mut self, context: &Context<'_>) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        Ok(self.sink.send(std::mem::take(&mut self.batch), context.clock)?)
    }
}
