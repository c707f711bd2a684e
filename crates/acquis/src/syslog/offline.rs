//! What the server does to bytes, without sockets and clocks: for captured traffic and for fuzzing.
//!
//! The same framing and decoding as behind a socket, so what is found here is true there.

use super::{
    config::Parsing,
    decode::{Decoded, Moment, decode},
    framing::{Frame, Framer},
};

/// Stands in for the date of messages that have none.
const NO_DATE: Moment = Moment { month: 1, day: 1, hour: 0, minute: 0, second: 0 };

/// What bytes from the network became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The lines, in order.
    pub lines: Vec<Vec<u8>>,
    /// Frames longer than the limit.
    pub cut: u64,
    /// Messages that no format fits.
    pub malformed: u64,
    /// Whether the connection was closed over a length nobody means.
    pub broken: bool,
}

impl Transcript {
    /// What one datagram becomes. Messages without a date get the first of January.
    #[must_use]
    pub fn of_datagram(datagram: &[u8], parsing: Parsing) -> Self {
        let mut transcript = Self::default();
        transcript.message(datagram, parsing);
        transcript
    }

    /// What a connection becomes whose bytes arrived in `pieces`.
    pub fn of_stream<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
        max_frame: usize,
        parsing: Parsing,
    ) -> Self {
        let mut transcript = Self::default();
        let mut framer = Framer::new(max_frame);
        for piece in pieces {
            if framer.feed(piece, |frame| transcript.frame(frame, parsing)).is_err() {
                transcript.broken = true;
                return transcript;
            }
        }
        framer.finish(|frame| transcript.frame(frame, parsing));
        transcript
    }

    fn frame(&mut self, frame: Frame<'_>, parsing: Parsing) {
        self.cut += u64::from(frame.cut);
        self.message(frame.text, parsing);
    }

    fn message(&mut self, text: &[u8], parsing: Parsing) {
        let mut line = Vec::new();
        if decode(text, parsing, NO_DATE, &mut line) == Decoded::Malformed {
            self.malformed += 1;
        }
        if !line.is_empty() {
            self.lines.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_becomes_the_lines_of_its_messages() {
        let pieces: [&[u8]; 3] = [b"33 <34>Oct 11 22:1", b"4:15 h su[12]: one<34>", b"nonsense\n"];
        let seen = Transcript::of_stream(pieces, 100, Parsing::Rfc);
        assert_eq!(seen.lines, [b"Oct 11 22:14:15 h su[12]: one".to_vec()]);
        assert_eq!((seen.malformed, seen.cut, seen.broken), (1, 0, false));
        let seen = Transcript::of_datagram(b"<34>1 - h su - - - text", Parsing::Rfc);
        assert_eq!(seen.lines, [b"Jan 1 00:00:00 h su: text".to_vec()]);
    }
}
