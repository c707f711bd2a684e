//! The program of a regex: a Thompson automaton over bytes, compiled from its HIR.
//!
//! Hides how a pattern becomes instructions. Wanted groups become [`Inst::Slot`], all others
//! vanish. The haystack is valid UTF-8, which buys two things the searcher relies on:
//!
//! - A class that holds *every* non-ASCII character, such as `.` or `[^"]`, takes three
//!   instructions: any lead byte, then continuation bytes up to the next boundary. Spelling UTF-8
//!   out instead costs a dozen states and byte classes in nearly every pattern.
//! - No consuming path begins or ends within a character, so only an empty match could split one.
//!   The searcher starts threads at character boundaries alone, and that cannot happen.
//!
//! INVARIANT: alternatives are stored best first. That order is all there is of leftmost-first
//! semantics, greed and laziness.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;
use regex_syntax::hir::{self, Class, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

use crate::error::Error;

/// The most instructions a regex may have. It keeps the index of a thread within 16 bits: the
/// thread lists of the automaton are as long as this at worst, and the two highest values of a
/// `u16` mean something else.
const MAX_INSTS: usize = 65_000;

/// The most slot instructions a regex may have: each list of slots crossed at once is known by a
/// 16-bit number, and one transition can need as many lists as there are slot instructions.
const MAX_SLOT_INSTS: usize = 30_000;

/// An index into [`Program::insts`].
pub(crate) type InstId = u32;

/// One state of the automaton.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inst {
    /// Consumes a byte of one range.
    Byte { low: u8, high: u8, next: InstId },
    /// Consumes a byte of any of the ranges `first..first + n` of [`Program::ranges`], which are
    /// ordered by their lower bound and may overlap.
    Sparse { first: u32, n: u32 },
    /// Goes on at both, preferring `best`.
    Split { best: InstId, other: InstId },
    /// Goes on at each of `first..first + n` of [`Program::alternates`], best first.
    Union { first: u32, n: u32 },
    /// Notes the position in a capture slot.
    Slot { slot: u16, next: InstId },
    /// Goes on if the position looks as asked.
    Look { look: Look, next: InstId },
    /// A match ends here.
    Match,
    /// A dead end.
    Fail,
}

/// A condition on the bytes around a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Start,
    End,
    StartLine,
    EndLine,
    Word,
    NotWord,
    /// Between two characters: the next byte does not continue one.
    Boundary,
}

/// One branch of an [`Inst::Sparse`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) low: u8,
    pub(crate) high: u8,
    pub(crate) next: InstId,
}

/// What a state must remember about the byte before it, as bit flags.
pub(crate) mod behind {
    /// The position is the start of the haystack.
    pub(crate) const START: u8 = 1;
    /// The byte before is an ASCII word byte.
    pub(crate) const WORD: u8 = 2;
    /// The byte before is a line feed.
    pub(crate) const LINE: u8 = 4;
}

/// A compiled regex.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) insts: Vec<Inst>,
    pub(crate) ranges: Vec<Range>,
    pub(crate) alternates: Vec<InstId>,
    pub(crate) start: InstId,
    /// Maps a byte to its class; bytes of one class behave alike everywhere.
    pub(crate) classes: [u8; 256],
    /// A byte of each class.
    pub(crate) representatives: Vec<u8>,
    /// The bytes a match can start with; all of them if a match can be empty.
    pub(crate) first: Box<[bool; 256]>,
    /// Which flags of [`behind`] the look-arounds reachable from each instruction, before it
    /// consumes anything, depend on.
    pub(crate) needs: Vec<u8>,
}

impl Program {
    /// Compiles a pattern [`check`] accepted. `slot` gives the first of the two slots of a wanted
    /// group.
    pub(crate) fn compile(hir: &Hir, slot: &dyn Fn(&hir::Capture) -> Option<u16>) -> Self {
        let mut compiler = Compiler {
            insts: Vec::new(),
            ranges: Vec::new(),
            alternates: Vec::new(),
            tails: HashMap::new(),
            slot,
        };
        let end = compiler.push(Inst::Match);
        let start = compiler.compile(hir, end);
        let Compiler { insts, ranges, alternates, .. } = compiler;
        let (classes, representatives) = byte_classes(&insts, &ranges);
        let needs = needs(&insts, &alternates);
        let first = Box::new([true; 256]);
        let mut program =
            Self { insts, ranges, alternates, start, classes, representatives, first, needs };
        program.first = Box::new(program.first_bytes());
        program
    }

