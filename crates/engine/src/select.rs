//! Who could match: the few of many nodes or scenarios worth asking.
//!
//! Filters of rules are mostly conjunctions with an equality test in them (`evt.Parsed.program ==
//! 'sshd' && …`), so one look-up of the field's value names the candidates; others need some field
//! not to be empty. What is left is narrowed by the other equality tests, as far as a member that
//! has one is left at all, and by literals: members that search the same text, be it
//! with `contains` or with a pattern, share one automaton of everything they require. So the cost of
//! a line does not grow with the number of installed rules.
//!
//! A candidate is only a maybe: its filter and its pattern are still evaluated. What is no candidate
//! certainly fails.

mod needs;

use crate::eval::Cx;
use crate::pool::{FieldId, Pool, known};
use crate::program::{Destination, GrokInput, Node, Scenario, StaticValue};
use alloc::{boxed::Box, vec::Vec};
use core::cmp::Reverse;
use hashbrown::HashMap;
use needs::{Needs, TextKey, has_effects};
use re2::LiteralSet;

/// Sets larger than this many words are not narrowed by literals.
const MAX_WORDS: usize = 64;

/// An index over a list of filters or nodes.
#[derive(Debug, Default)]
pub struct Select {
    /// Words of 64 bits a set of members takes.
    words: usize,
    /// Members that need nothing.
    always: Vec<u64>,
    /// One for each field that decides.
    keys: Vec<KeyIndex>,
    /// One for each field that members named by another one want to have a certain value as well.
    checks: Vec<Check>,
    /// One for each text that literals are searched in.
    texts: Vec<TextIndex>,
    /// Members after which the candidates must be found anew, for they may write what the index reads.
    dirties: Vec<u64>,
}

#[derive(Debug)]
struct KeyIndex {
    field: FieldId,
    /// For each value the members that want it.
    by_value: HashMap<Box<str>, Box<[u64]>>,
    /// Members that want the field to be empty.
    when_empty: Box<[u64]>,
    /// Members that want the field not to be empty.
    when_set: Box<[u64]>,
}

/// An index that takes members out again.
#[derive(Debug)]
struct Check {
    /// Members that want a value of the field.
    members: Box<[u64]>,
    wanted: KeyIndex,
}

#[derive(Debug)]
struct TextIndex {
    key: TextKey,
    /// Members this index speaks for: without a hit they certainly fail.
    members: Box<[u64]>,
    literals: LiteralSet,
    /// For each literal the member that requires it.
    owners: Box<[u32]>,
}

impl Select {
    /// An index over scenarios.
    #[must_use]
    pub fn over_scenarios(scenarios: &[Scenario], pool: &Pool) -> Self {
        let needs = scenarios.iter().map(|scenario| Needs::of_filter(Some(&scenario.filter), pool));
        let mut select = Self::build(needs.collect(), pool);
        for (member, scenario) in scenarios.iter().enumerate() {
            let Scenario { filter, group_by, distinct, cancel_on, .. } = scenario;
            let others = [group_by, distinct, cancel_on].into_iter().flatten();
            if others.chain([filter]).any(has_effects) {
                set(&mut select.dirties, member);
            }
        }
        select
    }

    /// An index over sibling nodes.
    #[must_use]
    pub fn over_nodes(nodes: &[Node], pool: &Pool) -> Self {
        let needs = nodes.iter().map(|node| needs_of(node, pool)).collect();
        let mut select = Self::build(needs, pool);
        select.find_dirties(nodes, pool);
        select
    }

    /// How many words of bits a set of members takes.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// Pushes the set of members that could match on the stack of sets; gives where it begins.
    pub fn push(&self, cx: &mut Cx<'_>) -> usize {
        let base = cx.scratch.bits.len();
        cx.scratch.bits.resize(base + self.words, 0);
        self.fill(base, cx);
        base
    }

    /// Finds the members that could match anew. hot: `cargo xtask bench engine`
    pub fn fill(&self, base: usize, cx: &mut Cx<'_>) {
        let bits = &mut cx.scratch.bits[base..base + self.words];
        bits.copy_from_slice(&self.always);
        for key in &self.keys {
            let value = cx.event.get(key.field, cx.pool).unwrap_or("");
            if value.is_empty() {
                unite(bits, &key.when_empty);
                continue;
            }
            unite(bits, &key.when_set);
            if let Some(found) = key.by_value.get(value) {
                unite(bits, found);
            }
        }
        for check in &self.checks {
            if !meet(bits, &check.members) {
                continue;
            }
            let value = cx.event.get(check.wanted.field, cx.pool).unwrap_or("");
            let wanted = &check.wanted;
            let found = if value.is_empty() {
                Some(&wanted.when_empty)
            } else {
                wanted.by_value.get(value)
            };
            for (index, (word, members)) in bits.iter_mut().zip(&*check.members).enumerate() {
                *word &= !members | found.map_or(0, |found| found[index]);
            }
        }
        for index in &self.texts {
            let bits = &cx.scratch.bits[base..base + self.words];
            let asked: u32 =
                bits.iter().zip(&*index.members).map(|(a, b)| (a & b).count_ones()).sum();
            // A single member searches for itself.
            if asked >= 2 {
                index.narrow(base, cx);
            }
        }
    }

