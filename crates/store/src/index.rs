//! The active decisions in memory: by number, by target, by address order, by change, by end.
//!
//! A record is 72 bytes; texts that repeat are kept once, and the value of an address or network is
//! made from its bits when asked. The orders cost some six bytes each (`order`), the two hash tables
//! some ten. Readers share the lock and hold it for a page at most; the writer takes it for a
//! few hundred changes at a time, so that an import of any size delays no look-up noticeably.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;
use ipnet::IpNet;
use model::{Decision, DecisionId, Scope, Timestamp, Uuid};
use tokio::sync::watch;

use crate::{
    Error, Relation, Seq,
    matcher::{Matcher, Prepared, scope_of, text_of},
    names::{Names, Shelf},
    net::words,
    order::Order,
    row::Entry,
};

/// No record, no text.
const NONE: u32 = u32::MAX;
/// So many changes are applied under one lock, and so many records looked at for one page.
const STRIDE: usize = 256;

/// A change to one decision.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It is new, or something about it is.
    Set(Entry),
    /// It ends now.
    End { id: i64, until: Timestamp, seq: Seq },
    /// It is told again, as something that hid it has ended.
    Tell { id: i64, seq: Seq },
    /// It is gone without a trace.
    Remove { id: i64 },
}

/// What many decisions have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) origin: Arc<str>,
    pub(crate) scenario: Arc<str>,
    pub(crate) remediation: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) simulated: bool,
}

/// Whom a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Net(IpNet),
    Text(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
enum Family {
    V4,
    V6,
    /// Not an address: the target is the text.
    Text,
    /// The record is not in use.
    Free,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    id: i64,
    seq: u64,
    until: i64,
    /// Two words, since a `u128` would be aligned and padded. Zero: none.
    uuid: [u64; 2],
    addr: [u64; 2],
    kind: u32,
    /// The next of those with the same target, by falling end; of free records, the next free one.
    next: u32,
    /// The value, where it is not the canonical text of the address.
    text: u32,
    length: u8,
    family: Family,
}

/// What makes two records be about the same target.
type TargetKey = (Family, [u64; 2], u8, u32);

impl Record {
    fn target(&self) -> TargetKey {
        match self.family {
            Family::V4 | Family::V6 => (self.family, self.addr, self.length, NONE),
            Family::Text | Family::Free => (self.family, [0; 2], 0, self.text),
        }
    }

    fn net(&self) -> Option<IpNet> {
        let bits = (u128::from(self.addr[0]) << 64) | u128::from(self.addr[1]);
        let addr = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).ok()?)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            Family::Text | Family::Free => return None,
        };
        IpNet::new(addr, self.length).ok()
    }
}

fn net_key(net: IpNet) -> TargetKey {
    let (family, bits) = match net {
        IpNet::V4(net) => (Family::V4, u128::from(net.addr().to_bits())),
        IpNet::V6(net) => (Family::V6, net.addr().to_bits()),
    };
    let (high, low) = words(bits);
    (family, [high, low], net.prefix_len(), NONE)
}

/// The active decisions.
#[derive(Debug)]
pub(crate) struct Index {
    records: Vec<Record>,
    free: u32,
    hasher: RandomState,
    by_id: HashTable<u32>,
    /// The first record of each target.
    by_target: HashTable<u32>,
    by_seq: Order,
    by_until: Order,
    /// Only addresses and networks, by address.
    by_net: Order,
    kinds: Shelf<Kind>,
    texts: Names,
    /// How many records have each prefix length, so that only lengths in use are looked up.
    lengths: [[u32; 129]; 2],
    n_records: usize,
    /// The latest end of a decision that is no longer here.
    last_end: Timestamp,
    /// The latest change that ended one.
    last_end_seq: Seq,
}

fn at(records: &[Record], slot: u32) -> &Record {
    // Slots come from this index's own tables; a wrong one shows in tests, not as a wrong answer.
    &records[slot as usize]
}

fn seq_key(records: &[Record], slot: u32) -> (u64, i64) {
    let record = at(records, slot);
    (record.seq, record.id)
}

fn until_key(records: &[Record], slot: u32) -> (i64, i64) {
    let record = at(records, slot);
    (record.until, record.id)
}

