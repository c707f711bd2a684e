//! The agent: live sources in, alerts out, until told to stop.
//!
//! One thread per datasource, one that owns the engine, one that settles and prints what overflows
//! (name servers may keep it waiting), and the caller's, which listens to signals and tells now and
//! then how things are. Everything they say to each other goes through bounded channels; a full
//! one makes its sender wait, back to the source, which counts it.
//!
//! Shutdown goes the way of the lines: sources, engine, output, positions on disk.
//!
//! Reading order: this file, [`drive`] (the engine's thread), [`settle`] (the output's),
//! [`published`] (numbers for the others), [`window`] (numbers for monitoring).

mod drive;

mod published;

mod settle;

mod window;

use super::{Sink, notify::Notify};
use crate::{clock::SystemClock, terminal};
use acquis::{Checkpoints, Context, Counters, LineSink, Registry, Source, Stop};
use anyhow::{Context as _, Result, bail};
use crossbeam_channel::{Receiver, Sender};
use drive::{Control, Driver};
use engine::{Limits, Outside, Program};
use published::Published;
use settle::{Settle, Settling};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tracing::{error, info, warn};
use window::Reads;
pub(crate) use window::{Detail, Window};

/// Batches between the sources and the engine. When it is full, sources wait.
const LINES: usize = 8;

/// Overflows between the engine and the output. When it is full, the engine waits.
const OVERFLOWS: usize = 1024;

/// What rules run in.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) program: Arc<Program>,
    pub(crate) outside: Arc<dyn Outside>,
}

/// An agent with everything decided.
pub(crate) struct Agent<'a> {
    pub(crate) rules: Running,
    pub(crate) sources: Vec<Source>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) limits: Limits,
    /// How often to tell how things are.
    pub(crate) status_every: Duration,
    /// Takes the alerts.
    pub(crate) sink: &'a mut dyn Sink,
    /// Hears how things are.
    pub(crate) notify: &'a Notify,
    /// Whether nobody else tells it that this process is alive.
    pub(crate) is_alone: bool,
    /// Set once a signal says to stop.
    pub(crate) stopping: Arc<AtomicBool>,
    /// Shows others what is counted here.
    pub(crate) window: &'a Window,
    /// Compiles the rules anew; `None` keeps the old ones, and has said why.
    pub(crate) reload: &'a mut dyn FnMut() -> Option<Running>,
}

/// What the caller's thread waits for.
enum Event {
    Signal(i32),
    SourceEnded { failed: bool },
    OutputEnded(io::Result<()>),
}

impl Agent<'_> {
    /// Runs until the sources end or a signal says so.
    pub(crate) fn run(self) -> Result<()> {
        let Self { rules, sources, checkpoints, limits, status_every, .. } = self;
        let Self { sink, notify, is_alone, stopping, window, reload, .. } = self;
        if sources.is_empty() {
            bail!("no datasource is left to read from");
        }
        let clock = SystemClock::start();
        let stop = Stop::new().context("asking for a descriptor")?;
        let registry = Registry::new();
        let context =
            Context { clock: &clock, stop: &stop, registry: &registry, checkpoints: &checkpoints };
        let published = Published::default();
        let (events, happened) = crossbeam_channel::bounded(64);
        // The second request to stop does not wait for anything.
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopping))
                .context("listening for signals")?;
        }
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
        let signals_handle = signals.handle();

        let outcome = thread::scope(|scope| -> Result<()> {
            let signalled = events.clone();
            spawn(scope, "signals", move || {
                for signal in signals.forever() {
                    // Nobody listens any more only when everything ends anyway.
                    if signalled.send(Event::Signal(signal)).is_err() {
                        return;
                    }
                }
            })?;
            let (overflows, settled) = crossbeam_channel::bounded(OVERFLOWS);
            // Unbounded, but it never holds more than one answer per overflow in flight: were it
            // bounded too, the engine and the output could wait for each other.
            let (control, controlled) = crossbeam_channel::unbounded();
            let settling = Settling::new(&rules, settled, control.clone(), sink, &published);
            let ended = events.clone();
            spawn(scope, "output", move || {
                let outcome = settling.run();
                let _agent_ended = ended.send(Event::OutputEnded(outcome));
            })?;
            let (line_sink, lines) = acquis::channel(LINES);
            let driver = Driver::new(
                rules.clone(),
                limits,
                lines,
                controlled,
                overflows,
                &registry,
                &published,
            );
            spawn(scope, "engine", move || driver.run())?;

            let n_sources = sources.len();
            let shown = sources.clone();
            let counters = start_sources(scope, sources, &line_sink, context, &events)?;
            let reads = shown.iter().zip(&counters);
            let reads = reads.map(|(source, counters)| Reads::new(source, Arc::clone(counters)));
            window.open(control.clone(), reads.collect());
            // The engine ends when the last source has: nobody else may hold this.
            drop(line_sink);
            let watch = Watch {
                happened,
                control,
                published: &published,
                counters,
                clock,
                told: [0; N_TROUBLES],
                notify,
                pulse: notify.pulse().filter(|_| is_alone),
            };
            notify.ready();
            let outcome = watch.run(n_sources, status_every, reload, &stop, &stopping);
            signals_handle.close();
            window.close();
            outcome
        });
        checkpoints.save(&clock);
        outcome
    }
}

