//! The tailer against a naive model: whatever is done to a log, every line comes exactly once.

use super::*;
use proptest::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    os::unix::fs::MetadataExt,
};

/// What can happen to a log and to the one who reads it.
#[derive(Clone, Debug)]
enum Op {
    /// The writer adds complete lines.
    Lines(usize),
    /// The writer adds part of a line.
    Part,
    /// Someone renames the file; the writer goes on in it.
    Rename,
    /// The writer opens the path anew.
    Reopen,
    /// Someone copies the file and truncates it.
    CopyTruncate,
    /// Someone deletes the file; the writer goes on in it.
    Delete,
    /// The reader looks.
    Step,
    /// The reader is stopped in order, and started again.
    Stop,
    Start,
    /// The reader is killed before its consumer has acknowledged what it read last.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1_usize..4).prop_map(Op::Lines),
        2 => Just(Op::Part),
        2 => Just(Op::Rename),
        3 => Just(Op::Reopen),
        2 => Just(Op::CopyTruncate),
        1 => Just(Op::Delete),
        6 => Just(Op::Step),
        1 => Just(Op::Stop),
        3 => Just(Op::Start),
        1 => Just(Op::Crash),
    ]
}

/// One generation of content: a file between its creation or truncation and the next.
#[derive(Default)]
struct Content {
    lines: Vec<String>,
    /// The reader has opened it or would find it by itself.
    seen: bool,
    /// It has no name any more.
    deleted: bool,
    /// The reader remembers a place behind a line of it, so a copy of it can be recognized.
    anchored: bool,
}

/// What must come, may come, and must not come.
#[derive(Default)]
struct Model {
    n_lines: usize,
    /// The content the writer is in.
    current: Content,
    part: String,
    required: Vec<String>,
    optional: HashSet<String>,
    /// Unfinished lines: may come as they are if a rotation cuts them off.
    pieces: HashSet<String>,
}

impl Model {
    fn line(&mut self) -> String {
        self.n_lines += 1;
        format!("line {} of the log", self.n_lines)
    }

    /// The content is complete: its lines must come, unless the reader cannot know of them.
    fn close(&mut self, reachable: bool) {
        let content = std::mem::take(&mut self.current);
        if reachable {
            self.required.extend(content.lines);
        } else {
            self.optional.extend(content.lines);
        }
        self.part.clear();
    }
}

struct Run<'a> {
    bench: &'a Bench,
    wildcard: bool,
    model: Model,
    log: File,
    n_rotated: usize,
    received: Vec<String>,
}

