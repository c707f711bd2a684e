//! The thread that owns the engine.
//!
//! It waits for lines, for what the output sends back, and for the engine's next deadline; there is
//! no other way in. A panic while a line is processed costs that line and the buckets, is counted,
//! and stops nothing.

use super::{
    Running, Settle,
    published::{Published, count, set},
    window::Told,
};
use crate::clock::SystemClock;
use acquis::{Ack, Batch, Clock as _, Registry};
use crossbeam_channel::{Receiver, Sender, select};
use engine::{Engine, Limits, Overflow, Pours, observe::Counters, pour::Buckets};
use model::SourceId;
use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tracing::{error, info};

/// How long to wait at most: numbers are published and old buckets freed at least this often.
const TICK: Duration = Duration::from_secs(1);

/// How long the last overflows may take to be settled at the end.
const FAREWELL: Duration = Duration::from_secs(10);

/// Rounds of overflows that make others overflow, at the end.
const MAX_ROUNDS: usize = 16;

/// What the engine's thread can be told besides lines.
pub(super) enum Control {
    /// An overflow is to be poured again. The number is that of the rules it came from.
    Pours(u64, Pours),
    /// Use these rules from now on.
    Reload(Running),
    /// The overflows that came of a batch made others overflow, which have to be settled too before
    /// its lines are done.
    Again(Ack),
    /// Everything sent to the output before the question was settled.
    Settled,
    /// Somebody wants to know what was counted.
    Tell(Sender<Told>),
}

