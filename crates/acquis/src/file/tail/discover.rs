//! Which files there are to follow, and where to begin in each.
//!
//! A path that matches a pattern can lead to a file known under this name, to one known under
//! another, to a copy of one, or to something new; and a remembered position can belong to a file
//! that was moved. Telling these apart is all this part of the tailer does.

use super::{SCAN_PAUSE, Tailer, Twin};
use crate::{
    checkpoint::{FilePositions, Mark},
    config::Mode,
    context::{SourceError, count},
    file::{
        config::FileConfig,
        follow::{
            FileId, FollowId, Likeness, Place, end_mark, first_reading, holds, mark_at,
            next_reading,
        },
        glob::{Found, Glob, is_compressed},
        rotate,
    },
};
use model::Stamp;
use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};
use tracing::{info, warn};

/// What a directory scan may assume about files it has not seen.
pub(super) enum Unknown<'a> {
    /// They were there before anyone looked.
    Old,
    /// They appeared since positions were saved, unless their birth says otherwise.
    SinceSaved(&'a FilePositions),
    /// They appeared while we were looking.
    New,
}

impl Tailer<'_> {
    /// Finds the remembered files again.
    pub(super) fn resume(&mut self, saved: &FilePositions) {
        let mut taken = HashSet::new();
        for position in saved.files.iter().filter(|position| !position.copy) {
            let id = FileId { dev: position.dev, ino: position.ino };
            self.readings.insert(id, Stamp::from_bits(position.stamp));
        }
        for position in &saved.files {
            let origin = position.path.to_path();
            let Some(moved) = rotate::find(position, &taken) else {
                if position.copy {
                    continue;
                }
                count(&self.sink.counters().lost_positions);
                warn!(path = %origin.display(), "a file is gone, lines may be missing");
                continue;
            };
            let stamp = Stamp::from_bits(position.stamp);
            if position.copy {
                if let Ok(metadata) = moved.file.metadata() {
                    let twin = Twin { path: moved.path, of: None, mark: position.mark };
                    self.copies.insert(FileId::of(&metadata), twin);
                }
                continue;
            }
            let place = if moved.path == origin {
                Place::AtPath
            } else {
                count(&self.sink.counters().rotations);
                Place::Rotated { since: self.context.clock.monotonic() }
            };
            let stamp = if stamp.is_none() {
                moved.file.metadata().map_or(Stamp::NONE, |metadata| first_reading(&metadata))
            } else {
                stamp
            };
            let from = (position.mark, stamp);
            if let Some(follow) = self.follow(moved, &origin, place, None, from) {
                taken.insert(follow.file_id);
                self.files.push(follow);
            }
        }
    }

    /// Matches the patterns against the disk.
    pub(super) fn scan(&mut self, unknown: &Unknown<'_>) {
        let now = self.context.clock.monotonic();
        self.scan_wanted = false;
        self.next_scan = now.saturating_add(self.config.discovery);
        self.not_before = now.saturating_add(SCAN_PAUSE);
        self.scanned_at = self.context.clock.now().unix_nanos();
        let mut found = Found::default();
        for glob in &self.globs {
            glob.walk(&mut found);
        }
        if found.cut
            && let Some(n) = self.throttle.report(now)
        {
            warn!(n, "too many directory entries, some files may be overlooked");
        }
        let mut present = Vec::new();
        for path in &found.files {
            if wanted(self.config, path)
                && let Ok(metadata) = fs::metadata(path)
            {
                present.push((path.as_path(), metadata));
            }
        }
        self.check_copies(&present);
        for (path, metadata) in &present {
            self.meet(path, metadata, unknown);
        }
        self.unreadable.retain(|path| found.files.contains(path));
        self.dirs = found.dirs;
        self.has_links = self.files.iter().any(|follow| {
            fs::symlink_metadata(&follow.path).is_ok_and(|metadata| metadata.is_symlink())
        });
    }

    /// Deals with a matching path: known under this name, known under another, or new.
    fn meet(&mut self, path: &Path, metadata: &Metadata, unknown: &Unknown<'_>) {
        let id = FileId::of(metadata);
        if let Some(follow) = self.files.iter_mut().find(|follow| follow.file_id == id) {
            if follow.place != Place::AtPath {
                follow.place = Place::AtPath;
                follow.path = path.to_path_buf();
            }
            return;
        }
        if self.copies.contains_key(&id) {
            return;
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.complain(path, &error),
        };
        if matches!(unknown, Unknown::New | Unknown::SinceSaved(_)) {
            let (likeness, of) = self.likeness(path, &file);
            match likeness {
                Likeness::Different => {}
                Likeness::Same => {
                    info!(path = %path.display(), "a copy of a file that is followed, left alone");
                    match mark_at(&file, metadata.len()) {
                        Ok(mark) => {
                            self.copies.insert(id, Twin { path: path.to_path_buf(), of, mark });
                        }
                        Err(error) => self.complain(path, &error),
                    }
                    self.moved = true;
                    return;
                }
                Likeness::TooShort => {
                    // A copy being made, or a new file: the next scan knows more. A file without
                    // any content loses nothing by waiting.
                    let waited = metadata.len() > 0 && self.is_older(metadata);
                    if !waited {
                        self.scan_wanted = true;
                        return;
                    }
                }
            }
        }
        let from_start = match unknown {
            Unknown::Old => false,
            Unknown::New => true,
            Unknown::SinceSaved(saved) => {
                is_new_since(saved, path, metadata, &self.config.patterns)
            }
        };
        let mark = if from_start { Ok(Mark::START) } else { end_mark(&file, self.config.max_line) };
        let mark = match mark {
            Ok(mark) => mark,
            Err(error) => return self.complain(path, &error),
        };
        // Its predecessor under the same name is read to the end first.
        let after = self.files.iter().rev().find(|follow| follow.origin == path);
        let after = after.map(|follow| follow.id);
        let moved = rotate::Moved { path: path.to_path_buf(), file };
        // Remembered, and yet not what it was: it was truncated while nobody was looking.
        let known = self.readings.get(&id).copied();
        let stamp = known.map_or_else(|| first_reading(metadata), next_reading);
        if let Some(follow) = self.follow(moved, path, Place::AtPath, after, (mark, stamp)) {
            info!(path = %path.display(), offset = mark.offset, "following");
            self.unreadable.remove(path);
            self.files.push(follow);
        }
    }

    /// Whether `file`, new at `path`, is a copy of one that is followed, and of which.
    fn likeness(&self, path: &Path, file: &File) -> (Likeness, Option<FollowId>) {
        let mut likeness = Likeness::Different;
        for follow in &self.files {
            if !rotate::is_related(path, &follow.origin) {
                continue;
            }
            match follow.resembles(file) {
                Likeness::Different => {}
                Likeness::Same => return (Likeness::Same, Some(follow.id)),
                Likeness::TooShort => likeness = Likeness::TooShort,
            }
        }
        (likeness, None)
    }

    /// Forgets copies that are gone, or turned out to be logs of their own.
    fn check_copies(&mut self, present: &[(&Path, Metadata)]) {
        let files = &self.files;
        self.copies.retain(|id, twin| {
            let Some((path, _)) = present.iter().find(|(_, metadata)| FileId::of(metadata) == *id)
            else {
                return false;
            };
            twin.path = path.to_path_buf();
            let Ok(file) = File::open(path) else { return true };
            let original = files.iter().find(|follow| Some(follow.id) == twin.of);
            // The number of a deleted copy may have come back as that of a new log.
            holds(&file, &twin.mark)
                && original.is_none_or(|follow| follow.resembles(&file) != Likeness::Different)
        });
    }

    /// Whether nothing was written to the file for some time, by the file system's own clock.
    fn is_older(&self, metadata: &Metadata) -> bool {
        let Ok(modified) = metadata.modified() else { return true };
        let Ok(since_epoch) = modified.duration_since(UNIX_EPOCH) else { return true };
        let now = self.context.clock.now().unix_nanos();
        let then = i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX);
        let idle = i64::try_from(self.config.unfinished_idle.as_nanos()).unwrap_or(i64::MAX);
        // A copy that keeps the original's dates is old from the start, so the age of the inode
        // counts as well.
        let changed = metadata.ctime().saturating_mul(1_000_000_000);
        now.saturating_sub(then.max(changed)) > idle
    }

    pub(super) fn complain(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable.insert(path.to_path_buf()) {
            count(&self.sink.counters().unreadable);
            warn!(path = %path.display(), %error, "cannot read");
        }
    }
}

