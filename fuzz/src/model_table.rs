//! The naive model of buckets: the rules of counting, written as plainly as they can be.
//!
//! Everything is whole nanoseconds and lists. Where the engine has a table, a heap, a hash and
//! floating point, this has loops.

use std::collections::BTreeMap;

/// A scenario, as far as counting goes.
#[derive(Clone, Debug)]
pub struct Rule {
    pub kind: Kind,
    /// How many events an overflow carries besides the last one.
    pub queue: usize,
    pub lifetime: Option<i64>,
    /// Whether the end of a life is an overflow.
    pub timed: bool,
    pub blackhole: Option<i64>,
    /// Whether events are looked at before they are poured, which needs no date.
    pub looks: bool,
    /// Whether the wall clock rules.
    pub live: bool,
    /// Most buckets.
    pub max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Leaky {
        capacity: i64,
        speed: i64,
    },
    Trigger,
    Counter,
    /// Overflows at this many events.
    Conditional {
        total: u32,
    },
}

#[derive(Clone, Debug)]
struct Bucket {
    key: String,
    /// When credit was last counted, and how much there was; `None` while it is full.
    level: Option<(i64, i64)>,
    total: u32,
    first: Option<i64>,
    last: i64,
    queue: Vec<u32>,
    seen: Vec<String>,
}

/// What a bucket became.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spilled {
    pub key: String,
    pub total: u32,
    pub first: i64,
    pub at: i64,
    pub queue: Vec<u32>,
}

/// An event, as far as counting goes.
#[derive(Clone, Debug)]
pub struct Drop<'a> {
    pub id: u32,
    pub key: &'a str,
    pub distinct: Option<&'a str>,
    pub cancels: bool,
    /// Its date, `None` when it has none.
    pub at: Option<i64>,
    pub now: i64,
}

/// All buckets of one scenario, the one poured longest ago first.
#[derive(Debug, Default)]
pub struct Model {
    buckets: Vec<Bucket>,
    silent: BTreeMap<String, i64>,
    pub evicted: u64,
}

impl Model {
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    pub fn pour(&mut self, rule: &Rule, drop: &Drop<'_>) -> Option<Spilled> {
        if rule.kind == Kind::Trigger {
            let at = drop.at.unwrap_or(drop.now);
            let (key, queue) = (drop.key.to_owned(), vec![drop.id]);
            return self.unless_silent(rule, Spilled { key, total: 1, first: at, at, queue });
        }
        if drop.at.is_none() && !rule.looks {
            return None;
        }
        let index = self.enter(rule, drop.key, drop.at.unwrap_or(i64::MIN));
        let bucket = &mut self.buckets[index];
        if let Some(value) = drop.distinct {
            if bucket.seen.iter().any(|seen| seen == value) {
                return None;
            }
            bucket.seen.push(value.to_owned());
        }
        if drop.cancels {
            self.buckets.remove(index);
            return None;
        }
        let at = drop.at?;
        let mut bucket = self.buckets.remove(index);
        bucket.total += 1;
        bucket.first.get_or_insert(at);
        bucket.last = at;
        let fits = bucket.take(rule.kind, at);
        while bucket.queue.len() > rule.queue {
            bucket.queue.remove(0);
        }
        bucket.queue.push(drop.id);
        if fits {
            self.buckets.push(bucket);
            return None;
        }
        self.unless_silent(rule, bucket.spill(at))
    }

    /// Ends what has lived long enough.
    pub fn advance(&mut self, rule: &Rule, now: i64) -> Vec<Spilled> {
        let mut spilled = Vec::new();
        let Some(lifetime) = rule.lifetime.filter(|_| rule.live) else { return spilled };
        // In the order in which they end, for an end may be the beginning of a silence.
        let mut buckets = std::mem::take(&mut self.buckets);
        let order: Vec<String> = buckets.iter().map(|bucket| bucket.key.clone()).collect();
        buckets.sort_by_key(|bucket| bucket.first);
        for bucket in buckets {
            match bucket.first {
                Some(first) if rule.timed && first + lifetime <= now => {
                    spilled.extend(self.unless_silent(rule, bucket.spill(first + lifetime)));
                }
                Some(_) if !rule.timed && bucket.last + lifetime < now => {}
                _ => self.buckets.push(bucket),
            }
        }
        self.buckets.sort_by_key(|bucket| order.iter().position(|key| *key == bucket.key));
        spilled
    }

    /// Where the bucket of a key is, made if there is none.
    fn enter(&mut self, rule: &Rule, key: &str, at: i64) -> usize {
        if let Some(index) = self.buckets.iter().position(|bucket| bucket.key == key) {
            let bucket = &self.buckets[index];
            // Where the wall clock rules, a timed bucket ends by `advance` and in no other way.
            let ends_here = !(rule.timed && rule.live);
            let old = rule.lifetime.is_some_and(|lifetime| at > bucket.last + lifetime);
            if !(bucket.first.is_some() && ends_here && old) {
                return index;
            }
            self.buckets.remove(index);
        }
        if self.buckets.len() >= rule.max {
            self.buckets.remove(0);
            self.evicted += 1;
        }
        self.buckets.push(Bucket {
            key: key.to_owned(),
            level: None,
            total: 0,
            first: None,
            last: at,
            queue: Vec::new(),
            seen: Vec::new(),
        });
        self.buckets.len() - 1
    }

    fn unless_silent(&mut self, rule: &Rule, spilled: Spilled) -> Option<Spilled> {
        if let Some(silence) = rule.blackhole {
            if self.silent.get(&spilled.key).is_some_and(|until| *until > spilled.at) {
                return None;
            }
            self.silent.retain(|_, until| *until > spilled.at);
            if self.silent.len() >= rule.max {
                // Room is made by the one that would end first.
                let first = self.silent.iter().min_by_key(|(key, until)| (**until, *key));
                let first = first.map(|(key, _)| key.clone());
                self.silent.retain(|key, _| Some(key) != first.as_ref());
            }
            self.silent.insert(spilled.key.clone(), spilled.at + silence);
        }
        Some(spilled)
    }
}

impl Bucket {
    /// Whether one more event fits.
    fn take(&mut self, kind: Kind, at: i64) -> bool {
        let (capacity, speed) = match kind {
            Kind::Leaky { capacity, speed } => (capacity, speed),
            Kind::Trigger | Kind::Counter => return true,
            Kind::Conditional { total } => return self.total < total,
        };
        let full = capacity * speed;
        let (last, credit) = self.level.unwrap_or((at, full));
        // Going back in time gives nothing, and moves the clock back.
        let last = last.min(at);
        let credit = full.min(credit + (at - last)) - speed;
        let fits = credit >= 0;
        if fits {
            self.level = Some((at, credit));
        }
        fits
    }

    fn spill(self, at: i64) -> Spilled {
        let Self { key, total, first, last, queue, .. } = self;
        Spilled { key, total, first: first.unwrap_or(last), at, queue }
    }
}
