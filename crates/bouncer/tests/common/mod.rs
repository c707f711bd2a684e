//! Hosts and a router as network namespaces, and real packets between them.
//!
//! A namespace lives as long as somebody holds its file, so nothing is left behind, whatever
//! becomes of a test. All names and addresses are its own: tests run side by side.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsRawFd as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use model::Timestamp;
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
            connect, recv, send, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};

/// What a test waits for comes within this, or never.
pub const LIMIT: Duration = Duration::from_secs(60);
/// A packet that did not arrive within this was stopped: the way is a few microseconds long.
pub const GONE: Duration = Duration::from_millis(600);

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(since.as_secs().try_into().unwrap(), since.subsec_nanos())
}

/// Waits until `is_so`, and fails with `what` when that takes too long.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A network namespace.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    pub fn new() -> io::Result<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let namespace = Self(Arc::new(File::open("/proc/thread-self/ns/net")?));
            ip(&["link", "set", "lo", "up"])?;
            Ok(namespace)
        });
        made.join().expect("the thread does not panic")
    }

    /// Runs `work` inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(self.0.as_ref(), CloneFlags::CLONE_NEWNET).expect("the namespace is open");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Connects two namespaces by a cable.
    fn cable(&self, name: &str, other: &Self, other_name: &str) -> io::Result<()> {
        let (path, other_path) = (self.path(), other.path());
        self.run(|| {
            let peer = ["peer", "name", other_name, "netns", &other_path];
            drop(path);
            ip(&[&["link", "add", name, "type", "veth"], &peer[..]].concat())
        })
    }

    fn address(&self, interface: &str, addresses: &[String]) -> io::Result<()> {
        self.run(|| {
            ip(&["link", "set", interface, "up"])?;
            for address in addresses {
                let mut words = vec!["addr", "add", address.as_str(), "dev", interface];
                if address.contains(':') {
                    words.push("nodad");
                }
                ip(&words)?;
            }
            Ok(())
        })
    }

    pub fn nft(&self, words: &str) -> String {
        self.run(|| {
            let output = Command::new("nft").args(words.split(' ')).output().expect("nft starts");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "nft {words}: {error}");
            String::from_utf8(output.stdout).unwrap()
        })
    }
}

fn ip(words: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("ip {}: {error}", words.join(" "))))
}

/// An outside host with many addresses, a host with the firewall, which is also a router, and a
/// host behind it.
pub struct World {
    pub outside: Namespace,
    pub wall: Namespace,
    pub inside: Namespace,
}

impl World {
    /// `None`, and a loud word why, where this is not allowed.
    pub fn new() -> Option<Self> {
        match Self::build() {
            Ok(world) => Some(world),
            Err(error) => {
                eprintln!("SKIPPED: no network namespaces with cables and nft here: {error}");
                None
            }
        }
    }

    fn build() -> io::Result<Self> {
        Command::new("nft").arg("--version").output()?;
        let (outside, wall, inside) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        outside.cable("out0", &wall, "wall0")?;
        inside.cable("in0", &wall, "wall1")?;
        let many = (2..20).flat_map(|n| [format!("10.77.{n}.{n}/16"), format!("fd77::{n}:{n}/64")]);
        outside.address("out0", &many.collect::<Vec<_>>())?;
        wall.address("wall0", &["10.77.0.1/16".to_owned(), "fd77::1/64".to_owned()])?;
        wall.address("wall1", &["10.88.0.1/16".to_owned(), "fd88::1/64".to_owned()])?;
        inside.address("in0", &["10.88.0.2/16".to_owned(), "fd88::2/64".to_owned()])?;
        for (host, v4, v6) in
            [(&outside, "10.77.0.1", "fd77::1"), (&inside, "10.88.0.1", "fd88::1")]
        {
            host.run(|| {
                ip(&["route", "add", "default", "via", v4])?;
                ip(&["-6", "route", "add", "default", "via", v6])
            })?;
        }
        wall.run(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        })?;
        outside.run(|| std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0"))?;
        Ok(Self { outside, wall, inside })
    }
}

