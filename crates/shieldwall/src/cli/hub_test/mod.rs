//! `shieldwall hub`: work on a hub tree. So far that is running its tests.
//!
//! A test is a directory of `.tests` with a log, the items to run it through, and assertions about
//! what parsers made of each line and which scenarios overflowed. Tests share nothing but read-only
//! files, so they run on all cores; their reports come in the order of their names all the same.
//!
//! Reading order: `config` (what a test says), `items` (the rules it needs), `replay` and `results`
//! (the run, and what it leaves for assertions to look into), `assert`, `update` (assertions for a
//! new test), `report`, `world`.

mod assert;
mod config;
mod items;
mod replay;
mod report;
mod results;
mod update;
mod world;

use super::replay::instant;
use crate::{
    clock::SystemClock,
    hub::{files, index::Index},
    rules::{pattern_files, patterns_of_hub},
    terminal,
};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use config::TestConfig;
use engine::Outside;
use indicatif::{ProgressBar, ProgressStyle};
use model::{LineSource, TimeMode, Timestamp};
use replay::Watch;
use report::{Broken, Outcome};
use rules::{Options, codes, grok::Registry};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use world::TestWorld;

/// Works on a hub tree.
#[derive(Args, Debug)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    command: HubCommand,
}

#[derive(Debug, Subcommand)]
enum HubCommand {
    Test(TestArgs),
}

/// Runs the tests of a hub.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall hub test --all --hub ./hub
  shieldwall hub test ssh-bf --hub ./hub --now 2023-02-22T00:00:00Z
  shieldwall hub test my-new-test --hub ./hub --update")]
