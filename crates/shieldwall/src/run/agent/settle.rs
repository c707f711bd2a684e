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
use crate::{clock::SystemClock, run::Sink};
use crossbeam_channel::{Receiver, Sender};
use engine::{Overflow, Pours, Settler};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tracing::{error, info};

/// What the output's thread can be told.
pub(super) enum Settle {
    /// A bucket overflowed.
    Overflow(Box<Overflow>),
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
        Self { settler, rules: rules.clone(), generation: 0, inbox, back, sink, published }
    }

    /// Runs until the engine has ended, or nobody takes alerts any more: an error.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let settle = match self.inbox.try_recv() {
                Ok(settle) => settle,
                Err(_empty_or_ended) => {
                    // Between bursts, so that one write to the disk serves many alerts.
                    self.sink.flush()?;
                    let Ok(settle) = self.inbox.recv() else { return Ok(()) };
                    settle
                }
            };
            match settle {
                Settle::Overflow(overflow) => self.settle(*overflow)?,
                Settle::Reload(generation, rules) => {
                    self.generation = generation;
                    self.settler = new_settler(&rules);
                    self.rules = rules;
                }
                Settle::Ask => {
                    self.sink.flush()?;
                    let _engine_ended = self.back.send(Control::Settled);
                }
            }
        }
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
            for alert in settled.into_alerts() {
                count(&self.published.alerts);
                self.sink.alert(&alert)?;
            }
        }
        if !pours.is_empty() {
            let _engine_ended = self.back.send(Control::Pours(self.generation, pours));
        }
        Ok(())
    }
}

fn new_settler(rules: &Running) -> Settler {
    Settler::new(Arc::clone(&rules.program), Arc::clone(&rules.outside))
}
