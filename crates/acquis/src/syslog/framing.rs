//! Frames in a TCP stream (RFC 6587): with a length in front, or with a line end behind.
//!
//! The form is decided frame by frame: a frame that begins with a number and a blank is counted,
//! every other one ends with its line. Frames longer than the limit are cut and their rest is
//! skipped, so a connection never holds more than one frame of that size (I5).

/// Counts beyond this are no syslog: following them would only skip what the peer sends.
const MAX_COUNT: u64 = 16 * 1024 * 1024;

/// Takes a stream apart.
#[derive(Debug)]
pub(super) struct Framer {
    state: State,
    frame: Vec<u8>,
    cut: bool,
    max_frame: usize,
}

#[derive(Debug)]
enum State {
    Start,
    /// Digits so far stand in `frame`: they may turn out to be text.
    Count(u64),
    Counted {
        n_left: usize,
    },
    Line,
}

/// A length nobody means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCount;

/// A frame, and whether it is all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) text: &'a [u8],
    pub(super) cut: bool,
}

impl Framer {
    pub(super) const fn new(max_frame: usize) -> Self {
        Self { state: State::Start, frame: Vec::new(), cut: false, max_frame }
    }

    /// Takes the next bytes and calls `on_frame` for each frame they complete.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> Result<(), BadCount> {
        while let Some(first) = bytes.first().copied() {
            match &mut self.state {
                State::Start => match first {
                    b'1'..=b'9' => self.state = State::Count(0),
                    // The line end that some senders put behind a counted frame.
                    b'\n' | b'\r' | 0 => bytes = &bytes[1..],
                    _ => self.state = State::Line,
                },
                State::Count(count) => match first {
                    b'0'..=b'9' if self.frame.len() < 10 => {
                        *count = *count * 10 + u64::from(first - b'0');
                        self.frame.push(first);
                        bytes = &bytes[1..];
                    }
                    b' ' => {
                        if *count > MAX_COUNT {
                            return Err(BadCount);
                        }
                        let n_left = usize::try_from(*count).map_err(|_too_large| BadCount)?;
                        self.frame.clear();
                        self.state = State::Counted { n_left };
                        bytes = &bytes[1..];
                    }
                    _ => self.state = State::Line,
                },
                State::Counted { n_left } => {
                    let (piece, rest) = bytes.split_at(bytes.len().min(*n_left));
                    *n_left -= piece.len();
                    let complete = *n_left == 0;
                    bytes = rest;
                    self.collect(piece);
                    if complete {
                        self.emit(&mut on_frame);
                    }
                }
                State::Line => {
                    let end = memchr::memchr(b'\n', bytes);
                    self.collect(&bytes[..end.unwrap_or(bytes.len())]);
                    bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
                    if end.is_some() {
                        self.emit(&mut on_frame);
                    }
                }
            }
        }
        Ok(())
    }

    /// The peer has closed: calls `on_frame` with what is left.
    pub(super) fn finish(&mut self, mut on_frame: impl FnMut(Frame<'_>)) {
        self.cut |= matches!(self.state, State::Counted { .. });
        self.emit(&mut on_frame);
    }

    fn collect(&mut self, piece: &[u8]) {
        let room = self.max_frame.saturating_sub(self.frame.len());
        self.cut |= piece.len() > room;
        self.frame.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn emit(&mut self, on_frame: &mut impl FnMut(Frame<'_>)) {
        // Digits that turned out to be text were not measured.
        self.cut |= self.frame.len() > self.max_frame;
        self.frame.truncate(self.max_frame);
        let text = self.frame.strip_suffix(b"\r").unwrap_or(&self.frame);
        if !text.is_empty() {
            on_frame(Frame { text, cut: self.cut });
        }
        self.frame.clear();
        self.cut = false;
        self.state = State::Start;
    }
}
