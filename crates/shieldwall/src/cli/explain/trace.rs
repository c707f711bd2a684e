//! Watches the parsers at work on one line, and keeps what is worth telling.

use super::{
    fields::{self, Changes, Fields},
    near::{Near, Nearness},
    reads::{Read, reads},
};
use engine::{
    eval::Cx,
    observe::{Observer, Step},
    pool::known,
    program::{Grok, GrokInput, Node, Static, StaticValue},
    value::Value,
};
use rules::{NodeSource, grok::Registry};
use serde::Serialize;

/// What happened in a stage.
#[derive(Debug, Serialize)]
pub(super) struct StageTrace {
    /// Its name.
    pub(super) name: String,
    /// Its nodes in the order in which they were tried.
    pub(super) nodes: Vec<NodeTrace>,
}

/// What a node did.
#[derive(Debug, Serialize)]
pub(super) struct NodeTrace {
    /// Its name.
    pub(super) name: String,
    /// Its place among the nodes tried beside it, from one.
    pub(super) place: usize,
    /// How it ended.
    #[serde(flatten)]
    pub(super) ending: Ending,
    /// Nodes below it that were tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) children: Vec<Self>,
}

/// How a node ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub(super) enum Ending {
    /// It took the line.
    Success {
        /// What it changed; what a child changed is told of the outermost node.
        changes: Changes,
        /// The reason for which it whitelisted the line.
        #[serde(skip_serializing_if = "Option::is_none")]
        whitelisted: Option<String>,
    },
    /// Its filter did not hold.
    Filtered {
        /// The filter as it is written.
        filter: String,
        /// What the filter read.
        reads: Vec<Read>,
    },
    /// It was entered and refused.
    Failed {
        /// Why, if it is its own doing and not that of its children.
        #[serde(skip_serializing_if = "Option::is_none")]
        refusal: Option<Refusal>,
    },
    /// One of its statics gave what cannot be stored, and the line was lost.
    Aborted {
        /// The static, as keys and expressions.
        assign: String,
        /// What it gave.
        gave: &'static str,
    },
}

/// Why a pattern did not match.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub(super) enum Refusal {
    /// The field it reads is not set.
    NothingToRead {
        /// The field.
        field: String,
    },
    /// It could not be computed what it reads.
    NotComputed {
        /// Why.
        error: String,
    },
    /// It names no field, so it never succeeds.
    NoField,
    /// It is this near.
    Pattern(Near),
}

impl NodeTrace {
    /// Of the patterns of this node and those below, the one that came nearest, with its node.
    pub(super) fn nearest(&self) -> Option<(&Self, &Near)> {
        let own = match &self.ending {
            Ending::Failed { refusal: Some(Refusal::Pattern(near)) } => Some((self, near)),
            Ending::Failed { .. }
            | Ending::Filtered { .. }
            | Ending::Success { .. }
            | Ending::Aborted { .. } => None,
        };
        let below = self.children.iter().filter_map(Self::nearest);
        // Of equals the last would win, and should be the first: hence from the end.
        own.into_iter().chain(below).rev().max_by_key(|(_, near)| near.matched.len())
    }

    /// Whether it took the line.
    pub(super) fn succeeded(&self) -> bool {
        matches!(self.ending, Ending::Success { .. })
    }
}

/// What rules said, for those who explain what became of it.
#[derive(Debug)]
pub(super) struct Texts {
    /// By [`Node::id`].
    pub(super) nodes: Vec<NodeSource>,
    /// What patterns of parsers may refer to.
    pub(super) parser_patterns: Registry,
    /// What patterns of postoverflows may refer to.
    pub(super) postoverflow_patterns: Registry,
}

/// Which family of nodes is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Parsers,
    Postoverflows,
}

/// Watches nodes.
pub(super) struct Tracer<'a> {
    texts: &'a Texts,
    nearness: &'a mut Nearness,
    family: Family,
    /// The event after the last node that took it.
    before: Fields,
    was_whitelisted: bool,
    stages: Vec<StageTrace>,
    /// The stage of the node that ended last.
    stage: String,
    /// Nodes that ended and whose parents have not, by depth.
    open: Vec<Vec<NodeTrace>>,
}

impl<'a> Tracer<'a> {
    /// Watches an event that starts as `before`.
    pub(super) fn new(
        texts: &'a Texts,
        nearness: &'a mut Nearness,
        family: Family,
        before: Fields,
    ) -> Self {
        Self {
            texts,
            nearness,
            family,
            before,
            was_whitelisted: false,
            stages: Vec::new(),
            stage: String::new(),
            open: Vec::new(),
        }
    }

