//! `shieldwall explain`: what the rules make of a line, and why not what was expected.
//!
//! Every line goes through the same code as in a replay, watched. Lines are explained one by one as
//! they are read, so memory does not grow with the log, and buckets fill up as they would.
//!
//! Reading order: `trace` (watching parsers), `fields` and `reads` (what an event holds), `near`
//! (how near a pattern came), `buckets` (what scenarios did), `human`.

mod buckets;
mod fields;
mod human;
mod near;
mod reads;
mod trace;

use super::{
    Output,
    crowdsec::files_of,
    labels,
    replay::{instant, origins},
    tool::{Form, Tool, ToolArgs},
};
use crate::{
    clock::SystemClock,
    config::{DnsSettings, Settings},
    outside::World,
    report::WireAlert,
    rules::{Keep, Loaded, RuleArgs, Rules},
    run::replay::Origin,
    terminal,
};
use ::rules::Compiled;
use acquis::{LineSink, OneShot, one_shot::Stamp};
use anyhow::{Context as _, Result, anyhow, bail};
use buckets::ScenarioTrace;
use clap::{ArgGroup, Args};
use engine::{Engine, Limits, Outside, Overflow, Pours, Program, Settler};
use model::{Alert, Line, LineSource, SourceId, TimeMode, Timestamp};
use near::Nearness;
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};
use trace::{Family, StageTrace, Texts, Tracer};

/// Shows what the rules make of lines: which parser took them and what it found, how near the others
/// came, and what scenarios did with them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall explain --type syslog --line 'Feb  1 12:00:00 h sshd[7]: Invalid user x from 192.0.2.7'
  shieldwall explain -f /var/log/auth.log --type syslog --failures
  tail -f access.log | shieldwall explain -f - --type nginx -v")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    what: ExplainCommand,
    #[command(flatten)]
    rules: RuleArgs,
    /// How to write the result: a tree, or one JSON object per line.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// What is explained, and how much of it is shown.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("input").required(true)))]
pub(crate) struct ExplainCommand {
    /// A log, plain or compressed with gzip; `-` is standard input.
    #[arg(long, short, value_name = "FILE", group = "input")]
    file: Option<PathBuf>,
    /// One line.
    #[arg(long = "line", short = 'l', alias = "log", value_name = "TEXT", group = "input")]
    text: Option<String>,
    /// Logs named as a source: `file:///var/log/auth.log`.
    #[arg(long, short, value_name = "DSN", group = "input")]
    dsn: Option<String>,
    /// What the lines are: the label `type` by which parsers recognize them (syslog, nginx, …).
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    kind: String,
    /// More labels, as `key:value`.
    #[arg(long = "label", alias = "labels", value_name = "KEY:VALUE", value_parser = labels)]
    labels: Vec<Vec<(String, String)>>,
    /// Shows every change and every node below.
    #[arg(long, short)]
    verbose: bool,
    /// Shows only lines that did not get as far as the scenarios.
    #[arg(long)]
    failures: bool,
    /// Shows only parsers that took the line.
    #[arg(long)]
    only_successful_parsers: bool,
    /// The instant rules take for now (RFC 3339), for dates without a year.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<Timestamp>,
}

/// The same below the incumbent's name, with the flags that say how it finds its daemon.
#[derive(Args, Debug)]
pub(super) struct CscliExplain {
    #[command(flatten)]
    what: ExplainCommand,
    /// Accepted: nothing else is run.
    #[arg(long, value_name = "FILE", hide = true)]
    crowdsec: Option<PathBuf>,
    /// Accepted: nothing is left behind.
    #[arg(long, hide = true)]
    no_clean: bool,
}

