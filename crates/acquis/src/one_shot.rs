//! Reading an input once, as fast as it comes: files, compressed files, standard input.
//!
//! Bytes are read straight into the buffer that leaves as a [`Batch`]; lines are ranges in it, so
//! no line is copied except the unfinished one at the end of each buffer. Lines end at `\n` or
//! `\r\n`, empty ones are skipped, a last line needs no line end. A line longer than the limit is
//! cut there, counted, and the rest of it skipped (I5).

use crate::{
    batch::{BATCH_BYTES, Batch, LineSink},
    context::{Counters, SourceError, count},
};
use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr_iter, memrchr};
use model::{SourceId, Timestamp};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

/// The two bytes that begin every gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Room asked from the system at once.
const READ_BYTES: usize = BATCH_BYTES;

/// What to stamp on the lines of an input, and how long they may be.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Where the lines come from.
    pub source: SourceId,
    /// When they are read.
    pub read_at: Timestamp,
    /// The longest line handed over whole, in bytes.
    pub max_line: usize,
}

/// When a batch is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// When its buffer is full: files.
    Buffer,
    /// When the input has nothing more at the moment: pipes.
    Available,
}

/// An input being read once, batch by batch.
pub struct OneShot {
    input: Box<dyn Read + Send>,
    stamp: Stamp,
    counters: Arc<Counters>,
    /// Bytes read and not yet handed over: the start of a line.
    carry: Vec<u8>,
    fill: Fill,
    /// The rest of a line that was cut is being skipped.
    skipping: bool,
    ended: bool,
}

