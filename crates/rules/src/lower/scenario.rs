//! Scenarios, lowered.

use super::Lower;
use crate::Origin;
use crate::expr::check::Wanted;
use crate::expr::objects::Place;
use crate::item::{Ending, Items, QueueLimit, Scenario, ScenarioScope, Shape};
use core::time::Duration;
use engine::program;
use model::Scope;

/// What a shape asks of a bucket besides its type.
struct Life {
    lifetime: Option<Duration>,
    ends_in_overflow: bool,
}

impl Lower {
    /// All scenarios that compile, in their order.
    pub(super) fn scenarios(&mut self, items: &Items) -> Vec<program::Scenario> {
        let mut scenarios = Vec::with_capacity(items.scenarios.len());
        for scenario in &items.scenarios {
            let simulated = items.simulation.applies_to(&scenario.name);
            if let Some(lowered) = self.scenario(scenario, simulated) {
                scenarios.push(lowered);
                self.spans.push(scenario.span);
            }
        }
        scenarios
    }

    fn scenario(&mut self, scenario: &Scenario, simulated: bool) -> Option<program::Scenario> {
        // Everything is read before the first `?`, so that one run reports all mistakes.
        let filter = self.expr(&scenario.filter, Place::Event, Wanted::Bool);
        let group_by = self.optional(scenario.group_by.as_ref(), Place::Event, Wanted::Str);
        let distinct = self.optional(scenario.distinct.as_ref(), Place::Event, Wanted::Anything);
        let cancel_on = self.optional(scenario.cancel_on.as_ref(), Place::Event, Wanted::Bool);
        let overflow_filter =
            self.optional(scenario.overflow_filter.as_ref(), Place::Overflow, Wanted::Bool);
        let (scope, scope_expr) = match &scenario.scope {
            ScenarioScope::Ip => (Scope::Ip, None),
            ScenarioScope::Range(value) => (Scope::Range, value.as_ref()),
            ScenarioScope::Other { name, value } => (Scope::Other(name.clone()), Some(value)),
        };
        let scope_expr = self.optional(scope_expr, Place::Event, Wanted::Anything);
        let shape = self.shape(&scenario.shape);
        let condition = match &scenario.shape {
            Shape::Leaky { condition, .. } | Shape::Counter { condition, .. } => condition.as_ref(),
            Shape::Conditional { condition, .. } => Some(condition),
            Shape::Bayesian(bayesian) => bayesian.condition.as_ref(),
            Shape::Trigger => None,
        };
        let condition = self.optional(condition, Place::Pour, Wanted::Bool);
        let life = life(&scenario.shape);
        let (hash, version) = match &scenario.origin {
            Origin::Local => ("", ""),
            Origin::Hub { version, hash, .. } => (hash.as_str(), version.as_str()),
        };
        Some(program::Scenario {
            name: scenario.name.as_str().into(),
            filter_text: scenario.filter.text().into(),
            filter: filter?,
            group_by: group_by?,
            shape: shape?,
            capacity: scenario.capacity,
            leakspeed: scenario.leakspeed,
            lifetime: life.lifetime,
            ends_in_overflow: life.ends_in_overflow,
            queue: match scenario.queue {
                QueueLimit::Events(events) => events as usize,
                QueueLimit::Unbounded => usize::MAX,
            },
            distinct: distinct?,
            cancel_on: cancel_on?,
            condition: condition?,
            overflow_filter: overflow_filter?,
            blackhole: scenario.blackhole,
            scope,
            scope_expr: scope_expr?,
            remediation: scenario.remediation,
            reprocess: scenario.reprocess,
            simulated,
            hash: hash.into(),
            version: version.into(),
        })
    }

    fn shape(&mut self, shape: &Shape) -> Option<program::Shape> {
        Some(match shape {
            Shape::Leaky { capacity, speed, .. } => {
                program::Shape::Leaky { capacity: capacity.get(), speed: *speed }
            }
            Shape::Trigger => program::Shape::Trigger,
            Shape::Counter { .. } => program::Shape::Counter,
            Shape::Conditional { .. } => program::Shape::Conditional,
            Shape::Bayesian(bayesian) => {
                let evidence: Vec<Option<program::Evidence>> = bayesian
                    .conditions
                    .iter()
                    .map(|evidence| {
                        let condition =
                            self.expr(&evidence.condition, Place::Pour, Wanted::Bool)?;
                        Some(program::Evidence {
                            condition,
                            given_evil: evidence.given_evil,
                            given_benign: evidence.given_benign,
                            guillotine: evidence.guillotine,
                        })
                    })
                    .collect();
                program::Shape::Bayesian {
                    prior: bayesian.prior,
                    threshold: bayesian.threshold,
                    evidence: evidence.into_iter().collect::<Option<_>>()?,
                }
            }
        })
    }
}

/// How long a bucket lives (spec §5.4).
fn life(shape: &Shape) -> Life {
    let quiet = |lifetime| Life { lifetime: Some(lifetime), ends_in_overflow: false };
    match shape {
        Shape::Leaky { lifetime: Some(lifetime), .. } | Shape::Counter { lifetime, .. } => {
            Life { lifetime: Some(*lifetime), ends_in_overflow: true }
        }
        // Long enough to leak dry from full, and one event more.
        Shape::Leaky { capacity, speed, lifetime: None, .. } => {
            quiet(speed.saturating_mul(capacity.get().saturating_add(1)))
        }
        Shape::Trigger => Life { lifetime: None, ends_in_overflow: false },
        Shape::Conditional { lifetime, ending, .. } => {
            Life { lifetime: Some(*lifetime), ends_in_overflow: *ending == Ending::Overflow }
        }
        Shape::Bayesian(bayesian) => Life {
            lifetime: Some(bayesian.lifetime),
            ends_in_overflow: bayesian.ending == Ending::Overflow,
        },
    }
}