/// Starts a thread with a name.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn_scoped(scope, work).with_context(|| format!("starting the thread `{name}`"))
}

/// Starts a thread for each source; gives what they count.
fn start_sources<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    sources: Vec<Source>,
    sink: &LineSink,
    context: Context<'env>,
    events: &Sender<Event>,
) -> Result<Vec<Arc<Counters>>> {
    let mut all = Vec::with_capacity(sources.len());
    for (index, source) in sources.into_iter().enumerate() {
        let counters = Arc::<Counters>::default();
        let sink = sink.with_counters(Arc::clone(&counters));
        let events = events.clone();
        let name = format!("{}-{index}", source.module());
        spawn(scope, &name, move || {
            let failed = acquis::supervise(&source, &sink, &context).is_err();
            drop(sink);
            let _agent_ended = events.send(Event::SourceEnded { failed });
        })?;
        all.push(counters);
    }
    Ok(all)
}

/// What the caller's thread does while the others work.
struct Watch<'a> {
    happened: Receiver<Event>,
    control: Sender<Control>,
    published: &'a Published,
    counters: Vec<Arc<Counters>>,
    clock: SystemClock,
    /// What was told of each trouble so far.
    told: [u64; N_TROUBLES],
    notify: &'a Notify,
    /// How often to say that this process is alive.
    pulse: Option<Duration>,
}

/// Kinds of trouble that [`Watch::status`] tells about.
const N_TROUBLES: usize = 10;

impl Watch<'_> {
    fn run(
        mut self,
        n_sources: usize,
        status_every: Duration,
        reload: &mut dyn FnMut() -> Option<Running>,
        stop: &Stop,
        stopping: &AtomicBool,
    ) -> Result<()> {
        use acquis::Clock as _;
        let (mut n_running, mut n_failed) = (n_sources, 0);
        let mut output = None;
        let mut next_status = self.clock.monotonic().saturating_add(status_every);
        while n_running > 0 || output.is_none() {
            let mut wait = next_status.saturating_sub(self.clock.monotonic());
            if let Some(pulse) = self.pulse {
                self.notify.alive();
                wait = wait.min(pulse);
            }
            match self.happened.recv_timeout(wait) {
                Ok(Event::Signal(SIGHUP)) => {
                    info!("reloading rules");
                    self.notify.reloading();
                    match reload() {
                        Some(rules) => {
                            info!(program = %rules.program.describe(), "rules reloaded");
                            let _engine_ended = self.control.send(Control::Reload(rules));
                        }
                        None => error!("the new rules are not used, the old ones stay"),
                    }
                    self.notify.ready();
                }
                Ok(Event::Signal(_)) => {
                    info!("stopping");
                    self.notify.stopping();
                    stopping.store(true, Ordering::SeqCst);
                    stop.set();
                }
                Ok(Event::SourceEnded { failed }) => {
                    n_running -= 1;
                    n_failed += usize::from(failed);
                }
                Ok(Event::OutputEnded(outcome)) => {
                    output = Some(outcome);
                    stop.set();
                }
                Err(_nothing_happened) if self.clock.monotonic() < next_status => {}
                Err(_nothing_happened) => {
                    self.status();
                    next_status = self.clock.monotonic().saturating_add(status_every);
                }
            }
        }
        self.status();
        output.unwrap_or(Ok(())).context("writing alerts")?;
        if n_failed == n_sources {
            bail!("every datasource failed");
        }
        Ok(())
    }

    /// Says in one line how things are.
    fn status(&mut self) {
        let mut sum = acquis::Counts::default();
        for counters in &self.counters {
            let counts = counters.read();
            sum.lines += counts.lines;
            sum.cut += counts.cut;
            sum.waits += counts.waits;
            sum.waited_nanos = sum.waited_nanos.saturating_add(counts.waited_nanos);
            sum.shed += counts.shed;
            sum.malformed += counts.malformed;
            sum.restarts += counts.restarts;
            sum.lost_positions += counts.lost_positions;
            sum.unreadable += counts.unreadable;
        }
        let now = self.published.read();
        info!(
            lines = sum.lines,
            parsed = now.parsed,
            unparsed = now.lines.saturating_sub(now.parsed),
            whitelisted = now.whitelisted,
            buckets = now.buckets,
            alerts = now.alerts,
            waits = sum.waits,
            waited_ms = sum.waited_nanos / 1_000_000,
            shed = sum.shed,
            "status"
        );
        let trouble: [(u64, &'static str); N_TROUBLES] = [
            (sum.shed, "messages were thrown away because detection is behind"),
            (sum.cut, "lines were longer than the limit and were cut"),
            (sum.malformed, "messages were malformed"),
            (sum.restarts, "restarts of datasources"),
            (sum.lost_positions, "files changed beyond recognition; lines may be missing"),
            (sum.unreadable, "files could not be read"),
            (now.undated, "lines carried no date and could not be poured"),
            (now.errors, "expressions of rules failed"),
            (now.evicted, "buckets were dropped because there were too many"),
            (now.panics, "lines met a bug of ours and were skipped"),
        ];
        for ((total, what), told) in trouble.into_iter().zip(&mut self.told) {
            // Said again only when there is more of it.
            if total > *told {
                warn!(n = total - *told, total, "{what}");
                *told = total;
            }
        }
    }
}

/// Text of a log or a rule as a field.
fn field(text: &str) -> String {
    terminal::quoted(text)
}
