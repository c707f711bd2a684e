//! Alerts that a parent will not have: set aside, so that those behind them get through.
//!
//! Each parent has a file of them, one alert in JSON per line. Whoever has mended what was wrong
//! renames it to [`AGAIN`], and the next start sends them once more. The file is bounded (I5): when
//! it is full it becomes the old one, and the old one before it goes.

use super::MAX_ALERT;
use anyhow::{Context as _, Result};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};
use tracing::{info, warn};

/// What a file is called whose alerts are to be sent again.
pub(super) const AGAIN: &str = "again.jsonl";

/// A file that is longer is followed by a new one.
const LONGEST: u64 = 8 << 20;

/// Sets alerts aside for a parent, safely on disk; gives the file.
pub(super) fn add(dir: &Path, parent: &str, alerts: &[String]) -> Result<PathBuf> {
    let path = dir.join(format!("refused-{parent}.jsonl"));
    let doing = || format!("writing {}", path.display());
    if fs::metadata(&path).is_ok_and(|file| file.len() > LONGEST) {
        let old = dir.join(format!("refused-{parent}.old.jsonl"));
        if old.exists() {
            warn!(path = %old.display(), "alerts set aside long ago are lost");
        }
        fs::rename(&path, &old).with_context(doing)?;
    }
    let mut text = String::new();
    for alert in alerts {
        text.push_str(alert);
        text.push('\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(&path).with_context(doing)?;
    let before = file.metadata().with_context(doing)?.len();
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half an alert would spoil the next one.
        let _as_good_as_it_gets = file.set_len(before);
        return Err(error).with_context(doing);
    }
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(doing)?;
    Ok(path)
}

/// Gives the alerts that are to be sent again to `take`, and deletes the file once that says they are
/// safe.
pub(super) fn take_again(dir: &Path, mut take: impl FnMut(Vec<String>) -> bool) -> io::Result<()> {
    let path = dir.join(AGAIN);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut alerts, mut n_broken) = (Vec::new(), 0_u64);
    // A file somebody put there need not be one of ours.
    for line in BufReader::new(file.take(4 * LONGEST)).lines() {
        let Ok(line) = line else {
            n_broken += 1;
            continue;
        };
        if line.len() <= MAX_ALERT && serde_json::from_str::<api::Alert>(&line).is_ok() {
            alerts.push(line);
        } else if !line.trim().is_empty() {
            n_broken += 1;
        }
    }
    let n_alerts = alerts.len();
    if n_broken > 0 {
        warn!(path = %path.display(), n = n_broken, "lines are no alerts and are skipped");
    }
    if take(alerts) {
        info!(n = n_alerts, "alerts that were set aside are sent again");
        fs::remove_file(&path)?;
    }
    Ok(())
}
