//! A program: everything the rules say, compiled, linked once and shared by all threads.
//!
//! Plain data. `rules` builds one; [`Program::link`] adds what is derived (who could match, which
//! fields must outlive their line), and from then on nothing changes.

use crate::data::DataFiles;
use crate::expr::{Expr, Prop, Root};
use crate::pool::{FieldId, LitId, Pool, RegexId, Space, known};
use crate::select::Select;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{net::IpAddr, time::Duration};
use hashbrown::HashMap;
use ipnet::IpNet;
use model::Scope;

/// Names a scenario of a program: its place in the list, which is sorted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScenarioId(pub u32);

/// Everything the rules say.
#[derive(Debug, Default)]
pub struct Program {
    /// Fields, literals, patterns.
    pub pool: Pool,
    /// Data files.
    pub data: DataFiles,
    /// Parser stages in order.
    pub parsers: Vec<Stage>,
    /// Postoverflow stages in order.
    pub postoverflows: Vec<Stage>,
    /// Scenarios by name.
    pub scenarios: Vec<Scenario>,
    /// For each scenario a hash of all its author wrote, to tell after a reload whether it is the
    /// same one. Empty where nobody reloads.
    pub definitions: Vec<u64>,
    /// Which scenarios could want an event.
    pub scenario_select: Select,
    /// For each scenario the first one of the same name and filter; see [`Program::family`].
    pub families: Vec<ScenarioId>,
    /// What alerts tell about their events.
    pub context: Vec<Context>,
    /// Longest JSON of one context value, in bytes.
    pub context_length: usize,
    /// Caches that stashes write, by name.
    pub stashes: Vec<StashCache>,
    /// Number of nodes, all levels, all stages; each has its place in the counters.
    pub n_nodes: u32,
    /// Fields besides Meta that something reads after the pour.
    pub kept: Vec<FieldId>,
    /// Whether something reads `evt.Unmarshaled` after the pour.
    pub keeps_tree: bool,
    /// Whether captures nobody reads are stored all the same (explain and tests want to see them).
    pub keep_all: bool,
}

/// A stage: nodes tried in order.
#[derive(Debug)]
pub struct Stage {
    /// `s01-parse`
    pub name: LitId,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Which of them could match.
    pub select: Select,
}

/// One step of a stage.
#[derive(Debug)]
pub struct Node {
    /// Its place in the counters.
    pub id: u32,
    /// Its name.
    pub name: Box<str>,
    /// Entry condition.
    pub filter: Option<Expr>,
    /// What excuses an event.
    pub whitelist: Option<Whitelist>,
    /// The pattern that decides.
    pub grok: Option<Grok>,
    /// Values to remember.
    pub stashes: Vec<Stash>,
    /// Steps below.
    pub children: Vec<Self>,
    /// Which of them could match.
    pub select: Select,
    /// Assignments on success.
    pub statics: Vec<Static>,
    /// Whether a success moves the event on.
    pub next_stage: bool,
}

/// A compiled pattern and where its captures go.
#[derive(Debug)]
pub struct Grok {
    /// What it reads.
    pub input: GrokInput,
    /// The pattern.
    pub regex: RegexId,
    /// One for each wanted group, in the order of the groups; `None` when nobody reads the field.
    pub fields: Vec<FieldId>,
    /// Whether the pattern yields any field at all; one that yields none never succeeds (spec §2.4).
    pub yields: bool,
    /// Assignments on a match.
    pub statics: Vec<Static>,
}

/// What a grok reads.
#[derive(Debug)]
pub enum GrokInput {
    /// A text field; when it is not set the node fails.
    Field(FieldId),
    /// A computed text.
    Expr(Expr),
}

/// One assignment.
#[derive(Debug)]
pub struct Static {
    /// Where it goes.
    pub to: Destination,
    /// Where it comes from.
    pub from: StaticValue,
}

/// Where the value of a static comes from.
#[derive(Debug)]
pub enum StaticValue {
    /// It is written in the rule.
    Lit(LitId),
    /// It is computed.
    Expr(Expr),
}

/// Where the value of a static goes.
#[derive(Clone, Copy, Debug)]
pub enum Destination {
    /// Through an enricher into `evt.Enriched`.
    Method(Enricher),
    /// To a text field that is not Meta.
    Field(FieldId),
    /// To a Meta field.
    Meta(FieldId),
    /// To a key of `evt.Unmarshaled`.
    Unmarshaled(LitId),
    /// To a field of `evt.Overflow`.
    Overflow(OverflowField),
    /// Nowhere: an unknown method, which is inert (spec §2.2).
    Nowhere,
}

/// The texts of `evt.Overflow` that a static can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the rules")]
pub enum OverflowField {
    Mapkey,
    Message,
    Scenario,
    ScenarioHash,
    ScenarioVersion,
    StartAt,
    StopAt,
    SourceIp,
    SourceRange,
    SourceScope,
    SourceValue,
    SourceAsName,
    SourceAsNumber,
    SourceCn,
}

