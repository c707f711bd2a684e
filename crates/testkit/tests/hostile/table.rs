//! What very many lines can do.

use super::guard::{BRUTE_FORCE, Guard};
use engine::Limits;
use model::Timestamp;

/// Takes a line for an address.
const ADDRESSES: &str = "
name: test/addresses
filter: 'true'
onsuccess: next_stage
statics:
  - meta: source_ip
    expression: evt.Line.Raw
";

const MAX: usize = 100_000;

fn address(n: u32) -> String {
    let [a, b, c, d] = n.to_be_bytes();
    format!("{}.{b}.{c}.{d}", a | 10)
}

#[test]
fn a_million_spoofed_addresses_take_the_memory_of_a_hundred_thousand() {
    let limits = Limits { buckets: MAX, ..Limits::default() };
    let mut guard = Guard::new(&[ADDRESSES], &[BRUTE_FORCE], limits);
    let n_lines = 1_000_000_u32;
    let mut most = 0;
    for n in 0..n_lines {
        guard.line(address(n));
        most = most.max(guard.engine.buckets.table.len());
        // An attacker among the crowd, whose bucket is too young to be given up.
        if n % 250_000 == 0 {
            guard.line("192.0.2.7");
            guard.line("192.0.2.7");
            guard.line("192.0.2.7");
        }
    }
    assert_eq!(most, MAX);
    let counts = &guard.engine.buckets.table.counts[0];
    assert_eq!(counts.created, u64::from(n_lines) + 4);
    assert_eq!(counts.evicted, u64::from(n_lines) - MAX as u64);
    assert_eq!(guard.sources(), ["192.0.2.7"; 4]);
}

#[test]
fn silent_keys_are_bounded_too() {
    let trigger = "
type: trigger
name: test/trigger
description: every line
filter: evt.Meta.source_ip != ''
groupby: evt.Meta.source_ip
blackhole: 24h
";
    let limits = Limits { buckets: 1000, ..Limits::default() };
    let mut guard = Guard::new(&[ADDRESSES], &[trigger], limits);
    let n_lines = 50_000_u32;
    for n in 0..n_lines {
        guard.line(address(n));
        guard.line(address(n));
    }
    // Each once: the second line finds the key silent.
    assert_eq!(guard.overflows.len(), n_lines as usize);
    let counts = &guard.engine.buckets.table.counts[0];
    assert_eq!(counts.unsilenced, u64::from(n_lines) - 1000);
}

#[test]
fn lives_that_begin_and_end_all_the_time_leave_nothing_behind() {
    let counter = "
type: leaky
name: test/timed
description: a fixed life
filter: evt.Meta.source_ip != ''
groupby: evt.Meta.source_ip
capacity: 1
leakspeed: 1h
duration: 1h
";
    let limits = Limits { buckets: 10, ..Limits::default() };
    let mut guard = Guard::new(&[ADDRESSES], &[counter], limits);
    for n in 0..20_000 {
        guard.now = Timestamp::from_unix(super::guard::NOON, n);
        guard.line("192.0.2.7");
    }
    assert_eq!(guard.overflows.len(), 10_000);
    guard.overflows.clear();
    let later = Timestamp::from_unix(super::guard::NOON + 86_400, 0);
    guard.engine.advance(later, &mut guard.overflows);
    assert!(guard.engine.buckets.table.is_empty());
    assert_eq!(guard.engine.next_deadline(), None);
}

#[test]
fn one_bucket_remembers_as_much_as_it_may() {
    let counter = "
type: counter
name: test/counter
description: all lines of a day
filter: evt.Meta.source_ip != ''
capacity: -1
duration: 24h
distinct: evt.Meta.source_ip
";
    let limits = Limits { queue: 100, ..Limits::default() };
    let mut guard = Guard::new(&[ADDRESSES], &[counter], limits);
    for n in 0..100_000 {
        guard.line(address(n));
    }
    let later = Timestamp::from_unix(super::guard::NOON + 86_400, 0);
    guard.engine.advance(later, &mut guard.overflows);
    let [overflow] = guard.overflows.as_slice() else { panic!("{:?}", guard.sources()) };
    assert_eq!(overflow.alert.events_count, 100_000);
    assert_eq!(overflow.alert.events.len(), 101);
}
