//! Pours: events on their way into buckets, and what becomes of the buckets (spec §5.3–5.8).
//!
//! A [`Pour`] is everything a bucket needs to know of an event, worked out where the event was
//! parsed: which scenario, which partition, the distinct value. Parsing needs no bucket, so lines
//! can be parsed on many threads and poured in their order on one ([`crate::engine`]).

use crate::alert;
use crate::bucket::{Bucket, bayes};
use crate::builtins::rfc3339::{format_rfc3339_nano, parse_rfc3339};
use crate::eval::{Cx, Roots, Scratch};
use crate::event::{Event, Snapshot};
use crate::outside::Outside;
use crate::overflow::Overflow;
use crate::pool::{Pool, known};
use crate::program::{Program, Scenario, ScenarioId, Shape};
use crate::table::Table;
use crate::value::Value;
use alloc::{string::String, sync::Arc, vec::Vec};
use core::ops::Range;
use hashbrown::HashMap;
use model::{Time, TimeMode, Timestamp};

/// Distinct values one bucket remembers; past this, values count as new (I5).
const MAX_SEEN: usize = 1 << 16;

/// Events on their way into buckets.
#[derive(Debug, Default)]
pub struct Pours {
    items: Vec<Pour>,
    text: String,
}

/// One event on its way into one bucket.
#[derive(Clone, Debug)]
struct Pour {
    scenario: ScenarioId,
    partition: Range<u32>,
    distinct: Option<Range<u32>>,
    cancel: bool,
    event: Arc<Snapshot>,
    /// When it is poured: the wall clock, or the event's own date; `None` when it has none.
    at: Option<Time>,
    mode: TimeMode,
    now: Timestamp,
}

impl Pour {
    /// When it is poured into a bucket that follows a clock.
    fn at(&self, mode: TimeMode, pool: &Pool) -> Option<Time> {
        if mode == self.mode {
            return self.at;
        }
        match mode {
            TimeMode::Live => Some(Time::utc(self.now)),
            TimeMode::Event => {
                self.event.get(known::MARSHALED_TIME, pool).and_then(parse_rfc3339).map(Time::from)
            }
        }
    }
}

impl Pours {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Which scenario each goes to, and into which partition.
    pub fn targets(&self) -> impl Iterator<Item = (ScenarioId, &str)> {
        self.items.iter().map(|pour| (pour.scenario, self.text(&pour.partition)))
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.text.clear();
    }

    fn text(&self, range: &Range<u32>) -> &str {
        self.text.get(range.start as usize..range.end as usize).unwrap_or("")
    }

    fn keep(&mut self, text: &str) -> Range<u32> {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        start..self.text.len() as u32
    }
}

/// Which scenarios to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Those that could want the event.
    Candidates,
    /// Every one in turn: who watches a run wants it to depend on nothing but the rules.
    All,
}

/// Asks the scenarios who wants the current event; adds a pour for each that does. Gives how many.
/// hot: `cargo xtask bench engine`
pub(crate) fn match_scenarios(
    program: &Program,
    cx: &mut Cx<'_>,
    pours: &mut Pours,
    ask: Ask,
    mut on_match: impl FnMut(&Scenario),
) -> Matched {
    let select = &program.scenario_select;
    let base = select.push(cx);
    let mut matched = Matched::default();
    let mut event: Option<Kept> = None;
    for word in 0..select.words() {
        let all = u64::MAX >> (64 - (program.scenarios.len() - word * 64).min(64));
        let candidates = |cx: &Cx<'_>| match ask {
            Ask::Candidates => cx.scratch.bits[base + word],
            Ask::All => all,
        };
        let mut bits = candidates(cx);
        while bits != 0 {
            let bit = bits.trailing_zeros();
            let index = word * 64 + bit as usize;
            bits &= bits - 1;
            let scenario = &program.scenarios[index];
            match prepare(program, ScenarioId(index as u32), scenario, cx, pours, &mut event) {
                Ok(true) => {
                    matched.n += 1;
                    on_match(scenario);
                }
                Ok(false) => {}
                // Upstream skips all further scenarios; one broken rule should not silence others.
                Err(_) => matched.errors += 1,
            }
            // A scenario may have written what the index reads; those after it are found anew.
            if select.is_dirty_after(index) {
                select.fill(base, cx);
                bits = candidates(cx) & (u64::MAX << bit) & !(1 << bit);
            }
        }
    }
    cx.scratch.bits.truncate(base);
    if matched.n > 0 && pours.items.last().is_some_and(|pour| pour.at.is_none()) {
        matched.undated = true;
    }
    matched
}

