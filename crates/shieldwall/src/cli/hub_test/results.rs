//! What assertions look into: the variable `results`.
//!
//! For parsers it is a map of stages, each a map of nodes, each a list of what the node made of one
//! event after the other; for scenarios it is the list of overflows. Missing keys are empty lists
//! at every level, which [`Missing`] sees to.

use engine::{
    Overflow,
    eval::{Cx, event_value},
    observe::{Observer, Step},
    program::Node,
    value::{Map, Missing, ObjectKind, Value},
};
use std::{collections::BTreeMap, sync::Arc};

/// Watches the top-level nodes of parsers and postoverflows.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    stages: BTreeMap<String, Vec<Recorded>>,
    /// The event as the last node left it.
    pub(super) last: Option<Value>,
}

/// What one node did.
#[derive(Debug)]
struct Recorded {
    name: String,
    entries: Vec<Value>,
}

impl Observer for Recorder {
    fn node(&mut self, stage: &str, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>) {
        if depth > 0 {
            return;
        }
        if !self.stages.contains_key(stage) {
            self.stages.insert(stage.to_owned(), Vec::new());
        }
        let Some(nodes) = self.stages.get_mut(stage) else { return };
        let rank = nodes.iter().position(|known| *known.name == *node.name).unwrap_or_else(|| {
            nodes.push(Recorded { name: node.name.clone().into_string(), entries: Vec::new() });
            nodes.len() - 1
        });
        let event = event_value(cx);
        self.last = Some(event.clone());
        nodes[rank].entries.push(Value::object(
            ObjectKind::Other,
            vec![
                ("Idx", Value::Int(i64::try_from(rank + 1).unwrap_or(i64::MAX))),
                ("Evt", event),
                ("Success", Value::Bool(step == Step::Succeeded)),
            ],
        ));
    }
}

impl Recorder {
    /// `results` of parser assertions.
    pub(super) fn into_value(self) -> Value {
        let mut stages = BTreeMap::new();
        for (stage, nodes) in self.stages {
            let entries = nodes
                .into_iter()
                .map(|node| (Arc::from(node.name), Value::list(node.entries)))
                .collect();
            stages.insert(Arc::from(stage), map(Missing::List, entries));
        }
        // COMPAT(crowdsec): an extra stage says that the run ended well, so `len(results)` is one
        // more than there are stages.
        let ended = BTreeMap::from([(Arc::from(""), Value::list(Vec::new()))]);
        stages.insert(Arc::from("success"), map(Missing::List, ended));
        map(Missing::MapOfLists, stages)
    }
}

fn map(missing: Missing, entries: BTreeMap<Arc<str>, Value>) -> Value {
    Value::Map(Arc::new(Map { missing, entries }))
}

/// `results` of scenario assertions: overflows with the event each became, in the order assertions
/// count them.
///
/// COMPAT(crowdsec): that order is descending by scenario and sources, written without anything
/// between them; those that are equal stay in the order in which they happened.
pub(super) fn overflows(mut overflows: Vec<(Overflow, Value)>) -> Value {
    overflows.sort_by_cached_key(|(overflow, _)| std::cmp::Reverse(sort_key(overflow)));
    Value::list(overflows.into_iter().map(|(_, event)| event).collect())
}

fn sort_key(overflow: &Overflow) -> String {
    let keys: Vec<&str> = overflow.sources.iter().map(|(key, _)| key.as_str()).collect();
    format!("{}{}", overflow.alert.scenario, keys.join("@"))
}

/// The event of an overflow. `last` is what the last postoverflow left of it, if there is any.
pub(super) fn overflow_event(overflow: &Overflow, last: Option<Value>) -> Value {
    if let Some(event) = last {
        return event;
    }
    let empty = |missing| map(missing, BTreeMap::new());
    let date = engine::pour::overflow_date(overflow);
    let line = Value::object(
        ObjectKind::Line,
        vec![
            ("Raw", Value::shared("")),
            ("Src", Value::shared("")),
            ("Time", Value::Time(overflow.alert.stop_at)),
            ("Labels", empty(Missing::Text)),
            ("Process", Value::Bool(false)),
            ("Module", Value::shared("")),
        ],
    );
    Value::object(
        ObjectKind::Event,
        vec![
            ("Type", Value::Int(1)),
            ("ExpectMode", Value::Int(0)),
            ("Whitelisted", Value::Bool(overflow.whitelisted)),
            ("WhitelistReason", Value::shared(&overflow.whitelist_reason)),
            ("Stage", Value::shared("")),
            ("Line", line),
            ("Parsed", empty(Missing::Text)),
            ("Enriched", empty(Missing::Text)),
            ("Unmarshaled", empty(Missing::Nil)),
            ("Time", Value::Time(overflow.alert.stop_at)),
            ("StrTime", Value::shared("")),
            ("StrTimeFormat", Value::shared("")),
            ("MarshaledTime", Value::shared(&date)),
            ("Process", Value::Bool(true)),
            ("Meta", empty(Missing::Text)),
            ("Overflow", overflow.value()),
        ],
    )
}
