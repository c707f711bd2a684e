//! The child process: started where the last run stopped, read until it ends or we stop.
//!
//! INVARIANT: the position kept is that of an entry whose lines were all accepted.

use super::{
    config::JournaldConfig,
    decode::{Decoder, FIELDS},
};
use crate::{
    batch::{Batch, LineSink},
    checkpoint::{JournalPosition, Section},
    config::Mode,
    context::{Context, SourceError, Wake, count},
    fingerprint::Fingerprint,
    ledger::{FAREWELL, Ledger},
    throttle::Throttle,
};
use jiff::tz::TimeZone;
use model::{Line, SourceId, Stamp};
use std::{
    io::{self, Read},
    os::fd::AsFd,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};
use tracing::warn;

const PROGRAM: &str = "journalctl";

/// How often acknowledged positions are looked after while nothing comes.
const IDLE: Duration = Duration::from_secs(1);

/// Longest message of the program kept for an error.
const MAX_COMPLAINT: usize = 256;

/// Follows the journal, or reads it once.
pub(crate) fn run(
    config: &JournaldConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let section = context.checkpoints.claim(&owner(config));
    let position = match config.common.mode {
        Mode::Cat => None,
        Mode::Tail => Some(section.journal().unwrap_or_else(|| {
            // Entries from now on. Kept at once, so that a restart before the first entry does not
            // begin later.
            let micros = context.clock.now().unix_nanos() / 1000;
            let since = u64::try_from(micros).unwrap_or_default();
            JournalPosition { cursor: None, since }
        })),
    };
    if let Some(position) = &position {
        section.store_journal(position.clone());
    }
    let child = start(config, position.as_ref())?;
    let source = context.registry.register(config.common.line_source("journalctl", &config.src()));
    let mut reader = Reader {
        config,
        sink,
        context,
        section,
        source,
        zone: TimeZone::system(),
        batch: sink.batch(),
        ledger: Ledger::new(),
        reached: None,
        n_entries: 0,
        complaint: String::new(),
        throttle: Throttle::default(),
    };
    let outcome = reader.read(child);
    reader.ledger.wait(FAREWELL);
    reader.settle();
    let (status, stopped) = outcome?;
    if !stopped && !status.success() && reader.n_entries == 0 {
        reader.doubt_cursor(position.as_ref());
    }
    context.checkpoints.save(context.clock);
    if stopped || (config.common.mode == Mode::Cat && status.success()) {
        return Ok(());
    }
    Err(SourceError::Ended {
        program: String::from(PROGRAM),
        status: status.to_string(),
        message: reader.complaint,
    })
}

/// The name of the position: two journal sources differ by what they select.
fn owner(config: &JournaldConfig) -> String {
    format!("{} {}", config.common.owner("journalctl"), config.filters.join(" "))
}

fn start(
    config: &JournaldConfig,
    position: Option<&JournalPosition>,
) -> Result<Child, SourceError> {
    let mut command = Command::new(PROGRAM);
    command.args(["--no-pager", "--quiet", "--output=export"]);
    command.arg(format!("--output-fields={FIELDS}"));
    match position {
        Some(JournalPosition { cursor: Some(cursor), .. }) => {
            command.args(["--follow", "--no-tail"]).arg(format!("--after-cursor={cursor}"));
        }
        Some(JournalPosition { cursor: None, since }) => {
            let since = format!("--since=@{}.{:06}", since / 1_000_000, since % 1_000_000);
            command.args(["--follow", "--no-tail"]).arg(since);
        }
        None => {
            command.args(config.since.iter().map(|since| format!("--since={since}")));
        }
    }
    command.args(&config.filters);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing { program: String::from(PROGRAM) },
        _ => SourceError::system(format!("starting {PROGRAM}"), error),
    })
}

/// Reads one run of the program.
struct Reader<'a> {
    config: &'a JournaldConfig,
    sink: &'a LineSink,
    context: &'a Context<'a>,
    section: Section<'a>,
    source: SourceId,
    zone: TimeZone,
    batch: Batch,
    ledger: Ledger<JournalPosition>,
    /// The last entry in the batch being filled.
    reached: Option<JournalPosition>,
    n_entries: u64,
    complaint: String,
    throttle: Throttle,
}

