//! Items: rules as checked types, each with the places its texts came from.
//!
//! What exists here can run: a wrong document was reported and left out. Expressions are still
//! texts, kept with their place so that the compiler of expressions can point into them; groks are
//! already expanded, because their meaning depends on the order in which items are read.
//!
//! Reading order: `node` with `grok`, `statics` and `whitelist`; `scenario` with `labels`; `data`,
//! `context` and `simulation`; `document` for what they share.

mod node;

mod grok;
mod statics;
mod whitelist;

mod scenario;

mod labels;

mod context;
mod data;
mod document;
mod simulation;

pub(crate) mod read;

pub use context::Context;
pub use data::{Cache, DataFile, DataKind, Eviction};
pub use grok::{Grok, GrokInput};
pub use labels::{Label, Labels};
pub use node::{Node, OnSuccess, Stash};
pub use scenario::{Bayesian, Ending, Evidence, QueueLimit, Scenario, ScenarioScope, Shape};
pub use simulation::Simulation;
pub use statics::{AlertField, Destination, Enricher, SourceField, Static, Target, Value};
pub use whitelist::Whitelist;

use core::ops::Range;
use syntax::{Span, yaml::Scalar};

/// All items of a set of files, in the order in which they take effect.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// Parser stages, by name.
    pub parsers: Vec<Stage>,
    /// Postoverflow stages, by name.
    pub postoverflows: Vec<Stage>,
    /// Scenarios, by name.
    pub scenarios: Vec<Scenario>,
    /// What alerts tell about their events.
    pub context: Context,
    /// Which scenarios only simulate.
    pub simulation: Simulation,
}

/// A stage: nodes that are tried one after the other. Never empty.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `s01-parse`, for example.
    pub name: String,
    /// Its nodes, in order.
    pub nodes: Vec<Node>,
}

/// The text of an expression, and where each of its bytes is written.
#[derive(Clone, Debug)]
pub struct ExprSource {
    scalar: Scalar,
}

impl ExprSource {
    pub(crate) fn new(scalar: &Scalar) -> Self {
        Self { scalar: scalar.clone() }
    }

    /// The text, free of YAML's quotes and indentation.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.scalar.text
    }

    /// Where the whole scalar is written, quotes included.
    #[must_use]
    pub fn span(&self) -> Span {
        self.scalar.span
    }

    /// Where a range of bytes of [`Self::text`] is written.
    #[must_use]
    pub fn locate(&self, range: Range<usize>) -> Span {
        self.scalar.locate(range.start, range.end)
    }
}

#[cfg(test)]
mod tests;