impl Run<'_> {
    /// Whether the path leads to the file the writer is in.
    fn writer_is_at_path(&self) -> bool {
        let at_path = fs::metadata(self.bench.path("a.log")).map(|metadata| metadata.ino());
        at_path.ok() == self.log.metadata().ok().map(|metadata| metadata.ino())
    }

    fn next_name(&mut self) -> PathBuf {
        self.n_rotated += 1;
        self.bench.path(&format!("a.log.{}", self.n_rotated))
    }

    fn write(&mut self, op: &Op, running: bool) {
        match op {
            Op::Lines(n) => {
                for _ in 0..*n {
                    let line = self.model.line();
                    self.log.write_all(format!("{line}\n").as_bytes()).unwrap();
                    let part = std::mem::take(&mut self.model.part);
                    self.model.current.lines.push(part + &line);
                }
            }
            Op::Part => {
                let part = format!("part {} ", self.model.n_lines);
                self.log.write_all(part.as_bytes()).unwrap();
                self.model.part += &part;
                // If the file is truncated before the reader looks again, this is all it gets.
                self.model.pieces.insert(self.model.part.clone());
            }
            Op::Rename if self.writer_is_at_path() => {
                let name = self.next_name();
                fs::rename(self.bench.path("a.log"), name).unwrap();
                // A file that came and went unseen is found only if its new name matches.
                self.model.current.seen |= self.wildcard;
            }
            Op::Reopen if !self.writer_is_at_path() => {
                self.model.close(self.model.current.seen);
                self.log = writer(&self.bench.path("a.log"));
            }
            Op::CopyTruncate if self.writer_is_at_path() => {
                let name = self.next_name();
                fs::copy(self.bench.path("a.log"), name).unwrap();
                self.log.set_len(0).unwrap();
                let seen = self.model.current.seen;
                self.model.close(self.model.current.anchored || self.wildcard);
                // While the reader is down, its file cannot be told from a new one.
                self.model.current.seen = seen && running;
            }
            Op::Delete if self.writer_is_at_path() => {
                fs::remove_file(self.bench.path("a.log")).unwrap();
                // While the reader is down nobody holds it open.
                self.model.current.seen &= running;
                self.model.current.deleted = true;
            }
            Op::Rename | Op::Reopen | Op::CopyTruncate | Op::Delete => {}
            Op::Step | Op::Stop | Op::Start | Op::Crash => {}
        }
    }

    fn look(&mut self) {
        let content = &self.model.current;
        let findable = self.writer_is_at_path() || (self.wildcard && !content.deleted);
        self.model.current.seen |= findable;
    }

    fn step(&mut self, tailer: &mut Tailer<'_>, world: &World) {
        world.clock.advance(Duration::from_secs(1));
        tailer.step(&Changes::everything()).unwrap();
        self.received.extend(self.bench.received());
        self.look();
        let content = &mut self.model.current;
        content.anchored |= content.seen && !content.lines.is_empty();
    }

    /// The reader went away: what it alone held open is gone.
    fn reader_ended(&mut self) {
        self.model.current.seen &= !self.model.current.deleted;
    }

    /// Kills the reader after it read something that the consumer never acknowledged.
    fn crash(&mut self, mut tailer: Tailer<'_>, world: &World) {
        self.step(&mut tailer, world);
        self.step(&mut tailer, world);
        world.checkpoints.save(&world.clock);
        self.write(&Op::Lines(1), true);
        // Into a deleted file: only the reader that is about to die could have told.
        if self.model.current.deleted {
            self.model.optional.extend(self.model.current.lines.pop());
        }
        world.clock.advance(Duration::from_secs(1));
        tailer.step(&Changes::everything()).unwrap();
        for batch in self.bench.receiver.try_iter() {
            drop(batch);
        }
        self.reader_ended();
    }

    /// One life of the reader. Returns whether it is started again at once, or `None` at the end.
    fn live<'o>(&mut self, ops: &mut impl Iterator<Item = &'o Op>) -> Option<bool> {
        let positions = self.bench.dir.path().join("positions");
        let world = World::with(Checkpoints::open(&positions).unwrap());
        let mut tailer =
            Tailer::open(&self.bench.config, &self.bench.sink, world.context()).unwrap();
        self.look();
        for op in ops {
            match op {
                Op::Step => self.step(&mut tailer, &world),
                Op::Stop => {
                    self.step(&mut tailer, &world);
                    tailer.finish().unwrap();
                    self.reader_ended();
                    return Some(false);
                }
                Op::Crash => {
                    self.crash(tailer, &world);
                    return Some(true);
                }
                Op::Start => {}
                op => self.write(op, true),
            }
        }
        for _ in 0..3 {
            self.step(&mut tailer, &world);
        }
        None
    }

    fn verdict(mut self, ops: &[Op]) -> Result<(), TestCaseError> {
        self.model.close(self.model.current.seen);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for line in &self.received {
            *counts.entry(line).or_default() += 1;
        }
        let model = &self.model;
        for line in &model.required {
            let n = counts.remove(line.as_str()).unwrap_or_default();
            prop_assert_eq!(n, 1, "{:?} after {:?}: {:?}", line, ops, self.received);
        }
        for (line, n) in counts {
            let allowed = model.optional.contains(line) && n == 1 || model.pieces.contains(line);
            prop_assert!(allowed, "{:?} came {} times after {:?}", line, n, ops);
        }
        // Several files of one source are read in the order of their names, so only the plain
        // pattern promises the order in which lines were written.
        if !self.wildcard {
            let required: Vec<_> =
                self.received.iter().filter(|line| model.required.contains(line)).collect();
            prop_assert_eq!(required, model.required.iter().collect::<Vec<_>>(), "{:?}", ops);
        }
        Ok(())
    }
}

fn check(ops: &[Op], wildcard: bool) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(&[if wildcard { "a.log*" } else { "a.log" }]);
    bench.config.unfinished_idle = Duration::from_secs(1_000_000);
    bench.config.rotated_idle = Duration::from_secs(2_000_000);
    bench.append("a.log", "old news\n");
    let log = writer(&bench.path("a.log"));
    let mut run = Run {
        bench: &bench,
        wildcard,
        model: Model::default(),
        log,
        n_rotated: 0,
        received: Vec::new(),
    };
    run.model.current.anchored = true;
    let mut queue = ops.iter();
    while let Some(again) = run.live(&mut queue) {
        if again {
            continue;
        }
        for op in queue.by_ref() {
            match op {
                Op::Start => break,
                Op::Step | Op::Stop | Op::Crash => {}
                op => run.write(op, false),
            }
        }
    }
    run.verdict(ops)
}

proptest! {
    // A case is a few hundred system calls; `PROPTEST_CASES` still asks for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 2,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_line_comes_exactly_once(
        ops in prop::collection::vec(op(), 0..40),
        wildcard in any::<bool>(),
    ) {
        check(&ops, wildcard)?;
    }
}
