//! One family of addresses: hosts and networks as decided, and the spans that follow from networks.
//!
//! INVARIANT: `spans` is the flattened, allowlist-free picture of `nets` as last told to a
//! back-end: disjoint, in order, neighbors with the same effect joined.

use alloc::{collections::BTreeMap, vec::Vec};

use model::Timestamp;

use super::{
    address::{Address, Net},
    change::{Effect, Entries, Host, Labels, Span, union},
    values::{Held, Values, is_same},
};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Family<A: Address> {
    hosts: Values<A>,
    nets: Values<Net<A>>,
    /// By first address.
    spans: BTreeMap<A, (A, Effect)>,
    /// Which prefix lengths `nets` ever had, so that covering networks are found without trying all.
    lengths: u128,
    has_everything: bool,
    /// Intervals that nothing may be done about, disjoint and in order.
    allowed: Vec<(A, A)>,
    touched: Touched<A>,
}

impl<A: Address> Default for Family<A> {
    fn default() -> Self {
        Self {
            hosts: Values::default(),
            nets: Values::default(),
            spans: BTreeMap::new(),
            lengths: 0,
            has_everything: false,
            allowed: Vec::new(),
            touched: Touched { hosts: Vec::new(), nets: Vec::new() },
        }
    }
}

/// What changed since the last [`Family::settle`]: hosts with what held before, networks.
#[derive(Clone, Debug)]
struct Touched<A> {
    hosts: Vec<(A, Option<Effect>)>,
    nets: Vec<(A, A)>,
}

/// The three parts of a change, for one family.
#[derive(Debug)]
pub(super) struct Diff<A> {
    pub(super) add: Entries<A>,
    pub(super) extend: Entries<A>,
    pub(super) remove: Entries<A>,
}

impl<A> Default for Diff<A> {
    fn default() -> Self {
        Self { add: Entries::default(), extend: Entries::default(), remove: Entries::default() }
    }
}

impl<A: Address> Diff<A> {
    fn host(&mut self, address: A, before: Option<Effect>, after: Option<Effect>) {
        let host = |effect| Host { address, effect };
        match (before, after) {
            (None, Some(after)) => self.add.hosts.push(host(after)),
            (Some(before), None) => self.remove.hosts.push(host(before)),
            (Some(before), Some(after)) if before.remediation == after.remediation => {
                if before != after {
                    self.extend.hosts.push(host(after));
                }
            }
            (Some(before), Some(after)) => {
                self.remove.hosts.push(host(before));
                self.add.hosts.push(host(after));
            }
            (None, None) => {}
        }
    }

    /// Both in order and without overlaps.
    fn spans(&mut self, before: &[Span<A>], after: &[Span<A>]) {
        let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let (old, new) = match (before.peek(), after.peek()) {
                (None, None) => return,
                (Some(old), Some(new)) if (old.first, old.last) == (new.first, new.last) => {
                    (before.next(), after.next())
                }
                (Some(old), Some(new)) if (new.first, new.last) < (old.first, old.last) => {
                    (None, after.next())
                }
                (None, Some(_)) => (None, after.next()),
                (Some(_), _) => (before.next(), None),
            };
            match (old, new) {
                (Some(old), Some(new)) if old.effect.remediation == new.effect.remediation => {
                    if old.effect != new.effect {
                        self.extend.spans.push(*new);
                    }
                }
                _ => {
                    self.remove.spans.extend(old);
                    self.add.spans.extend(new);
                }
            }
        }
    }
}

impl<A: Address> Family<A> {
    pub(super) fn len(&self) -> usize {
        self.hosts.len() + self.nets.len()
    }

    pub(super) fn insert(&mut self, net: Net<A>, held: Held, labels: &Labels) {
        if net.length == A::BITS {
            self.touch_host(net.first);
            self.hosts.insert(net.first, held, labels);
            return;
        }
        self.touched.nets.push((net.first, net.last()));
        match net.length {
            0 => self.has_everything = true,
            length => self.lengths |= 1 << (length - 1),
        }
        self.nets.insert(net, held, labels);
    }

    pub(super) fn remove(
        &mut self,
        net: Net<A>,
        labels: &Labels,
        goes: impl Fn(i64, Effect) -> bool,
    ) {
        if net.length == A::BITS {
            self.touch_host(net.first);
            self.hosts.remove(net.first, labels, goes);
        } else {
            self.touched.nets.push((net.first, net.last()));
            self.nets.remove(net, labels, goes);
        }
    }

    /// Where the decision with this number is. Looks at all of them.
    pub(super) fn find(&self, id: i64) -> Option<Net<A>> {
        let mut all = self.iter();
        all.find(|(_, held)| held.id == id).map(|(net, _)| net)
    }

