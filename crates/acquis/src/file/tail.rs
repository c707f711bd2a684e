//! All files of one source together: finds them, reads them in turn, remembers positions.
//!
//! [`Tailer::step`] does everything that can be done now and returns; it never waits except for the
//! consumer. So a test drives it as well as a thread does. `discover` finds the files.
//!
//! What is read where:
//! * a file with a remembered position goes on there, wherever it was moved meanwhile;
//! * at the first start, files are read from their end: their lines are old news;
//! * files that appear later are read from their start, and so are files that must have appeared
//!   while nobody was looking (the pattern was watched before, and the file is not remembered);
//! * a copy made by copy-and-truncate is not news, but what the truncation cut off is read from it.
//!
//! INVARIANT: over orderly restarts, each complete line of a file that was seen is handed over
//! exactly once, as long as it stays on the disk in plain text. What is not: lines cut off by a
//! truncation that no copy precedes, files deleted or compressed while nobody was looking (counted
//! as lost positions), and files that came and went between two looks under a name no pattern
//! matches. After a crash, lines since the last saved position repeat.

mod discover;

pub(super) use discover::matching;

use super::{
    config::FileConfig,
    follow::{CHUNK, FileId, Follow, FollowId, Opening, Place, PourLimits, Poured},
    glob::Glob,
    rotate,
    watch::Changes,
};
use crate::{
    batch::{Batch, LineSink},
    checkpoint::{FilePosition, FilePositions, Mark, Section, StoredPath},
    context::{Context, SourceError, count},
    ledger::{FAREWELL, Ledger},
    throttle::Throttle,
};
use discover::{Unknown, globs};
use model::Stamp;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tracing::{info, warn};

/// Chunks read from one file before the next gets its turn.
const CHUNKS_PER_TURN: usize = 4;

/// Listing directories costs the more the more files there are, and whoever creates files decides
/// how often we are told: not more often than this.
const SCAN_PAUSE: Duration = Duration::from_millis(100);

/// How long one step may read before it looks around again.
const READ_TURN: Duration = Duration::from_secs(1);

/// A deleted file is let go sooner than a renamed one: it occupies the disk as long as it is open.
const DELETED_IDLE: Duration = Duration::from_secs(30);

/// Follows the files of one source.
pub(super) struct Tailer<'a> {
    config: &'a FileConfig,
    sink: &'a LineSink,
    context: Context<'a>,
    section: Section<'a>,
    globs: Vec<Glob>,
    /// In reading order: what was rotated away stands before what replaced it.
    files: Vec<Follow>,
    n_followed: u64,
    /// Copies of files in `files` that match a pattern; reading them would repeat lines.
    copies: HashMap<FileId, Twin>,
    /// The last readings of remembered files, while they are looked for again.
    readings: HashMap<FileId, Stamp>,
    dirs: BTreeSet<PathBuf>,
    /// Whether some file is reached through a symbolic link.
    has_links: bool,
    batch: Batch,
    ledger: Ledger<Vec<(FollowId, Mark)>>,
    scratch: Vec<u8>,
    scan_wanted: bool,
    next_scan: Duration,
    not_before: Duration,
    scanned_at: i64,
    moved: bool,
    frozen_told: bool,
    unreadable: HashSet<PathBuf>,
    throttle: Throttle,
}

/// A copy of a followed file.
struct Twin {
    path: PathBuf,
    /// Whose, if that is still known.
    of: Option<FollowId>,
    /// Its end when it was recognized.
    mark: Mark,
}