/// What became of an event among the scenarios.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Matched {
    /// Scenarios that wanted it.
    pub(crate) n: u16,
    /// Scenarios whose expressions failed.
    pub(crate) errors: u16,
    /// Whether it could not be poured for want of a date.
    pub(crate) undated: bool,
}

/// What all pours of one event share.
struct Kept {
    event: Arc<Snapshot>,
    at: Option<Time>,
}

fn prepare(
    program: &Program,
    id: ScenarioId,
    scenario: &Scenario,
    cx: &mut Cx<'_>,
    pours: &mut Pours,
    kept: &mut Option<Kept>,
) -> Result<bool, crate::value::EvalError> {
    cx.begin_rule();
    if !cx.test(&scenario.filter)? {
        return Ok(false);
    }
    let partition = match &scenario.group_by {
        None => 0..0,
        Some(expr) => {
            let text = cx.text(expr)?;
            pours.keep(cx.str(&text))
        }
    };
    let is_trigger = matches!(scenario.shape, Shape::Trigger);
    let distinct = match &scenario.distinct {
        Some(expr) if !is_trigger => match cx.eval(expr) {
            Ok(Value::Text(text)) => Some(pours.keep(cx.str(&text))),
            // Not a text: all such events are the same one (spec §5.5).
            Ok(_) => Some(pours.keep("")),
            Err(_) => None,
        },
        _ => None,
    };
    let cancel = match &scenario.cancel_on {
        Some(expr) if !is_trigger => cx.test(expr).unwrap_or(false),
        _ => false,
    };
    let mode = cx.event.time_mode;
    let kept = kept.get_or_insert_with(|| Kept {
        event: Arc::new(cx.event.snapshot(&program.kept, program.keeps_tree, cx.pool)),
        at: match mode {
            TimeMode::Live => Some(Time::utc(cx.now)),
            TimeMode::Event => {
                cx.event.get(known::MARSHALED_TIME, cx.pool).and_then(parse_rfc3339).map(Time::from)
            }
        },
    });
    pours.items.push(Pour {
        scenario: id,
        partition,
        distinct,
        cancel,
        event: Arc::clone(&kept.event),
        at: kept.at,
        mode,
        now: cx.now,
    });
    Ok(true)
}

/// The buckets of a program, and what it takes to turn one into an alert.
#[derive(Debug)]
pub struct Buckets {
    program: Arc<Program>,
    /// The live buckets.
    pub table: Table,
    event: Event,
    scratch: Scratch,
    outside: Arc<dyn Outside>,
    max_queue: usize,
}

impl Buckets {
    /// No buckets yet.
    #[must_use]
    pub fn new(
        program: Arc<Program>,
        outside: Arc<dyn Outside>,
        limits: crate::engine::Limits,
        seed: u64,
    ) -> Self {
        Self {
            table: Table::new(&program, limits.buckets, seed),
            event: Event::new(program.pool.n_fields()),
            scratch: Scratch::default(),
            outside,
            program,
            max_queue: limits.queue,
        }
    }

    /// Pours all events in order; overflows are added to `out`.
    pub fn pour_all(&mut self, pours: &Pours, out: &mut Vec<Overflow>) {
        for pour in &pours.items {
            self.pour(pours, pour, out);
        }
    }