    pub(super) fn holds(&self, net: Net<A>, id: i64) -> bool {
        if net.length == A::BITS {
            self.hosts.holds(net.first, id)
        } else {
            self.nets.holds(net, id)
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Net<A>, Held)> {
        let hosts = self.hosts.iter();
        let hosts = hosts.map(|(first, held)| (Net { first, length: A::BITS }, held));
        hosts.chain(self.nets.iter())
    }

    pub(super) fn expire(&mut self, now: Timestamp, labels: &Labels) {
        let touched = &mut self.touched;
        self.hosts.expire(now, labels, |host, before| touched.hosts.push((host, before)));
        self.nets.expire(now, labels, |net, _| touched.nets.push((net.first, net.last())));
    }

    pub(super) fn next_end(&self) -> Option<Timestamp> {
        [self.hosts.next_end(), self.nets.next_end()].into_iter().flatten().min()
    }

    /// Sets the intervals nothing is done about, in any order.
    pub(super) fn allow(&mut self, allowed: Vec<(A, A)>) -> Diff<A> {
        let before = core::mem::take(&mut self.allowed);
        // What was told about hosts inside either list is settled with the old one in force.
        let after = union(allowed);
        let mut diff = Diff::default();
        let regions = union(before.iter().chain(&after).copied().collect());
        for (first, last) in regions {
            for (address, held) in self.hosts.strongest().range(first..=last) {
                let was = (!covers(&before, *address)).then_some(held.effect);
                let is = (!covers(&after, *address)).then_some(held.effect);
                diff.host(*address, was, is);
            }
            self.touched.nets.push((first, last));
        }
        self.allowed = after;
        diff
    }

    fn touch_host(&mut self, address: A) {
        self.touched.hosts.push((address, self.hosts.best(address)));
    }

    /// Everything that changed since it was called last.
    pub(super) fn settle(&mut self, labels: &Labels, diff: &mut Diff<A>) {
        let mut hosts = core::mem::take(&mut self.touched.hosts);
        // Stable: of one host, what held before anything was touched stays in front.
        hosts.sort_by_key(|(address, _)| *address);
        hosts.dedup_by_key(|(address, _)| *address);
        for (address, before) in hosts {
            if !covers(&self.allowed, address) {
                diff.host(address, before, self.hosts.best(address));
            }
        }
        let nets = core::mem::take(&mut self.touched.nets);
        if nets.is_empty() {
            return;
        }
        let regions = nets.into_iter().map(|(first, last)| self.widened(first, last)).collect();
        for (first, last) in union(regions) {
            let before: Vec<Span<A>> = self.told(first, last).collect();
            let after = self.flatten(first, last, labels);
            for span in &before {
                self.spans.remove(&span.first);
            }
            for span in &after {
                self.spans.insert(span.first, (span.last, span.effect));
            }
            diff.spans(&before, &after);
        }
    }

    fn told(&self, first: A, last: A) -> impl Iterator<Item = Span<A>> {
        let spans = self.spans.range(first..=last);
        spans.map(|(first, (last, effect))| Span { first: *first, last: *last, effect: *effect })
    }

    /// The region together with the told spans that reach into it or touch it: one of them may
    /// have to be joined with what is new.
    fn widened(&self, first: A, last: A) -> (A, A) {
        let mut region = (first, last);
        if let Some((left, (end, _))) = self.spans.range(..first).next_back()
            && end.next().is_none_or(|next| next >= first)
        {
            region.0 = *left;
        }
        let edge = last.next().unwrap_or(last);
        if let Some((_, (end, _))) = self.spans.range(..=edge).next_back() {
            region.1 = region.1.max(*end);
        }
        region
    }

    /// What holds from `first` to `last`, as disjoint spans.
    fn flatten(&self, first: A, last: A, labels: &Labels) -> Vec<Span<A>> {
        let mut spans = Spans { done: Vec::new(), allowed: &self.allowed };
        // Networks nest, so those around the current address are a stack, each with the strongest
        // effect down to it.
        let mut open: Vec<(A, Effect)> = Vec::new();
        let enter = |open: &mut Vec<(A, Effect)>, end: A, effect: Effect| {
            let outer = open.last().map(|(_, effect)| *effect);
            let wins = outer.is_none_or(|outer| {
                let (new, old) = (labels.rank(effect), labels.rank(outer));
                // The outer one stays where both are equal: fewer spans.
                new > old
            });
            open.push((end, if wins { effect } else { outer.unwrap_or(effect) }));
        };
        for length in self.lengths() {
            let net = Net { first: first.network(length), length };
            if net.first < first
                && let Some(effect) = self.nets.best(net)
            {
                enter(&mut open, net.last(), effect);
            }
        }
        let mut at = first;
        let from = Net { first, length: 0 };
        let to = Net { first: last, length: u8::MAX };
        for (net, held) in self.nets.strongest().range(from..=to) {
            close(&mut open, &mut at, net.first, &mut spans);
            if let Some((_, effect)) = open.last()
                && let Some(end) = net.first.previous()
                && at <= end
            {
                spans.push(at, end, *effect);
            }
            at = net.first;
            enter(&mut open, net.last(), held.effect);
        }
        while let Some((end, effect)) = open.pop() {
            if at <= end.min(last) {
                spans.push(at, end.min(last), effect);
            }
            match end.next() {
                Some(next) if next <= last => at = at.max(next),
                _ => break,
            }
        }
        spans.done
    }

    /// The prefix lengths in use, shortest first.
    fn lengths(&self) -> impl Iterator<Item = u8> {
        let set = self.lengths;
        let everything = self.has_everything.then_some(0);
        everything
            .into_iter()
            .chain((1..A::BITS).filter(move |length| set >> (length - 1) & 1 == 1))
    }

    pub(super) fn wanted(&self, now: Timestamp) -> Entries<A> {
        let hosts = self.hosts.strongest().iter();
        let hosts = hosts.map(|(address, held)| Host { address: *address, effect: held.effect });
        Entries {
            hosts: hosts
                .filter(|host| !host.effect.until.is_over(now))
                .filter(|host| !covers(&self.allowed, host.address))
                .collect(),
            spans: self
                .told(A::MIN, A::MAX)
                .filter(|span| !span.effect.until.is_over(now))
                .collect(),
        }
    }

    pub(super) fn lookup(&self, address: A, now: Timestamp, labels: &Labels) -> Option<Effect> {
        if covers(&self.allowed, address) {
            return None;
        }
        let span = self.spans.range(..=address).next_back();
        let span = span.filter(|(_, (last, _))| *last >= address).map(|(_, (_, effect))| *effect);
        [self.hosts.best(address), span]
            .into_iter()
            .flatten()
            .filter(|effect| !effect.until.is_over(now))
            .max_by_key(|effect| labels.rank(*effect))
    }

    /// The difference from `self` to `fresh`, both settled.
    pub(super) fn difference(&self, fresh: &Self) -> Diff<A> {
        let mut diff = Diff::default();
        let told = |effect: &Effect, address| (!covers(&self.allowed, address)).then_some(*effect);
        let (old, new) = (self.hosts.strongest(), fresh.hosts.strongest());
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let (address, before, after) = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some((a, _)), Some((b, _))) if a == b => {
                    (**a, old.next().map(|(_, held)| held), new.next().map(|(_, held)| held))
                }
                (Some((a, _)), Some((b, _))) if b < a => {
                    (**b, None, new.next().map(|(_, held)| held))
                }
                (None, Some((b, _))) => (**b, None, new.next().map(|(_, held)| held)),
                (Some((a, _)), _) => (**a, old.next().map(|(_, held)| held), None),
            };
            let before = before.and_then(|held| told(&held.effect, address));
            let after = after.and_then(|held| told(&held.effect, address));
            if let (Some(before), Some(after)) = (before, after)
                && is_same(before, after)
            {
                continue;
            }
            diff.host(address, before, after);
        }
        let before: Vec<Span<A>> = self.told(A::MIN, A::MAX).collect();
        let mut after: Vec<Span<A>> = fresh.told(A::MIN, A::MAX).collect();
        for span in &mut after {
            if let Some((last, effect)) = self.spans.get(&span.first)
                && *last == span.last
                && is_same(*effect, span.effect)
            {
                span.effect = *effect;
            }
        }
        diff.spans(&before, &after);
        diff
    }

    pub(super) fn allowed(&self) -> &[(A, A)] {
        &self.allowed
    }

    pub(super) fn shrink(&mut self) {
        self.hosts.shrink();
        self.nets.shrink();
    }
}

