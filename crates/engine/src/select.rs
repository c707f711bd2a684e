//! Who could match: the few of many nodes or scenarios worth asking.
//!
//! Filters of rules are mostly conjunctions with an equality test in them (`evt.Parsed.program ==
//! 'sshd' && …`), so one look-up of the field's value names the candidates. Sibling nodes that try
//! patterns on the same field share one automaton of the literals their patterns require. With both,
//! the cost of a line does not grow with the number of installed rules.
//!
//! A candidate is only a maybe: its filter and its pattern are still evaluated. What is not a
//! candidate certainly fails.

use crate::event::Event;
use crate::expr::Expr;
use crate::pool::{FieldId, LitId, Pool};
use crate::program::{Destination, GrokInput, Node};
use alloc::{boxed::Box, vec::Vec};
use hashbrown::HashMap;
use re2::LiteralSet;

/// An index over a list of up to some thousands of filters or nodes.
#[derive(Debug, Default)]
pub struct Select {
    /// Words of 64 bits a set of members takes.
    words: usize,
    /// Members without an equality test.
    always: Vec<u64>,
    /// One for each field that is tested.
    keys: Vec<KeyIndex>,
    /// One for each field that patterns are tried on.
    literals: Vec<LiteralIndex>,
    /// Members after which the candidates must be found anew, for they may write what the index reads.
    dirties: Vec<u64>,
}

#[derive(Debug)]
struct KeyIndex {
    field: FieldId,
    /// For each value the members that want it, as `words` words.
    by_value: HashMap<Box<str>, Box<[u64]>>,
    /// Members that want the field not to be set.
    when_empty: Box<[u64]>,
}

#[derive(Debug)]
struct LiteralIndex {
    field: FieldId,
    /// Members this index speaks for: without a hit they certainly fail.
    members: Box<[u64]>,
    literals: LiteralSet,
    /// For each literal the member that requires it.
    owners: Box<[u32]>,
}

impl Select {
    /// An index over filters; `None` is a member that always enters.
    pub fn over_filters<'a>(filters: impl Iterator<Item = Option<&'a Expr>>) -> SelectBuilder<'a> {
        SelectBuilder { filters: filters.collect() }
    }

    /// An index over sibling nodes.
    #[must_use]
    pub fn over_nodes(nodes: &[Node], pool: &Pool) -> Self {
        let mut select =
            Self::over_filters(nodes.iter().map(|node| node.filter.as_ref())).build(pool);
        select.index_literals(nodes, pool);
        select.find_dirties(nodes);
        select
    }

    /// How many words of bits a set of members takes.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// Fills `bits` with the members that could match. hot: benches/engine.rs
    pub fn candidates(&self, event: &Event, pool: &Pool, bits: &mut [u64]) {
        bits.copy_from_slice(&self.always);
        for key in &self.keys {
            let found = match event.get(key.field, pool) {
                None | Some("") => Some(&key.when_empty),
                Some(value) => key.by_value.get(value),
            };
            if let Some(found) = found {
                for (word, more) in bits.iter_mut().zip(found.iter()) {
                    *word |= more;
                }
            }
        }
        for index in &self.literals {
            let asked: u32 =
                bits.iter().zip(&*index.members).map(|(a, b)| (a & b).count_ones()).sum();
            // A single pattern has a prefilter of its own.
            if asked >= 2 {
                index.narrow(event, pool, bits);
            }
        }
    }

    /// Whether the candidates must be found anew after this member ran.
    #[must_use]
    pub fn is_dirty_after(&self, member: usize) -> bool {
        self.dirties[member / 64] & (1 << (member % 64)) != 0
    }

    fn index_literals(&mut self, nodes: &[Node], pool: &Pool) {
        let mut by_field: Vec<(FieldId, Vec<usize>)> = Vec::new();
        for (member, node) in nodes.iter().enumerate() {
            let Some(grok) = &node.grok else { continue };
            let GrokInput::Field(field) = &grok.input else { continue };
            let fails_without_match = node.children.is_empty() && node.whitelist.is_none();
            if !fails_without_match || pool.regex(grok.regex).required().is_none() {
                continue;
            }
            match by_field.iter_mut().find(|(of, _)| of == field) {
                Some((_, members)) => members.push(member),
                None => by_field.push((*field, alloc::vec![member])),
            }
        }
        for (field, members) in by_field {
            if members.len() < 2 {
                continue;
            }
            let mut index = LiteralIndex {
                field,
                members: alloc::vec![0; self.words].into_boxed_slice(),
                literals: LiteralSet::new::<&str>(&[]),
                owners: Box::default(),
            };
            let mut texts: Vec<&str> = Vec::new();
            let mut owners = Vec::new();
            for member in members {
                index.members[member / 64] |= 1 << (member % 64);
                let Some(grok) = &nodes[member].grok else { continue };
                for literal in pool.regex(grok.regex).required().unwrap_or_default() {
                    texts.push(literal);
                    owners.push(member as u32);
                }
            }
            index.literals = LiteralSet::new(&texts);
            index.owners = owners.into_boxed_slice();
            self.literals.push(index);
        }
    }

    fn find_dirties(&mut self, nodes: &[Node]) {
        self.dirties = alloc::vec![0; self.words];
        let read: Vec<FieldId> = self
            .keys
            .iter()
            .map(|key| key.field)
            .chain(self.literals.iter().map(|index| index.field))
            .collect();
        for (member, node) in nodes.iter().enumerate() {
            if may_write(node, &read) {
                self.dirties[member / 64] |= 1 << (member % 64);
            }
        }
    }
}

