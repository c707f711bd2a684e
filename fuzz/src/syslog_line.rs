//! Syslog: datagrams, and TCP streams in either framing.
//!
//! The first byte of the input chooses how messages are read and how large frames may be; the rest
//! is what the network brought. How a stream is cut into reads must not matter; no line may outgrow
//! its message; and messages framed by the book must come out as they would from datagrams.

use super::bytes::Bytes;
use acquis::syslog::{Parsing, offline::Transcript};

/// What a line may have that its message has not: date, `unknownhost`, and punctuation.
const MAX_GROWTH: usize = 40;

const MONTHS: &[&[u8]] = &[
    b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
    b"Nov ", b"Dec ",
];

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let flags = input.byte();
    let parsing = if flags & 1 == 0 { Parsing::Rfc } else { Parsing::StripPriority };
    let max_frame = [64 * 1024, 0, 1, 16, 100][usize::from(flags >> 1) % 5];
    let bytes = input.rest();
    check_lines(&Transcript::of_datagram(bytes, parsing), bytes.len(), parsing);
    let whole = Transcript::of_stream([bytes], max_frame, parsing);
    check_lines(&whole, max_frame.min(bytes.len()), parsing);
    for size in [1, 2, 3, 7, 61] {
        let pieces = Transcript::of_stream(bytes.chunks(size), max_frame, parsing);
        assert_eq!(pieces, whole, "in pieces of {size} bytes");
    }
    by_the_book(bytes, parsing);
}

fn check_lines(seen: &Transcript, n_bytes: usize, parsing: Parsing) {
    for line in &seen.lines {
        assert!(line.len() <= n_bytes + MAX_GROWTH, "{line:?} grew");
        if parsing == Parsing::Rfc {
            assert!(MONTHS.iter().any(|month| line.starts_with(month)), "{line:?} has no date");
        }
    }
}

/// Frames what stands between zero bytes in both ways.
fn by_the_book(bytes: &[u8], parsing: Parsing) {
    // A line end inside is two messages to one framing and one to the other; blanks and zero bytes
    // in front belong to neither.
    let messages: Vec<&[u8]> = bytes
        .split(|byte| *byte == 0)
        .filter(|message| message.first() == Some(&b'<') && !message.contains(&b'\n'))
        .filter(|message| !message.ends_with(b"\r"))
        .collect();
    let mut expect = Transcript::default();
    let (mut counted, mut ended) = (Vec::new(), Vec::new());
    for message in messages {
        let seen = Transcript::of_datagram(message, parsing);
        expect.lines.extend(seen.lines);
        expect.malformed += seen.malformed;
        counted.extend_from_slice(format!("{} ", message.len()).as_bytes());
        counted.extend_from_slice(message);
        ended.extend_from_slice(message);
        ended.extend_from_slice(b"\n");
    }
    let max_frame = bytes.len() + 1;
    assert_eq!(Transcript::of_stream(counted.chunks(5), max_frame, parsing), expect, "counted");
    assert_eq!(Transcript::of_stream(ended.chunks(5), max_frame, parsing), expect, "by lines");
}
