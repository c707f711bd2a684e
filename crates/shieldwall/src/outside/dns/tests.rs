//! Against name servers that live in this process and speak the real protocol on loopback.

use super::*;
use hickory_resolver::{
    config::ConnectionConfig,
    proto::{
        op::{Message, ResponseCode},
        rr::{Record, rdata::PTR},
    },
};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::mpsc,
    thread,
};

const LIMIT: Duration = Duration::from_millis(1500);

fn resolver(port: u16, settings: DnsSettings, limit: Duration) -> Resolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = port;
        connection
    });
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, connections.into());
    let servers = ResolverConfig::from_name_servers(vec![server]);
    Resolver::new(servers, HashMap::new(), settings, limit, SystemClock::start())
}

/// What a server says to a question: its name, or none.
fn reply(question: &[u8], name: Option<&[&[u8]]>) -> Message {
    let mut message = Message::from_vec(question).unwrap().into_response();
    message.additionals.clear();
    match name {
        Some(labels) => {
            let owner = message.queries[0].name().clone();
            let name = Name::from_labels(labels.iter().copied()).unwrap();
            message.add_answer(Record::from_rdata(owner, 60, RData::PTR(PTR(name))));
        }
        None => message.metadata.response_code = ResponseCode::NXDomain,
    }
    message
}

/// A server that answers each question with the next of `replies`, tells which names it was asked
/// for, and then is gone.
fn serve<F>(replies: Vec<F>) -> (u16, mpsc::Receiver<String>)
where
    F: FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for reply in replies {
            let mut buffer = [0; 4096];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let question = &buffer[..length];
            let name = Message::from_vec(question).unwrap().queries[0].name().to_string();
            for packet in reply(question) {
                server.send_to(&packet, from).unwrap();
            }
            let _the_test_has_ended = sender.send(name);
        }
    });
    (port, asked)
}

fn says(name: &'static [&'static [u8]]) -> impl FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'static {
    move |question| vec![reply(question, Some(name)).to_vec().unwrap()]
}

#[test]
fn the_hosts_file_gives_the_first_name_of_an_address() {
    let text = "127.0.0.1 localhost other # c\n::1 a.example.\nx y\n127.0.0.1 late\n";
    let names = static_names(text);
    assert_eq!(names[&"127.0.0.1".parse::<IpAddr>().unwrap()], "localhost.");
    assert_eq!(names[&"::1".parse::<IpAddr>().unwrap()], "a.example.");
    assert_eq!(names.len(), 2);
}

#[test]
fn a_name_is_asked_for_once() {
    let (port, asked) = serve(vec![|question: &[u8]| {
        // A stranger's guess first: a wrong number.
        let mut wrong = reply(question, Some(&[b"evil", b"example"])).to_vec().unwrap();
        wrong[0] ^= 0xff;
        let right = reply(question, Some(&[b"host-1", b"example", b"org"])).to_vec().unwrap();
        vec![wrong, right]
    }]);
    let resolver = resolver(port, DnsSettings::default(), LIMIT);
    let ip: IpAddr = "192.0.2.9".parse().unwrap();
    assert_eq!(resolver.reverse(ip).as_deref(), Some("host-1.example.org."));
    assert_eq!(asked.recv().unwrap(), "9.2.0.192.in-addr.arpa.");
    // The server is gone: this one is remembered.
    assert_eq!(resolver.reverse(ip).as_deref(), Some("host-1.example.org."));
}

