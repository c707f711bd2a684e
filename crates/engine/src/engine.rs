//! Lines in, overflows out.
//!
//! [`Parser`] is the part without memory between lines: it parses and asks the scenarios. [`Buckets`]
//! is the part with memory. [`Engine`] is one of each. For replays on several cores, parsers run
//! side by side and one set of buckets takes their pours in the order of the lines, so that the
//! alerts are the same on one core and on many (I2).

use crate::eval::{Cx, Roots, Scratch};
use crate::event::Event;
use crate::observe::{Counters, NodeCount, Observer};
use crate::outside::Outside;
use crate::overflow::Overflow;
use crate::pour::{Ask, Buckets, Pours, match_scenarios, overflow_date};
use crate::program::{Program, Scenario, Stage};
use crate::stage::Runner;
use alloc::{sync::Arc, vec::Vec};
use core::mem::take;
use model::{Line, LineSource, SourceId, Stamp, Time, Timestamp};

/// What memory an engine may take (I5).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Live buckets. The one poured longest ago leaves when there are more.
    pub buckets: usize,
    /// Events one bucket remembers.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { buckets: 4_000_000, queue: 10_000 }
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No parser took it through all stages.
    Unparsed,
    /// Parsed; no scenario wanted it.
    Parsed,
    /// A whitelist dropped it.
    Whitelisted,
    /// Poured into this many scenarios.
    Poured(u16),
}

/// Parses lines and asks the scenarios who wants them.
#[derive(Debug)]
pub struct Parser {
    program: Arc<Program>,
    outside: Arc<dyn Outside>,
    event: Event,
    scratch: Scratch,
    sources: Vec<LineSource>,
    /// The stamp of the next line.
    stamp: Stamp,
    /// What it did so far.
    pub counters: Counters,
}

impl Parser {
    /// A parser for a program.
    #[must_use]
    pub fn new(program: Arc<Program>, outside: Arc<dyn Outside>) -> Self {
        let mut scratch = Scratch::default();
        declare_stashes(&program, &mut scratch);
        let nodes = alloc::vec![NodeCount::default(); program.n_nodes as usize];
        Self {
            event: Event::new(program.pool.n_fields()),
            scratch,
            sources: Vec::new(),
            stamp: Stamp::NONE,
            counters: Counters { nodes, ..Counters::default() },
            outside,
            program,
        }
    }

    /// The program it runs.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Tells what a source's number stands for. Lines of unknown sources have no labels.
    pub fn add_source(&mut self, id: SourceId, source: LineSource) {
        let index = id.0 as usize;
        if index >= self.sources.len() {
            self.sources.resize(index + 1, LineSource::default());
        }
        self.sources[index] = source;
        self.event.forget_source();
    }

    /// Parses a line and adds a pour for each scenario that wants it.
    /// hot: `cargo xtask bench engine`
    pub fn process(&mut self, line: Line<'_>, now: Timestamp, pours: &mut Pours) -> Outcome {
        self.process_observed(line, now, pours, None, &mut |_| {})
    }

    /// [`Parser::process`], telling `observer` about every node and `on_match` about every scenario
    /// that wants the line.
    pub fn process_observed(
        &mut self,
        line: Line<'_>,
        now: Timestamp,
        pours: &mut Pours,
        observer: Option<&mut dyn Observer>,
        on_match: &mut dyn FnMut(&Scenario),
    ) -> Outcome {
        let nobody = LineSource::default();
        let source = self.sources.get(line.source.0 as usize).unwrap_or(&nobody);
        let ask = if observer.is_some() { Ask::All } else { Ask::Candidates };
        self.counters.lines += 1;
        self.event.begin_line(line.source, source, line.text, &self.program.pool);
        self.event.stamp = take(&mut self.stamp);
        self.event.time = Time::utc(now);
        self.event.line_time = Time::utc(line.read_at);
        self.scratch.begin();
        let roots = Roots::default();
        let mut cx = Cx {
            pool: &self.program.pool,
            data: &self.program.data,
            event: &mut self.event,
            scratch: &mut self.scratch,
            outside: &*self.outside,
            now,
            roots: &roots,
        };
        let mut runner = Runner {
            stages: &self.program.parsers,
            counts: &mut self.counters.nodes,
            errors: &mut self.counters.errors,
            observer,
            stage: "",
        };
        // An aborted parse is an unparsed line (spec §2.7).
        if !runner.run(&mut cx).unwrap_or(false) {
            cx.scratch.bits.clear();
            return Outcome::Unparsed;
        }
        cx.event.process = true;
        self.counters.parsed += 1;
        if cx.event.whitelisted {
            self.counters.whitelisted += 1;
            return Outcome::Whitelisted;
        }
        let matched = match_scenarios(&self.program, &mut cx, pours, ask, on_match);
        self.counters.errors += u64::from(matched.errors);
        self.counters.undated += u64::from(matched.undated);
        if matched.n == 0 { Outcome::Parsed } else { Outcome::Poured(matched.n) }
    }
}

