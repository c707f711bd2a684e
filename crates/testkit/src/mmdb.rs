//! Writes small databases in MaxMind's binary format (MMDB 2.0).
//!
//! The format is a binary trie over address bits, a data section of typed values, and a map of
//! metadata behind a marker. We write what readers of GeoLite2 files need: an IPv6 tree whose
//! `::/96` holds IPv4, the usual aliases of IPv4 space, and maps of text, numbers and booleans.
//! Records that are equal are stored once. Nothing is read here; the tests read back with an
//! independent reader.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// A value of the data section.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Keys and values, written in this order.
    Map(Vec<(&'static str, Self)>),
    /// Values in order.
    Array(Vec<Self>),
    /// UTF-8 text.
    Text(String),
    /// A 64-bit float.
    Double(f64),
    /// An unsigned number of at most 16 bits.
    Uint16(u16),
    /// An unsigned number of at most 32 bits.
    Uint32(u32),
    /// An unsigned number of at most 64 bits.
    Uint64(u64),
    /// True or false.
    Bool(bool),
}

impl Value {
    /// Builds a text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How many bits one side of a tree node has on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSize {
    /// Up to 16 MiB of nodes and data.
    Bits24,
    /// Up to 256 MiB of nodes and data.
    Bits28,
}

/// Where one bit leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    Empty,
    Node(usize),
    /// Offset of a record in the data section.
    Data(usize),
}

/// A database being built.
///
/// Insert wide networks before the narrower ones inside them: a network replaces everything that
/// was inserted below it before.
#[derive(Debug)]
pub struct Database {
    kind: &'static str,
    nodes: Vec<[Child; 2]>,
    data: Vec<u8>,
    stored: HashMap<Vec<u8>, usize>,
}

/// IPv4 addresses are looked up below these prefixes as well: mapped, Teredo and 6to4.
const ALIASES: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// The bytes between the tree and the data section.
const SEPARATOR: usize = 16;

