//! One open file: reads what was added, splits it into lines, notices truncation.
//!
//! The unfinished last line is held back until its end is written, so a position always lies
//! behind a line end. Each read begins a few bytes before the position and compares them with what
//! was read there before: a file that was truncated and has already grown beyond the position is
//! thus not mistaken for one that only grew.
//!
//! INVARIANT: `consumed` lies behind the last line handed over, `accepted` never behind it.

use crate::{
    batch::Batch,
    checkpoint::{FilePosition, Mark, StoredPath},
    context::{Counters, count},
    fingerprint::Fingerprint,
};
use memchr::{memchr_iter, memrchr};
use model::{Line, SourceId, Stamp, Timestamp};
use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

/// How much of the start of a file identifies it.
const HEAD: usize = 1024;

/// How much before a position is compared.
const TAIL: usize = 64;

/// Bytes read at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// A file written less than these nanoseconds ago may be written again without a new date.
const RECENT: i64 = 1_000_000_000;

/// Names a file as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    pub(super) dev: u64,
    pub(super) ino: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { dev: metadata.dev(), ino: metadata.ino() }
    }
}

/// Names one reading of one file. A truncated file is read anew under a new number, so that late
/// acknowledgments of its former content do not move the new position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FollowId(pub(super) u64);

/// Where a file is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At a path that matches a pattern.
    AtPath,
    /// Renamed, replaced or deleted; whoever has it open may still write.
    Rotated { since: Duration },
}

/// What one read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poured {
    /// The end of the file.
    End,
    /// Something; there may be more.
    More,
    /// Not what was there before.
    Truncated,
}

/// A file being followed.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) id: FollowId,
    pub(super) file_id: FileId,
    /// Where it is now, as far as known.
    pub(super) path: PathBuf,
    /// Where it was found first; its lines carry this name.
    pub(super) origin: PathBuf,
    pub(super) source: SourceId,
    /// Names this reading of this file, across restarts.
    pub(super) stamp: Stamp,
    pub(super) place: Place,
    /// Not read before that one was read to its end.
    pub(super) after: Option<FollowId>,
    /// Everything up to here was handed over and acknowledged.
    pub(super) accepted: Mark,
    /// Has lines in the batch being filled, or moved past lines not worth handing over.
    pub(super) touched: bool,
    /// When it last had something new.
    pub(super) grew_at: Duration,
    /// Whether the last read found the end.
    pub(super) at_end: bool,
    file: File,
    consumed: Mark,
    /// The first bytes of the file, none behind `consumed`.
    head: Vec<u8>,
    /// When it was last written, as of the last look.
    modified: Timestamp,
    /// The next byte to read.
    read: u64,
    /// The bytes right before `read`.
    recent: Vec<u8>,
    /// The unfinished line: what was read behind `consumed`, without what exceeds the limit.
    partial: Vec<u8>,
    /// Whether the unfinished line exceeds the limit.
    partial_cut: bool,
}

/// What a new [`Follow`] is told about its file.
pub(super) struct Opening {
    pub(super) id: FollowId,
    pub(super) path: PathBuf,
    pub(super) origin: PathBuf,
    pub(super) source: SourceId,
    pub(super) stamp: Stamp,
    pub(super) place: Place,
    pub(super) after: Option<FollowId>,
    pub(super) now: Duration,
}

impl Follow {
    /// Follows `file` from `mark` on.
    pub(super) fn new(file: File, opening: Opening, mark: Mark) -> io::Result<Self> {
        let file_id = FileId::of(&file.metadata()?);
        let recent = before(&file, mark.offset, TAIL)?;
        let head = start(&file, mark.head.len.into())?;
        let Opening { id, path, origin, source, stamp, place, after, now } = opening;
        Ok(Self {
            id,
            file_id,
            path,
            origin,
            source,
            stamp,
            place,
            after,
            accepted: mark,
            touched: false,
            grew_at: now,
            at_end: false,
            file,
            consumed: mark,
            head,
            modified: Timestamp::MIN,
            read: mark.offset,
            recent,
            partial: Vec::new(),
            partial_cut: false,
        })
    }

    /// The place behind the last line handed over.
    pub(super) const fn consumed(&self) -> Mark {
        self.consumed
    }

