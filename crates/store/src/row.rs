//! Rows of the table of decisions, as decisions and as entries of the index.

use std::sync::Arc;

use ipnet::IpNet;
use model::{Decision, DecisionId, Scope, Timestamp, Uuid};

use crate::{
    Seq,
    sql::{self, Row},
    time,
};

/// The columns `entry` reads, of a table named `d`.
pub(crate) const DECISION: &str = "d.id, d.uuid, d.origin, d.scenario, d.type, d.scope, d.value, \
    d.until, d.simulated, d.ip_size, d.change_seq";

/// A decision on its way into the index.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) decision: Decision,
    /// What it covers, for scopes `Ip` and `Range`.
    pub(crate) net: Option<IpNet>,
    pub(crate) seq: Seq,
}

/// Reads one row.
pub(crate) fn entry(row: &Row<'_>) -> sql::Result<Entry> {
    let decision = decision(row)?;
    let size: Option<i64> = row.get(9)?;
    // The text is trusted over the integers: hand-written rows often lack those.
    let is_net =
        size.is_some_and(|size| size != 0) || matches!(decision.scope, Scope::Ip | Scope::Range);
    let net = if is_net { model::parse_target(&decision.value).ok() } else { None };
    Ok(Entry { net, seq: seq(row)?, decision })
}

/// The number of a row's last change.
pub(crate) fn seq(row: &Row<'_>) -> sql::Result<Seq> {
    let seq: Option<i64> = row.get(10)?;
    Ok(Seq(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0)))
}

/// Reads one row, for answers.
pub(crate) fn decision(row: &Row<'_>) -> sql::Result<Decision> {
    let text = |column: usize| -> sql::Result<Arc<str>> {
        Ok(Arc::from(row.get_ref(column)?.as_str().unwrap_or_default()))
    };
    let until = row.get_ref(7)?.as_str().and_then(time::from_text);
    Ok(Decision {
        id: DecisionId(row.get(0)?),
        uuid: row.get_ref(1)?.as_str().and_then(Uuid::parse),
        origin: text(2)?,
        scenario: text(3)?,
        remediation: text(4)?,
        scope: Scope::from_name(row.get_ref(5)?.as_str().unwrap_or_default()),
        value: row.get(6)?,
        // A row without an end never held.
        until: until.unwrap_or(Timestamp::MIN),
        simulated: row.get(8)?,
    })
}
