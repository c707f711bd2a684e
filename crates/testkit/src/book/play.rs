//! Plays a story: the whole engine over its lines, with everything that happens written down.

use super::{
    script::Script,
    show::{self, EventText},
    world::World,
};
use engine::{
    Outcome, Outside, Overflow, Parser, Pours, Program, Settler,
    data::DataFiles,
    eval::{Cx, Roots, Scratch},
    event::Event,
    observe::{Observer, Step},
    pool::Pool,
    pour::Buckets,
    program::Node,
};
use model::{Line, SourceId, Time, Timestamp};
use rules::{
    Compiled, Options, compile, compile_expr,
    expr::{check::Wanted, objects::Place},
};
use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

/// How a story is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As in production.
    Plain,
    /// With an observer, which makes every node be tried, and every capture kept.
    Observed,
    /// With another secret for the table of buckets.
    OtherSeed,
    /// With all lines up to the next passing of time parsed before any is poured, by a parser of its
    /// own for each.
    Batch,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub(super) diagnostics: String,
    pub(super) alerts: String,
    pub(super) details: String,
    pub(super) outcomes: String,
    pub(super) events: String,
    pub(super) trees: String,
    pub(super) counts: String,
    pub(super) notes: String,
}

/// How many overflows a story may have before it is cut: those that feed themselves have no end.
const MAX_OVERFLOWS: usize = 200;

/// The rules of a story, compiled: the slow part of playing one.
pub(super) struct Rules {
    program: Arc<Program>,
    names: Vec<String>,
    diagnostics: String,
}

impl Rules {
    /// As in production.
    pub(super) fn of(script: &Script) -> Self {
        Self::new(compiled(script, false))
    }

    /// With every capture kept.
    pub(super) fn keeping_all(script: &Script) -> Self {
        Self::new(compiled(script, true))
    }

    fn new(compiled: Compiled) -> Self {
        Self {
            diagnostics: show::diagnostics(&compiled),
            names: compiled.nodes.into_iter().map(|node| node.name).collect(),
            program: Arc::new(compiled.program),
        }
    }
}

/// Plays a story with its rules.
pub(super) fn play(script: &Script, rules: &Rules, manner: Manner) -> Transcript {
    let mut transcript =
        Transcript { diagnostics: rules.diagnostics.clone(), ..Transcript::default() };
    let program = &rules.program;
    let world = match World::read(&script.world) {
        Ok(world) => Arc::new(world),
        Err(error) => {
            let _ = writeln!(transcript.diagnostics, "{error}");
            return transcript;
        }
    };
    let outside: Arc<dyn Outside> = Arc::<World>::clone(&world);
    let parser = || {
        let mut parser = Parser::new(Arc::clone(program), Arc::clone(&outside));
        for (id, source) in (0..).zip(&script.sources) {
            parser.add_source(SourceId(id), source.clone());
        }
        parser
    };
    let seed = if manner == Manner::OtherSeed { 0x5eed } else { 1 };
    let buckets = Buckets::new(Arc::clone(program), Arc::clone(&outside), script.limits, seed);
    let mut stage = Stage {
        manner,
        buckets,
        settler: Settler::new(Arc::clone(program), Arc::clone(&outside)),
        n_overflows: 0,
        transcript,
    };
    let mut own = parser();
    let mut now = Timestamp::from_unix(super::script::DAY + 12 * 3600, 0);
    let mut waiting = Pours::default();
    let has_stash = !program.stashes.is_empty();
    let mut number = 0;
    for step in &script.steps {
        if let Some(at) = step.at {
            stage.pour(&mut waiting, now);
            now = at;
            stage.advance(now);
        }
        let Some((source, text)) = &step.line else { continue };
        number += 1;
        let id = SourceId(u32::try_from(*source).unwrap_or(u32::MAX));
        let line = Line { text, source: id, read_at: now };
        // A stash remembers from line to line, so its parser stays.
        if manner == Manner::Batch && !has_stash {
            own = parser();
        }
        stage.line(number, line, now, &mut own, &mut waiting);
        if manner != Manner::Batch {
            stage.pour(&mut waiting, now);
        }
    }
    stage.pour(&mut waiting, now);
    let mut transcript = stage.transcript;
    let table = &stage.buckets.table;
    transcript.counts = show::counts(program, &own.counters, table, &rules.names);
    transcript.notes = world.notes();
    transcript
}

fn compiled(script: &Script, keep_all: bool) -> Compiled {
    let options = Options { keep_all, context_length: script.context_length, ..Options::default() };
    let mut data = |file: &rules::item::DataFile| script.data.get(&file.dest_file).cloned();
    compile(script.files.clone(), &mut data, &options)
}

/// Everything behind the parser.
struct Stage {
    manner: Manner,
    buckets: Buckets,
    settler: Settler,
    n_overflows: usize,
    transcript: Transcript,
}