    /// Whether the candidates must be found anew after this member ran.
    #[must_use]
    pub fn is_dirty_after(&self, member: usize) -> bool {
        has(&self.dirties, member)
    }

    fn build(needs: Vec<Needs>, pool: &Pool) -> Self {
        let words = needs.len().div_ceil(64);
        let mut select = Self {
            words,
            always: alloc::vec![0; words],
            keys: Vec::new(),
            checks: Vec::new(),
            texts: Vec::new(),
            dirties: alloc::vec![0; words],
        };
        // Of the fields a member tests, the one most members test is used, so that there are few
        // look-ups. Ties go to the lower field, so that the index is the same every time (I2).
        let mut tested: HashMap<FieldId, usize> = HashMap::new();
        let mut searched: HashMap<TextKey, usize> = HashMap::new();
        for needs in &needs {
            for (field, _) in &needs.values {
                *tested.entry(*field).or_default() += 1;
            }
            for (key, _) in &needs.literals {
                *searched.entry(*key).or_default() += 1;
            }
        }
        let mut texts: Vec<(TextKey, Vec<Required>)> = Vec::new();
        for (member, mut needs) in needs.into_iter().enumerate() {
            let best =
                needs.values.iter().max_by_key(|(field, _)| (tested[field], Reverse(*field)));
            if let Some((field, values)) = best {
                let key = select.key(*field);
                for value in values {
                    set(key.wanting(pool.lit_text(*value), words), member);
                }
                for (other, values) in needs.values.iter().filter(|(other, _)| other != field) {
                    let check = select.check(*other);
                    set(&mut check.members, member);
                    for value in values {
                        set(check.wanted.wanting(pool.lit_text(*value), words), member);
                    }
                }
            } else if needs.present.is_empty() {
                set(&mut select.always, member);
            } else {
                for field in &needs.present {
                    set(&mut select.key(*field).when_set, member);
                }
            }
            needs.literals.sort_by_key(|(key, _)| (Reverse(searched[key]), *key));
            let Some((key, literals)) = needs.literals.into_iter().next() else { continue };
            let entry = (member as u32, literals);
            match texts.iter_mut().find(|(of, _)| *of == key) {
                Some((_, entries)) => entries.push(entry),
                None => texts.push((key, alloc::vec![entry])),
            }
        }
        if words <= MAX_WORDS {
            texts.retain(|(_, entries)| entries.len() >= 2);
            select.texts = texts
                .into_iter()
                .map(|(key, entries)| TextIndex::new(key, &entries, words))
                .collect();
        }
        select
    }

    fn key(&mut self, field: FieldId) -> &mut KeyIndex {
        let at = self.keys.iter().position(|key| key.field == field).unwrap_or_else(|| {
            self.keys.push(KeyIndex::new(field, self.words));
            self.keys.len() - 1
        });
        &mut self.keys[at]
    }

    fn check(&mut self, field: FieldId) -> &mut Check {
        let same = |check: &Check| check.wanted.field == field;
        let at = self.checks.iter().position(same).unwrap_or_else(|| {
            let members = alloc::vec![0; self.words].into_boxed_slice();
            self.checks.push(Check { members, wanted: KeyIndex::new(field, self.words) });
            self.checks.len() - 1
        });
        &mut self.checks[at]
    }

    fn find_dirties(&mut self, nodes: &[Node], pool: &Pool) {
        let read: Vec<FieldId> = self
            .keys
            .iter()
            .map(|key| key.field)
            .chain(self.checks.iter().map(|check| check.wanted.field))
            .chain(self.texts.iter().map(|index| index.key.field(pool)))
            .collect();
        for (member, node) in nodes.iter().enumerate() {
            if may_write(node, &read) {
                set(&mut self.dirties, member);
            }
        }
    }
}

