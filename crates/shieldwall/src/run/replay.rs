//! Replays: logs read once, parsed on several threads, poured in the order of their lines.
//!
//! Every thread does the same: take the next batch (one at a time may), parse it, hand over its
//! pours. Whoever hands over the batch that is next in line pours it and all that wait behind it;
//! the others go on parsing. So no thread waits unless it is far ahead, and buckets see the lines in
//! their order on any number of threads (I2).
//!
//! INVARIANT: an overflow is settled, and goes back into the scenarios where it is to, before the
//! event of any later line is poured. So the alerts depend on the input alone, however it is cut.

use super::Sink;
use crate::clock::SystemClock;
use acquis::{Batch, Clock as _, LineSink, OneShot, Registry, Transform, one_shot::Stamp};
use anyhow::{Context as _, Result};
use engine::{
    Limits, Outside, Overflow, Parser, Pours, Program, Settler, observe::Counters,
    observe::ScenarioCount, pour::Buckets,
};
use model::{LineSource, SourceId, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How often an overflow may go back into the scenarios and overflow again.
const MAX_DEPTH: usize = 16;

/// Batches that may wait for their turn, per thread.
const WINDOW: u64 = 4;

/// What to replay with.
pub(crate) struct Plan {
    pub(crate) program: Arc<Program>,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) limits: Limits,
    /// What rules take for now, for the whole run: dates without a year are completed from it.
    pub(crate) now: Timestamp,
    /// Threads that parse.
    pub(crate) n_jobs: usize,
    /// Lines after which reading stops.
    pub(crate) max_lines: Option<u64>,
}

/// Where an input's bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    File(PathBuf),
    Stdin,
}

/// What a replay found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counters: Counters,
    pub(crate) n_bytes: u64,
    pub(crate) n_cut: u64,
    pub(crate) n_alerts: u64,
    /// Overflows that a postoverflow excused.
    pub(crate) n_whitelisted: u64,
    pub(crate) alerts_by_scenario: BTreeMap<String, u64>,
    /// By [`engine::program::ScenarioId`].
    pub(crate) scenarios: Vec<ScenarioCount>,
    pub(crate) n_buckets: usize,
    pub(crate) wall: Duration,
}

