//! What others may see of a running agent: its own counters, read when somebody asks.
//!
//! The engine's thread is asked between two batches; a line costs nothing for it.

use super::drive::Control;
use acquis::{Counters, Source};
use crossbeam_channel::{Sender, bounded};
use engine::{Program, observe, program::Node};
use lapi::exposition::{Exposition, Kind};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long the engine's thread may take to answer. A batch takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// A window that is open while an agent runs.
#[derive(Default)]
pub(crate) struct Window(Mutex<Option<Open>>);

struct Open {
    control: Sender<Control>,
    sources: Vec<Reads>,
}

/// What one datasource reads.
pub(super) struct Reads {
    metric: &'static str,
    module: &'static str,
    name: String,
    kind: String,
    counters: Arc<Counters>,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing about single parsers, nor what each scenario was poured.
    Aggregated,
    /// Everything.
    Full,
}

/// What the engine's thread answers.
pub(super) struct Told {
    pub(super) program: Arc<Program>,
    pub(super) counters: observe::Counters,
    pub(super) scenarios: Vec<observe::ScenarioCount>,
    pub(super) live: Vec<u64>,
}

impl Reads {
    pub(super) fn new(source: &Source, counters: Arc<Counters>) -> Self {
        let (metric, name) = match source {
            Source::File(file) => ("cs_filesource_hits_total", file.patterns.join(",")),
            Source::Journald(_) => ("cs_journalctlsource_hits_total", "journalctl".to_owned()),
            Source::Syslog(_) => ("cs_syslogsource_hits_total", "syslog".to_owned()),
            Source::Stdin(_) => ("cs_stdinsource_hits_total", "stdin".to_owned()),
        };
        let kind = source.common().labels.get("type").cloned().unwrap_or_default();
        Self { metric, module: source.module(), name, kind, counters }
    }
}

impl Window {
    pub(super) fn open(&self, control: Sender<Control>, sources: Vec<Reads>) {
        *self.inner() = Some(Open { control, sources });
    }

    pub(super) fn close(&self) {
        *self.inner() = None;
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the agent counted; nothing where none runs.
    pub(crate) fn expose(&self, detail: Detail, page: &mut Exposition) {
        let told = {
            let open = self.inner();
            let Some(open) = open.as_ref() else { return };
            reads(&open.sources, page);
            let (answer, told) = bounded(1);
            if open.control.send(Control::Tell(answer)).is_err() {
                return;
            }
            told
        };
        let Ok(told) = told.recv_timeout(PATIENCE) else { return };
        lines(&told, page);
        scenarios(&told, detail, page);
        if detail == Detail::Full {
            nodes(&told, page);
        }
    }
}

fn reads(sources: &[Reads], page: &mut Exposition) {
    let mut metrics: Vec<&str> = sources.iter().map(|source| source.metric).collect();
    metrics.sort_unstable();
    metrics.dedup();
    for metric in metrics {
        page.name(metric, Kind::Counter, "Lines read.");
        let mut labelled: Vec<(&Reads, u64)> = Vec::new();
        for source in sources.iter().filter(|source| source.metric == metric) {
            // Two datasources may read the same; one series cannot be told twice.
            let n_lines = source.counters.read().lines;
            let same = |other: &Reads| other.name == source.name && other.kind == source.kind;
            match labelled.iter_mut().find(|(other, _)| same(other)) {
                Some((_, sum)) => *sum = sum.saturating_add(n_lines),
                None => labelled.push((source, n_lines)),
            }
        }
        for (source, n_lines) in labelled {
            let labels = [
                ("source", source.name.as_str()),
                ("datasource_type", source.module),
                ("acquis_type", &source.kind),
            ];
            page.sample(metric, &labels, n_lines);
        }
    }
}

/// Lines, of all datasources together: which of them a line came from is not counted.
fn lines(told: &Told, page: &mut Exposition) {
    let counters = &told.counters;
    for (name, help, n_lines) in [
        ("cs_parser_hits_total", "Lines taken by the parsers.", counters.lines),
        ("cs_parser_hits_ok_total", "Lines that were parsed.", counters.parsed),
        (
            "cs_parser_hits_ko_total",
            "Lines that were not parsed.",
            counters.lines.saturating_sub(counters.parsed),
        ),
    ] {
        page.name(name, Kind::Counter, help);
        page.sample(name, &[("source", "*"), ("type", "")], n_lines);
    }
}

fn scenarios(told: &Told, detail: Detail, page: &mut Exposition) {
    type Count = fn(&observe::ScenarioCount) -> u64;
    let counters: [(&str, &str, Count); 5] = [
        ("cs_bucket_created_total", "Buckets made.", |count| count.created),
        ("cs_bucket_overflowed_total", "Buckets that overflowed.", |count| count.overflowed),
        ("cs_bucket_underflowed_total", "Buckets that ran dry.", |count| count.expired),
        ("cs_bucket_canceled_total", "Buckets that were canceled.", |count| count.canceled),
        ("cs_bucket_poured_total", "Events poured.", |count| count.poured),
    ];
    let all = || told.program.scenarios.iter().map(|it| &*it.name).zip(&told.scenarios);
    for (name, help, count) in counters {
        if name == "cs_bucket_poured_total" && detail != Detail::Full {
            continue;
        }
        page.name(name, Kind::Counter, help);
        series(page, name, all().map(|(scenario, counts)| (scenario, count(counts))));
    }
    page.name("cs_buckets", Kind::Gauge, "Buckets that live.");
    let names = told.program.scenarios.iter().map(|it| &*it.name);
    series(page, "cs_buckets", names.zip(told.live.iter().copied()));
}

/// One number per name; scenarios of one name count together.
fn series<'a>(page: &mut Exposition, name: &str, counts: impl Iterator<Item = (&'a str, u64)>) {
    let mut sums = std::collections::BTreeMap::<&str, u64>::new();
    for (scenario, count) in counts.filter(|(_, count)| *count > 0) {
        let sum = sums.entry(scenario).or_default();
        *sum = sum.saturating_add(count);
    }
    for (scenario, sum) in sums {
        page.sample(name, &[("name", scenario)], sum);
    }
}

fn nodes(told: &Told, page: &mut Exposition) {
    type Count = fn(&observe::NodeCount) -> u64;
    let counters: [(&str, &str, Count); 3] = [
        ("cs_node_hits_total", "Events a parser took.", |count| count.hits),
        ("cs_node_hits_ok_total", "Events a parser succeeded on.", |count| count.ok),
        ("cs_node_hits_ko_total", "Events a parser failed on.", |count| {
            count.hits.saturating_sub(count.ok)
        }),
    ];
    for (name, help, count) in counters {
        page.name(name, Kind::Counter, help);
        for stage in &told.program.parsers {
            let stage_name = told.program.pool.lit_text(stage.name);
            let mut sums = std::collections::BTreeMap::<&str, u64>::new();
            for node in &stage.nodes {
                let sum = sums.entry(&node.name).or_default();
                *sum = sum.saturating_add(of(told, node).map_or(0, |counts| count(&counts)));
            }
            for (node, sum) in sums.into_iter().filter(|(_, sum)| *sum > 0) {
                page.sample(name, &[("name", node), ("stage", stage_name)], sum);
            }
        }
    }
}

fn of(told: &Told, node: &Node) -> Option<observe::NodeCount> {
    told.counters.nodes.get(usize::try_from(node.id).ok()?).copied()
}
