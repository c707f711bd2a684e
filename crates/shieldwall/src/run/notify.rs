//! Telling the service manager how things are: started, reloading, stopping, alive.
//!
//! systemd's protocol is a datagram of a few words to the socket it names in the environment; without
//! that name nothing is said. What cannot be said is not worth failing for.

use rustix::time::{ClockId, clock_gettime};
use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};
use tracing::debug;

/// The service manager, if there is one that listens.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// It takes longer silence for a failure.
    patience: Option<Duration>,
}

impl Notify {
    /// The one the environment names.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let socket = match socket(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                debug!(%error, "the service manager cannot be told anything");
                None
            }
        };
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        // The limit may be meant for another process of the service.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let patience = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        Self { socket, patience: patience.map(Duration::from_micros) }
    }

    /// Everything runs, or runs again after [`Self::reloading`].
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// Settings are being read anew.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// How often to call [`Self::alive`]; `None` where nobody waits for it.
    pub(crate) fn pulse(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.patience).map(|patience| patience / 3)
    }

    /// What had to be done regularly was done.
    pub(crate) fn alive(&self) {
        if self.patience.is_some() {
            self.say("WATCHDOG=1");
        }
    }

    fn say(&self, what: &str) {
        let Some((socket, manager)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(what.as_bytes(), manager) {
            debug!(%error, what, "the service manager was not told");
        }
    }
}

/// A socket, and the address of the manager: a path, or a name that begins with `@`.
fn socket(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not listen must not keep us from working.
    socket.set_nonblocking(true)?;
    Ok((socket, manager))
}
