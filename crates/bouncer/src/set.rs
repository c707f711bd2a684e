//! What is decided about every address, and the smallest change that follows from news.
//!
//! Pure: time is an argument, and nothing here reads or writes anything (I1). Hosts and networks
//! overlap freely and a value may have many decisions; in effect is the strongest of those that
//! cover an address, and of equally strong ones the longest. Addresses on the allowlist have none,
//! whatever was decided (I11).
//!
//! What a back-end is told are *entries*: single hosts as they were named, and networks flattened
//! into disjoint spans, so that a kernel's interval set can hold them and each part ends by itself.
//!
//! Reading order: [`DecisionSet`], `change` (what comes out), `address`, `values` (one kind of
//! value), `family` (hosts, networks, spans).

mod address;
mod change;
mod family;
mod values;

use alloc::{string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use ipnet::IpNet;
use model::{DecisionId, Timestamp};

pub use address::Address;
pub use change::{
    Both, Change, Effect, Entries, Host, Labels, OriginId, RemediationId, Span, Until, Wanted,
};

use address::{Net, Target};
use family::{Diff, Family};
use values::Held;

/// How the set decides between decisions, and how much it takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Remediation types and how strong each is; the highest number wins.
    pub strengths: Vec<(String, u8)>,
    /// How strong the types are that are not listed.
    pub unlisted: u8,
    /// How many decisions are kept at most; those beyond are refused and counted.
    pub limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let strengths = [("ban", 30), ("captcha", 20), ("throttle", 10)];
        Self {
            strengths: strengths.map(|(name, strength)| (name.into(), strength)).into(),
            unlisted: 0,
            limit: 4_000_000,
        }
    }
}

/// A decision about an address or a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its number. A second decision with the same number and value takes the place of the first.
    pub id: DecisionId,
    /// Whom it is about.
    pub net: IpNet,
    /// What is done.
    pub remediation: Arc<str>,
    /// Who decided.
    pub origin: Arc<str>,
    /// When it ends.
    pub until: Timestamp,
}

/// Which decisions end before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The one with this number, wherever it is. All of them are looked at.
    Id(DecisionId),
    /// The one with this number about this value.
    Decision {
        /// Its number.
        id: DecisionId,
        /// Its value.
        net: IpNet,
    },
    /// All about this value.
    Value {
        /// The value.
        net: IpNet,
        /// Only those that do this.
        remediation: Option<Arc<str>>,
        /// Only those of this origin.
        origin: Option<Arc<str>>,
    },
}

/// News: what ends, and then what begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// What ends.
    pub remove: Vec<Removal>,
    /// What begins.
    pub add: Vec<Decision>,
}

/// All decisions in force, and what was last told about them. See the module.
#[derive(Clone, Debug)]
pub struct DecisionSet {
    v4: Family<u32>,
    v6: Family<u128>,
    labels: Labels,
    limit: usize,
    allowed: Vec<IpNet>,
}

