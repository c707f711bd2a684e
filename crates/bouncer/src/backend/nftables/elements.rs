//! Elements of the sets: written from entries, read back, and compared.
//!
//! A host is one element. A span is two: where it begins, which carries everything, and behind
//! where it ends. A span up to the highest address has no end.

use std::{collections::HashMap, time::Duration};

use model::Timestamp;

use super::{
    super::{Applied, BackendError},
    Settings,
    layout::{self, SetKind},
    socket::Socket,
    wire::{Attributes, Messages, attribute, attributes, number, text_of, u32_of, u64_of},
};
use crate::set::{Address, Effect, Host, Span, Until};

/// An attribute holds no more than 65,535 bytes; one element takes far less than what is left.
const LIST: usize = 60_000;
/// An element may end this much before it should, and this much after: the kernel starts counting
/// when it comes to the element, and a million of them take it seconds.
const EARLY: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(15);
/// Marks the end of an interval.
const END: u32 = 1;

/// An element as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element<'a, A> {
    /// A host, or where a span begins, with what is left of its time and its counter.
    Begin { address: A, milliseconds: u64, counter: Option<&'a str> },
    /// The address behind a span.
    End { address: A },
    /// A host, or where a span begins, to be removed.
    Gone { address: A },
}

impl<A: Address> Element<'_, A> {
    fn write(&self, out: &mut Attributes<'_>) {
        let key = |out: &mut Attributes<'_>, address: A| {
            let (bytes, length) = address.octets();
            out.nest(1, |key| key.bytes(1, &bytes[..length]));
        };
        match self {
            Self::Begin { address, milliseconds, counter } => {
                key(out, *address);
                out.u64(4, *milliseconds);
                if let Some(counter) = counter {
                    out.text(9, counter);
                }
            }
            Self::End { address } => {
                key(out, *address);
                out.u32(3, END);
            }
            Self::Gone { address } => key(out, *address),
        }
    }
}

/// Writes a list of elements as one or more messages. Nothing is written for no elements.
pub(super) fn write<'a, A: Address>(
    batch: &mut Messages,
    kind: u16,
    table: &str,
    set: &str,
    elements: impl Iterator<Item = Element<'a, A>>,
) {
    let flags = if kind == number::NEW_ELEMENT { number::CREATE } else { 0 };
    let mut elements = elements.peekable();
    while elements.peek().is_some() {
        batch.write(kind, flags, number::INET, |body| {
            body.text(1, table);
            body.text(2, set);
            body.nest(3, |list| {
                let from = list.len();
                while list.len() - from < LIST
                    && let Some(element) = elements.next()
                {
                    list.nest(1, |out| element.write(out));
                }
            });
        });
    }
}

/// Writes the end of all elements of a set.
pub(super) fn flush(batch: &mut Messages, table: &str, set: &str) {
    batch.write(number::DEL_ELEMENT, 0, number::INET, |body| {
        body.text(1, table);
        body.text(2, set);
    });
}

/// The elements of a span that shall be.
pub(super) fn begin_and_end<'a, A: Address>(
    span: &Span<A>,
    milliseconds: u64,
    counter: Option<&'a str>,
) -> impl Iterator<Item = Element<'a, A>> + use<'a, A> {
    let begin = Element::Begin { address: span.first, milliseconds, counter };
    std::iter::once(begin).chain(span.last.next().map(|address| Element::End { address }))
}

/// The elements of a span that shall go.
pub(super) fn gone<'a, A: Address>(
    (first, last): (A, A),
) -> impl Iterator<Item = Element<'a, A>> + use<'a, A> {
    let begin = Element::Gone { address: first };
    std::iter::once(begin).chain(last.next().map(|address| Element::End { address }))
}

/// What is left of an entry's time, for the kernel; at least a moment.
pub(super) fn milliseconds(until: Until, now: Timestamp) -> u64 {
    u64::try_from(until.left(now).as_millis()).unwrap_or(u64::MAX / 2).max(1)
}

