//! The two walks of a search: forward over the text, noting a trail per byte; and back from the
//! match over the trails, filling slots.
//!
//! When the tables must be cleared, or the notes grow too long, the search *rebases*: it walks back
//! once for every living thread and keeps what each has captured so far. So a search never starts
//! over and never gives up: in the worst case each byte costs a step of the Thompson automaton, and
//! the total stays linear in the text.

use alloc::vec::Vec;

use memchr::memmem::Finder;

use super::closure::{RESTART, SPAWNED, SlotLists, Step};
use super::{Dfa, Edge, JUMP, RUN_PREFIX, Start, UNCHANGED, behind_at, flag};
use crate::program::{self, is_continuation};

/// The most notes kept before the search rebases; a note is four bytes.
const MAX_NOTES: usize = 1 << 18;

/// The most notes kept between searches.
const KEPT_NOTES: usize = 1 << 14;

/// A slot nothing has filled.
const EMPTY: u32 = u32::MAX;

/// The longest text whose positions fit the notes.
pub(crate) const MAX_TEXT: usize = (JUMP - 1) as usize;

/// What a search writes down on its way.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// A trail or jump for each move of the forward walk since the last rebase.
    notes: Vec<u32>,
    /// Where the forward walk started.
    from: u32,
    /// What the threads had captured at the last rebase, if there was one.
    base: Option<Base>,
    /// The slots of the match.
    slots: Vec<u32>,
}

/// What each thread of a state captured up to a position.
#[derive(Debug, Default)]
struct Base {
    /// Where each thread started.
    starts: Vec<u32>,
    /// The slots of each thread, one thread after the other.
    slots: Vec<u32>,
}

/// A match found by the forward walk.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// It ends at `at`, after `n_notes` notes; its step stands before `trail`.
    Noted { at: usize, n_notes: usize, trail: u32 },
    /// It is walked back already: the slots are filled.
    Filled { start: usize, at: usize },
}

/// How far the forward walk is.
#[derive(Clone, Copy, Debug)]
struct Walk {
    at: usize,
    row: u32,
    n_notes: usize,
    last: Option<Last>,
}

/// Why the walk along known edges stopped.
enum Stop {
    /// This edge is unknown or dead.
    Edge(Edge, usize),
    /// The text ended.
    End,
    /// There is no room for notes.
    NoRoom,
    /// The state waits for the prefix.
    Run,
}

const DEAD: Edge = Edge { next: flag::DEAD, trail: UNCHANGED };

impl Track {
    pub(super) fn memory(&self) -> usize {
        let base =
            self.base.as_ref().map_or(0, |base| base.starts.capacity() + base.slots.capacity());
        (self.notes.capacity() + base + self.slots.capacity()) * size_of::<u32>()
    }
}

impl Dfa {
    /// Whether the text has a match. `prefix` finds a literal every match starts with, if the
    /// automaton was made with one.
    pub(crate) fn is_match(&mut self, text: &[u8], prefix: Option<&Finder<'_>>) -> bool {
        self.search::<false>(text, prefix).is_some()
    }

    /// The span of the leftmost match.
    pub(crate) fn find(
        &mut self,
        text: &[u8],
        prefix: Option<&Finder<'_>>,
    ) -> Option<(usize, usize)> {
        let last = self.search::<true>(text, prefix);
        let span = last.map(|last| self.fill::<true>(last));
        self.shrink();
        span
    }

    /// The slots of the leftmost match: for each group its start and end.
    pub(crate) fn captures(
        &mut self,
        text: &[u8],
        prefix: Option<&Finder<'_>>,
        groups: &mut [Option<(u32, u32)>],
    ) -> bool {
        groups.fill(None);
        let Some(last) = self.search::<true>(text, prefix) else {
            self.shrink();
            return false;
        };
        self.fill::<false>(last);
        let (spans, _) = self.track.slots.as_chunks::<2>();
        for (group, &[start, end]) in groups.iter_mut().zip(spans) {
            if start != EMPTY && end != EMPTY {
                *group = Some((start, end));
            }
        }
        self.shrink();
        true
    }

