//! A lazy automaton whose transitions remember where every thread came from.
//!
//! A state is the ordered list of threads of a Thompson automaton, before anything is known of the
//! byte ahead, plus what its look-arounds must know of the byte behind. An [`Edge`] to the next
//! state is computed at its first use and carries a *trail*: for each thread of the next state its
//! parent in this one and the capture slots crossed on the way. A search walks edges forward and
//! notes the trails; only when it matched does it walk the trails back to fill the slots. Both
//! walks are a table look-up per byte, whatever the number of threads.
//!
//! Reading order: [`closure`] takes one step of the Thompson automaton, this file keeps its results
//! in tables, [`search`] walks them.
//!
//! INVARIANT: tables may be cleared between any two bytes. Nothing outside them but the thread list
//! of the current state and the slots filled so far has to survive that; see `search`.

mod closure;
mod search;

pub(crate) use search::MAX_TEXT;

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use self::closure::{Around, Closure, RESTART, SPAWNED, Step};
use self::search::Track;
use crate::program::{self, InstId, Program, behind, is_word};
use crate::skip::Skip;

/// The lazily built automaton of one regex.
#[derive(Debug)]
pub(crate) struct Dfa {
    program: Program,
    closure: Closure,
    /// The number of capture slots.
    n_slots: usize,
    /// A match may start anywhere, not at the start of the text only.
    floating: bool,
    /// Whether a search can find candidates faster than the state that waits for one.
    has_prefix: bool,
    /// Bytes the tables may take before they are cleared.
    limit: usize,

    /// The edges of all states, `stride` for each: one per byte class, one for the end, and in
    /// place of a last one the index of the state and its run. A state is known by the index of its
    /// first edge, its row.
    table: Vec<Edge>,
    stride: usize,
    states: Vec<State>,
    /// The thread lists of all states.
    threads: Vec<InstId>,
    /// The trails of all edges: the step of the match, then that of each thread.
    trails: Vec<Step>,
    skips: Vec<Loop>,
    /// The start states by their kind and what is behind; 0 if not made yet.
    starts: [[u32; 8]; 2],
    /// Skips the bytes no match starts with.
    idle: Skip,
    /// Whether a match can be empty.
    nullable: bool,
    /// Whether the states of a floating search fit the tables, as far as is known.
    floats_well: bool,
    state_index: HashTable<u32>,
    trail_index: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,

    track: Track,
    /// Notes walked back in all rebases.
    n_walked: u64,
}

/// A transition.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// The row of the next state, and the flags of [`flag`].
    next: u32,
    /// The first thread's step in [`Dfa::trails`], that of the match stands before it; or
    /// [`UNCHANGED`].
    trail: u32,
}

/// The trail on which every thread stays where it is in the list, and no slot is crossed.
const UNCHANGED: u32 = 0;

/// A noted trail with this bit stands for as many bytes of [`UNCHANGED`] trails as the other bits
/// say.
const JUMP: u32 = 1 << 31;

/// Flags of [`Edge::next`]. All are above [`flag::ROW`], so one comparison tells the plain edges.
mod flag {
    /// Not computed yet.
    pub(super) const UNKNOWN: u32 = 1 << 31;
    /// A match ends before the byte.
    pub(super) const MATCH: u32 = 1 << 30;
    /// No thread survives.
    pub(super) const DEAD: u32 = 1 << 29;
    /// The next state has a way to run through bytes.
    pub(super) const SKIP: u32 = 1 << 28;
    /// The bits of the row.
    pub(super) const ROW: u32 = SKIP - 1;
}

/// Where a match may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Where the search does.
    Here,
    /// There or later.
    Anywhere,
}

#[derive(Clone, Copy, Debug)]
struct State {
    first_thread: u32,
    n_threads: u32,
    behind: u8,
}

/// The run of a state is its index in [`Dfa::skips`], or one of these.
///
/// The state was not examined: no byte is known that keeps it.
const RUN_UNKNOWN: u32 = u32::MAX;