/// An element as it was read.
#[derive(Clone, Copy, Debug)]
struct Read<A> {
    address: A,
    is_end: bool,
    /// Index into the names of counters; 0 for none.
    counter: u16,
    /// Seconds that are left; the highest number for ever.
    seconds: u32,
}

/// The elements of one set, and the names of their counters.
pub(super) struct Held<A> {
    elements: Vec<Read<A>>,
    counters: Vec<String>,
    /// What the kernel said is left was counted up to this much after the time given as now.
    pub(super) took: Duration,
}

/// Reads all elements of a set.
pub(super) fn read<A: Address>(
    socket: &mut Socket,
    settings: &Settings,
    kind: SetKind,
) -> Result<Held<A>, BackendError> {
    let set = kind.name(settings);
    let mut numbers: HashMap<Vec<u8>, u16> = HashMap::new();
    let mut counters = vec![String::new()];
    let mut elements: Vec<Read<A>> = socket.dump(
        "reading the elements of an nftables set",
        |out| {
            out.write(number::GET_ELEMENT, number::DUMP, number::INET, |body| {
                body.text(1, &settings.table);
                body.text(2, &set);
            });
        },
        |elements: &mut Vec<Read<A>>, message| {
            for element in layout::elements(message.body.get(4..).unwrap_or_default()) {
                let mut read =
                    Read { address: A::MIN, is_end: false, counter: 0, seconds: u32::MAX };
                let mut has_key = false;
                for (kind, value) in attributes(element) {
                    match kind {
                        1 => {
                            let key = attribute(value, 1).and_then(A::from_octets);
                            has_key = key.is_some();
                            read.address = key.unwrap_or(A::MIN);
                        }
                        3 => read.is_end = u32_of(value).unwrap_or(0) & END != 0,
                        5 => {
                            let seconds = u64_of(value).unwrap_or(0).div_ceil(1000);
                            read.seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                        }
                        9 => {
                            read.counter = match numbers.get(value) {
                                Some(number) => *number,
                                None => {
                                    // More counters than that are none of ours.
                                    let number = u16::try_from(counters.len()).unwrap_or(0);
                                    counters.push(text_of(value));
                                    numbers.insert(value.to_vec(), number);
                                    number
                                }
                            };
                        }
                        _ => {}
                    }
                }
                if has_key {
                    elements.push(read);
                }
            }
        },
        Vec::new,
    )?;
    // An end comes before a beginning at the same address: it belongs to the span before.
    elements.sort_unstable_by_key(|element| (element.address, !element.is_end));
    Ok(Held { elements, counters, took: Duration::ZERO })
}

/// What must be written to turn what is there into what is wanted: what goes, by its place, and
/// what comes. What changes is in both.
#[derive(Debug)]
pub(super) struct Work<K, E> {
    pub(super) remove: Vec<K>,
    pub(super) add: Vec<E>,
    /// Everything that is there goes, unread; `remove` is empty then.
    pub(super) is_anew: bool,
    pub(super) applied: Applied,
}

impl<K, E> Default for Work<K, E> {
    fn default() -> Self {
        Self { remove: Vec::new(), add: Vec::new(), is_anew: false, applied: Applied::default() }
    }
}

impl<K, E> Work<K, E> {
    /// These in place of whatever is there. All of them count as changed.
    pub(super) fn anew(add: Vec<E>) -> Self {
        let applied = Applied { n_changed: add.len().max(1), ..Applied::default() };
        Self { add, is_anew: true, applied, ..Self::default() }
    }
}

impl<A: Address> Held<A> {
    pub(super) fn nothing() -> Self {
        Self { elements: Vec::new(), counters: vec![String::new()], took: Duration::ZERO }
    }

