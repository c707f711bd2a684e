//! What the engine tells about its work: counters always, every step on request.

use crate::eval::Cx;
use crate::program::{Node, Static};
use alloc::vec::Vec;

/// What one node did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCount {
    /// Events that passed its filter.
    pub hits: u64,
    /// Of those, events it succeeded on.
    pub ok: u64,
}

/// What one scenario did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScenarioCount {
    /// Events poured.
    pub poured: u64,
    /// Buckets made.
    pub created: u64,
    /// Overflows, discarded ones included.
    pub overflowed: u64,
    /// Buckets that died of age.
    pub expired: u64,
    /// Buckets ended by `cancel_on`.
    pub canceled: u64,
    /// Buckets dropped because there were too many.
    pub evicted: u64,
    /// Keys whose silence ended early because too many were silent.
    pub unsilenced: u64,
}

/// What a parser did.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Lines taken.
    pub lines: u64,
    /// Lines that went through all stages.
    pub parsed: u64,
    /// Of those, lines that a whitelist dropped.
    pub whitelisted: u64,
    /// Lines that could not be poured for want of a date (replay only).
    pub undated: u64,
    /// Expressions that failed.
    pub errors: u64,
    /// For each top-level node of the parser stages, by [`Node::id`].
    pub nodes: Vec<NodeCount>,
}

impl Counters {
    /// Adds what another parser counted.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.parsed += other.parsed;
        self.whitelisted += other.whitelisted;
        self.undated += other.undated;
        self.errors += other.errors;
        if self.nodes.len() < other.nodes.len() {
            self.nodes.resize(other.nodes.len(), NodeCount::default());
        }
        for (sum, count) in self.nodes.iter_mut().zip(&other.nodes) {
            sum.hits += count.hits;
            sum.ok += count.ok;
        }
    }
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its filter did not hold.
    Filtered,
    /// It was entered and failed.
    Failed,
    /// It succeeded.
    Succeeded,
}

/// Watches parsing step by step. Explain and hub tests do; ordinary runs do not and pay nothing.
pub trait Observer {
    /// A node of a stage was tried. `depth` is 0 for the nodes of the stage itself; children come
    /// before their parent.
    fn node(&mut self, stage: &str, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>);

    /// A static of a node gave what cannot be stored. The parse has ended: nothing is told of this
    /// node and those above it any more.
    fn aborted(&mut self, _: &str, _: &Node, _depth: usize, _: &Static, _: &mut Cx<'_>) {}
}
