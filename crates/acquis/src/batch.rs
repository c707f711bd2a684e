//! Batches of lines, and the bounded channel they travel on.
//!
//! A batch is one buffer and a list of ranges into it: handing over a thousand lines costs one
//! send and no allocation once the buffers have been round the pool. The consumer calls
//! [`Batch::ack`] when it is done with a batch; only then may the source remember the position
//! behind it. A batch that is dropped instead counts as never processed.
//!
//! INVARIANT: memory is bounded by (capacity of the channel + batches in work) × size of a batch
//! (I5). When the channel is full a source waits, which reaches the writer of a pipe or a TCP peer;
//! only UDP, which cannot be slowed, throws away and counts.

use crate::{
    context::{Clock, Counters, add, count},
    registry::Registry,
    transform::Transform,
};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use model::{Line, SourceId, Stamp, Timestamp};
use std::{fmt, ops::Range, sync::Arc};

/// A batch is handed over once it holds this much text. Large enough that the channel costs
/// nothing, small enough to stay in the second-level cache until the consumer has read it.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;

/// A batch is handed over once it holds this many lines.
pub(crate) const BATCH_LINES: usize = 4096;

/// Buffers the pool keeps. More in flight are possible; the surplus is freed.
const POOLED: usize = 16;

/// The consumer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes the lines any more")]
pub struct Closed;

/// Makes the channel between sources and their consumer, holding at most `n_batches`. When it is
/// full, senders wait.
#[must_use]
pub fn channel(n_batches: usize) -> (LineSink, Receiver<Batch>) {
    let (sender, receiver) = crossbeam_channel::bounded(n_batches.max(1));
    let (pool, counters) = (Arc::default(), Arc::default());
    let sink = LineSink { sender, pool, counters, transform: None };
    (sink, receiver)
}

/// Where a source hands over its lines.
#[derive(Clone)]
pub struct LineSink {
    sender: Sender<Batch>,
    pool: Arc<Pool>,
    counters: Arc<Counters>,
    transform: Option<(Transform, Registry)>,
}

impl LineSink {
    /// The same channel, counting for another source.
    #[must_use]
    pub fn with_counters(&self, counters: Arc<Counters>) -> Self {
        Self { counters, ..self.clone() }
    }

    /// The same channel, changing lines on their way. The registry knows where they come from.
    #[must_use]
    pub fn with_transform(&self, transform: Transform, registry: Registry) -> Self {
        Self { transform: Some((transform, registry)), ..self.clone() }
    }

    /// What went through this sink, and what the source that holds it did.
    #[must_use]
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// An empty batch, with buffers used before where there are some.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let buffers = self.pool.take();
        Batch { buffers, pool: Some(Arc::clone(&self.pool)), receipt: None, n_transformed: 0 }
    }

    /// Hands over `batch`, waiting while the channel is full. The wait is counted.
    ///
    /// # Errors
    /// When the consumer is gone; the batch is lost and was not acknowledged.
    pub fn send(&self, batch: Batch, clock: &dyn Clock) -> Result<(), Closed> {
        let sent = match self.try_send(batch) {
            Ok(()) => return Ok(()),
            Err(Refused::Closed) => return Err(Closed),
            Err(Refused::Full(batch)) => batch,
        };
        count(&self.counters.waits);
        let started = clock.monotonic();
        let (n_lines, n_bytes) = sent.size();
        let outcome = self.sender.send(sent);
        let waited = clock.monotonic().saturating_sub(started);
        add(&self.counters.waited_nanos, u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
        outcome.map_err(|_gone| Closed)?;
        self.count_sent(n_lines, n_bytes);
        Ok(())
    }

    /// Hands over `batch` if there is room for it now.
    pub(crate) fn try_send(&self, mut batch: Batch) -> Result<(), Refused> {
        if let Some((transform, registry)) = &self.transform {
            transform.apply(&mut batch, registry);
        }
        let (n_lines, n_bytes) = batch.size();
        match self.sender.try_send(batch) {
            Ok(()) => {
                self.count_sent(n_lines, n_bytes);
                Ok(())
            }
            Err(TrySendError::Full(batch)) => Err(Refused::Full(batch)),
            Err(TrySendError::Disconnected(_gone)) => Err(Refused::Closed),
        }
    }

    fn count_sent(&self, n_lines: u64, n_bytes: u64) {
        add(&self.counters.lines, n_lines);
        add(&self.counters.bytes, n_bytes);
    }
}

