//! What a line did to buckets: the arithmetic behind "not yet".

use engine::{
    Overflow, Pours, Program,
    observe::ScenarioCount,
    pour::Buckets,
    program::{ScenarioId, Shape},
};
use serde::Serialize;

/// A scenario that wanted the line.
#[derive(Debug, Serialize)]
pub(super) struct ScenarioTrace {
    /// Its name.
    pub(super) name: String,
    /// What `groupby` gave; empty when all lines share a bucket.
    pub(super) partition: String,
    /// What became of the bucket.
    #[serde(flatten)]
    pub(super) state: BucketState,
}

/// What became of a bucket.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "bucket")]
pub(super) enum BucketState {
    /// It holds the line and waits for more.
    Waiting {
        /// Lines poured so far.
        n_events: u32,
        /// How many it takes at once; `None` when that is not what makes it overflow.
        capacity: Option<u32>,
        /// How much of that is in use: lines poured, less what has leaked.
        in_use: f64,
    },
    /// It already holds a line with the same distinct value, so this one does not count.
    Duplicate,
    /// It overflowed.
    Overflowed,
    /// It overflowed and the scenario kept that to itself: `overflow_filter`, `blackhole`, or no
    /// source could be told.
    Silenced,
    /// `cancel_on` ended it.
    Canceled,
    /// The line has no date, so it cannot be placed in time.
    Undated,
}

/// Pours what a line became and tells what that did.
pub(super) fn pour(
    program: &Program,
    buckets: &mut Buckets,
    pours: &Pours,
    out: &mut Vec<Overflow>,
) -> Vec<ScenarioTrace> {
    let before: Vec<(Option<u32>, ScenarioCount)> =
        pours.targets().map(|(id, partition)| look(program, buckets, id, partition)).collect();
    let first_new = out.len();
    buckets.pour_all(pours, out);
    let new = &out[first_new..];
    pours
        .targets()
        .zip(before)
        .map(|((id, partition), before)| {
            let scenario = program.scenario(id);
            ScenarioTrace {
                name: scenario.name.clone().into_string(),
                partition: partition.to_owned(),
                state: state(program, buckets, (id, partition), before, new),
            }
        })
        .collect()
}

fn look(
    program: &Program,
    buckets: &Buckets,
    id: ScenarioId,
    partition: &str,
) -> (Option<u32>, ScenarioCount) {
    let total = buckets.table.find(program, id, partition).map(|bucket| bucket.total);
    (total, buckets.table.counts[id.0 as usize])
}

fn state(
    program: &Program,
    buckets: &Buckets,
    (id, partition): (ScenarioId, &str),
    (total_before, before): (Option<u32>, ScenarioCount),
    new: &[Overflow],
) -> BucketState {
    let now = buckets.table.counts[id.0 as usize];
    if now.overflowed > before.overflowed {
        let name = &*program.scenario(id).name;
        let is_told = new.iter().any(|overflow| overflow.alert.scenario == name);
        return if is_told { BucketState::Overflowed } else { BucketState::Silenced };
    }
    if now.canceled > before.canceled {
        return BucketState::Canceled;
    }
    let Some(bucket) = buckets.table.find(program, id, partition) else {
        return BucketState::Undated;
    };
    if total_before == Some(bucket.total) && now.poured == before.poured {
        return BucketState::Duplicate;
    }
    let (capacity, in_use) = match program.scenario(bucket.scenario).shape {
        Shape::Leaky { capacity, .. } => (Some(capacity), bucket.level.in_use(capacity)),
        Shape::Trigger | Shape::Counter | Shape::Conditional | Shape::Bayesian { .. } => {
            (None, f64::from(bucket.total))
        }
    };
    BucketState::Waiting { n_events: bucket.total, capacity, in_use }
}
