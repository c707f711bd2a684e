//! Messages, frames, and the server on loopback.

use super::{
    Parsing, Protocol, SyslogConfig,
    decode::{Decoded, Moment, decode},
    framing::Framer,
    run::Server,
};
use crate::{
    Batch, Common, LineSink, channel,
    testing::{StopAtEnd, World},
};
use crossbeam_channel::Receiver;
use proptest::prelude::*;
use std::{
    io::Write,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

const NOW: Moment = Moment { month: 12, day: 31, hour: 23, minute: 59, second: 58 };

fn line(frame: &[u8], parsing: Parsing) -> (Decoded, String) {
    let mut line = b"left over".to_vec();
    let decoded = decode(frame, parsing, NOW, &mut line);
    (decoded, String::from_utf8_lossy(&line).into_owned())
}

fn check(frame: &str, decoded: Decoded, expect: &str) {
    assert_eq!(line(frame.as_bytes(), Parsing::Rfc), (decoded, expect.to_owned()), "{frame}");
}

fn refused(frame: &str) {
    check(frame, Decoded::Malformed, "");
}

#[test]
fn classic_messages() {
    let check = |frame: &str, expect: &str| check(frame, Decoded::Rfc3164, expect);
    check(
        "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed\n",
        "Oct 11 22:14:15 mymachine su[12]: 'su root' failed",
    );
    check("<34>Oct  1 22:14:15 host su: x", "Oct 1 22:14:15 host su: x");
    check("<34>oct 01 22:14:15 host su x", "Oct 1 22:14:15 host su: x");
    check("<999>Feb 29 00:00:00 2024 host a: x", "Feb 29 00:00:00 host a: x");
    check("<1>Feb 29 00:00:00 2024host a: x", "Feb 29 00:00:00 2024host a: x");
    check("<13>2026-05-20T02:33:54+02:00 host cron[7]: x", "May 20 02:33:54 host cron[7]: x");
    check("<13>2026-05-20T02:33:54.123456Z host cron: x", "May 20 02:33:54 host cron: x");
    check(
        "<13>Oct 11 22:14:15 host postfix/smtpd[9]: lost connection",
        "Oct 11 22:14:15 host postfix/smtpd[9]: lost connection",
    );
    check("<13>Oct 11 22:14:15 host systemd-logind: x", "Oct 11 22:14:15 host systemd-logind: x");
    check("<13>Oct 11 22:14:15 host well-known fact", "Oct 11 22:14:15 host well: -known fact");
}

#[test]
fn newer_messages() {
    let check = |frame: &str, expect: &str| check(frame, Decoded::Rfc5424, expect);
    check(
        "<165>1 2026-10-11T22:14:15.003Z web app 12 ID47 [ex@1 iut=\"3\\]\" b=\"\"][c] text",
        "Oct 11 22:14:15 web app[12]: text",
    );
    check("<165>1 - - - - - - text\n", "Dec 31 23:59:58 unknownhost: text");
    check("<165>1 - h - 7 - - text", "Dec 31 23:59:58 h[7]: text");
    check("<165>1 - h app - - - \u{feff}text", "Dec 31 23:59:58 h app: text");
    let longest = "x".repeat(48);
    let expect = format!("Dec 31 23:59:58 h {longest}: text");
    check(&format!("<165>1 - h {longest} - - - text"), &expect);
    refused(&format!("<165>1 - h {longest}x - - - text"));
}

#[test]
fn messages_of_no_known_form() {
    for frame in [
        "",
        "<",
        "<>Oct 11 22:14:15 host su: x",
        "<1234>Oct 11 22:14:15 host su: x",
        "<34",
        "<34>",
        "no priority",
        "<34>Okt 11 22:14:15 host su: x",
        "<34>Oct 32 22:14:15 host su: x",
        "<34>Feb 30 22:14:15 host su: x",
        "<34>Oct 11 24:14:15 host su: x",
        "<34>Oct 11 22:14:15",
        "<34>Oct 11 22:14:15 host",
        "<34>Oct 11 22:14:15 host su[1x]: x",
        "<34>Oct 11 22:14:15 host su[12",
        "<34>Oct 11 22:14:15 host su:  ",
        "<34>2 - - - - - - x",
        "<34>1 2026-13-11T22:14:15Z h - - - - x",
        "<34>1 2026-10-11T22:14:15+25:00 h - - - - x",
        "<34>1 - h a p m [unclosed x",
        "<34>1 - h a p m -",
        "<34>1 - h a p m - ",
    ] {
        refused(frame);
    }
}

#[test]
fn only_the_priority_is_taken_off() {
    let check = |frame: &str, decoded, expect: &str| {
        let found = line(frame.as_bytes(), Parsing::StripPriority);
        assert_eq!(found, (decoded, expect.to_owned()));
    };
    check("<13>anything: at all\n\n", Decoded::Stripped, "anything: at all\n");
    check("<13>", Decoded::Stripped, "");
    check("anything", Decoded::Malformed, "");
}

fn frames(bytes: &[u8], chunk: usize, max_frame: usize) -> (Vec<(Vec<u8>, bool)>, bool) {
    let mut framer = Framer::new(max_frame);
    let mut frames = Vec::new();
    for piece in bytes.chunks(chunk) {
        let fed = framer.feed(piece, |frame| frames.push((frame.text.to_vec(), frame.cut)));
        if fed.is_err() {
            return (frames, true);
        }
    }
    framer.finish(|frame| frames.push((frame.text.to_vec(), frame.cut)));
    (frames, false)
}

#[test]
fn frames_of_both_kinds_mix() {
    let check = |bytes: &str, expect: &[(&str, bool)]| {
        for chunk in [1, 3, 100] {
            let (found, bad) = frames(bytes.as_bytes(), chunk, 10);
            assert!(!bad);
            let expect: Vec<_> =
                expect.iter().map(|(text, cut)| (text.as_bytes().to_vec(), *cut)).collect();
            assert_eq!(found, expect, "{bytes:?}");
        }
    };
    check("<1>a\r\n\n<2>b", &[("<1>a", false), ("<2>b", false)]);
    check("5 <1>\na4 <2>b\n<3>c\n", &[("<1>\na", false), ("<2>b", false), ("<3>c", false)]);
    check("12 <1>", &[("<1>", true)]);
    check("<1>abcdefghij\n<2>\n", &[("<1>abcdefg", true), ("<2>", false)]);
    check("13 <1>abcdefghij<2>\n", &[("<1>abcdefg", true), ("<2>", false)]);
    check("12x\n", &[("12x", false)]);
    assert!(frames(b"999999999 x", 100, 10).1);
    assert_eq!(frames(b"12345678901234 x\n", 100, 100).0, [(b"12345678901234 x".to_vec(), false)]);
}

proptest! {
    #[test]
    fn framing_survives_any_bytes_and_chunks_do_not_matter(
        bytes in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b' '), Just(b'1'), Just(b'9'), Just(b'<'), any::<u8>(),
        ], 0..300),
        chunk in 1_usize..40,
        max_frame in 1_usize..50,
    ) {
        let whole = frames(&bytes, 1000, max_frame);
        prop_assert!(whole.0.iter().all(|(text, _)| !text.is_empty() && text.len() <= max_frame));
        prop_assert_eq!(frames(&bytes, chunk, max_frame), whole);
    }

    #[test]
    fn counted_frames_come_out_as_they_went_in(
        texts in prop::collection::vec("<[0-9]{1,3}>[a-z0-9 \n]{0,30}[a-z]", 0..20),
        chunk in 1_usize..40,
    ) {
        let bytes: String = texts.iter().map(|text| format!("{} {text}", text.len())).collect();
        let (found, _) = frames(bytes.as_bytes(), chunk, 1000);
        let expect: Vec<_> = texts.into_iter().map(|text| (text.into_bytes(), false)).collect();
        prop_assert_eq!(found, expect);
    }

    #[test]
    fn any_message_is_survived(
        head in "<[0-9]{0,4}>?(1 )?(Oct 11 22:14:15|2026-10-11T22:14:15Z|-)?",
        rest in prop::collection::vec(prop_oneof![
            Just(b' '), Just(b'['), Just(b']'), Just(b'-'), Just(b':'), Just(b'a'), any::<u8>(),
        ], 0..60),
    ) {
        let frame = [head.as_bytes(), &rest].concat();
        line(&frame, Parsing::Rfc);
        line(&frame, Parsing::StripPriority);
    }
}