impl fmt::Debug for LineSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSink").field("queued", &self.sender.len()).finish_non_exhaustive()
    }
}

/// Why a batch was not taken at once.
pub(crate) enum Refused {
    Full(Batch),
    Closed,
}

/// Lines on their way to the engine.
#[derive(Default)]
pub struct Batch {
    buffers: Buffers,
    pool: Option<Arc<Pool>>,
    receipt: Option<Receipt>,
    /// Lines from the front that a [`Transform`] has seen: a batch may come by twice.
    n_transformed: usize,
}

#[derive(Default)]
struct Buffers {
    /// Only the ranges in `lines` mean anything; what lies between and behind is left over.
    text: Vec<u8>,
    lines: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    source: SourceId,
    read_at: Timestamp,
    stamp: Stamp,
}

impl Batch {
    /// An empty batch of its own, outside any pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one line.
    pub fn push(&mut self, line: Line<'_>) {
        self.push_stamped(line, Stamp::NONE);
    }

    /// Adds one line that would have the same stamp if it were read again.
    pub(crate) fn push_stamped(&mut self, line: Line<'_>, stamp: Stamp) {
        let start = self.buffers.text.len();
        self.buffers.text.extend_from_slice(line.text);
        self.push_range(start..self.buffers.text.len(), line.source, line.read_at);
        if let Some(span) = self.buffers.lines.last_mut() {
            span.stamp = stamp;
        }
    }

    /// Adds a line whose bytes are in the buffer already.
    pub(crate) fn push_range(&mut self, range: Range<usize>, source: SourceId, read_at: Timestamp) {
        // Sources hand over long before four gigabytes; a range that does not fit would be a bug,
        // and an empty line is the safe reading of it.
        let end = u32::try_from(range.end).unwrap_or_default();
        let start = u32::try_from(range.start).unwrap_or_default().min(end);
        self.buffers.lines.push(Span { start, end, source, read_at, stamp: Stamp::NONE });
    }

    /// The lines, in the order they were read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.buffers.lines.iter().map(|span| Line {
            text: &self.buffers.text[to_usize(span.start)..to_usize(span.end)],
            source: span.source,
            read_at: span.read_at,
        })
    }

    /// The lines, each with what tells it from all others.
    pub fn stamped(&self) -> impl ExactSizeIterator<Item = (Line<'_>, Stamp)> {
        self.iter().zip(self.buffers.lines.iter().map(|span| span.stamp))
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffers.lines.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffers.lines.is_empty()
    }

    /// Says that all lines were dealt with, whatever became of them. Without this the source reads
    /// them again after a restart.
    pub fn ack(self) {
        self.into_ack().give();
    }

    /// What is left of a batch whose lines were read: the duty to say so once what came of them is
    /// safe. The text is let go.
    pub fn into_ack(mut self) -> Ack {
        Ack(self.receipt.take())
    }

    /// Puts other lines in the place of each that was not asked about yet; `None` leaves a line as
    /// it is.
    pub(crate) fn transform(&mut self, mut made_of: impl FnMut(Line<'_>) -> Option<Vec<String>>) {
        let n_transformed = self.n_transformed.min(self.len());
        let spans = self.buffers.lines.split_off(n_transformed);
        for span in spans {
            let (source, read_at) = (span.source, span.read_at);
            let text = &self.buffers.text[to_usize(span.start)..to_usize(span.end)];
            match made_of(Line { text, source, read_at }) {
                None => self.buffers.lines.push(span),
                Some(made) => {
                    made.iter().zip(0..).for_each(|(text, number)| {
                        let line = Line { text: text.as_bytes(), source, read_at };
                        self.push_stamped(line, span.stamp.part(number));
                    });
                }
            }
        }
        self.n_transformed = self.len();
    }

    /// Whether the batch is large enough to be handed over.
    pub(crate) fn is_full(&self) -> bool {
        self.buffers.text.len() >= BATCH_BYTES || self.len() >= BATCH_LINES
    }

    /// The text buffer, for readers that fill it in place.
    pub(crate) const fn text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffers.text
    }

    pub(crate) fn expect_receipt(&mut self, receipt: Receipt) {
        self.receipt = Some(receipt);
    }

    fn size(&self) -> (u64, u64) {
        let n_bytes = self.buffers.lines.iter().map(|span| u64::from(span.end - span.start)).sum();
        (u64::try_from(self.len()).unwrap_or(u64::MAX), n_bytes)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.give(Verdict::Dropped);
        }
        if let Some(pool) = self.pool.take() {
            pool.put(std::mem::take(&mut self.buffers));
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("lines", &self.len()).finish_non_exhaustive()
    }
}