    /// The class that stands for the end of the haystack.
    pub(crate) fn end_class(&self) -> usize {
        self.representatives.len()
    }

    fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        let mut seen = vec![false; self.insts.len()];
        let mut stack = vec![self.start];
        while let Some(id) = stack.pop() {
            let (Some(&inst), Some(seen)) =
                (self.insts.get(id as usize), seen.get_mut(id as usize))
            else {
                continue;
            };
            if core::mem::replace(seen, true) {
                continue;
            }
            let mut add = |low: u8, high: u8| first[low.into()..=high.into()].fill(true);
            match inst {
                Inst::Byte { low, high, .. } => add(low, high),
                Inst::Sparse { first, n } => {
                    span(&self.ranges, first, n)
                        .iter()
                        .for_each(|range| add(range.low, range.high));
                }
                Inst::Split { best, other } => stack.extend([best, other]),
                Inst::Union { first, n } => stack.extend(span(&self.alternates, first, n)),
                // A look-around may hold; a search that starts in vain there finds that out.
                Inst::Slot { next, .. } | Inst::Look { next, .. } => stack.push(next),
                Inst::Match => return [true; 256],
                Inst::Fail => {}
            }
        }
        first
    }

    pub(crate) fn memory(&self) -> usize {
        self.insts.capacity() * size_of::<Inst>()
            + self.ranges.capacity() * size_of::<Range>()
            + self.alternates.capacity() * size_of::<InstId>()
            + self.needs.capacity()
            + self.representatives.capacity()
    }
}

/// Whether a byte is one of `[0-9A-Za-z_]`.
pub(crate) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a byte continues a UTF-8 character.
pub(crate) const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Refuses what the automaton cannot express or what would make it too large, so that compiling
/// later, on first use, cannot fail.
pub(crate) fn check(hir: &Hir) -> Result<(), Error> {
    let size = measure(hir)?;
    if MAX_INSTS < size.insts || MAX_SLOT_INSTS < size.slots {
        return Err(Error::TooLarge);
    }
    Ok(())
}

/// An upper bound of what a part compiles to.
#[derive(Clone, Copy, Default)]
struct Size {
    insts: usize,
    slots: usize,
}

impl Size {
    const fn of(insts: usize) -> Self {
        Self { insts, slots: 0 }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            insts: self.insts.saturating_add(other.insts),
            slots: self.slots.saturating_add(other.slots),
        }
    }

    const fn times(self, n: usize) -> Self {
        Self { insts: self.insts.saturating_mul(n), slots: self.slots.saturating_mul(n) }
    }
}

fn measure(hir: &Hir) -> Result<Size, Error> {
    Ok(match hir.kind() {
        HirKind::Empty => Size::default(),
        HirKind::Literal(literal) => {
            // Raw bytes could split characters, which would break the module's second promise.
            core::str::from_utf8(&literal.0).map_err(|_| Error::Unsupported)?;
            Size::of(literal.0.len())
        }
        HirKind::Class(Class::Unicode(class)) => {
            if holds_all_non_ascii(class) {
                return Ok(Size::of(4));
            }
            let sequences: usize = class
                .iter()
                .filter(|range| !range.end().is_ascii())
                .map(|range| Utf8Sequences::new(range.start(), range.end()).count())
                .sum();
            Size::of(1_usize.saturating_add(sequences.saturating_mul(3)))
        }
        HirKind::Class(Class::Bytes(class)) => {
            if !class.is_ascii() {
                return Err(Error::Unsupported);
            }
            Size::of(1)
        }
        HirKind::Look(kind) => {
            look(*kind).ok_or(Error::Unsupported)?;
            Size::of(1)
        }
        HirKind::Repetition(repetition) => {
            let n = repetition.max.unwrap_or_else(|| repetition.min.max(1));
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            measure(&repetition.sub)?.and(Size::of(1)).times(n).and(Size::of(1))
        }
        HirKind::Capture(capture) => measure(&capture.sub)?.and(Size { insts: 2, slots: 2 }),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => {
            let mut size = Size::of(1);
            for sub in subs {
                size = size.and(measure(sub)?);
            }
            size
        }
    })
}

