//! Decisions off the wire: which of them are about addresses, and until when they hold.

use std::{collections::HashSet, sync::Arc};

use api::{DecisionDelta, duration};
use ipnet::IpNet;
use model::{DecisionId, Scope, Timestamp, canonical_scope, parse_target};

use crate::set::{Decision, Delta, Removal};

/// How a server says that a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletions {
    /// It names the decision: ours.
    ByNumber,
    /// It names one of possibly many about the same value, and means all of them that do the same:
    /// a CrowdSec server, which shows one decision for each value.
    ByValue,
}

/// Turns wire types into what the set takes. Keeps each name once.
#[derive(Debug)]
pub struct Reader {
    deletions: Deletions,
    names: HashSet<Arc<str>>,
}

/// What was not taken from a delta, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// About something else than addresses: for other bouncers.
    pub n_other_scopes: usize,
    /// Only written down, not to be enforced.
    pub n_simulated: usize,
    /// Incomplete, or not readable.
    pub n_unreadable: usize,
}

/// More names than this at once are none that a server would give.
const MAX_NAMES: usize = 10_000;
/// Longer names are cut.
const MAX_NAME: usize = 128;

impl Reader {
    /// Reads what a server of this kind says.
    #[must_use]
    pub fn new(deletions: Deletions) -> Self {
        Self { deletions, names: HashSet::new() }
    }

    /// Reads one answer, or one event, that arrived at `now`.
    pub fn read(&mut self, delta: &DecisionDelta, now: Timestamp) -> (Delta, Skipped) {
        let mut skipped = Skipped::default();
        let mut read = Delta::default();
        for decision in &delta.deleted {
            match self.about(decision) {
                Ok((net, remediation, _)) => {
                    read.remove.push(match (self.deletions, decision.id) {
                        (Deletions::ByNumber, Some(id)) => {
                            Removal::Decision { id: DecisionId(id), net }
                        }
                        _ => Removal::Value { net, remediation: Some(remediation), origin: None },
                    })
                }
                Err(count) => count(&mut skipped),
            }
        }
        for decision in &delta.new {
            let about = self.about(decision);
            let length = decision.duration.as_deref().map(duration::parse);
            match (about, length, decision.id) {
                (Ok((net, remediation, origin)), Some(Ok(nanos)), Some(id)) => {
                    // What has ended is no news, and nothing is wrong with it.
                    if nanos > 0 {
                        let until = now.plus_nanos(nanos);
                        let id = DecisionId(id);
                        read.add.push(Decision { id, net, remediation, origin, until });
                    }
                }
                (Err(count), ..) => count(&mut skipped),
                _ => skipped.n_unreadable += 1,
            }
        }
        (read, skipped)
    }

    #[expect(clippy::type_complexity, reason = "a reason is what it counts")]
    fn about(
        &mut self,
        decision: &api::Decision,
    ) -> Result<(IpNet, Arc<str>, Arc<str>), fn(&mut Skipped)> {
        let unreadable: fn(&mut Skipped) = |skipped| skipped.n_unreadable += 1;
        let (Some(scope), Some(value), Some(remediation), Some(origin)) =
            (&decision.scope, &decision.value, &decision.remediation, &decision.origin)
        else {
            return Err(unreadable);
        };
        if !matches!(canonical_scope(scope), Scope::Ip | Scope::Range) {
            return Err(|skipped| skipped.n_other_scopes += 1);
        }
        if decision.simulated == Some(true) || remediation.starts_with("simulation:") {
            return Err(|skipped| skipped.n_simulated += 1);
        }
        let Ok(net) = parse_target(value) else { return Err(unreadable) };
        let remediation = self.name(&remediation.to_ascii_lowercase());
        // Blocklists are told apart by their names.
        let origin = match &decision.scenario {
            Some(list) if origin == "lists" => self.name(&format!("lists:{list}")),
            _ => self.name(origin),
        };
        Ok((net, remediation, origin))
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(id: i64, scope: &str, value: &str, length: &str) -> api::Decision {
        api::Decision {
            id: Some(id),
            scope: Some(scope.to_owned()),
            value: Some(value.to_owned()),
            duration: Some(length.to_owned()),
            origin: Some("lists".to_owned()),
            scenario: Some("firehol".to_owned()),
            remediation: Some("Ban".to_owned()),
            ..api::Decision::default()
        }
    }

    #[test]
    fn takes_what_is_about_addresses() {
        let delta = DecisionDelta {
            new: vec![
                decision(1, "ip", "192.0.2.1", "4h"),
                decision(2, "Range", "192.0.2.77/24", "90s"),
                decision(3, "Country", "NL", "4h"),
                decision(4, "Ip", "nonsense", "4h"),
                decision(5, "Ip", "192.0.2.5", "soon"),
                decision(6, "Ip", "192.0.2.6", "-1s"),
                api::Decision { simulated: Some(true), ..decision(7, "Ip", "192.0.2.7", "4h") },
                api::Decision { value: None, ..decision(8, "Ip", "", "4h") },
            ],
            deleted: vec![decision(9, "Ip", "::ffff:192.0.2.9", "-4h")],
        };
        let now = Timestamp::from_unix(1000, 0);
        let (read, skipped) = Reader::new(Deletions::ByNumber).read(&delta, now);
        let want = Skipped { n_other_scopes: 1, n_simulated: 1, n_unreadable: 3 };
        assert_eq!(skipped, want);
        assert_eq!(read.add.len(), 2);
        assert_eq!(read.add[1].net, "192.0.2.0/24".parse().unwrap());
        assert_eq!(read.add[1].until, Timestamp::from_unix(1090, 0));
        assert_eq!((&*read.add[0].origin, &*read.add[0].remediation), ("lists:firehol", "ban"));
        let net = "192.0.2.9/32".parse().unwrap();
        assert_eq!(read.remove, [Removal::Decision { id: DecisionId(9), net }]);
        let (read, _) = Reader::new(Deletions::ByValue).read(&delta, now);
        let remediation = Some("ban".into());
        assert_eq!(read.remove, [Removal::Value { net, remediation, origin: None }]);
    }
}