impl<'a> Tailer<'a> {
    /// Finds the files and takes up their positions.
    pub(super) fn open(
        config: &'a FileConfig,
        sink: &'a LineSink,
        context: Context<'a>,
    ) -> Result<Self, SourceError> {
        let mut tailer = Self {
            config,
            sink,
            context,
            section: context.checkpoints.claim(&config.common.owner("file")),
            globs: globs(config)?,
            files: Vec::new(),
            n_followed: 0,
            copies: HashMap::new(),
            readings: HashMap::new(),
            dirs: BTreeSet::new(),
            has_links: false,
            batch: sink.batch(),
            ledger: Ledger::new(),
            scratch: vec![0; CHUNK],
            scan_wanted: false,
            next_scan: Duration::ZERO,
            not_before: Duration::ZERO,
            scanned_at: 0,
            moved: true,
            frozen_told: false,
            unreadable: HashSet::new(),
            throttle: Throttle::default(),
        };
        match tailer.section.files() {
            None => tailer.scan(&Unknown::Old),
            Some(saved) => {
                tailer.resume(&saved);
                tailer.scan(&Unknown::SinceSaved(&saved));
                tailer.readings.clear();
            }
        }
        if tailer.files.is_empty() {
            let patterns = config.patterns.join(" ");
            warn!(%patterns, "no file matches yet");
        }
        tailer.remember();
        Ok(tailer)
    }

    /// The directories in which something of interest may happen.
    pub(super) const fn dirs(&self) -> &BTreeSet<PathBuf> {
        &self.dirs
    }

    /// Whether some file may change without its directory being told: behind a symbolic link, or
    /// after it was moved.
    pub(super) fn needs_polling(&self) -> bool {
        self.has_links || self.files.iter().any(|follow| follow.place != Place::AtPath)
    }

    /// Reads whatever there is to read.
    pub(super) fn step(&mut self, changes: &Changes) -> Result<(), SourceError> {
        self.settle();
        let now = self.context.clock.monotonic();
        self.look_for_rotation(changes, now);
        self.scan_wanted |= changes.rescan || now >= self.next_scan;
        if self.scan_wanted && now >= self.not_before {
            self.scan(&Unknown::New);
        }
        self.read(changes)?;
        self.let_go(now)?;
        self.flush()?;
        self.settle();
        self.remember();
        self.context.checkpoints.save_if_due(self.context.clock);
        Ok(())
    }

    /// Hands over what is read, waits until the consumer has taken it, and saves the positions.
    pub(super) fn finish(mut self) -> Result<(), SourceError> {
        let flushed = self.flush();
        // Also when nobody takes lines any more: what was accepted before is worth saving.
        self.ledger.wait(FAREWELL);
        self.settle();
        self.remember();
        self.context.checkpoints.save(self.context.clock);
        flushed
    }

    /// Starts following `moved.file` at `mark`; complains and returns `None` if it cannot be read.
    fn follow(
        &mut self,
        moved: rotate::Moved,
        origin: &Path,
        place: Place,
        after: Option<FollowId>,
        (mark, stamp): (Mark, Stamp),
    ) -> Option<Follow> {
        let source = self.config.common.line_source("file", &origin.to_string_lossy());
        let opening = Opening {
            id: self.next_id(),
            path: moved.path.clone(),
            origin: origin.to_path_buf(),
            source: self.context.registry.register(source),
            stamp,
            place,
            after,
            now: self.context.clock.monotonic(),
        };
        match Follow::new(moved.file, opening, mark) {
            Ok(follow) => {
                self.moved = true;
                Some(follow)
            }
            Err(error) => {
                self.complain(&moved.path, &error);
                None
            }
        }
    }

    fn next_id(&mut self) -> FollowId {
        self.n_followed += 1;
        FollowId(self.n_followed)
    }

    /// Notices files that are no longer where they were.
    fn look_for_rotation(&mut self, changes: &Changes, now: Duration) {
        for follow in &mut self.files {
            if follow.place != Place::AtPath || !changes.concern(&follow.path) {
                continue;
            }
            let there = fs::metadata(&follow.path).ok();
            if there.is_some_and(|metadata| FileId::of(&metadata) == follow.file_id) {
                continue;
            }
            info!(path = %follow.path.display(), "rotated");
            count(&self.sink.counters().rotations);
            follow.place = Place::Rotated { since: now };
            // Its last lines come before those of its successor.
            follow.at_end = false;
            self.scan_wanted = true;
            // What replaced it must be found at once, or its first lines would come late.
            self.not_before = now;
        }
    }