fn net_order_key(records: &[Record], slot: u32) -> (Family, [u64; 2], u8, i64) {
    let record = at(records, slot);
    (record.family, record.addr, record.length, record.id)
}

impl Index {
    pub(crate) fn new(last_end: Timestamp, last_end_seq: Seq) -> Self {
        Self {
            records: Vec::new(),
            free: NONE,
            hasher: RandomState::new(),
            by_id: HashTable::new(),
            by_target: HashTable::new(),
            by_seq: Order::default(),
            by_until: Order::default(),
            by_net: Order::default(),
            kinds: Shelf::default(),
            texts: Names::default(),
            lengths: [[0; 129]; 2],
            n_records: 0,
            last_end,
            last_end_seq,
        }
    }

    pub(crate) fn last_end(&self) -> (Timestamp, Seq) {
        (self.last_end, self.last_end_seq)
    }

    /// Applies one change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Set(entry) => {
                if let Some(slot) = self.slot(entry.decision.id.0) {
                    // Enforcers know it under an older number; its end must not be missed for that.
                    self.last_end_seq = self.last_end_seq.max(entry.seq);
                    self.remove(slot);
                }
                self.insert(entry);
            }
            Change::End { id, until, seq } => {
                self.last_end = self.last_end.max(until);
                self.last_end_seq = self.last_end_seq.max(seq);
                if let Some(slot) = self.slot(id) {
                    self.remove(slot);
                }
            }
            Change::Tell { id, seq } => {
                if let Some(slot) = self.slot(id) {
                    self.by_seq.remove(slot, |slot| seq_key(&self.records, slot));
                    self.records[slot as usize].seq = seq.0;
                    self.by_seq.insert(slot, |slot| seq_key(&self.records, slot));
                }
            }
            Change::Remove { id } => {
                if let Some(slot) = self.slot(id) {
                    self.remove(slot);
                }
            }
        }
    }

    /// Drops some of the decisions that have ended at `now`. Tells whether there are more.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Advance {
        let mut n_ended = 0;
        while let Some(slot) = self.by_until.first() {
            let until = Timestamp::from_unix_nanos(at(&self.records, slot).until);
            if until > now {
                return if n_ended > 0 { Advance::Ended } else { Advance::Nothing };
            }
            if n_ended == STRIDE {
                return Advance::More;
            }
            self.last_end = self.last_end.max(until);
            self.remove(slot);
            n_ended += 1;
        }
        if n_ended > 0 { Advance::Ended } else { Advance::Nothing }
    }

    fn slot(&self, id: i64) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |slot| at(&self.records, *slot).id == id).copied()
    }

    fn insert(&mut self, entry: Entry) {
        let Entry { decision, net, seq } = entry;
        let kind = self.kinds.take(Kind {
            origin: decision.origin,
            scenario: decision.scenario,
            remediation: decision.remediation,
            scope: decision.scope.clone(),
            simulated: decision.simulated,
        });
        // The scope must follow from the network too, or it could not be made from it again.
        let plain = net
            .is_some_and(|net| text_of(net) == decision.value && scope_of(net) == decision.scope);
        let text = if plain { NONE } else { self.texts.take(Arc::from(decision.value)) };
        let (family, addr, length) = match net {
            Some(net) => {
                let (family, addr, length, _) = net_key(net);
                (family, addr, length)
            }
            None => (Family::Text, [0; 2], 0),
        };
        let (high, low) = words(decision.uuid.map_or(0, |uuid| uuid.0));
        let record = Record {
            id: decision.id.0,
            seq: seq.0,
            until: decision.until.unix_nanos(),
            uuid: [high, low],
            addr,
            kind,
            next: NONE,
            text,
            length,
            family,
        };
        let slot = if self.free == NONE {
            let slot =
                u32::try_from(self.records.len()).expect("memory ends before 2^32 decisions");
            self.records.push(record);
            slot
        } else {
            let slot = self.free;
            self.free = at(&self.records, slot).next;
            self.records[slot as usize] = record;
            slot
        };
        self.n_records += 1;
        self.link(slot);
    }

    /// Enters a record into all tables and orders.
    fn link(&mut self, slot: u32) {
        let (records, hasher) = (&self.records, &self.hasher);
        let record = *at(records, slot);
        self.by_id.insert_unique(hasher.hash_one(record.id), slot, |slot| {
            hasher.hash_one(at(records, *slot).id)
        });
        self.by_seq.insert(slot, |slot| seq_key(records, slot));
        self.by_until.insert(slot, |slot| until_key(records, slot));
        if let Some(lengths) = self.lengths.get_mut(record.family as usize) {
            lengths[usize::from(record.length)] += 1;
            self.by_net.insert(slot, |slot| net_order_key(records, slot));
        }
        let target = record.target();
        let hash = hasher.hash_one(target);
        let Some(head) =
            self.by_target.find_mut(hash, |head| at(records, *head).target() == target)
        else {
            self.by_target
                .insert_unique(hash, slot, |head| hasher.hash_one(at(records, *head).target()));
            return;
        };
        if at(records, *head).until <= record.until {
            let old = std::mem::replace(head, slot);
            self.records[slot as usize].next = old;
            return;
        }
        let mut before = *head;
        loop {
            let next = at(&self.records, before).next;
            if next == NONE || at(&self.records, next).until <= record.until {
                self.records[slot as usize].next = next;
                self.records[before as usize].next = slot;
                return;
            }
            before = next;
        }
    }

    fn remove(&mut self, slot: u32) {
        let (records, hasher) = (&self.records, &self.hasher);
        let record = *at(records, slot);
        if let Ok(entry) = self.by_id.find_entry(hasher.hash_one(record.id), |other| *other == slot)
        {
            entry.remove();
        }
        self.by_seq.remove(slot, |slot| seq_key(records, slot));
        self.by_until.remove(slot, |slot| until_key(records, slot));
        if let Some(lengths) = self.lengths.get_mut(record.family as usize) {
            lengths[usize::from(record.length)] -= 1;
            self.by_net.remove(slot, |slot| net_order_key(records, slot));
        }
        let target = record.target();
        let found = self
            .by_target
            .find_entry(hasher.hash_one(target), |head| at(records, *head).target() == target);
        if let Ok(mut entry) = found {
            let head = *entry.get();
            if head != slot {
                let mut before = head;
                while at(&self.records, before).next != slot {
                    before = at(&self.records, before).next;
                }
                self.records[before as usize].next = record.next;
            } else if record.next == NONE {
                entry.remove();
            } else {
                *entry.get_mut() = record.next;
            }
        }
        self.kinds.give(record.kind);
        if record.text != NONE {
            self.texts.give(record.text);
        }
        let unused = &mut self.records[slot as usize];
        unused.family = Family::Free;
        unused.next = self.free;
        self.free = slot;
        self.n_records -= 1;
    }

    fn target_of<'a>(&'a self, record: &Record) -> Target<'a> {
        match record.net() {
            Some(net) => Target::Net(net),
            None => Target::Text(self.texts.value(record.text).map_or("", |text| text)),
        }
    }

    /// The records about one target, by falling end.
    fn chain(&self, key: TargetKey) -> impl Iterator<Item = u32> + '_ {
        let hash = self.hasher.hash_one(key);
        let head =
            self.by_target.find(hash, |head| at(&self.records, *head).target() == key).copied();
        std::iter::successors(head, |slot| {
            let next = at(&self.records, *slot).next;
            (next != NONE).then_some(next)
        })
    }

    fn chain_of_text(&self, text: &str) -> impl Iterator<Item = u32> + '_ {
        self.texts
            .find(text)
            .into_iter()
            .flat_map(|number| self.chain((Family::Text, [0; 2], 0, number)))
    }

    fn wants(&self, matcher: &mut Matcher<'_>, slot: u32, now: Timestamp) -> bool {
        let record = at(&self.records, slot);
        record.until > now.unix_nanos()
            && self
                .kinds
                .value(record.kind)
                .is_some_and(|kind| matcher.wants_kind(record.kind, kind))
            && matcher.prepared().wants_target(self.target_of(record))
            && (matcher.prepared().filter.uuids.is_empty()
                || matcher.prepared().filter.uuids.iter().any(|uuid| {
                    let (high, low) = words(uuid.0);
                    record.uuid == [high, low]
                }))
    }

    fn decision(&self, slot: u32) -> Option<Decision> {
        let record = at(&self.records, slot);
        let kind = self.kinds.value(record.kind)?;
        let value = match self.texts.value(record.text) {
            Some(text) => text.to_string(),
            None => text_of(record.net()?),
        };
        let uuid = (u128::from(record.uuid[0]) << 64) | u128::from(record.uuid[1]);
        Some(Decision {
            id: DecisionId(record.id),
            uuid: (uuid != 0).then_some(Uuid(uuid)),
            origin: Arc::clone(&kind.origin),
            scenario: Arc::clone(&kind.scenario),
            remediation: Arc::clone(&kind.remediation),
            scope: kind.scope.clone(),
            value,
            until: Timestamp::from_unix_nanos(record.until),
            simulated: kind.simulated,
        })
    }

    fn matcher<'f>(&self, filter: &'f Prepared) -> Matcher<'f> {
        Matcher::new(filter, self.kinds.n_slots())
    }

    /// The numbers of the records that match, in no order.
    fn candidates(&self, filter: &Prepared, now: Timestamp) -> Vec<u32> {
        let mut matcher = self.matcher(filter);
        let mut wanted = |slot: &u32| self.wants(&mut matcher, *slot, now);
        match (filter.filter.net, &filter.filter.value) {
            (Some((net, Relation::Contains)), _) => {
                let family = usize::from(matches!(net, IpNet::V6(_)));
                let mut found = Vec::new();
                for length in 0..=net.prefix_len() {
                    if self.lengths[family][usize::from(length)] == 0 {
                        continue;
                    }
                    let Ok(wider) = IpNet::new(net.addr(), length) else { continue };
                    found.extend(self.chain(net_key(wider.trunc())).filter(&mut wanted));
                }
                found
            }
            (Some((net, Relation::Inside)), _) => {
                let (family, first, ..) = net_key(net.trunc());
                let (_, last, ..) = net_key(IpNet::from(net.broadcast()));
                self.by_net
                    .iter_from(|slot| {
                        let record = at(&self.records, slot);
                        (record.family, record.addr) < (family, first)
                    })
                    .take_while(|slot| {
                        let record = at(&self.records, *slot);
                        (record.family, record.addr) <= (family, last)
                    })
                    .filter(&mut wanted)
                    .collect()
            }
            (None, Some(value)) => {
                let nets = filter.value_net.into_iter().flat_map(|net| self.chain(net_key(net)));
                nets.chain(self.chain_of_text(value)).filter(&mut wanted).collect()
            }
            (None, None) => self.by_seq.iter_from(|_| false).filter(&mut wanted).collect(),
        }
    }

    /// The decisions that match, by number.
    pub(crate) fn select(
        &self,
        filter: &Prepared,
        page: crate::Page,
        now: Timestamp,
    ) -> Vec<Decision> {
        let mut slots = self.candidates(filter, now);
        let id = |slot: &u32| at(&self.records, *slot).id;
        if let Some(floor) = page.id_gt {
            slots.retain(|slot| id(slot) > floor);
        }
        slots.sort_unstable_by_key(id);
        let limit = page.limit.unwrap_or(usize::MAX);
        slots
            .into_iter()
            .skip(page.offset)
            .take(limit)
            .filter_map(|slot| self.decision(slot))
            .collect()
    }

    /// Whether another decision that matches lasts longer about the same target, scope and
    /// remediation.
    fn is_hidden(&self, matcher: &mut Matcher<'_>, slot: u32, now: Timestamp) -> bool {
        let record = at(&self.records, slot);
        self.chain(record.target())
            .take_while(|other| at(&self.records, *other).until > record.until)
            .any(|other| {
                self.same_sort(record.kind, at(&self.records, other).kind)
                    && self.wants(matcher, other, now)
            })
    }

    fn same_sort(&self, a: u32, b: u32) -> bool {
        a == b
            || match (self.kinds.value(a), self.kinds.value(b)) {
                (Some(a), Some(b)) => a.remediation == b.remediation && a.scope == b.scope,
                _ => false,
            }
    }

    /// Whether an active decision that matches is about the same target, scope and remediation.
    pub(crate) fn covers(&self, filter: &Prepared, ended: &Decision, now: Timestamp) -> bool {
        let mut matcher = self.matcher(filter);
        let net = match ended.scope {
            Scope::Ip | Scope::Range => model::parse_target(&ended.value).ok(),
            Scope::Other(_) => None,
        };
        let nets = net.into_iter().flat_map(|net| self.chain(net_key(net)));
        nets.chain(self.chain_of_text(&ended.value)).any(|slot| {
            let kind = self.kinds.value(at(&self.records, slot).kind);
            kind.is_some_and(|kind| {
                kind.remediation == ended.remediation && kind.scope == ended.scope
            }) && self.wants(&mut matcher, slot, now)
        })
    }

    /// Some of the decisions changed after `after` and not after `until_seq`, and where to go on.
    pub(crate) fn changed(
        &self,
        ask: &Changed<'_>,
        now: Timestamp,
    ) -> (Vec<Decision>, Option<(u64, i64)>) {
        let mut matcher = self.matcher(ask.filter);
        let mut found = Vec::new();
        let mut last = None;
        let changed = self.by_seq.iter_from(|slot| seq_key(&self.records, slot) <= ask.after);
        for (n_seen, slot) in changed.enumerate() {
            let key = seq_key(&self.records, slot);
            if key.0 > ask.through.0 {
                return (found, None);
            }
            if n_seen >= 4 * STRIDE {
                return (found, last);
            }
            last = Some(key);
            if self.wants(&mut matcher, slot, now)
                && (ask.dedup == crate::Dedup::Off || !self.is_hidden(&mut matcher, slot, now))
            {
                found.extend(self.decision(slot));
            }
        }
        (found, None)
    }

    pub(crate) fn counts(&self) -> Vec<crate::ActiveCount> {
        let mut counts: Vec<crate::ActiveCount> = Vec::new();
        for (kind, n) in self.kinds.counted().filter(|(kind, _)| !kind.simulated) {
            counts.push(crate::ActiveCount {
                scenario: kind.scenario.to_string(),
                origin: kind.origin.to_string(),
                remediation: kind.remediation.to_string(),
                n_decisions: u64::from(n),
            });
        }
        counts.sort();
        counts.dedup_by(|b, a| {
            let same = (&a.scenario, &a.origin, &a.remediation)
                == (&b.scenario, &b.origin, &b.remediation);
            if same {
                a.n_decisions += b.n_decisions;
            }
            same
        });
        counts
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.n_records
    }
}