fn served(
    config: &SyslogConfig,
    world: &World,
    n_batches: usize,
    client: impl FnOnce(Option<SocketAddr>, Option<SocketAddr>, &Receiver<Batch>, &LineSink),
) {
    let (sink, receiver) = channel(n_batches);
    let server = Server::bind(config).unwrap();
    let (udp, tcp) = server.addrs();
    let (sink, context) = (&sink, world.context());
    std::thread::scope(move |scope| {
        let running = scope.spawn(move || server.serve(config, sink, &context));
        // Both go when the client fails, and with them the server, whatever it waits for.
        let (receiver, _stop) = (receiver, StopAtEnd(&world.stop));
        client(udp, tcp, &receiver, sink);
        world.stop.set();
        while !running.is_finished() {
            drop(receiver.recv_timeout(Duration::from_millis(10)));
        }
        running.join().unwrap().unwrap();
    });
}

fn config(protocol: Protocol) -> SyslogConfig {
    SyslogConfig { protocol, listen_port: 0, ..SyslogConfig::new(Common::default()) }
}

fn receive(receiver: &Receiver<Batch>, n_lines: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < n_lines {
        let batch = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        lines.extend(batch.iter().map(|line| String::from_utf8_lossy(line.text).into_owned()));
    }
    lines
}

