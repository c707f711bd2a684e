//! Which batches were accepted, and so how far a position may be remembered.
//!
//! Each batch carries a numbered receipt; the marks that belong to it wait here. Marks are released
//! strictly in order, so a batch acknowledged early by one worker never moves the position past a
//! batch another worker still holds.
//!
//! INVARIANT: a mark is released only when its batch and all batches before it were acknowledged.

use crate::batch::{Batch, Receipt, Verdict};
use crossbeam_channel::{Receiver, Sender};
use std::{collections::VecDeque, time::Duration};

/// Batches under way, with what to remember once each is accepted.
pub(crate) struct Ledger<M> {
    reply: Sender<(u64, Verdict)>,
    replies: Receiver<(u64, Verdict)>,
    /// The number of the entry at the front.
    first: u64,
    entries: VecDeque<Entry<M>>,
    /// Set once a batch was dropped: positions stay where they are until the source restarts.
    frozen: bool,
}

struct Entry<M> {
    marks: M,
    accepted: bool,
}

impl<M> Ledger<M> {
    pub(crate) fn new() -> Self {
        let (reply, replies) = crossbeam_channel::unbounded();
        Self { reply, replies, first: 0, entries: VecDeque::new(), frozen: false }
    }

    /// Attaches a receipt to `batch`; `marks` is released once it is acknowledged.
    pub(crate) fn seal(&mut self, batch: &mut Batch, marks: M) {
        let number = self.push(marks, false);
        batch.expect_receipt(Receipt { number, reply: self.reply.clone() });
    }

    /// Queues `marks` that need no batch, behind those that do.
    pub(crate) fn pass(&mut self, marks: M) {
        self.push(marks, true);
    }

    /// Whether a batch was dropped without acknowledgment.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Releases the marks that have become safe, oldest first.
    pub(crate) fn settle(&mut self, mut release: impl FnMut(M)) {
        while let Ok(reply) = self.replies.try_recv() {
            self.note(reply);
        }
        while self.entries.front().is_some_and(|entry| entry.accepted) {
            let Some(entry) = self.entries.pop_front() else { break };
            self.first += 1;
            release(entry.marks);
        }
    }

    /// Waits until everything was acknowledged or dropped, or `limit` has passed.
    pub(crate) fn wait(&mut self, limit: Duration) {
        // The number of waits is bounded by the batches in flight, each with the whole limit: an
        // engine that still works through its queue is not cut short.
        while self.entries.iter().any(|entry| !entry.accepted) {
            match self.replies.recv_timeout(limit) {
                Ok(reply) => self.note(reply),
                Err(_late) => return,
            }
        }
    }

    fn push(&mut self, marks: M, accepted: bool) -> u64 {
        let number = self.first + u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        if self.frozen {
            // Nothing behind the dropped batch may ever be released.
            return u64::MAX;
        }
        self.entries.push_back(Entry { marks, accepted });
        number
    }

    fn note(&mut self, (number, verdict): (u64, Verdict)) {
        let Some(index) =
            number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        match verdict {
            Verdict::Accepted => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.accepted = true;
                }
            }
            Verdict::Dropped if index < self.entries.len() => {
                self.frozen = true;
                self.entries.truncate(index);
            }
            Verdict::Dropped => {}
        }
    }
}

/// How long an ending source waits for the consumer to take what it was given.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(ledger: &mut Ledger<u32>) -> Vec<u32> {
        let mut marks = Vec::new();
        ledger.settle(|mark| marks.push(mark));
        marks
    }

    #[test]
    fn marks_are_released_in_order() {
        let mut ledger = Ledger::new();
        let (mut one, mut two, mut three) = (Batch::new(), Batch::new(), Batch::new());
        ledger.seal(&mut one, 1);
        ledger.seal(&mut two, 2);
        ledger.pass(20);
        ledger.seal(&mut three, 3);
        two.ack();
        assert!(settled(&mut ledger).is_empty());
        one.ack();
        assert_eq!(settled(&mut ledger), [1, 2, 20]);
        three.ack();
        ledger.wait(Duration::from_secs(60));
        assert_eq!(settled(&mut ledger), [3]);
        assert!(ledger.entries.is_empty());
    }

    #[test]
    fn a_dropped_batch_holds_the_position() {
        let mut ledger = Ledger::new();
        let (mut one, mut two, mut three) = (Batch::new(), Batch::new(), Batch::new());
        ledger.seal(&mut one, 1);
        ledger.seal(&mut two, 2);
        ledger.seal(&mut three, 3);
        drop(two);
        three.ack();
        one.ack();
        assert_eq!(settled(&mut ledger), [1]);
        assert!(ledger.is_frozen());
        let mut four = Batch::new();
        ledger.seal(&mut four, 4);
        four.ack();
        assert!(settled(&mut ledger).is_empty());
        assert!(ledger.entries.is_empty());
    }
}