impl KeyIndex {
    fn new(field: FieldId, words: usize) -> Self {
        let none = || alloc::vec![0; words].into_boxed_slice();
        Self { field, by_value: HashMap::new(), when_empty: none(), when_set: none() }
    }

    fn wanting(&mut self, value: &str, words: usize) -> &mut [u64] {
        if value.is_empty() {
            return &mut self.when_empty;
        }
        self.by_value
            .entry(value.into())
            .or_insert_with(|| alloc::vec![0; words].into_boxed_slice())
    }
}

/// A member and the literals it requires one of.
type Required = (u32, Vec<Box<str>>);

impl TextIndex {
    fn new(key: TextKey, entries: &[Required], words: usize) -> Self {
        let mut members = alloc::vec![0; words];
        let mut literals: Vec<&str> = Vec::new();
        let mut owners = Vec::new();
        for (member, required) in entries {
            set(&mut members, *member as usize);
            for literal in required {
                literals.push(literal);
                owners.push(*member);
            }
        }
        Self {
            key,
            members: members.into(),
            literals: LiteralSet::new(&literals),
            owners: owners.into(),
        }
    }

    /// Takes out the members none of whose literals occur.
    fn narrow(&self, base: usize, cx: &mut Cx<'_>) {
        let text = match self.key {
            TextKey::Field(field) => cx.event.text(field).unwrap_or(crate::eval::EMPTY),
            TextKey::Memo(memo) => cx.memo(memo),
        };
        let mut found = [0u64; MAX_WORDS];
        self.literals.for_each_match(text.get(cx.event, cx.pool), |literal| {
            set(&mut found, self.owners[literal] as usize);
        });
        let bits = &mut cx.scratch.bits[base..];
        for ((word, members), found) in bits.iter_mut().zip(&*self.members).zip(found) {
            *word &= !members | found;
        }
    }
}

fn set(bits: &mut [u64], member: usize) {
    bits[member / 64] |= 1 << (member % 64);
}

fn has(bits: &[u64], member: usize) -> bool {
    bits[member / 64] & (1 << (member % 64)) != 0
}

fn meet(bits: &[u64], others: &[u64]) -> bool {
    bits.iter().zip(others).any(|(word, other)| word & other != 0)
}

fn unite(bits: &mut [u64], more: &[u64]) {
    for (word, more) in bits.iter_mut().zip(more) {
        *word |= more;
    }
}

/// What a node cannot succeed without: what its filter needs, and what its pattern requires where
/// its failure is the end of it.
fn needs_of(node: &Node, pool: &Pool) -> Needs {
    let needs = Needs::of_filter(node.filter.as_ref(), pool);
    let Some(grok) = &node.grok else { return needs };
    let GrokInput::Field(field) = &grok.input else { return needs };
    let is_plain = node.children.is_empty()
        && node.whitelist.is_none()
        && !node.filter.as_ref().is_some_and(has_effects);
    match pool.regex(grok.regex).required() {
        Some(literals) if is_plain => {
            let literals = literals.iter().map(|literal| &**literal);
            needs.and(Needs::of_key(TextKey::Field(*field), literals, pool))
        }
        _ => needs,
    }
}

/// Whether running a node may write one of these fields.
fn may_write(node: &Node, fields: &[FieldId]) -> bool {
    let writes = |to: &Destination| match to {
        Destination::Field(field) | Destination::Meta(field) => fields.contains(field),
        Destination::Method(_) => {
            fields.iter().any(|field| (known::ISO_CODE..=known::ENRICHED_TIME).contains(field))
        }
        Destination::Unmarshaled(_) | Destination::Overflow(_) | Destination::Nowhere => false,
    };
    let by_grok = node.grok.as_ref().is_some_and(|grok| {
        grok.fields.iter().any(|field| fields.contains(field))
            || grok.statics.iter().any(|assign| writes(&assign.to))
            || matches!(&grok.input, GrokInput::Expr(expr) if has_effects(expr))
    });
    let by_static = node.statics.iter().any(|assign| {
        writes(&assign.to) || matches!(&assign.from, StaticValue::Expr(expr) if has_effects(expr))
    });
    let by_whitelist = node.whitelist.as_ref().is_some_and(|list| {
        fields.contains(&known::WHITELIST_REASON) || list.exprs.iter().any(has_effects)
    });
    let by_stash =
        node.stashes.iter().any(|stash| has_effects(&stash.key) || has_effects(&stash.value));
    by_grok
        || by_static
        || by_whitelist
        || by_stash
        || (node.next_stage && fields.contains(&known::STAGE))
        || node.filter.as_ref().is_some_and(has_effects)
        || node.children.iter().any(|child| may_write(child, fields))
}
