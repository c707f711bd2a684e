//! Decisions by value: the strongest of each value at hand, the others behind it, and who ends when.

use alloc::{collections::BTreeMap, vec::Vec};

use model::Timestamp;

use super::change::{Effect, Labels, Until};

/// One decision as it is kept: 16 bytes, so that a million take little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: i64,
    pub(super) effect: Effect,
}

/// The same decision told again ends a moment earlier or later, because what travels is how long
/// it still lasts, in whole seconds. That is no news.
const SLACK: u32 = 2;

pub(super) fn is_same(old: Effect, new: Effect) -> bool {
    old.remediation == new.remediation
        && old.origin == new.origin
        && old.until.seconds().abs_diff(new.until.seconds()) <= SLACK
}

/// Decisions on values of one kind, hosts or networks.
#[derive(Clone, Debug)]
pub(super) struct Values<K> {
    /// The strongest of each value.
    best: BTreeMap<K, Held>,
    /// The others, by value and number. Few values have any.
    rest: BTreeMap<(K, i64), Effect>,
    wheel: Wheel<K>,
}

impl<K> Default for Values<K> {
    fn default() -> Self {
        Self { best: BTreeMap::new(), rest: BTreeMap::new(), wheel: Wheel::default() }
    }
}

impl<K: Copy + Ord> Values<K> {
    pub(super) fn len(&self) -> usize {
        self.best.len() + self.rest.len()
    }

    pub(super) fn best(&self, key: K) -> Option<Effect> {
        self.best.get(&key).map(|held| held.effect)
    }

    pub(super) fn strongest(&self) -> &BTreeMap<K, Held> {
        &self.best
    }

    /// All decisions, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Held)> {
        let best = self.best.iter().map(|(key, held)| (*key, *held));
        let rest = self.rest.iter();
        best.chain(rest.map(|((key, id), effect)| (*key, Held { id: *id, effect: *effect })))
    }

    pub(super) fn holds(&self, key: K, id: i64) -> bool {
        self.best.get(&key).is_some_and(|best| best.id == id) || self.rest.contains_key(&(key, id))
    }

    /// Adds a decision, or puts it in place of the one with the same number.
    pub(super) fn insert(&mut self, key: K, held: Held, labels: &Labels) {
        let known = match self.best.get(&key) {
            Some(best) if best.id == held.id => Some(best.effect),
            _ => self.rest.get(&(key, held.id)).copied(),
        };
        if known.is_some_and(|known| is_same(known, held.effect)) {
            return;
        }
        if known.is_some() {
            self.remove(key, labels, |id, _| id == held.id);
        }
        self.wheel.add(held.effect.until, key);
        match self.best.get_mut(&key) {
            None => {
                self.best.insert(key, held);
            }
            Some(best) => {
                let is_stronger = outranks(labels, held, *best);
                let weaker = if is_stronger { core::mem::replace(best, held) } else { held };
                self.rest.insert((key, weaker.id), weaker.effect);
            }
        }
        if self.wheel.n_entries > self.len().saturating_mul(2).saturating_add(1024) {
            self.wheel = Wheel::default();
            let best = self.best.iter().map(|(key, held)| (*key, held.effect.until));
            let rest = self.rest.iter().map(|((key, _), effect)| (*key, effect.until));
            for (key, until) in best.chain(rest) {
                self.wheel.add(until, key);
            }
        }
    }

    /// Removes the decisions on `key` that `goes` names. Tells how many.
    pub(super) fn remove(
        &mut self,
        key: K,
        labels: &Labels,
        goes: impl Fn(i64, Effect) -> bool,
    ) -> usize {
        let Some(best) = self.best.get(&key).copied() else { return 0 };
        let gone: Vec<i64> = self
            .rest
            .range((key, i64::MIN)..=(key, i64::MAX))
            .filter(|((_, id), effect)| goes(*id, **effect))
            .map(|((_, id), _)| *id)
            .collect();
        for id in &gone {
            self.rest.remove(&(key, *id));
        }
        if !goes(best.id, best.effect) {
            return gone.len();
        }
        let next = self
            .rest
            .range((key, i64::MIN)..=(key, i64::MAX))
            .map(|((_, id), effect)| Held { id: *id, effect: *effect })
            .reduce(|a, b| if outranks(labels, b, a) { b } else { a });
        match next {
            None => self.best.remove(&key),
            Some(next) => {
                self.rest.remove(&(key, next.id));
                self.best.insert(key, next)
            }
        };
        gone.len() + 1
    }

    /// Removes what has ended; `touched` hears of each value before it changes.
    pub(super) fn expire(
        &mut self,
        now: Timestamp,
        labels: &Labels,
        mut touched: impl FnMut(K, Option<Effect>),
    ) {
        for slot in self.wheel.due(now) {
            let Some(mut keys) = self.wheel.slots.remove(&slot) else { continue };
            self.wheel.n_entries = self.wheel.n_entries.saturating_sub(keys.len());
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|&key| {
                touched(key, self.best(key));
                self.remove(key, labels, |_, effect| effect.until.is_over(now));
                let best = self.best.get(&key).map(|held| held.effect);
                let rest = self.rest.range((key, i64::MIN)..=(key, i64::MAX));
                let mut left = best.into_iter().chain(rest.map(|(_, effect)| *effect));
                // Those of this slot whose second has not come yet are looked at again.
                left.any(|effect| Wheel::<K>::slot(effect.until) == slot)
            });
            if !keys.is_empty() {
                self.wheel.n_entries += keys.len();
                self.wheel.slots.insert(slot, keys);
            }
        }
    }

    /// An instant before which nothing ends.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let (slot, _) = self.wheel.slots.first_key_value()?;
        Some(Timestamp::from_unix(i64::from(*slot) * i64::from(SLOT), 0))
    }

    pub(super) fn shrink(&mut self) {
        for keys in self.wheel.slots.values_mut() {
            keys.shrink_to_fit();
        }
    }
}

/// Stronger, then longer, then the older number: the same whatever the order they came in.
fn outranks(labels: &Labels, a: Held, b: Held) -> bool {
    let (rank_a, rank_b) = (labels.rank(a.effect), labels.rank(b.effect));
    rank_a > rank_b || (rank_a == rank_b && a.id < b.id)
}

/// Seconds in one slot of the wheel.
const SLOT: u32 = 16;

/// Which values to look at when. An entry may be out of date: the value is looked at, and left.
#[derive(Clone, Debug)]
struct Wheel<K> {
    slots: BTreeMap<u32, Vec<K>>,
    n_entries: usize,
}

impl<K> Default for Wheel<K> {
    fn default() -> Self {
        Self { slots: BTreeMap::new(), n_entries: 0 }
    }
}

impl<K> Wheel<K> {
    fn slot(until: Until) -> u32 {
        until.seconds() / SLOT
    }

    fn add(&mut self, until: Until, key: K) {
        self.slots.entry(Self::slot(until)).or_default().push(key);
        self.n_entries += 1;
    }

    /// The slots in which something may have ended by `now`.
    fn due(&self, now: Timestamp) -> Vec<u32> {
        let seconds = u32::try_from(now.unix().0.max(0)).unwrap_or(u32::MAX);
        self.slots.range(..=seconds / SLOT).map(|(slot, _)| *slot).collect()
    }
}