/// Ends the networks that lie before `next`, writing down what held until each of them ended.
fn close<A: Address>(open: &mut Vec<(A, Effect)>, at: &mut A, next: A, spans: &mut Spans<'_, A>) {
    while let Some((end, effect)) = open.last().copied() {
        if end >= next {
            return;
        }
        if *at <= end {
            spans.push(*at, end, effect);
        }
        open.pop();
        // `end` is below `next`, so there is an address behind it.
        *at = end.next().map_or(*at, |after| after.max(*at));
    }
}

/// Spans as they are written down, from left to right.
struct Spans<'a, A> {
    done: Vec<Span<A>>,
    allowed: &'a [(A, A)],
}

impl<A: Address> Spans<'_, A> {
    /// Adds a span without what is allowed in it.
    fn push(&mut self, first: A, last: A, effect: Effect) {
        let mut at = first;
        let from = self.allowed.partition_point(|(_, end)| *end < first);
        for (hole, hole_end) in self.allowed.iter().skip(from).take_while(|(hole, _)| *hole <= last)
        {
            if let Some(end) = hole.previous()
                && at <= end
                && *hole > at
            {
                self.join(at, end, effect);
            }
            let Some(next) = hole_end.next() else { return };
            at = next;
        }
        if at <= last {
            self.join(at, last, effect);
        }
    }

    fn join(&mut self, first: A, last: A, effect: Effect) {
        if let Some(left) = self.done.last_mut()
            && left.effect == effect
            && left.last.next() == Some(first)
        {
            left.last = last;
            return;
        }
        self.done.push(Span { first, last, effect });
    }
}

fn covers<A: Address>(intervals: &[(A, A)], address: A) -> bool {
    let at = intervals.partition_point(|(_, last)| *last < address);
    intervals.get(at).is_some_and(|(first, _)| *first <= address)
}