    /// Reads all files that changed to their end, a few chunks each in turn.
    fn read(&mut self, changes: &Changes) -> Result<(), SourceError> {
        let started = self.context.clock.monotonic();
        let mut pending: Vec<FollowId> = self
            .files
            .iter()
            .filter(|follow| {
                changes.concern(&follow.path)
                    || follow.after.is_some()
                    || follow.place != Place::AtPath
                    || !follow.at_end
            })
            .map(|follow| follow.id)
            .collect();
        while !pending.is_empty() && !self.context.stop.is_set() {
            let mut again = Vec::new();
            for id in pending {
                let Some(index) = self.files.iter().position(|follow| follow.id == id) else {
                    continue;
                };
                if self.must_wait(index) {
                    again.push(id);
                    continue;
                }
                self.turn(index, &mut again)?;
            }
            pending = again;
            // A long backlog must neither keep positions from being saved nor rotations unseen.
            self.settle();
            self.remember();
            self.context.checkpoints.save_if_due(self.context.clock);
            if self.context.clock.monotonic().saturating_sub(started) > READ_TURN {
                break;
            }
        }
        Ok(())
    }

    /// Whether some file was left with more to read.
    pub(super) fn has_backlog(&self) -> bool {
        self.files.iter().any(|follow| !follow.at_end)
    }

    /// Whether the file's predecessor still has to be read.
    fn must_wait(&mut self, index: usize) -> bool {
        let Some(after) = self.files[index].after else { return false };
        let waiting = self.files.iter().any(|follow| follow.id == after && !follow.at_end);
        if !waiting {
            self.files[index].after = None;
        }
        waiting
    }

    /// Gives one file its turn. It is put into `again` if it has more.
    fn turn(&mut self, index: usize, again: &mut Vec<FollowId>) -> Result<(), SourceError> {
        for _chunk in 0..CHUNKS_PER_TURN {
            let limits = PourLimits {
                max_line: self.config.max_line,
                read_at: self.context.clock.now(),
                now: self.context.clock.monotonic(),
                counters: self.sink.counters(),
            };
            let follow = &mut self.files[index];
            match follow.pour(&mut self.scratch, &mut self.batch, &limits) {
                Ok(Poured::End) => return Ok(()),
                Ok(Poured::More) => {}
                Ok(Poured::Truncated) => {
                    self.truncated(index, again)?;
                    return Ok(());
                }
                Err(error) => {
                    // Whoever comes after it must not wait for ever.
                    follow.at_end = true;
                    let path = follow.path.clone();
                    self.complain(&path, &error);
                    return Ok(());
                }
            }
            if self.batch.is_full() {
                self.flush()?;
            }
        }
        again.push(self.files[index].id);
        Ok(())
    }

    /// Reads what a truncation cut off from the copy made before it, and the file from its start.
    fn truncated(&mut self, index: usize, again: &mut Vec<FollowId>) -> Result<(), SourceError> {
        count(&self.sink.counters().truncations);
        // What was handed over so far must be in the ledger under the old number.
        self.flush()?;
        let follow = &self.files[index];
        let (path, origin, mark) = (follow.path.clone(), follow.origin.clone(), follow.consumed());
        let (old_id, accepted, stamp) = (follow.id, follow.accepted, follow.stamp);
        let taken = self.files.iter().map(|follow| follow.file_id).collect();
        let moved = rotate::find_copy(&origin, &follow.read_mark(), &taken);
        info!(path = %path.display(), copied = moved.is_some(), "truncated");
        let since = self.context.clock.monotonic();
        let copy = moved.and_then(|moved| {
            // The lines of the copy are those of the former content.
            let from = (mark, stamp);
            self.follow(moved, &origin, Place::Rotated { since }, None, from)
        });
        let new_id = self.next_id();
        if let Some(mut copy) = copy {
            // The copy stands for the former content: it takes over the number under which lines
            // of that content are still to be acknowledged.
            copy.id = old_id;
            copy.accepted = accepted;
            self.copies.remove(&copy.file_id);
            self.files[index].restart(new_id, Some(old_id));
            self.files.insert(index, copy);
            self.scan_wanted = true;
            again.push(old_id);
        } else {
            let at = self.context.clock.now();
            self.files[index].give_up_partial(&mut self.batch, at, self.sink.counters());
            self.files[index].restart(new_id, None);
        }
        self.moved = true;
        again.push(new_id);
        Ok(())
    }

