//! The systemd journal, read through `journalctl`.
//!
//! The journal's file format is private to systemd, so its own program reads it. It is asked for
//! the export format, which is lossless and has no limit on the length of a message, and the line
//! that its default output would show is rebuilt here: parsers for syslog lines know that form. The
//! export format also carries a cursor for each entry; it is kept on disk, so no entry is lost or
//! read twice over an orderly restart.
//!
//! Reading order: `config`, `decode` (bytes to entries to lines), `run` (the child process).

mod config;
mod decode;
mod run;
#[cfg(test)]
mod tests;

pub use config::JournaldConfig;
pub(crate) use run::run;