/// Runs postoverflows over overflows, and offers them to the scenarios again.
#[derive(Debug)]
pub struct Settler {
    program: Arc<Program>,
    outside: Arc<dyn Outside>,
    event: Event,
    scratch: Scratch,
    counts: Vec<NodeCount>,
    errors: u64,
}

impl Settler {
    /// A settler for a program.
    #[must_use]
    pub fn new(program: Arc<Program>, outside: Arc<dyn Outside>) -> Self {
        let mut scratch = Scratch::default();
        declare_stashes(&program, &mut scratch);
        Self {
            event: Event::new(program.pool.n_fields()),
            scratch,
            counts: alloc::vec![NodeCount::default(); program.n_nodes as usize],
            errors: 0,
            outside,
            program,
        }
    }

    /// Runs the postoverflows. Where the overflow is to be reprocessed, its pours are added.
    ///
    /// An alert is never lost here: an overflow that does not finish its stages comes out all the
    /// same (spec §4), whitelisted only if a whitelist said so.
    pub fn settle(&mut self, overflow: Overflow, now: Timestamp, pours: &mut Pours) -> Overflow {
        self.settle_observed(overflow, now, pours, None)
    }

    /// [`Settler::settle`], telling `observer` about every node.
    pub fn settle_observed(
        &mut self,
        overflow: Overflow,
        now: Timestamp,
        pours: &mut Pours,
        observer: Option<&mut dyn Observer>,
    ) -> Overflow {
        let date = overflow_date(&overflow);
        let time = overflow.alert.stop_at;
        self.event.begin_overflow(overflow, &date, time);
        self.scratch.begin();
        let roots = Roots::default();
        let mut cx = Cx {
            pool: &self.program.pool,
            data: &self.program.data,
            event: &mut self.event,
            scratch: &mut self.scratch,
            outside: &*self.outside,
            now,
            roots: &roots,
        };
        let stages: &[Stage] = &self.program.postoverflows;
        let ask = if observer.is_some() { Ask::All } else { Ask::Candidates };
        let mut runner = Runner {
            stages,
            counts: &mut self.counts,
            errors: &mut self.errors,
            observer,
            stage: "",
        };
        let finished = runner.run(&mut cx);
        cx.scratch.bits.clear();
        cx.event.process = finished == Ok(true);
        let goes_back = cx.event.overflow.as_ref().is_some_and(|o| o.reprocess && !o.whitelisted);
        if goes_back {
            match_scenarios(&self.program, &mut cx, pours, ask, |_| {});
        }
        let overflow = take(&mut self.event.overflow);
        *overflow.expect("an overflow event keeps its overflow until it is taken here")
    }
}

fn declare_stashes(program: &Program, scratch: &mut Scratch) {
    for stash in &program.stashes {
        let ttl = i64::try_from(stash.ttl.as_nanos()).unwrap_or(i64::MAX);
        scratch.declare_stash(&stash.name, stash.size, ttl);
    }
}

/// A parser and a set of buckets: the whole engine on one thread.
#[derive(Debug)]
pub struct Engine {
    /// Parses.
    pub parser: Parser,
    /// Counts.
    pub buckets: Buckets,
    pours: Pours,
}

impl Engine {
    /// An engine for a program. `seed` keys the hash of the bucket table; it should be secret and
    /// does not influence the alerts.
    #[must_use]
    pub fn new(
        program: Arc<Program>,
        outside: Arc<dyn Outside>,
        limits: Limits,
        seed: u64,
    ) -> Self {
        Self {
            parser: Parser::new(Arc::clone(&program), Arc::clone(&outside)),
            buckets: Buckets::new(program, outside, limits, seed),
            pours: Pours::default(),
        }
    }

    /// Takes one line; overflows are added to `out`, still to be settled.
    pub fn process(&mut self, line: Line<'_>, now: Timestamp, out: &mut Vec<Overflow>) -> Outcome {
        self.pours.clear();
        let outcome = self.parser.process(line, now, &mut self.pours);
        self.buckets.pour_all(&self.pours, out);
        outcome
    }

    /// [`Engine::process`] of a line that can be told from all others, so that the overflows it
    /// makes have an identity.
    pub fn process_stamped(
        &mut self,
        line: Line<'_>,
        stamp: Stamp,
        now: Timestamp,
        out: &mut Vec<Overflow>,
    ) -> Outcome {
        self.parser.stamp = stamp;
        self.process(line, now, out)
    }

    /// Takes pours that came from elsewhere: overflows that a [`Settler`] sent back.
    pub fn pour(&mut self, pours: &Pours, out: &mut Vec<Overflow>) {
        self.buckets.pour_all(pours, out);
    }

    /// Ends buckets whose time has come.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Overflow>) {
        self.buckets.advance(now, out);
    }

    /// When something will happen without a line.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.buckets.table.next_deadline()
    }
}
