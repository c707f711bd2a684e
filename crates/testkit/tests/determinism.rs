//! Tens of thousands of lines of several services: the alerts are the same byte for byte, however the
//! lines are worked through (I2).
//!
//! Parsers have no memory from line to line that shows, so they may run side by side and take the
//! lines in batches of any size; buckets take the pours in the order of the lines. The table's secret
//! decides where a bucket lies and nothing else, not even who leaves when there are too many.
//!
//! Some lines follow their dates, some the clock at which they are read. What overflows is settled
//! before the next batch, and goes back into scenarios of its own.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "determinism/rules.rs"]
mod rules_of_test;

use engine::{
    Limits, Outside, Overflow, Parser, Pours, Program, Settler, observe::Counters, pour::Buckets,
};
use model::{Line, LineSource, SourceId, TimeMode, Timestamp};
use rules::{FileKind, Options, Origin, SourceFile, compile};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use testkit::{book::world::World, loggen};

/// 2023-03-06, when the generated logs begin.
const START: i64 = 1_678_082_400;

/// The logs that are mixed, and whose clock they follow.
const KINDS: [(&str, TimeMode); 5] = [
    ("syslog", TimeMode::Event),
    ("nginx", TimeMode::Event),
    ("apache2", TimeMode::Event),
    ("traefik", TimeMode::Live),
    ("Nextcloud", TimeMode::Event),
];

/// One line on its way in.
struct Entry {
    source: SourceId,
    text: String,
    read_at: Timestamp,
}

/// How the lines are worked through.
#[derive(Clone, Copy, Debug)]
struct Manner {
    n_parsers: usize,
    n_batch: usize,
    seed: u64,
}

const PLAIN: Manner = Manner { n_parsers: 1, n_batch: 1000, seed: 1 };

/// What came of it.
struct Outcome {
    /// Everything each overflow holds, in order.
    told: Vec<String>,
    counters: Counters,
    buckets: Buckets,
}

/// The logs, mixed as if several programs wrote at the same time, a line every tenth of a second.
fn entries() -> Vec<Entry> {
    let plan =
        loggen::Plan { n_hours: 24, n_attackers: 150, n_innocents: 200, ..loggen::Plan::default() };
    let mut lines = Vec::new();
    for (id, (kind, _)) in (0..).zip(KINDS) {
        let log = loggen::generate_kind(&plan, kind).unwrap();
        let n = log.lines.len();
        let placed = log.lines.into_iter().enumerate();
        lines.extend(placed.map(|(index, text)| ((index << 20) / n, SourceId(id), text)));
    }
    lines.sort_by_key(|(place, ..)| *place);
    let start = Timestamp::from_unix(START, 0);
    (0..)
        .zip(lines)
        .map(|(index, (_, source, text))| Entry {
            source,
            text,
            read_at: start.plus_nanos(index * 100_000_000),
        })
        .collect()
}

fn program() -> Arc<Program> {
    let file = |kind, name: &str, text: &str| SourceFile {
        kind,
        name: name.to_owned(),
        text: text.to_owned(),
        origin: Origin::Local,
    };
    let mut files = Vec::new();
    for (stage, text) in rules_of_test::PARSERS {
        let text = match *stage {
            // A data file is declared where it is convenient, and known everywhere.
            "s02-enrich" => text.replacen(
                "statics:",
                "data:\n  - { source_url: x, dest_file: robots.txt, type: string }\n  \
                 - { source_url: x, dest_file: injections.txt, type: regexp }\nstatics:",
                1,
            ),
            _ => (*text).to_owned(),
        };
        files.push(file(FileKind::Parser { stage: (*stage).to_owned() }, stage, &text));
    }
    let stage = "s00-enrich".to_owned();
    let kind = FileKind::Postoverflow { stage };
    files.push(file(kind, "postoverflows", rules_of_test::POSTOVERFLOWS));
    files.push(file(FileKind::Scenario, "scenarios", rules_of_test::SCENARIOS));
    files.push(file(FileKind::ConsoleContext, "context", rules_of_test::CONTEXT));
    let mut data = |file: &rules::item::DataFile| match &*file.dest_file {
        "robots.txt" => Some(rules_of_test::ROBOTS.to_owned()),
        "injections.txt" => Some(rules_of_test::INJECTIONS.to_owned()),
        _ => None,
    };
    let compiled = compile(files, &mut data, &Options::default());
    assert!(!compiled.diagnostics.has_errors(), "{:?}", compiled.diagnostics);
    Arc::new(compiled.program)
}

