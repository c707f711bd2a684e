//! The table of live buckets: found by scenario and partition, bounded, ended in time.
//!
//! Hides where buckets live. Keys come from attackers, so the hash is keyed with a secret seed;
//! nothing that is visible depends on it (I2). When there are too many buckets the one poured
//! longest ago leaves (I5).

use crate::bucket::{Bucket, Extra, Level, Queue};
use crate::event::Snapshot;
use crate::observe::ScenarioCount;
use crate::program::{Program, Scenario, ScenarioId, Shape};
use crate::silence::{Silenced, Silences};
use alloc::{boxed::Box, collections::BinaryHeap, sync::Arc, vec::Vec};
use core::{
    cmp::Reverse,
    hash::{BuildHasher, Hasher},
};
use hashbrown::HashTable;
use model::{Time, TimeMode, Timestamp};
use siphasher::sip::SipHasher13;

/// No bucket.
const NONE: u32 = u32::MAX;

/// Buckets looked at for expiry per [`Table::sweep`].
const SWEEP: usize = 64;

/// Hashes keys that attackers choose: SipHash under a secret of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keyed(u64, u64);

impl Keyed {
    /// A hash under a secret.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed, seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15)
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// All live buckets, and the keys that are silent for a while.
#[derive(Debug)]
pub struct Table {
    slots: Vec<Option<Bucket>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    keyed: Keyed,
    /// The bucket poured longest ago, and the latest.
    oldest: u32,
    newest: u32,
    max: usize,
    /// When buckets with a fixed life end.
    deadlines: BinaryHeap<Reverse<(Timestamp, u32, u64)>>,
    silences: Silences,
    sweeper: usize,
    /// What each scenario did.
    pub counts: Vec<ScenarioCount>,
}

impl Table {
    /// An empty table for the scenarios of a program.
    #[must_use]
    pub fn new(program: &Program, max_buckets: usize, seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            keyed: Keyed::new(seed),
            oldest: NONE,
            newest: NONE,
            max: max_buckets.clamp(1, NONE as usize - 1),
            deadlines: BinaryHeap::new(),
            silences: Silences::new(program.scenarios.len(), max_buckets, Keyed::new(seed)),
            sweeper: 0,
            counts: alloc::vec![ScenarioCount::default(); program.scenarios.len()],
        }
    }

