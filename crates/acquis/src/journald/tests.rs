//! The decoder on its own, and the whole source against the real `journalctl`.

use super::{
    JournaldConfig,
    decode::{Decoder, Entry},
    run,
};
use crate::{
    Batch, Checkpoints, Common, Mode, SourceError, channel,
    testing::{StopAtEnd, World, skip},
};
use crossbeam_channel::Receiver;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

fn binary(name: &str, value: &[u8]) -> Vec<u8> {
    let length = u64::try_from(value.len()).unwrap().to_le_bytes();
    [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
}

fn decode(bytes: &[u8], chunk: usize, max_message: usize) -> Vec<Entry> {
    let mut decoder = Decoder::new(max_message);
    let mut entries = Vec::new();
    for piece in bytes.chunks(chunk) {
        decoder.feed(piece, |entry| entries.push(entry.clone()));
    }
    entries
}

fn check(fields: &[u8], expect: &[&str]) {
    let bytes = [b"__CURSOR=c\n__REALTIME_TIMESTAMP=1701400000000002\n", fields, b"\n"].concat();
    for chunk in [1, 7, 1000] {
        let mut lines = Vec::new();
        for entry in decode(&bytes, chunk, 100) {
            assert_eq!((entry.cursor.as_str(), entry.received), ("c", 1_701_400_000_000_002));
            entry.lines(&TimeZone::UTC, |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
            });
        }
        assert_eq!(lines, expect);
    }
}

#[test]
fn lines_look_as_journalctl_shows_them() {
    check(
        b"_HOSTNAME=web1\nSYSLOG_IDENTIFIER=sshd\n_PID=77\n_COMM=other\nMESSAGE=a=b\n",
        &["Dec 01 03:06:40 web1 sshd[77]: a=b"],
    );
    check(
        b"_HOSTNAME=web1\n_COMM=foo\nSYSLOG_PID=5\nMESSAGE=no identifier\n",
        &["Dec 01 03:06:40 web1 foo[5]: no identifier"],
    );
    check(b"MESSAGE=\nMESSAGE=second\n", &["Dec 01 03:06:40 unknown: "]);
    check(b"_HOSTNAME=web1\n", &[]);
    check(b"_SOURCE_REALTIME_TIMESTAMP=0\nMESSAGE=x\n", &["Jan 01 00:00:00 unknown: x"]);
    check(
        &[b"_HOSTNAME=h\nSYSLOG_IDENTIFIER=a\n", &binary("MESSAGE", b"one\ntwo\n\n")[..]].concat(),
        &["Dec 01 03:06:40 h a: one", "                     two"],
    );
    check(&binary("MESSAGE", b"\x1b[31m \xff"), &["Dec 01 03:06:40 unknown: \u{1b}[31m \u{fffd}"]);
}

#[test]
fn a_long_message_is_cut() {
    for field in
        [[b"MESSAGE=", &[b'x'; 9000][..], b"\n"].concat(), binary("MESSAGE", &[b'x'; 9000])]
    {
        let bytes = [&field[..], b"_PID=1\n\n"].concat();
        let entries = decode(&bytes, 100, 100);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].cut);
        entries[0].lines(&TimeZone::UTC, |line| {
            assert_eq!(line.len(), "Jan 01 00:00:00 unknown[1]: ".len() + 100);
        });
    }
}

#[test]
fn an_endless_length_takes_no_memory() {
    let mut bytes = b"MESSAGE\n".to_vec();
    bytes.extend([0xff; 8]);
    bytes.extend([b'x'; 100_000]);
    assert!(decode(&bytes, 4096, 100).is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_chunks_do_not_matter(
        bytes in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'='), Just(0), Just(3), Just(b'M'), any::<u8>(),
        ], 0..300),
        chunk in 1_usize..50,
    ) {
        let whole = decode(&bytes, 1000, 20);
        for entry in &whole {
            entry.lines(&TimeZone::UTC, |_| {});
        }
        prop_assert_eq!(decode(&bytes, chunk, 20), whole);
    }
}

/// Writes entries into a journal below `dir`, or says why that is not possible.
fn write_journal(dir: &Path, name: &str, messages: &[(u64, &str)]) -> Result<(), String> {
    let remote = ["/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .ok_or("systemd-journal-remote is not installed")?;
    let file = dir.join(format!("{name}.journal"));
    let mut child = Command::new(remote)
        .arg("-o")
        .arg(file)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().unwrap();
    for (n, message) in messages {
        // The fake clock stands in 2023-11-14; entries lie just behind.
        let at = 1_700_000_001_000_000 + n;
        write!(
            input,
            "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={n}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=h\nSYSLOG_IDENTIFIER=app\n"
        )
        .unwrap();
        input.write_all(&binary("MESSAGE", message.as_bytes())).unwrap();
        input.write_all(b"\n").unwrap();
    }
    drop(input);
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("systemd-journal-remote: {status}")) }
}

/// What comes behind the head of each line.
fn texts(batch: &Batch) -> Vec<String> {
    batch
        .iter()
        .map(|line| String::from_utf8_lossy(line.text).into_owned())
        .map(|line| line.split_once(": ").map_or_else(String::new, |(_, text)| text.to_owned()))
        .collect()
}

fn receive(receiver: &Receiver<Batch>, n_lines: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < n_lines {
        let batch = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        lines.extend(texts(&batch));
        batch.ack();
    }
    lines
}

#[test]
fn reads_a_real_journal_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let long = "x".repeat(200_000);
    let first = [(1, "one"), (2, long.as_str()), (3, "three")];
    if Command::new("journalctl").arg("--version").output().is_err() {
        skip("reads_a_real_journal_over_restarts", "journalctl is not installed");
        return;
    }
    if let Err(reason) = write_journal(&journal, "first", &first) {
        skip("reads_a_real_journal_over_restarts", &reason);
        return;
    }
    let filters = vec![format!("--directory={}", journal.display())];
    let mut config = JournaldConfig::new(Common::default(), filters);
    let positions = dir.path().join("positions");
    let follow = |n_lines: usize| {
        let world = World::with(Checkpoints::open(&positions).unwrap());
        let (sink, receiver) = channel(10);
        std::thread::scope(|scope| {
            let _stop = StopAtEnd(&world.stop);
            let running = scope.spawn(|| run(&config, &sink, &world.context()));
            let lines = receive(&receiver, n_lines);
            world.stop.set();
            running.join().unwrap().unwrap();
            assert!(receiver.try_recv().is_err());
            lines
        })
    };
    assert_eq!(follow(3), ["one", long.as_str(), "three"]);
    write_journal(&journal, "second", &[(4, "four"), (5, "five\nforged")]).unwrap();
    assert_eq!(follow(3), ["four", "five", ""]);
    write_journal(&journal, "third", &[(6, "six")]).unwrap();
    assert_eq!(follow(1), ["six"]);

    config.common.mode = Mode::Cat;
    let world = World::new();
    let (sink, receiver) = channel(10);
    run(&config, &sink, &world.context()).unwrap();
    assert_eq!(receive(&receiver, 7).len(), 7);
    config.filters.push(String::from("not a match"));
    let outcome = run(&config, &sink, &world.context());
    assert!(matches!(outcome, Err(SourceError::Ended { .. })), "{outcome:?}");
}
