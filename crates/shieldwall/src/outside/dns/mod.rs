//! Reverse DNS: the first name of an address, remembered, within three seconds.
//!
//! The system's own look-up of names by address can neither be bounded in time nor called without
//! `unsafe`, so this asks the name servers of `/etc/resolv.conf` itself, one question per packet,
//! after `/etc/hosts`. When nobody answers several times in a row, nobody is asked for a while: an
//! attack must not make every alert wait for a dead name server.

pub(super) mod wire;

use crate::{clock::SystemClock, config::DnsSettings};
use acquis::Clock as _;
use std::{
    collections::HashMap,
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tracing::debug;
use wire::Answer;

/// How long one look-up may take, over all servers.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Look-ups without any answer after which servers are left alone for [`PAUSE`].
const PATIENCE: u32 = 3;

/// How long they are left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// Servers asked, as the system's own resolver does.
const MAX_SERVERS: usize = 3;

/// Asks for names and remembers the answers.
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    hosts: HashMap<IpAddr, String>,
    settings: DnsSettings,
    clock: SystemClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers in two generations: when the young one is half the allowed size it becomes the old
    /// one, and what was asked for again moved over before. So memory is bounded without a list.
    young: HashMap<IpAddr, Remembered>,
    old: HashMap<IpAddr, Remembered>,
    n_silent: u32,
    asleep_until: Duration,
}

#[derive(Clone)]
struct Remembered {
    name: Option<String>,
    until: Duration,
}

impl Resolver {
    /// A resolver that asks whom the system asks.
    pub(super) fn of_system(settings: DnsSettings, clock: SystemClock) -> Self {
        let conf = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        Self::new(servers(&conf), static_names(&hosts), settings, clock)
    }

    fn new(
        servers: Vec<SocketAddr>,
        hosts: HashMap<IpAddr, String>,
        settings: DnsSettings,
        clock: SystemClock,
    ) -> Self {
        Self { servers, hosts, settings, clock, state: Mutex::default() }
    }

