//! `shieldwall replay`: what would have been detected in these logs?

use super::{Output, labels};
use crate::{
    clock::SystemClock,
    config::DnsSettings,
    outside::World,
    report,
    rules::{Keep, RuleArgs, Rules},
    run::{
        Sink,
        replay::{self, Input, Origin, Plan, Tally},
    },
    terminal,
};
use acquis::Transform;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use engine::Limits;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Alert, LineSource, TimeMode, Timestamp};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

mod summary;

/// Reads logs once, by the dates their lines carry, and prints the alerts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall replay /var/log/auth.log --type syslog
  shieldwall replay access.log.*.gz --type nginx --rules /etc/crowdsec -o json
  journalctl -o short | shieldwall replay - --type syslog --hub ./hub --with crowdsecurity/sshd")]
pub(super) struct ReplayArgs {
    /// Logs, plain or compressed with gzip; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the lines are: the label `type` by which parsers recognize them (syslog, nginx, …).
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    kind: String,
    /// More labels, as `key:value`.
    #[arg(long = "label", value_name = "KEY:VALUE", value_parser = labels)]
    labels: Vec<Vec<(String, String)>>,
    #[command(flatten)]
    rules: RuleArgs,
    /// How to write the result.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
    /// Threads that parse (default: one per core, at most 16). The alerts do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// The instant rules take for now (RFC 3339), for dates without a year.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<Timestamp>,
    /// Reads no more than this many lines.
    #[arg(long, value_name = "LINES")]
    limit: Option<u64>,
    /// Buckets kept at a time; when there are more, the one poured longest ago is dropped.
    #[arg(long, value_name = "N")]
    max_buckets: Option<usize>,
}

/// Reads an RFC 3339 date.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let at: jiff::Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    let nanos = i64::try_from(at.as_nanosecond()).map_err(|_far| "too far away".to_owned())?;
    Ok(Timestamp::from_unix_nanos(nanos))
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let origins = origins(&args.files, &labels_of(args))?;
    let rules = args.rules.load()?.compile_and_tell(Keep::Read);
    let job = Job {
        output: args.output,
        jobs: args.jobs,
        now: args.now.unwrap_or_else(SystemClock::wall),
        limit: args.limit,
        max_buckets: args.max_buckets,
        transform: None,
    };
    job.run(origins, &rules, DnsSettings::default(), None)
}

fn labels_of(args: &ReplayArgs) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = args.labels.iter().flatten().cloned().collect();
    labels.insert("type".to_owned(), args.kind.clone());
    labels
}

/// What each named file is. Mistakes show before any work is done.
pub(super) fn origins(
    files: &[PathBuf],
    labels: &BTreeMap<String, String>,
) -> Result<Vec<(Origin, LineSource)>> {
    let mut origins = Vec::with_capacity(files.len());
    for path in files {
        let (origin, src) = if path.as_os_str() == "-" {
            (Origin::Stdin, "-".to_owned())
        } else {
            let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
            if metadata.is_dir() {
                bail!("{} is a directory; name the files in it", path.display());
            }
            let full = fs::canonicalize(path).unwrap_or_else(|_gone| path.clone());
            (Origin::File(path.clone()), full.to_string_lossy().into_owned())
        };
        let source = LineSource {
            module: "file".to_owned(),
            src,
            labels: labels.clone(),
            time_mode: TimeMode::Event,
        };
        origins.push((origin, source));
    }
    Ok(origins)
}

/// A replay with everything decided but the rules and the files.
pub(super) struct Job {
    pub(super) output: Output,
    pub(super) jobs: Option<usize>,
    pub(super) now: Timestamp,
    pub(super) limit: Option<u64>,
    pub(super) max_buckets: Option<usize>,
    /// What lines become before anybody reads them.
    pub(super) transform: Option<Transform>,
}

/// More threads than this only wait for the one that pours.
const MAX_JOBS: usize = 16;

