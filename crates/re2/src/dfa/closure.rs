//! One step of the automaton: which threads are alive after a byte, where each came from and which
//! capture slots it crossed.
//!
//! This is the slow half of the lazy automaton; its results are kept in tables and each step is
//! taken once per state and byte class. Threads are explored best first, so the first to reach an
//! instruction owns it, and a match cuts off all threads after it.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::program::{self, Inst, InstId, Look, Program, behind, is_continuation, is_word};

/// The thread that starts another one at every character. It is always the last of its list.
pub(crate) const RESTART: InstId = InstId::MAX;

/// The parent of a thread [`RESTART`] started.
pub(crate) const SPAWNED: u16 = u16::MAX;

/// Where a thread came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// Its index in the thread list of the state before, or [`SPAWNED`].
    pub(crate) parent: u16,
    /// The list of slots crossed before the byte was consumed.
    pub(crate) slots: u16,
}

/// What stands around a position: flags of [`behind`], and the byte after it or the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    pub(crate) behind: u8,
    pub(crate) byte: Option<u8>,
}

impl Around {
    fn holds(self, look: Look) -> bool {
        let is = |flag| self.behind & flag != 0;
        match look {
            Look::Start => is(behind::START),
            Look::End => self.byte.is_none(),
            Look::StartLine => is(behind::START | behind::LINE),
            Look::EndLine => self.byte.is_none_or(|byte| byte == b'\n'),
            Look::Word => is(behind::WORD) != self.byte.is_some_and(is_word),
            Look::NotWord => is(behind::WORD) == self.byte.is_some_and(is_word),
            Look::Boundary => !self.byte.is_some_and(is_continuation),
        }
    }
}

/// Takes steps. Its public fields hold the result of the last one.
#[derive(Debug)]
pub(crate) struct Closure {
    /// The instructions the threads stand at after the byte, best first.
    pub(crate) threads: Vec<InstId>,
    /// Where each came from.
    pub(crate) steps: Vec<Step>,
    /// The match that ends before the byte.
    pub(crate) matched: Option<Step>,
    pub(crate) lists: SlotLists,
    generation: u32,
    /// The step in which an instruction was last explored.
    explored: Vec<u32>,
    /// The step in which a thread last arrived at an instruction.
    reached: Vec<u32>,
    stack: Vec<Frame>,
    /// The slots crossed on the way to the instruction at hand.
    path: Vec<u16>,
    /// Instructions explored so far, in all steps.
    pub(crate) n_explored: u64,
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Explore(InstId),
    /// Forgets the last slot of the path.
    Leave,
}