impl Stage {
    fn line(
        &mut self,
        number: usize,
        line: Line<'_>,
        now: Timestamp,
        parser: &mut Parser,
        pours: &mut Pours,
    ) {
        let mut watcher = Watcher { now, ..Watcher::default() };
        let mut scenarios: Vec<String> = Vec::new();
        let observer: Option<&mut dyn Observer> =
            if self.manner == Manner::Observed { Some(&mut watcher) } else { None };
        let outcome = parser.process_observed(line, now, pours, observer, &mut |scenario| {
            scenarios.push(scenario.name.clone().into_string());
        });
        let outcome = match outcome {
            Outcome::Unparsed => "unparsed".to_owned(),
            Outcome::Parsed => "parsed".to_owned(),
            Outcome::Whitelisted => "whitelisted".to_owned(),
            Outcome::Poured(_) => format!("poured into {}", scenarios.join(", ")),
        };
        let _ = writeln!(self.transcript.outcomes, "{number} {outcome}");
        watcher.tell(&format!("{number} {outcome}"), &mut self.transcript);
    }

    fn advance(&mut self, now: Timestamp) {
        let mut overflows = Vec::new();
        self.buckets.advance(now, &mut overflows);
        self.settle(overflows, now);
    }

    fn pour(&mut self, pours: &mut Pours, now: Timestamp) {
        let mut overflows = Vec::new();
        self.buckets.pour_all(pours, &mut overflows);
        pours.clear();
        self.settle(overflows, now);
    }

    fn settle(&mut self, overflows: Vec<Overflow>, now: Timestamp) {
        let mut waiting = VecDeque::from(overflows);
        while let Some(overflow) = waiting.pop_front() {
            self.n_overflows += 1;
            if self.n_overflows > MAX_OVERFLOWS {
                self.transcript.alerts.push_str("…\n");
                return;
            }
            let mut back = Pours::default();
            let mut watcher = Watcher { now, ..Watcher::default() };
            let observer: Option<&mut dyn Observer> =
                if self.manner == Manner::Observed { Some(&mut watcher) } else { None };
            let name = overflow.alert.scenario.clone();
            let settled = self.settler.settle_observed(overflow, now, &mut back, observer);
            if watcher.last.is_some() {
                watcher.tell(&format!("overflow {name}"), &mut self.transcript);
            }
            show::overflow(&settled, &mut self.transcript.alerts, &mut self.transcript.details);
            let mut more = Vec::new();
            self.buckets.pour_all(&back, &mut more);
            // What one overflow causes comes before the next overflow.
            for overflow in more.into_iter().rev() {
                waiting.push_front(overflow);
            }
        }
    }
}

/// Writes down every node, and what the event held after the last one.
#[derive(Default)]
struct Watcher {
    now: Timestamp,
    nodes: Vec<(String, String, usize, Step)>,
    last: Option<EventText>,
}

impl Watcher {
    fn tell(self, title: &str, transcript: &mut Transcript) {
        show::event(title, self.last.as_ref(), &mut transcript.events);
        show::tree(title, &self.nodes, &mut transcript.trees);
    }
}

impl Observer for Watcher {
    fn node(&mut self, stage: &str, node: &Node, depth: usize, step: Step, cx: &mut Cx<'_>) {
        self.nodes.push((stage.to_owned(), node.name.clone().into_string(), depth, step));
        if depth == 0 {
            self.last = Some(EventText::of(cx, self.now));
        }
    }
}

/// What expressions give for the first line of a story: `expression => value`, one per line.
pub(super) fn values(script: &Script, text: &str) -> String {
    let program = compiled(script, true).program;
    let mut shown = String::new();
    for line in text.lines() {
        let source = line.rsplit_once(" => ").map_or(line, |(source, _)| source);
        if source.is_empty() {
            shown.push('\n');
            continue;
        }
        let value = value(source, script, &program.data);
        let _ = writeln!(shown, "{source} => {value}");
    }
    shown
}

fn value(source: &str, script: &Script, data: &DataFiles) -> String {
    let mut pool = Pool::new();
    let expr = match compile_expr(source, Place::Event, Wanted::Anything, &mut pool, data) {
        Ok(expr) => expr,
        Err(errors) => {
            let first = errors.first().map(|error| error.message.as_str());
            return format!("refused: {}", first.unwrap_or("for no reason"));
        }
    };
    pool.finish();
    let Ok(world) = World::read(&script.world) else { return "no world".to_owned() };
    // As if the first line had just been read.
    let mut now = Timestamp::from_unix(super::script::DAY + 12 * 3600, 0);
    let mut event = Event::new(pool.n_fields());
    let mut line = None;
    for step in &script.steps {
        now = step.at.unwrap_or(now);
        line = step.line.as_ref();
        if line.is_some() {
            break;
        }
    }
    if let Some((source, text)) = line {
        event.begin_line(SourceId(0), &script.sources[*source], text, &pool);
        event.time = Time::utc(now);
        event.line_time = Time::utc(now);
    }
    let roots = Roots::default();
    let mut scratch = Scratch::default();
    let mut cx = Cx {
        pool: &pool,
        data,
        event: &mut event,
        scratch: &mut scratch,
        outside: &world,
        now,
        roots: &roots,
    };
    match cx.eval(&expr) {
        Ok(value) => show::value(&value, &cx),
        Err(error) => format!("error: {error}"),
    }
}