    /// Pours events in order, from the one numbered `from` until one of them has made something
    /// overflow and is in all its buckets; gives the number of the next. So an overflow can be
    /// offered to the scenarios before any later event is.
    pub fn pour_from(&mut self, pours: &Pours, from: usize, out: &mut Vec<Overflow>) -> usize {
        let n_before = out.len();
        let mut next = from;
        while let Some(pour) = pours.items.get(next) {
            self.pour(pours, pour, out);
            next += 1;
            let follows = |other: &Pour| Arc::ptr_eq(&other.event, &pour.event);
            if out.len() > n_before && !pours.items.get(next).is_some_and(follows) {
                break;
            }
        }
        next
    }

    /// Takes over the live buckets and the silent keys of scenarios that both programs have, word
    /// for word; gives how many buckets those are. For a table without buckets of its own: after
    /// rules were read again.
    pub fn adopt(&mut self, old: Self) -> usize {
        let twins = self.program.twins_of(&old.program);
        let (from, to) = (&old.program.pool, &self.program.pool);
        // An event that several buckets hold stays one event.
        let mut renamed: HashMap<*const Snapshot, Arc<Snapshot>> = HashMap::new();
        let rename = |event: &Arc<Snapshot>| {
            let new = renamed.entry(Arc::as_ptr(event));
            Arc::clone(new.or_insert_with(|| Arc::new(event.renamed(from, to))))
        };
        self.table.adopt(&self.program, old.table, &twins, rename);
        self.table.len()
    }