struct TestArgs {
    /// Tests to run: names of directories in `.tests`.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Runs all of them.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The hub tree, with `.index.json` and `.tests`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    hub: PathBuf,
    /// Grok pattern files (default: those beside the hub, else those installed).
    #[arg(long, value_name = "DIR")]
    patterns: Option<PathBuf>,
    /// Data files and geographic databases (default: `.cache/data` of the hub).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The instant tests take for now (RFC 3339), for dates without a year.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<Timestamp>,
    /// Writes assertions for tests that have none.
    #[arg(long)]
    update: bool,
    /// Tests run at a time (default: one per core).
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Runs a command of `shieldwall hub`.
pub(crate) fn run(args: &HubArgs) -> Result<ExitCode> {
    match &args.command {
        HubCommand::Test(args) => run_tests(args),
    }
}

fn run_tests(args: &TestArgs) -> Result<ExitCode> {
    let dir = args.hub.join(".tests");
    let names = if args.all { all_tests(&dir)? } else { args.names.clone() };
    let suite = Suite::open(args)?;
    let bar = progress(names.len());
    let mut n_good = 0;
    let mut missing_data = BTreeSet::new();
    let mut said = Ok(());
    suite.run(&names, args.jobs, |name, report| {
        bar.inc(1);
        n_good += usize::from(report.outcome.is_good());
        missing_data.extend(report.missing_data);
        let text = report::describe(name, &report.outcome);
        if said.is_ok() {
            said = bar.suspend(|| io::stdout().lock().write_all(text.as_bytes()));
        }
    });
    bar.finish_and_clear();
    said?;
    let n_bad = names.len() - n_good;
    if n_bad > 0 && !missing_data.is_empty() {
        let files: Vec<String> = missing_data.into_iter().collect();
        let (dir, files) = (suite.data.display(), files.join(", "));
        terminal::warn(&format!("data files are missing in {dir}: {files}"));
    }
    writeln!(io::stdout().lock(), "{n_good} passed, {n_bad} failed")?;
    Ok(if n_bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The names of all tests, in order.
fn all_tests(dir: &Path) -> Result<Vec<String>> {
    let doing = || format!("looking for tests in {}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        if entry.path().join("config.yaml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if names.is_empty() {
        bail!("there are no tests in {}", dir.display());
    }
    names.sort_unstable();
    Ok(names)
}

fn progress(n_tests: usize) -> ProgressBar {
    // Hides itself where standard error is no terminal.
    let bar = ProgressBar::new(u64::try_from(n_tests).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} tests");
    bar.with_style(style.unwrap_or_else(|_malformed| ProgressStyle::default_bar()))
}

/// What all tests share.
struct Suite {
    hub: PathBuf,
    index: Index,
    /// The definitions of all pattern files. Reading them is most of the work of a small test.
    patterns: Registry,
    data: PathBuf,
    world: Arc<dyn Outside>,
    now: Timestamp,
    update: bool,
}

/// What is told about one test.
struct Report {
    outcome: Outcome,
    missing_data: BTreeSet<String>,
}

impl Suite {
    fn open(args: &TestArgs) -> Result<Self> {
        let hub = fs::canonicalize(&args.hub)
            .with_context(|| format!("opening the hub {}", args.hub.display()))?;
        let patterns = match args.patterns.clone().or_else(|| patterns_of_hub(&hub)) {
            Some(dir) => pattern_files(&dir)?,
            None => Vec::new(),
        };
        let checked = rules::check(patterns);
        terminal::diagnostics(&checked.diagnostics, &checked.sources);
        let data = args.data.clone().unwrap_or_else(|| hub.join(".cache/data"));
        Ok(Self {
            index: Index::open(&hub)?,
            patterns: checked.parser_patterns.without_places(),
            world: Arc::new(TestWorld::open(&data)),
            data,
            now: args.now.unwrap_or_else(SystemClock::wall),
            update: args.update,
            hub,
        })
    }

    /// Runs tests side by side and tells about them in their order.
    fn run(&self, names: &[String], jobs: Option<usize>, mut tell: impl FnMut(&str, Report)) {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let jobs = jobs.unwrap_or(cores).clamp(1, names.len().max(1));
        let next = AtomicUsize::new(0);
        // One small report per test at most waits here, so the channel needs no bound.
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..jobs {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(name) = names.get(index) else { return };
                        if sender.send((index, self.test(name))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut early = BTreeMap::new();
            let mut turn = 0;
            for (index, report) in receiver {
                early.insert(index, report);
                while let Some(report) = early.remove(&turn) {
                    tell(&names[turn], report);
                    turn += 1;
                }
            }
        });
    }

    /// Runs one test. A bug that one test meets must not hide the others.
    fn test(&self, name: &str) -> Report {
        let mut missing_data = BTreeSet::new();
        let outcome =
            panic::catch_unwind(AssertUnwindSafe(|| self.run_test(name, &mut missing_data)))
                .unwrap_or_else(|_told| {
                    Err(Broken::Plain("this is a bug in shieldwall".to_owned()))
                })
                .unwrap_or_else(Outcome::Broken);
        Report { outcome, missing_data }
    }

    fn run_test(&self, name: &str, missing_data: &mut BTreeSet<String>) -> Result<Outcome, Broken> {
        let shown = Path::new(".tests").join(name);
        let dir = files::below(&self.hub.join(".tests"), name)
            .filter(|dir| dir.join("config.yaml").is_file())
            .ok_or_else(|| Broken::Plain(format!("there is no {}/config.yaml", shown.display())))?;
        let config_text = files::read_rule(&dir.join("config.yaml"))?;
        let config = TestConfig::read(&shown.join("config.yaml"), &config_text)?;
        let log_path = dir.join(&config.log_file);
        let log = fs::read(&log_path)
            .with_context(|| format!("reading {}", shown.join(&config.log_file).display()))?;
        if log.is_empty() {
            return Err(Broken::Plain(format!("{} is empty", config.log_file)));
        }

        let sources = items::read(&self.hub, &self.index, &dir, &config)?;
        let data_dir = if config.own_data_dir { dir.join("data") } else { self.data.clone() };
        let mut read_data = |file: &rules::item::DataFile| {
            let path = files::below(&data_dir, &file.dest_file)?;
            let text = files::read_data(&path).ok();
            if text.is_none() {
                missing_data.insert(file.dest_file.clone());
            }
            text
        };
        let patterns = Some(self.patterns.clone());
        let options = Options { keep_all: true, patterns, ..Options::default() };
        let compiled = rules::compile(sources, &mut read_data, &options);
        if compiled.diagnostics.iter().any(|it| it.code != codes::BAD_DATA && is_error(it)) {
            let text = report::rendered(&compiled.diagnostics, &compiled.sources);
            return Err(Broken::Diagnostics(text));
        }

        let mut labels = config.labels.clone();
        labels.insert("type".to_owned(), config.log_type.clone());
        let source = LineSource {
            module: "file".to_owned(),
            src: log_path.to_string_lossy().into_owned(),
            labels,
            time_mode: TimeMode::Event,
        };
        let watch = if config.ignore_parsers { Watch::ScenariosOnly } else { Watch::Parsers };
        let program = Arc::new(compiled.program);
        let run = replay::replay(&program, &self.world, source, &log, self.now, watch);

        let mut judge = Judge {
            suite: self,
            dir: &dir,
            shown: &shown,
            data: &program.data,
            circumstances: update::Circumstances::of(&log, year_of(self.now)),
            n_asserts: 0,
            failures: Vec::new(),
            written: Vec::new(),
        };
        if watch == Watch::Parsers {
            judge.judge("parser.assert", run.parsers, update::of_parsers)?;
        }
        if !config.scenarios.is_empty() {
            judge.judge("scenario.assert", run.scenarios, update::of_scenarios)?;
        }
        Ok(judge.outcome())
    }
}

fn is_error(diagnostic: &syntax::Diagnostic) -> bool {
    diagnostic.severity == syntax::Severity::Error
}

fn year_of(now: Timestamp) -> i16 {
    let at = jiff::Timestamp::from_nanosecond(i128::from(now.unix_nanos()));
    at.map_or(1970, |at| at.to_zoned(jiff::tz::TimeZone::UTC).year())
}

/// Holds a run against the assertions of its test.
struct Judge<'a> {
    suite: &'a Suite,
    dir: &'a Path,
    shown: &'a Path,
    data: &'a engine::data::DataFiles,
    circumstances: update::Circumstances,
    n_asserts: usize,
    failures: Vec<report::Failure>,
    written: Vec<(PathBuf, usize)>,
}

impl Judge<'_> {
    /// Evaluates the assertions of one file, or writes them where there are none.
    fn judge(
        &mut self,
        file: &str,
        results: engine::value::Value,
        generate: fn(&engine::value::Value, &update::Circumstances) -> String,
    ) -> Result<(), Broken> {
        let path = self.dir.join(file);
        let shown = self.shown.join(file);
        let mut text = if path.exists() { files::read_data(&path)? } else { String::new() };
        if text.trim().is_empty() {
            if !self.suite.update {
                let path = shown.display();
                let message = format!("{path} holds no assertions; write them with --update");
                return Err(Broken::Plain(message));
            }
            text = generate(&results, &self.circumstances);
            fs::write(&path, &text).with_context(|| format!("writing {}", shown.display()))?;
            self.written.push((shown.clone(), text.lines().count()));
        }
        let verdict = assert::check(&shown, &text, results, self.data, self.suite.now)?;
        self.n_asserts += verdict.n_asserts;
        self.failures.extend(verdict.failures);
        Ok(())
    }

    fn outcome(self) -> Outcome {
        let Self { n_asserts, failures, written, .. } = self;
        if !failures.is_empty() {
            Outcome::Failed { n_asserts, failures }
        } else if written.is_empty() {
            Outcome::Passed { n_asserts }
        } else {
            Outcome::Written(written)
        }
    }
}