/// Runs the command below the incumbent's name: with the rules of the settings.
pub(super) fn run_cscli(args: &CscliExplain, tool: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(tool)?;
    let output = match tool.form {
        Form::Json => Output::Json,
        Form::Human | Form::Raw => Output::Human,
    };
    let loaded = RuleArgs::default().load_settings(&tool.settings)?;
    // COMPAT(crowdsec): scripts look for these words.
    let ready = load(loaded).map_err(|_| {
        anyhow!(
            "unable to load parser dump result: no parser found. Please install the appropriate \
             parser and retry"
        )
    })?;
    args.what.run(&ready, output)
}

/// How much of an explanation is shown.
#[derive(Clone, Copy, Debug)]
struct Shown {
    verbose: bool,
    only_successful: bool,
}

/// What became of a line.
#[derive(Debug, Serialize)]
struct Explained {
    /// Its number among all lines, from one.
    number: u64,
    text: String,
    stages: Vec<StageTrace>,
    #[serde(flatten)]
    outcome: Outcome,
    scenarios: Vec<ScenarioTrace>,
    overflows: Vec<OverflowTrace>,
}

/// How far a line got.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
enum Outcome {
    Parsed,
    Whitelisted { reason: String },
    Unparsed,
}

/// What became of an overflow.
#[derive(Debug, Serialize)]
struct OverflowTrace {
    #[serde(serialize_with = "as_wire")]
    alerts: Vec<Alert>,
    stages: Vec<StageTrace>,
    whitelisted: Option<String>,
    reprocessed: bool,
    /// Scenarios it was poured into.
    scenarios: Vec<ScenarioTrace>,
}

fn as_wire<S: Serializer>(alerts: &[Alert], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(alerts.iter().map(WireAlert::new))
}

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    // A mistake in what is to be read shows before the rules are compiled.
    Input::of(&args.what, &args.what.labels())?;
    args.what.run(&load(args.rules.load()?)?, args.output)
}

/// Which parser of the stages between the raw line and enrichment takes each of these lines, with
/// the rules of these settings; by line. What is wrong with the rules is not told here.
pub(super) fn parsers(
    settings: &Settings,
    lines: Vec<(LineSource, String)>,
    now: Timestamp,
) -> Result<BTreeMap<String, String>> {
    let loaded = RuleArgs::default().load_settings(settings)?;
    let (data, compiled) = (loaded.data.clone(), loaded.compile(Keep::All));
    let (rules, texts) = ready(compiled, data)?;
    let mut explainer = Explainer::new(&rules, &texts, now);
    let mut found = BTreeMap::new();
    for (source, line) in lines {
        let explained = explainer.explain(&source, line.as_bytes());
        let taken = |stage: &StageTrace| {
            let took =
                |node: &&trace::NodeTrace| matches!(node.ending, trace::Ending::Success { .. });
            stage.nodes.iter().rev().find(took).map(|node| node.name.clone())
        };
        let is_between =
            |stage: &&StageTrace| !stage.name.starts_with("s00") && !stage.name.starts_with("s02");
        if let Some(parser) = explained.stages.iter().filter(is_between).find_map(taken) {
            found.insert(line, parser);
        }
    }
    Ok(found)
}

impl ExplainCommand {
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels: BTreeMap<_, _> = self.labels.iter().flatten().cloned().collect();
        labels.insert("type".to_owned(), self.kind.clone());
        labels
    }

    fn run(&self, (rules, texts): &(Rules, Texts), output: Output) -> Result<ExitCode> {
        let now = self.now.unwrap_or_else(SystemClock::wall);
        let mut explainer = Explainer::new(rules, texts, now);
        let mut n_lines = 0;
        Input::of(self, &self.labels())?.each_line(now, |source, text| {
            n_lines += 1;
            let explained = explainer.explain(source, text);
            if self.failures && matches!(explained.outcome, Outcome::Parsed) {
                return Ok(());
            }
            self.print(&explained, output)
        })?;
        if n_lines == 0 {
            bail!("there was no line to explain");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, explained: &Explained, output: Output) -> Result<()> {
        let text = match output {
            Output::Human => {
                let shown =
                    Shown { verbose: self.verbose, only_successful: self.only_successful_parsers };
                human::write(explained, shown, terminal::stdout_color())
            }
            Output::Json => serde_json::to_string(explained)? + "\n",
        };
        Ok(io::stdout().lock().write_all(text.as_bytes())?)
    }
}

