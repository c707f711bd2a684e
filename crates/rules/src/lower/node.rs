//! Parser and postoverflow nodes, lowered.

use super::{Lower, NodeSource};
use crate::codes;
use crate::expr::check::Wanted;
use crate::expr::objects::Place;
use crate::item::{
    AlertField, Destination, Enricher, Grok, GrokInput, Items, Node, OnSuccess, SourceField, Stage,
    Stash, Static, Target, Value, Whitelist,
};
use engine::pool::{FieldId, Space, known};
use engine::program::{self, OverflowField, StashCache, StaticValue};
use engine::select::Select;
use re2::{Error, Regex};
use syntax::Diagnostic;

impl Lower {
    pub(super) fn stages(&mut self, stages: &[Stage]) -> Vec<program::Stage> {
        let mut lowered = Vec::with_capacity(stages.len());
        for stage in stages {
            let nodes: Vec<program::Node> =
                stage.nodes.iter().filter_map(|node| self.node(node)).collect();
            // A stage without a node that can run does not exist (spec §2.1).
            if !nodes.is_empty() {
                let name = self.pool.lit(&stage.name);
                lowered.push(program::Stage { name, nodes, select: Select::default() });
            }
        }
        lowered
    }

    /// Makes every field known that an expression of a node reads, so that a grok lowered before it
    /// stores the capture. Mistakes are reported later, when the nodes themselves are lowered.
    pub(super) fn intern_reads(&mut self, items: &Items) {
        // In a pool of its own: patterns compiled on the way are not to be kept twice.
        let pool = core::mem::take(&mut self.pool);
        let reported = core::mem::take(&mut self.diagnostics);
        for stage in items.parsers.iter().chain(&items.postoverflows) {
            for node in &stage.nodes {
                self.intern_node(node);
            }
        }
        self.diagnostics = reported;
        let read = core::mem::replace(&mut self.pool, pool);
        for (_, space, key) in read.fields() {
            self.pool.field(space, key);
        }
    }

    fn intern_node(&mut self, node: &Node) {
        let mut exprs = Vec::new();
        exprs.extend(&node.filter);
        exprs.extend(node.stashes.iter().flat_map(|stash| [&stash.key, &stash.value]));
        exprs.extend(node.whitelist.iter().flat_map(|list| &list.expressions));
        let mut statics: Vec<&Static> = node.statics.iter().collect();
        if let Some(grok) = &node.grok {
            statics.extend(&grok.statics);
            match &grok.input {
                GrokInput::Parsed(key) => {
                    self.pool.field(Space::Parsed, key);
                }
                GrokInput::Expr(source) => exprs.push(source),
                GrokInput::Line => {}
            }
        }
        exprs.extend(statics.iter().filter_map(|assign| match &assign.from {
            Value::Expr(source) => Some(source),
            Value::Literal(_) => None,
        }));
        for source in exprs {
            self.expr(source, Place::Event, Wanted::Anything);
        }
        node.children.iter().for_each(|child| self.intern_node(child));
    }

    fn node(&mut self, node: &Node) -> Option<program::Node> {
        let id = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.push(NodeSource {
            name: node.name.clone(),
            filter: node.filter.as_ref().map(|filter| filter.text().to_owned()),
            pattern: node.grok.as_ref().map(|grok| match &grok.name {
                Some(name) => format!("%{{{name}}}"),
                None => grok.text.clone(),
            }),
            grok_statics: node.grok.iter().flat_map(|grok| &grok.statics).map(written).collect(),
            statics: node.statics.iter().map(written).collect(),
        });
        // Everything is lowered before the first `?`, so that one run reports all mistakes.
        let filter = self.optional(node.filter.as_ref(), Place::Event, Wanted::Bool);
        let whitelist = node.whitelist.as_ref().map(|list| self.whitelist(list));
        let grok = node.grok.as_ref().map(|grok| self.grok(grok));
        let stashes: Vec<_> = node.stashes.iter().map(|stash| self.stash(stash)).collect();
        let children: Vec<_> = node.children.iter().map(|child| self.node(child)).collect();
        let statics = self.statics(&node.statics);
        Some(program::Node {
            id,
            name: node.name.as_str().into(),
            filter: filter?,
            whitelist: transpose(whitelist)?,
            grok: transpose(grok)?,
            stashes: stashes.into_iter().collect::<Option<_>>()?,
            children: children.into_iter().collect::<Option<_>>()?,
            select: Select::default(),
            statics: statics?,
            next_stage: node.on_success == OnSuccess::NextStage,
        })
    }

