//! Syslog messages: waits for the source.

/// Runs the target.
pub fn run(_data: &[u8]) {}