/// Filters on their way to an index.
#[derive(Debug)]
pub struct SelectBuilder<'a> {
    filters: Vec<Option<&'a Expr>>,
}

impl SelectBuilder<'_> {
    /// Builds the index. Of the fields a filter tests, the one that most filters test is used, so
    /// that there are few look-ups.
    #[must_use]
    pub fn build(self, pool: &Pool) -> Select {
        let words = self.filters.len().div_ceil(64);
        let mut always = alloc::vec![0u64; words];
        let tests: Vec<Vec<(FieldId, Vec<LitId>)>> = self
            .filters
            .iter()
            .map(|filter| match filter {
                // A filter with effects is evaluated whatever it will give (spec §13, trap 55).
                Some(filter) if !has_effects(filter) => required_values(filter),
                _ => Vec::new(),
            })
            .collect();
        let mut popularity: HashMap<FieldId, usize> = HashMap::new();
        for (field, _) in tests.iter().flatten() {
            *popularity.entry(*field).or_default() += 1;
        }
        let mut keys: Vec<KeyIndex> = Vec::new();
        for (member, tests) in tests.iter().enumerate() {
            // Ties go to the lower field, so that the index is the same every time (I2).
            let best = tests
                .iter()
                .max_by_key(|(field, _)| (popularity[field], core::cmp::Reverse(*field)));
            let Some((field, values)) = best else {
                always[member / 64] |= 1 << (member % 64);
                continue;
            };
            let at = keys.iter().position(|key| key.field == *field).unwrap_or_else(|| {
                let when_empty = alloc::vec![0; words].into_boxed_slice();
                keys.push(KeyIndex { field: *field, by_value: HashMap::new(), when_empty });
                keys.len() - 1
            });
            for value in values {
                let text = pool.lit_text(*value);
                let set = if text.is_empty() {
                    &mut keys[at].when_empty
                } else {
                    keys[at]
                        .by_value
                        .entry(text.into())
                        .or_insert_with(|| alloc::vec![0; words].into_boxed_slice())
                };
                set[member / 64] |= 1 << (member % 64);
            }
        }
        Select { words, always, keys, literals: Vec::new(), dirties: alloc::vec![0; words] }
    }
}

impl LiteralIndex {
    fn narrow(&self, event: &Event, pool: &Pool, bits: &mut [u64]) {
        let Some(text) = event.get(self.field, pool) else {
            // The field is not set: every pattern on it fails.
            for (word, members) in bits.iter_mut().zip(&*self.members) {
                *word &= !members;
            }
            return;
        };
        // Members found go to the upper half of what `bits` would be; here: clear, then set again.
        let mut kept = [0u64; 16];
        if bits.len() > kept.len() {
            return;
        }
        self.literals.for_each_match(text, |literal| {
            let member = self.owners[literal] as usize;
            kept[member / 64] |= 1 << (member % 64);
        });
        for ((word, members), kept) in bits.iter_mut().zip(&*self.members).zip(kept) {
            *word &= !members | kept;
        }
    }
}

/// The values a field must have for a condition to hold: one entry for each field that the
/// condition tests in a way it cannot hold without.
fn required_values(expr: &Expr) -> Vec<(FieldId, Vec<LitId>)> {
    match expr {
        Expr::FieldEq(field, lit) => alloc::vec![(*field, alloc::vec![*lit])],
        Expr::FieldIn(field, lits) => alloc::vec![(*field, lits.to_vec())],
        Expr::And(left, right) => {
            let mut both = required_values(left);
            both.extend(required_values(right));
            both
        }
        // `a == 'x' || a == 'y'`: what both sides require of the same field.
        Expr::Or(left, right) => {
            let right = required_values(right);
            required_values(left)
                .into_iter()
                .filter_map(|(field, mut values)| {
                    let (_, more) = right.iter().find(|(of, _)| *of == field)?;
                    values.extend(more);
                    Some((field, values))
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether running a node may write one of these fields.
fn may_write(node: &Node, fields: &[FieldId]) -> bool {
    let writes_static = |to: &Destination| match to {
        Destination::Field(field) | Destination::Meta(field) => fields.contains(field),
        // Enrichers write Enriched only, which no index reads unless it is among `fields`.
        Destination::Method(_) => fields.iter().any(|field| is_enriched(*field)),
        Destination::Unmarshaled(_) | Destination::Overflow(_) | Destination::Nowhere => false,
    };
    let grok = node.grok.as_ref().is_some_and(|grok| {
        grok.fields.iter().any(|field| fields.contains(field))
            || grok.statics.iter().any(|assign| writes_static(&assign.to))
            || matches!(&grok.input, GrokInput::Expr(expr) if has_effects(expr))
    });
    grok || node.statics.iter().any(|assign| {
        writes_static(&assign.to)
            || matches!(&assign.from, crate::program::StaticValue::Expr(expr) if has_effects(expr))
    }) || node.filter.as_ref().is_some_and(has_effects)
        || node.children.iter().any(|child| may_write(child, fields))
}

fn is_enriched(field: FieldId) -> bool {
    use crate::pool::known;
    (known::ISO_CODE..=known::ENRICHED_TIME).contains(&field)
}

/// Whether evaluating an expression does more than give a value.
fn has_effects(expr: &Expr) -> bool {
    use crate::function::{Function as F, Method as M};
    let mut found = false;
    expr.walk(&mut |part| {
        if let Expr::Method { method: M::SetMeta | M::SetParsed, .. }
        | Expr::Call(F::UnmarshalJson | F::ParseKv | F::ParseKvLax | F::SetInStash | F::LogInfo, _) =
            part
        {
            found = true;
        }
    });
    found
}