/// Owns the engine.
pub(super) struct Driver<'a> {
    engine: Engine,
    rules: Running,
    /// Counts reloads, so that what belongs to older rules can be told.
    generation: u64,
    limits: Limits,
    lines: Receiver<Batch>,
    control: Receiver<Control>,
    overflows: Sender<Settle>,
    registry: &'a Registry,
    n_sources: usize,
    published: &'a Published,
    /// What earlier engines counted.
    before: Counters,
    evicted_before: u64,
    clock: SystemClock,
    next_tick: Duration,
    out: Vec<Overflow>,
    /// Of batches whose lines were processed. Bounded by the batches in flight.
    acks: Vec<Ack>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        rules: Running,
        limits: Limits,
        lines: Receiver<Batch>,
        control: Receiver<Control>,
        overflows: Sender<Settle>,
        registry: &'a Registry,
        published: &'a Published,
    ) -> Self {
        Self {
            engine: new_engine(&rules, limits),
            rules,
            generation: 0,
            limits,
            lines,
            control,
            overflows,
            registry,
            n_sources: 0,
            published,
            before: Counters::default(),
            evicted_before: 0,
            clock: SystemClock::start(),
            next_tick: Duration::ZERO,
            out: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// Runs until the last source has ended and what it sent is settled.
    pub(super) fn run(mut self) {
        loop {
            let wait = self.wait();
            select! {
                recv(self.control) -> control => match control {
                    Ok(control) => self.obey(control),
                    Err(_output_ended) => break,
                },
                recv(self.lines) -> batch => match batch {
                    Ok(batch) => self.process(batch),
                    Err(_sources_ended) => break,
                },
                default(wait) => {}
            }
            if self.hand_over().is_err() {
                break;
            }
            self.hand_over_acks();
            self.tick();
        }
        self.farewell();
        self.publish();
    }

    /// How long nothing happens by itself.
    fn wait(&self) -> Duration {
        let Some(deadline) = self.engine.next_deadline() else { return TICK };
        let nanos = deadline.nanos_since(self.clock.now());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).min(TICK)
    }

    fn process(&mut self, batch: Batch) {
        for source in self.registry.since(self.n_sources) {
            let id = SourceId(u32::try_from(self.n_sources).unwrap_or(u32::MAX));
            self.engine.parser.add_source(id, Arc::unwrap_or_clone(source));
            self.n_sources += 1;
        }
        // How many lines are done, also after a panic.
        let n_done = Cell::new(0);
        while n_done.get() < batch.len() {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                for (line, stamp) in batch.stamped().skip(n_done.get()) {
                    n_done.set(n_done.get() + 1);
                    let now = self.clock.now();
                    self.engine.process_stamped(line, stamp, now, &mut self.out);
                }
            }));
            if outcome.is_err() {
                count(&self.published.panics);
                error!("a bug: a line made the engine panic; all buckets are lost");
                // What the engine was in the middle of cannot be trusted.
                drop(self.replace(self.rules.clone()));
            }
        }
        // The lines are done once what overflowed is safe, which the output knows.
        self.acks.push(batch.into_ack());
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Pours(generation, pours) => {
                // Pours of older rules name scenarios that are gone.
                if generation == self.generation {
                    self.engine.pour(&pours, &mut self.out);
                }
            }
            Control::Reload(rules) => {
                self.generation += 1;
                let _output_ended =
                    self.overflows.send(Settle::Reload(self.generation, rules.clone()));
                let buckets = self.replace(rules);
                let n_before = buckets.table.len();
                let n_kept = self.engine.buckets.adopt(buckets);
                info!(n_kept, n_ended = n_before - n_kept, "buckets of unchanged scenarios go on");
            }
            Control::Again(ack) => self.acks.push(ack),
            Control::Settled => {}
            Control::Tell(answer) => {
                let mut counters = self.before.clone();
                counters.add(&self.engine.parser.counters);
                let table = &self.engine.buckets.table;
                let told = Told {
                    program: Arc::clone(&self.rules.program),
                    counters,
                    scenarios: table.counts.clone(),
                    live: table.per_scenario(),
                };
                // Whoever asked may have lost patience.
                let _gone = answer.try_send(told);
            }
        }
    }

    /// Goes on with a new engine; gives the buckets of the one before.
    fn replace(&mut self, rules: Running) -> Buckets {
        self.before.add(&without_nodes(&self.engine.parser.counters));
        self.evicted_before += evicted(&self.engine);
        self.out.clear();
        let old = std::mem::replace(&mut self.engine, new_engine(&rules, self.limits));
        self.rules = rules;
        self.n_sources = 0;
        for source in self.registry.since(0) {
            let id = SourceId(u32::try_from(self.n_sources).unwrap_or(u32::MAX));
            self.engine.parser.add_source(id, Arc::unwrap_or_clone(source));
            self.n_sources += 1;
        }
        old.buckets
    }

    /// Sends overflows to be settled. An error: nobody settles any more.
    fn hand_over(&mut self) -> Result<(), Gone> {
        for overflow in self.out.drain(..) {
            self.overflows.send(Settle::Overflow(Box::new(overflow))).map_err(|_ended| Gone)?;
        }
        Ok(())
    }

    /// Sends the output the acknowledgments of the batches whose overflows it was sent.
    fn hand_over_acks(&mut self) {
        for ack in self.acks.drain(..) {
            let _output_ended = self.overflows.send(Settle::Batch(ack));
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let due = self.engine.next_deadline().is_some_and(|deadline| deadline <= now);
        let ticked = self.clock.monotonic() >= self.next_tick;
        if due || ticked {
            self.engine.advance(now, &mut self.out);
            let _output_ended = self.hand_over();
        }
        if ticked {
            self.next_tick = self.clock.monotonic().saturating_add(TICK);
            self.publish();
        }
    }

    fn publish(&self) {
        let mut counters = self.before.clone();
        counters.add(&without_nodes(&self.engine.parser.counters));
        let to = self.published;
        set(&to.lines, counters.lines);
        set(&to.parsed, counters.parsed);
        set(&to.whitelisted, counters.whitelisted);
        set(&to.undated, counters.undated);
        set(&to.errors, counters.errors);
        let buckets = self.engine.buckets.table.len();
        set(&to.buckets, u64::try_from(buckets).unwrap_or(u64::MAX));
        set(&to.evicted, self.evicted_before + evicted(&self.engine));
    }

    /// Waits until the output has settled what it was sent, and pours what it sends back.
    fn farewell(&mut self) {
        let deadline = self.clock.monotonic().saturating_add(FAREWELL);
        for _ in 0..MAX_ROUNDS {
            if self.hand_over().is_err() {
                return;
            }
            self.hand_over_acks();
            if self.overflows.send(Settle::Ask).is_err() {
                return;
            }
            loop {
                let left = deadline.saturating_sub(self.clock.monotonic());
                match self.control.recv_timeout(left) {
                    Ok(Control::Settled) => break,
                    // Whatever was to come with new rules comes with the next start.
                    Ok(Control::Reload(_)) => {}
                    Ok(control) => self.obey(control),
                    Err(_late_or_ended) => return,
                }
            }
            if self.out.is_empty() && self.acks.is_empty() {
                return;
            }
        }
    }
}

/// Nobody settles overflows any more.
struct Gone;

fn new_engine(rules: &Running, limits: Limits) -> Engine {
    // Secret, so that nobody can choose keys that collide; alerts do not depend on it.
    let seed = RandomState::new().hash_one(0);
    Engine::new(Arc::clone(&rules.program), Arc::clone(&rules.outside), limits, seed)
}

/// The counters that mean the same under any rules.
fn without_nodes(counters: &Counters) -> Counters {
    Counters {
        lines: counters.lines,
        parsed: counters.parsed,
        whitelisted: counters.whitelisted,
        undated: counters.undated,
        errors: counters.errors,
        nodes: Vec::new(),
    }
}

fn evicted(engine: &Engine) -> u64 {
    engine.buckets.table.counts.iter().map(|count| count.evicted).sum()
}
