//! Positions on disk: how far each file and journal was read *and accepted*.
//!
//! One small JSON file for all sources, replaced atomically (write, sync, rename) at most every two
//! seconds and once more at the end. It hides the format and the schedule; sources see sections
//! they claim by name. A file that cannot be read as positions is moved aside and reported: the
//! sources then start as if for the first time, which may miss lines but never guesses.

use crate::{
    context::{Clock, SourceError},
    fingerprint::Fingerprint,
    throttle::Throttle,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    io::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tracing::warn;

/// Long enough to spare the disk, short enough that a killed process repeats little.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// The positions of all sources, shared by their threads.
#[derive(Debug)]
pub struct Checkpoints {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stored: Stored,
    claimed: BTreeSet<String>,
    dirty: bool,
    next_save: Duration,
    throttle: Throttle,
}

/// The file as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    files: BTreeMap<String, FilePositions>,
    #[serde(default)]
    journals: BTreeMap<String, JournalPosition>,
}

/// Where one file source is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePositions {
    /// The patterns that were watched: a file that matches one and is not listed is a new file.
    pub(crate) patterns: Vec<String>,
    /// When the directories were last listed, in Unix nanoseconds.
    pub(crate) scanned_at: i64,
    pub(crate) files: Vec<FilePosition>,
}

/// Where one file is, and how to recognize it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    pub(crate) path: StoredPath,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    #[serde(flatten)]
    pub(crate) mark: Mark,
    /// A copy of another file, known only to be left alone.
    #[serde(default)]
    pub(crate) copy: bool,
    /// The bits of the stamp of this reading of the file; 0 where there is none.
    #[serde(default)]
    pub(crate) stamp: u64,
}

/// A place in a file: an offset, and digests that tell whether it is still the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    /// The first bytes of the file, none behind `offset`.
    pub(crate) head: Fingerprint,
    /// The bytes right before `offset`.
    pub(crate) tail: Fingerprint,
}

impl Mark {
    /// The start of any file.
    pub(crate) const START: Self =
        Self { offset: 0, head: Fingerprint::EMPTY, tail: Fingerprint::EMPTY };
}

/// Where one journal is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalPosition {
    /// The last entry accepted.
    pub(crate) cursor: Option<String>,
    /// Entries from this microsecond on are wanted; used while there is no usable cursor.
    pub(crate) since: u64,
}

/// A path that survives JSON even when it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredPath {
    Text(String),
    Bytes(Vec<u8>),
}

impl StoredPath {
    pub(crate) fn new(path: &Path) -> Self {
        path.to_str().map_or_else(
            || Self::Bytes(path.as_os_str().as_bytes().to_vec()),
            |text| Self::Text(String::from(text)),
        )
    }

    pub(crate) fn to_path(&self) -> PathBuf {
        match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes.clone())),
        }
    }
}

