//! Segments: lines of `checksum alert`, in a file or, while the disk refuses, in memory.

use super::Position;
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// Bytes read at a time; one alert may need more.
const READ: u64 = 1 << 20;

/// Hexadecimal digits of the checksum of a line.
const CHECKSUM: usize = 16;

/// A part of the journal.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// The bytes that count. A file may be longer: a write that failed leaves something behind.
    pub(super) length: u64,
    pub(super) body: Body,
}

/// Where the lines of a segment are.
#[derive(Debug)]
pub(super) enum Body {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// The segments in a directory, by number. What is not a segment is left alone.
pub(super) fn found(dir: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("alerts-")?.strip_suffix(".log")?.parse().ok());
        if let Some(number) = number {
            let length = entry.metadata()?.len();
            segments.push(Segment { number, length, body: Body::File(entry.path()) });
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments.into())
}

/// Appends a line.
pub(super) fn write_line(alert: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(checksum(alert.as_bytes()).as_bytes());
    out.push(b' ');
    out.extend_from_slice(alert.as_bytes());
    out.push(b'\n');
}

fn checksum(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(CHECKSUM);
    for byte in &Sha256::digest(bytes)[..CHECKSUM / 2] {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// The alert of a line without its line break; `None` where it is damaged.
fn alert_of(line: &[u8]) -> Option<String> {
    let (sum, rest) = line.split_at_checked(CHECKSUM)?;
    let alert = rest.strip_prefix(b" ")?;
    (checksum(alert).as_bytes() == sum).then(|| String::from_utf8(alert.to_vec()).ok())?
}

impl Segment {
    pub(super) fn in_memory(number: u64, bytes: Vec<u8>) -> Self {
        Self { number, length: bytes.len() as u64, body: Body::Memory(bytes) }
    }

    /// How many bytes come after a position.
    pub(super) fn length_after(&self, position: Position) -> u64 {
        match self.number.cmp(&position.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.length.saturating_sub(position.offset),
            std::cmp::Ordering::Greater => self.length,
        }
    }

    pub(super) fn append_in_memory(&mut self, bytes: &[u8]) {
        if let Body::Memory(body) = &mut self.body {
            body.extend_from_slice(bytes);
            self.length = body.len() as u64;
        }
    }

    /// Appends lines and brings them to the disk. After an error the segment is as it was.
    pub(super) fn append(&mut self, dir: &Path, bytes: &[u8]) -> Result<()> {
        match &mut self.body {
            Body::Memory(body) => {
                let before = body.len();
                body.extend_from_slice(bytes);
                let saved = self.save(dir);
                if saved.is_err()
                    && let Body::Memory(body) = &mut self.body
                {
                    body.truncate(before);
                }
                saved
            }
            Body::File(path) => {
                let doing = || format!("writing {}", path.display());
                let mut file = OpenOptions::new().write(true).open(&*path).with_context(doing)?;
                // Over whatever a failed write left there.
                file.seek(SeekFrom::Start(self.length)).with_context(doing)?;
                file.write_all(bytes).with_context(doing)?;
                file.sync_data().with_context(doing)?;
                self.length += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Brings a segment that is in memory to the disk.
    pub(super) fn save(&mut self, dir: &Path) -> Result<()> {
        let Body::Memory(body) = &self.body else { return Ok(()) };
        let path = dir.join(format!("alerts-{:012}.log", self.number));
        let doing = || format!("writing {}", path.display());
        let mut file = File::create(&path).with_context(doing)?;
        file.write_all(body).with_context(doing)?;
        file.sync_all().with_context(doing)?;
        // The file's name is only safe once its directory is.
        File::open(dir).and_then(|dir| dir.sync_all()).with_context(doing)?;
        self.length = body.len() as u64;
        self.body = Body::File(path);
        Ok(())
    }

    /// Reads up to `most` alerts from an offset on: the alerts, how many lines were damaged, and the
    /// offset behind them, which is always greater than the one given.
    pub(super) fn read(&self, offset: u64, most: usize) -> io::Result<(Vec<String>, usize, u64)> {
        let mut wanted = READ;
        loop {
            let bytes = self.bytes(offset, wanted)?;
            let is_all =
                offset + bytes.len() as u64 >= self.length || (bytes.len() as u64) < wanted;
            let (mut alerts, mut n_broken, mut used) = (Vec::new(), 0, 0);
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let Some(line) = line.strip_suffix(b"\n") else { break };
                if alerts.len() == most {
                    break;
                }
                used += line.len() as u64 + 1;
                match alert_of(line) {
                    Some(alert) => alerts.push(alert),
                    None => n_broken += 1,
                }
            }
            if used > 0 {
                return Ok((alerts, n_broken, offset + used));
            }
            if is_all {
                // A line without an end: the program died while it was written.
                return Ok((alerts, 1, self.length));
            }
            wanted = wanted.saturating_mul(4);
        }
    }

    fn bytes(&self, offset: u64, wanted: u64) -> io::Result<Vec<u8>> {
        let wanted = wanted.min(self.length.saturating_sub(offset));
        match &self.body {
            Body::Memory(body) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
                let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
                Ok(body[start..body.len().min(start.saturating_add(wanted))].to_vec())
            }
            Body::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                let mut bytes = Vec::new();
                file.take(wanted).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// Removes its file. One that stays is found at the next start, and its alerts are recognized.
    pub(super) fn delete(self) {
        if let Body::File(path) = self.body
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a sent part of the outbox cannot be deleted");
        }
    }
}