    fn whitelist(&mut self, list: &Whitelist) -> Option<program::Whitelist> {
        let exprs: Vec<_> = list
            .expressions
            .iter()
            .map(|source| self.expr(source, Place::Event, Wanted::Bool))
            .collect();
        Some(program::Whitelist {
            reason: list.reason.as_str().into(),
            ips: list.ips.clone(),
            networks: list.networks.clone(),
            exprs: exprs.into_iter().collect::<Option<_>>()?,
        })
    }

    fn grok(&mut self, grok: &Grok) -> Option<program::Grok> {
        let input = match &grok.input {
            GrokInput::Line => Some(program::GrokInput::Field(known::LINE_RAW)),
            GrokInput::Parsed(key) => {
                Some(program::GrokInput::Field(self.pool.field(Space::Parsed, key)))
            }
            GrokInput::Expr(source) => {
                self.expr(source, Place::Event, Wanted::Anything).map(program::GrokInput::Expr)
            }
        };
        // A field nobody reads needs no group, and its text is not stored.
        let wanted: Vec<(FieldId, &str)> = grok
            .pattern
            .fields
            .iter()
            .filter_map(|(field, group)| {
                let id = if self.keep_captures {
                    Some(self.pool.field(Space::Parsed, field))
                } else {
                    self.pool.find_field(Space::Parsed, field)
                };
                Some((id?, group.as_str()))
            })
            .collect();
        let groups: Vec<&str> = wanted.iter().map(|(_, group)| *group).collect();
        let regex = match Regex::with_groups(&grok.pattern.regex, &groups) {
            Ok(regex) => Some(self.pool.add_regex(regex)),
            Err(error) => {
                self.diagnostics.push(
                    Diagnostic::error(codes::BAD_REGEX, "this grok is not a regular expression")
                        .at(grok.pattern_span, "")
                        .note(match &error {
                            // The group's name is ours and would tell the author nothing.
                            Error::Group(group) => misplaced(&grok.pattern.fields, group),
                            error => error.to_string(),
                        }),
                );
                None
            }
        };
        let statics = self.statics(&grok.statics);
        Some(program::Grok {
            input: input?,
            regex: regex?,
            fields: wanted.iter().map(|(field, _)| *field).collect(),
            yields: !grok.pattern.fields.is_empty(),
            statics: statics?,
        })
    }

    fn stash(&mut self, stash: &Stash) -> Option<program::Stash> {
        let key = self.expr(&stash.key, Place::Event, Wanted::Str);
        let value = self.expr(&stash.value, Place::Event, Wanted::Str);
        if !self.stashes.iter().any(|cache| *cache.name == *stash.name) {
            self.stashes.push(StashCache {
                name: stash.name.as_str().into(),
                size: stash.size.get() as usize,
                ttl: stash.ttl,
            });
        }
        Some(program::Stash {
            cache: stash.name.as_str().into(),
            key: key?,
            value: value?,
            ttl: stash.ttl,
        })
    }

    fn statics(&mut self, statics: &[Static]) -> Option<Vec<program::Static>> {
        let statics: Vec<_> = statics.iter().map(|assign| self.assign(assign)).collect();
        statics.into_iter().collect()
    }

    fn assign(&mut self, assign: &Static) -> Option<program::Static> {
        let from = match &assign.from {
            Value::Literal(text) => Some(StaticValue::Lit(self.pool.lit(text))),
            Value::Expr(source) => {
                self.expr(source, Place::Event, Wanted::Anything).map(StaticValue::Expr)
            }
        };
        let to = self.destination(&assign.to);
        Some(program::Static { to, from: from? })
    }

