//! Never lock the owner out: which addresses nothing is done about, whatever is decided, and what
//! to say when a decision names one of them.
//!
//! [`protected`] and [`warnings`] are pure; [`collect`](facts::collect) is the edge that finds out
//! what they go by. What is protected is carved out of the decision set
//! ([`DecisionSet::set_allowed`](crate::set::DecisionSet::set_allowed)), so a ban of the network
//! around it still holds for everybody else in there.

pub mod facts;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;

use crate::set::Decision;
pub use facts::{Facts, Places, collect};

/// Why an address is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Somebody is logged in from there by SSH.
    Session,
    /// All traffic to the outside goes through it.
    Gateway,
    /// Names are looked up there.
    Resolver,
    /// It is one of this host's own.
    Own,
    /// The local API is there.
    Api,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "somebody is logged in from there by SSH",
            Self::Gateway => "it is a default gateway",
            Self::Resolver => "names are looked up there",
            Self::Own => "it is an address of this host",
            Self::Api => "the local API is there",
        })
    }
}

/// An address nothing is done about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The address.
    pub address: IpAddr,
    /// Why.
    pub why: Why,
}

impl Protected {
    /// The address as a network, for an allowlist.
    #[must_use]
    pub fn net(&self) -> IpNet {
        self.address.into()
    }
}

/// What to protect, each address once, in order. What `unprotected` names is left out: the owner
/// said so.
///
/// ```
/// use bouncer::protect::{Facts, Why, protected};
///
/// let facts = Facts { gateways: vec!["192.0.2.1".parse().unwrap()], ..Facts::default() };
/// assert_eq!(protected(&facts, &[])[0].why, Why::Gateway);
/// assert!(protected(&facts, &[Why::Gateway]).is_empty());
/// ```
#[must_use]
pub fn protected(facts: &Facts, unprotected: &[Why]) -> Vec<Protected> {
    let kinds = [
        (Why::Session, &facts.sessions),
        (Why::Gateway, &facts.gateways),
        (Why::Resolver, &facts.resolvers),
        (Why::Own, &facts.own),
        (Why::Api, &facts.api),
    ];
    let mut all = BTreeMap::new();
    for (why, addresses) in kinds {
        if unprotected.contains(&why) {
            continue;
        }
        for address in addresses {
            let address = address.to_canonical();
            if !address.is_unspecified() {
                all.entry(address).or_insert(why);
            }
        }
    }
    all.into_iter().map(|(address, why)| Protected { address, why }).collect()
}

/// A decision that is not carried out for an address it names or covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The decision.
    pub decision: Decision,
    /// The address that stays reachable.
    pub protected: Protected,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision, protected } = self;
        let Decision { id, net, remediation, origin, .. } = decision;
        // Both texts come from outside (I12).
        let short = |text: &str| text.chars().take(64).collect::<String>();
        let (remediation, origin) = (short(remediation), short(origin));
        write!(
            f,
            "decision {id} ({remediation:?} of {net}, by {origin:?}) is not carried out for {}: {}",
            protected.address, protected.why
        )
    }
}

/// What to say about these decisions. `protected` is in order, as [`protected()`] gives it.
#[must_use]
pub fn warnings(protected: &[Protected], decisions: &[Decision]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for decision in decisions {
        let net = model::canonical_net(decision.net);
        let from = protected.partition_point(|held| held.address < net.network());
        let inside = protected.iter().skip(from).take_while(|held| net.contains(&held.address));
        warnings
            .extend(inside.map(|held| Warning { decision: decision.clone(), protected: *held }));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{DecisionSet, Delta, Settings};
    use model::{DecisionId, Timestamp};

    fn ban(value: &str) -> Decision {
        Decision {
            id: DecisionId(7),
            net: model::parse_target(value).unwrap(),
            remediation: "ban".into(),
            origin: "cscli".into(),
            until: Timestamp::from_unix(1000, 0),
        }
    }

    #[test]
    fn a_decision_about_the_owner_is_named_and_not_carried_out() {
        let facts = Facts {
            sessions: vec!["::ffff:198.51.100.9".parse().unwrap()],
            gateways: vec!["192.0.2.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            resolvers: vec!["192.0.2.1".parse().unwrap()],
            own: vec!["0.0.0.0".parse().unwrap(), "192.0.2.8".parse().unwrap()],
            ..Facts::default()
        };
        let held = protected(&facts, &[]);
        assert_eq!(held.len(), 4, "{held:?}");
        let bans = [ban("192.0.2.0/24"), ban("198.51.100.9"), ban("203.0.113.1"), ban("::/0")];
        let texts: Vec<String> = warnings(&held, &bans).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "decision 7 (\"ban\" of 192.0.2.0/24, by \"cscli\") is not carried out for \
                 192.0.2.1: it is a default gateway",
                "decision 7 (\"ban\" of 192.0.2.0/24, by \"cscli\") is not carried out for \
                 192.0.2.8: it is an address of this host",
                "decision 7 (\"ban\" of 198.51.100.9/32, by \"cscli\") is not carried out for \
                 198.51.100.9: somebody is logged in from there by SSH",
                "decision 7 (\"ban\" of ::/0, by \"cscli\") is not carried out for \
                 fe80::1: it is a default gateway",
            ]
        );
        let now = Timestamp::from_unix(0, 0);
        let mut set = DecisionSet::new(&Settings::default());
        let nets: Vec<IpNet> = held.iter().map(Protected::net).collect();
        drop(set.set_allowed(&nets));
        drop(set.apply(&Delta { add: bans.to_vec(), ..Delta::default() }, now));
        for held in &held {
            assert!(set.lookup(held.address, now).is_none(), "{held:?}");
        }
        assert!(set.lookup("192.0.2.2".parse().unwrap(), now).is_some());
    }
}