    /// Closes rotated files that nobody writes to any more.
    fn let_go(&mut self, now: Duration) -> Result<(), SourceError> {
        let mut gone = Vec::new();
        for follow in &mut self.files {
            let Place::Rotated { since } = follow.place else { continue };
            let idle = now.saturating_sub(since.max(follow.grew_at));
            if !follow.at_end || idle < self.config.unfinished_idle {
                continue;
            }
            if follow.has_partial() {
                let at = self.context.clock.now();
                follow.give_up_partial(&mut self.batch, at, self.sink.counters());
            }
            let deleted = follow.file().metadata().is_ok_and(|metadata| metadata.nlink() == 0);
            let patience = if deleted {
                self.config.rotated_idle.min(DELETED_IDLE)
            } else {
                self.config.rotated_idle
            };
            let settled = follow.accepted == follow.consumed() || self.ledger.is_frozen();
            if idle >= patience && settled {
                gone.push(follow.id);
            }
        }
        if !gone.is_empty() {
            self.flush()?;
            self.files.retain(|follow| !gone.contains(&follow.id));
            self.moved = true;
        }
        Ok(())
    }

    /// Hands over the batch being filled and notes how far that brings each file.
    fn flush(&mut self) -> Result<(), SourceError> {
        let marks: Vec<_> = self
            .files
            .iter_mut()
            .filter_map(|follow| {
                std::mem::take(&mut follow.touched).then(|| (follow.id, follow.consumed()))
            })
            .collect();
        if self.batch.is_empty() {
            if !marks.is_empty() {
                self.ledger.pass(marks);
            }
            return Ok(());
        }
        let mut batch = std::mem::replace(&mut self.batch, self.sink.batch());
        self.ledger.seal(&mut batch, marks);
        Ok(self.sink.send(batch, self.context.clock)?)
    }

    /// Takes note of what the consumer has acknowledged.
    fn settle(&mut self) {
        let files = &mut self.files;
        let moved = &mut self.moved;
        self.ledger.settle(|marks| {
            for (id, mark) in marks {
                if let Some(follow) = files.iter_mut().find(|follow| follow.id == id) {
                    follow.accepted = mark;
                    *moved = true;
                }
            }
        });
        if self.ledger.is_frozen() && !self.frozen_told {
            self.frozen_told = true;
            warn!("a batch was lost by its consumer: positions stay until the source restarts");
        }
    }

    /// Passes the positions on to be saved.
    fn remember(&mut self) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let copies = self.copies.iter().map(|(id, twin)| FilePosition {
            path: StoredPath::new(&twin.path),
            dev: id.dev,
            ino: id.ino,
            mark: twin.mark,
            copy: true,
            stamp: 0,
        });
        let mut copies: Vec<_> = copies.collect();
        copies.sort_unstable_by_key(|position| (position.dev, position.ino));
        let files = self.files.iter().map(Follow::position).chain(copies).collect();
        self.section.store_files(FilePositions {
            patterns: self.config.patterns.clone(),
            scanned_at: self.scanned_at,
            files,
        });
    }
}