/// The state has no run.
const RUN_NONE: u32 = u32::MAX - 1;

/// The state waits for the next occurrence of the literal prefix.
const RUN_PREFIX: u32 = u32::MAX - 2;

/// How a state runs through the bytes that keep it.
#[derive(Clone, Debug)]
struct Loop {
    skip: Skip,
    /// The trail of each byte of the run. Its threads never move; if it is not [`UNCHANGED`], it
    /// has a match.
    trail: u32,
}

impl State {
    const NONE: Self = Self { first_thread: 0, n_threads: 0, behind: 0 };
}

impl Dfa {
    pub(crate) fn new(
        program: Program,
        n_slots: usize,
        floating: bool,
        has_prefix: bool,
        limit: usize,
    ) -> Self {
        let mut dfa = Self {
            closure: Closure::new(&program),
            stride: program.end_class() + 2,
            n_slots,
            floating,
            has_prefix,
            limit,
            table: Vec::new(),
            states: Vec::new(),
            threads: Vec::new(),
            trails: Vec::new(),
            skips: Vec::new(),
            starts: [[0; 8]; 2],
            idle: Skip::over(&program.first.map(|first| !first)),
            nullable: program.first.iter().all(|&first| first),
            floats_well: false,
            program,
            state_index: HashTable::new(),
            trail_index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            track: Track::default(),
            n_walked: 0,
        };
        dfa.clear();
        dfa
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.program.memory()
            + self.closure.memory()
            + self.table.capacity() * size_of::<Edge>()
            + self.states.capacity() * size_of::<State>()
            + self.threads.capacity() * size_of::<InstId>()
            + self.trails.capacity() * size_of::<Step>()
            + self.state_index.allocation_size()
            + self.trail_index.allocation_size()
            + self.skips.capacity() * (size_of::<Loop>() + 256)
            + self.track.memory()
    }

    /// What all searches took beyond a look-up per byte.
    pub(crate) fn effort(&self) -> u64 {
        self.closure.n_explored + self.n_walked
    }

    fn clear(&mut self) {
        self.table.clear();
        self.states.clear();
        self.threads.clear();
        self.trails.clear();
        self.skips.clear();
        self.starts = [[0; 8]; 2];
        self.state_index.clear();
        self.trail_index.clear();
        self.closure.lists.clear();
        // Row 0 is no state: 0 stands for "none" in `starts`, and so does trail 0 on an edge.
        self.push_state(State::NONE, RUN_NONE);
        self.trails.push(Step { parent: 0, slots: 0 });
    }

    /// Whether the tables must be cleared before another edge is computed.
    fn is_full(&self) -> bool {
        let used = self.table.len() * size_of::<Edge>()
            + self.states.len() * (size_of::<State>() + 8)
            + self.threads.len() * size_of::<InstId>()
            + self.trails.len() * (size_of::<Step>() + 2);
        // One edge needs fewer than 30,000 new slot lists, and there are numbers for 65,536. A row
        // has at most 257 edges.
        self.limit < used
            || 30_000 < self.closure.lists.len()
            || flag::ROW as usize - 2 * self.stride < self.table.len()
    }

    /// The state in which a search starts, given the flags of what is behind.
    fn start(&mut self, kind: Start, behind: u8) -> u32 {
        let place = (usize::from(kind == Start::Anywhere), usize::from(behind & 7));
        let cached = self.starts[place.0][place.1];
        if cached != 0 {
            return cached;
        }
        let thread = match kind {
            Start::Here => self.program.start,
            Start::Anywhere => RESTART,
        };
        self.closure.threads.clear();
        self.closure.threads.push(thread);
        let row = self.state_of_closure(behind);
        self.starts[place.0][place.1] = row;
        row
    }

    fn state(&self, row: u32) -> State {
        let index = self.table.get(row as usize + self.stride - 1).map_or(0, |last| last.next);
        self.states.get(index as usize).copied().unwrap_or(State::NONE)
    }

    fn run_of(&self, row: u32) -> u32 {
        self.table.get(row as usize + self.stride - 1).map_or(RUN_NONE, |last| last.trail)
    }

