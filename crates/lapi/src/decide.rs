//! The seams to profiles and to those who want to hear what was decided.
//!
//! [`History`] is `engine::profile::History` once more, and the binary has four lines of adapter.
//! That is the price of an edge that does not know the engine: with the engine's trait here, each
//! change of an expression would compile this crate anew, and "the API evaluates nothing" would be
//! a wish instead of a missing arrow in the map of crates.

use std::time::Duration;

use model::{Alert, Decision, NewDecision, Timestamp};

/// What profiles made of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// What is decided.
    pub decisions: Vec<NewDecision>,
    /// The profiles that matched, by their place: those whose notifications are due.
    pub matched: Vec<usize>,
    /// The name of the profile whose decisions these are.
    pub profile: Option<String>,
}

/// Decides about alerts. Called on a thread that may block.
pub trait Decide: Send + Sync + 'static {
    /// What is decided about `alert`.
    ///
    /// # Errors
    /// When a profile cannot be evaluated and says nothing about that; the request is refused.
    fn decide(
        &self,
        alert: &Alert,
        history: &dyn History,
        now: Timestamp,
    ) -> Result<Decided, String>;
}

/// What is known of earlier decisions about a value. An answer may take a look into the database.
pub trait History: Send + Sync {
    /// How many decisions there ever were, as far as they are still stored.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn decisions(&self, value: &str) -> Result<u64, String>;

    /// How many of them were made after an instant.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn decisions_since(&self, value: &str, since: Timestamp) -> Result<u64, String>;

    /// How many of them are in force.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn active_decisions(&self, value: &str) -> Result<u64, String>;

    /// How long the longest of those in force lasts from now on; zero without any.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn active_time_left(&self, value: &str) -> Result<Duration, String>;
}

/// Decides nothing: alerts are kept, decisions come from people alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Decide for Nothing {
    fn decide(&self, _: &Alert, _: &dyn History, _: Timestamp) -> Result<Decided, String> {
        Ok(Decided::default())
    }
}

/// Hears what was stored and what was ended: notifications, the central API. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// An alert was stored with its decisions; `matched` are the profiles that matched.
    fn stored(&self, alert: &store::NewAlert, matched: &[usize]);

    /// People ended decisions.
    fn ended(&self, decisions: &[Decision]);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn stored(&self, _: &store::NewAlert, _: &[usize]) {}

    fn ended(&self, _: &[Decision]) {}
}