/// Answers on one port: TCP connections with a byte, UDP packets with themselves. Counts packets.
pub struct Server {
    pub port: u16,
    stop: Arc<AtomicBool>,
    pub n_packets: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(namespace: &Namespace) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let n_packets = Arc::new(AtomicUsize::new(0));
        let (tcp, udp) = namespace.run(|| {
            let tcp = TcpListener::bind("[::]:0").unwrap();
            tcp.set_nonblocking(true).unwrap();
            let udp = UdpSocket::bind(("::", tcp.local_addr().unwrap().port())).unwrap();
            udp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            (tcp, udp)
        });
        let port = tcp.local_addr().unwrap().port();
        let stopped = Arc::clone(&stop);
        let accepting = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((mut peer, _)) => drop(peer.write_all(b"!")),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&n_packets));
        let echoing = thread::spawn(move || {
            let mut buffer = [0; 64];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((n, from)) = udp.recv_from(&mut buffer) {
                    count.fetch_add(1, Ordering::SeqCst);
                    drop(udp.send_to(&buffer[..n], from));
                }
            }
        });
        Self { port, stop, n_packets, threads: vec![accepting, echoing] }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Yes,
    /// No word within [`GONE`].
    Silence,
    /// An error came back.
    Told(Errno),
}

/// Waits until an attempt succeeds: on a busy machine one may take longer than [`GONE`].
pub fn reached(what: &str, mut attempt: impl FnMut() -> Reached) {
    wait_for(what, || attempt() == Reached::Yes);
}

fn storage(address: IpAddr, port: u16) -> SockaddrStorage {
    SocketAddr::new(address, port).into()
}

fn open(from: IpAddr, kind: SockType, protocol: Option<SockProtocol>) -> std::os::fd::OwnedFd {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    let time = TimeVal::new(0, GONE.as_micros().try_into().unwrap());
    setsockopt(&fd, sockopt::SendTimeout, &time).unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &time).unwrap();
    bind(fd.as_raw_fd(), &storage(from, 0)).unwrap();
    fd
}

fn told(errno: Errno) -> Reached {
    match errno {
        Errno::EINPROGRESS | Errno::EAGAIN | Errno::ETIMEDOUT => Reached::Silence,
        errno => Reached::Told(errno),
    }
}

/// Connects from one of the outside host's addresses.
pub fn tcp(namespace: &Namespace, from: &str, to: &str, port: u16) -> Reached {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    namespace.run(|| {
        let fd = open(from, SockType::Stream, None);
        match connect(fd.as_raw_fd(), &storage(to, port)) {
            Ok(()) => {
                let mut byte = [0];
                let mut stream = std::net::TcpStream::from(fd);
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                stream.read_exact(&mut byte).map_or_else(|_| Reached::Silence, |()| Reached::Yes)
            }
            Err(errno) => told(errno),
        }
    })
}

/// Sends a packet and waits for it to come back.
pub fn udp(namespace: &Namespace, from: &str, to: &str, port: u16) -> Reached {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    namespace.run(|| {
        let fd = open(from, SockType::Datagram, None);
        exchange(&fd, &storage(to, port), b"hello")
    })
}

/// Asks for an echo by ICMP.
pub fn ping(namespace: &Namespace, from: &str, to: &str) -> Reached {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    namespace.run(|| {
        let (protocol, kind) =
            if from.is_ipv4() { (SockProtocol::Icmp, 8) } else { (SockProtocol::IcmpV6, 128) };
        let fd = open(from, SockType::Datagram, Some(protocol));
        // Kind, code, checksum and identifier (the kernel's work), sequence.
        exchange(&fd, &storage(to, 0), &[kind, 0, 0, 0, 0, 0, 0, 1, b'x'])
    })
}

fn exchange(fd: &std::os::fd::OwnedFd, to: &SockaddrStorage, packet: &[u8]) -> Reached {
    let answer = connect(fd.as_raw_fd(), to)
        .and_then(|()| send(fd.as_raw_fd(), packet, MsgFlags::empty()))
        .and_then(|_| recv(fd.as_raw_fd(), &mut [0; 64], MsgFlags::empty()));
    answer.map_or_else(told, |_| Reached::Yes)
}

/// Sends packets from one address without pause until dropped.
pub struct Prober {
    stop: Arc<AtomicBool>,
    pub n_sent: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Prober {
    pub fn start(namespace: &Namespace, from: &str, to: &str, port: u16) -> Self {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let n_sent = Arc::new(AtomicUsize::new(0));
        let socket = namespace.run(|| UdpSocket::bind((from, 0)).unwrap());
        let (stopped, sent) = (Arc::clone(&stop), Arc::clone(&n_sent));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if socket.send_to(b"x", (to, port)).is_ok() {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(Duration::from_micros(200));
            }
        });
        Self { stop, n_sent, thread: Some(thread) }
    }

    /// Waits until some more packets were sent: what happened before is then long in effect.
    pub fn some_more(&self) {
        let before = self.n_sent.load(Ordering::SeqCst);
        wait_for("packets being sent", || self.n_sent.load(Ordering::SeqCst) > before + 50);
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
