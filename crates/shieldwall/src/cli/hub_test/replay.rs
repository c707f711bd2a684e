//! Runs the engine over a test's log.
//!
//! The lines are replayed: their own dates are the time. Overflows are settled as they happen, and
//! what is reprocessed goes back to the scenarios before the next line is read.

use super::results::{self, Recorder};
use engine::{
    Engine, Limits, Outside, Overflow, Pours, Program, Settler, observe::Observer, value::Value,
};
use model::{Line, LineSource, SourceId, Timestamp};
use std::sync::Arc;

/// How often an overflow may come back as an event before it is let go.
const MAX_ROUNDS: usize = 16;

/// What a run gave.
#[derive(Debug)]
pub(super) struct Run {
    /// `results` of parser assertions.
    pub(super) parsers: Value,
    /// `results` of scenario assertions.
    pub(super) scenarios: Value,
}

/// Whether anybody will ask what parsers did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Somebody will.
    Parsers,
    /// Nobody will, which is faster.
    ScenariosOnly,
}

/// Replays a log.
pub(super) fn replay(
    program: &Arc<Program>,
    outside: &Arc<dyn Outside>,
    source: LineSource,
    log: &[u8],
    now: Timestamp,
    watch: Watch,
) -> Run {
    let id = SourceId(0);
    let mut engine = Engine::new(Arc::clone(program), Arc::clone(outside), Limits::default(), 0);
    engine.parser.add_source(id, source);
    let mut settling = Settling {
        settler: Settler::new(Arc::clone(program), Arc::clone(outside)),
        recorder: Recorder::default(),
        pours: Pours::default(),
        settled: Vec::new(),
        now,
    };
    let mut pours = Pours::default();
    let mut overflows = Vec::new();
    for text in lines(log) {
        pours.clear();
        let observer: Option<&mut dyn Observer> = match watch {
            Watch::Parsers => Some(&mut settling.recorder),
            Watch::ScenariosOnly => None,
        };
        let line = Line { text, source: id, read_at: now };
        engine.parser.process_observed(line, now, &mut pours, observer, &mut |_| {});
        engine.buckets.pour_all(&pours, &mut overflows);
        settling.settle(&mut overflows, &mut engine);
    }
    Run { parsers: settling.recorder.into_value(), scenarios: results::overflows(settling.settled) }
}

/// What becomes of overflows.
struct Settling {
    settler: Settler,
    recorder: Recorder,
    pours: Pours,
    settled: Vec<(Overflow, Value)>,
    now: Timestamp,
}

impl Settling {
    fn settle(&mut self, overflows: &mut Vec<Overflow>, engine: &mut Engine) {
        for _ in 0..MAX_ROUNDS {
            if overflows.is_empty() {
                return;
            }
            for overflow in std::mem::take(overflows) {
                self.pours.clear();
                self.recorder.last = None;
                let observer: Option<&mut dyn Observer> = Some(&mut self.recorder);
                let settled =
                    self.settler.settle_observed(overflow, self.now, &mut self.pours, observer);
                let event = results::overflow_event(&settled, self.recorder.last.take());
                self.settled.push((settled, event));
                engine.pour(&self.pours, overflows);
            }
        }
        overflows.clear();
    }
}

/// The lines of a log as a one-shot reader gives them: without line ends, empty ones skipped.
fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn line_ends_go_and_empty_lines_with_them() {
        let log: Vec<&[u8]> = lines(b"one\r\n\r\n\n two \nthree").collect();
        assert_eq!(log, [b"one".as_slice(), b" two ", b"three"]);
    }
}