impl Database {
    /// Starts an empty database of a named kind, such as `GeoLite2-City`.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self { kind, nodes: vec![[Child::Empty; 2]], data: Vec::new(), stored: HashMap::new() }
    }

    /// Gives every address of `address/prefix` the record `value`.
    pub fn insert(&mut self, address: IpAddr, prefix: u32, value: &Value) {
        let (bits, depth) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), prefix.min(32) + 96),
            IpAddr::V6(v6) => (u128::from(v6), prefix.min(128)),
        };
        let record = self.store(value);
        self.link(bits, depth, Child::Data(record));
    }

    /// Writes the file. `built_at` is its date in seconds since the epoch.
    #[must_use]
    pub fn to_bytes(mut self, record_size: RecordSize, built_at: u64) -> Vec<u8> {
        self.link_aliases();
        let mut out = Vec::new();
        for node in &self.nodes {
            let [left, right] = node.map(|child| self.pointer(child));
            match record_size {
                RecordSize::Bits24 => {
                    out.extend_from_slice(&left.to_be_bytes()[1..]);
                    out.extend_from_slice(&right.to_be_bytes()[1..]);
                }
                RecordSize::Bits28 => {
                    let (left, right) = (left.to_be_bytes(), right.to_be_bytes());
                    // The middle byte carries the high four bits of both sides.
                    out.extend_from_slice(&left[1..]);
                    out.push((left[0] & 0x0f) << 4 | (right[0] & 0x0f));
                    out.extend_from_slice(&right[1..]);
                }
            }
        }
        out.extend_from_slice(&[0; SEPARATOR]);
        out.extend_from_slice(&self.data);
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let bits = match record_size {
            RecordSize::Bits24 => 24,
            RecordSize::Bits28 => 28,
        };
        let n_nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        encode(
            &Value::Map(vec![
                ("binary_format_major_version", Value::Uint16(2)),
                ("binary_format_minor_version", Value::Uint16(0)),
                ("build_epoch", Value::Uint64(built_at)),
                ("database_type", Value::text(self.kind)),
                ("description", Value::Map(vec![("en", Value::text("Built for tests"))])),
                ("ip_version", Value::Uint16(6)),
                ("languages", Value::Array(vec![Value::text("en")])),
                ("node_count", Value::Uint32(n_nodes)),
                ("record_size", Value::Uint16(bits)),
            ]),
            &mut out,
        );
        out
    }

    /// Puts a record in the data section, or finds the equal one that is there.
    fn store(&mut self, value: &Value) -> usize {
        let mut bytes = Vec::new();
        encode(value, &mut bytes);
        if let Some(&offset) = self.stored.get(&bytes) {
            return offset;
        }
        let offset = self.data.len();
        self.data.extend_from_slice(&bytes);
        self.stored.insert(bytes, offset);
        offset
    }

    /// Makes the first `depth` bits of `bits` lead to `target`.
    fn link(&mut self, bits: u128, depth: u32, target: Child) {
        let mut node = 0;
        for level in 0..depth {
            let side = usize::from(bits >> (127 - level) & 1 == 1);
            if level + 1 == depth {
                self.nodes[node][side] = target;
                return;
            }
            node = match self.nodes[node][side] {
                Child::Node(next) => next,
                // A narrower network inside a wider one: the wider record moves down a level.
                other @ (Child::Empty | Child::Data(_)) => {
                    self.nodes.push([other; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Child::Node(next);
                    next
                }
            };
        }
    }

    fn link_aliases(&mut self) {
        let mut node = 0;
        for _ in 0..96 {
            match self.nodes[node][0] {
                Child::Node(next) => node = next,
                // No IPv4 network was inserted: there is nothing to alias.
                Child::Empty | Child::Data(_) => return,
            }
        }
        for (address, prefix) in ALIASES {
            self.link(u128::from(address), prefix, Child::Node(node));
        }
    }

    fn pointer(&self, child: Child) -> u32 {
        let pointer = match child {
            Child::Empty => self.nodes.len(),
            Child::Node(node) => node,
            Child::Data(offset) => self.nodes.len() + SEPARATOR + offset,
        };
        u32::try_from(pointer).unwrap_or(u32::MAX)
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Uint16(number) => unsigned(5, &number.to_be_bytes(), out),
        Value::Uint32(number) => unsigned(6, &number.to_be_bytes(), out),
        Value::Uint64(number) => unsigned(9, &number.to_be_bytes(), out),
        Value::Map(pairs) => {
            control(7, pairs.len(), out);
            for (key, value) in pairs {
                control(2, key.len(), out);
                out.extend_from_slice(key.as_bytes());
                encode(value, out);
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            for item in items {
                encode(item, out);
            }
        }
        Value::Bool(truth) => control(14, usize::from(*truth), out),
    }
}

/// Numbers are written without their leading zero bytes.
fn unsigned(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    control(kind, bytes.len() - start, out);
    out.extend_from_slice(&bytes[start..]);
}

/// Writes the kind and the size of the value that follows.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let low_byte = |number: usize| u8::try_from(number & 0xff).unwrap_or(0);
    let (code, extra): (u8, Vec<u8>) = match size {
        0..=28 => (low_byte(size), Vec::new()),
        29..=284 => (29, vec![low_byte(size - 29)]),
        285..=65_820 => (30, vec![low_byte((size - 285) >> 8), low_byte(size - 285)]),
        _ => {
            let rest = size - 65_821;
            (31, vec![low_byte(rest >> 16), low_byte(rest >> 8), low_byte(rest)])
        }
    };
    if kind < 8 {
        out.push(kind << 5 | code);
    } else {
        // Kinds past seven stand in a second byte.
        out.push(code);
        out.push(kind - 7);
    }
    out.extend_from_slice(&extra);
}

#[cfg(test)]
mod tests {
    use maxminddb::Reader;

    use super::*;

    fn name(text: &str) -> Value {
        Value::Map(vec![("name", Value::text(text)), ("flag", Value::Bool(true))])
    }

    fn look_up(bytes: &[u8], address: &str) -> Option<(String, String)> {
        let reader = Reader::from_source(bytes).expect("a readable database");
        let found = reader.lookup(address.parse().expect("an address")).expect("a look-up");
        let record: Option<std::collections::BTreeMap<String, serde_json::Value>> =
            found.decode().expect("a record");
        let network = found.network().expect("a network").to_string();
        record.map(|record| (record["name"].as_str().unwrap_or_default().to_owned(), network))
    }

    fn sample() -> Database {
        let mut database = Database::new("Test-Name");
        database.insert("198.51.100.0".parse().expect("an address"), 24, &name("wide"));
        database.insert("198.51.100.64".parse().expect("an address"), 26, &name("narrow"));
        database.insert("2001:db8::".parse().expect("an address"), 32, &name("six"));
        database
    }

    #[test]
    fn both_record_sizes_read_back() {
        for size in [RecordSize::Bits24, RecordSize::Bits28] {
            let bytes = sample().to_bytes(size, 1_700_000_000);
            let found = |address| look_up(&bytes, address);
            assert_eq!(found("198.51.100.70"), Some(("narrow".into(), "198.51.100.64/26".into())));
            assert_eq!(found("198.51.100.1"), Some(("wide".into(), "198.51.100.0/26".into())));
            assert_eq!(found("198.51.100.200"), Some(("wide".into(), "198.51.100.128/25".into())));
            assert_eq!(found("2001:db8::1"), Some(("six".into(), "2001:db8::/32".into())));
            assert_eq!(found("198.51.101.1"), None);
            assert_eq!(found("127.0.0.1"), None);
            // A mapped address finds the IPv4 record.
            assert_eq!(found("::ffff:198.51.100.70").map(|found| found.0), Some("narrow".into()));
        }
    }

    #[test]
    fn long_text_and_many_kinds() {
        let long = "x".repeat(70_000);
        for length in [0, 28, 29, 284, 285, 65_820, 65_821, 70_000] {
            let mut database = Database::new("Test-Long");
            database.insert("192.0.2.0".parse().expect("an address"), 24, &name(&long[..length]));
            let bytes = database.to_bytes(RecordSize::Bits28, 0);
            assert_eq!(look_up(&bytes, "192.0.2.1").map(|found| found.0.len()), Some(length));
        }
    }

    #[test]
    fn an_empty_database_is_readable() {
        let bytes = Database::new("Test-Empty").to_bytes(RecordSize::Bits24, 0);
        assert_eq!(look_up(&bytes, "192.0.2.1"), None);
    }

    #[test]
    fn equal_records_are_stored_once() {
        let mut database = Database::new("Test-Same");
        database.insert("192.0.2.0".parse().expect("an address"), 24, &name("same"));
        let before = database.data.len();
        database.insert("203.0.113.0".parse().expect("an address"), 24, &name("same"));
        assert_eq!(database.data.len(), before);
    }
}
