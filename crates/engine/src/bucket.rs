//! Buckets: how full one is, as arithmetic on instants (spec §5.4–5.7).
//!
//! A bucket is data. Time is an argument, so live traffic and a replayed log take the same path and
//! there is nothing to tick.

use crate::event::Snapshot;
use crate::program::ScenarioId;
use crate::table::Keyed;
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;
use hashbrown::HashSet;
use model::{Time, TimeMode, Timestamp};

/// How much of a bucket is left, as upstream's token bucket counts it.
///
/// It starts with `capacity` tokens; each event takes one, and one comes back per leak speed. The
/// count is a real number: leaking is continuous. An event that finds less than one token
/// overflows.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    last: Timestamp,
    tokens: f64,
}

impl Level {
    /// An empty bucket at an instant.
    #[must_use]
    pub fn new(capacity: u32, at: Timestamp) -> Self {
        Self { last: at, tokens: f64::from(capacity) }
    }

    /// How much of the capacity was in use at the last event that fitted.
    #[must_use]
    pub fn in_use(&self, capacity: u32) -> f64 {
        f64::from(capacity) - self.tokens
    }

    /// Takes one event at an instant; `false` when it overflows. Going back in time gives no credit
    /// but moves the clock back (spec §5.6).
    ///
    /// The operations and their order are those of upstream's limiter, in double precision, so that
    /// events a rounding error away from the brim fall on the same side.
    pub fn take(&mut self, capacity: u32, speed: Duration, at: Timestamp) -> bool {
        let last = self.last.min(at);
        let per_second = 1.0 / speed.as_secs_f64();
        let elapsed = seconds(at.nanos_since(last));
        let tokens = f64::from(capacity).min(self.tokens + elapsed * per_second) - 1.0;
        // A deficit that less than a nanosecond of leaking would pay is no deficit.
        let fits = tokens >= 0.0 || (-tokens / per_second * 1e9) < 1.0;
        if fits {
            self.last = at;
            self.tokens = tokens;
        }
        fits
    }
}

fn seconds(nanos: i64) -> f64 {
    (nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9
}

/// A bucket of one scenario and one partition.
#[derive(Debug)]
pub struct Bucket {
    /// Whose it is.
    pub scenario: ScenarioId,
    /// What `groupby` gave.
    pub partition: Box<str>,
    /// The hash under which the table finds it.
    pub hash: u64,
    /// How full it is.
    pub level: Level,
    /// Whose clock it follows: that of the event that made it.
    pub mode: TimeMode,
    /// When the first event was poured; `None` before.
    pub first: Option<Time>,
    /// When the last event was poured.
    pub last: Time,
    /// Events poured.
    pub total: u32,
    /// The last events, oldest first.
    pub queue: Queue,
    /// What only some scenarios need.
    pub extra: Option<Box<Extra>>,
    /// The bucket poured before this one, in order of last pour.
    pub(crate) older: u32,
    /// The bucket poured after this one.
    pub(crate) newer: u32,
}

impl Bucket {
    /// A bucket outside any table that holds one event: what a trigger makes.
    #[must_use]
    pub fn of_one(scenario: ScenarioId, partition: &str, at: Time, mode: TimeMode) -> Self {
        Self {
            scenario,
            partition: partition.into(),
            hash: 0,
            level: Level::new(0, at.at),
            mode,
            first: Some(at),
            last: at,
            total: 1,
            queue: Queue::Empty,
            extra: None,
            older: u32::MAX,
            newer: u32::MAX,
        }
    }
}

/// Per-bucket state that only some scenarios need.
#[derive(Debug)]
pub struct Extra {
    /// Values `distinct` has seen.
    pub seen: HashSet<Box<str>, Keyed>,
    /// Evidence with a guillotine that held once.
    pub guillotined: Vec<bool>,
}

impl Extra {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(keyed: Keyed) -> Self {
        Self { seen: HashSet::with_hasher(keyed), guillotined: Vec::new() }
    }
}

/// The last events of a bucket. Most buckets hold one, which needs no allocation of its own.
#[derive(Debug, Default)]
pub enum Queue {
    /// None yet.
    #[default]
    Empty,
    /// One.
    One(Arc<Snapshot>),
    /// More.
    Many(Box<VecDeque<Arc<Snapshot>>>),
}

impl Queue {
    /// Adds an event; while there are more than `limit`, the oldest leaves first. So up to
    /// `limit + 1` are held (spec §5.4).
    pub fn push(&mut self, event: Arc<Snapshot>, limit: usize) {
        match self {
            Self::Empty => *self = Self::One(event),
            Self::One(_) if limit == 0 => *self = Self::One(event),
            Self::One(first) => {
                let first = Arc::clone(first);
                *self = Self::Many(Box::new(VecDeque::from([first, event])));
            }
            Self::Many(events) => {
                while events.len() > limit {
                    events.pop_front();
                }
                events.push_back(event);
            }
        }
    }

    /// Puts other events in the place of these.
    pub(crate) fn rename(&mut self, mut rename: impl FnMut(&Arc<Snapshot>) -> Arc<Snapshot>) {
        match self {
            Self::Empty => {}
            Self::One(event) => *event = rename(event),
            Self::Many(events) => events.iter_mut().for_each(|event| *event = rename(event)),
        }
    }

    /// The events, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(event) => (Some(event), None),
            Self::Many(events) => (None, Some(events.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(events) => events.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

/// Updates a probability by one piece of evidence, in single precision as upstream does
/// (spec §5.7).
#[must_use]
pub fn bayes(prior: f32, given_evil: f32, given_benign: f32) -> f32 {
    (given_evil * prior) / (given_evil * prior + given_benign * (1.0 - prior))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn pour_at(capacity: u32, speed: u64, seconds: &[f64]) -> Vec<bool> {
        let mut level = Level::new(capacity, Timestamp::from_unix_nanos(0));
        seconds
            .iter()
            .map(|at| {
                let at = Timestamp::from_unix_nanos((at * SECOND as f64) as i64);
                level.take(capacity, Duration::from_secs(speed), at)
            })
            .collect()
    }

    #[test]
    fn the_table_of_the_specification() {
        assert_eq!(
            pour_at(5, 10, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            [true, true, true, true, true, false]
        );
        assert_eq!(pour_at(1, 60, &[0.0, 60.0]), [true, true]);
        assert_eq!(pour_at(1, 60, &[0.0, 30.0]), [true, false]);
        assert!(
            pour_at(5, 10, &(0..100).map(|n| f64::from(n) * 10.0).collect::<Vec<_>>())
                .iter()
                .all(|fits| *fits)
        );
        assert_eq!(pour_at(2, 1, &[0.0, 0.0, 0.0]), [true, true, false]);
    }

    #[test]
    fn going_back_gives_no_credit_and_moves_the_clock() {
        // At 100 s, then at 0 s (no credit), then at 100 s again: a hundred seconds of leaking.
        assert_eq!(pour_at(2, 10, &[100.0, 0.0, 0.0, 100.0]), [true, true, false, true]);
    }

    #[test]
    fn bayes_of_the_specification() {
        let first = bayes(0.5, 0.8, 0.2);
        assert!((first - 0.8).abs() < 1e-6);
        let second = bayes(first, 1.0 - 0.7, 1.0 - 0.1);
        assert!((second - 0.5714).abs() < 1e-4);
    }
}
