//! Which settings are in force where nobody names any, and where the program keeps its state.

use super::Settings;
use anyhow::{Context as _, Result};
use std::{
    env, fs, io,
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
/// A named file that is not there is for its reader to notice. A named directory is one like the
/// usual ones.
pub(crate) fn usual(named: Option<&Path>) -> Usual {
    let from_environment = || env::var_os("SHIELDWALL_CONFIG").filter(|path| !path.is_empty());
    let named = named.map(Path::to_path_buf).or_else(|| from_environment().map(PathBuf::from));
    if let Some(path) = named {
        let config = path.join("config.yaml");
        return match path.is_dir() {
            true if config.is_file() => Usual::File(config),
            true => Usual::Directory(path),
            false => Usual::File(path),
        };
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

/// Where it is written, beside a database, at which address the server of that database listens.
fn own_address_path(database: &Path) -> PathBuf {
    database.with_file_name("local_api_address")
}

/// Writes down where the server of a database listens, for tools that have no settings.
///
/// # Errors
/// When that cannot be written.
pub(crate) fn write_own_address(database: &Path, address: &str) -> io::Result<()> {
    let path = own_address_path(database);
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("{address}\n"))?;
    fs::rename(fresh, path)
}

/// Where the server of a database listens, or listened last.
pub(crate) fn read_own_address(database: &Path) -> Option<String> {
    let text = fs::read_to_string(own_address_path(database)).ok()?;
    let address = text.trim();
    (address.starts_with("http://") || address.starts_with('/')).then(|| address.to_owned())
}

/// The directory this program keeps its own state in.
///
/// # Errors
/// When nothing tells where that could be.
pub(crate) fn state_dir(settings: &Settings) -> Result<PathBuf> {
    let dir = settings.state_dir.clone().or_else(usual_state_dir);
    dir.context("no directory to keep state in; set HOME, or name one in the settings")
}
