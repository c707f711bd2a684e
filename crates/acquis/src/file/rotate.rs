//! Where a file went: the search for a remembered position after a rotation.
//!
//! A rename keeps the inode; copy-and-truncate keeps only the content. Both leave the old lines in
//! the same directory, so that is where this looks: first for the inode, then for a file with a
//! related name that holds the remembered place. The number of files looked at is bounded (I5).

use super::{
    follow::{FileId, holds},
    glob::is_compressed,
};
use crate::checkpoint::{FilePosition, Mark};
use std::{
    collections::HashSet,
    fs::{self, DirEntry, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Directory entries looked at.
const MAX_ENTRIES: usize = 20_000;

/// Files whose content is compared.
const MAX_COMPARED: usize = 100;

/// A file that holds a remembered place.
pub(super) struct Moved {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// Finds the file that `position` speaks of, at its path or under another name, outside `taken`.
pub(super) fn find(position: &FilePosition, taken: &HashSet<FileId>) -> Option<Moved> {
    let path = position.path.to_path();
    if let Ok(Some(file)) = open_if_same(&path, position)
        && file.metadata().is_ok_and(|metadata| !taken.contains(&FileId::of(&metadata)))
    {
        return Some(Moved { path, file });
    }
    find_by_inode(&path, position, taken).or_else(|| find_copy(&path, &position.mark, taken))
}

/// Finds a copy of what was at `path` that holds `mark`. A copy of nothing cannot be recognized.
pub(super) fn find_copy(path: &Path, mark: &Mark, taken: &HashSet<FileId>) -> Option<Moved> {
    if mark.offset == 0 {
        return None;
    }
    let mut candidates: Vec<_> = siblings(path)
        .filter(|entry| is_related(&entry.path(), path) && !is_compressed(&entry.path()))
        .filter_map(|entry| {
            let metadata = fs::metadata(entry.path()).ok()?;
            let fits = metadata.is_file()
                && metadata.len() >= mark.offset
                && !taken.contains(&FileId::of(&metadata));
            fits.then(|| (metadata.modified().ok(), entry.path()))
        })
        .collect();
    // The newest is the likeliest; ties are broken by name so that the choice is stable.
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    candidates.into_iter().take(MAX_COMPARED).find_map(|(_, path)| {
        let file = File::open(&path).ok()?;
        holds(&file, mark).then_some(Moved { path, file })
    })
}

fn find_by_inode(path: &Path, position: &FilePosition, taken: &HashSet<FileId>) -> Option<Moved> {
    siblings(path).find_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let id = FileId::of(&metadata);
        if id.ino != position.ino || !metadata.is_file() || taken.contains(&id) {
            return None;
        }
        open_if_same(&entry.path(), position).ok()?.map(|file| Moved { path: entry.path(), file })
    })
}

/// Opens `path` if it is the file `position` speaks of, with its content still there.
fn open_if_same(path: &Path, position: &FilePosition) -> io::Result<Option<File>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || FileId::of(&metadata).ino != position.ino {
        return Ok(None);
    }
    let file = File::open(path)?;
    // Some file systems number their device anew at each boot; the content then has to vouch.
    let vouched = position.mark.offset > 0 || FileId::of(&metadata).dev == position.dev;
    Ok((vouched && holds(&file, &position.mark)).then_some(file))
}

fn siblings(path: &Path) -> impl Iterator<Item = DirEntry> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) | None => Path::new("."),
    };
    fs::read_dir(dir).into_iter().flatten().flatten().take(MAX_ENTRIES)
}

/// Whether `path` could be a rotated form of `of`: `a.log.1`, `a.log-20260101`, `a-1.log` of `a.log`.
pub(super) fn is_related(path: &Path, of: &Path) -> bool {
    let (Some(name), Some(base)) = (path.file_name(), of.file_name()) else { return false };
    let stem_len = base.as_bytes().iter().skip(1).position(|byte| *byte == b'.');
    let stem = &base.as_bytes()[..stem_len.map_or(base.len(), |len| len + 1)];
    // Rotation adds to a name. So what appears at the plain name is never taken for a copy of what
    // was rotated away, even if both begin with the same header.
    path.parent() == of.parent() && name.len() > base.len() && name.as_bytes().starts_with(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_related() {
        let check = |name: &str, expect| {
            let path = Path::new("/log").join(name);
            assert_eq!(is_related(&path, Path::new("/log/access.log")), expect, "{name}");
        };
        check("access.log.1", true);
        check("access.log-20260101", true);
        check("access-1.log", true);
        check("access.1.log", true);
        check("access.log", false);
        check("error.log", false);
        assert!(!is_related(Path::new("/old/access.log.1"), Path::new("/log/access.log")));
    }
}
