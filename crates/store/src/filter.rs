//! What a caller asks decisions and alerts for. Parsed, so that every value of these types is a
//! question that has an answer.

use ipnet::IpNet;
use model::{Scope, Timestamp, Uuid};

/// How a stored network must lie to the one asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relation {
    /// The stored one contains the one asked for (or equals it).
    #[default]
    Contains,
    /// The stored one lies inside the one asked for (or equals it).
    Inside,
}

/// Which decisions are meant. The default means all that are not simulated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// An address or network, and how decisions lie to it. Other scopes never match.
    pub net: Option<(IpNet, Relation)>,
    /// Any of these scopes; empty means any.
    pub scopes: Vec<Scope>,
    /// Exactly this value.
    pub value: Option<String>,
    /// Exactly this remediation (`type` on the wire).
    pub remediation: Option<String>,
    /// Any of these origins; empty means any.
    pub origins: Vec<String>,
    /// Exactly this scenario.
    pub scenario: Option<String>,
    /// Any of these texts in the name of the scenario, in any case; empty means any.
    pub scenarios_containing: Vec<String>,
    /// None of these texts in the name of the scenario, in any case.
    pub scenarios_not_containing: Vec<String>,
    /// Any of these identifiers; empty means any.
    pub uuids: Vec<Uuid>,
    /// Whether simulated decisions count.
    pub simulated: Simulated,
}

/// Whether simulated decisions or alerts are meant as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Simulated {
    /// Only real ones.
    #[default]
    Excluded,
    /// Both.
    Included,
}

/// Which page of an answer is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only those with a greater number.
    pub id_gt: Option<i64>,
    /// So many are left out first.
    pub offset: usize,
    /// At most so many; `None` means all.
    pub limit: Option<usize>,
}

/// The order alerts come in, by the time they were stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// What an alert's decisions must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HasActive {
    /// At least one holds now.
    Yes,
    /// There are none at all, expired ones neither.
    NoneAtAll,
}

/// Which alerts are meant. The default means all; times are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Scope of the source.
    pub scope: Option<Scope>,
    /// Value of the source.
    pub value: Option<String>,
    /// Scenario of the alert or of one of its decisions.
    pub scenario: Option<String>,
    /// An address or network that one of the decisions concerns.
    pub net: Option<(IpNet, Relation)>,
    /// Started at or after this.
    pub started_since: Option<Timestamp>,
    /// Started at or before this.
    pub started_until: Option<Timestamp>,
    /// Stored at or before this.
    pub created_before: Option<Timestamp>,
    /// One of the decisions has this remediation.
    pub decision_remediation: Option<String>,
    /// One of the decisions has this origin. Implies that the community's are wanted.
    pub origin: Option<String>,
    /// Whether alerts that carry the community's decisions and blocklists are left out.
    pub without_community: bool,
    /// What the decisions must be like.
    pub has_active: Option<HasActive>,
    /// Exactly this kind.
    pub kind: Option<String>,
    /// Whether simulated alerts are left out.
    pub without_simulated: bool,
    /// At most so many; `None` means all.
    pub limit: Option<usize>,
    /// The order.
    pub sort: Sort,
    /// Whether the answer leaves out the decisions.
    pub without_decisions: bool,
    /// Continues after the alert stored at this time under this number.
    pub after: Option<(Timestamp, i64)>,
}
