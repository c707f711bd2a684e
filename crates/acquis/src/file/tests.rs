//! Stories of single files, the tailer against a naive model, and one run with real notification.

mod model_test;
mod stories;

use super::{FileConfig, tail::Tailer, watch::Changes};
use crate::{Batch, Checkpoints, Common, LineSink, channel, testing::World};
use crossbeam_channel::Receiver;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// A directory of logs, a place for positions, and what a consumer received.
struct Bench {
    dir: tempfile::TempDir,
    config: FileConfig,
    sink: LineSink,
    receiver: Receiver<Batch>,
    world: World,
}

impl Bench {
    /// A source with `patterns` below an empty directory.
    fn new(patterns: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let full = |pattern: &&str| logs.join(pattern).display().to_string();
        let config = FileConfig::new(Common::default(), patterns.iter().map(full).collect());
        let (sink, receiver) = channel(10_000);
        let world = World::with(Checkpoints::open(&dir.path().join("positions")).unwrap());
        Self { dir, config, sink, receiver, world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn tailer(&self) -> Tailer<'_> {
        Tailer::open(&self.config, &self.sink, self.world.context()).unwrap()
    }

    /// The lines that came since the last call, acknowledged.
    fn received(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for batch in self.receiver.try_iter() {
            lines.extend(batch.iter().map(|line| String::from_utf8_lossy(line.text).into_owned()));
            batch.ack();
        }
        lines
    }

    /// One step a second later, and what came of it.
    fn step(&self, tailer: &mut Tailer<'_>) -> Vec<String> {
        self.world.clock.advance(Duration::from_secs(1));
        tailer.step(&Changes::everything()).unwrap();
        self.received()
    }

    /// Forgets what was not written to disk, as a killed process does.
    fn forget(&mut self) {
        self.world = World::with(Checkpoints::open(&self.dir.path().join("positions")).unwrap());
    }
}

fn append(path: &Path, text: &str) {
    writer(path).write_all(text.as_bytes()).unwrap();
}

fn writer(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}