    /// Ends buckets whose time has come. Call when [`Table::next_deadline`] has passed, and now and
    /// then to free what expired.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Overflow>) {
        self.end_due(now, out);
        self.table.sweep(&self.program, now);
    }

    /// Ends the buckets whose fixed life is over, each with an overflow.
    fn end_due(&mut self, now: Timestamp, out: &mut Vec<Overflow>) {
        let program = Arc::clone(&self.program);
        while let Some((id, at)) = self.table.pop_ended(&program, now) {
            let bucket = self.table.remove(id);
            self.overflow(&bucket, Time::utc(at), now, out);
        }
    }

    fn pour(&mut self, pours: &Pours, pour: &Pour, out: &mut Vec<Overflow>) {
        // What ended before this event must not take it in, however seldom time is told to advance.
        if self.table.next_deadline().is_some_and(|at| at <= pour.now) {
            self.end_due(pour.now, out);
        }
        let program = Arc::clone(&self.program);
        let scenario = program.scenario(pour.scenario);
        let partition = pours.text(&pour.partition);
        if matches!(scenario.shape, Shape::Trigger) {
            return self.trigger(pour, partition, out);
        }
        // Without a date an event cannot be placed in a replay (spec §5.6), but what is `distinct` and
        // what cancels is looked at before that.
        let is_looked_at = scenario.distinct.is_some() || scenario.cancel_on.is_some();
        if pour.at.is_none()
            && !is_looked_at
            && self.table.find(&program, pour.scenario, partition).is_none()
        {
            return;
        }
        // A bucket's clock is that of the event that made it. Without a date an event is never too
        // late for its bucket (spec §5.3).
        let clock = |mode| pour.at(mode, &program.pool);
        let id = self.table.enter(&program, pour.scenario, partition, pour.mode, |mode| {
            clock(mode).map_or(Timestamp::MIN, |at| at.at)
        });
        let at = clock(self.table.bucket(id).mode);
        let owner = self.table.bucket(id).scenario;
        let (scenario, pour) = if owner == pour.scenario {
            (scenario, pour)
        } else {
            // The bucket is a relative's, and so are its distinct values and its end.
            let is_same =
                |other: &&Pour| other.scenario == owner && Arc::ptr_eq(&other.event, &pour.event);
            (program.scenario(owner), pours.items.iter().find(is_same).unwrap_or(pour))
        };
        if let Some(distinct) = &pour.distinct {
            let distinct = pours.text(distinct);
            let bucket = self.table.bucket_mut(id);
            if let Some(extra) = &mut bucket.extra {
                if extra.seen.contains(distinct) {
                    return;
                }
                if extra.seen.len() < MAX_SEEN {
                    extra.seen.insert(distinct.into());
                }
            }
        }
        if pour.cancel {
            self.table.counts[pour.scenario.0 as usize].canceled += 1;
            self.table.remove(id);
            return;
        }
        let Some(at) = at else { return };
        let limit = scenario.queue.min(self.max_queue);
        let bucket = self.table.bucket_mut(id);
        let is_first = bucket.first.is_none();
        bucket.total = bucket.total.saturating_add(1);
        bucket.first.get_or_insert(at);
        bucket.last = at;
        let fits = match &scenario.shape {
            Shape::Leaky { capacity, speed } => bucket.level.take(*capacity, *speed, at.at),
            Shape::Trigger | Shape::Counter | Shape::Conditional | Shape::Bayesian { .. } => true,
        };
        bucket.queue.push(Arc::clone(&pour.event), limit);
        self.table.counts[pour.scenario.0 as usize].poured += 1;
        self.table.touch(id);
        if is_first && let Some(deadline) = self.table.bucket(id).deadline(scenario) {
            self.table.set_deadline(&program, id, deadline);
        }
        let full =
            !fits || self.condition_holds(scenario, id, pour) || self.is_evil(scenario, id, pour);
        if full {
            let bucket = self.table.remove(id);
            self.overflow(&bucket, at, pour.now, out);
        }
    }

    fn trigger(&mut self, pour: &Pour, partition: &str, out: &mut Vec<Overflow>) {
        let at = pour.at.unwrap_or_else(|| Time::utc(pour.now));
        let mut bucket = Bucket::of_one(pour.scenario, partition, at, pour.mode);
        bucket.queue.push(Arc::clone(&pour.event), 0);
        let counts = &mut self.table.counts[pour.scenario.0 as usize];
        counts.poured += 1;
        counts.created += 1;
        self.overflow(&bucket, at, pour.now, out);
    }

    fn condition_holds(&mut self, scenario: &Scenario, id: u32, pour: &Pour) -> bool {
        let Some(condition) = &scenario.condition else { return false };
        let roots = bucket_roots(self.table.bucket(id), scenario);
        self.event.begin_kept(&pour.event, &self.program.pool);
        self.cx(pour.now, &roots).test(condition).unwrap_or(false)
    }

    fn is_evil(&mut self, scenario: &Scenario, id: u32, pour: &Pour) -> bool {
        let Shape::Bayesian { prior, threshold, evidence } = &scenario.shape else { return false };
        let roots = bucket_roots(self.table.bucket(id), scenario);
        self.event.begin_kept(&pour.event, &self.program.pool);
        let mut guillotined = match &mut self.table.bucket_mut(id).extra {
            Some(extra) => core::mem::take(&mut extra.guillotined),
            None => Vec::new(),
        };
        guillotined.resize(evidence.len(), false);
        let mut posterior = *prior;
        for (evidence, fell) in evidence.iter().zip(&mut guillotined) {
            let holds = if *fell {
                true
            } else {
                match self.cx(pour.now, &roots).test(&evidence.condition) {
                    Ok(holds) => holds,
                    Err(_) => continue,
                }
            };
            *fell |= holds && evidence.guillotine;
            let (evil, benign) = if holds {
                (evidence.given_evil, evidence.given_benign)
            } else {
                (1.0 - evidence.given_evil, 1.0 - evidence.given_benign)
            };
            posterior = bayes(posterior, evil, benign);
        }
        if let Some(extra) = &mut self.table.bucket_mut(id).extra {
            extra.guillotined = guillotined;
        }
        posterior > *threshold
    }

    /// Makes an overflow of a bucket that is no longer in the table, unless the scenario's filter or
    /// blackhole swallows it, or no source can be told.
    fn overflow(&mut self, bucket: &Bucket, at: Time, now: Timestamp, out: &mut Vec<Overflow>) {
        let program = Arc::clone(&self.program);
        let scenario = program.scenario(bucket.scenario);
        self.table.counts[bucket.scenario.0 as usize].overflowed += 1;
        let mut roots = Roots { no_event: true, ..Roots::default() };
        // Without a filter the blackhole decides alone, and what it swallows need not be made: an
        // alert that would have been lost silences the key all the same (spec §13, trap 36).
        if scenario.overflow_filter.is_none() && self.is_silenced(scenario, bucket, at) {
            return;
        }
        let overflow = alert::build(&program, bucket, at, &mut self.cx(now, &roots));
        if let Some(filter) = &scenario.overflow_filter {
            let queue = bucket_roots(bucket, scenario);
            roots.queue = queue.queue;
            roots.leaky = queue.leaky;
            roots.signal =
                Some(overflow.as_ref().map_or_else(crate::overflow::no_overflow, Overflow::value));
            // An error keeps the overflow (spec §6.5).
            if !self.cx(now, &roots).test(filter).unwrap_or(true)
                || self.is_silenced(scenario, bucket, at)
            {
                return;
            }
        }
        out.extend(overflow);
    }

    fn is_silenced(&mut self, scenario: &Scenario, bucket: &Bucket, at: Time) -> bool {
        scenario.blackhole.is_some_and(|silence| {
            self.table.is_blackholed(bucket.scenario, &bucket.partition, silence, at.at)
        })
    }

    fn cx<'a>(&'a mut self, now: Timestamp, roots: &'a Roots) -> Cx<'a> {
        self.scratch.begin();
        Cx {
            pool: &self.program.pool,
            data: &self.program.data,
            event: &mut self.event,
            scratch: &mut self.scratch,
            outside: &*self.outside,
            now,
            roots,
        }
    }
}