    /// Finds the leftmost match.
    ///
    /// First it tries one place after the other where a match may start: most attempts end within
    /// a byte or two, and the states of such a search are few, since all its threads started
    /// together. Should the attempts come to several times the length of the text, the rest is
    /// searched with a thread started at every character: that is linear whatever the text, but
    /// where threads can live long has so many states that the tables may never hold them.
    fn search<const NOTE: bool>(
        &mut self,
        text: &[u8],
        prefix: Option<&Finder<'_>>,
    ) -> Option<Last> {
        if !self.floating {
            let row = self.start(Start::Here, behind_at(text, 0));
            return self.forward::<NOTE>(text, &mut 0, row, None);
        }
        let mut budget = if self.floats_well { 0 } else { 4 * text.len() + 64 };
        let mut from = 0;
        loop {
            from = self.candidate(text, from, prefix)?;
            let row = self.start(Start::Here, behind_at(text, from));
            let mut end = from;
            let found = self.forward::<NOTE>(text, &mut end, row, None);
            if found.is_some() {
                return found;
            }
            let walked = end - from;
            // To the start of the next character, or past the end.
            from += 1;
            while text.get(from).copied().is_some_and(is_continuation) {
                from += 1;
            }
            if budget < walked {
                break;
            }
            budget -= walked;
        }
        if text.len() < from {
            return None;
        }
        self.floats_well = true;
        let row = self.start(Start::Anywhere, behind_at(text, from));
        self.forward::<NOTE>(text, &mut from, row, prefix)
    }

    /// The first place from `from` on where a match may start.
    fn candidate(&self, text: &[u8], from: usize, prefix: Option<&Finder<'_>>) -> Option<usize> {
        let rest = text.get(from..)?;
        if let Some(prefix) = prefix {
            // Searching takes time to get going, and the prefix is mostly at the front.
            return if rest.starts_with(prefix.needle()) {
                Some(from)
            } else {
                prefix.find(rest).map(|at| from + at)
            };
        }
        if self.nullable {
            return Some(from);
        }
        Some(self.idle.end(text, from)).filter(|&at| at < text.len())
    }

    /// Walks forward from `at` to where no better match can follow, and says where that is.
    /// Without `NOTE`, the first sign of a match ends the walk. hot: examples/bench.rs
    fn forward<const NOTE: bool>(
        &mut self,
        text: &[u8],
        at: &mut usize,
        row: u32,
        prefix: Option<&Finder<'_>>,
    ) -> Option<Last> {
        self.track.base = None;
        self.track.from = position(*at);
        let mut walk = Walk { at: *at, row, n_notes: 0, last: None };
        let found = self.forward_from::<NOTE>(text, &mut walk, prefix);
        *at = walk.at;
        found
    }

    fn forward_from<const NOTE: bool>(
        &mut self,
        text: &[u8],
        walk: &mut Walk,
        prefix: Option<&Finder<'_>>,
    ) -> Option<Last> {
        if self.run_of(walk.row) == RUN_PREFIX {
            self.run_to_prefix(text, walk, prefix)?;
        }
        loop {
            if NOTE && self.track.notes.len() < walk.n_notes + 3 {
                self.make_room(walk, text.len());
            }
            let (mut edge, class) = match self.walk::<NOTE>(text, walk) {
                Stop::Edge(edge, class) => (edge, class),
                Stop::NoRoom => continue,
                Stop::Run => {
                    self.run_to_prefix(text, walk, prefix)?;
                    continue;
                }
                Stop::End => {
                    let class = self.program.end_class();
                    (self.edge(walk.row, class), class)
                }
            };
            if edge.next & flag::UNKNOWN != 0 {
                if self.is_full() {
                    if NOTE {
                        self.rebase(walk);
                    }
                    walk.row = self.renew(walk.row);
                }
                edge = self.compute(walk.row, class);
                if edge.next & flag::DEAD == 0 {
                    // Now that it is known, the walk takes it.
                    continue;
                }
            }
            if edge.next & flag::MATCH != 0 {
                walk.last =
                    Some(Last::Noted { at: walk.at, n_notes: walk.n_notes, trail: edge.trail });
            }
            return walk.last;
        }
    }

