//! What a condition cannot hold without: values, fields, literals.

use crate::expr::{Compare, Expr, TextOp};
use crate::function::{Function as F, Method as M};
use crate::pool::{FieldId, LitId, MemoId, Pool};
use alloc::{boxed::Box, vec::Vec};

/// A condition that tests more literals than this on one text is not indexed by them.
const MAX_LITERALS: usize = 4096;

/// A text that literals are searched in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TextKey {
    Field(FieldId),
    Memo(MemoId),
}

impl TextKey {
    fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Field(field) => Some(Self::Field(*field)),
            Expr::Memo(memo) => Some(Self::Memo(*memo)),
            _ => None,
        }
    }

    /// The field the text is, or is derived from. An empty field gives an empty text.
    pub(super) fn field(self, pool: &Pool) -> FieldId {
        match self {
            Self::Field(field) => field,
            Self::Memo(memo) => pool.memo_of(memo).field,
        }
    }
}

/// What a condition cannot hold without. Each part stands for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Fields that must have one of some values.
    pub(super) values: Vec<(FieldId, Vec<LitId>)>,
    /// Fields of which at least one must not be empty; empty: no such need.
    pub(super) present: Vec<FieldId>,
    /// Texts that must contain at least one of some literals.
    pub(super) literals: Vec<(TextKey, Vec<Box<str>>)>,
}

impl Needs {
    /// The needs of a condition; none if evaluating it does more than give a value, for then it must
    /// be evaluated whatever it will give (spec §13, trap 55).
    pub(super) fn of_filter(filter: Option<&Expr>, pool: &Pool) -> Self {
        match filter {
            Some(filter) if !has_effects(filter) => Self::of(filter, pool),
            _ => Self::default(),
        }
    }

    fn of(expr: &Expr, pool: &Pool) -> Self {
        match expr {
            Expr::FieldEq(field, lit) => Self {
                values: alloc::vec![(*field, alloc::vec![*lit])],
                present: if pool.lit_text(*lit).is_empty() {
                    Vec::new()
                } else {
                    alloc::vec![*field]
                },
                literals: Vec::new(),
            },
            Expr::FieldIn(field, lits) => {
                Self { values: alloc::vec![(*field, lits.to_vec())], ..Self::default() }
            }
            Expr::Text(TextOp::Contains | TextOp::StartsWith | TextOp::EndsWith, text, part)
            | Expr::Compare(Compare::Eq, text, part) => {
                let (text, lit) = match (&**text, &**part) {
                    (text, Expr::Lit(lit)) => (text, lit),
                    (Expr::Lit(lit), text) if matches!(expr, Expr::Compare(..)) => (text, lit),
                    _ => return Self::default(),
                };
                Self::of_literals(text, [pool.lit_text(*lit)].into_iter(), pool)
            }
            Expr::Matches(text, regex) => match pool.regex(*regex).required() {
                Some(literals) => {
                    Self::of_literals(text, literals.iter().map(|literal| &**literal), pool)
                }
                None => Self::default(),
            },
            Expr::ContainsAny(text, set) => {
                let literals = pool.literals_of(*set).iter().map(|literal| &**literal);
                Self::of_literals(text, literals, pool)
            }
            Expr::InTextSet(_, text, set) => {
                // In an order of their own, so that the index is the same every time (I2).
                let mut texts: Vec<&str> = pool.text_set(*set).texts().collect();
                texts.sort_unstable();
                Self::of_literals(text, texts.into_iter(), pool)
            }
            Expr::And(left, right) => Self::of(left, pool).and(Self::of(right, pool)),
            Expr::Or(left, right) => Self::of(left, pool).or(&Self::of(right, pool)),
            _ => Self::default(),
        }
    }

    /// A text must contain one of some literals.
    fn of_literals<'a>(text: &Expr, literals: impl Iterator<Item = &'a str>, pool: &Pool) -> Self {
        let Some(key) = TextKey::of(text) else { return Self::default() };
        Self::of_key(key, literals, pool)
    }

    /// [`Needs::of_literals`] for a text known by its key.
    pub(super) fn of_key<'a>(
        key: TextKey,
        literals: impl Iterator<Item = &'a str>,
        pool: &Pool,
    ) -> Self {
        let literals: Vec<Box<str>> = literals.map(Box::from).collect();
        if literals.iter().any(|literal| literal.is_empty()) || literals.len() > MAX_LITERALS {
            return Self::default();
        }
        Self {
            values: Vec::new(),
            present: alloc::vec![key.field(pool)],
            literals: alloc::vec![(key, literals)],
        }
    }

    /// Both must be met.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.values.extend(other.values);
        self.literals.extend(other.literals);
        if self.present.is_empty()
            || (!other.present.is_empty() && other.present.len() < self.present.len())
        {
            self.present = other.present;
        }
        self
    }

    /// One of the two must be met: what both need, in either way.
    fn or(self, other: &Self) -> Self {
        let values = self
            .values
            .into_iter()
            .filter_map(|(field, mut values)| {
                let (_, more) = other.values.iter().find(|(of, _)| *of == field)?;
                values.extend(more);
                Some((field, values))
            })
            .collect();
        let literals = self
            .literals
            .into_iter()
            .filter_map(|(key, mut literals)| {
                let (_, more) = other.literals.iter().find(|(of, _)| *of == key)?;
                literals.extend(more.iter().cloned());
                (literals.len() <= MAX_LITERALS).then_some((key, literals))
            })
            .collect();
        let mut present = Vec::new();
        if !self.present.is_empty() && !other.present.is_empty() {
            present = self.present;
            present.extend(&other.present);
            present.sort_unstable();
            present.dedup();
        }
        Self { values, present, literals }
    }
}

/// Whether evaluating an expression does more than give a value.
pub(super) fn has_effects(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| {
        if let Expr::Method { method: M::SetMeta | M::SetParsed, .. }
        | Expr::Call(
            F::UnmarshalJson | F::ParseKv | F::ParseKvLax | F::SetInStash | F::LogInfo,
            _,
        ) = part
        {
            found = true;
        }
    });
    found
}
