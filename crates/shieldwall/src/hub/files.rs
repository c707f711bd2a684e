//! Reading foreign files: with a limit on their size, and paths that stay where they belong.

use anyhow::{Context as _, Result, ensure};
use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

/// The largest rule or settings file that is read. The hub's largest is a hundredth of it.
const MAX_RULE: u64 = 8 << 20;

/// The largest data file that is read.
const MAX_DATA: u64 = 256 << 20;

/// Reads a rule, pattern or settings file. Bytes that are no UTF-8 are replaced: the text then has
/// a place to point at, which a refusal would not have.
pub(crate) fn read_rule(path: &Path) -> Result<String> {
    read(path, MAX_RULE)
}

/// Reads a data file.
pub(crate) fn read_data(path: &Path) -> Result<String> {
    read(path, MAX_DATA)
}

fn read(path: &Path, max: u64) -> Result<String> {
    let doing = || format!("reading {}", path.display());
    let file = File::open(path).with_context(doing)?;
    let is_file = file.metadata().with_context(doing)?.is_file();
    ensure!(is_file, "reading {}: not a regular file", path.display());
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).with_context(doing)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= max);
    ensure!(fits, "reading {}: larger than {} MiB", path.display(), max >> 20);
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A path below `root`, unless `path` would lead out of it.
pub(crate) fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let stays =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    (stays && !path.as_os_str().is_empty()).then(|| root.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        let root = Path::new("/hub");
        assert_eq!(below(root, "a/./b.yaml"), Some(PathBuf::from("/hub/a/./b.yaml")));
        for path in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert_eq!(below(root, path), None, "{path}");
        }
    }

    #[test]
    fn bytes_are_made_text_and_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.yaml");
        std::fs::write(&path, b"a\xffb").unwrap();
        assert_eq!(read_rule(&path).unwrap(), "a\u{fffd}b");
        assert!(read_rule(dir.path()).is_err());
        assert!(read(&path, 2).unwrap_err().to_string().contains("larger"));
    }
}