/// An acknowledgment that is still to be given. Dropped, it says that the lines were never dealt
/// with.
#[must_use = "dropping it makes the source read the lines again"]
pub struct Ack(Option<Receipt>);

impl Ack {
    /// Says that all lines of the batch were dealt with.
    pub fn give(mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.give(Verdict::Accepted);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.give(Verdict::Dropped);
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("is_due", &self.0.is_some()).finish()
    }
}

/// Tells the source what became of one of its batches.
pub(crate) struct Receipt {
    pub(crate) number: u64,
    /// Unbounded, but never longer than the number of batches in flight.
    pub(crate) reply: Sender<(u64, Verdict)>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Dropped,
}

impl Receipt {
    fn give(self, verdict: Verdict) {
        // A source that has ended no longer cares.
        let _ended = self.reply.send((self.number, verdict));
    }
}

/// Buffers that have been used and will be again.
struct Pool {
    give: Sender<Buffers>,
    take: Receiver<Buffers>,
}

impl Default for Pool {
    fn default() -> Self {
        // When it is full, returned buffers are freed.
        let (give, take) = crossbeam_channel::bounded(POOLED);
        Self { give, take }
    }
}

impl Pool {
    fn take(&self) -> Buffers {
        self.take.try_recv().unwrap_or_default()
    }

    fn put(&self, mut buffers: Buffers) {
        buffers.lines.clear();
        // One giant line must not pin its memory for ever.
        if buffers.text.capacity() <= 2 * BATCH_BYTES && buffers.lines.capacity() <= 4 * BATCH_LINES
        {
            buffers.text.clear();
            let _full = self.give.try_send(buffers);
        }
    }
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    fn line(text: &str) -> Line<'_> {
        Line { text: text.as_bytes(), source: SourceId(7), read_at: Timestamp::from_unix(1, 0) }
    }

    #[test]
    fn keeps_lines_in_order_and_reuses_buffers() {
        let (sink, receiver) = channel(2);
        let clock = FakeClock::default();
        for _round in 0..3 {
            let mut batch = sink.batch();
            batch.push(line("one"));
            batch.push(line(""));
            batch.push(line("three"));
            sink.send(batch, &clock).unwrap();
            let batch = receiver.recv().unwrap();
            let texts: Vec<_> = batch.iter().map(|line| line.text.to_vec()).collect();
            assert_eq!(texts, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
            assert!(batch.iter().all(|line| line.source == SourceId(7)));
        }
        let counts = sink.counters().read();
        assert_eq!((counts.lines, counts.bytes, counts.waits), (9, 24, 0));
        assert_eq!(sink.pool.take.len(), 1);
    }

    #[test]
    fn a_full_channel_is_visible() {
        let (sink, receiver) = channel(1);
        let clock = FakeClock::default();
        sink.send(sink.batch(), &clock).unwrap();
        assert!(matches!(sink.try_send(sink.batch()), Err(Refused::Full(_))));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| sink.send(sink.batch(), &clock));
            while sink.counters().read().waits == 0 {
                std::thread::yield_now();
            }
            drop(receiver.recv());
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        drop(receiver);
        assert_eq!(sink.send(sink.batch(), &clock), Err(Closed));
    }

    #[test]
    fn a_giant_buffer_is_not_kept() {
        let (sink, _receiver) = channel(1);
        let mut batch = sink.batch();
        batch.push(line(&"x".repeat(3 * BATCH_BYTES)));
        drop(batch);
        assert_eq!(sink.pool.take.len(), 0);
    }
}