/// Logs to be read once, one after the other.
pub(crate) struct Input {
    origins: VecDeque<(Origin, SourceId)>,
    sources: Vec<LineSource>,
    current: Option<(OneShot, String)>,
    /// Only its pool of buffers is used.
    pool: LineSink,
    registry: Registry,
    transform: Option<Transform>,
    read_at: Timestamp,
    n_taken: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Input {
    /// Reads `origins` in order; each has its own `LineSource`.
    pub(crate) fn new(origins: Vec<(Origin, LineSource)>, read_at: Timestamp) -> Self {
        let registry = Registry::new();
        let origins = origins
            .into_iter()
            .map(|(origin, source)| (origin, registry.register(source)))
            .collect();
        let sources = registry.since(0).into_iter().map(Arc::unwrap_or_clone).collect();
        let (pool, _nobody) = acquis::channel(1);
        Self {
            origins,
            sources,
            current: None,
            pool,
            registry,
            transform: None,
            read_at,
            n_taken: 0,
            bytes_read: Arc::default(),
        }
    }

    /// Changes lines before anybody reads them.
    pub(crate) fn with_transform(self, transform: Option<Transform>) -> Self {
        Self { transform, ..self }
    }

    /// Counts the bytes read from the files themselves, compressed or not.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// The next batch and its number; `None` at the end.
    fn take(&mut self) -> Result<Option<(u64, Batch)>> {
        loop {
            if self.current.is_none() {
                let Some((origin, source)) = self.origins.pop_front() else { return Ok(None) };
                self.current = Some(self.open(&origin, source)?);
            }
            let Some((input, name)) = &mut self.current else { continue };
            let mut batch = self.pool.batch();
            let outcome = input.next_into(&mut batch);
            let more = match outcome {
                Ok(more) => more,
                // What was read before the damage still counts; the damage is met again next time.
                Err(_) if !batch.is_empty() => true,
                Err(error) => return Err(error).with_context(|| format!("reading {name}")),
            };
            if !more {
                self.current = None;
            }
            if let Some(transform) = &self.transform {
                transform.apply(&mut batch, &self.registry);
            }
            if !batch.is_empty() {
                let number = self.n_taken;
                self.n_taken += 1;
                return Ok(Some((number, batch)));
            }
        }
    }

    fn open(&self, origin: &Origin, source: SourceId) -> Result<(OneShot, String)> {
        let stamp = Stamp { source, read_at: self.read_at, max_line: acquis::file::MAX_LINE };
        let counters = Arc::clone(self.pool.counters());
        let bytes_read = Arc::clone(&self.bytes_read);
        match origin {
            Origin::Stdin => {
                let input = Counted { input: io::stdin(), bytes_read };
                let input =
                    OneShot::new(input, stamp, counters).context("reading standard input")?;
                Ok((input, "standard input".to_owned()))
            }
            Origin::File(path) => {
                let name = path.display().to_string();
                let doing = || format!("reading {name}");
                let input = File::open(path).with_context(doing)?;
                let input = Counted { input, bytes_read };
                let input = OneShot::new(input, stamp, counters).with_context(doing)?;
                Ok((input, name))
            }
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.bytes_read.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(n)
    }
}

/// Replays `input`. What was found before an error is told all the same.
pub(crate) fn run(plan: &Plan, input: Input, sink: &mut dyn Sink) -> (Tally, Result<()>) {
    let clock = SystemClock::start();
    let sources = input.sources.clone();
    let reading = Arc::clone(input.pool.counters());
    let bytes_read = input.progress();
    let shared = Shared {
        input: Mutex::new(Reading { input, n_left: plan.max_lines.unwrap_or(u64::MAX) }),
        line: Mutex::new(Queue {
            next: 0,
            waiting: BTreeMap::new(),
            pourer: Some(Box::new(Pourer::new(plan, sink))),
            spare: Vec::new(),
            outcome: Ok(()),
            ended: false,
        }),
        turn: Condvar::new(),
        window: WINDOW * u64::try_from(plan.n_jobs).unwrap_or(1),
    };
    let mut tally = Tally::default();
    if plan.n_jobs <= 1 {
        tally.counters.add(&shared.work(plan, &sources));
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..plan.n_jobs)
                .map(|index| {
                    let worker = thread::Builder::new().name(format!("replay-{index}"));
                    let (shared, sources) = (&shared, &sources);
                    worker.spawn_scoped(scope, move || shared.work(plan, sources))
                })
                .collect();
            for worker in workers {
                match worker.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(counters)) => tally.counters.add(&counters),
                    Ok(Err(_panic)) => shared.fail(anyhow::anyhow!("a bug: a thread panicked")),
                    Err(error) => shared.fail(error.into()),
                }
            }
        });
    }
    let queue = shared.line.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(pourer) = queue.pourer {
        pourer.tell(&mut tally);
    }
    tally.n_bytes = bytes_read.load(Ordering::Relaxed);
    tally.n_cut = reading.read().cut;
    tally.wall = clock.monotonic();
    (tally, queue.outcome)
}

/// What the threads share.
struct Shared<'a> {
    input: Mutex<Reading>,
    line: Mutex<Queue<'a>>,
    /// Told whenever [`Queue::next`] moves or the replay ends early.
    turn: Condvar,
    window: u64,
}

struct Reading {
    input: Input,
    n_left: u64,
}

/// Batches on their way into the buckets.
struct Queue<'a> {
    /// The batch whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, Pours>,
    /// Taken by whoever pours.
    pourer: Option<Box<Pourer<'a>>>,
    /// Memory to be used again.
    spare: Vec<Pours>,
    outcome: Result<()>,
    /// Nothing more is to be read.
    ended: bool,
}

impl<'a> Shared<'a> {
    /// One thread's work, until the input or the replay ends. hot: `cargo xtask bench engine`
    fn work(&self, plan: &Plan, sources: &[LineSource]) -> Counters {
        let mut parser = Parser::new(Arc::clone(&plan.program), Arc::clone(&plan.outside));
        for (id, source) in (0..).zip(sources) {
            parser.add_source(SourceId(id), source.clone());
        }
        // A thread that panics must not leave the others waiting for its batch.
        let _alarm = Alarm(self);
        while let Some((number, batch, n_lines, mut pours)) = self.take() {
            for line in batch.iter().take(n_lines) {
                parser.process(line, plan.now, &mut pours);
            }
            drop(batch);
            self.deliver(number, pours);
        }
        parser.counters
    }

    /// The next batch, how many of its lines are wanted, and a place for their pours.
    fn take(&self) -> Option<(u64, Batch, usize, Pours)> {
        let mut pours = {
            let mut queue = self.queue();
            if queue.ended {
                return None;
            }
            queue.spare.pop().unwrap_or_default()
        };
        pours.clear();
        let mut reading = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.n_left == 0 {
            return None;
        }
        let taken = reading.input.take();
        match taken {
            Ok(Some((number, batch))) => {
                let n_lines = u64::try_from(batch.len()).unwrap_or(u64::MAX).min(reading.n_left);
                reading.n_left -= n_lines;
                let n_lines = usize::try_from(n_lines).unwrap_or(usize::MAX);
                Some((number, batch, n_lines, pours))
            }
            Ok(None) => None,
            Err(error) => {
                // What was read before is still to be poured, so this is no reason to stop others.
                reading.n_left = 0;
                drop(reading);
                let mut queue = self.queue();
                if queue.outcome.is_ok() {
                    queue.outcome = Err(error);
                }
                None
            }
        }
    }