#[test]
fn datagrams_become_lines_of_their_client() {
    let world = World::new();
    let mut config = config(Protocol::Udp);
    config.max_message_len = 40;
    served(&config, &world, 10, |udp, _, receiver, sink| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |text: &str| socket.send_to(text.as_bytes(), udp.unwrap()).unwrap();
        send("<1>Oct 11 22:14:15 host su: short");
        send("not syslog");
        send(&format!("<1>Oct 11 22:14:15 host su: {}", "x".repeat(60_000)));
        let lines = receive(receiver, 2);
        assert_eq!(lines[0], "Oct 11 22:14:15 host su: short");
        assert_eq!(lines[1], "Oct 11 22:14:15 host su: xxxxxxxxxxxx");
        let counts = sink.counters().read();
        assert_eq!((counts.rfc3164, counts.malformed), (2, 1));
    });
    let source = &world.registry.since(0)[0];
    assert_eq!((source.module.as_str(), source.src.as_str()), ("syslog", "127.0.0.1"));
}

#[test]
fn connections_are_read_in_pieces_and_to_their_end() {
    let world = World::new();
    served(&config(Protocol::Tcp), &world, 10, |_, tcp, receiver, _| {
        let mut first = TcpStream::connect(tcp.unwrap()).unwrap();
        let mut second = TcpStream::connect(tcp.unwrap()).unwrap();
        first.write_all(b"<1>Oct 11 22:14:15 host su: o").unwrap();
        second.write_all(b"27 <1>Oct 11 22:14:15 h b: two").unwrap();
        assert_eq!(receive(receiver, 1), ["Oct 11 22:14:15 h b: two"]);
        first.write_all(b"ne\n<1>Oct 11 22:14:15 host su: last").unwrap();
        drop(first);
        let lines = receive(receiver, 2);
        assert_eq!(lines, ["Oct 11 22:14:15 host su: one", "Oct 11 22:14:15 host su: last"]);
    });
}

#[test]
fn connections_are_bounded() {
    let world = World::new();
    let mut config = config(Protocol::Tcp);
    config.tcp.max_connections = 1;
    served(&config, &world, 10, |_, tcp, receiver, sink| {
        let message = b"<1>Oct 11 22:14:15 host su: x\n";
        let mut first = TcpStream::connect(tcp.unwrap()).unwrap();
        first.write_all(message).unwrap();
        receive(receiver, 1);
        let _refused = TcpStream::connect(tcp.unwrap()).unwrap();
        while sink.counters().read().refused_connections == 0 {
            std::thread::yield_now();
        }
        world.clock.advance(Duration::from_secs(61));
        let mut third = TcpStream::connect(tcp.unwrap()).unwrap();
        third.write_all(message).unwrap();
        receive(receiver, 1);
    });
}

#[test]
fn what_cannot_be_slowed_is_shed_and_counted() {
    let world = World::new();
    served(&config(Protocol::Both), &world, 1, |udp, _, receiver, sink| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let message = format!("<1>Oct 11 22:14:15 host su: {}", "x".repeat(1900));
        // Nobody receives: one batch fills the channel, the next fills up, then lines are shed.
        // All of that may happen in one turn; the wait is counted at the start of the next.
        let has_waited = || sink.counters().read().waits > 0;
        while sink.counters().read().shed == 0 || !has_waited() {
            socket.send_to(message.as_bytes(), udp.unwrap()).unwrap();
        }
        let n_before = receive(receiver, 1).len();
        assert!(n_before > 0);
        receive(receiver, 1);
    });
}

#[test]
fn a_million_addresses_share_a_bounded_number_of_sources() {
    use super::run::Outlet;
    let world = World::new();
    let (sink, receiver) = channel(1000);
    let config = config(Protocol::Udp);
    let context = world.context();
    let mut outlet = Outlet::new(&config, &sink);
    let now = outlet.now(&context);
    for n in 0..20_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into();
        outlet.push(b"<1>Oct 11 22:14:15 host su: x", from, &now, &context);
        assert!(outlet.make_room().unwrap());
    }
    assert_eq!(world.registry.since(0).len(), 10_001);
    assert_eq!(world.registry.since(10_000)[0].src, "other");
    drop(receiver);
}
