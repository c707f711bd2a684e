//! Which settings are in force where nobody names any, and where the program keeps its state.

use super::Settings;
use anyhow::{Context as _, Result};
use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The usual directories of an installed configuration, the first that exists counts.
pub(crate) const CONFIG_DIRS: [&str; 2] = ["/etc/shieldwall", "/etc/crowdsec"];

/// Where settings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    /// In a file.
    File(PathBuf),
    /// A directory with items and no settings.
    Directory(PathBuf),
    /// Nowhere.
    Nothing,
}

/// The settings in force: those that were named, else those of the environment, else those of the
/// usual directories.
/// A named file that is not there is for its reader to notice.
pub(crate) fn usual(named: Option<&Path>) -> Usual {
    if let Some(path) = named {
        return Usual::File(path.to_path_buf());
    }
    if let Some(path) = env::var_os("SHIELDWALL_CONFIG").filter(|path| !path.is_empty()) {
        return Usual::File(path.into());
    }
    for dir in CONFIG_DIRS.map(Path::new) {
        let config = dir.join("config.yaml");
        if config.is_file() {
            return Usual::File(config);
        }
        if dir.is_dir() {
            return Usual::Directory(dir.to_path_buf());
        }
    }
    Usual::Nothing
}

/// The directory this program keeps its own state in where settings name none.
pub(crate) fn usual_state_dir() -> Option<PathBuf> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        return Some(PathBuf::from("/var/lib/shieldwall"));
    }
    let path = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")));
    Some(state?.join("shieldwall"))
}

/// The directory this program keeps its own state in.
///
/// # Errors
/// When nothing tells where that could be.
pub(crate) fn state_dir(settings: &Settings) -> Result<PathBuf> {
    let dir = settings.state_dir.clone().or_else(usual_state_dir);
    dir.context("no directory to keep state in; set HOME, or name one in the settings")
}