    fn threads_of(&self, state: State) -> &[InstId] {
        program::span(&self.threads, state.first_thread, state.n_threads)
    }

    /// Computes an edge and keeps it. The caller makes room first.
    #[cold]
    fn compute(&mut self, row: u32, class: usize) -> Edge {
        let state = self.state(row);
        let byte = self.step(state, class);
        let mut edge = Edge { next: flag::DEAD, trail: UNCHANGED };
        let keeps = self.keeps_threads(state);
        if !self.closure.threads.is_empty() {
            edge.next = self.state_of_closure(byte.map_or(0, behind_after));
            if edge.next == row && keeps && self.run_of(row) == RUN_UNKNOWN {
                let matched = self.closure.matched;
                self.examine(row, matched);
                // That took other steps; back to this one.
                self.step(state, class);
            }
        }
        let matched = self.closure.matched;
        if !(keeps && matched.is_none()) {
            edge.trail = self.trail_of_closure();
        }
        if matched.is_some() {
            edge.next |= flag::MATCH;
        }
        if edge.next & flag::DEAD == 0
            && !matches!(self.run_of(edge.next & flag::ROW), RUN_UNKNOWN | RUN_NONE)
        {
            edge.next |= flag::SKIP;
        }
        if let Some(known) = self.table.get_mut(row as usize + class) {
            *known = edge;
        }
        edge
    }

    /// Leaves the step from a state in `closure`; returns a byte of the class.
    fn step(&mut self, state: State, class: usize) -> Option<u8> {
        let byte = self.program.representatives.get(class).copied();
        let around = Around { behind: state.behind, byte };
        let threads = program::span(&self.threads, state.first_thread, state.n_threads);
        self.closure.step(&self.program, threads, around);
        byte
    }

    /// Whether the step in `closure` leaves each thread at its index and crosses no slot.
    ///
    /// [`RESTART`] does not count: nobody asks where it came from.
    fn keeps_threads(&self, from: State) -> bool {
        let closure = &self.closure;
        closure.threads.len() <= from.n_threads as usize
            && (0_u16..).zip(closure.threads.iter().zip(&closure.steps)).all(
                |(i, (&thread, &step))| thread == RESTART || step == Step { parent: i, slots: 0 },
            )
    }

    /// Finds out over which bytes a state stays itself, given the match of one of them.
    fn examine(&mut self, row: u32, matched: Option<Step>) {
        let state = self.state(row);
        let mut kept = [false; 256];
        for class in 0..self.program.representatives.len() {
            let byte = self.step(state, class);
            let behind = self.needed(byte.map_or(0, behind_after));
            if self.closure.threads == self.threads_of(state)
                && self.closure.matched == matched
                && behind == state.behind
                && self.keeps_threads(state)
            {
                for (byte, kept) in (0..=u8::MAX).zip(&mut kept) {
                    *kept |= usize::from(self.program.classes[usize::from(byte)]) == class;
                }
            }
        }
        let run = match Skip::if_long(&kept) {
            None => RUN_NONE,
            Some(skip) => {
                let mut trail = UNCHANGED;
                if matched.is_some() {
                    self.closure.matched = matched;
                    self.closure.steps.clear();
                    let steps = (0..).take(state.n_threads as usize);
                    self.closure.steps.extend(steps.map(|parent| Step { parent, slots: 0 }));
                    trail = self.trail_of_closure();
                }
                self.skips.push(Loop { skip, trail });
                u32::try_from(self.skips.len() - 1).unwrap_or(RUN_NONE)
            }
        };
        if let Some(last) = self.table.get_mut(row as usize + self.stride - 1) {
            last.trail = run;
        }
    }

    /// The flags of `behind` on which the threads in `closure` depend.
    fn needed(&self, behind: u8) -> u8 {
        let needs = &self.program.needs;
        let need = self.closure.threads.iter().fold(0, |need, &thread| {
            let inst = if thread == RESTART { self.program.start } else { thread };
            need | needs.get(inst as usize).copied().unwrap_or(0)
        });
        behind & need
    }

