//! Parents: local APIs that are sent alerts, in this process or somewhere else.

use std::fmt;

/// Somebody who takes alerts.
pub(crate) trait Parent: Send + Sync {
    /// What people call it: its address, or `this process`.
    fn name(&self) -> &str;

    /// What its position in the outbox is filed under: letters, digits and dashes.
    fn key(&self) -> &str;

    /// Delivers alerts, each in the API's JSON. They may be known already.
    ///
    /// # Errors
    /// When the parent does not have all of them now.
    fn send(&self, alerts: &[String]) -> Result<(), Trouble>;

    /// Says that this agent is alive.
    ///
    /// # Errors
    /// When the parent did not hear it.
    fn beat(&self) -> Result<(), Trouble>;

    /// Deletes this machine there, where it was made for this run only.
    ///
    /// # Errors
    /// When the parent did not do so.
    fn leave(&self) -> Result<(), Trouble> {
        Ok(())
    }
}

/// Why a parent did not take what it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is away, does not let us in yet, or has no room: what was given is to be kept.
    Later(String),
    /// It answers, and failed over what it was given. One of the alerts may be to blame.
    Fault(String),
    /// It will never take this.
    Never(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(text) | Self::Fault(text) | Self::Never(text) => f.write_str(text),
        }
    }
}