/// Works through the lines.
fn replay(program: &Arc<Program>, entries: &[Entry], limits: Limits, manner: Manner) -> Outcome {
    let outside: Arc<dyn Outside> = Arc::new(World::read(rules_of_test::WORLD).unwrap());
    let batches: Vec<&[Entry]> = entries.chunks(manner.n_batch).collect();
    let next = AtomicUsize::new(0);
    let parse = |deliver: &mut dyn FnMut(usize, Pours)| {
        let mut parser = Parser::new(Arc::clone(program), Arc::clone(&outside));
        for (id, (kind, time_mode)) in (0..).zip(KINDS) {
            let labels = BTreeMap::from([("type".to_owned(), kind.to_owned())]);
            let source = LineSource { labels, time_mode, ..LineSource::default() };
            parser.add_source(SourceId(id), source);
        }
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(number) else { return parser.counters };
            let mut pours = Pours::default();
            for Entry { source, text, read_at } in *batch {
                let line = Line { text: text.as_bytes(), source: *source, read_at: *read_at };
                parser.process(line, *read_at, &mut pours);
            }
            deliver(number, pours);
        }
    };
    let mut pourer = Pourer {
        buckets: Buckets::new(Arc::clone(program), Arc::clone(&outside), limits, manner.seed),
        settler: Settler::new(Arc::clone(program), Arc::clone(&outside)),
        told: Vec::new(),
    };
    let mut counters = Counters::default();
    if manner.n_parsers == 1 {
        counters.add(&parse(&mut |_, pours| pourer.pour(&pours)));
    } else {
        let (sender, receiver) = crossbeam_channel::bounded(16);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..manner.n_parsers)
                .map(|_| {
                    let (sender, parse) = (sender.clone(), &parse);
                    scope.spawn(move || parse(&mut |n, pours| sender.send((n, pours)).unwrap()))
                })
                .collect();
            drop(sender);
            let (mut waiting, mut turn) = (BTreeMap::new(), 0);
            for (number, pours) in receiver {
                waiting.insert(number, pours);
                while let Some(pours) = waiting.remove(&turn) {
                    pourer.pour(&pours);
                    turn += 1;
                }
            }
            assert!(waiting.is_empty(), "a batch is missing");
            for worker in workers {
                counters.add(&worker.join().unwrap());
            }
        });
    }
    Outcome { told: pourer.told, counters, buckets: pourer.buckets }
}

/// What follows the parsers.
struct Pourer {
    buckets: Buckets,
    settler: Settler,
    told: Vec<String>,
}

impl Pourer {
    fn pour(&mut self, pours: &Pours) {
        let mut overflows = Vec::new();
        self.buckets.pour_all(pours, &mut overflows);
        for overflow in overflows {
            self.settle(overflow);
        }
    }

    /// What goes back is of the time when all began, so that no clock tells how late it comes.
    fn settle(&mut self, overflow: Overflow) {
        let mut back = Pours::default();
        let settled = self.settler.settle(overflow, Timestamp::from_unix(START, 0), &mut back);
        self.told.push(format!("{settled:?}"));
        self.pour(&back);
    }
}

/// Fails at the first alert that differs, rather than showing them all.
fn same(left: &Outcome, right: &Outcome, manner: Manner) {
    let n = left.told.iter().zip(&right.told).take_while(|(a, b)| a == b).count();
    assert!(
        left.told.len() == n && right.told.len() == n,
        "{manner:?}: of {} and {} overflows the first {n} are the same, then\n{:?}\n{:?}",
        left.told.len(),
        right.told.len(),
        left.told.get(n),
        right.told.get(n)
    );
    let counts =
        |outcome: &Outcome| format!("{:?} {:?}", outcome.counters, outcome.buckets.table.counts);
    assert_eq!(counts(left), counts(right), "{manner:?}");
    assert_eq!(left.buckets.table.len(), right.buckets.table.len(), "{manner:?}");
}

#[test]
fn any_number_of_parsers_any_batch_any_seed() {
    let (program, entries) = (program(), entries());
    assert!(entries.len() > 30_000, "{} lines", entries.len());
    let plain = replay(&program, &entries, Limits::default(), PLAIN);

    // Nothing below shows much unless much happens.
    for (scenario, count) in program.scenarios.iter().zip(&plain.buckets.table.counts) {
        assert!(count.overflowed > 0, "{} never overflows", scenario.name);
    }
    let Counters { lines, parsed, whitelisted, .. } = plain.counters;
    assert_eq!(lines, entries.len() as u64);
    assert!(parsed < lines && whitelisted > 0, "{:?}", plain.counters);
    assert!(plain.told.len() > 1_000, "{} overflows", plain.told.len());
    let distinct: BTreeSet<_> = plain.told.iter().collect();
    assert!(distinct.len() > 1_000, "{} different ones", distinct.len());

    for manner in [
        Manner { n_parsers: 1, n_batch: 7, seed: 0x5eed },
        Manner { n_parsers: 3, n_batch: 1, seed: u64::MAX },
        Manner { n_parsers: 5, n_batch: 1000, seed: 0 },
    ] {
        let other = replay(&program, &entries, Limits::default(), manner);
        same(&plain, &other, manner);
    }
}

/// Which bucket leaves depends on the order of the lines alone. What goes back waits for the end of its
/// batch, and may push out another bucket then; so here batches are cut the same.
#[test]
fn who_leaves_when_there_are_too_many() {
    let (program, entries) = (program(), entries());
    let limits = Limits { buckets: 40, queue: 4 };
    let plain = replay(&program, &entries, limits, PLAIN);
    let n_evicted: u64 = plain.buckets.table.counts.iter().map(|count| count.evicted).sum();
    assert!(n_evicted > 1_000, "{n_evicted} evicted");
    assert!(plain.told.len() > 300, "{} overflows", plain.told.len());
    assert!(plain.buckets.table.len() <= 40);
    let manner = Manner { n_parsers: 3, seed: 7, ..PLAIN };
    same(&plain, &replay(&program, &entries, limits, manner), manner);
}
