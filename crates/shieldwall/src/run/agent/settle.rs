//! The thread that settles overflows: postoverflows, then the sink.
//!
//! Postoverflows may ask name servers, which must not keep lines waiting; that is why this is a
//! thread of its own. Overflows are settled in the order they happened.

use super::{
    Running,
    drive::Control,
    field,
    published::{Published, count},
};
use crate::{
    clock::SystemClock,
    run::{Flushed, Sink},
};
use acquis::Ack;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use engine::{Overflow, Pours, Settler};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tracing::{error, info};

/// How often to try to bring to safety what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// What the output's thread can be told.
pub(super) enum Settle {
    /// A bucket overflowed.
    Overflow(Box<Overflow>),
    /// The overflows of a batch were all sent before this.
    Batch(Ack),
    /// What follows comes from these rules, which have this number.
    Reload(u64, Running),
    /// Answer when everything before is settled.
    Ask,
}

/// Settles overflows and hands over alerts.
pub(super) struct Settling<'a> {
    settler: Settler,
    rules: Running,
    generation: u64,
    inbox: Receiver<Settle>,
    back: Sender<Control>,
    sink: &'a mut dyn Sink,
    /// Of batches whose alerts the sink took, and which are not safe yet.
    acks: Vec<Ack>,
    /// Whether something was poured again since the last batch.
    poured_again: bool,
    published: &'a Published,
}

impl<'a> Settling<'a> {
    pub(super) fn new(
        rules: &Running,
        inbox: Receiver<Settle>,
        back: Sender<Control>,
        sink: &'a mut dyn Sink,
        published: &'a Published,
    ) -> Self {
        let settler = new_settler(rules);
        Self {
            settler,
            rules: rules.clone(),
            generation: 0,
            inbox,
            back,
            sink,
            acks: Vec::new(),
            poured_again: false,
            published,
        }
    }

    /// Runs until the engine has ended, or nobody takes alerts any more: an error.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let settle = match self.inbox.try_recv() {
                Ok(settle) => settle,
                Err(_empty_or_ended) => {
                    // Between bursts, so that one write to the disk serves many alerts.
                    self.flush()?;
                    // Nothing is due while nothing is held back.
                    let wait = if self.acks.is_empty() { Duration::MAX } else { RETRY };
                    match self.inbox.recv_timeout(wait) {
                        Ok(settle) => settle,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            };
            match settle {
                Settle::Overflow(overflow) => self.settle(*overflow)?,
                Settle::Batch(ack) if std::mem::take(&mut self.poured_again) => {
                    let _engine_ended = self.back.send(Control::Again(ack));
                }
                Settle::Batch(ack) => self.acks.push(ack),
                Settle::Reload(generation, rules) => {
                    self.generation = generation;
                    self.settler = new_settler(&rules);
                    self.rules = rules;
                }
                Settle::Ask => {
                    self.flush()?;
                    let _engine_ended = self.back.send(Control::Settled);
                }
            }
        }
    }

    /// Brings alerts to safety, and tells the sources whose lines are done with that.
    ///
    /// INVARIANT: a batch is acknowledged only when every alert that came of it is safe, so a process
    /// that is killed reads the lines again whose alerts it lost.
    fn flush(&mut self) -> io::Result<()> {
        if self.sink.flush()? == Flushed::Safe {
            self.acks.drain(..).for_each(Ack::give);
        }
        Ok(())
    }

    fn settle(&mut self, overflow: Overflow) -> io::Result<()> {
        let mut pours = Pours::default();
        let spare = overflow.clone();
        let settled = catch_unwind(AssertUnwindSafe(|| {
            self.settler.settle(overflow, SystemClock::wall(), &mut pours)
        }));
        let settled = settled.unwrap_or_else(|_panic| {
            error!("a bug: an overflow made postoverflows panic; the alert goes out without them");
            self.settler = new_settler(&self.rules);
            pours = Pours::default();
            spare
        });
        if settled.whitelisted {
            let reason = field(&settled.whitelist_reason);
            info!(alert = %field(&settled.alert.message), %reason, "whitelisted");
        } else {
            let identity = settled.identity;
            for alert in settled.into_alerts() {
                count(&self.published.alerts);
                self.sink.alert(&alert, identity)?;
            }
        }
        if !pours.is_empty() {
            self.poured_again = true;
            let _engine_ended = self.back.send(Control::Pours(self.generation, pours));
        }
        Ok(())
    }
}

fn new_settler(rules: &Running) -> Settler {
    Settler::new(Arc::clone(&rules.program), Arc::clone(&rules.outside))
}
