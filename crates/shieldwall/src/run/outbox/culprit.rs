//! Finding the alert over which a parent fails, so that it does not hold up all others for ever.
//!
//! A server error can mean that the server is ill, or that one alert makes it stumble: a profile
//! whose expression fails for it, say. Only the second is a reason to set an alert aside, so proof
//! is asked for: the same parent answers a heartbeat, *and* takes another alert, *and* fails over
//! this one once more after that. Where no alert gets through, nobody is held up by any of them, and
//! all of them wait.

use super::{
    Outbox, Position,
    parent::{Parent, Trouble},
};

/// How far ahead to look for an alert that gets through.
const AHEAD: usize = 200;

/// What a search found.
pub(super) struct Found {
    /// These are refused while others are taken; each with the parent's words.
    pub(super) refused: Vec<(String, String)>,
    /// An alert from behind the batch that the parent has now.
    pub(super) ahead: Option<String>,
}

/// Sends the alerts of a batch one by one. `Ok(None)`: nothing gets through, so nothing is proved. An
/// error: the parent is away.
pub(super) fn search(
    outbox: &Outbox,
    parent: &dyn Parent,
    alerts: &[String],
    end: Position,
) -> Result<Option<Found>, String> {
    if let Err(trouble) = parent.beat() {
        return Err(trouble.to_string());
    }
    let (mut suspects, mut is_proved, mut ahead) = (Vec::new(), false, None);
    for alert in alerts {
        match refusal(parent, alert)? {
            None => is_proved = true,
            Some(reason) => suspects.push((alert.clone(), reason)),
        }
    }
    if !is_proved {
        ahead = look_ahead(outbox, parent, end)?;
        is_proved = ahead.is_some();
    }
    if !is_proved {
        return Ok(None);
    }
    let mut refused = Vec::new();
    for (alert, _) in suspects {
        if let Some(reason) = refusal(parent, &alert)? {
            refused.push((alert, reason));
        }
    }
    Ok(Some(Found { refused, ahead }))
}

/// Why the parent does not take an alert; `None` if it does.
fn refusal(parent: &dyn Parent, alert: &String) -> Result<Option<String>, String> {
    match parent.send(std::slice::from_ref(alert)) {
        Ok(()) => Ok(None),
        Err(Trouble::Fault(reason) | Trouble::Never(reason)) => Ok(Some(reason)),
        Err(Trouble::Later(reason)) => Err(reason),
    }
}

/// The first alert behind a place that gets through.
fn look_ahead(
    outbox: &Outbox,
    parent: &dyn Parent,
    mut from: Position,
) -> Result<Option<String>, String> {
    let mut n_tried = 0;
    while n_tried < AHEAD
        && let Some(batch) = outbox.after(from, AHEAD - n_tried)
    {
        from = batch.end;
        n_tried += batch.alerts.len().max(1);
        for alert in batch.alerts {
            if refusal(parent, &alert)?.is_none() {
                return Ok(Some(alert));
            }
        }
    }
    Ok(None)
}
