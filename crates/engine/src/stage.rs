//! Runs nodes over an event, stage by stage (spec §2.6–2.8).

use crate::enrich;
use crate::eval::Cx;
use crate::expr::Expr;
use crate::observe::{NodeCount, Observer, Step};
use crate::pool::{Space, known};
use crate::program::{
    Destination, Enricher, Grok, GrokInput, Node, OverflowField, Stage, Static, StaticValue,
    Whitelist,
};
use crate::value::{Text, Value};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::net::IpAddr;
use model::Scope;

/// The parse of a line ended early: a static gave a value of a kind that cannot be stored
/// (spec §2.7, point 2). The line counts as unparsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted;

/// Where an event stands whose stage a static made one that does not exist. It is never that stage's
/// turn, so the event is dropped (spec §2.8).
const NO_STAGE: usize = usize::MAX;

/// Runs stages over events.
pub(crate) struct Runner<'a, 'o> {
    pub(crate) stages: &'a [Stage],
    pub(crate) counts: &'a mut [NodeCount],
    pub(crate) errors: &'a mut u64,
    pub(crate) observer: Option<&'o mut dyn Observer>,
    /// The stage being run, for the observer.
    pub(crate) stage: &'a str,
}

impl<'a> Runner<'a, '_> {
    /// Runs all stages. `true` when the event went through the last one.
    /// hot: `cargo xtask bench engine`
    pub(crate) fn run(&mut self, cx: &mut Cx<'a>) -> Result<bool, Aborted> {
        let stages = self.stages;
        if let Some(first) = stages.first() {
            cx.event.set_lit(known::STAGE, first.name);
        }
        for (index, stage) in stages.iter().enumerate() {
            if cx.event.stage == NO_STAGE {
                return Ok(false);
            }
            if cx.event.stage > index {
                continue;
            }
            if cx.event.stage != index {
                return Ok(false);
            }
            if self.observer.is_some() {
                self.stage = cx.pool.lit_text(stage.name);
            }
            if !self.run_stage(stage, index, cx)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run_stage(
        &mut self,
        stage: &'a Stage,
        index: usize,
        cx: &mut Cx<'_>,
    ) -> Result<bool, Aborted> {
        let mut any = false;
        let base = stage.select.push(cx);
        let mut member = 0;
        while member < stage.nodes.len() {
            let Some(next) = self.next_candidate(&stage.nodes, base, member, 0, cx) else { break };
            let node = &stage.nodes[next];
            member = next + 1;
            let succeeded = self.run_node(node, 0, cx)?;
            any |= succeeded;
            if succeeded && node.next_stage {
                break;
            }
            // A child may have moved the event on.
            if cx.event.stage != index {
                break;
            }
            if stage.select.is_dirty_after(next) {
                stage.select.fill(base, cx);
            }
        }
        cx.scratch.bits.truncate(base);
        Ok(any)
    }

    /// The next node worth running. Nodes passed over fail at their filter or their pattern; an
    /// observer is told so, because people want to see them too.
    fn next_candidate(
        &mut self,
        nodes: &[Node],
        base: usize,
        from: usize,
        depth: usize,
        cx: &mut Cx<'_>,
    ) -> Option<usize> {
        if self.observer.is_some() {
            // Explained runs take every node in turn: the reasons of all refusals are wanted.
            let _ = depth;
            return (from < nodes.len()).then_some(from);
        }
        let mut word = from / 64;
        let words = nodes.len().div_ceil(64);
        let mut bits = *cx.scratch.bits.get(base + word)? & (u64::MAX << (from % 64));
        loop {
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            word += 1;
            if word >= words {
                return None;
            }
            bits = *cx.scratch.bits.get(base + word)?;
        }
    }

    fn observe(&mut self, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>) {
        if let Some(observer) = &mut self.observer {
            observer.node(self.stage, node, depth, step, cx);
        }
    }

    /// Runs one node in the order of spec §2.6.
    fn run_node(&mut self, node: &'a Node, depth: usize, cx: &mut Cx<'_>) -> Result<bool, Aborted> {
        cx.begin_rule();
        if let Some(filter) = &node.filter {
            let holds = cx.test(filter).unwrap_or_else(|_| {
                *self.errors += 1;
                false
            });
            if !holds {
                self.observe(node, depth, Step::Filtered, cx);
                return Ok(false);
            }
        }
        if let Some(count) = self.counts.get_mut(node.id as usize) {
            count.hits += 1;
        }
        let excused = node.whitelist.as_ref().is_some_and(|list| self.excuse(list, cx));
        let (mut ok, matched) = match &node.grok {
            None => (true, false),
            Some(grok) => {
                let matched = self.run_grok(grok, cx);
                if matched {
                    self.run_statics(&grok.statics, node, depth, cx)?;
                }
                (matched, matched)
            }
        };
        if matched || node.grok.is_none() {
            for stash in &node.stashes {
                run_stash(stash, cx);
            }
        }
        if !node.children.is_empty() {
            self.run_children(node, depth, matched, &mut ok, cx)?;
        }
        if !ok {
            self.observe(node, depth, Step::Failed, cx);
            return Ok(false);
        }
        if let Some(count) = self.counts.get_mut(node.id as usize) {
            count.ok += 1;
        }
        if node.whitelist.is_none() || excused {
            self.run_statics(&node.statics, node, depth, cx)?;
        }
        // There is nothing after the last stage, nor after one that does not exist.
        if node.next_stage
            && let Some(next) =
                cx.event.stage.checked_add(1).filter(|next| *next < self.stages.len())
        {
            cx.event.stage = next;
            cx.event.set_lit(known::STAGE, self.stages[next].name);
        }
        self.observe(node, depth, Step::Succeeded, cx);
        Ok(true)
    }

    /// Children run even when their parent's pattern failed, and may rescue it (spec §13, trap 1).
    fn run_children(
        &mut self,
        node: &'a Node,
        depth: usize,
        matched: bool,
        ok: &mut bool,
        cx: &mut Cx<'_>,
    ) -> Result<(), Aborted> {
        let base = node.select.push(cx);
        let last = node.children.len() - 1;
        let mut member = 0;
        // The verdict of the last child evaluated stands; a child passed over has failed.
        let mut last_run = None;
        while member <= last {
            let next = self.next_candidate(&node.children, base, member, depth + 1, cx);
            let Some(next) = next else { break };
            member = next + 1;
            last_run = Some(next);
            if self.run_node(&node.children[next], depth + 1, cx)? {
                *ok = true;
                if node.next_stage {
                    cx.scratch.bits.truncate(base);
                    return Ok(());
                }
            } else if !matched {
                *ok = false;
            }
            if node.select.is_dirty_after(next) {
                node.select.fill(base, cx);
            }
        }
        cx.scratch.bits.truncate(base);
        if last_run != Some(last) && !matched {
            *ok = false;
        }
        Ok(())
    }

    fn run_statics(
        &mut self,
        statics: &'a [Static],
        node: &Node,
        depth: usize,
        cx: &mut Cx<'_>,
    ) -> Result<(), Aborted> {
        for assign in statics {
            if self.run_static(assign, cx).is_err() {
                if let Some(observer) = &mut self.observer {
                    observer.aborted(self.stage, node, depth, assign, cx);
                }
                return Err(Aborted);
            }
        }
        Ok(())
    }

    fn run_grok(&mut self, grok: &'a Grok, cx: &mut Cx<'_>) -> bool {
        let input = match &grok.input {
            GrokInput::Field(field) => match cx.event.text(*field) {
                Some(text) => text,
                None => return false,
            },
            GrokInput::Expr(expr) => match cx.eval(expr) {
                Ok(Value::Text(text)) => text,
                Ok(Value::Int(value)) => cx.event.push(&format!("{value}")),
                Ok(Value::Float(value)) => cx.event.push(&format!("{value:.6}")),
                // Any other kind: the pattern is tried on nothing (spec §2.6).
                Ok(_) => crate::eval::EMPTY,
                Err(_) => {
                    *self.errors += 1;
                    return false;
                }
            },
        };
        // A match that yields nothing is a failure (spec §2.4).
        if !grok.yields {
            return false;
        }
        // Captures are ranges of the arena, so the text must lie there.
        let (start, len) = match input {
            Text::Arena { start, len } => (start, len),
            Text::Lit(_) | Text::Shared(_) => {
                let text = input.get(cx.event, cx.pool).to_owned();
                match cx.event.push(&text) {
                    Text::Arena { start, len } => (start, len),
                    Text::Lit(_) | Text::Shared(_) => return false,
                }
            }
        };
        let (cache, captures) = cx.scratch.regex_and_captures(grok.regex);
        captures.resize(grok.fields.len(), None);
        let text = cx.event.arena(start, len);
        if !cx.pool.regex(grok.regex).captures(cache, text, captures) {
            return false;
        }
        for (field, capture) in grok.fields.iter().zip(captures.iter()) {
            // A group that took no part gives an empty text, erasing what was there (trap 7).
            let (from, to) = capture.unwrap_or((0, 0));
            cx.event.set_range(*field, start + from, to - from);
        }
        true
    }

    /// Whether a whitelist excuses the event; if so it is marked.
    fn excuse(&mut self, list: &Whitelist, cx: &mut Cx<'_>) -> bool {
        let mut hit = false;
        if !list.ips.is_empty() || !list.networks.is_empty() {
            hit = match &cx.event.overflow {
                None => cx
                    .event
                    .get(known::META_SOURCE_IP, cx.pool)
                    .is_some_and(|text| names(list, text)),
                Some(overflow) => overflow.sources.iter().any(|(key, _)| names(list, key)),
            };
        }
        if !hit {
            hit = list.exprs.iter().any(|expr| {
                cx.begin_rule();
                cx.test(expr).unwrap_or_else(|_| {
                    *self.errors += 1;
                    false
                })
            });
        }
        if hit && !cx.event.whitelisted {
            cx.event.whitelisted = true;
            cx.event.set_text(known::WHITELIST_REASON, &list.reason);
            if let Some(overflow) = &mut cx.event.overflow {
                overflow.whitelisted = true;
                overflow.whitelist_reason = list.reason.clone();
                cx.event.overflow_value = None;
            }
        }
        hit
    }

    /// Makes one assignment (spec §2.7). hot: every line makes some twenty, and nearly all copy a text
    /// to a field.
    #[inline]
    fn run_static(&mut self, assign: &'a Static, cx: &mut Cx<'_>) -> Result<(), Aborted> {
        let text = match &assign.from {
            StaticValue::Lit(lit) => Text::Lit(*lit),
            StaticValue::Expr(Expr::Field(field)) => {
                cx.event.text(*field).unwrap_or(crate::eval::EMPTY)
            }
            StaticValue::Expr(expr) => return self.run_computed(assign, expr, cx),
        };
        match assign.to {
            Destination::Meta(field) if !is_empty(&text, cx) => cx.event.set(field, true, &text),
            _ => self.assign(assign, &text, cx),
        }
        Ok(())
    }

    /// Makes an assignment of what an expression gives.
    fn run_computed(
        &mut self,
        assign: &'a Static,
        expr: &'a Expr,
        cx: &mut Cx<'_>,
    ) -> Result<(), Aborted> {
        let text = match eval_alone(expr, cx) {
            Ok(Value::Text(text)) => text,
            Ok(Value::Int(value)) => cx.event.push(&format!("{value}")),
            Ok(Value::Float(value)) => cx.event.push(&format!("{value:.6}")),
            Ok(Value::Nil | Value::Map(_) | Value::Fields(..)) => crate::eval::EMPTY,
            // A list of anything counts as empty; one typed as a list of texts cannot be stored.
            Ok(Value::List(_)) if !expr.gives_texts() => crate::eval::EMPTY,
            Ok(_) => return Err(Aborted),
            Err(_) => {
                *self.errors += 1;
                return Ok(());
            }
        };
        self.assign(assign, &text, cx);
        Ok(())
    }

    /// Assigns a text.
    fn assign(&mut self, assign: &'a Static, text: &Text, cx: &mut Cx<'_>) {
        let is_date = matches!(assign.to, Destination::Method(Enricher::ParseDate));
        if is_empty(text, cx) && !is_date {
            return;
        }
        match assign.to {
            Destination::Field(field) => {
                if field == known::STAGE {
                    let name = text.get(cx.event, cx.pool);
                    let stage = self.stages.iter().position(|s| cx.pool.lit_text(s.name) == name);
                    cx.event.stage = stage.unwrap_or(NO_STAGE);
                }
                cx.event.set(field, false, text);
            }
            Destination::Meta(field) => cx.event.set(field, true, text),
            Destination::Method(method) => enrich::run(method, text, cx),
            Destination::Unmarshaled(key) => {
                let value = Value::shared(text.get(cx.event, cx.pool));
                cx.event.unmarshaled.entries.insert(cx.pool.lit_text(key).into(), value);
            }
            Destination::Overflow(field) => {
                let text = text.get(cx.event, cx.pool).to_owned();
                write_overflow(field, text, cx);
            }
            Destination::Nowhere => {}
        }
    }
}

fn is_empty(text: &Text, cx: &Cx<'_>) -> bool {
    match text {
        Text::Arena { len, .. } => *len == 0,
        Text::Lit(lit) => cx.pool.lit_text(*lit).is_empty(),
        Text::Shared(text) => text.is_empty(),
    }
}

/// Whether a list of addresses and networks holds the address written as `text`. A mapped IPv6
/// address is not its IPv4 twin here (spec §2.5).
fn names(list: &Whitelist, text: &str) -> bool {
    let Ok(ip) = text.parse::<IpAddr>() else { return false };
    list.ips.contains(&ip) || list.networks.iter().any(|network| network.contains(&ip))
}

/// Evaluates an expression on a budget of its own.
fn eval_alone(expr: &Expr, cx: &mut Cx<'_>) -> crate::eval::Eval<Value> {
    cx.begin_rule();
    cx.eval(expr)
}

fn run_stash(stash: &crate::program::Stash, cx: &mut Cx<'_>) {
    let (Ok(Value::Text(key)), Ok(Value::Text(value))) =
        (cx.eval(&stash.key), cx.eval(&stash.value))
    else {
        return;
    };
    let key = key.get(cx.event, cx.pool).to_owned();
    let value = value.get(cx.event, cx.pool).to_owned();
    let ttl = i64::try_from(stash.ttl.as_nanos()).unwrap_or(i64::MAX);
    cx.scratch.stash(&stash.cache, &key, &value, Some(ttl), cx.now);
}

fn write_overflow(field: OverflowField, text: String, cx: &mut Cx<'_>) {
    let Some(overflow) = &mut cx.event.overflow else { return };
    let source = &mut overflow.alert.source;
    match field {
        OverflowField::Mapkey => overflow.mapkey = text,
        OverflowField::Message => overflow.alert.message = text,
        OverflowField::Scenario => overflow.alert.scenario = text,
        OverflowField::ScenarioHash => overflow.alert.scenario_hash = text,
        OverflowField::ScenarioVersion => overflow.alert.scenario_version = text,
        OverflowField::StartAt | OverflowField::StopAt => {
            let Some(time) = crate::builtins::rfc3339::parse_rfc3339(&text) else { return };
            if field == OverflowField::StartAt {
                overflow.alert.start_at = time.into();
            } else {
                overflow.alert.stop_at = time.into();
            }
        }
        OverflowField::SourceIp => source.ip = text,
        OverflowField::SourceRange => source.range = text,
        OverflowField::SourceScope => source.scope = Scope::from_name(&text),
        OverflowField::SourceValue => source.value = text,
        OverflowField::SourceAsName => source.as_name = text,
        OverflowField::SourceAsNumber => source.as_number = text,
        OverflowField::SourceCn => source.cn = text,
    }
    cx.event.overflow_value = None;
}

/// All pairs of one map of the event, for those who watch.
#[must_use]
pub fn pairs<'a>(cx: &'a Cx<'_>, space: Space) -> Vec<(&'a str, &'a str)> {
    cx.event.pairs(space, cx.pool)
}
