//! What a log file or a network peer can do to the datasources.

use acquis::file::{FileConfig, Noticing};
use acquis::syslog::{Parsing, offline::Transcript};
use acquis::{Batch, Checkpoints, Clock, Common, Context, LineSink, Mode, Registry, Source, Stop};
use model::Timestamp;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than any of these waits on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const MIB: usize = 1 << 20;

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(super::guard::NOON, 0).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs a source while `story` changes the world and takes lines.
fn run(config: &FileConfig, story: impl FnOnce(&mut Reader)) -> acquis::Counts {
    let (sink, receiver) = acquis::channel(4);
    let counters = std::sync::Arc::clone(sink.counters());
    let clock = RealClock(Instant::now());
    let (stop, registry, checkpoints) =
        (Stop::new().unwrap(), Registry::new(), Checkpoints::in_memory());
    let context =
        Context { clock: &clock, stop: &stop, registry: &registry, checkpoints: &checkpoints };
    let source = Source::File(config.clone());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let sink: LineSink = sink;
            acquis::run(&source, &sink, &context)
        });
        let mut reader = Reader { receiver, lines: Vec::new() };
        // Without this a failing story would leave the source waiting for ever.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&mut reader)));
        stop.set();
        while let Ok(batch) = reader.receiver.recv() {
            batch.ack();
        }
        running.join().unwrap().unwrap();
        if let Err(panic) = told {
            std::panic::resume_unwind(panic);
        }
    });
    counters.read()
}

struct Reader {
    receiver: crossbeam_channel::Receiver<Batch>,
    lines: Vec<Vec<u8>>,
}

impl Reader {
    /// Adds lines until one arrives: a file that exists is read from its end, whenever that is.
    /// Returns how many lines came.
    fn wait_until_watched(&mut self, log: &Path) -> usize {
        let mut last = Vec::new();
        for n in 0.. {
            last = format!("knock {n}").into_bytes();
            append(log, [last.as_slice(), b"\n"].concat());
            if let Ok(batch) = self.receiver.recv_timeout(Duration::from_millis(300)) {
                self.take(batch);
                break;
            }
        }
        while self.lines.last() != Some(&last) {
            self.wait_for(self.lines.len() + 1);
        }
        self.lines.len()
    }

    fn take(&mut self, batch: Batch) {
        self.lines.extend(batch.iter().map(|line| line.text.to_vec()));
        batch.ack();
    }

    /// Waits until there are `n` lines.
    fn wait_for(&mut self, n: usize) -> &[Vec<u8>] {
        let started = Instant::now();
        while self.lines.len() < n {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let batch = self.receiver.recv_timeout(left).unwrap_or_else(|_late| {
                panic!("{} of {n} lines came", self.lines.len());
            });
            self.take(batch);
        }
        &self.lines
    }
}

fn config(path: &Path, mode: Mode) -> FileConfig {
    let common = Common { mode, ..Common::default() };
    let mut config = FileConfig::new(common, vec![path.to_string_lossy().into_owned()]);
    config.noticing = Noticing::Poll;
    config
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

#[test]
fn half_lines_at_rotation_stay_whole() {
    let home = tempfile::tempdir().unwrap();
    let (log, old) = (home.path().join("log"), home.path().join("log.1"));
    append(&log, "before\n");
    let mut config = config(&log, Mode::Tail);
    config.unfinished_idle = PATIENCE;
    let counts = run(&config, |reader| {
        let knocks = reader.wait_until_watched(&log);
        append(&log, "first ha");
        fs::rename(&log, &old).unwrap();
        append(&log, "second ha");
        append(&old, "lf\n");
        append(&log, "lf\n");
        let mut lines = reader.wait_for(knocks + 2)[knocks..].to_vec();
        lines.sort();
        assert_eq!(lines, [b"first half".to_vec(), b"second half".to_vec()]);
    });
    assert_eq!((counts.cut, counts.unfinished, counts.rotations), (0, 0, 1));
}

#[test]
fn a_half_line_that_is_never_finished_is_given_up_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let (log, old) = (home.path().join("log"), home.path().join("log.1"));
    append(&log, "before\n");
    let mut config = config(&log, Mode::Tail);
    config.unfinished_idle = Duration::from_millis(50);
    let counts = run(&config, |reader| {
        let knocks = reader.wait_until_watched(&log);
        append(&log, "whole\nha");
        reader.wait_for(knocks + 1);
        fs::rename(&log, &old).unwrap();
        append(&log, "next\n");
        let mut lines = reader.wait_for(knocks + 3)[knocks..].to_vec();
        lines.sort();
        assert_eq!(lines, [b"ha".to_vec(), b"next".to_vec(), b"whole".to_vec()]);
    });
    assert_eq!((counts.cut, counts.unfinished), (0, 1));
}

#[test]
fn any_bytes_pass_and_giants_are_cut() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let lines: [&[u8]; 5] = [b"a\0b", b"\xff\xfe", b"\x1b[2J", &vec![b'x'; MIB], b"last"];
    for line in lines {
        append(&log, line);
        append(&log, "\n");
    }
    append(&log, vec![b'y'; 3 * MIB]);
    append(&log, "\nend without a line end");
    let counts = run(&config(&log, Mode::Cat), |reader| {
        let found = reader.wait_for(7);
        assert_eq!(found[..5], lines.map(<[u8]>::to_vec));
        assert_eq!(found[5], vec![b'y'; MIB]);
        assert_eq!(found[6], b"end without a line end");
    });
    assert_eq!((counts.lines, counts.cut), (7, 1));
}

#[test]
fn a_compressed_bomb_is_one_line_of_limited_length() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("bomb.gz");
    let file = fs::File::create(&log).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for _ in 0..64 {
        gzip.write_all(&vec![b'0'; MIB]).unwrap();
    }
    gzip.write_all(b"\nafter\n").unwrap();
    drop(gzip.finish().unwrap());
    assert!(fs::metadata(&log).unwrap().len() < MIB as u64);
    let counts = run(&config(&log, Mode::Cat), |reader| {
        let lines = reader.wait_for(2);
        assert_eq!((lines[0].len(), lines[1].as_slice()), (MIB, b"after".as_slice()));
    });
    assert_eq!((counts.lines, counts.cut), (2, 1));
}

#[test]
fn a_peer_cannot_make_a_frame_larger_than_the_limit() {
    let limit = 1000;
    let endless = [b"<34>Oct 11 22:14:15 h su: ".to_vec(), vec![b'x'; 10 * MIB]].concat();
    let seen = Transcript::of_stream(endless.chunks(4096), limit, Parsing::Rfc);
    assert_eq!((seen.lines.len(), seen.cut), (1, 1));
    assert!(seen.lines[0].len() <= limit);
    let counted = [b"10485786 ".to_vec(), endless, b"<34>Oct 11 22:14:15 h su: y\n".to_vec()];
    let seen = Transcript::of_stream(counted.concat().chunks(4096), limit, Parsing::Rfc);
    assert_eq!((seen.lines.len(), seen.cut), (2, 1));
    let seen = Transcript::of_stream([b"99999999 x".as_slice()], limit, Parsing::Rfc);
    assert!(seen.broken);
    let seen = Transcript::of_datagram(&[0xff; 65_507], Parsing::Rfc);
    assert_eq!((seen.lines.len(), seen.malformed), (0, 1));
}
