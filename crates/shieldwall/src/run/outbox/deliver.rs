//! The thread that brings a parent what is in the outbox.

use super::{
    Batch, Next, Outbox, culprit,
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

/// After so many failures in a row over the same alerts, the one that is to blame is looked for.
const FAULTS: u32 = 5;

/// How long deliveries may go on when the program ends.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// Delivers until the outbox is closed and empty, or [`FAREWELL`] after it was closed.
pub(crate) fn run(outbox: &Outbox, parent: &dyn Parent, clock: SystemClock) {
    let mut troubled = false;
    let mut pause = PAUSES.0;
    let mut deadline = None;
    let mut n_faults = 0;
    // What was taken out of its turn; others than ours would store it twice.
    let mut ahead: Vec<String> = Vec::new();
    loop {
        if outbox.is_closing() {
            let end = *deadline.get_or_insert_with(|| clock.monotonic().saturating_add(FAREWELL));
            if clock.monotonic() >= end {
                return farewell(outbox, parent);
            }
        }
        let mut batch = match outbox.next(parent.key(), BATCH, Duration::from_secs(1)) {
            Next::Batch(batch) => batch,
            Next::Nothing => {
                if outbox.is_troubled() {
                    outbox.sync();
                }
                continue;
            }
            Next::Closed => return,
        };
        if !ahead.is_empty() {
            batch.alerts.retain(|alert| match ahead.iter().position(|taken| taken == alert) {
                Some(index) => {
                    ahead.swap_remove(index);
                    false
                }
                None => true,
            });
        }
        let outcome = match deliver(outbox, parent, &batch.alerts) {
            Err(Failure::Fault(reason)) => {
                n_faults += 1;
                if n_faults >= FAULTS && !outbox.is_closing() {
                    blame(outbox, parent, &batch, reason, &mut ahead)
                } else {
                    Err(reason)
                }
            }
            Err(Failure::Away(reason)) => {
                n_faults = 0;
                Err(reason)
            }
            Ok(()) => Ok(()),
        };
        match outcome {
            Ok(()) => {
                n_faults = 0;
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

/// Why a batch is not delivered.
enum Failure {
    /// The parent is not there, or has no room; or what it refused cannot be set aside.
    Away(String),
    /// The parent failed over it.
    Fault(String),
}

/// Delivers a batch. What the parent will never take is set aside, one by one and loudly; an error
/// means that the rest is to be tried again.
fn deliver(outbox: &Outbox, parent: &dyn Parent, alerts: &[String]) -> Result<(), Failure> {
    if alerts.is_empty() {
        return Ok(());
    }
    match parent.send(alerts) {
        Ok(()) => Ok(()),
        Err(Trouble::Later(reason)) => Err(Failure::Away(reason)),
        Err(Trouble::Fault(reason)) => Err(Failure::Fault(reason)),
        Err(Trouble::Never(reason)) => {
            if let [only] = alerts {
                let refused = [(only.clone(), reason)];
                return set_aside(outbox, parent, &refused).map_err(Failure::Away);
            }
            // Those that were taken before an error are recognized when they come again.
            alerts.chunks(1).try_for_each(|alert| deliver(outbox, parent, alert))
        }
    }
}

/// Looks for the alerts a parent fails over and sets them aside. `Ok`: the batch is done with.
fn blame(
    outbox: &Outbox,
    parent: &dyn Parent,
    batch: &Batch,
    reason: String,
    ahead: &mut Vec<String>,
) -> Result<(), String> {
    let found = culprit::search(outbox, parent, &batch.alerts, batch.end)?;
    // Nothing gets through: the parent is ill, and everything waits.
    let Some(found) = found else { return Err(reason) };
    ahead.extend(found.ahead);
    set_aside(outbox, parent, &found.refused)
}

/// Sets refused alerts aside and says so. An error: they cannot be written, and so are kept.
fn set_aside(
    outbox: &Outbox,
    parent: &dyn Parent,
    refused: &[(String, String)],
) -> Result<(), String> {
    if refused.is_empty() {
        return Ok(());
    }
    let alerts: Vec<String> = refused.iter().map(|(alert, _)| alert.clone()).collect();
    let file = outbox.set_aside(parent.key(), &alerts).map_err(|error| format!("{error:#}"))?;
    for (alert, reason) in refused {
        let (reason, alert) = (quoted(reason), quoted(alert));
        error!(
            parent = parent.name(), %reason, %alert, file = %file.display(),
            "an alert was refused and is set aside; to send it again, rename the file to \
             `again.jsonl` and restart"
        );
    }
    Ok(())
}
