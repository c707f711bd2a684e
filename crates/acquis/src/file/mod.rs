//! Log files: found by pattern, followed through rotation, resumed where the last run stopped.
//!
//! One thread follows all files of one source. Changes are noticed by inotify on the directories
//! and, because that is not always available or complete, by looking at every file at intervals.
//!
//! Reading order: `config`, `glob` (which files), `follow` (one file), `rotate` (where did it
//! go), `tail` (all files together), `watch` (when to look).

mod config;
mod follow;
mod glob;
mod rotate;
mod tail;
#[cfg(test)]
mod tests;
mod watch;

pub use config::{FileConfig, MAX_LINE, Noticing};

use crate::{
    batch::LineSink,
    config::Mode,
    context::{Context, SourceError},
    one_shot::{OneShot, Stamp},
};
use model::TimeMode;
use std::{sync::Arc, time::Duration};
use tail::Tailer;
use watch::{Changes, Watch};

/// After a busy moment: lets a few writes gather instead of waking for each.
const GATHER: Duration = Duration::from_millis(10);

/// Follows or reads the files of `config`.
pub(crate) fn run(
    config: &FileConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    match config.common.mode {
        Mode::Tail => follow(config, sink, context),
        Mode::Cat => read_once(config, sink, context),
    }
}

fn follow(config: &FileConfig, sink: &LineSink, context: &Context<'_>) -> Result<(), SourceError> {
    let mut watch = Watch::new(config.noticing);
    let mut tailer = Tailer::open(config, sink, *context)?;
    let mut changes = Changes::everything();
    while !context.stop.is_set() {
        tailer.step(&changes)?;
        watch.set_dirs(tailer.dirs());
        if !tailer.has_backlog() && context.stop.wait(GATHER) {
            break;
        }
        changes = if tailer.has_backlog() {
            Changes::everything()
        } else {
            watch.wait(context, tailer.needs_polling())
        };
    }
    tailer.finish()
}

fn read_once(
    config: &FileConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let paths = tail::matching(config)?;
    if paths.is_empty() {
        return Err(SourceError::Config(format!("no file matches {}", config.patterns.join(", "))));
    }
    for path in paths {
        // Old lines must be judged by their own dates, whatever the settings say.
        let mut source = config.common.line_source("file", &path.to_string_lossy());
        source.time_mode = TimeMode::Event;
        let stamp = Stamp {
            source: context.registry.register(source),
            read_at: context.clock.now(),
            max_line: config.max_line,
        };
        let mut input = OneShot::open(&path, stamp, Arc::clone(sink.counters()))?;
        loop {
            if context.stop.is_set() {
                return Ok(());
            }
            input.set_read_at(context.clock.now());
            let mut batch = sink.batch();
            let outcome = input.next_into(&mut batch);
            if !batch.is_empty() {
                sink.send(batch, context.clock)?;
            }
            if !outcome.map_err(|error| SourceError::file("reading", &path, error))? {
                break;
            }
        }
    }
    Ok(())
}
