//! Keys that are silent for a while after an overflow (spec §5.5, blackhole).
//!
//! Hides how silences end. Each scenario has its own, and forgets those that ended whenever it asks;
//! together they are bounded: an attacker with a million addresses makes a million keys silent, and
//! past the bound the one that would end first speaks again (I5).

use crate::program::ScenarioId;
use crate::table::Keyed;
use alloc::{collections::BinaryHeap, sync::Arc, vec::Vec};
use core::{cmp::Reverse, time::Duration};
use hashbrown::HashMap;
use model::Timestamp;

/// The silent keys of all scenarios.
#[derive(Debug)]
pub(crate) struct Silences {
    of: Vec<Silence>,
    n_keys: usize,
    max: usize,
}

/// The silent keys of one scenario.
///
/// INVARIANT: both hold the same keys, each once.
#[derive(Debug)]
struct Silence {
    until: HashMap<Arc<str>, Timestamp, Keyed>,
    ends: BinaryHeap<Reverse<(Timestamp, Arc<str>)>>,
}

/// What a silence was asked to do and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silenced {
    /// The key is silent.
    Already,
    /// The key was not silent and is from now on.
    Begins,
    /// As [`Silenced::Begins`], and a key of this scenario had to be forgotten early.
    BeginsFor(ScenarioId),
}

impl Silences {
    /// No key is silent. `max` bounds how many can be.
    pub(crate) fn new(n_scenarios: usize, max: usize, keyed: Keyed) -> Self {
        let silence = || Silence { until: HashMap::with_hasher(keyed), ends: BinaryHeap::new() };
        Self { of: (0..n_scenarios).map(|_| silence()).collect(), n_keys: 0, max: max.max(1) }
    }

    /// Asks whether a key is silent at an instant: a silence lasts while its end is strictly later.
    /// If it is not, it is from now on.
    pub(crate) fn enter(
        &mut self,
        scenario: ScenarioId,
        partition: &str,
        silence: Duration,
        at: Timestamp,
    ) -> Silenced {
        let Some(own) = self.of.get_mut(scenario.0 as usize) else { return Silenced::Begins };
        if own.until.get(partition).is_some_and(|until| *until > at) {
            return Silenced::Already;
        }
        while own.ends.peek().is_some_and(|Reverse((until, _))| *until <= at) {
            own.forget_first();
            self.n_keys -= 1;
        }
        let mut forgotten = None;
        if self.n_keys >= self.max {
            forgotten = self.forget_one(scenario);
        }
        let until = at.after(silence);
        let key: Arc<str> = partition.into();
        if let Some(own) = self.of.get_mut(scenario.0 as usize) {
            own.until.insert(Arc::clone(&key), until);
            own.ends.push(Reverse((until, key)));
            self.n_keys += 1;
        }
        forgotten.map_or(Silenced::Begins, Silenced::BeginsFor)
    }

    /// Takes over what is silent in an older set, as far as there is room.
    pub(crate) fn adopt(&mut self, old: Self, twins: &[Option<ScenarioId>]) {
        for (silence, twin) in old.of.into_iter().zip(twins) {
            let own = twin.and_then(|twin| self.of.get_mut(twin.0 as usize));
            let Some(own) = own.filter(|own| own.ends.is_empty()) else { continue };
            for Reverse((until, key)) in silence.ends {
                if self.n_keys >= self.max {
                    return;
                }
                own.until.insert(Arc::clone(&key), until);
                own.ends.push(Reverse((until, key)));
                self.n_keys += 1;
            }
        }
    }

    /// Makes room: at the scenario's own cost, or at that of the one with the most silent keys.
    fn forget_one(&mut self, scenario: ScenarioId) -> Option<ScenarioId> {
        let own = scenario.0 as usize;
        let index = match self.of.get(own) {
            Some(silence) if !silence.ends.is_empty() => own,
            // The first of equals, so that the choice does not depend on anything else.
            _ => (0..self.of.len())
                .max_by_key(|index| (self.of[*index].ends.len(), Reverse(*index)))?,
        };
        self.of.get_mut(index)?.forget_first();
        self.n_keys -= 1;
        Some(ScenarioId(u32::try_from(index).ok()?))
    }

    /// How many keys are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.n_keys
    }
}

impl Silence {
    fn forget_first(&mut self) {
        if let Some(Reverse((_, key))) = self.ends.pop() {
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 0)
    }

    #[test]
    fn a_silence_ends_when_its_time_has_come() {
        let mut silences = Silences::new(2, 100, Keyed::new(1));
        let mut enter = |scenario, key: &str, seconds| {
            silences.enter(ScenarioId(scenario), key, MINUTE, at(seconds))
        };
        assert_eq!(enter(0, "a", 0), Silenced::Begins);
        assert_eq!(enter(0, "a", 59), Silenced::Already);
        assert_eq!(enter(1, "a", 59), Silenced::Begins);
        assert_eq!(enter(0, "a", 60), Silenced::Begins);
        // Out of order: the first silence is forgotten, the second one lasts.
        assert_eq!(enter(0, "a", 10), Silenced::Already);
        assert_eq!(enter(0, "b", 200), Silenced::Begins);
        assert_eq!(enter(0, "a", 61), Silenced::Begins);
    }

    #[test]
    fn silences_go_on_under_another_number() {
        let mut old = Silences::new(2, 10, Keyed::new(1));
        assert_eq!(old.enter(ScenarioId(0), "a", MINUTE, at(0)), Silenced::Begins);
        assert_eq!(old.enter(ScenarioId(1), "b", MINUTE, at(0)), Silenced::Begins);
        let mut silences = Silences::new(3, 10, Keyed::new(2));
        silences.adopt(old, &[Some(ScenarioId(2)), None]);
        assert_eq!(silences.len(), 1);
        assert_eq!(silences.enter(ScenarioId(2), "a", MINUTE, at(59)), Silenced::Already);
        assert_eq!(silences.enter(ScenarioId(1), "b", MINUTE, at(59)), Silenced::Begins);
        assert_eq!(silences.enter(ScenarioId(2), "a", MINUTE, at(60)), Silenced::Begins);
    }

    #[test]
    fn a_million_keys_do_not_take_more_memory_than_allowed() {
        let mut silences = Silences::new(2, 10, Keyed::new(1));
        for n in 0..1000 {
            let silenced = silences.enter(ScenarioId(0), &format!("{n}"), MINUTE, at(n / 100));
            let full = n >= 10;
            assert_eq!(silenced == Silenced::BeginsFor(ScenarioId(0)), full);
            assert!(silences.len() <= 10);
        }
        // The last ones are still silent; one of them makes room for the other scenario.
        assert_eq!(silences.enter(ScenarioId(0), "999", MINUTE, at(10)), Silenced::Already);
        let other = silences.enter(ScenarioId(1), "x", MINUTE, at(10));
        assert_eq!(other, Silenced::BeginsFor(ScenarioId(0)));
        assert_eq!(silences.len(), 10);
    }
}