#[test]
fn what_may_not_be_remembered_is_asked_for_again() {
    let settings = DnsSettings { ttl: Duration::ZERO, ..DnsSettings::default() };
    let (port, asked) = serve(vec![says(&[b"one", b"example"]), says(&[b"two", b"example"])]);
    let resolver = resolver(port, settings, LIMIT);
    let ip: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(resolver.reverse(ip).as_deref(), Some("one.example."));
    assert_eq!(resolver.reverse(ip).as_deref(), Some("two.example."));
    let name = asked.recv().unwrap();
    assert!(name.starts_with("1.0.0.0.") && name.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa."), "{name}");
}

#[test]
fn the_absence_of_a_name_is_remembered_and_is_no_silence() {
    let none = |question: &[u8]| vec![reply(question, None).to_vec().unwrap()];
    let (port, asked) = serve(vec![none]);
    let resolver = resolver(port, DnsSettings::default(), LIMIT);
    let ip: IpAddr = "192.0.2.10".parse().unwrap();
    for _ in 0..=PATIENCE {
        assert_eq!(resolver.reverse(ip), None);
    }
    assert_eq!(asked.iter().count(), 1);
    assert_eq!(resolver.silence().asleep_until, Duration::ZERO);
}

#[test]
fn a_server_in_trouble_is_no_dead_server() {
    let trouble = |question: &[u8]| {
        let mut message = reply(question, None);
        message.metadata.response_code = ResponseCode::ServFail;
        vec![message.to_vec().unwrap()]
    };
    let (port, _asked) = serve(vec![trouble; 20]);
    let resolver = resolver(port, DnsSettings::default(), LIMIT);
    for last in 0..=u8::try_from(PATIENCE).unwrap() {
        assert_eq!(resolver.reverse(IpAddr::from([192, 0, 2, last])), None);
    }
    assert_eq!(resolver.silence().asleep_until, Duration::ZERO);
}

#[test]
fn odd_names_are_none() {
    for labels in [&[b"a b".as_slice(), b"example"], &[b"a\n", b"example"], &[b"a.b", b"example"]] {
        assert_eq!(text_of(&Name::from_labels(labels.iter().copied()).unwrap()), None);
    }
    assert_eq!(text_of(&Name::root()), None);
    let (port, _asked) = serve(vec![says(&[b"$(reboot)", b"example"])]);
    let resolver = resolver(port, DnsSettings::default(), LIMIT);
    assert_eq!(resolver.reverse("192.0.2.11".parse().unwrap()), None);
}

#[test]
fn garbage_is_no_answer() {
    let garbage = |question: &[u8]| {
        let right = reply(question, Some(&[b"x", b"example"])).to_vec().unwrap();
        let mut packets: Vec<Vec<u8>> = (0..right.len()).map(|end| right[..end].to_vec()).collect();
        // A name that points at itself.
        let mut circle = right.clone();
        let at = question.len().min(right.len() - 2);
        circle[at..at + 2].copy_from_slice(&[0xc0, u8::try_from(at).unwrap_or(12)]);
        packets.push(circle);
        packets
    };
    let (port, _asked) = serve(vec![garbage; 4]);
    let resolver = resolver(port, DnsSettings::default(), Duration::from_millis(300));
    assert_eq!(resolver.reverse("192.0.2.12".parse().unwrap()), None);
}

#[test]
fn long_answers_come_by_tcp() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    let served = thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (length, from) = udp.recv_from(&mut buffer).unwrap();
        let mut short = reply(&buffer[..length], None);
        short.metadata.response_code = ResponseCode::NoError;
        short.metadata.truncation = true;
        udp.send_to(&short.to_vec().unwrap(), from).unwrap();
        let (mut stream, _from) = tcp.accept().unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        let long = reply(&question, Some(&[b"long", b"example"])).to_vec().unwrap();
        stream.write_all(&u16::try_from(long.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&long).unwrap();
        // Whoever closes first would race with the answer.
        let _end = stream.read(&mut [0]);
    });
    let resolver = resolver(address.port(), DnsSettings::default(), LIMIT);
    let name = resolver.reverse("192.0.2.13".parse().unwrap());
    assert_eq!(name.as_deref(), Some("long.example."));
    drop(resolver);
    served.join().unwrap();
}

#[test]
fn silent_servers_are_left_alone() {
    // It listens and says nothing.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let resolver = resolver(port, DnsSettings::default(), Duration::from_millis(50));
    let clock = SystemClock::start();
    for last in 0..u8::try_from(PATIENCE).unwrap() {
        assert_eq!(resolver.reverse(IpAddr::from([192, 0, 2, last])), None);
    }
    // Each question had its limit, and not the seconds of the protocol.
    assert!(clock.monotonic() < TIMEOUT, "{:?}", clock.monotonic());
    assert!(resolver.silence().asleep_until > Duration::ZERO);
    silent.set_nonblocking(true).unwrap();
    while silent.recv(&mut [0; 512]).is_ok() {}
    assert_eq!(resolver.reverse("192.0.2.200".parse().unwrap()), None);
    assert!(silent.recv(&mut [0; 512]).is_err(), "it was asked again");
}

#[test]
fn several_threads_may_ask_at_once() {
    let (port, _asked) = serve((0..4).map(|_| says(&[b"many", b"example"])).collect());
    let resolver = resolver(port, DnsSettings::default(), LIMIT);
    thread::scope(|scope| {
        for last in 0..4 {
            let resolver = &resolver;
            scope.spawn(move || {
                let name = resolver.reverse(IpAddr::from([192, 0, 2, 100 + last]));
                assert_eq!(name.as_deref(), Some("many.example."));
            });
        }
    });
}