impl Checkpoints {
    /// Positions that end with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { path: None, state: Mutex::default() }
    }

    /// Reads the positions kept at `path`, or starts without any if there is no such file.
    ///
    /// # Errors
    /// When the file exists and cannot be read: going on would lose lines behind its back.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let stored = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let aside = sibling(path, ".corrupt");
                let moved = fs::rename(path, &aside).is_ok();
                warn!(path = %path.display(), %error, moved, "positions are unreadable, starting anew");
                Stored::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(SourceError::file("reading positions from", path, error)),
        };
        let state = State { stored, ..State::default() };
        Ok(Self { path: Some(path.to_path_buf()), state: Mutex::new(state) })
    }

    /// Takes the section called `owner` for as long as the returned value lives. A second source
    /// with the same name gets a section of its own, the same one each time the order is the same.
    pub(crate) fn claim(&self, owner: &str) -> Section<'_> {
        let mut state = self.state();
        let name = (1_u32..)
            .map(|n| if n == 1 { String::from(owner) } else { format!("{owner} #{n}") })
            .find(|name| !state.claimed.contains(name))
            .expect("fewer than 2^32 sources are running");
        state.claimed.insert(name.clone());
        drop(state);
        Section { checkpoints: self, name }
    }

    /// Writes what changed, if the last write is long enough ago.
    pub(crate) fn save_if_due(&self, clock: &dyn Clock) {
        let now = clock.monotonic();
        let mut state = self.state();
        if state.dirty && now >= state.next_save {
            state.next_save = now.saturating_add(SAVE_EVERY);
            self.write(&mut state, now);
        }
    }

    /// Writes what changed.
    pub fn save(&self, clock: &dyn Clock) {
        let mut state = self.state();
        if state.dirty {
            self.write(&mut state, clock.monotonic());
        }
    }

    fn write(&self, state: &mut State, now: Duration) {
        let Some(path) = &self.path else { return };
        match replace(path, &state.stored) {
            Ok(()) => state.dirty = false,
            Err(error) => {
                if let Some(n) = state.throttle.report(now) {
                    warn!(path = %path.display(), %error, n, "positions cannot be saved");
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Sections are replaced whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of the positions that belongs to one running source.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    checkpoints: &'a Checkpoints,
    name: String,
}

impl Section<'_> {
    pub(crate) fn files(&self) -> Option<FilePositions> {
        self.checkpoints.state().stored.files.get(&self.name).cloned()
    }

    pub(crate) fn store_files(&self, positions: FilePositions) {
        let mut state = self.checkpoints.state();
        let before = state.stored.files.insert(self.name.clone(), positions);
        // The time of the last listing alone is no reason to write: it only has to be older than
        // whatever appears later.
        let after = &state.stored.files[&self.name];
        let changed = before
            .is_none_or(|before| before.files != after.files || before.patterns != after.patterns);
        state.dirty |= changed;
    }

    pub(crate) fn journal(&self) -> Option<JournalPosition> {
        self.checkpoints.state().stored.journals.get(&self.name).cloned()
    }

    pub(crate) fn store_journal(&self, position: JournalPosition) {
        let mut state = self.checkpoints.state();
        state.stored.journals.insert(self.name.clone(), position);
        state.dirty = true;
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        self.checkpoints.state().claimed.remove(&self.name);
    }
}

fn replace(path: &Path, stored: &Stored) -> io::Result<()> {
    let aside = sibling(path, ".new");
    let mut file = fs::File::create(&aside)?;
    file.write_all(&serde_json::to_vec(stored).map_err(io::Error::other)?)?;
    // Without this a power cut may leave the new name with no content.
    file.sync_data()?;
    fs::rename(&aside, path)
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    fn positions(offset: u64) -> FilePositions {
        let mark = Mark { offset, head: Fingerprint::of(b"head"), tail: Fingerprint::of(b"tail") };
        let bytes = Path::new(std::ffi::OsStr::from_bytes(b"/log/\xff"));
        let file = |path| FilePosition {
            path: StoredPath::new(path),
            dev: 1,
            ino: 2,
            mark,
            copy: false,
            stamp: 9,
        };
        FilePositions {
            patterns: vec![String::from("/log/*")],
            scanned_at: 5,
            files: vec![file(Path::new("/log/a")), file(bytes)],
        }
    }

    #[test]
    fn survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        let clock = FakeClock::default();
        let journal = JournalPosition { cursor: Some(String::from("s=1")), since: 9 };
        {
            let checkpoints = Checkpoints::open(&path).unwrap();
            let first = checkpoints.claim("file type=nginx");
            let second = checkpoints.claim("file type=nginx");
            assert_eq!(first.files(), None);
            first.store_files(positions(1));
            second.store_files(positions(2));
            checkpoints.claim("journalctl").store_journal(journal.clone());
            checkpoints.save_if_due(&clock);
            first.store_files(positions(3));
            checkpoints.save_if_due(&clock);
            let early = Checkpoints::open(&path).unwrap();
            assert_eq!(early.claim("file type=nginx").files(), Some(positions(1)));
            checkpoints.save(&clock);
        }
        let checkpoints = Checkpoints::open(&path).unwrap();
        let first = checkpoints.claim("file type=nginx");
        assert_eq!(first.files(), Some(positions(3)));
        assert_eq!(checkpoints.claim("file type=nginx").files(), Some(positions(2)));
        drop(first);
        assert_eq!(checkpoints.claim("file type=nginx").files(), Some(positions(3)));
        assert_eq!(checkpoints.claim("journalctl").journal(), Some(journal));
        assert_eq!(positions(0).files[1].path.to_path().as_os_str().as_bytes(), b"/log/\xff");
    }

    #[test]
    fn an_unreadable_file_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        fs::write(&path, "{ half").unwrap();
        let checkpoints = Checkpoints::open(&path).unwrap();
        assert_eq!(checkpoints.claim("x").files(), None);
        assert!(dir.path().join("positions.json.corrupt").exists());
        assert!(Checkpoints::open(dir.path()).is_err());
    }
}