    /// How many buckets live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// How many buckets of each scenario live. Looks at all of them: for who asks now and then.
    #[must_use]
    pub fn per_scenario(&self) -> Vec<u64> {
        let mut counts = alloc::vec![0; self.counts.len()];
        for bucket in self.slots.iter().flatten() {
            if let Some(count) = counts.get_mut(bucket.scenario.0 as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Whether no bucket lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn hash(&self, scenario: ScenarioId, partition: &str) -> u64 {
        let mut hasher = self.keyed.build_hasher();
        hasher.write_u32(scenario.0);
        hasher.write(partition.as_bytes());
        hasher.finish()
    }

    fn find_hashed(
        &self,
        program: &Program,
        hash: u64,
        family: ScenarioId,
        partition: &str,
    ) -> Option<u32> {
        let slots = &self.slots;
        let found = self.index.find(hash, |id| {
            slots[*id as usize].as_ref().is_some_and(|bucket| {
                program.family(bucket.scenario) == family && &*bucket.partition == partition
            })
        });
        found.copied()
    }

    /// The bucket of a scenario and a partition, made if there is none; with its number. It may be
    /// that of a relative ([`Program::family`]). `at` tells the time by the clock a bucket follows;
    /// one whose life ended before is replaced. hot: `cargo xtask bench engine`
    pub fn enter(
        &mut self,
        program: &Program,
        scenario: ScenarioId,
        partition: &str,
        mode: TimeMode,
        at: impl Fn(TimeMode) -> Timestamp,
    ) -> u32 {
        let family = program.family(scenario);
        let hash = self.hash(family, partition);
        if let Some(id) = self.find_hashed(program, hash, family, partition) {
            let bucket = self.bucket(id);
            let owner = bucket.scenario;
            if !bucket.has_expired(program.scenario(owner), at(bucket.mode)) {
                return id;
            }
            self.counts[owner.0 as usize].expired += 1;
            self.remove(id);
        }
        let at = at(mode);
        let rule = program.scenario(scenario);
        if self.index.len() >= self.max {
            let oldest = self.oldest;
            let evicted = self.bucket(oldest).scenario;
            self.counts[evicted.0 as usize].evicted += 1;
            self.remove(oldest);
        }
        self.counts[scenario.0 as usize].created += 1;
        self.insert(Bucket {
            scenario,
            partition: partition.into(),
            hash,
            level: Level::new(u32::try_from(rule.capacity).unwrap_or(0), at),
            mode,
            first: None,
            last: Time::utc(at),
            total: 0,
            queue: Queue::Empty,
            extra: rule.needs_extra().then(|| Box::new(Extra::new(self.keyed))),
            older: NONE,
            newer: NONE,
        })
    }

    /// The live bucket that a pour of a scenario into a partition would meet.
    #[must_use]
    pub fn find(
        &self,
        program: &Program,
        scenario: ScenarioId,
        partition: &str,
    ) -> Option<&Bucket> {
        let family = program.family(scenario);
        let found = self.find_hashed(program, self.hash(family, partition), family, partition);
        found.map(|id| self.bucket(id))
    }

    /// A live bucket.
    #[must_use]
    pub fn bucket(&self, id: u32) -> &Bucket {
        self.slots[id as usize].as_ref().expect("numbers are given out for live buckets")
    }

    /// A live bucket, to pour into.
    pub fn bucket_mut(&mut self, id: u32) -> &mut Bucket {
        self.slots[id as usize].as_mut().expect("numbers are given out for live buckets")
    }

    fn insert(&mut self, bucket: Bucket) -> u32 {
        let hash = bucket.hash;
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = Some(bucket);
                id
            }
            None => {
                self.slots.push(Some(bucket));
                u32::try_from(self.slots.len() - 1).expect("bounded by `max`")
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, id, |id| {
            slots[*id as usize].as_ref().map_or(0, |bucket| bucket.hash)
        });
        self.link_newest(id);
        id
    }

    /// Takes over buckets and silences of an older table, those poured longest ago first. `twins`
    /// says what its scenarios are called here, `rename` what becomes of the events.
    pub(crate) fn adopt(
        &mut self,
        program: &Program,
        mut old: Self,
        twins: &[Option<ScenarioId>],
        mut rename: impl FnMut(&Arc<Snapshot>) -> Arc<Snapshot>,
    ) {
        let mut next = old.oldest;
        while let Some(mut bucket) = old.slots.get_mut(next as usize).and_then(Option::take) {
            next = bucket.newer;
            let twin = twins.get(bucket.scenario.0 as usize).copied().flatten();
            let Some(twin) = twin.filter(|_| self.index.len() < self.max) else { continue };
            let family = program.family(twin);
            bucket.scenario = twin;
            bucket.hash = self.hash(family, &bucket.partition);
            if self.find_hashed(program, bucket.hash, family, &bucket.partition).is_some() {
                continue;
            }
            bucket.queue.rename(&mut rename);
            let deadline =
                bucket.deadline(program.scenario(twin)).filter(|_| bucket.first.is_some());
            let id = self.insert(bucket);
            if let Some(deadline) = deadline {
                self.set_deadline(program, id, deadline);
            }
        }
        self.silences.adopt(old.silences, twins);
    }

    /// Takes a bucket out of the table.
    pub fn remove(&mut self, id: u32) -> Bucket {
        self.unlink(id);
        let bucket =
            self.slots[id as usize].take().expect("numbers are given out for live buckets");
        if let Ok(entry) = self.index.find_entry(bucket.hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
        bucket
    }

    /// Notes that a bucket was poured into: it is the newest now.
    pub fn touch(&mut self, id: u32) {
        if self.newest != id {
            self.unlink(id);
            self.link_newest(id);
        }
    }

    fn link_newest(&mut self, id: u32) {
        let newest = self.newest;
        let bucket = self.bucket_mut(id);
        bucket.older = newest;
        bucket.newer = NONE;
        match newest {
            NONE => self.oldest = id,
            newest => self.bucket_mut(newest).newer = id,
        }
        self.newest = id;
    }

    fn unlink(&mut self, id: u32) {
        let (older, newer) = {
            let bucket = self.bucket(id);
            (bucket.older, bucket.newer)
        };
        match older {
            NONE => self.oldest = newer,
            older => self.bucket_mut(older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.bucket_mut(newer).older = older,
        }
    }

    /// Notes that a bucket ends in an overflow at an instant.
    pub fn set_deadline(&mut self, program: &Program, id: u32, at: Timestamp) {
        if self.deadlines.len() > 2 * self.max {
            // Most entries speak of buckets that are gone.
            let slots = &self.slots;
            self.deadlines.retain(|Reverse((at, id, hash))| {
                slots[*id as usize].as_ref().is_some_and(|bucket| {
                    let rule = program.scenario(bucket.scenario);
                    bucket.hash == *hash && bucket.deadline(rule) == Some(*at)
                })
            });
        }
        let hash = self.bucket(id).hash;
        self.deadlines.push(Reverse((at, id, hash)));
    }

    /// The next instant at which a bucket ends in an overflow.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.peek().map(|Reverse((at, ..))| *at)
    }

    /// A bucket whose fixed life ended at or before `now`, with the instant it ended.
    pub fn pop_ended(&mut self, program: &Program, now: Timestamp) -> Option<(u32, Timestamp)> {
        while let Some(Reverse((at, id, hash))) = self.deadlines.peek().copied() {
            if at > now {
                return None;
            }
            self.deadlines.pop();
            // The place may be another bucket's by now, or the same key's next bucket.
            let same = self.slots[id as usize].as_ref().is_some_and(|bucket| {
                let rule = program.scenario(bucket.scenario);
                bucket.hash == hash && bucket.deadline(rule) == Some(at)
            });
            if same {
                return Some((id, at));
            }
        }
        None
    }

    /// Removes some of the buckets whose life ended before `now`. Called often, it gets round.
    pub fn sweep(&mut self, program: &Program, now: Timestamp) {
        for _ in 0..SWEEP.min(self.slots.len()) {
            self.sweeper = (self.sweeper + 1) % self.slots.len();
            let ended = self.slots[self.sweeper].as_ref().is_some_and(|bucket| {
                bucket.mode == TimeMode::Live
                    && bucket.has_expired(program.scenario(bucket.scenario), now)
            });
            if ended {
                let bucket = self.remove(self.sweeper as u32);
                self.counts[bucket.scenario.0 as usize].expired += 1;
            }
        }
    }

    /// Whether an overflow of a key is silenced; if not, the key is silent from now on
    /// (spec §5.5: an entry silences while its end is strictly later).
    pub fn is_blackholed(
        &mut self,
        scenario: ScenarioId,
        partition: &str,
        silence: core::time::Duration,
        at: Timestamp,
    ) -> bool {
        match self.silences.enter(scenario, partition, silence, at) {
            Silenced::Already => true,
            Silenced::Begins => false,
            Silenced::BeginsFor(other) => {
                self.counts[other.0 as usize].unsilenced += 1;
                false
            }
        }
    }
}

impl Bucket {
    /// Whether the bucket's life ended before `at`. Buckets that were never poured into do not age.
    fn has_expired(&self, rule: &Scenario, at: Timestamp) -> bool {
        match rule.lifetime {
            Some(lifetime) if self.first.is_some() => {
                // A fixed life ends in an overflow of its own where the wall clock rules.
                !(rule.ends_in_overflow && self.mode == TimeMode::Live)
                    && at > self.last.at.after(lifetime)
            }
            _ => false,
        }
    }

    /// When the bucket ends in an overflow, if it does.
    #[must_use]
    pub fn deadline(&self, rule: &Scenario) -> Option<Timestamp> {
        match (rule.ends_in_overflow, self.mode, self.first) {
            (true, TimeMode::Live, Some(first)) => Some(first.at.after(rule.lifetime?)),
            _ => None,
        }
    }
}

impl Scenario {
    fn needs_extra(&self) -> bool {
        self.distinct.is_some() || matches!(self.shape, Shape::Bayesian { .. })
    }
}