impl Reader<'_> {
    /// Reads until the program ends or stopping is asked for; tells how it ended and which.
    fn read(&mut self, child: Child) -> Result<(ExitStatus, bool), SourceError> {
        let mut child = Reaped(child);
        let (Some(mut stdout), Some(mut stderr)) = (child.0.stdout.take(), child.0.stderr.take())
        else {
            return Err(SourceError::system("reading", io::ErrorKind::BrokenPipe.into()));
        };
        let stopped = self.pump(&mut stdout, &mut stderr)?;
        self.flush()?;
        if stopped {
            // It may be gone already.
            let _gone = child.0.kill();
        }
        let waiting = |error| SourceError::system(format!("waiting for {PROGRAM}"), error);
        Ok((child.0.wait().map_err(waiting)?, stopped))
    }

    fn pump(
        &mut self,
        stdout: &mut ChildStdout,
        stderr: &mut ChildStderr,
    ) -> Result<bool, SourceError> {
        let reading = |error| SourceError::system(format!("reading from {PROGRAM}"), error);
        let mut decoder = Decoder::new(self.config.max_line);
        let mut chunk = vec![0; 64 * 1024];
        let mut stderr_open = true;
        loop {
            let limit = if self.batch.is_empty() { IDLE } else { Duration::ZERO };
            let inputs = [stdout.as_fd(), stderr.as_fd()];
            let inputs = if stderr_open { &inputs[..] } else { &inputs[..1] };
            let ready = match self.context.stop.wait_for(inputs, limit) {
                Wake::Stop => return Ok(true),
                Wake::Timeout => {
                    self.flush()?;
                    self.settle();
                    self.context.checkpoints.save_if_due(self.context.clock);
                    continue;
                }
                Wake::Ready(ready) => ready,
            };
            if ready.get(1) == Some(&true) {
                stderr_open = self.listen(stderr)?;
            }
            if ready.first() == Some(&true) {
                let n_read = stdout.read(&mut chunk).map_err(reading)?;
                if n_read == 0 {
                    while stderr_open {
                        stderr_open = self.listen(stderr)?;
                    }
                    return Ok(false);
                }
                self.take(&mut decoder, &chunk[..n_read]);
                if self.batch.is_full() {
                    self.flush()?;
                    self.settle();
                    self.context.checkpoints.save_if_due(self.context.clock);
                }
            }
        }
    }

    fn take(&mut self, decoder: &mut Decoder, bytes: &[u8]) {
        let read_at = self.context.clock.now();
        let (batch, source, zone) = (&mut self.batch, self.source, &self.zone);
        let (reached, n_entries) = (&mut self.reached, &mut self.n_entries);
        let counters = self.sink.counters();
        decoder.feed(bytes, |entry| {
            *n_entries += 1;
            if entry.cut {
                count(&counters.cut);
            }
            // A cursor names an entry of a journal for ever.
            let stamp = match Fingerprint::of(entry.cursor.as_bytes()) {
                Fingerprint { len: 0, .. } => Stamp::NONE,
                print => Stamp::of(print.hash),
            };
            let mut n_lines = 0;
            entry.lines(zone, |text| {
                batch.push_stamped(Line { text, source, read_at }, stamp.part(n_lines));
                n_lines += 1;
            });
            let cursor = (!entry.cursor.is_empty()).then(|| entry.cursor.clone());
            *reached = Some(JournalPosition { cursor, since: entry.received.saturating_add(1) });
        });
    }

    /// Reports what the program complains about; returns whether it may complain again.
    fn listen(&mut self, stderr: &mut ChildStderr) -> Result<bool, SourceError> {
        let mut chunk = [0; 1024];
        let n_read = stderr
            .read(&mut chunk)
            .map_err(|error| SourceError::system(format!("listening to {PROGRAM}"), error))?;
        if n_read == 0 {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&chunk[..n_read]);
        self.complaint = text.trim().chars().take(MAX_COMPLAINT).collect();
        if let Some(n) = self.throttle.report(self.context.clock.monotonic()) {
            warn!(program = PROGRAM, message = ?self.complaint, n, "complaint");
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        let Some(reached) = self.reached.take() else { return Ok(()) };
        if self.batch.is_empty() {
            self.ledger.pass(reached);
            return Ok(());
        }
        let mut batch = std::mem::replace(&mut self.batch, self.sink.batch());
        self.ledger.seal(&mut batch, reached);
        Ok(self.sink.send(batch, self.context.clock)?)
    }

    fn settle(&mut self) {
        let follows = self.config.common.mode == Mode::Tail;
        let section = &self.section;
        let mut last = None;
        self.ledger.settle(|position| last = Some(position));
        if let Some(position) = last.filter(|_| follows) {
            section.store_journal(position);
        }
    }

    /// A program that fails without showing anything may have been given a cursor it does not
    /// understand; the next run goes by time instead.
    fn doubt_cursor(&self, position: Option<&JournalPosition>) {
        if let Some(JournalPosition { cursor: Some(_), since }) = position {
            warn!("the position in the journal may be unusable, going on by time");
            self.section.store_journal(JournalPosition { cursor: None, since: *since });
        }
    }
}

/// A child that does not outlive its reader, whichever way that ends.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // Errors mean it is gone, which is what is wanted.
            let _gone = self.0.kill();
            let _reaped = self.0.wait();
        }
    }
}
