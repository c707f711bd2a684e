//! Datasources: files, journald, a syslog server and standard input become batches of lines.
//!
//! This edge hides everything about where text comes from: rotation, reconnection, framing,
//! positions on disk. What leaves it is a [`Batch`] of [`model::Line`]s on a bounded channel. It
//! never looks for meaning in a line, and it never drops one silently: whatever is shed, cut or
//! given up is counted in [`Counters`].
//!
//! Each source runs on one thread that the caller owns and joins; there is no async here, because
//! no source needs it. A source waits in `poll(2)` on its own descriptors and on [`Stop`].
//!
//! Reading order: [`batch`] (what leaves), [`transform`] (what lines become), `ledger` (what was accepted), [`checkpoint`] (what is
//! remembered), then one directory per source, each with `config, run, decode, tests` where it has
//! them, and [`mod@supervise`].

pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod context;
pub mod file;
pub mod journald;
pub mod one_shot;
pub mod registry;
pub mod stdin;
pub mod supervise;
pub mod syslog;
pub mod transform;

mod fingerprint;
mod ledger;
mod throttle;

#[cfg(test)]
mod testing;

pub use batch::{Ack, Batch, Closed, LineSink, channel};
pub use checkpoint::Checkpoints;
pub use config::{Common, Mode, Source};
pub use context::{Clock, Context, Counters, Counts, Retry, SourceError, Stop};
pub use one_shot::{OneShot, read_all};
pub use registry::Registry;
pub use supervise::supervise;
pub use transform::Transform;

/// Runs one datasource until `context.stop` fires or, where it reads once, until its input ends.
///
/// Lines are handed to `sink` in order. Positions are kept only for batches that the consumer
/// acknowledged, so a crash repeats lines and never skips any; an orderly stop does neither.
///
/// # Errors
/// When the world refuses; [`SourceError::retry`] says whether trying again can help.
pub fn run(source: &Source, sink: &LineSink, context: &Context<'_>) -> Result<(), SourceError> {
    let transforming;
    let sink = match &source.common().transform {
        None => sink,
        Some(transform) => {
            transforming = sink.with_transform(transform.clone(), context.registry.clone());
            &transforming
        }
    };
    match source {
        Source::File(config) => file::run(config, sink, context),
        Source::Journald(config) => journald::run(config, sink, context),
        Source::Syslog(config) => syslog::run(config, sink, context),
        Source::Stdin(config) => stdin::run(config, sink, context),
    }
}
