//! What the set tells a back-end: effects on addresses, and the difference between two contents.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::Timestamp;

use super::address::{Address, networks};

/// When a decision ends: a whole second since 1970, rounded up. The last one is in 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Until(u32);

impl Until {
    /// The first whole second that is not before `at`.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let (seconds, nanos) = at.unix();
        let seconds = seconds.saturating_add(i64::from(nanos > 0)).max(0);
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// That second.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_unix(self.0.into(), 0)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        self.timestamp() <= now
    }

    /// How long from `now`; nothing when it has passed.
    #[must_use]
    pub fn left(self, now: Timestamp) -> Duration {
        let nanos = self.timestamp().nanos_since(now);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    pub(super) const fn seconds(self) -> u32 {
        self.0
    }
}

/// The number of an origin in [`Labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginId(pub(super) u16);

impl OriginId {
    /// Its place in [`Labels::origins`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// The number of a remediation type in [`Labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemediationId(pub(super) u8);

/// What is done about an address, because of whom, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// What is done.
    pub remediation: RemediationId,
    /// Who decided.
    pub origin: OriginId,
    /// When it ends.
    pub until: Until,
}

/// The names behind the numbers, and how strong each remediation is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Labels {
    origins: Arc<Vec<Arc<str>>>,
    remediations: Arc<Vec<(Arc<str>, u8)>>,
    unlisted: u8,
}

/// More origins than this are counted together.
const MAX_ORIGINS: usize = 4096;
/// More remediation types than this are counted together.
const MAX_REMEDIATIONS: usize = 64;
/// What those beyond the limits are called.
const REST: &str = "other";

impl Labels {
    pub(super) fn new(strengths: &[(String, u8)], unlisted: u8) -> Self {
        let mut remediations = Vec::new();
        for (name, strength) in strengths.iter().take(MAX_REMEDIATIONS) {
            remediations.push((Arc::from(name.as_str()), *strength));
        }
        Self { origins: Arc::default(), remediations: Arc::new(remediations), unlisted }
    }

    /// The name of an origin.
    #[must_use]
    pub fn origin(&self, id: OriginId) -> &str {
        self.origins.get(usize::from(id.0)).map_or(REST, |name| name)
    }

    /// The origins by number.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = (OriginId, &str)> {
        // There are at most `MAX_ORIGINS`.
        self.origins.iter().enumerate().map(|(at, name)| (OriginId(at as u16), name.as_ref()))
    }

    /// The name of a remediation.
    #[must_use]
    pub fn remediation(&self, id: RemediationId) -> &str {
        self.remediations.get(usize::from(id.0)).map_or(REST, |(name, _)| name)
    }

    /// The number of a remediation, if any decision or setting named it.
    #[must_use]
    pub fn remediation_id(&self, name: &str) -> Option<RemediationId> {
        let at =
            self.remediations.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
        // There are at most `MAX_REMEDIATIONS`.
        Some(RemediationId(at as u8))
    }

    /// The number of an origin, if any decision named it.
    #[must_use]
    pub fn origin_id(&self, name: &str) -> Option<OriginId> {
        let at = self.origins.iter().position(|known| known.as_ref() == name)?;
        // There are at most `MAX_ORIGINS`.
        Some(OriginId(at as u16))
    }

    /// What is stronger comes later.
    pub(super) fn rank(&self, effect: Effect) -> (u8, Until) {
        let strength = self.remediations.get(usize::from(effect.remediation.0));
        (strength.map_or(self.unlisted, |(_, strength)| *strength), effect.until)
    }

    pub(super) fn take_origin(&mut self, name: &Arc<str>) -> OriginId {
        if let Some(id) = self.origin_id(name) {
            return id;
        }
        if self.origins.len() + 1 >= MAX_ORIGINS {
            if let Some(id) = self.origin_id(REST) {
                return id;
            }
            Arc::make_mut(&mut self.origins).push(Arc::from(REST));
        } else {
            Arc::make_mut(&mut self.origins).push(Arc::clone(name));
        }
        OriginId((self.origins.len() - 1) as u16)
    }

    pub(super) fn take_remediation(&mut self, name: &Arc<str>) -> RemediationId {
        if let Some(id) = self.remediation_id(name) {
            return id;
        }
        if self.remediations.len() + 1 >= MAX_REMEDIATIONS {
            if let Some(id) = self.remediation_id(REST) {
                return id;
            }
            Arc::make_mut(&mut self.remediations).push((Arc::from(REST), self.unlisted));
        } else {
            Arc::make_mut(&mut self.remediations).push((Arc::clone(name), self.unlisted));
        }
        RemediationId((self.remediations.len() - 1) as u8)
    }
}

/// What is done about one address that was named by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host<A> {
    /// The address.
    pub address: A,
    /// What is done.
    pub effect: Effect,
}

/// What is done about all addresses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span<A> {
    /// The first address.
    pub first: A,
    /// The last address.
    pub last: A,
    /// What is done.
    pub effect: Effect,
}

/// Effects on addresses of one family. Spans never overlap each other; a host may lie in a span,
/// and then the stronger or longer of the two holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries<A> {
    /// Single addresses, in order.
    pub hosts: Vec<Host<A>>,
    /// Ranges, in order.
    pub spans: Vec<Span<A>>,
}

impl<A> Default for Entries<A> {
    fn default() -> Self {
        Self { hosts: Vec::new(), spans: Vec::new() }
    }
}

impl<A: Address> Entries<A> {
    /// How many hosts and spans there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len() + self.spans.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The disjoint intervals of all addresses in here, whatever is done about them.
    fn union(&self) -> Vec<(A, A)> {
        let hosts = self.hosts.iter().map(|host| (host.address, host.address));
        let spans = self.spans.iter().map(|span| (span.first, span.last));
        union(hosts.chain(spans).collect())
    }
}

/// Sorts intervals and joins those that overlap or touch.
pub(super) fn union<A: Address>(mut intervals: Vec<(A, A)>) -> Vec<(A, A)> {
    intervals.sort_unstable();
    let mut joined: Vec<(A, A)> = Vec::new();
    for (first, last) in intervals {
        match joined.last_mut() {
            Some(open) if open.1.next().is_none_or(|next| first <= next) => {
                open.1 = open.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Effects on addresses of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Both {
    /// IPv4.
    pub v4: Entries<u32>,
    /// IPv6.
    pub v6: Entries<u128>,
}

impl Both {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fewest networks that hold exactly these addresses, for lists that know no more.
    #[must_use]
    pub fn aggregated(&self) -> Vec<IpNet> {
        let mut nets = Vec::new();
        for (first, last) in self.v4.union() {
            networks(first, last, |net| {
                nets.extend(Ipv4Net::new(net.first.into(), net.length).map(IpNet::V4));
            });
        }
        for (first, last) in self.v6.union() {
            networks(first, last, |net| {
                nets.extend(Ipv6Net::new(net.first.into(), net.length).map(IpNet::V6));
            });
        }
        nets
    }
}

/// The difference between what was and what is wanted now.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was not there.
    pub add: Both,
    /// What is there and gets another end or another origin; the entry as it shall be.
    pub extend: Both,
    /// What is there and goes; the entry as it was.
    pub remove: Both,
    /// Decisions that were not taken because the set is full.
    pub n_refused: usize,
    /// The names of the numbers in here.
    pub labels: Labels,
}

impl Change {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.extend.is_empty() && self.remove.is_empty()
    }
}

/// Everything that shall be in effect at one moment.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is done about whom.
    pub entries: Both,
    /// The names of the numbers in here.
    pub labels: Labels,
}