    /// Whether an element (its counter, its seconds) says what is wanted.
    fn is_as_wanted<'n>(
        &self,
        (number, seconds): (u16, u32),
        effect: Effect,
        now: Timestamp,
        counter: &dyn Fn(Effect) -> &'n str,
    ) -> bool {
        let name = self.counters.get(usize::from(number)).map_or("", String::as_str);
        let (left, wanted) = (Duration::from_secs(seconds.into()), effect.until.left(now));
        counter(effect) == name && left + EARLY + self.took >= wanted && left <= wanted + LATE
    }

    /// Compares hosts, both in order.
    pub(super) fn hosts<'n>(
        &self,
        wanted: &[Host<A>],
        now: Timestamp,
        counter: &dyn Fn(Effect) -> &'n str,
    ) -> Work<A, Host<A>> {
        let mut work = Work::default();
        let mut there = self.elements.iter().peekable();
        let mut wanted = wanted.iter().peekable();
        loop {
            let (old, new) = match (there.peek(), wanted.peek()) {
                (None, None) => return work,
                (Some(old), Some(new)) if old.address == new.address => {
                    (there.next(), wanted.next())
                }
                (Some(old), Some(new)) if new.address < old.address => (None, wanted.next()),
                (None, Some(_)) => (None, wanted.next()),
                (Some(_), _) => (there.next(), None),
            };
            match (old, new) {
                (Some(old), Some(new)) => {
                    let read = (old.counter, old.seconds);
                    if !self.is_as_wanted(read, new.effect, now, counter) {
                        work.remove.push(new.address);
                        work.add.push(*new);
                        work.applied.n_changed += 1;
                    }
                }
                (Some(old), None) => {
                    work.remove.push(old.address);
                    work.applied.n_removed += 1;
                }
                (None, Some(new)) => {
                    work.add.push(*new);
                    work.applied.n_added += 1;
                }
                (None, None) => {}
            }
        }
    }

    /// Compares spans, both in order.
    pub(super) fn spans<'n>(
        &self,
        wanted: &[Span<A>],
        now: Timestamp,
        counter: &dyn Fn(Effect) -> &'n str,
    ) -> Work<(A, A), Span<A>> {
        let mut work = Work::default();
        let there = self.intervals();
        let mut there = there.iter().peekable();
        let mut wanted = wanted.iter().peekable();
        loop {
            let (old, new) = match (there.peek(), wanted.peek()) {
                (None, None) => return work,
                (Some((first, last, _)), Some(new)) if (*first, *last) == (new.first, new.last) => {
                    (there.next(), wanted.next())
                }
                (Some((first, last, _)), Some(new)) if (new.first, new.last) < (*first, *last) => {
                    (None, wanted.next())
                }
                (None, Some(_)) => (None, wanted.next()),
                (Some(_), _) => (there.next(), None),
            };
            match (old, new) {
                (Some((.., read)), Some(new)) => {
                    if !self.is_as_wanted(*read, new.effect, now, counter) {
                        work.remove.push((new.first, new.last));
                        work.add.push(*new);
                        work.applied.n_changed += 1;
                    }
                }
                (Some((first, last, _)), None) => {
                    work.remove.push((*first, *last));
                    work.applied.n_removed += 1;
                }
                (None, Some(new)) => {
                    work.add.push(*new);
                    work.applied.n_added += 1;
                }
                (None, None) => {}
            }
        }
    }

    /// Beginnings with their ends: first address, last address, counter and seconds.
    fn intervals(&self) -> Vec<(A, A, (u16, u32))> {
        let mut intervals = Vec::new();
        let mut open: Option<&Read<A>> = None;
        for element in &self.elements {
            let before = element.address.previous();
            if let Some(begin) = open.take()
                && let Some(last) = before
            {
                intervals.push((begin.address, last, (begin.counter, begin.seconds)));
            }
            if !element.is_end {
                open = Some(element);
            }
        }
        if let Some(begin) = open {
            intervals.push((begin.address, A::MAX, (begin.counter, begin.seconds)));
        }
        intervals
    }
}