fn look(look: hir::Look) -> Option<Look> {
    Some(match look {
        hir::Look::Start => Look::Start,
        hir::Look::End => Look::End,
        hir::Look::StartLF => Look::StartLine,
        hir::Look::EndLF => Look::EndLine,
        hir::Look::WordAscii => Look::Word,
        hir::Look::WordAsciiNegate => Look::NotWord,
        // RE2 has none of the others.
        _ => return None,
    })
}

fn holds_all_non_ascii(class: &hir::ClassUnicode) -> bool {
    class.ranges().last().is_some_and(|last| last.start() <= '\u{80}' && last.end() == char::MAX)
}

/// Compiles back to front: each part is told where to go on, so nothing is patched but loops.
struct Compiler<'a> {
    insts: Vec<Inst>,
    ranges: Vec<Range>,
    alternates: Vec<InstId>,
    /// Tails of multi-byte characters by their byte range and continuation, so that the sequences
    /// of a large class share them.
    tails: HashMap<(u8, u8, InstId), InstId>,
    slot: &'a dyn Fn(&hir::Capture) -> Option<u16>,
}

impl Compiler<'_> {
    /// Compiles `hir` with the continuation `next` and returns where it starts.
    fn compile(&mut self, hir: &Hir, next: InstId) -> InstId {
        match hir.kind() {
            HirKind::Empty => next,
            HirKind::Literal(literal) => literal
                .0
                .iter()
                .rev()
                .fold(next, |next, &byte| self.push(Inst::Byte { low: byte, high: byte, next })),
            HirKind::Class(Class::Unicode(class)) => self.class(class, next),
            HirKind::Class(Class::Bytes(class)) => {
                let ranges = class.iter().map(|range| (range.start(), range.end(), next));
                let ranges: Vec<_> = ranges.collect();
                self.sparse(&ranges)
            }
            HirKind::Look(kind) => match look(*kind) {
                Some(look) => self.push(Inst::Look { look, next }),
                None => self.push(Inst::Fail),
            },
            HirKind::Repetition(repetition) => self.repetition(repetition, next),
            HirKind::Capture(capture) => {
                let Some(slot) = (self.slot)(capture) else {
                    return self.compile(&capture.sub, next);
                };
                let end = self.push(Inst::Slot { slot: slot + 1, next });
                let sub = self.compile(&capture.sub, end);
                self.push(Inst::Slot { slot, next: sub })
            }
            HirKind::Concat(subs) => {
                subs.iter().rev().fold(next, |next, sub| self.compile(sub, next))
            }
            HirKind::Alternation(subs) => {
                let starts: Vec<_> = subs.iter().map(|sub| self.compile(sub, next)).collect();
                self.union(&starts)
            }
        }
    }

    fn repetition(&mut self, repetition: &hir::Repetition, next: InstId) -> InstId {
        let hir::Repetition { min, max, greedy, ref sub } = *repetition;
        let mut start = next;
        match max {
            Some(max) => {
                // Each optional round leaves for `next` itself, not for the round after it.
                for _ in min..max {
                    let round = self.compile(sub, start);
                    start = self.split(round, next, greedy);
                }
                for _ in 0..min {
                    start = self.compile(sub, start);
                }
            }
            None if min == 0 && sub.properties().minimum_len() != Some(0) => {
                start = self.push(Inst::Fail);
                let round = self.compile(sub, start);
                self.patch(start, round, next, greedy);
            }
            None => {
                // `(x+)?` for a star whose body may be empty: entering the loop by its body makes
                // the captures of an empty round come out as everybody else's.
                let again = self.push(Inst::Fail);
                start = self.compile(sub, again);
                self.patch(again, start, next, greedy);
                if min == 0 {
                    start = self.split(start, next, greedy);
                }
                for _ in 1..min {
                    start = self.compile(sub, start);
                }
            }
        }
        start
    }

    fn class(&mut self, class: &hir::ClassUnicode, next: InstId) -> InstId {
        let mut ranges = Vec::new();
        let any_non_ascii = holds_all_non_ascii(class);
        for range in class.iter() {
            if let Ok(low) = u8::try_from(range.start())
                && low.is_ascii()
            {
                let high = u8::try_from(range.end()).unwrap_or(0x7F).min(0x7F);
                ranges.push((low, high, next));
            }
        }
        if any_non_ascii {
            let tail = self.rest_of_character(next);
            ranges.push((0xC0, 0xFF, tail));
            return self.sparse(&ranges);
        }
        for range in class.iter().filter(|range| !range.end().is_ascii()) {
            for sequence in Utf8Sequences::new(range.start().max('\u{80}'), range.end()) {
                let [lead, tail @ ..] = sequence.as_slice() else { continue };
                let tail = tail.iter().rev().fold(next, |next, part| {
                    let key = (part.start, part.end, next);
                    if let Some(&known) = self.tails.get(&key) {
                        return known;
                    }
                    let id = self.push(Inst::Byte { low: part.start, high: part.end, next });
                    self.tails.insert(key, id);
                    id
                });
                ranges.push((lead.start, lead.end, tail));
            }
        }
        self.sparse(&ranges)
    }

    /// Consumes what is left of a character after its lead byte.
    fn rest_of_character(&mut self, next: InstId) -> InstId {
        // No lead byte has this key: the ranges of UTF-8 tails never begin at zero.
        let key = (0, 0, next);
        if let Some(&known) = self.tails.get(&key) {
            return known;
        }
        let rest = self.push(Inst::Fail);
        let more = self.push(Inst::Byte { low: 0x80, high: 0xBF, next: rest });
        let done = self.push(Inst::Look { look: Look::Boundary, next });
        self.patch(rest, more, done, true);
        self.tails.insert(key, rest);
        rest
    }

    fn sparse(&mut self, ranges: &[(u8, u8, InstId)]) -> InstId {
        match *ranges {
            [] => self.push(Inst::Fail),
            [(low, high, next)] => self.push(Inst::Byte { low, high, next }),
            _ => {
                let first = index(self.ranges.len());
                self.ranges.extend(ranges.iter().map(|&(low, high, next)| Range {
                    low,
                    high,
                    next,
                }));
                self.push(Inst::Sparse { first, n: index(ranges.len()) })
            }
        }
    }

    fn union(&mut self, starts: &[InstId]) -> InstId {
        match *starts {
            [] => self.push(Inst::Fail),
            [only] => only,
            [best, other] => self.push(Inst::Split { best, other }),
            _ => {
                let first = index(self.alternates.len());
                self.alternates.extend_from_slice(starts);
                self.push(Inst::Union { first, n: index(starts.len()) })
            }
        }
    }

    fn split(&mut self, enter: InstId, leave: InstId, greedy: bool) -> InstId {
        let id = self.push(Inst::Fail);
        self.patch(id, enter, leave, greedy);
        id
    }

    fn patch(&mut self, id: InstId, enter: InstId, leave: InstId, greedy: bool) {
        let (best, other) = if greedy { (enter, leave) } else { (leave, enter) };
        if let Some(inst) = self.insts.get_mut(id as usize) {
            *inst = Inst::Split { best, other };
        }
    }

    fn push(&mut self, inst: Inst) -> InstId {
        self.insts.push(inst);
        index(self.insts.len() - 1)
    }
}