    /// Hands over the pours of a batch, and pours whatever has its turn.
    fn deliver(&self, number: u64, pours: Pours) {
        let mut queue = self.queue();
        // The batch whose turn it is never waits here, so someone always goes on.
        while number >= queue.next + self.window && !queue.ended {
            queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.waiting.insert(number, pours);
        while !queue.ended {
            let next = queue.next;
            if !queue.waiting.contains_key(&next) {
                return;
            }
            let Some(mut pourer) = queue.pourer.take() else { return };
            let Some(pours) = queue.waiting.remove(&next) else { return };
            drop(queue);
            let outcome = pourer.pour(&pours);
            queue = self.queue();
            queue.pourer = Some(pourer);
            queue.spare.push(pours);
            queue.next += 1;
            if let Err(error) = outcome {
                queue.outcome = Err(error.into());
                queue.ended = true;
            }
            self.turn.notify_all();
        }
    }

    fn fail(&self, error: anyhow::Error) {
        let mut queue = self.queue();
        queue.ended = true;
        queue.outcome = Err(error);
        self.turn.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue<'a>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the replay when a thread panics.
struct Alarm<'s, 'a>(&'s Shared<'a>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.queue().ended = true;
            self.0.turn.notify_all();
        }
    }
}

/// Owns the buckets, and what follows an overflow.
struct Pourer<'a> {
    buckets: Buckets,
    settler: Settler,
    overflows: Vec<Overflow>,
    now: Timestamp,
    sink: &'a mut dyn Sink,
    n_alerts: u64,
    n_whitelisted: u64,
    by_scenario: BTreeMap<String, u64>,
}

impl<'a> Pourer<'a> {
    fn new(plan: &Plan, sink: &'a mut dyn Sink) -> Self {
        // The seed only guards against chosen keys; alerts do not depend on it.
        let seed = RandomState::new().hash_one(0);
        let (program, outside) = (&plan.program, &plan.outside);
        Self {
            buckets: Buckets::new(Arc::clone(program), Arc::clone(outside), plan.limits, seed),
            settler: Settler::new(Arc::clone(program), Arc::clone(outside)),
            overflows: Vec::new(),
            now: plan.now,
            sink,
            n_alerts: 0,
            n_whitelisted: 0,
            by_scenario: BTreeMap::new(),
        }
    }

    /// Pours a batch and settles what overflows as soon as it does.
    fn pour(&mut self, pours: &Pours) -> io::Result<()> {
        if pours.is_empty() {
            return Ok(());
        }
        let mut overflows = std::mem::take(&mut self.overflows);
        let (mut next, mut outcome) = (0, Ok(()));
        while next < pours.len() && outcome.is_ok() {
            next = self.buckets.pour_from(pours, next, &mut overflows);
            outcome = overflows.drain(..).try_for_each(|overflow| self.settle(overflow, 0));
        }
        self.overflows = overflows;
        outcome
    }

    fn settle(&mut self, overflow: Overflow, depth: usize) -> io::Result<()> {
        let mut back = Pours::default();
        let settled = self.settler.settle(overflow, self.now, &mut back);
        if settled.whitelisted {
            self.n_whitelisted += 1;
        } else {
            for alert in settled.into_alerts() {
                self.n_alerts += 1;
                match self.by_scenario.get_mut(&alert.scenario) {
                    Some(n) => *n += 1,
                    None => drop(self.by_scenario.insert(alert.scenario.clone(), 1)),
                }
                self.sink.alert(&alert, None)?;
            }
        }
        if back.is_empty() || depth >= MAX_DEPTH {
            return Ok(());
        }
        let mut overflows = Vec::new();
        self.buckets.pour_all(&back, &mut overflows);
        overflows.into_iter().try_for_each(|overflow| self.settle(overflow, depth + 1))
    }

    fn tell(self, tally: &mut Tally) {
        tally.n_alerts = self.n_alerts;
        tally.n_whitelisted = self.n_whitelisted;
        tally.alerts_by_scenario = self.by_scenario;
        tally.n_buckets = self.buckets.table.len();
        tally.scenarios = self.buckets.table.counts;
    }
}