impl Job {
    /// Runs it, prints what is found, and hands the alerts to `also` as well.
    pub(super) fn run(
        &self,
        origins: Vec<(Origin, LineSource)>,
        rules: &Rules,
        dns: DnsSettings,
        also: Option<&mut dyn Sink>,
    ) -> Result<ExitCode> {
        let world = World::for_rules(rules, dns);
        let program = Arc::clone(&rules.program);
        let limits = Limits::default();
        let plan = Plan {
            outside: Arc::new(world),
            limits: Limits { buckets: self.max_buckets.unwrap_or(limits.buckets), ..limits },
            now: self.now,
            // What one line leaves in a stash the next one may read, so order counts.
            n_jobs: if program.stashes.is_empty() { self.n_jobs() } else { 1 },
            max_lines: self.limit,
            program,
        };
        let n_expected = expected_bytes(&origins);
        let input = Input::new(origins, self.now).with_transform(self.transform.clone());
        let progress = Progress::start(n_expected, input.progress());
        let mut printer = Printer::new(self.output, progress.bar.clone(), also);
        printer.begin()?;
        let (tally, outcome) = replay::run(&plan, input, &mut printer);
        progress.finish();
        printer.end(&tally, &plan.program)?;
        outcome?;
        Ok(ExitCode::SUCCESS)
    }

    fn n_jobs(&self) -> usize {
        let n_cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.unwrap_or_else(|| n_cores.min(MAX_JOBS)).clamp(1, 256)
    }
}

/// The size of all files; `None` when one has none (a pipe).
fn expected_bytes(origins: &[(Origin, LineSource)]) -> Option<u64> {
    let sizes = origins.iter().map(|(origin, _)| match origin {
        Origin::Stdin => None,
        Origin::File(path) => size(path),
    });
    sizes.sum()
}

fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// A bar on a terminal, and nothing elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    ticker: Option<(Arc<AtomicBool>, thread::JoinHandle<()>)>,
}

impl Progress {
    fn start(n_expected: Option<u64>, read: Arc<AtomicU64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: None, ticker: None };
        }
        let (bar, template) = match n_expected {
            Some(n) => (
                ProgressBar::new(n),
                "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} eta {eta}",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {binary_bytes} {binary_bytes_per_sec}"),
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the templates are constants"));
        let done = Arc::new(AtomicBool::new(false));
        let ticker = {
            let (bar, done) = (bar.clone(), Arc::clone(&done));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    bar.set_position(read.load(Ordering::Relaxed));
                    thread::park_timeout(Duration::from_millis(100));
                }
            })
        };
        Self { bar: Some(bar), ticker: Some((done, ticker)) }
    }

    fn finish(self) {
        if let Some((done, ticker)) = self.ticker {
            done.store(true, Ordering::Relaxed);
            ticker.thread().unpark();
            // It only draws; how it ended changes nothing.
            let _drawn = ticker.join();
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints alerts as they come and the summary behind them, so that memory does not grow with them.
struct Printer<'a> {
    also: Option<&'a mut dyn Sink>,
    out: BufWriter<io::Stdout>,
    output: Output,
    color: bool,
    bar: Option<ProgressBar>,
    n_alerts: u64,
}

impl<'a> Printer<'a> {
    fn new(output: Output, bar: Option<ProgressBar>, also: Option<&'a mut dyn Sink>) -> Self {
        // A bar and alerts on the same terminal take turns.
        let bar = bar.filter(|_| io::stdout().is_terminal());
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        Self { also, out, output, color: terminal::stdout_color(), bar, n_alerts: 0 }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.output {
            Output::Human => Ok(()),
            Output::Json => self.out.write_all(b"{\"alerts\":["),
        }
    }

    fn write(&mut self, alert: &Alert) -> io::Result<()> {
        match self.output {
            Output::Human => writeln!(self.out, "{}", report::human(alert, self.color)),
            Output::Json => {
                self.out.write_all(if self.n_alerts == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, &report::WireAlert::new(alert))?;
                Ok(())
            }
        }
    }

    fn end(&mut self, tally: &Tally, program: &engine::Program) -> io::Result<()> {
        match self.output {
            Output::Human => {
                if self.n_alerts > 0 {
                    writeln!(self.out)?;
                }
                self.out.write_all(summary::human(tally, program, self.color).as_bytes())?;
            }
            Output::Json => {
                self.out.write_all(b"\n],\"summary\":")?;
                serde_json::to_writer(&mut self.out, &summary::Wire::new(tally, program))?;
                self.out.write_all(b"}\n")?;
            }
        }
        self.out.flush()
    }
}

impl Sink for Printer<'_> {
    fn alert(&mut self, alert: &Alert, identity: Option<u128>) -> io::Result<()> {
        if let Some(also) = &mut self.also {
            also.alert(alert, identity)?;
        }
        match self.bar.clone() {
            Some(bar) => bar.suspend(|| {
                self.write(alert)?;
                self.out.flush()
            })?,
            None => self.write(alert)?,
        }
        self.n_alerts += 1;
        Ok(())
    }
}
