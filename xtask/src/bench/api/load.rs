//! A load generator: many connections that each send a request, wait for the answer, send the next.
//!
//! One thread and one `epoll`, so that most of the machine is left to the server. Nothing is sent
//! before its predecessor was answered. With a pace, every connection has its own timetable, and a
//! request that had to wait for its turn counts from the time it was due: a server that stalls
//! cannot hide it by slowing the questions down.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::fd::OwnedFd;

use super::http;

/// What is sent, how, and for how long.
pub(super) struct Load<'a> {
    pub(super) address: SocketAddr,
    pub(super) n_connections: usize,
    /// From one request of a connection to its next; `None`: as soon as it was answered.
    pub(super) pace: Option<Duration>,
    pub(super) length: Duration,
    /// Writes the next request of the connection with this number.
    pub(super) make: &'a mut dyn FnMut(usize, &mut Vec<u8>),
    /// Whether an answer is as it must be.
    pub(super) accept: &'a mut dyn FnMut(u16, &[u8]) -> bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) n_answers: usize,
    /// Answers that were not accepted.
    pub(super) n_wrong: usize,
    /// Answers that had not come when patience ended.
    pub(super) n_missing: usize,
    pub(super) seconds: f64,
    /// Sorted, in microseconds.
    latencies: Vec<u32>,
}

impl Outcome {
    pub(super) fn per_second(&self) -> f64 {
        self.n_answers as f64 / self.seconds.max(1e-9)
    }

    /// The latency below which a share of the answers lies, in milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).ceil() as usize;
        self.latencies.get(at.min(last)).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

struct Connection {
    socket: TcpStream,
    /// When the request that waits for its answer was due; `None`: none does.
    asked: Option<Instant>,
    /// When the next one is due.
    due: Instant,
    out: Vec<u8>,
    n_sent: usize,
    read: Vec<u8>,
}

/// Runs a load to its end: what was asked in time is waited for.
pub(super) fn run(load: Load<'_>) -> Result<Outcome> {
    let Load { address, n_connections, pace, length, make, accept } = load;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(n_connections);
    for number in 0..n_connections {
        connections.push(connect(address, &epoll, number)?);
    }
    let start = Instant::now();
    let end = start + length;
    for (number, connection) in connections.iter_mut().enumerate() {
        // Spread over the pace, as if they had been started at different times.
        let share = number as f64 / n_connections as f64;
        connection.due = start + pace.map_or(Duration::ZERO, |pace| pace.mul_f64(share));
    }
    // What was due in time is asked even when it is late.
    let is_due = |connection: &Connection, now: Instant| match pace {
        // An overloaded server is not asked for ever.
        Some(_) => connection.due <= now && connection.due < end && now < end + PATIENCE / 4,
        None => now < end,
    };
    let mut outcome = Outcome::default();
    let mut events = Vec::with_capacity(1024);
    let mut chunk = vec![0; 64 << 10];
    loop {
        let now = Instant::now();
        let mut is_idle = now >= end;
        for (number, connection) in connections.iter_mut().enumerate() {
            if connection.asked.is_none() && is_due(connection, now) {
                connection.ask(number, pace, now, make)?;
            }
            is_idle &= connection.asked.is_none();
        }
        if is_idle {
            break;
        }
        if now >= end + PATIENCE {
            outcome.n_missing = connections.iter().filter(|one| one.asked.is_some()).count();
            let patience = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
            outcome.latencies.extend(std::iter::repeat_n(patience, outcome.n_missing));
            break;
        }
        let pause = if pace.is_some() { 1_000_000 } else { 100_000_000 };
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: pause };
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => bail!("waiting: {error}"),
        }
        for event in events.drain(..) {
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(connection) = connections.get_mut(number) else { continue };
            connection.flush()?;
            let Some((latency, is_right)) = connection.take(&mut chunk, accept)? else { continue };
            outcome.n_answers += 1;
            outcome.n_wrong += usize::from(!is_right);
            outcome.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            let now = Instant::now();
            if is_due(connection, now) {
                connection.ask(number, pace, now, make)?;
            }
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

fn connect(address: SocketAddr, epoll: &OwnedFd, number: usize) -> Result<Connection> {
    let socket = TcpStream::connect(address).context("connecting")?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let data = epoll::EventData::new_u64(u64::try_from(number)?);
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    epoll::add(epoll, &socket, data, flags)?;
    let due = Instant::now();
    Ok(Connection { socket, asked: None, due, out: Vec::new(), n_sent: 0, read: Vec::new() })
}

impl Connection {
    fn ask(
        &mut self,
        number: usize,
        pace: Option<Duration>,
        now: Instant,
        make: &mut dyn FnMut(usize, &mut Vec<u8>),
    ) -> Result<()> {
        self.out.clear();
        self.n_sent = 0;
        make(number, &mut self.out);
        self.asked = Some(if pace.is_some() { self.due } else { now });
        self.due = pace.map_or(now, |pace| self.due + pace);
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        while self.n_sent < self.out.len() {
            match self.socket.write(&self.out[self.n_sent..]) {
                Ok(n) => self.n_sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("asking"),
            }
        }
        Ok(())
    }

    /// Reads what has come; when the answer is whole, how long it took and whether it is right.
    fn take(
        &mut self,
        chunk: &mut [u8],
        accept: &mut dyn FnMut(u16, &[u8]) -> bool,
    ) -> Result<Option<(Duration, bool)>> {
        loop {
            match self.socket.read(chunk) {
                Ok(0) => bail!("the server hung up"),
                Ok(n) => {
                    self.read.extend_from_slice(&chunk[..n]);
                    // A short read means there is no more, which saves asking for it.
                    if n < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("reading an answer"),
            }
        }
        let Some(asked) = self.asked else { return Ok(None) };
        let Some(answer) = http::answer(&self.read)? else { return Ok(None) };
        let is_right = accept(answer.status, &self.read[answer.body]);
        self.read.clear();
        self.asked = None;
        Ok(Some((asked.elapsed(), is_right)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// Answers every request on every connection with four bytes, until all have hung up.
    fn serve(listener: &TcpListener, n_connections: usize) {
        std::thread::scope(|scope| {
            for _ in 0..n_connections {
                let (mut socket, _) = listener.accept().expect("a caller");
                scope.spawn(move || {
                    let mut lines = BufReader::new(socket.try_clone().expect("a socket"));
                    let mut line = String::new();
                    while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                        if line == "\r\n" {
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull";
                            socket.write_all(answer).expect("answering");
                        }
                        line.clear();
                    }
                });
            }
        });
    }

    fn check(pace: Option<Duration>) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || serve(&listener, 3));
        let credential = http::Credential::Nobody;
        let outcome = run(Load {
            address,
            n_connections: 3,
            pace,
            length: Duration::from_millis(200),
            make: &mut |_, out| out.extend(http::get("/", &credential)),
            accept: &mut |status, body| status == 200 && body == b"null",
        })
        .expect("an outcome");
        server.join().expect("a server that ends");
        assert!(outcome.n_wrong == 0 && outcome.n_missing == 0);
        assert!(outcome.quantile(0.5) <= outcome.quantile(1.0));
        outcome
    }

    #[test]
    fn paced_and_unpaced_loads_are_answered() {
        assert!(check(None).n_answers > 3);
        // Due at 0, 50, 100 and 150 ms on each connection, each a third of the pace later.
        assert_eq!(check(Some(Duration::from_millis(50))).n_answers, 12);
    }
}
