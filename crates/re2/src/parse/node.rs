//! Trees under construction: an [`Hir`] with the three measures that Go limits.
//!
//! `Hir` simplifies as it is built, so what was written cannot be measured afterwards; and measuring
//! a tree anew for each operator would be quadratic.
//!
//! INVARIANT: no node is higher, larger or repeated more often than the limits below, so whoever
//! walks the finished tree may recurse.

use alloc::boxed::Box;
use alloc::vec::Vec;

use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Literal, Repetition,
};

use super::MAX_COUNT;

/// The highest tree, in levels of groups, repetitions, concatenations and alternations.
const MAX_HEIGHT: u32 = 1000;

/// The largest program, in instructions of Go's compiler.
const MAX_SIZE: u64 = (128 << 20) / 40;

/// The limit a node would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Copies,
    Depth,
    Size,
}

/// How often something repeats.
#[derive(Clone, Copy)]
pub(super) struct Times {
    min: u32,
    max: Option<u32>,
    /// Whether it was written as `{…}`; only these multiply when nested.
    counted: bool,
}

impl Times {
    pub(super) fn any() -> Self {
        Self { min: 0, max: None, counted: false }
    }

    pub(super) fn at_least_one() -> Self {
        Self { min: 1, max: None, counted: false }
    }

    pub(super) fn at_most_one() -> Self {
        Self { min: 0, max: Some(1), counted: false }
    }

    pub(super) fn counted(min: u32, max: Option<u32>) -> Self {
        Self { min, max, counted: true }
    }
}

/// A part of a pattern.
pub(super) struct Node {
    hir: Hir,
    /// The largest product of nested counts in it, at least 1.
    copies: u32,
    height: u32,
    size: u64,
}

impl Node {
    /// A part without parts.
    pub(super) fn new(hir: Hir) -> Self {
        Self { hir, copies: 1, height: 1, size: 1 }
    }

    pub(super) fn class(class: ClassUnicode) -> Self {
        Self::new(Hir::class(Class::Unicode(class)))
    }

    pub(super) fn literal(text: &str) -> Self {
        let size = text.chars().count() as u64;
        Self { size, ..Self::new(Hir::literal(text.as_bytes())) }
    }

    pub(super) fn capture(sub: Self, index: u32, name: Option<Box<str>>) -> Result<Self, Limit> {
        let hir = Hir::capture(Capture { index, name, sub: Box::new(sub.hir) });
        let size = sub.size.saturating_add(2);
        Self { hir, copies: sub.copies, height: sub.height + 1, size }.within_limits()
    }

    pub(super) fn repetition(sub: Self, times: Times, greedy: bool) -> Result<Self, Limit> {
        let Times { min, max, counted } = times;
        if max == Some(0) && sub.hir.properties().explicit_captures_len() > 0 {
            return Self::never(sub);
        }
        let size = match max {
            None if min == 0 => sub.size.saturating_add(2),
            None => sub.size.saturating_mul(min.into()).saturating_add(1),
            Some(max) => {
                sub.size.saturating_mul(max.into()).saturating_add((max.saturating_sub(min)).into())
            }
        };
        let most = max.unwrap_or(min);
        let copies = match max {
            Some(0) => 1,
            _ if counted => sub.copies.saturating_mul(most.max(1)),
            _ => sub.copies,
        };
        if copies > MAX_COUNT {
            return Err(Limit::Copies);
        }
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(sub.hir) });
        Self { hir, copies, height: sub.height + 1, size: size.max(1) }.within_limits()
    }

    /// `(a){0}`: matches nothing but the empty text, and still counts the captures inside.
    ///
    /// `Hir::repetition` would drop them, and leave a hole in the numbering that the Rust engines
    /// answer with too few groups.
    fn never(sub: Self) -> Result<Self, Limit> {
        let unreachable = Hir::concat([Hir::fail(), sub.hir].into());
        let hir = Hir::alternation([Hir::empty(), unreachable].into());
        Self { hir, copies: 1, height: sub.height + 1, size: sub.size }.within_limits()
    }

    pub(super) fn concat(parts: Vec<Self>) -> Result<Self, Limit> {
        let parts = match <[Self; 1]>::try_from(parts) {
            Ok([only]) => return Ok(only),
            Err(parts) => parts,
        };
        let measures = Measures::of(&parts, |hir| matches!(hir.kind(), HirKind::Concat(_)));
        measures.join(Hir::concat(parts.into_iter().map(|part| part.hir).collect()), 0)
    }

    pub(super) fn alternation(branches: Vec<Self>) -> Result<Self, Limit> {
        let branches = match <[Self; 1]>::try_from(branches) {
            Ok([only]) => return Ok(only),
            Err(branches) => branches,
        };
        let measures = Measures::of(&branches, |hir| matches!(hir.kind(), HirKind::Alternation(_)));
        let n_jumps = branches.len().saturating_sub(1) as u64;
        let branches = merge_classes(branches.into_iter().map(|branch| branch.hir));
        measures.join(Hir::alternation(branches), n_jumps)
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.hir.kind(), HirKind::Empty)
    }

    pub(super) fn n_children(&self) -> usize {
        self.hir.kind().subs().len()
    }

    pub(super) fn into_hir(self) -> Hir {
        self.hir
    }

    fn within_limits(self) -> Result<Self, Limit> {
        if self.height > MAX_HEIGHT {
            return Err(Limit::Depth);
        }
        if self.size > MAX_SIZE {
            return Err(Limit::Size);
        }
        Ok(self)
    }
}