/// What [`Index::changed`] is asked.
pub(crate) struct Changed<'a> {
    pub(crate) after: (u64, i64),
    pub(crate) through: Seq,
    pub(crate) filter: &'a Prepared,
    pub(crate) dedup: crate::Dedup,
}

/// What [`Index::advance`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    Nothing,
    Ended,
    More,
}

/// The index as threads share it, and the newest change it shows.
#[derive(Debug)]
pub(crate) struct Shared {
    index: Option<RwLock<Index>>,
    seq: AtomicU64,
    moved: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(index: Option<Index>, seq: Seq) -> Self {
        Self {
            index: index.map(RwLock::new),
            seq: AtomicU64::new(seq.0),
            moved: watch::Sender::new(0),
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.index.is_some()
    }

    pub(crate) fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    pub(crate) fn read(&self) -> Result<RwLockReadGuard<'_, Index>, Error> {
        // The index has no half-done states a reader could see: a panic in it is a bug that left
        // at worst one decision out, and the next start repairs that.
        let index = self.index.as_ref().ok_or(Error::NoIndex)?;
        Ok(index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> Option<RwLockWriteGuard<'_, Index>> {
        Some(self.index.as_ref()?.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies what a commit changed. Only the writer calls this.
    pub(crate) fn apply(&self, changes: Vec<Change>, seq: Seq) {
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some()
            && let Some(mut index) = self.write()
        {
            for change in changes.by_ref().take(STRIDE) {
                index.apply(change);
            }
        }
        // After the changes: a stream reads up to this number and must find them all.
        if self.seq.swap(seq.0, Ordering::AcqRel) != seq.0 {
            self.wake();
        }
    }

    /// Drops what has ended, and wakes those who watch if anything had: whoever notices an end first
    /// must tell, since nobody can notice it again.
    pub(crate) fn advance(&self, now: Timestamp) {
        let mut ended = false;
        loop {
            let step = self.write().map_or(Advance::Nothing, |mut index| index.advance(now));
            ended |= step != Advance::Nothing;
            if step != Advance::More {
                break;
            }
        }
        if ended {
            self.wake();
        }
    }

    fn wake(&self) {
        self.moved.send_modify(|n_moves| *n_moves = n_moves.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests;
