//! A filter made ready: what depends on the repeated texts of decisions is judged once per
//! combination of them instead of once per decision.

use ipnet::IpNet;
use model::Scope;

use crate::{
    DecisionFilter, Relation, Simulated,
    index::{Kind, Target},
};

/// A filter and what it has already judged. Only good as long as the index is locked: numbers of
/// kinds are used again afterwards.
pub(crate) struct Matcher<'a> {
    filter: &'a Prepared,
    /// By number of the kind: not judged, wanted, unwanted.
    judged: Vec<Option<bool>>,
}

/// A filter with its texts parsed.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) filter: DecisionFilter,
    containing: Vec<String>,
    not_containing: Vec<String>,
    /// `value` as a network, where it is one.
    pub(crate) value_net: Option<IpNet>,
}

impl Prepared {
    pub(crate) fn new(filter: DecisionFilter) -> Self {
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
        Self {
            containing: lower(&filter.scenarios_containing),
            not_containing: lower(&filter.scenarios_not_containing),
            value_net: filter.value.as_deref().and_then(|value| model::parse_target(value).ok()),
            filter,
        }
    }

    /// Whether decisions of this kind are wanted at all.
    pub(crate) fn wants(&self, kind: &Kind) -> bool {
        let filter = &self.filter;
        let any = |wanted: &[String], text: &str| {
            wanted.is_empty() || wanted.iter().any(|one| one == text)
        };
        if (filter.simulated == Simulated::Excluded && kind.simulated)
            || !(filter.scopes.is_empty() || filter.scopes.contains(&kind.scope))
            || filter.remediation.as_deref().is_some_and(|wanted| wanted != &*kind.remediation)
            || filter.scenario.as_deref().is_some_and(|wanted| wanted != &*kind.scenario)
            || !any(&filter.origins, &kind.origin)
        {
            return false;
        }
        if self.containing.is_empty() && self.not_containing.is_empty() {
            return true;
        }
        let scenario = kind.scenario.to_lowercase();
        let within = |texts: &[String]| texts.iter().any(|text| scenario.contains(text));
        (self.containing.is_empty() || within(&self.containing)) && !within(&self.not_containing)
    }

    /// Whether a decision about this target is wanted.
    pub(crate) fn wants_target(&self, target: Target<'_>) -> bool {
        if let Some((asked, relation)) = self.filter.net {
            let Target::Net(net) = target else { return false };
            let fits = match relation {
                Relation::Contains => net.contains(&asked),
                Relation::Inside => asked.contains(&net),
            };
            if !fits {
                return false;
            }
        }
        match (&self.filter.value, target) {
            (None, _) => true,
            (Some(_), Target::Net(net)) => self.value_net == Some(net),
            (Some(value), Target::Text(text)) => value == text,
        }
    }
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(filter: &'a Prepared, n_kinds: usize) -> Self {
        Self { filter, judged: vec![None; n_kinds] }
    }

    /// Whether decisions of the kind with this number are wanted.
    pub(crate) fn wants_kind(&mut self, number: u32, kind: &Kind) -> bool {
        match self.judged.get_mut(number as usize) {
            Some(Some(known)) => *known,
            Some(unknown) => *unknown.insert(self.filter.wants(kind)),
            None => self.filter.wants(kind),
        }
    }

    /// The filter.
    pub(crate) fn prepared(&self) -> &'a Prepared {
        self.filter
    }
}

/// The scope a network is stored under.
pub(crate) fn scope_of(net: IpNet) -> Scope {
    if net.prefix_len() == net.max_prefix_len() { Scope::Ip } else { Scope::Range }
}

/// The text a network is stored under: a single address without its length.
pub(crate) fn text_of(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