/// What `method:` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the rules, spec §3")]
pub enum Enricher {
    GeoIpCity,
    GeoIpAsn,
    IpToRange,
    ReverseDns,
    ParseDate,
    UnmarshalJson,
}

/// What excuses an event.
#[derive(Debug, Default)]
pub struct Whitelist {
    /// What `WhitelistReason` becomes.
    pub reason: Box<str>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
    /// Networks.
    pub networks: Vec<IpNet>,
    /// Conditions, tried when no address matched.
    pub exprs: Vec<Expr>,
}

/// A value to remember under a key.
#[derive(Debug)]
pub struct Stash {
    /// The name of the cache.
    pub cache: Box<str>,
    /// The key.
    pub key: Expr,
    /// The value.
    pub value: Expr,
    /// How long an entry lives.
    pub ttl: Duration,
}

/// A cache that stashes write and `GetFromStash` reads.
#[derive(Clone, Debug)]
pub struct StashCache {
    /// Its name.
    pub name: Box<str>,
    /// How many entries it holds.
    pub size: usize,
    /// How long an entry lives unless the write says otherwise.
    pub ttl: Duration,
}

/// A compiled scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: Box<str>,
    /// The filter's text as written: part of the bucket key (spec §5.3).
    pub filter_text: Box<str>,
    /// Which events are poured.
    pub filter: Expr,
    /// The text that names the bucket.
    pub group_by: Option<Expr>,
    /// When a bucket overflows.
    pub shape: Shape,
    /// Capacity as alerts report it.
    pub capacity: i32,
    /// Leak speed as alerts report it.
    pub leakspeed: Duration,
    /// How long an idle bucket lives, or how long any lives when `ends_in_overflow`. `None`: for ever.
    pub lifetime: Option<Duration>,
    /// Whether the end of its life is an overflow.
    pub ends_in_overflow: bool,
    /// Most events a bucket remembers.
    pub queue: usize,
    /// What must be new for an event to count.
    pub distinct: Option<Expr>,
    /// What ends a bucket quietly.
    pub cancel_on: Option<Expr>,
    /// What overflows a bucket early.
    pub condition: Option<Expr>,
    /// What lets an overflow through.
    pub overflow_filter: Option<Expr>,
    /// How long a key is silent after an overflow.
    pub blackhole: Option<Duration>,
    /// What the sources of an alert are.
    pub scope: Scope,
    /// Their value, where it is computed.
    pub scope_expr: Option<Expr>,
    /// Whether alerts ask for a decision.
    pub remediation: bool,
    /// Whether overflows are poured again.
    pub reprocess: bool,
    /// Whether it only simulates.
    pub simulated: bool,
    /// Hash of its file, for hub items.
    pub hash: Box<str>,
    /// Version of its file.
    pub version: Box<str>,
}

/// When a bucket overflows.
#[derive(Debug)]
pub enum Shape {
    /// Too many events for the time.
    Leaky {
        /// Events that fit.
        capacity: u32,
        /// Time one event takes to leak.
        speed: Duration,
    },
    /// At once.
    Trigger,
    /// At the end of its life.
    Counter,
    /// When its condition holds.
    Conditional,
    /// When the odds are bad.
    Bayesian {
        /// Probability before any evidence.
        prior: f32,
        /// Overflows above it.
        threshold: f32,
        /// The evidence.
        evidence: Vec<Evidence>,
    },
}

/// One piece of evidence.
#[derive(Debug)]
pub struct Evidence {
    /// What is observed.
    pub condition: Expr,
    /// Probability of it under evil.
    pub given_evil: f32,
    /// Probability of it under good.
    pub given_benign: f32,
    /// Whether, once true, it stays true.
    pub guillotine: bool,
}

/// One key of the alert context.
#[derive(Debug)]
pub struct Context {
    /// The key.
    pub key: Box<str>,
    /// What is collected.
    pub exprs: Vec<Expr>,
}

impl Program {
    /// Derives what can be derived: who could match what, which fields must outlive their line.
    #[must_use]
    pub fn link(mut self) -> Self {
        self.pool.finish();
        let pool = &self.pool;
        for stage in self.parsers.iter_mut().chain(&mut self.postoverflows) {
            stage.nodes.iter_mut().for_each(|node| node.link(pool));
            stage.select = Select::over_nodes(&stage.nodes, pool);
        }
        self.scenario_select = Select::over_scenarios(&self.scenarios, pool);
        self.families = families(&self.scenarios);
        self.keep_what_is_read();
        self
    }

