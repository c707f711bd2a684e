//! Hostile input, end to end through the libraries: bounded, counted, no panic, no wrong alert.
//!
//! Each test is one thing an attacker can do who writes log lines, or whoever supplies a rule file.
//! Beside each there is an honest attacker whose alert must come out all the same.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod hostile {
    mod lines;
    mod rules;
    mod sources;
    mod table;

    pub(crate) mod guard;
}