    /// Follows edges. Without `NOTE`, an edge with a match is the end. hot: examples/bench.rs
    #[inline]
    fn walk<const NOTE: bool>(&mut self, text: &[u8], walk: &mut Walk) -> Stop {
        let table = self.table.as_slice();
        let notes = self.track.notes.as_mut_slice();
        let classes = &self.program.classes;
        let Walk { mut at, row, mut n_notes, mut last } = *walk;
        let mut row = row as usize;
        let stop = loop {
            let Some(&byte) = text.get(at) else { break Stop::End };
            let class = usize::from(classes[usize::from(byte)]);
            let edge = table[row + class];
            if edge.next <= flag::ROW {
                if NOTE {
                    let Some(note) = notes.get_mut(n_notes) else { break Stop::NoRoom };
                    *note = edge.trail;
                    n_notes += 1;
                }
                at += 1;
                row = edge.next as usize;
                continue;
            }

            if edge.next & (flag::UNKNOWN | flag::DEAD) != 0 {
                break Stop::Edge(edge, class);
            }
            if edge.next & flag::MATCH != 0 {
                last = Some(Last::Noted { at, n_notes, trail: edge.trail });
                if !NOTE {
                    break Stop::Edge(DEAD, class);
                }
            }
            if NOTE {
                // This one and the two of a run.
                let Some([note, ..]) = notes.get_mut(n_notes..n_notes + 3) else {
                    break Stop::NoRoom;
                };
                *note = edge.trail;
                n_notes += 1;
            }
            at += 1;
            row = (edge.next & flag::ROW) as usize;
            if edge.next & flag::SKIP == 0 {
                continue;
            }

            let run = table[row + self.stride - 1].trail;
            let Some(run) = self.skips.get(run as usize) else { break Stop::Run };
            let end = run.skip.end(text, at);
            if at == end {
                continue;
            }
            if NOTE {
                if let Some(notes) = notes.get_mut(n_notes..n_notes + 2) {
                    // The last byte of the run is noted by itself, for the match it may have.
                    notes.copy_from_slice(&[jump(end - at - 1), jump(1)]);
                }
                n_notes += 2;
            }
            if run.trail != UNCHANGED {
                let n_notes = n_notes.saturating_sub(1);
                last = Some(Last::Noted { at: end - 1, n_notes, trail: run.trail });
                if !NOTE {
                    break Stop::Edge(DEAD, class);
                }
            }
            at = end;
        };
        // Rows fit: they came out of edges.
        *walk = Walk { at, row: u32::try_from(row).unwrap_or(0), n_notes, last };
        stop
    }

    fn edge(&self, row: u32, class: usize) -> Edge {
        self.table.get(row as usize + class).copied().unwrap_or(DEAD)
    }

    /// From a state that waits for a match to start, goes to where one may. `None` if there is
    /// no such place.
    fn run_to_prefix(
        &mut self,
        text: &[u8],
        walk: &mut Walk,
        prefix: Option<&Finder<'_>>,
    ) -> Option<()> {
        // Nothing but the waiting thread is alive, so there is nothing to note.
        walk.n_notes = 0;
        self.track.base = None;
        walk.at = self.candidate(text, walk.at, prefix)?;
        walk.row = self.start(Start::Anywhere, behind_at(text, walk.at));
        Some(())
    }

    /// Fills the slots of a match and returns its span. Without `START`, the start may be wrong if
    /// all slots are filled.
    fn fill<const START: bool>(&mut self, last: Last) -> (usize, usize) {
        match last {
            Last::Filled { start, at } => (start, at),
            Last::Noted { at, n_notes, trail } => {
                let mut slots = core::mem::take(&mut self.track.slots);
                slots.clear();
                slots.resize(self.n_slots, EMPTY);
                let step = self.trails.get((trail as usize).saturating_sub(1)).copied();
                let step = step.unwrap_or(Step { parent: SPAWNED, slots: 0 });
                self.cross(step.slots, position(at), &mut slots);
                let start = match step.parent {
                    SPAWNED => position(at),
                    thread => self.walk_back::<START>(thread, at, n_notes, &mut slots),
                };
                self.track.slots = slots;
                (start as usize, at)
            }
        }
    }