impl Closure {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            threads: Vec::new(),
            steps: Vec::new(),
            matched: None,
            lists: SlotLists::new(),
            generation: 0,
            explored: vec![0; program.insts.len()],
            reached: vec![0; program.insts.len()],
            stack: Vec::new(),
            path: Vec::new(),
            n_explored: 0,
        }
    }

    /// Moves `threads` over a byte.
    pub(crate) fn step(&mut self, program: &Program, threads: &[InstId], around: Around) {
        self.threads.clear();
        self.steps.clear();
        self.matched = None;
        self.next_generation();
        // `Program` bounds the number of threads below `u16::MAX`.
        for (parent, &thread) in (0_u16..).zip(threads) {
            if thread != RESTART {
                self.explore(program, around, thread, parent);
            } else {
                if around.holds(Look::Boundary) {
                    self.explore(program, around, program.start, SPAWNED);
                }
                if self.matched.is_none() && around.byte.is_some() {
                    self.threads.push(RESTART);
                    self.steps.push(Step { parent, slots: SlotLists::EMPTY });
                }
            }
            if self.matched.is_some() {
                break;
            }
        }
    }

    pub(crate) fn memory(&self) -> usize {
        (self.explored.capacity() + self.reached.capacity()) * size_of::<u32>()
            + self.threads.capacity() * size_of::<InstId>()
            + self.steps.capacity() * size_of::<Step>()
            + self.stack.capacity() * size_of::<Frame>()
            + self.lists.memory()
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.explored.fill(0);
            self.reached.fill(0);
            self.generation = 1;
        }
    }

    fn explore(&mut self, program: &Program, around: Around, start: InstId, parent: u16) {
        self.stack.clear();
        self.path.clear();
        self.stack.push(Frame::Explore(start));
        while let Some(frame) = self.stack.pop() {
            match frame {
                Frame::Leave => {
                    self.path.pop();
                }
                Frame::Explore(id) => self.descend(program, around, id, parent),
            }
            if self.matched.is_some() {
                return;
            }
        }
    }

    /// Follows the best path from `id` to where it consumes or ends; other paths go to the stack.
    fn descend(&mut self, program: &Program, around: Around, mut id: InstId, parent: u16) {
        loop {
            let i = id as usize;
            let (Some(&inst), Some(explored)) = (program.insts.get(i), self.explored.get_mut(i))
            else {
                return;
            };
            if core::mem::replace(explored, self.generation) == self.generation {
                return;
            }
            self.n_explored += 1;
            match inst {
                Inst::Byte { low, high, next } => {
                    if around.byte.is_some_and(|byte| (low..=high).contains(&byte)) {
                        self.arrive(next, parent);
                    }
                    return;
                }
                Inst::Sparse { first, n } => {
                    let Some(byte) = around.byte else { return };
                    for range in program::span(&program.ranges, first, n) {
                        if (range.low..=range.high).contains(&byte) {
                            self.arrive(range.next, parent);
                        }
                    }
                    return;
                }
                Inst::Split { best, other } => {
                    self.stack.push(Frame::Explore(other));
                    id = best;
                }
                Inst::Union { first, n } => {
                    let [best, others @ ..] = program::span(&program.alternates, first, n) else {
                        return;
                    };
                    self.stack.extend(others.iter().rev().map(|&other| Frame::Explore(other)));
                    id = *best;
                }
                Inst::Slot { slot, next } => {
                    self.path.push(slot);
                    self.stack.push(Frame::Leave);
                    id = next;
                }
                Inst::Look { look, next } => {
                    if !around.holds(look) {
                        return;
                    }
                    id = next;
                }
                Inst::Match => {
                    let slots = self.lists.intern(&self.path);
                    self.matched = Some(Step { parent, slots });
                    return;
                }
                Inst::Fail => return,
            }
        }
    }

    fn arrive(&mut self, id: InstId, parent: u16) {
        let Some(reached) = self.reached.get_mut(id as usize) else { return };
        if core::mem::replace(reached, self.generation) != self.generation {
            let slots = self.lists.intern(&self.path);
            self.threads.push(id);
            self.steps.push(Step { parent, slots });
        }
    }
}

/// Numbers lists of slots.
#[derive(Debug)]
pub(crate) struct SlotLists {
    flat: Vec<u16>,
    /// The end of each list in `flat`; it begins where the one before ends.
    ends: Vec<u32>,
    index: HashTable<u16>,
    hasher: DefaultHashBuilder,
}

impl SlotLists {
    /// The number of the empty list.
    pub(crate) const EMPTY: u16 = 0;

    fn new() -> Self {
        Self {
            flat: Vec::new(),
            ends: vec![0],
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The slots of a list.
    #[inline]
    pub(crate) fn list(&self, id: u16) -> &[u16] {
        list(&self.flat, &self.ends, id)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn clear(&mut self) {
        self.flat.clear();
        self.ends.truncate(1);
        self.index.clear();
    }

    fn intern(&mut self, slots: &[u16]) -> u16 {
        if slots.is_empty() {
            return Self::EMPTY;
        }
        let Self { flat, ends, index, hasher } = self;
        let hash = hasher.hash_one(slots);
        if let Some(&id) = index.find(hash, |&id| list(flat, ends, id) == slots) {
            return id;
        }
        // The tables are cleared long before the numbers run out; see `Dfa::is_full`.
        let Ok(id) = u16::try_from(ends.len()) else { return Self::EMPTY };
        flat.extend_from_slice(slots);
        ends.push(u32::try_from(flat.len()).unwrap_or(u32::MAX));
        index.insert_unique(hash, id, |&id| hasher.hash_one(list(flat, ends, id)));
        id
    }

    fn memory(&self) -> usize {
        self.flat.capacity() * size_of::<u16>()
            + self.ends.capacity() * size_of::<u32>()
            + self.index.allocation_size()
    }
}

fn list<'a>(flat: &'a [u16], ends: &[u32], id: u16) -> &'a [u16] {
    let id = usize::from(id);
    let Some(before) = id.checked_sub(1) else { return &[] };
    match (ends.get(before), ends.get(id)) {
        (Some(&start), Some(&end)) => flat.get(start as usize..end as usize).unwrap_or(&[]),
        _ => &[],
    }
}
