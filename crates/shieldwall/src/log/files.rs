//! A file of logs that is put aside when it is full, and opened anew when somebody else moved it.
//!
//! What is put aside is called by the date, compressed behind our back, and deleted when there are
//! too many or it is too old.

use crate::{clock::SystemClock, terminal};
use acquis::Clock as _;
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

pub(super) use crate::config::LogFiles as Files;

/// How often it is looked whether somebody moved the file.
const LOOK: Duration = Duration::from_secs(1);

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct Turning {
    files: Files,
    /// Its name without the extension.
    name: String,
    clock: SystemClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    size: u64,
    looked_at: Duration,
}

impl Turning {
    /// Opens `name.log`, whose directory is made where it is not there.
    pub(super) fn open(files: Files, name: &str) -> io::Result<Self> {
        fs::create_dir_all(&files.dir)?;
        let file = append(&files.dir.join(format!("{name}.log")))?;
        let size = file.metadata()?.len();
        let clock = SystemClock::start();
        let state = State { file, size, looked_at: clock.monotonic() };
        Ok(Self { files, name: name.to_owned(), clock, state: Mutex::new(state) })
    }

    fn path(&self) -> PathBuf {
        self.files.dir.join(format!("{}.log", self.name))
    }

    /// Makes sure that what is written now goes where people look, and that there is room.
    fn prepare(&self, state: &mut State, n_bytes: u64) -> io::Result<()> {
        let now = self.clock.monotonic();
        if now.saturating_sub(state.looked_at) >= LOOK {
            state.looked_at = now;
            let (own, named) = (state.file.metadata()?, fs::metadata(self.path()));
            if !named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
                self.reopen(state)?;
            }
        }
        if state.size > 0 && state.size.saturating_add(n_bytes) > self.files.max_size {
            let date = api::date::full(SystemClock::wall()).replace(':', "-");
            let aside = self.files.dir.join(format!("{}-{date}.log", self.name));
            fs::rename(self.path(), aside)?;
            self.reopen(state)?;
            let (files, name) = (self.files.clone(), self.name.clone());
            // Nobody waits for it; what it leaves undone the next one does.
            let _tidying = thread::Builder::new()
                .name("log-files".to_owned())
                .spawn(move || tidy(&files, &name).unwrap_or_else(|error| tell(&error)));
        }
        Ok(())
    }

    fn reopen(&self, state: &mut State) -> io::Result<()> {
        fs::create_dir_all(&self.files.dir)?;
        state.file = append(&self.path())?;
        state.size = state.file.metadata()?.len();
        Ok(())
    }
}

/// Where logs cannot be written, standard error is what is left.
fn tell(error: &io::Error) {
    terminal::complain(&format!("the log files: {error}"));
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Write for &Turning {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let n_bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        // A file that cannot be turned over is still one to write to.
        if let Err(error) = self.prepare(&mut state, n_bytes) {
            tell(&error);
        }
        if let Err(error) = state.file.write_all(line) {
            tell(&error);
            terminal::complain(&String::from_utf8_lossy(line.trim_ascii_end()));
        }
        state.size = state.size.saturating_add(n_bytes);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Held by whoever tidies: two at a time would take each other's files away.
static TIDYING: Mutex<()> = Mutex::new(());

/// Compresses what was put aside, and deletes what is too much or too old.
fn tidy(files: &Files, name: &str) -> io::Result<()> {
    let _alone = TIDYING.lock().unwrap_or_else(PoisonError::into_inner);
    let prefix = format!("{name}-");
    let mut aside = Vec::new();
    for entry in fs::read_dir(&files.dir)? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if file.starts_with(&prefix) && (file.ends_with(".log") || file.ends_with(".log.gz")) {
            aside.push(path);
        }
    }
    // Their names are dates: the newest first.
    aside.sort_unstable_by(|a, b| b.cmp(a));
    let (now, _) = SystemClock::wall().unix();
    let max_age = i64::try_from(files.max_age.as_secs()).unwrap_or(i64::MAX);
    for (index, path) in aside.iter().enumerate() {
        let is_old = now.saturating_sub(fs::metadata(path)?.mtime()) > max_age;
        if is_old && max_age > 0 || index >= files.max_files && files.max_files > 0 {
            fs::remove_file(path)?;
        } else if files.compress && path.extension().is_some_and(|it| it == "log") {
            compress(path)?;
        }
    }
    Ok(())
}

/// Replaces a file by itself, compressed; in one step, so that it is there once at any time.
fn compress(path: &Path) -> io::Result<()> {
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    let fresh = PathBuf::from(format!("{}.new", packed.display()));
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&fresh, &packed)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn settings(dir: &Path) -> Files {
        let max_age = Duration::from_secs(3600);
        Files { dir: dir.join("logs"), max_size: 100, max_files: 2, max_age, compress: true }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn full_files_are_put_aside_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let files = settings(dir.path());
        let turning = Turning::open(Files { compress: false, ..files.clone() }, "x").unwrap();
        for n in 0..5 {
            (&turning).write_all(format!("{n}{}\n", "x".repeat(60)).as_bytes()).unwrap();
        }
        let text = fs::read_to_string(files.dir.join("x.log")).unwrap();
        assert!(text.starts_with('4') && text.lines().count() == 1, "{text}");
        tidy(&files, "x").unwrap();
        let left = names(&files.dir);
        let packed: Vec<&String> = left.iter().filter(|name| name.ends_with(".log.gz")).collect();
        assert!(packed.len() == 2 && left.len() == 3, "{left:?}");
        let mut text = String::new();
        let newest = File::open(files.dir.join(packed[1])).unwrap();
        flate2::read::GzDecoder::new(newest).read_to_string(&mut text).unwrap();
        assert!(text.starts_with('3'), "{text}");
    }

    #[test]
    fn a_file_that_was_moved_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { max_size: 1 << 20, ..settings(dir.path()) };
        let turning = Turning::open(files.clone(), "x").unwrap();
        (&turning).write_all(b"one\n").unwrap();
        fs::rename(files.dir.join("x.log"), files.dir.join("x.log.1")).unwrap();
        turning.state.lock().unwrap().looked_at = Duration::ZERO;
        thread::park_timeout(LOOK);
        while turning.clock.monotonic() < LOOK {
            thread::park_timeout(LOOK);
        }
        (&turning).write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(files.dir.join("x.log")).unwrap(), "two\n");
        assert_eq!(fs::read_to_string(files.dir.join("x.log.1")).unwrap(), "one\n");
    }
}