    /// The place up to which the file was read, inside an unfinished line perhaps.
    pub(super) fn read_mark(&self) -> Mark {
        Mark { offset: self.read, head: self.consumed.head, tail: Fingerprint::of(&self.recent) }
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Whether `copy` holds what this file held when it was last read, and nothing else. What the
    /// file holds now does not matter: it may have been truncated since the copy was made.
    pub(super) fn resembles(&self, copy: &File) -> Likeness {
        self.compare(copy).unwrap_or(Likeness::Different)
    }

    fn compare(&self, copy: &File) -> io::Result<Likeness> {
        if self.head.is_empty() {
            return Ok(Likeness::Different);
        }
        let head = start(copy, to_u64(self.head.len()))?;
        if !self.head.starts_with(&head) {
            return Ok(Likeness::Different);
        }
        let len = copy.metadata()?.len();
        if len < self.consumed.offset {
            return Ok(Likeness::TooShort);
        }
        if !holds(copy, &self.consumed) {
            return Ok(Likeness::Different);
        }
        // Two logs that begin with the same header part ways later.
        let own_len = self.file.metadata()?.len();
        let same = !holds(&self.file, &self.consumed)
            || (own_len >= len && before(&self.file, len, TAIL)? == before(copy, len, TAIL)?);
        Ok(if same { Likeness::Same } else { Likeness::Different })
    }

    /// What to remember of this file.
    pub(super) fn position(&self) -> FilePosition {
        FilePosition {
            path: StoredPath::new(&self.origin),
            dev: self.file_id.dev,
            ino: self.file_id.ino,
            mark: self.accepted,
            copy: false,
            stamp: self.stamp.bits(),
        }
    }

    /// Reads the file again from its start, as another reading.
    pub(super) fn restart(&mut self, id: FollowId, after: Option<FollowId>) {
        self.id = id;
        self.stamp = next_reading(self.stamp);
        self.after = after;
        self.accepted = Mark::START;
        self.consumed = Mark::START;
        self.head.clear();
        self.touched = false;
        self.at_end = false;
        self.read = 0;
        self.recent.clear();
        self.drop_partial();
    }

    /// Whether an unfinished line is held back.
    pub(super) fn has_partial(&self) -> bool {
        self.read > self.consumed.offset
    }

    /// Hands over the unfinished line as it is.
    pub(super) fn give_up_partial(
        &mut self,
        batch: &mut Batch,
        at: Timestamp,
        counters: &Counters,
    ) {
        if !self.partial.is_empty() {
            count(&counters.unfinished);
            let line = Line { text: &self.partial, source: self.source, read_at: at };
            batch.push_stamped(line, self.stamp.part(self.read));
        }
        self.drop_partial();
        let tail = Fingerprint::of(&self.recent);
        self.consume(self.read, tail);
    }

    /// Reads one chunk and adds its lines to `batch`.
    pub(super) fn pour(
        &mut self,
        scratch: &mut [u8],
        batch: &mut Batch,
        limits: &PourLimits<'_>,
    ) -> io::Result<Poured> {
        let metadata = self.file.metadata()?;
        if metadata.len() < self.read {
            return Ok(Poured::Truncated);
        }
        self.at_end = metadata.len() == self.read;
        if self.at_end && !self.was_written(&metadata, limits.read_at) {
            return Ok(Poured::End);
        }
        let n_known = self.recent.len();
        let from = self.read.saturating_sub(to_u64(n_known));
        let n_read = read_up_to(&self.file, scratch, from)?;
        if n_read < n_known || scratch[..n_known] != self.recent {
            return Ok(Poured::Truncated);
        }
        if n_read == n_known {
            self.at_end = true;
            return Ok(Poured::End);
        }
        self.grew_at = limits.now;
        self.split(&scratch[..n_read], n_known, batch, limits);
        Ok(Poured::More)
    }

    /// Whether the file was written since it was last looked into: a file that was truncated may
    /// have grown to exactly its former length.
    fn was_written(&mut self, metadata: &Metadata, now: Timestamp) -> bool {
        let modified = Timestamp::from_unix(metadata.mtime(), 0).plus_nanos(metadata.mtime_nsec());
        let before = std::mem::replace(&mut self.modified, modified);
        // The clock that stamps files ticks every few milliseconds.
        before != modified || now.nanos_since(modified) < RECENT
    }

    /// Splits `window[n_known..]`, which begins at `self.read`.
    fn split(&mut self, window: &[u8], n_known: usize, batch: &mut Batch, limits: &PourLimits<'_>) {
        let chunk = &window[n_known..];
        let mut start = 0;
        for end in memchr_iter(b'\n', chunk) {
            let at = self.read.saturating_add(to_u64(end));
            self.line(&chunk[start..end], at, batch, limits);
            start = end + 1;
        }
        if let Some(last) = memrchr(b'\n', chunk) {
            let consumed = n_known + last + 1;
            let tail = Fingerprint::of(&window[consumed.saturating_sub(TAIL)..consumed]);
            self.consume(self.read.saturating_add(to_u64(last + 1)), tail);
        }
        self.hold(&chunk[start..], limits.max_line);
        self.read = self.read.saturating_add(to_u64(chunk.len()));
        self.recent.clear();
        self.recent.extend_from_slice(&window[window.len().saturating_sub(TAIL)..]);
    }

    /// Hands over the line that ends with `piece`, at the offset `at`.
    fn line(&mut self, piece: &[u8], at: u64, batch: &mut Batch, limits: &PourLimits<'_>) {
        let held;
        let mut text = if self.partial.is_empty() && !self.partial_cut {
            without_hole(piece)
        } else {
            self.hold(piece, limits.max_line);
            held = std::mem::take(&mut self.partial);
            &held
        };
        if self.partial_cut || text.len() > limits.max_line {
            count(&limits.counters.cut);
            text = &text[..text.len().min(limits.max_line)];
        }
        self.drop_partial();
        if !text.is_empty() {
            let line = Line { text, source: self.source, read_at: limits.read_at };
            batch.push_stamped(line, self.stamp.part(at));
        }
    }

    /// Adds to the unfinished line what the limit leaves room for.
    fn hold(&mut self, piece: &[u8], max_line: usize) {
        let piece = if self.partial.is_empty() { without_hole(piece) } else { piece };
        let room = max_line.saturating_sub(self.partial.len());
        self.partial_cut |= piece.len() > room;
        self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn drop_partial(&mut self) {
        self.partial_cut = false;
        // A long line must not pin its memory for ever.
        if self.partial.capacity() > CHUNK {
            self.partial = Vec::new();
        }
        self.partial.clear();
    }

    fn consume(&mut self, offset: u64, tail: Fingerprint) {
        self.touched = true;
        self.consumed.offset = offset;
        self.consumed.tail = tail;
        if self.head.len() < HEAD
            && let Ok(head) = start(&self.file, offset)
        {
            // If the file was truncated this very moment, the head is wrong and the next read
            // notices and starts anew.
            self.consumed.head = Fingerprint::of(&head);
            self.head = head;
        }
    }
}

/// What a read is told besides where to put lines.
pub(super) struct PourLimits<'a> {
    pub(super) max_line: usize,
    pub(super) read_at: Timestamp,
    pub(super) now: Duration,
    pub(super) counters: &'a Counters,
}

/// The stamp of the first reading of a file. Numbers of files come back, together with the date of
/// birth they do not; where a file system knows none, lines have no stamp.
pub(super) fn first_reading(metadata: &Metadata) -> Stamp {
    let Ok(born) = metadata.created() else { return Stamp::NONE };
    let Ok(since) = born.duration_since(UNIX_EPOCH) else { return Stamp::NONE };
    let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    Stamp::of(nanos).part(metadata.dev()).part(metadata.ino())
}

/// The stamp of a file that begins anew.
pub(super) const fn next_reading(stamp: Stamp) -> Stamp {
    stamp.part(u64::MAX)
}

/// The mark behind the last line end in `file`: where following begins if its lines are old news.
pub(super) fn end_mark(file: &File, max_line: usize) -> io::Result<Mark> {
    let mut end = file.metadata()?.len();
    let size = end;
    let mut chunk = vec![0; CHUNK];
    loop {
        let start = end.saturating_sub(to_u64(CHUNK));
        let n_wanted = usize::try_from(end - start).unwrap_or(CHUNK);
        let n_read = read_up_to(file, &mut chunk[..n_wanted], start)?;
        if let Some(last) = memrchr(b'\n', &chunk[..n_read]) {
            return mark_at(file, start + to_u64(last + 1));
        }
        // A line this long is cut anyway; where its rest begins does not matter.
        if start == 0 || size - start > to_u64(max_line) {
            return mark_at(file, if start == 0 { 0 } else { size });
        }
        end = start;
    }
}

/// The mark at `offset` of `file`.
pub(super) fn mark_at(file: &File, offset: u64) -> io::Result<Mark> {
    let tail = Fingerprint::of(&before(file, offset, TAIL)?);
    Ok(Mark { offset, head: Fingerprint::of(&start(file, offset)?), tail })
}

/// Whether `mark` lies in the content of `file`.
pub(super) fn holds(file: &File, mark: &Mark) -> bool {
    let part = |from: u64, print: Fingerprint| {
        let mut bytes = vec![0; print.len().min(HEAD)];
        let n_read = read_up_to(file, &mut bytes, from)?;
        Ok::<_, io::Error>(Fingerprint::of(&bytes[..n_read]) == print)
    };
    let tail_at = mark.offset.saturating_sub(mark.tail.len.into());
    part(0, mark.head).unwrap_or(false) && part(tail_at, mark.tail).unwrap_or(false)
}

/// How the start of one file compares with that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Different,
    Same,
    /// Equal so far, but not long enough to tell.
    TooShort,
}

/// The first bytes of the file, at most `limit` and no more than identify it.
fn start(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(limit).unwrap_or(HEAD).min(HEAD)];
    let n_read = read_up_to(file, &mut bytes, 0)?;
    bytes.truncate(n_read);
    Ok(bytes)
}

/// The `n` bytes before `offset`, or fewer at the start of the file.
fn before(file: &File, offset: u64, n: usize) -> io::Result<Vec<u8>> {
    let n = usize::try_from(offset).unwrap_or(n).min(n);
    let mut bytes = vec![0; n];
    let n_read = read_up_to(file, &mut bytes, offset - to_u64(n))?;
    bytes.truncate(n_read);
    Ok(bytes)
}

/// Reads at `from` until `buffer` is full or the file ends.
fn read_up_to(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], from.saturating_add(to_u64(filled))) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The line without the run of NUL bytes that a writer leaves when its file is truncated under it
/// and it goes on at its old offset.
fn without_hole(piece: &[u8]) -> &[u8] {
    let n_nul = piece.iter().take_while(|byte| **byte == 0).count();
    &piece[n_nul..]
}

pub(super) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