impl DecisionSet {
    /// A set without decisions.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            v4: Family::default(),
            v6: Family::default(),
            labels: Labels::new(&settings.strengths, settings.unlisted),
            limit: settings.limit,
            allowed: Vec::new(),
        }
    }

    /// An empty set with the same settings, allowlist and names, to be filled and handed to
    /// [`DecisionSet::replace`].
    #[must_use]
    pub fn empty_twin(&self) -> Self {
        let mut twin = Self {
            v4: Family::default(),
            v6: Family::default(),
            labels: self.labels.clone(),
            limit: self.limit,
            allowed: self.allowed.clone(),
        };
        drop(twin.v4.allow(self.v4.allowed().to_vec()));
        drop(twin.v6.allow(self.v6.allowed().to_vec()));
        twin
    }

    /// Takes news: removals first, then additions, then whatever has ended by `now`. Tells what is
    /// different from before.
    ///
    /// ```
    /// # use bouncer::set::{Decision, DecisionSet, Delta, Settings};
    /// # use model::{DecisionId, Timestamp};
    /// let now = Timestamp::from_unix(1_000, 0);
    /// let mut set = DecisionSet::new(&Settings::default());
    /// let ban = Decision {
    ///     id: DecisionId(1),
    ///     net: "192.0.2.0/24".parse().unwrap(),
    ///     remediation: "ban".into(),
    ///     origin: "cscli".into(),
    ///     until: Timestamp::from_unix(4_600, 0),
    /// };
    /// let change = set.apply(&Delta { add: vec![ban], ..Delta::default() }, now);
    /// assert_eq!(change.add.v4.spans.len(), 1);
    /// assert!(set.lookup("192.0.2.77".parse().unwrap(), now).is_some());
    /// ```
    pub fn apply(&mut self, delta: &Delta, now: Timestamp) -> Change {
        for removal in &delta.remove {
            self.remove(removal);
        }
        let mut n_refused = 0usize;
        for decision in &delta.add {
            if decision.until <= now {
                continue;
            }
            n_refused += usize::from(!self.insert(decision));
        }
        self.expire_all(now);
        let mut change = self.settle();
        change.n_refused = n_refused;
        change
    }

    /// Ends what has ended by `now`.
    pub fn expire(&mut self, now: Timestamp) -> Change {
        self.expire_all(now);
        self.settle()
    }

    /// An instant before which [`DecisionSet::expire`] has nothing to do.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        [self.v4.next_end(), self.v6.next_end()].into_iter().flatten().min()
    }

    /// Takes `fresh` for its own content, after a feed told everything anew. The change holds only
    /// what differs; an end that moved by the rounding of a duration does not.
    pub fn replace(&mut self, mut fresh: Self, now: Timestamp) -> Change {
        // What nobody settled yet would be told twice.
        fresh.expire_all(now);
        drop(fresh.settle());
        let diffs = (self.v4.difference(&fresh.v4), self.v6.difference(&fresh.v6));
        *self = fresh;
        self.v4.shrink();
        self.v6.shrink();
        self.change(diffs)
    }

    /// Sets the networks nothing is done about. What time alone changed is told by the next
    /// [`DecisionSet::expire`].
    pub fn set_allowed(&mut self, allowed: &[IpNet]) -> Change {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in allowed {
            match Target::of(*net) {
                Target::V4(net) => v4.push((net.first, net.last())),
                Target::V6(net) => v6.push((net.first, net.last())),
            }
        }
        self.allowed = allowed.to_vec();
        let mut diffs = (self.v4.allow(v4), self.v6.allow(v6));
        self.v4.settle(&self.labels, &mut diffs.0);
        self.v6.settle(&self.labels, &mut diffs.1);
        self.change(diffs)
    }

    /// The networks nothing is done about.
    #[must_use]
    pub fn allowed(&self) -> &[IpNet] {
        &self.allowed
    }

    /// Everything that is in effect at `now`.
    #[must_use]
    pub fn wanted(&self, now: Timestamp) -> Wanted {
        Wanted {
            entries: Both { v4: self.v4.wanted(now), v6: self.v6.wanted(now) },
            labels: self.labels.clone(),
        }
    }

    /// What is done about one address at `now`.
    #[must_use]
    pub fn lookup(&self, address: IpAddr, now: Timestamp) -> Option<Effect> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.lookup(address.to_bits(), now, &self.labels),
            IpAddr::V6(address) => self.v6.lookup(address.to_bits(), now, &self.labels),
        }
    }

    /// How many decisions are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All decisions, in no particular order: number, value, effect.
    pub fn decisions(&self) -> impl Iterator<Item = (DecisionId, IpNet, Effect)> {
        let v4 = self.v4.iter().map(|(net, held)| (to_ipnet(net), held));
        let v6 = self.v6.iter().map(|(net, held)| (to_ipnet(net), held));
        v4.chain(v6).filter_map(|(net, held)| Some((DecisionId(held.id), net?, held.effect)))
    }

    /// The names behind the numbers.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Adds one decision; `false` when there is no room.
    fn insert(&mut self, decision: &Decision) -> bool {
        let target = Target::of(decision.net);
        if self.len() >= self.limit {
            let is_known = match target {
                Target::V4(net) => self.v4.holds(net, decision.id.0),
                Target::V6(net) => self.v6.holds(net, decision.id.0),
            };
            if !is_known {
                return false;
            }
        }
        let effect = Effect {
            remediation: self.labels.take_remediation(&decision.remediation),
            origin: self.labels.take_origin(&decision.origin),
            until: Until::of(decision.until),
        };
        let held = Held { id: decision.id.0, effect };
        match target {
            Target::V4(net) => self.v4.insert(net, held, &self.labels),
            Target::V6(net) => self.v6.insert(net, held, &self.labels),
        }
        true
    }

    fn remove(&mut self, removal: &Removal) {
        match removal {
            Removal::Id(id) => {
                if let Some(net) = self.v4.find(id.0) {
                    self.v4.remove(net, &self.labels, |held, _| held == id.0);
                } else if let Some(net) = self.v6.find(id.0) {
                    self.v6.remove(net, &self.labels, |held, _| held == id.0);
                }
            }
            Removal::Decision { id, net } => self.remove_from(*net, |held, _| held == id.0),
            Removal::Value { net, remediation, origin } => {
                // A name no decision has: nothing to remove.
                let remediation_id = match remediation {
                    Some(name) => match self.labels.remediation_id(name) {
                        Some(id) => Some(id),
                        None => return,
                    },
                    None => None,
                };
                let origin_id = match origin {
                    Some(name) => match self.labels.origin_id(name) {
                        Some(id) => Some(id),
                        None => return,
                    },
                    None => None,
                };
                self.remove_from(*net, |_, effect| {
                    remediation_id.is_none_or(|id| effect.remediation == id)
                        && origin_id.is_none_or(|id| effect.origin == id)
                });
            }
        }
    }

    fn remove_from(&mut self, net: IpNet, goes: impl Fn(i64, Effect) -> bool) {
        match Target::of(net) {
            Target::V4(net) => self.v4.remove(net, &self.labels, goes),
            Target::V6(net) => self.v6.remove(net, &self.labels, goes),
        }
    }

    fn expire_all(&mut self, now: Timestamp) {
        self.v4.expire(now, &self.labels);
        self.v6.expire(now, &self.labels);
    }

    fn settle(&mut self) -> Change {
        let mut diffs = (Diff::default(), Diff::default());
        self.v4.settle(&self.labels, &mut diffs.0);
        self.v6.settle(&self.labels, &mut diffs.1);
        self.change(diffs)
    }

    fn change(&self, (v4, v6): (Diff<u32>, Diff<u128>)) -> Change {
        Change {
            add: Both { v4: v4.add, v6: v6.add },
            extend: Both { v4: v4.extend, v6: v6.extend },
            remove: Both { v4: v4.remove, v6: v6.remove },
            n_refused: 0,
            labels: self.labels.clone(),
        }
    }
}

fn to_ipnet<A: Address>(net: Net<A>) -> Option<IpNet> {
    IpNet::new(net.first.to_ip(), net.length).ok()
}

#[cfg(test)]
mod tests;