/// The files that match now, in order, for reading once.
pub(in crate::file) fn matching(config: &FileConfig) -> Result<Vec<PathBuf>, SourceError> {
    let mut paths = Vec::new();
    for glob in globs(config)? {
        let mut found = Found::default();
        glob.walk(&mut found);
        paths.extend(found.files.into_iter().filter(|path| wanted(config, path)));
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

pub(super) fn globs(config: &FileConfig) -> Result<Vec<Glob>, SourceError> {
    let parse = |pattern: &String| {
        Glob::parse(pattern)
            .ok_or_else(|| SourceError::Config(format!("`{pattern}` is not a file name pattern")))
    };
    config.patterns.iter().map(parse).collect()
}

fn wanted(config: &FileConfig, path: &Path) -> bool {
    let followed = config.common.mode == Mode::Tail;
    let excluded = config.exclude.holds(&path.to_string_lossy());
    let readable = !followed || !is_compressed(path);
    readable && !excluded
}

/// Whether a file that is not among the saved ones came after them.
fn is_new_since(
    saved: &FilePositions,
    path: &Path,
    metadata: &Metadata,
    patterns: &[String],
) -> bool {
    if saved.files.iter().any(|position| position.path.to_path() == path) {
        return true;
    }
    let watched = patterns.iter().any(|pattern| {
        let matches = Glob::parse(pattern).is_some_and(|glob| glob.matches(path));
        matches && saved.patterns.contains(pattern)
    });
    // A file system that knows no birth dates gives no reason to doubt.
    let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let after = born.is_none_or(|born| {
        let born = i64::try_from(born.as_nanos()).unwrap_or(i64::MAX);
        // The clock that stamps files runs a tick behind.
        born.saturating_add(1_000_000_000) >= saved.scanned_at
    });
    watched && after
}