    /// Finds the fields that something reads after the event is gone: scope and context
    /// expressions, conditions over the queue, and the engine itself for the alert's source.
    fn keep_what_is_read(&mut self) {
        let mut kept = alloc::vec![
            known::MARSHALED_TIME,
            known::ISO_CODE,
            known::LATITUDE,
            known::LONGITUDE,
            known::AS_NUMBER,
            known::ASN_NUMBER,
            known::AS_ORG,
        ];
        let mut tree = false;
        let mut spaces: Vec<Space> = Vec::new();
        let later = self.scenarios.iter().flat_map(|scenario| {
            let evidence = match &scenario.shape {
                Shape::Bayesian { evidence, .. } => evidence.as_slice(),
                Shape::Leaky { .. } | Shape::Trigger | Shape::Counter | Shape::Conditional => &[],
            };
            let parts = [&scenario.condition, &scenario.overflow_filter, &scenario.scope_expr];
            parts
                .into_iter()
                .filter_map(Option::as_ref)
                .chain(evidence.iter().map(|evidence| &evidence.condition))
        });
        let mut dynamic: Vec<LitId> = Vec::new();
        for expr in later.chain(self.context.iter().flat_map(|context| &context.exprs)) {
            expr.walk(&mut |part| match part {
                Expr::Field(field)
                | Expr::HasField(field)
                | Expr::FieldEq(field, _)
                | Expr::FieldIn(field, _) => kept.push(*field),
                Expr::Memo(memo) => kept.push(self.pool.memo_of(*memo).field),
                Expr::Fields(space) | Expr::FieldAt(space, _) | Expr::HasFieldAt(space, _) => {
                    spaces.push(*space)
                }
                Expr::Prop(Prop::Unmarshaled) => tree = true,
                // Whole events: anything may be read of them.
                Expr::Prop(Prop::Event | Prop::Line) | Expr::Root(Root::Env) => {
                    tree = true;
                    spaces.extend([Space::Event, Space::Label, Space::Parsed, Space::Enriched]);
                }
                // `#.Parsed.x` of an event in the queue reads by name.
                Expr::Member { name, .. } => dynamic.push(*name),
                Expr::Lit(name) => dynamic.push(*name),
                _ => {}
            });
        }
        for name in dynamic {
            match self.pool.lit_text(name) {
                "Parsed" => spaces.push(Space::Parsed),
                "Enriched" => spaces.push(Space::Enriched),
                "Line" => spaces.extend([Space::Event, Space::Label]),
                "StrTime" | "StrTimeFormat" | "Stage" | "WhitelistReason" => {
                    spaces.push(Space::Event);
                }
                "Unmarshaled" => tree = true,
                _ => {}
            }
        }
        let pool = &self.pool;
        kept.extend(
            pool.fields().filter(|(_, of, _)| spaces.contains(of)).map(|(field, ..)| field),
        );
        // All of Meta is kept anyway.
        kept.retain(|field| pool.field_name(*field).0 != Space::Meta);
        kept.sort_unstable();
        kept.dedup();
        self.kept = kept;
        self.keeps_tree = tree;
    }

    /// A scenario.
    #[must_use]
    pub fn scenario(&self, id: ScenarioId) -> &Scenario {
        &self.scenarios[id.0 as usize]
    }

    /// The first scenario of the same name and filter.
    ///
    /// COMPAT(crowdsec): a bucket is found by its scenario's filter and name and by its partition,
    /// so the documents of one file that share the first two share buckets. Who made a bucket
    /// decides how it behaves.
    #[must_use]
    pub fn family(&self, id: ScenarioId) -> ScenarioId {
        self.families.get(id.0 as usize).copied().unwrap_or(id)
    }

    /// For each scenario of an older program, the one here that says the same; no two get the same.
    #[must_use]
    pub fn twins_of(&self, old: &Self) -> Vec<Option<ScenarioId>> {
        let ids = (0..self.scenarios.len()).map(|index| ScenarioId(index as u32));
        let named = self.scenarios.iter().zip(&self.definitions).zip(ids);
        let mut known: HashMap<(&str, u64), ScenarioId> =
            named.map(|((scenario, hash), id)| ((&*scenario.name, *hash), id)).collect();
        let mut twins: Vec<Option<ScenarioId>> = old
            .scenarios
            .iter()
            .zip(&old.definitions)
            .map(|(scenario, hash)| known.remove(&(&*scenario.name, *hash)))
            .collect();
        twins.resize(old.scenarios.len(), None);
        twins
    }

    /// What the program is made of, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let nodes: usize = self.parsers.iter().map(|stage| stage.nodes.len()).sum();
        let post: usize = self.postoverflows.iter().map(|stage| stage.nodes.len()).sum();
        let n = |n: usize, what| alloc::format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let scenarios = n(self.scenarios.len(), "scenario");
        alloc::format!("{}, {scenarios}, {}", n(nodes, "parser"), n(post, "postoverflow"))
    }
}

fn families(scenarios: &[Scenario]) -> Vec<ScenarioId> {
    let mut firsts: HashMap<(&str, &str), ScenarioId> = HashMap::new();
    let ids = (0..scenarios.len()).map(|index| ScenarioId(index as u32));
    scenarios
        .iter()
        .zip(ids)
        .map(|(scenario, id)| {
            *firsts.entry((&*scenario.name, &*scenario.filter_text)).or_insert(id)
        })
        .collect()
}

impl Node {
    fn link(&mut self, pool: &Pool) {
        self.children.iter_mut().for_each(|child| child.link(pool));
        self.select = Select::over_nodes(&self.children, pool);
    }
}