/// Indexes of a program fit: `check` bounded its size.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Groups the bytes no instruction tells apart.
fn byte_classes(insts: &[Inst], ranges: &[Range]) -> ([u8; 256], Vec<u8>) {
    // `last[b]`: a class ends at byte b.
    let mut last = [false; 256];
    // Threads start between characters only, so continuation bytes are always told apart.
    last[0x7F] = true;
    last[0xBF] = true;
    let mut cut = |low: u8, high: u8| {
        if let Some(before) = low.checked_sub(1) {
            last[usize::from(before)] = true;
        }
        last[usize::from(high)] = true;
    };
    for inst in insts {
        match *inst {
            Inst::Byte { low, high, .. } => cut(low, high),
            Inst::Look { look: Look::Word | Look::NotWord, .. } => {
                for (low, high) in [(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')] {
                    cut(low, high);
                }
            }
            Inst::Look { look: Look::StartLine | Look::EndLine, .. } => cut(b'\n', b'\n'),
            Inst::Look { .. }
            | Inst::Sparse { .. }
            | Inst::Split { .. }
            | Inst::Union { .. }
            | Inst::Slot { .. }
            | Inst::Match
            | Inst::Fail => {}
        }
    }
    for range in ranges {
        cut(range.low, range.high);
    }

    let mut classes = [0; 256];
    let mut representatives = vec![0];
    let mut class = 0;
    for byte in 0..=u8::MAX {
        classes[usize::from(byte)] = class;
        if last[usize::from(byte)] && byte < u8::MAX {
            class += 1;
            representatives.push(byte + 1);
        }
    }
    (classes, representatives)
}

/// Finds the flags of [`behind`] each instruction needs: a fixed point over the edges that consume
/// nothing. Compiled back to front, most instructions follow those they lead to, so that few
/// rounds are enough.
fn needs(insts: &[Inst], alternates: &[InstId]) -> Vec<u8> {
    let mut needs = vec![0_u8; insts.len()];
    let has_looks = insts.iter().any(|inst| matches!(inst, Inst::Look { .. }));
    let mut changed = has_looks;
    while changed {
        changed = false;
        for (id, inst) in insts.iter().enumerate() {
            let of = |id: InstId| needs.get(id as usize).copied().unwrap_or(0);
            let need = match *inst {
                Inst::Byte { .. } | Inst::Sparse { .. } | Inst::Match | Inst::Fail => 0,
                Inst::Split { best, other } => of(best) | of(other),
                Inst::Union { first, n } => {
                    span(alternates, first, n).iter().fold(0, |need, &id| need | of(id))
                }
                Inst::Slot { next, .. } => of(next),
                Inst::Look { look, next } => {
                    of(next)
                        | match look {
                            Look::Start => behind::START,
                            Look::StartLine => behind::START | behind::LINE,
                            Look::Word | Look::NotWord => behind::WORD,
                            Look::End | Look::EndLine | Look::Boundary => 0,
                        }
                }
            };
            if need != needs[id] {
                needs[id] = need;
                changed = true;
            }
        }
    }
    needs
}

/// The items `first..first + n`.
pub(crate) fn span<T>(items: &[T], first: u32, n: u32) -> &[T] {
    let first = first as usize;
    items.get(first..first + n as usize).unwrap_or(&[])
}

/// A program that never matches.
impl Default for Program {
    fn default() -> Self {
        Self::compile(&Hir::fail(), &|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insts(pattern: &str) -> usize {
        let hir = regex_syntax::parse(pattern).unwrap();
        check(&hir).unwrap();
        let program = Program::compile(&hir, &|_| None);
        assert!(program.insts.len() <= measure(&hir).unwrap().insts + 2, "{pattern}");
        program.insts.len()
    }

    #[test]
    fn the_measure_bounds_what_is_compiled() {
        for pattern in
            ["", "abc", "a|b|cd", "(a*)*", "[a-zé]{3,9}", ".{0,62}", r"\pL+?", r"(?:a|bc?){4,}x{0}"]
        {
            insts(pattern);
        }
    }

    #[test]
    fn a_class_of_all_non_ascii_characters_is_small() {
        assert_eq!(insts("."), 5);
        assert_eq!(insts(".*"), 6);
        assert_eq!(insts("[^\"]"), 5);
    }

    #[test]
    fn refuses_what_is_too_large_before_compiling_it() {
        let hir = regex_syntax::parse("(?:(?:abcdefghij){100}){100}").unwrap();
        assert!(matches!(check(&hir), Err(Error::TooLarge)));
        let hir = regex_syntax::parse(r"(?:(?:x{1000}){1000}){1000}").unwrap();
        assert!(matches!(check(&hir), Err(Error::TooLarge)));
    }

    #[test]
    fn refuses_what_could_split_a_character() {
        for pattern in [r"(?-u:\xFF)", r"(?-u:[\x80-\xFF])"] {
            let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
            assert!(matches!(check(&hir.unwrap()), Err(Error::Unsupported)));
        }
        let hir = regex_syntax::parse(r"(?mR)^a").unwrap();
        assert!(matches!(check(&hir), Err(Error::Unsupported)));
    }

    #[test]
    fn needs_follow_paths_that_consume_nothing() {
        let hir = regex_syntax::parse(r"(?-u)(?:a|x?\b)c").unwrap();
        let program = Program::compile(&hir, &|_| None);
        assert_eq!(program.needs[program.start as usize], behind::WORD);
        let hir = regex_syntax::parse(r"(?-u)a\b").unwrap();
        let program = Program::compile(&hir, &|_| None);
        assert_eq!(program.needs[program.start as usize], 0);
    }
}