/// `queue` and `leaky` of a bucket (spec §5.7).
fn bucket_roots(bucket: &Bucket, scenario: &Scenario) -> Roots {
    use crate::value::{EventRef, ObjectKind};
    let events: Vec<Value> =
        bucket.queue.iter().map(|event| Value::Event(EventRef::Kept(Arc::clone(event)))).collect();
    let limit = i64::try_from(scenario.queue).unwrap_or(-1);
    let queue = Value::object(
        ObjectKind::Queue,
        alloc::vec![("Queue", Value::list(events)), ("L", Value::Int(limit))],
    );
    let lifetime = scenario.lifetime.map_or(0, |lifetime| lifetime.as_nanos() as i64);
    let leaky = Value::object(
        ObjectKind::Bucket,
        alloc::vec![
            ("Name", Value::shared(&scenario.name)),
            ("Mode", Value::Int(i64::from(bucket.mode == TimeMode::Event))),
            ("Total_count", Value::Int(i64::from(bucket.total))),
            ("First_ts", Value::Time(bucket.first.unwrap_or(bucket.last))),
            ("Last_ts", Value::Time(bucket.last)),
            ("Ovflw_ts", Value::Time(bucket.last)),
            ("Queue", queue.clone()),
            ("Capacity", Value::Int(i64::from(scenario.capacity))),
            ("CacheSize", Value::Int(limit)),
            ("Leakspeed", Value::Duration(scenario.leakspeed.as_nanos() as i64)),
            ("Duration", Value::Duration(lifetime)),
            ("Mapkey", Value::shared(&alert::mapkey(scenario, &bucket.partition))),
            ("Reprocess", Value::Bool(scenario.reprocess)),
            ("Simulated", Value::Bool(scenario.simulated)),
        ],
    );
    Roots { queue: Some(queue), leaky: Some(leaky), ..Roots::default() }
}

/// The date an overflow carries into postoverflows and back into scenarios.
#[must_use]
pub fn overflow_date(overflow: &Overflow) -> String {
    format_rfc3339_nano(overflow.alert.stop_at.into())
}