    /// The state of the threads in `closure`, made if it is new.
    fn state_of_closure(&mut self, behind: u8) -> u32 {
        let behind = self.needed(behind);
        let list = &self.closure.threads;
        let hash = self.hasher.hash_one((behind, list));
        let known = self.state_index.find(hash, |&row| {
            let state = self.state(row);
            state.behind == behind && self.threads_of(state) == list
        });
        if let Some(&row) = known {
            return row;
        }
        let first_thread = u32::try_from(self.threads.len()).unwrap_or(u32::MAX);
        let n_threads = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let waits = matches!(**list, [RESTART]) && self.has_prefix;
        let run = if waits { RUN_PREFIX } else { RUN_UNKNOWN };
        self.threads.extend_from_slice(list);
        let row = self.push_state(State { first_thread, n_threads, behind }, run);
        let stride = self.stride;
        let Self { state_index, table, states, threads, hasher, .. } = self;
        state_index.insert_unique(hash, row, |&row| {
            let index = table[row as usize + stride - 1].next;
            let State { first_thread, n_threads, behind } = states[index as usize];
            hasher.hash_one((behind, program::span(threads, first_thread, n_threads)))
        });
        row
    }

    fn push_state(&mut self, state: State, run: u32) -> u32 {
        let row = self.table.len();
        let unknown = Edge { next: flag::UNKNOWN, trail: UNCHANGED };
        // Growing by half keeps what is allocated near the limit.
        if self.table.capacity() < row + self.stride {
            self.table.reserve_exact(row / 2 + 16 * self.stride);
        }
        self.table.resize(row + self.stride - 1, unknown);
        let index = u32::try_from(self.states.len()).unwrap_or(0);
        self.table.push(Edge { next: index, trail: run });
        self.states.push(state);
        // `is_full` keeps rows below the flags.
        u32::try_from(row).unwrap_or(0)
    }

    /// The trail of the step in `closure`, made if it is new.
    fn trail_of_closure(&mut self) -> u32 {
        let none = Step { parent: SPAWNED, slots: 0 };
        let matched = self.closure.matched.unwrap_or(none);
        let steps = &self.closure.steps;
        let hash = self.hasher.hash_one((matched, steps));
        let is_it = |trails: &[Step], &(first, n): &(u32, u32)| {
            matches!(program::span(trails, first - 1, n + 1), [m, rest @ ..]
                if *m == matched && rest == steps.as_slice())
        };
        let known = self.trail_index.find(hash, |entry| is_it(&self.trails, entry));
        if let Some(&(first, _)) = known {
            return first;
        }
        self.trails.push(matched);
        let first = u32::try_from(self.trails.len()).unwrap_or(0);
        let n = u32::try_from(steps.len()).unwrap_or(0);
        self.trails.extend_from_slice(steps);
        let Self { trail_index, trails, hasher, .. } = self;
        trail_index.insert_unique(hash, (first, n), |&(first, n)| {
            match program::span(trails, first - 1, n + 1) {
                [matched, steps @ ..] => hasher.hash_one((matched, steps)),
                [] => 0,
            }
        });
        first
    }

    /// Makes the next search float after a single attempt.
    #[cfg(test)]
    pub(crate) fn float(&mut self) {
        self.floats_well = true;
    }

    /// The states made so far.
    #[cfg(test)]
    pub(crate) fn n_states(&self) -> usize {
        self.states.len() - 1
    }
}

/// The flags for a position behind which a byte stands.
fn behind_after(byte: u8) -> u8 {
    let word = if is_word(byte) { behind::WORD } else { 0 };
    let line = if byte == b'\n' { behind::LINE } else { 0 };
    word | line
}

/// The flags for a position of a text.
fn behind_at(text: &[u8], at: usize) -> u8 {
    match at.checked_sub(1).and_then(|before| text.get(before)) {
        Some(&byte) => behind_after(byte),
        None => behind::START,
    }
}