    fn destination(&mut self, to: &Destination) -> program::Destination {
        use program::Destination as To;
        match to {
            Destination::Method(method) => To::Method(match method {
                Enricher::GeoIpCity => program::Enricher::GeoIpCity,
                Enricher::GeoIpAsn => program::Enricher::GeoIpAsn,
                Enricher::IpToRange => program::Enricher::IpToRange,
                Enricher::ReverseDns => program::Enricher::ReverseDns,
                Enricher::ParseDate => program::Enricher::ParseDate,
                Enricher::UnmarshalJson => program::Enricher::UnmarshalJson,
            }),
            Destination::Parsed(key) => To::Field(self.pool.field(Space::Parsed, key)),
            Destination::Meta(key) => To::Meta(self.pool.field(Space::Meta, key)),
            Destination::Enriched(key) => To::Field(self.pool.field(Space::Enriched, key)),
            Destination::Target(target) => self.target(target),
        }
    }

    fn target(&mut self, target: &Target) -> program::Destination {
        use program::Destination as To;
        match target {
            Target::StrTime => To::Field(known::STR_TIME),
            Target::StrTimeFormat => To::Field(known::STR_TIME_FORMAT),
            Target::MarshaledTime => To::Field(known::MARSHALED_TIME),
            Target::Stage => To::Field(known::STAGE),
            Target::WhitelistReason => To::Field(known::WHITELIST_REASON),
            Target::LineRaw => To::Field(known::LINE_RAW),
            Target::LineSrc => To::Field(known::LINE_SRC),
            Target::LineModule => To::Field(known::LINE_MODULE),
            Target::LineLabel(key) => To::Field(self.pool.field(Space::Label, key)),
            Target::Parsed(key) => To::Field(self.pool.field(Space::Parsed, key)),
            Target::Meta(key) => To::Meta(self.pool.field(Space::Meta, key)),
            Target::Enriched(key) => To::Field(self.pool.field(Space::Enriched, key)),
            Target::Unmarshaled(key) => To::Unmarshaled(self.pool.lit(key)),
            Target::OverflowMapkey => To::Overflow(OverflowField::Mapkey),
            Target::Alert(field) => To::Overflow(match field {
                AlertField::Message => OverflowField::Message,
                AlertField::Scenario => OverflowField::Scenario,
                AlertField::ScenarioHash => OverflowField::ScenarioHash,
                AlertField::ScenarioVersion => OverflowField::ScenarioVersion,
                AlertField::StartAt => OverflowField::StartAt,
                AlertField::StopAt => OverflowField::StopAt,
            }),
            Target::Source(field) => To::Overflow(match field {
                SourceField::Ip => OverflowField::SourceIp,
                SourceField::Range => OverflowField::SourceRange,
                SourceField::Scope => OverflowField::SourceScope,
                SourceField::Value => OverflowField::SourceValue,
                SourceField::AsName => OverflowField::SourceAsName,
                SourceField::AsNumber => OverflowField::SourceAsNumber,
                SourceField::Cn => OverflowField::SourceCn,
            }),
        }
    }
}

/// A static as its author would recognize it.
fn written(assign: &Static) -> String {
    let from = match &assign.from {
        Value::Literal(text) => format!("value: {text}"),
        Value::Expr(source) => format!("expression: {}", source.text()),
    };
    match &assign.to {
        Destination::Parsed(key) => format!("parsed: {key}, {from}"),
        Destination::Meta(key) => format!("meta: {key}, {from}"),
        Destination::Enriched(key) => format!("enriched: {key}, {from}"),
        Destination::Method(_) | Destination::Target(_) => from,
    }
}

/// Says which field is written where no group can be.
fn misplaced(fields: &[(String, String)], group: &str) -> String {
    let field = fields.iter().find(|(_, other)| other == group);
    let field = field.map_or("", |(field, _)| field);
    format!("field `{field}` stands in `[…]` or in quoted text, where it is no reference")
}

/// A part that may be absent and may be wrong: wrong makes the whole wrong.
#[expect(clippy::option_option, reason = "absent and wrong are different answers")]
fn transpose<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(None) => None,
        Some(part) => Some(part),
    }
}