    /// The first name of an address, with its final dot.
    pub(super) fn reverse(&self, ip: IpAddr) -> Option<String> {
        if let Some(name) = self.hosts.get(&ip) {
            return Some(name.clone());
        }
        let now = self.clock.monotonic();
        {
            let mut state = self.state();
            if let Some(known) = state.recall(ip, now, self.settings.size) {
                return known.name;
            }
            if now < state.asleep_until {
                return None;
            }
        }
        // Not under the lock: others may find their answers meanwhile.
        let answer = self.ask(ip);
        let now = self.clock.monotonic();
        let mut state = self.state();
        let Some(answer) = answer else {
            state.n_silent += 1;
            if state.n_silent >= PATIENCE {
                debug!("no name server answers, leaving them alone for a while");
                state.n_silent = 0;
                state.asleep_until = now.saturating_add(PAUSE);
            }
            return None;
        };
        state.n_silent = 0;
        let ttl = if answer.is_some() { self.settings.ttl } else { self.settings.negative_ttl };
        let remembered = Remembered { name: answer.clone(), until: now.saturating_add(ttl) };
        state.remember(ip, remembered, self.settings.size);
        answer
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Entries are replaced whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the servers in turn. `None`: nobody answered. `Some(None)`: there is no name.
    #[expect(clippy::option_option, reason = "no answer and no name are two things")]
    fn ask(&self, ip: IpAddr) -> Option<Option<String>> {
        let started = self.clock.monotonic();
        for (index, server) in self.servers.iter().enumerate() {
            let spent = self.clock.monotonic().saturating_sub(started);
            let n_left = u32::try_from(self.servers.len() - index).unwrap_or(1);
            let share = TIMEOUT.saturating_sub(spent) / n_left;
            if share.is_zero() {
                return None;
            }
            // Predictable numbers would let strangers answer in the server's place.
            let random = RandomState::new().hash_one(ip);
            let question = wire::question(ip, u16::try_from(random & 0xffff).unwrap_or(0));
            match self.exchange(*server, &question, share) {
                Ok(Answer::Name(name)) => return Some(Some(name)),
                Ok(Answer::NoName) => return Some(None),
                Ok(Answer::Truncated | Answer::Refused) => {}
                Err(error) => debug!(%server, %error, "name server did not answer"),
            }
        }
        None
    }

    fn exchange(&self, server: SocketAddr, question: &[u8], limit: Duration) -> io::Result<Answer> {
        let deadline = self.clock.monotonic().saturating_add(limit);
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        // A fresh port each time, and only packets of this server are received.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.send(question)?;
        let mut buffer = [0; 4096];
        loop {
            socket.set_read_timeout(Some(self.left(deadline)?))?;
            let length = socket.recv(&mut buffer)?;
            match wire::answer(&buffer[..length], question) {
                // Something else arrived; ours may still come.
                None => {}
                Some(Answer::Truncated) => return self.exchange_tcp(server, question, deadline),
                Some(answer) => return Ok(answer),
            }
        }
    }

    fn exchange_tcp(
        &self,
        server: SocketAddr,
        question: &[u8],
        deadline: Duration,
    ) -> io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&server, self.left(deadline)?)?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        stream.set_write_timeout(Some(self.left(deadline)?))?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(question)?;
        stream.set_read_timeout(Some(self.left(deadline)?))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        let mut filled = 0;
        while filled < message.len() {
            // A server that sends byte by byte must not stretch the limit.
            stream.set_read_timeout(Some(self.left(deadline)?))?;
            match stream.read(&mut message[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        wire::answer(&message, question).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn left(&self, deadline: Duration) -> io::Result<Duration> {
        let left = deadline.saturating_sub(self.clock.monotonic());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl State {
    fn recall(&mut self, ip: IpAddr, now: Duration, size: usize) -> Option<Remembered> {
        if let Some(known) = self.young.get(&ip) {
            return Some(known.clone()).filter(|known| known.until > now);
        }
        let known = self.old.remove(&ip).filter(|known| known.until > now)?;
        self.remember(ip, known.clone(), size);
        Some(known)
    }

    fn remember(&mut self, ip: IpAddr, answer: Remembered, size: usize) {
        if self.young.len() >= (size / 2).max(1) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ip, answer);
    }
}

/// The name servers of a `resolv.conf`; this host where it names none.
fn servers(conf: &str) -> Vec<SocketAddr> {
    let named = conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        words.next().filter(|_| is_server)?.parse().ok()
    });
    let mut servers: Vec<SocketAddr> =
        named.take(MAX_SERVERS).map(|ip: IpAddr| SocketAddr::new(ip, 53)).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    servers
}

/// The first name of each address of a `hosts` file.
fn static_names(hosts: &str) -> HashMap<IpAddr, String> {
    let mut names = HashMap::new();
    for line in hosts.lines() {
        let text = line.split('#').next().unwrap_or("");
        let mut words = text.split_whitespace();
        if let (Some(ip), Some(name)) = (words.next().and_then(|ip| ip.parse().ok()), words.next())
        {
            let dot = if name.ends_with('.') { "" } else { "." };
            names.entry(ip).or_insert_with(|| format!("{name}{dot}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn resolver(server: SocketAddr) -> Resolver {
        let settings = DnsSettings { size: 4, ..DnsSettings::default() };
        Resolver::new(vec![server], HashMap::new(), settings, SystemClock::start())
    }

    #[test]
    fn system_files_are_read() {
        let found =
            servers("# x\nnameserver 192.0.2.1\nnameserver bad\n nameserver ::1\nsearch a\n");
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"].map(|it| it.parse().unwrap()));
        assert_eq!(servers("")[0].to_string(), "127.0.0.1:53");
        let names = static_names("127.0.0.1 localhost other # c\n::1 a.example.\nx y\n");
        assert_eq!(names[&"127.0.0.1".parse::<IpAddr>().unwrap()], "localhost.");
        assert_eq!(names[&"::1".parse::<IpAddr>().unwrap()], "a.example.");
    }

    #[test]
    fn a_name_is_asked_for_once() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let resolver = resolver(server.local_addr().unwrap());
        let served = thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            // A stranger's guess first: a wrong number.
            let mut wrong = wire::reply(&buffer[..length], Some("evil.example."));
            wrong[0] ^= 0xff;
            server.send_to(&wrong, from).unwrap();
            let reply = wire::reply(&buffer[..length], Some("host-1.example.org."));
            server.send_to(&reply, from).unwrap();
        });
        let ip: IpAddr = "192.0.2.9".parse().unwrap();
        assert_eq!(resolver.reverse(ip).as_deref(), Some("host-1.example.org."));
        served.join().unwrap();
        // The server is gone: this one is remembered.
        assert_eq!(resolver.reverse(ip).as_deref(), Some("host-1.example.org."));
    }

    #[test]
    fn dead_servers_are_left_alone() {
        // A closed port refuses at once on loopback.
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let resolver = resolver(closed);
        for last in 0..PATIENCE {
            let ip = IpAddr::from([192, 0, 2, u8::try_from(last).unwrap()]);
            assert_eq!(resolver.reverse(ip), None);
        }
        assert!(resolver.state().asleep_until > Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_used_entries_stay() {
        let mut state = State::default();
        let answer = Remembered { name: None, until: Duration::MAX };
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        for n in 0..100 {
            state.remember(ip(n), answer.clone(), 8);
            assert!(state.recall(ip(0), Duration::ZERO, 8).is_some(), "{n}");
            assert!(state.young.len() + state.old.len() <= 8);
        }
        assert!(state.recall(ip(50), Duration::ZERO, 8).is_none());
    }
}
