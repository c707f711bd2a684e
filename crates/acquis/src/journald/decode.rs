//! The journal's export format, and the line `journalctl` would have shown for an entry.
//!
//! An entry is a run of fields, ended by an empty line. A field is `NAME=text` on one line, or
//! `NAME`, a line end, eight bytes of length, that many bytes and a line end. Only the fields a line
//! is made of are kept, each up to a limit, so memory does not depend on the journal (I5).

use jiff::{Timestamp, tz::TimeZone};

/// The fields to ask for. Cursor and times come unasked.
pub(super) const FIELDS: &str =
    "MESSAGE,_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,_PID,SYSLOG_PID,_SOURCE_REALTIME_TIMESTAMP";

/// Longest value kept of any field but the message.
const MAX_VALUE: usize = 4096;

/// One entry of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cursor: String,
    /// When the journal received it, in microseconds.
    pub(super) received: u64,
    /// When the program wrote it, if that is known.
    sent: Option<u64>,
    host: Vec<u8>,
    identifier: Vec<u8>,
    command: Vec<u8>,
    pid: Vec<u8>,
    syslog_pid: Vec<u8>,
    message: Option<Vec<u8>>,
    /// Whether the message was longer than the limit.
    pub(super) cut: bool,
}

/// Turns a stream of bytes into entries.
pub(super) struct Decoder {
    state: State,
    /// The line or value being collected.
    value: Vec<u8>,
    /// Whether the value being collected exceeds its limit.
    cut: bool,
    entry: Entry,
    max_message: usize,
}

enum State {
    Line,
    /// Collecting the length of a binary field.
    Length {
        name: Vec<u8>,
        length: u64,
        n_bytes: u32,
    },
    Value {
        name: Vec<u8>,
        n_left: u64,
    },
    /// The line end behind a binary value.
    End,
}

impl Decoder {
    pub(super) fn new(max_message: usize) -> Self {
        let (value, entry) = (Vec::new(), Entry::default());
        Self { state: State::Line, value, cut: false, entry, max_message }
    }

    /// Takes the next bytes and calls `on_entry` for each entry they complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut on_entry: impl FnMut(&Entry)) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Line => {
                    let end = memchr::memchr(b'\n', bytes);
                    let piece = &bytes[..end.unwrap_or(bytes.len())];
                    bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
                    // A name and an equals sign come on top of the message.
                    self.collect(piece, self.max_message.saturating_add(MAX_VALUE));
                    if end.is_some() {
                        self.line(&mut on_entry);
                    }
                }
                State::Length { name, length, n_bytes } => {
                    *length |= u64::from(bytes[0]) << (8 * *n_bytes);
                    *n_bytes += 1;
                    bytes = &bytes[1..];
                    if *n_bytes == 8 {
                        let (name, n_left) = (std::mem::take(name), *length);
                        self.state = State::Value { name, n_left };
                        self.value_may_end();
                    }
                }
                State::Value { n_left, .. } => {
                    let n_left_now = usize::try_from(*n_left).unwrap_or(usize::MAX);
                    let (piece, rest) = bytes.split_at(bytes.len().min(n_left_now));
                    *n_left = n_left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    bytes = rest;
                    self.collect(piece, self.max_message);
                    self.value_may_end();
                }
                State::End => {
                    bytes = &bytes[1..];
                    self.state = State::Line;
                }
            }
        }
    }

    fn collect(&mut self, piece: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.value.len());
        self.cut |= piece.len() > room;
        self.value.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn line(&mut self, on_entry: &mut impl FnMut(&Entry)) {
        if self.value.is_empty() {
            let entry = std::mem::take(&mut self.entry);
            if entry != Entry::default() {
                on_entry(&entry);
            }
            return;
        }
        let line = std::mem::take(&mut self.value);
        let cut = std::mem::take(&mut self.cut);
        let Some(equals) = memchr::memchr(b'=', &line) else {
            self.state = State::Length { name: line, length: 0, n_bytes: 0 };
            return;
        };
        self.field(&line[..equals], line[equals + 1..].to_vec(), cut);
    }

    fn value_may_end(&mut self) {
        if let State::Value { name, n_left: 0 } = &mut self.state {
            let name = std::mem::take(name);
            self.state = State::End;
            let value = std::mem::take(&mut self.value);
            let cut = std::mem::take(&mut self.cut);
            self.field(&name, value, cut);
        }
    }

    /// Keeps a field. The first of several with the same name counts, as for `journalctl`.
    fn field(&mut self, name: &[u8], mut value: Vec<u8>, cut: bool) {
        let entry = &mut self.entry;
        if name == b"MESSAGE" {
            entry.cut = cut || value.len() > self.max_message;
            value.truncate(self.max_message);
            entry.message.get_or_insert(value);
            return;
        }
        value.truncate(MAX_VALUE);
        let number = || std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        match name {
            b"__CURSOR" => entry.cursor = String::from_utf8_lossy(&value).into_owned(),
            b"__REALTIME_TIMESTAMP" => entry.received = number().unwrap_or_default(),
            b"_SOURCE_REALTIME_TIMESTAMP" => entry.sent = number(),
            b"_HOSTNAME" => keep(&mut entry.host, value),
            b"SYSLOG_IDENTIFIER" => keep(&mut entry.identifier, value),
            b"_COMM" => keep(&mut entry.command, value),
            b"_PID" => keep(&mut entry.pid, value),
            b"SYSLOG_PID" => keep(&mut entry.syslog_pid, value),
            _ => {}
        }
    }
}

fn keep(slot: &mut Vec<u8>, value: Vec<u8>) {
    if slot.is_empty() {
        *slot = value;
    }
}

impl Entry {
    /// Calls `on_line` with each line `journalctl` would show for this entry, in `zone`.
    ///
    /// The lines of a message behind its first are indented and carry no head: whoever can put a
    /// line end into a message must not be able to forge a line of another program. Unlike
    /// `journalctl`, a message with control characters is shown and not replaced by its size, or
    /// one escape character in a user name would hide an attack.
    pub(super) fn lines(&self, zone: &TimeZone, mut on_line: impl FnMut(&[u8])) {
        let Some(message) = &self.message else { return };
        let mut line = self.head(zone);
        let head_len = line.len();
        let mut parts = message.split(|byte| *byte == b'\n');
        line.extend_from_slice(parts.next().unwrap_or_default());
        on_line(&line);
        for part in parts.filter(|part| !part.is_empty()) {
            line.clear();
            line.resize(head_len, b' ');
            line.extend_from_slice(part);
            on_line(&line);
        }
    }

    fn head(&self, zone: &TimeZone) -> Vec<u8> {
        let micros = i64::try_from(self.sent.unwrap_or(self.received)).unwrap_or(i64::MAX);
        let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut head =
            at.to_zoned(zone.clone()).strftime("%b %d %H:%M:%S").to_string().into_bytes();
        if !self.host.is_empty() {
            head.push(b' ');
            head.extend_from_slice(&self.host);
        }
        head.push(b' ');
        let names = [&self.identifier, &self.command];
        let name = names.into_iter().find(|name| !name.is_empty());
        head.extend_from_slice(name.map_or(b"unknown", Vec::as_slice));
        let pids = [&self.pid, &self.syslog_pid];
        if let Some(pid) = pids.into_iter().find(|pid| !pid.is_empty()) {
            head.push(b'[');
            head.extend_from_slice(pid);
            head.push(b']');
        }
        head.extend_from_slice(b": ");
        head
    }
}