impl OneShot {
    /// Opens the file at `path`. What begins like gzip is decompressed.
    ///
    /// # Errors
    /// When the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path, stamp: Stamp, counters: Arc<Counters>) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|error| SourceError::file("opening", path, error))?;
        Self::new(file, stamp, counters).map_err(|error| SourceError::file("reading", path, error))
    }

    /// Reads a stream whose lines are wanted as soon as they arrive. What begins like gzip is
    /// decompressed.
    ///
    /// # Errors
    /// When the first bytes cannot be read.
    pub fn live(
        input: impl Read + Send + 'static,
        stamp: Stamp,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        Ok(Self { fill: Fill::Available, ..Self::new(input, stamp, counters)? })
    }

    /// Reads any stream. What begins like gzip is decompressed.
    ///
    /// # Errors
    /// When the first bytes cannot be read.
    pub fn new(
        input: impl Read + Send + 'static,
        stamp: Stamp,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        // Plain text bypasses this buffer, since reads are larger than it.
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let input: Box<dyn Read + Send> = if input.fill_buf()?.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(input))
        } else {
            Box::new(input)
        };
        let (carry, fill) = (Vec::new(), Fill::Buffer);
        Ok(Self { input, stamp, counters, carry, fill, skipping: false, ended: false })
    }

    /// Changes the time stamped on the lines of later batches.
    pub const fn set_read_at(&mut self, read_at: Timestamp) {
        self.stamp.read_at = read_at;
    }

    /// Fills `batch` with the next lines; returns whether there may be more. A batch without lines
    /// does not mean the end.
    ///
    /// # Errors
    /// When reading fails, or compressed data is damaged. Lines before the damage were delivered.
    pub fn next_into(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let mut text = std::mem::take(batch.text_mut());
        let mut filled = self.carry.len();
        if text.len() < filled + READ_BYTES {
            text.resize(filled + READ_BYTES, 0);
        }
        text[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let outcome = self.fill(&mut text, &mut filled);
        self.split(&text, filled, batch);
        *batch.text_mut() = text;
        outcome.map(|()| !self.ended)
    }

    /// Reads until `text` is full, or the input ends or pauses.
    fn fill(&mut self, text: &mut [u8], filled: &mut usize) -> io::Result<()> {
        while *filled < text.len() {
            match self.input.read(&mut text[*filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => {
                    *filled += n;
                    if self.fill == Fill::Available {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Turns `text[..filled]` into lines and keeps what follows the last line end. hot: replay
    fn split(&mut self, text: &[u8], filled: usize, batch: &mut Batch) {
        let mut start = 0;
        if self.skipping {
            let Some(end) = memchr(b'\n', &text[..filled]) else { return };
            self.skipping = false;
            start = end + 1;
        }
        let whole = if self.ended {
            filled
        } else {
            memrchr(b'\n', &text[start..filled]).map_or(start, |last| start + last + 1)
        };
        for end in memchr_iter(b'\n', &text[start..whole]).map({
            let first = start;
            move |end| first + end
        }) {
            self.line(text, start, end, batch);
            start = end + 1;
        }
        if self.ended {
            self.line(text, start, filled, batch);
            return;
        }
        if filled - start > self.stamp.max_line {
            self.line(text, start, filled, batch);
            self.skipping = true;
            return;
        }
        self.carry.extend_from_slice(&text[start..filled]);
    }

    fn line(&self, text: &[u8], start: usize, end: usize, batch: &mut Batch) {
        let mut end = end;
        if end > start && text[end - 1] == b'\r' {
            end -= 1;
        }
        if end - start > self.stamp.max_line {
            count(&self.counters.cut);
            end = start + self.stamp.max_line;
        }
        if end > start {
            batch.push_range(start..end, self.stamp.source, self.stamp.read_at);
        }
    }
}

impl std::fmt::Debug for OneShot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneShot").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// Reads the file at `path` to its end on the calling thread, handing each batch to `on_batch`.
///
/// # Errors
/// When the file cannot be opened, read or decompressed.
pub fn read_all(
    path: &Path,
    stamp: Stamp,
    sink: &LineSink,
    mut on_batch: impl FnMut(Batch),
) -> Result<(), SourceError> {
    let mut input = OneShot::open(path, stamp, Arc::clone(sink.counters()))?;
    loop {
        let mut batch = sink.batch();
        let outcome = input.next_into(&mut batch);
        if !batch.is_empty() {
            on_batch(batch);
        }
        if !outcome.map_err(|error| SourceError::file("reading", path, error))? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel;
    use proptest::prelude::*;
    use std::io::Write;

    const STAMP: Stamp =
        Stamp { source: SourceId(1), read_at: Timestamp::from_unix_nanos(0), max_line: 1000 };

    /// Hands out a few bytes at a time.
    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buffer.len()).min(self.1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    fn lines(input: impl Read + Send + 'static, stamp: Stamp) -> (Vec<Vec<u8>>, u64) {
        let counters = Arc::<Counters>::default();
        let mut input = OneShot::new(input, stamp, Arc::clone(&counters)).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut batch = Batch::new();
            let more = input.next_into(&mut batch).unwrap();
            lines.extend(batch.iter().map(|line| line.text.to_vec()));
            if !more {
                return (lines, counters.read().cut);
            }
        }
    }

    fn check(text: &str, expect: &[&str]) {
        let (found, _) = lines(Trickle(text.as_bytes().to_vec(), 3), STAMP);
        let found: Vec<_> = found.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn splits_lines() {
        check("", &[]);
        check("\n\n", &[]);
        check("a\nb", &["a", "b"]);
        check("a\r\n\r\nb\r", &["a", "b"]);
        check("a\0b\n\u{1b}[31m\n", &["a\0b", "\u{1b}[31m"]);
    }

    #[test]
    fn a_long_line_is_cut_and_counted() {
        for total in [1001, READ_BYTES, 2 * READ_BYTES + 17, 5 * READ_BYTES] {
            let text = format!("first\n{}\nlast\n", "x".repeat(total));
            let (found, n_cut) = lines(io::Cursor::new(text.into_bytes()), STAMP);
            assert_eq!(found.len(), 3, "{total}");
            assert_eq!((found[1].len(), n_cut), (1000, 1));
            assert_eq!(found[2], b"last");
        }
    }

    #[test]
    fn gzip_is_recognized_by_content() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        let mut bytes = gzip.finish().unwrap();
        bytes.extend(bytes.clone());
        let (found, _) = lines(io::Cursor::new(bytes.clone()), STAMP);
        assert_eq!(found, ["one", "two", "one", "two"].map(|line| line.as_bytes().to_vec()));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("damaged.gz");
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        let (sink, _receiver) = channel(1);
        let mut n_lines = 0;
        let outcome = read_all(&path, STAMP, &sink, |batch| n_lines += batch.len());
        assert!(outcome.is_err());
        assert!(n_lines >= 2);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            pieces in prop::collection::vec("[a\r\n]{0,40}", 0..40),
            chunk in 1_usize..50,
            max_line in 1_usize..60,
        ) {
            let text = pieces.concat();
            let expect: Vec<Vec<u8>> = text
                .split('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line))
                .filter(|line| !line.is_empty())
                .map(|line| line.as_bytes()[..line.len().min(max_line)].to_vec())
                .collect();
            let stamp = Stamp { max_line, ..STAMP };
            prop_assert_eq!(lines(Trickle(text.into_bytes(), chunk), stamp).0, expect);
        }
    }
}