    /// What was seen.
    pub(super) fn into_stages(mut self) -> Vec<StageTrace> {
        // Children without a parent: a static ended the parse. They are shown as far as they got.
        let orphans: Vec<NodeTrace> = self.open.drain(..).rev().flatten().collect();
        if orphans.is_empty() {
            return self.stages;
        }
        match self.stages.last_mut().filter(|last| last.name == self.stage) {
            Some(last) => last.nodes.extend(orphans),
            None => self.stages.push(StageTrace { name: self.stage, nodes: orphans }),
        }
        self.stages
    }

    fn ending(&mut self, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>) -> Ending {
        let source = self.texts.nodes.get(node.id as usize);
        match step {
            Step::Filtered => {
                let filter = source.and_then(|source| source.filter.clone()).unwrap_or_default();
                let reads = reads(&filter, cx);
                Ending::Filtered { filter, reads }
            }
            Step::Failed => {
                let pattern = source.and_then(|source| source.pattern.as_deref());
                let refusal = match (&node.grok, pattern) {
                    (Some(grok), Some(pattern)) => Some(self.refusal(grok, pattern, cx)),
                    _ => None,
                };
                Ending::Failed { refusal }
            }
            Step::Succeeded => {
                let is_new = cx.event.whitelisted && !self.was_whitelisted;
                let whitelisted = is_new.then(|| {
                    self.was_whitelisted = true;
                    cx.event.get(known::WHITELIST_REASON, cx.pool).unwrap_or("").to_owned()
                });
                let changes = if depth == 0 {
                    let after = fields::of_event(cx);
                    let changes = Changes::between(&self.before, &after);
                    self.before = after;
                    changes
                } else {
                    Changes::default()
                };
                Ending::Success { changes, whitelisted }
            }
        }
    }

    fn refusal(&mut self, grok: &Grok, pattern: &str, cx: &mut Cx<'_>) -> Refusal {
        if !grok.yields {
            return Refusal::NoField;
        }
        let input = match &grok.input {
            GrokInput::Field(field) => match cx.event.get(*field, cx.pool) {
                Some(text) => text.to_owned(),
                None => {
                    let (space, key) = cx.pool.field_name(*field);
                    return Refusal::NothingToRead { field: engine::pool::spell(space, key) };
                }
            },
            GrokInput::Expr(expr) => match cx.eval(expr) {
                Ok(Value::Text(text)) => text.get(cx.event, cx.pool).to_owned(),
                Ok(Value::Int(value)) => value.to_string(),
                Ok(Value::Float(value)) => format!("{value:.6}"),
                Ok(_) => String::new(),
                Err(error) => return Refusal::NotComputed { error: error.to_string() },
            },
        };
        let registry = match self.family {
            Family::Parsers => &self.texts.parser_patterns,
            Family::Postoverflows => &self.texts.postoverflow_patterns,
        };
        Refusal::Pattern(self.nearness.nearest(pattern, registry, &input))
    }
}

impl Observer for Tracer<'_> {
    fn node(&mut self, stage: &str, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>) {
        let ending = self.ending(node, depth, step, cx);
        self.keep(stage, node, depth, ending);
    }

    fn aborted(
        &mut self,
        stage: &str,
        node: &Node,
        depth: usize,
        assign: &Static,
        cx: &mut Cx<'_>,
    ) {
        let place = |statics: &[Static]| statics.iter().position(|it| std::ptr::eq(it, assign));
        let source = self.texts.nodes.get(node.id as usize);
        let text = source.and_then(|source| match &node.grok {
            Some(grok) if place(&grok.statics).is_some() => {
                source.grok_statics.get(place(&grok.statics)?)
            }
            _ => source.statics.get(place(&node.statics)?),
        });
        let value = match &assign.from {
            StaticValue::Lit(_) => None,
            StaticValue::Expr(expr) => cx.eval(expr).ok(),
        };
        let gave = match value {
            Some(Value::Bool(_)) => "a boolean",
            Some(Value::List(_)) => "a list of texts",
            Some(Value::Time(_)) => "a time",
            Some(Value::Duration(_)) => "a duration",
            _ => "neither a text nor a number",
        };
        let assign = text.cloned().unwrap_or_default();
        self.keep(stage, node, depth, Ending::Aborted { assign, gave });
    }
}

impl Tracer<'_> {
    fn keep(&mut self, stage: &str, node: &Node, depth: usize, ending: Ending) {
        if self.open.len() < depth + 2 {
            self.open.resize_with(depth + 2, Vec::new);
        }
        let children = std::mem::take(&mut self.open[depth + 1]);
        if self.stage != stage {
            stage.clone_into(&mut self.stage);
        }
        let name = node.name.clone().into_string();
        if depth == 0 && self.stages.last().is_none_or(|last| last.name != stage) {
            self.stages.push(StageTrace { name: stage.to_owned(), nodes: Vec::new() });
        }
        let beside = match self.stages.last_mut() {
            Some(last) if depth == 0 => &mut last.nodes,
            _ => &mut self.open[depth],
        };
        let place = beside.len() + 1;
        beside.push(NodeTrace { name, place, ending, children });
    }
}