/// The rules, ready to run, with what they said.
fn load(loaded: Loaded) -> Result<(Rules, Texts)> {
    loaded.tell();
    let (data, compiled) = (loaded.data.clone(), loaded.compile(Keep::All));
    terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
    ready(compiled, data)
}

fn ready(mut compiled: Compiled, data: Option<PathBuf>) -> Result<(Rules, Texts)> {
    let texts = Texts {
        nodes: std::mem::take(&mut compiled.nodes),
        parser_patterns: compiled.parser_patterns.clone(),
        postoverflow_patterns: compiled.postoverflow_patterns.clone(),
    };
    if compiled.program.parsers.is_empty() {
        bail!("there is no parser among the rules, so nothing can be explained");
    }
    Ok((Rules::new(compiled, data), texts))
}

/// Where lines come from.
enum Input {
    Line(String, LineSource),
    Logs(Vec<(Origin, LineSource)>),
}

impl Input {
    fn of(args: &ExplainCommand, labels: &BTreeMap<String, String>) -> Result<Self> {
        if let Some(text) = &args.text {
            let source = LineSource {
                module: "file".to_owned(),
                src: "-".to_owned(),
                labels: labels.clone(),
                time_mode: TimeMode::Event,
            };
            return Ok(Self::Line(text.clone(), source));
        }
        let files = match (&args.file, &args.dsn) {
            (Some(file), _) => vec![file.clone()],
            (None, Some(dsn)) => files_of(dsn)?,
            // The group asks for one of the three.
            (None, None) => Vec::new(),
        };
        Ok(Self::Logs(origins(&files, labels)?))
    }

    /// Hands over every line as soon as it is read.
    fn each_line(
        self,
        now: Timestamp,
        mut take: impl FnMut(&LineSource, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let logs = match self {
            Self::Line(text, source) => {
                return text
                    .lines()
                    .filter(|line| !line.is_empty())
                    .try_for_each(|line| take(&source, line.as_bytes()));
            }
            Self::Logs(logs) => logs,
        };
        // Only its pool of buffers and its counters are used.
        let (pool, _nobody) = acquis::channel(1);
        for (origin, source) in logs {
            let (mut input, name) = open(&origin, &pool, now)?;
            let mut more = true;
            while more {
                let mut batch = pool.batch();
                more = input.next_into(&mut batch).with_context(|| format!("reading {name}"))?;
                for line in batch.iter() {
                    take(&source, line.text)?;
                }
            }
        }
        Ok(())
    }
}

fn open(origin: &Origin, pool: &LineSink, read_at: Timestamp) -> Result<(OneShot, String)> {
    let stamp = Stamp { source: SourceId(0), read_at, max_line: acquis::file::MAX_LINE };
    let counters = Arc::clone(pool.counters());
    Ok(match origin {
        Origin::Stdin => {
            let input = OneShot::live(io::stdin(), stamp, counters);
            (input.context("reading standard input")?, "standard input".to_owned())
        }
        Origin::File(path) => (OneShot::open(path, stamp, counters)?, path.display().to_string()),
    })
}

/// How often an overflow may go back into the scenarios and overflow again.
const MAX_DEPTH: usize = 16;

/// An engine that is watched.
struct Explainer<'a> {
    program: Arc<Program>,
    texts: &'a Texts,
    nearness: Nearness,
    engine: Engine,
    settler: Settler,
    pours: Pours,
    /// What the engine knows as its only source.
    source: Option<LineSource>,
    now: Timestamp,
    n_lines: u64,
}

