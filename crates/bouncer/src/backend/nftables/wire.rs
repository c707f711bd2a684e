//! Netlink messages of the subsystem nf_tables, as bytes: written and read.
//!
//! Only the few kinds that the back-end needs. A message is a header, four bytes that name the
//! family, and attributes: a length, a kind and a value, padded to four bytes; values may be
//! attributes again. Numbers in headers are the machine's, those in attributes big-endian.

/// Attribute and message numbers as the kernel's `nf_tables.h` has them.
pub(super) mod number {
    /// The subsystem, in the upper byte of a message's kind.
    pub(crate) const SUBSYSTEM: u16 = 10;
    pub(crate) const BATCH_BEGIN: u16 = 0x10;
    pub(crate) const BATCH_END: u16 = 0x11;
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;

    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const ACK: u16 = 4;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
    /// In an answer: the ruleset changed in the middle of it.
    pub(crate) const INTERRUPTED: u16 = 0x10;

    pub(crate) const INET: u8 = 1;
    pub(crate) const IPV4: u8 = 2;
    pub(crate) const IPV6: u8 = 10;

    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DEL_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const GET_CHAIN: u16 = 4;
    pub(crate) const DEL_CHAIN: u16 = 5;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const GET_RULE: u16 = 7;
    pub(crate) const DEL_RULE: u16 = 8;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const GET_SET: u16 = 10;
    pub(crate) const NEW_ELEMENT: u16 = 12;
    pub(crate) const GET_ELEMENT: u16 = 13;
    pub(crate) const DEL_ELEMENT: u16 = 14;
    pub(crate) const GET_GENERATION: u16 = 16;
    pub(crate) const NEW_OBJECT: u16 = 18;
    pub(crate) const GET_OBJECT: u16 = 19;
    /// As `DEL_ELEMENT`, and what is not there is no error. Since Linux 6.3.
    pub(crate) const DESTROY_ELEMENT: u16 = 30;
}

/// Marks a value that consists of attributes.
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;

fn pad(bytes: &mut Vec<u8>) {
    while !bytes.len().is_multiple_of(4) {
        bytes.push(0);
    }
}

/// Attributes being written.
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        // Everything longer is cut into several messages by whoever writes it.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        pad(self.0);
    }

    pub(super) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let length = u16::try_from(value.len() + 5).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        pad(self.0);
    }

    pub(super) fn nest(&mut self, kind: u16, value: impl FnOnce(&mut Attributes<'_>)) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        value(&mut Attributes(self.0));
        let length = u16::try_from(self.0.len() - at);
        debug_assert!(length.is_ok(), "attribute {kind} is too long");
        self.0[at..at + 2].copy_from_slice(&length.unwrap_or(u16::MAX).to_ne_bytes());
    }

    /// How long the message is, so far, beyond `from`.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Messages being written, one after the other.
pub(super) struct Messages {
    bytes: Vec<u8>,
    last: usize,
    sequence: u32,
}

impl Messages {
    pub(super) fn new(sequence: u32) -> Self {
        Self { bytes: Vec::new(), last: 0, sequence }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The number of the message that was written last.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Writes a message of our subsystem.
    pub(super) fn write(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.raw(number::SUBSYSTEM << 8 | kind, flags, family, 0, body);
    }

    /// Begins or ends a transaction.
    pub(super) fn write_batch(&mut self, kind: u16) {
        self.raw(kind, 0, 0, number::SUBSYSTEM, |_| {});
    }

    fn raw(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        let at = self.bytes.len();
        self.last = at;
        self.sequence = self.sequence.wrapping_add(1);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | number::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        body(&mut Attributes(&mut self.bytes));
        // No message of ours reaches 4 GiB.
        let length = (self.bytes.len() - at) as u32;
        self.bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Asks for an answer to the message that was written last.
    pub(super) fn acknowledge_last(&mut self) {
        let flags = &mut self.bytes[self.last + 6..self.last + 8];
        let set = u16::from_ne_bytes([flags[0], flags[1]]) | number::ACK;
        flags.copy_from_slice(&set.to_ne_bytes());
    }
}

/// One message that came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind the four bytes that name the family.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body.get(4..).unwrap_or_default())
    }

    /// Of an error: the number of the message it is about, and `errno`, 0 for success.
    pub(super) fn error(&self) -> Option<(u32, i32)> {
        let code = i32::from_ne_bytes(self.body.get(..4)?.try_into().ok()?);
        let sequence = u32::from_ne_bytes(self.body.get(12..16)?.try_into().ok()?);
        Some((sequence, code.saturating_neg()))
    }
}

/// The messages in a datagram. The last one may be cut short by the end of the buffer.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let u16_at = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let length = usize::try_from(u32_at(0)).ok()?;
        if length < HEADER {
            return None;
        }
        let end = length.min(bytes.len());
        let message = Message {
            kind: u16_at(4),
            flags: u16_at(6),
            sequence: u32_at(8),
            body: &bytes[HEADER..end],
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in a value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header: &[u8; 4] = bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

pub(super) fn u32_of(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn u64_of(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// A text without the zero byte behind it.
pub(super) fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_is_read() {
        let mut out = Messages::new(6);
        out.write(number::NEW_TABLE, number::CREATE, number::INET, |table| {
            table.text(1, "wall");
            table.nest(4, |inner| inner.u64(2, 7));
        });
        out.write_batch(number::BATCH_END);
        out.acknowledge_last();
        let found: Vec<Message<'_>> = messages(out.as_bytes()).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].sequence), (0x0a00, 7));
        let attributes: Vec<(u16, &[u8])> = found[0].attributes().collect();
        assert_eq!(attributes[0], (1, b"wall\0".as_slice()));
        assert_eq!(attribute(attributes[1].1, 2).and_then(u64_of), Some(7));
        assert_eq!(found[1].flags, number::REQUEST | number::ACK);
        assert_eq!(found[1].body, [0, 0, 0, 10]);
    }

    proptest! {
        /// Whatever bytes come, reading them ends.
        #[test]
        fn nonsense_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for message in messages(&bytes) {
                for (_, value) in message.attributes() {
                    prop_assert!(attributes(value).count() <= value.len());
                    drop(text_of(value));
                }
                let _ = message.error();
            }
        }
    }
}