    /// Walks back from a thread of the state at `at`, after `n_notes` notes. Fills the empty ones
    /// of `slots` and returns where the thread started.
    ///
    /// hot: examples/bench.rs
    fn walk_back<const START: bool>(
        &self,
        mut thread: u16,
        at: usize,
        n_notes: usize,
        slots: &mut [u32],
    ) -> u32 {
        let trails = self.trails.as_slice();
        let notes = self.track.notes.get(..n_notes).unwrap_or(&[]);
        let mut at = position(at);
        let mut n_empty = slots.iter().filter(|&&slot| slot == EMPTY).count();
        for &note in notes.iter().rev() {
            if note == UNCHANGED {
                at -= 1;
                continue;
            }
            if JUMP <= note {
                at -= note & !JUMP;
                continue;
            }
            at -= 1;
            let step = trails[note as usize + usize::from(thread)];
            if step.slots != SlotLists::EMPTY {
                n_empty -= self.cross(step.slots, at, slots);
                if !START && n_empty == 0 {
                    return at;
                }
            }
            if step.parent == SPAWNED {
                return at;
            }
            thread = step.parent;
        }
        self.kept_in_base(thread, slots)
    }

    /// Fills the empty ones of the slots of a list; returns how many those were.
    fn cross(&self, list: u16, at: u32, slots: &mut [u32]) -> usize {
        let mut n = 0;
        for &slot in self.closure.lists.list(list) {
            if let Some(slot) = slots.get_mut(usize::from(slot))
                && *slot == EMPTY
            {
                *slot = at;
                n += 1;
            }
        }
        n
    }

    /// Takes what a thread had captured at the last rebase.
    fn kept_in_base(&self, thread: u16, slots: &mut [u32]) -> u32 {
        let Some(base) = &self.track.base else { return self.track.from };
        let thread = usize::from(thread);
        let kept = base.slots.chunks_exact(slots.len().max(1)).nth(thread).unwrap_or(&[]);
        for (slot, &kept) in slots.iter_mut().zip(kept) {
            if *slot == EMPTY {
                *slot = kept;
            }
        }
        base.starts.get(thread).copied().unwrap_or(0)
    }

    /// Makes room for three notes, of which a text of this length may need many.
    #[cold]
    fn make_room(&mut self, walk: &mut Walk, n_text: usize) {
        let len = self.track.notes.len();
        if len < MAX_NOTES {
            let len = (n_text + 4).max(2 * len).min(MAX_NOTES);
            self.track.notes.resize(len, UNCHANGED);
        } else {
            self.rebase(walk);
        }
    }

    /// Walks back for each thread of the current state and for the match found, so that the notes
    /// are needed no more.
    #[cold]
    fn rebase(&mut self, walk: &mut Walk) {
        if let Some(found @ Last::Noted { .. }) = walk.last {
            let (start, at) = self.fill::<true>(found);
            walk.last = Some(Last::Filled { start, at });
        }
        let n_threads = u64::from(self.state(walk.row).n_threads);
        self.n_walked += n_threads * walk.n_notes as u64;
        let mut base = Base::default();
        for (i, &thread) in (0_u16..).zip(self.threads_of(self.state(walk.row))) {
            let first = base.slots.len();
            base.slots.resize(first + self.n_slots, EMPTY);
            let mut start = EMPTY;
            // The thread that starts others has captured nothing.
            if thread != RESTART {
                let slots = &mut base.slots[first..];
                start = self.walk_back::<true>(i, walk.at, walk.n_notes, slots);
            }
            base.starts.push(start);
        }
        self.track.base = Some(base);
        walk.n_notes = 0;
    }

    /// Clears the tables but for one state; returns its new row.
    #[cold]
    fn renew(&mut self, row: u32) -> u32 {
        let state = self.state(row);
        let threads = program::span(&self.threads, state.first_thread, state.n_threads);
        self.closure.threads.clear();
        self.closure.threads.extend_from_slice(threads);
        // States of a floating search come by themselves; those of an anchored one may, too, but
        // then the alternative has no fewer.
        self.floats_well = false;
        self.clear();
        self.state_of_closure(state.behind)
    }

    /// Gives back the room a very long text needed.
    fn shrink(&mut self) {
        self.track.base = None;
        if KEPT_NOTES < self.track.notes.len() {
            self.track.notes.truncate(KEPT_NOTES);
            self.track.notes.shrink_to_fit();
        }
    }
}

/// A position as it stands in a slot. It fits: `MAX_TEXT`.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(EMPTY)
}

/// The note of a run of bytes.
fn jump(n: usize) -> u32 {
    JUMP | u32::try_from(n).unwrap_or(0)
}
