//! Lines from standard input, or from any descriptor that a pipe feeds.
//!
//! While the input is open the source waits for it in `poll(2)`, so that it can be stopped; it ends
//! with the input. Nothing is remembered: what a pipe delivered is gone.

use crate::{
    batch::LineSink,
    config::Common,
    context::{Context, SourceError, Stop, Wake},
    one_shot::{OneShot, Stamp},
};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

/// Settings of the source.
#[derive(Clone, Debug)]
pub struct StdinConfig {
    /// What all sources have.
    pub common: Common,
    /// The longest line handed over whole, in bytes.
    pub max_line: usize,
}

impl StdinConfig {
    /// Standard input with lines of up to one mebibyte.
    #[must_use]
    pub const fn new(common: Common) -> Self {
        Self { common, max_line: crate::file::MAX_LINE }
    }
}

/// Hands over the lines of standard input until it ends or stopping is asked for.
pub(crate) fn run(
    config: &StdinConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    let input = input.map_err(|error| SourceError::system("opening standard input", error))?;
    read(File::from(input), config, sink, context)
}

fn read(
    input: File,
    config: &StdinConfig,
    sink: &LineSink,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let system = |error| SourceError::system("reading standard input", error);
    let source = context.registry.register(config.common.line_source("stdin", "stdin"));
    let stop = context.stop.share().map_err(system)?;
    let stamp = Stamp { source, read_at: context.clock.now(), max_line: config.max_line };
    let input = Stoppable { input, stop };
    let mut lines = OneShot::live(input, stamp, Arc::clone(sink.counters())).map_err(system)?;
    loop {
        lines.set_read_at(context.clock.now());
        let mut batch = sink.batch();
        let more = lines.next_into(&mut batch).map_err(system)?;
        if !batch.is_empty() {
            sink.send(batch, context.clock)?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Ends when stopping is asked for.
struct Stoppable {
    input: File,
    stop: Stop,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stop.wait_for(&[self.input.as_fd()], Duration::from_secs(60)) {
                Wake::Stop => return Ok(0),
                Wake::Timeout => {}
                Wake::Ready(_) => return self.input.read(buffer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel,
        testing::{StopAtEnd, World},
    };
    use std::{io::Write, os::fd::OwnedFd, os::unix::net::UnixStream};

    #[test]
    fn lines_arrive_before_the_input_ends_and_stop_ends_it() {
        let world = World::new();
        let (sink, receiver) = channel(10);
        let (input, mut writer) = UnixStream::pair().unwrap();
        let config = StdinConfig::new(Common::default());
        std::thread::scope(|scope| {
            let input = File::from(OwnedFd::from(input));
            let _stop = StopAtEnd(&world.stop);
            let running = scope.spawn(|| read(input, &config, &sink, &world.context()));
            writer.write_all(b"one\nhalf").unwrap();
            let texts = |batch: crate::Batch| -> Vec<_> {
                batch.iter().map(|line| line.text.to_vec()).collect()
            };
            assert_eq!(texts(receiver.recv().unwrap()), [b"one"]);
            writer.write_all(b" done\n").unwrap();
            assert_eq!(texts(receiver.recv().unwrap()), [b"half done"]);
            world.stop.set();
            running.join().unwrap().unwrap();
        });
    }
}
