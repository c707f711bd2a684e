//! Moves what was committed from the log into the database, beside the writer.
//!
//! Left to SQLite, the commit that fills the log pays for all before it: some hundred milliseconds
//! in which nobody's alert is acknowledged. A passive checkpoint waits for nobody and nobody waits
//! for it. The writer's own, at sixteen times the usual size, stays as a bound for the log.

use std::{
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;

use crate::{Error, error::classify, schema};

/// From one look to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread; ends when dropped.
pub(crate) struct Checkpoints {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(crate) fn start(path: &Path) -> Result<Self, Error> {
        let conn = schema::open_checkpointer(path);
        let conn = conn.map_err(|error| classify(&path.display(), &error.into()))?;
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&conn, &stopped))
            .map_err(|error| Error::Unusable {
                database: path.display().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(conn: &Connection, stopped: &mpsc::Receiver<()>) {
    let mut last = None;
    while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        // Whatever goes wrong here goes wrong for the writer too, which says so; the log waits.
        let version: Option<i64> = conn.query_row("PRAGMA data_version", [], |row| row.get(0)).ok();
        if version != last {
            last = version;
            drop(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        }
    }
}