impl<'a> Explainer<'a> {
    fn new(rules: &Rules, texts: &'a Texts, now: Timestamp) -> Self {
        let program = Arc::clone(&rules.program);
        let outside: Arc<dyn Outside> = Arc::new(World::for_rules(rules, DnsSettings::default()));
        Self {
            engine: Engine::new(Arc::clone(&program), Arc::clone(&outside), Limits::default(), 0),
            settler: Settler::new(Arc::clone(&program), outside),
            program,
            texts,
            nearness: Nearness::default(),
            pours: Pours::default(),
            source: None,
            now,
            n_lines: 0,
        }
    }

    fn explain(&mut self, source: &LineSource, text: &[u8]) -> Explained {
        const ID: SourceId = SourceId(0);
        if self.source.as_ref() != Some(source) {
            self.engine.parser.add_source(ID, source.clone());
            self.source = Some(source.clone());
        }
        self.n_lines += 1;
        let shown = String::from_utf8_lossy(text).into_owned();
        let first = self.program.parsers.first();
        let stage = first.map_or("", |stage| self.program.pool.lit_text(stage.name));
        let before = fields::of_line(&shown, source, stage, &self.program.pool);
        let mut tracer = Tracer::new(self.texts, &mut self.nearness, Family::Parsers, before);
        self.pours.clear();
        let line = Line { text, source: ID, read_at: self.now };
        let outcome = self.engine.parser.process_observed(
            line,
            self.now,
            &mut self.pours,
            Some(&mut tracer),
            &mut |_| {},
        );
        let stages = tracer.into_stages();
        let outcome = match outcome {
            engine::Outcome::Unparsed => Outcome::Unparsed,
            engine::Outcome::Whitelisted => Outcome::Whitelisted { reason: reason(&stages) },
            engine::Outcome::Parsed | engine::Outcome::Poured(_) => Outcome::Parsed,
        };
        let mut overflows = Vec::new();
        let buckets = &mut self.engine.buckets;
        let scenarios = buckets::pour(&self.program, buckets, &self.pours, &mut overflows);
        let overflows = self.settle(overflows);
        Explained { number: self.n_lines, text: shown, stages, outcome, scenarios, overflows }
    }

    fn settle(&mut self, mut overflows: Vec<Overflow>) -> Vec<OverflowTrace> {
        let mut traces = Vec::new();
        for _ in 0..MAX_DEPTH {
            for overflow in std::mem::take(&mut overflows) {
                traces.push(self.settle_one(overflow, &mut overflows));
            }
            if overflows.is_empty() {
                break;
            }
        }
        traces
    }

    fn settle_one(&mut self, overflow: Overflow, next: &mut Vec<Overflow>) -> OverflowTrace {
        let before = fields::Fields::new();
        let mut tracer = Tracer::new(self.texts, &mut self.nearness, Family::Postoverflows, before);
        self.pours.clear();
        let (pours, now) = (&mut self.pours, self.now);
        let settled = self.settler.settle_observed(overflow, now, pours, Some(&mut tracer));
        let stages = tracer.into_stages();
        let buckets = &mut self.engine.buckets;
        let scenarios = buckets::pour(&self.program, buckets, &self.pours, next);
        OverflowTrace {
            stages,
            whitelisted: settled.whitelisted.then(|| settled.whitelist_reason.clone().into()),
            reprocessed: settled.reprocess && !settled.whitelisted,
            scenarios,
            alerts: settled.into_alerts(),
        }
    }
}

/// The reason the first whitelist gave.
fn reason(stages: &[StageTrace]) -> String {
    fn of(nodes: &[trace::NodeTrace]) -> Option<&str> {
        nodes.iter().find_map(|node| {
            let own = match &node.ending {
                trace::Ending::Success { whitelisted, .. } => whitelisted.as_deref(),
                trace::Ending::Filtered { .. }
                | trace::Ending::Failed { .. }
                | trace::Ending::Aborted { .. } => None,
            };
            own.or_else(|| of(&node.children))
        })
    }
    stages.iter().find_map(|stage| of(&stage.nodes)).unwrap_or("").to_owned()
}
