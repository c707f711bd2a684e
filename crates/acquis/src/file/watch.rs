//! When to look: inotify on the directories, with a look at everything at intervals.
//!
//! Only directories are watched; their events name the file that changed. Inotify can be missing,
//! run out of watches, lose events, or not see what another machine writes on a network file
//! system, so it only ever makes things faster: every file is looked at each second anyway, and
//! every 250 ms where inotify cannot be trusted.

use super::config::Noticing;
use crate::context::{Context, Wake};
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};
use tracing::warn;

/// How often everything is looked at without trustworthy inotify.
const POLL: Duration = Duration::from_millis(250);

/// How often everything is looked at besides what inotify reports.
const SWEEP: Duration = Duration::from_secs(1);

/// Changed files told apart; beyond that everything counts as changed.
const MAX_PATHS: usize = 1024;

/// What may have changed since the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    everything: bool,
    paths: HashSet<PathBuf>,
    /// Whether files may have appeared or gone.
    pub(super) rescan: bool,
}

impl Changes {
    /// Anything may have changed.
    pub(super) fn everything() -> Self {
        Self { everything: true, rescan: true, ..Self::default() }
    }

    /// Whether the file at `path` may have changed.
    pub(super) fn concern(&self, path: &Path) -> bool {
        self.everything || self.paths.contains(path)
    }

    fn add(&mut self, path: PathBuf) {
        if self.paths.len() < MAX_PATHS {
            self.paths.insert(path);
        } else {
            self.everything = true;
        }
    }
}

/// Waits for changes in a set of directories.
pub(super) struct Watch {
    inotify: Option<Inotify>,
    watched: HashMap<PathBuf, WatchDescriptor>,
    dirs: HashMap<WatchDescriptor, PathBuf>,
    /// Whether every directory is watched and on a file system that tells of all changes.
    trusted: bool,
    failure_told: bool,
    swept_at: Duration,
    buffer: Vec<u8>,
}

impl Watch {
    pub(super) fn new(noticing: Noticing) -> Self {
        let inotify = match noticing {
            Noticing::Poll => None,
            Noticing::Auto => Inotify::init()
                .inspect_err(|error| warn!(%error, "inotify is not available, polling"))
                .ok(),
        };
        Self {
            inotify,
            watched: HashMap::new(),
            dirs: HashMap::new(),
            trusted: false,
            failure_told: false,
            swept_at: Duration::ZERO,
            buffer: vec![0; 16 * 1024],
        }
    }

    /// Watches `dirs` and no others.
    pub(super) fn set_dirs(&mut self, dirs: &BTreeSet<PathBuf>) {
        let Some(inotify) = &self.inotify else { return };
        if self.trusted
            && dirs.len() == self.watched.len()
            && dirs.iter().all(|dir| self.watched.contains_key(dir))
        {
            return;
        }
        let mut watches = inotify.watches();
        self.watched.retain(|dir, watch| {
            let keep = dirs.contains(dir);
            if !keep {
                self.dirs.remove(watch);
                // It may be gone already, with its directory.
                let _gone = watches.remove(watch.clone());
            }
            keep
        });
        self.trusted = true;
        for dir in dirs {
            self.trusted &= !is_remote(dir);
            if self.watched.contains_key(dir) {
                continue;
            }
            let mask = WatchMask::MODIFY
                | WatchMask::CLOSE_WRITE
                | WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::MOVE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            match watches.add(dir, mask) {
                Ok(watch) => {
                    self.dirs.insert(watch.clone(), dir.clone());
                    self.watched.insert(dir.clone(), watch);
                }
                Err(error) => {
                    self.trusted = false;
                    if !std::mem::replace(&mut self.failure_told, true) {
                        warn!(dir = %dir.display(), %error, "cannot watch a directory, polling");
                    }
                }
            }
        }
    }

    /// Waits until something changes, or until everything is to be looked at anyway.
    pub(super) fn wait(&mut self, context: &Context<'_>, needs_polling: bool) -> Changes {
        let interval = if self.trusted && !needs_polling { SWEEP } else { POLL };
        let now = context.clock.monotonic();
        let limit = self.swept_at.saturating_add(interval).saturating_sub(now);
        let woken = match &self.inotify {
            Some(inotify) => context.stop.wait_for(&[inotify.as_fd()], limit),
            None => context.stop.wait_for(&[], limit),
        };
        let mut changes = Changes::default();
        if matches!(woken, Wake::Ready(_)) {
            self.read_events(&mut changes);
        }
        // Also when something else woke us: a busy file must not keep the others from a look.
        let now = context.clock.monotonic();
        if now >= self.swept_at.saturating_add(interval) || woken == Wake::Timeout {
            self.swept_at = now;
            changes.everything = true;
            changes.rescan |= !self.trusted;
        }
        changes
    }

    fn read_events(&mut self, changes: &mut Changes) {
        let Some(inotify) = &mut self.inotify else { return };
        let events = match inotify.read_events(&mut self.buffer) {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                warn!(%error, "inotify ended, polling");
                self.inotify = None;
                self.trusted = false;
                return;
            }
        };
        for event in events {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                changes.everything = true;
                changes.rescan = true;
                continue;
            }
            if event.mask.contains(EventMask::IGNORED) {
                if let Some(dir) = self.dirs.remove(&event.wd) {
                    self.watched.remove(&dir);
                }
                changes.rescan = true;
                continue;
            }
            changes.rescan |= !event.mask.intersects(EventMask::MODIFY | EventMask::CLOSE_WRITE);
            if let (Some(dir), Some(name)) = (self.dirs.get(&event.wd), event.name) {
                let here = dir.as_os_str() == ".";
                changes.add(if here { PathBuf::from(name) } else { dir.join(name) });
            }
        }
    }
}

/// Whether other machines may write to `dir`, which inotify does not tell.
fn is_remote(dir: &Path) -> bool {
    const REMOTE: [u32; 8] = [
        0x6969,      // nfs
        0x517b,      // smb
        0xff53_4d42, // cifs
        0xfe53_4d42, // smb2
        0x6573_5546, // fuse
        0x0102_1997, // 9p
        0x00c3_6400, // ceph
        0x5346_414f, // afs
    ];
    rustix::fs::statfs(dir)
        .is_ok_and(|found| u32::try_from(found.f_type).is_ok_and(|kind| REMOTE.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, skip};
    use std::fs;

    #[test]
    fn tells_which_file_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        fs::write(&file, "").unwrap();
        let world = World::new();
        let mut watch = Watch::new(Noticing::Auto);
        if watch.inotify.is_none() {
            skip("tells_which_file_changed", "no inotify here");
            return;
        }
        watch.set_dirs(&BTreeSet::from([dir.path().to_path_buf()]));
        fs::write(&file, "x").unwrap();
        let changes = watch.wait(&world.context(), false);
        assert!(changes.concern(&file) && !changes.rescan);
        assert!(changes.everything || !changes.concern(dir.path()));

        fs::rename(&file, dir.path().join("a.log.1")).unwrap();
        let changes = watch.wait(&world.context(), false);
        assert!(changes.concern(&file) && changes.rescan);

        fs::remove_dir_all(dir.path()).unwrap();
        while !watch.watched.is_empty() {
            assert!(watch.wait(&world.context(), false).rescan);
        }
    }
}