/// The measures of several nodes side by side.
struct Measures {
    copies: u32,
    /// The levels below the join.
    height: u32,
    size: u64,
}

impl Measures {
    /// Measures `nodes`; those that dissolve in the join, as `(?:ab)` does in `(?:ab)c`, give up
    /// their own level.
    fn of(nodes: &[Node], dissolves: fn(&Hir) -> bool) -> Self {
        let height = |node: &Node| node.height - u32::from(dissolves(&node.hir));
        Self {
            copies: nodes.iter().map(|node| node.copies).max().unwrap_or(1),
            height: nodes.iter().map(height).max().unwrap_or(1),
            size: nodes.iter().fold(0, |size, node| size.saturating_add(node.size)),
        }
    }

    fn join(self, hir: Hir, n_jumps: u64) -> Result<Node, Limit> {
        let level = match hir.kind() {
            HirKind::Concat(_) | HirKind::Alternation(_) => 1,
            HirKind::Empty
            | HirKind::Literal(_)
            | HirKind::Class(_)
            | HirKind::Look(_)
            | HirKind::Repetition(_)
            | HirKind::Capture(_) => 0,
        };
        let size = self.size.saturating_add(n_jumps).max(1);
        Node { hir, copies: self.copies, height: self.height + level, size }.within_limits()
    }
}

/// Turns neighbors that match one character each, such as `a|[bc]`, into one class.
///
/// `Hir::alternation` does the same when all branches are such, but adds them one by one to a set
/// that it sorts anew each time.
fn merge_classes(branches: impl Iterator<Item = Hir>) -> Vec<Hir> {
    let mut merged = Vec::new();
    let mut run: Vec<ClassUnicodeRange> = Vec::new();
    let mut last = None;
    for branch in branches {
        let Some(ranges) = one_char(&branch) else {
            flush(&mut merged, &mut run, last.take());
            merged.push(branch);
            continue;
        };
        run.extend_from_slice(&ranges);
        // A run of one branch keeps that branch as it is.
        last = if last.is_none() && run.len() == ranges.len() { Some(branch) } else { None };
    }
    flush(&mut merged, &mut run, last);
    merged
}

fn flush(merged: &mut Vec<Hir>, run: &mut Vec<ClassUnicodeRange>, only: Option<Hir>) {
    let ranges = core::mem::take(run);
    match only {
        Some(branch) => merged.push(branch),
        None if ranges.is_empty() => {}
        None => merged.push(Hir::class(Class::Unicode(ClassUnicode::new(ranges)))),
    }
}

/// The ranges of an `Hir` that matches exactly one character, whatever it is.
fn one_char(hir: &Hir) -> Option<Vec<ClassUnicodeRange>> {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.ranges().to_vec()),
        HirKind::Literal(Literal(bytes)) if bytes.len() <= 4 => {
            let mut chars = core::str::from_utf8(bytes).ok()?.chars();
            let c = chars.next()?;
            chars.next().is_none().then(|| [ClassUnicodeRange::new(c, c)].into())
        }
        HirKind::Literal(_)
        | HirKind::Class(Class::Bytes(_))
        | HirKind::Empty
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_)
        | HirKind::Concat(_)
        | HirKind::Alternation(_) => None,
    }
}
