//! The thread that brings a parent what is in the outbox.

use super::{
    Next, Outbox,
    parent::{Parent, Trouble},
};
use crate::{clock::SystemClock, terminal::quoted};
use acquis::Clock as _;
use std::time::Duration;
use tracing::{error, info, warn};

/// Alerts in one delivery.
const BATCH: usize = 50;

/// How long to wait after the first failure, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long deliveries may go on when the program ends.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// Delivers until the outbox is closed and empty, or [`FAREWELL`] after it was closed.
pub(crate) fn run(outbox: &Outbox, parent: &dyn Parent, clock: SystemClock) {
    let mut troubled = false;
    let mut pause = PAUSES.0;
    let mut deadline = None;
    loop {
        if outbox.is_closing() {
            let end = *deadline.get_or_insert_with(|| clock.monotonic().saturating_add(FAREWELL));
            if clock.monotonic() >= end {
                return farewell(outbox, parent);
            }
        }
        let batch = match outbox.next(parent.key(), BATCH, Duration::from_secs(1)) {
            Next::Batch(batch) => batch,
            Next::Nothing => {
                if outbox.is_troubled() {
                    outbox.sync();
                }
                continue;
            }
            Next::Closed => return,
        };
        match deliver(parent, &batch.alerts) {
            Ok(()) => {
                outbox.done(parent.key(), batch.end);
                if troubled {
                    info!(parent = parent.name(), "alerts are delivered again");
                }
                (troubled, pause) = (false, PAUSES.0);
            }
            Err(reason) => {
                if !troubled {
                    let reason = quoted(&reason);
                    warn!(parent = parent.name(), %reason, "alerts wait in the outbox");
                }
                troubled = true;
                if outbox.is_closing() {
                    return farewell(outbox, parent);
                }
                outbox.rest(pause);
                pause = pause.saturating_mul(2).min(PAUSES.1);
            }
        }
    }
}

fn farewell(outbox: &Outbox, parent: &dyn Parent) {
    let bytes = outbox.waiting(parent.key());
    if bytes > 0 {
        warn!(parent = parent.name(), bytes, "alerts stay in the outbox until the next start");
    }
}

/// Delivers a batch. What the parent will never take is lost, one by one and loudly; an error means
/// that the rest is to be tried again.
fn deliver(parent: &dyn Parent, alerts: &[String]) -> Result<(), String> {
    if alerts.is_empty() {
        return Ok(());
    }
    match parent.send(alerts) {
        Ok(()) => Ok(()),
        Err(Trouble::Later(reason)) => Err(reason),
        Err(Trouble::Never(reason)) => {
            if let [only] = alerts {
                let (reason, alert) = (quoted(&reason), quoted(only));
                error!(parent = parent.name(), %reason, %alert, "an alert was refused and is lost");
                return Ok(());
            }
            // Those that were taken before an error are recognized when they come again.
            alerts.chunks(1).try_for_each(|alert| deliver(parent, alert))
        }
    }
}
