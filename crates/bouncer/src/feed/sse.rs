//! The event stream of `/v1/decisions/feed`, as bytes that arrive in pieces of any size.
//!
//! Only what our server sends is understood: `event`, `data` and `id`; comments are skipped, they
//! only show that the connection lives.

use api::DecisionDelta;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A full list follows.
    Reset,
    /// Decisions that begin and end.
    Delta(DecisionDelta),
    /// The list is whole, or the batch of changes.
    Ready,
}

/// An event, and the place in the feed it ends a batch at, if it does: to be sent as
/// `Last-Event-ID` when connecting again.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The event.
    pub event: Event,
    /// The place.
    pub place: Option<String>,
}

/// Why a stream cannot be read on. It is to be closed and asked for anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// An event is longer than any our server sends.
    #[error("an event of the decision feed is too long")]
    TooLong,
    /// The data of an event cannot be read.
    #[error("an event of the decision feed cannot be read: {0}")]
    Data(String),
}

/// Events of our server hold a page of decisions, a few megabytes at most.
const MAX_EVENT: usize = 64 << 20;
const MAX_PLACE: usize = 256;

/// Gathers bytes into events.
#[derive(Debug, Default)]
pub struct Parser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    kind: Vec<u8>,
    data: Vec<u8>,
    place: Option<String>,
}

impl Parser {
    /// Takes bytes as they arrive; `found` gets each event they complete.
    ///
    /// # Errors
    /// When what arrives is no feed of ours; nothing after that makes sense.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut found: impl FnMut(Placed),
    ) -> Result<(), StreamError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if let Some(event) = self.line(&line)? {
                found(event);
            }
            // The room of the line is used again.
            line.clear();
            self.line = line;
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.data.len() > MAX_EVENT {
            return Err(StreamError::TooLong);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Placed>, StreamError> {
        if line.is_empty() {
            return self.finish();
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.kind = value.iter().take(64).copied().collect(),
            b"data" => {
                if self.data.len() + value.len() > MAX_EVENT {
                    return Err(StreamError::TooLong);
                }
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"id" if value.len() <= MAX_PLACE => {
                self.place = Some(String::from_utf8_lossy(value).into_owned());
            }
            _ => {}
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<Placed>, StreamError> {
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        let place = self.place.take();
        let event = match kind.as_slice() {
            b"reset" => Event::Reset,
            b"ready" => Event::Ready,
            b"delta" => Event::Delta(
                serde_json::from_slice(&data)
                    .map_err(|error| StreamError::Data(error.to_string()))?,
            ),
            // One that a later server knows, or none at all.
            _ => return Ok(None),
        };
        Ok(Some(Placed { event, place }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b"event: reset\ndata: {}\n\n: still here\n\nevent: delta\ndata: \
        {\"new\":[{\"id\":1,\"value\":\"192.0.2.1\"}],\"deleted\":null}\n\nevent: ready\r\nid: 7-1\r\n\
        data: {}\r\n\r\nevent: later\ndata: x\n\n";

    fn read(pieces: &[&[u8]]) -> Vec<Placed> {
        let (mut parser, mut all) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, |event| all.push(event)).unwrap();
        }
        all
    }

    #[test]
    fn reads_what_the_server_sends() {
        let all = read(&[STREAM]);
        assert_eq!(all.len(), 3);
        assert_eq!((&all[0].event, &all[0].place), (&Event::Reset, &None));
        let Event::Delta(delta) = &all[1].event else { panic!("{all:?}") };
        assert_eq!(delta.new[0].id, Some(1));
        assert_eq!((&all[2].event, all[2].place.as_deref()), (&Event::Ready, Some("7-1")));
        let bad = Parser::default().push(b"event: delta\ndata: {\n\n", drop);
        assert!(matches!(bad, Err(StreamError::Data(_))));
    }

    proptest! {
        #[test]
        fn where_it_is_cut_does_not_matter(cut in 0..STREAM.len(), other in 0..STREAM.len()) {
            let (a, b) = (cut.min(other), cut.max(other));
            prop_assert_eq!(read(&[&STREAM[..a], &STREAM[a..b], &STREAM[b..]]), read(&[STREAM]));
        }

        #[test]
        fn nonsense_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Parser::default().push(&bytes, drop));
        }
    }
}
