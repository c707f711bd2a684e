//! Where a test with many threads plays: when they may go on, and what is known to be true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Numbers that are the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }
}

/// Something that is so or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// An alert of this number is stored.
    Alert(u64),
    /// A decision about this address is in force.
    Decided(String),
    /// A machine of this name is registered.
    Machine(String),
    /// This key opens the door for bouncers.
    Key(String),
    /// This address is allowlisted.
    Allowed(String),
}

/// What the threads share.
#[derive(Default)]
pub(crate) struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Where the server listens, while it runs and was checked.
    address: Option<String>,
    /// No new work is begun.
    is_winding_down: bool,
    /// Everything ends, also what is not done.
    is_over: bool,
    facts: BTreeMap<Fact, bool>,
    fresh: BTreeSet<Fact>,
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a server; `None` when all is over.
    pub(crate) fn address(&self) -> Option<String> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(address) = &state.address {
                return Some(address.clone());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn open(&self, address: &str) {
        self.lock().address = Some(address.to_owned());
        self.changed.notify_all();
    }

    /// The server at this address is gone.
    pub(crate) fn shut(&self, address: &str) {
        let mut state = self.lock();
        if state.address.as_deref() == Some(address) {
            state.address = None;
        }
    }

    /// Waits a moment, or until all is over.
    pub(crate) fn pause(&self, millis: u64) {
        let wait = Duration::from_millis(millis);
        let over = |state: &mut State| !state.is_over;
        let _waited = self.changed.wait_timeout_while(self.lock(), wait, over);
    }

    pub(crate) fn wind_down(&self) {
        self.lock().is_winding_down = true;
    }

    pub(crate) fn is_winding_down(&self) -> bool {
        let state = self.lock();
        state.is_winding_down || state.is_over
    }

    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// This was acknowledged.
    pub(crate) fn known(&self, fact: Fact, is_so: bool) {
        let mut state = self.lock();
        state.fresh.insert(fact.clone());
        state.facts.insert(fact, is_so);
    }

    /// Somebody is about to change this.
    pub(crate) fn unknown(&self, fact: &Fact) {
        self.lock().facts.remove(fact);
    }

    /// What was acknowledged since the last time.
    pub(crate) fn fresh(&self) -> Vec<(Fact, bool)> {
        let mut state = self.lock();
        let fresh = std::mem::take(&mut state.fresh);
        fresh.into_iter().filter_map(|fact| state.facts.get_key_value(&fact)).map(owned).collect()
    }

    /// Whether this still counts as known.
    pub(crate) fn still(&self, fact: &Fact, is_so: bool) -> bool {
        self.lock().facts.get(fact) == Some(&is_so)
    }

    pub(crate) fn facts(&self) -> Vec<(Fact, bool)> {
        self.lock().facts.iter().map(owned).collect()
    }
}

fn owned((fact, is_so): (&Fact, &bool)) -> (Fact, bool) {
    (fact.clone(), *is_so)
}

/// Ends everything when dropped, so that a failed assertion ends the test and does not hang it.
pub(crate) struct Curtain<'a>(pub(crate) &'a Stage);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Ends everything when its thread panics.
pub(crate) struct OnPanic<'a>(pub(crate) &'a Stage);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}
