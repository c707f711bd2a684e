//! Tells every parent each minute that this agent is alive.

use super::outbox::parent::Parent;
use crate::terminal::quoted;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::{sync::Arc, time::Duration};
use tracing::{info, warn};

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Runs until the other end of `stop` is dropped. The first beat comes at once: it shows whether
/// the parent lets us in.
pub(crate) fn run(parents: &[Arc<dyn Parent>], stop: &Receiver<()>) {
    let mut silent = vec![false; parents.len()];
    loop {
        for (parent, silent) in parents.iter().zip(&mut silent) {
            match parent.beat() {
                Ok(()) => {
                    if std::mem::take(silent) {
                        info!(parent = parent.name(), "heard again");
                    }
                }
                Err(trouble) => {
                    if !std::mem::replace(silent, true) {
                        let reason = quoted(&trouble.to_string());
                        warn!(parent = parent.name(), %reason, "not heard; trying each minute");
                    }
                }
            }
        }
        match stop.recv_timeout(EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
