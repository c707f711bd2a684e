//! The expression tree the evaluator walks.
//!
//! `rules` lowers checked source text to this. Fields are numbers, literals are numbers, constant
//! patterns are compiled, and the shapes that matter for speed have variants of their own
//! ([`Expr::FieldEq`], [`Expr::FieldIn`], [`Expr::ContainsAny`], [`Expr::RegexpInFile`]).
//!
//! A tree rather than byte code: it is correct by construction, so there is nothing to verify
//! before running it (I4), and for the short expressions rules are made of it is not slower.

use crate::data::RegexFileId;
use crate::function::{Function, Function as F, Method};
use crate::pool::{FieldId, LitId, LiteralSetId, MemoId, RegexId, RegexSetId, Space, TextSetId};
use alloc::{boxed::Box, sync::Arc, vec::Vec};

/// One expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// An integer literal
    Int(i64),
    /// A float literal
    Float(f64),
    /// A string literal
    Lit(LitId),
    /// A byte string literal
    Bytes(Arc<[u8]>),

    /// A text field: `evt.Meta.source_ip`; `""` when it is not set
    Field(FieldId),
    /// A text field by a computed key: `evt.Meta[x]`
    FieldAt(Space, Box<Self>),
    /// `'source_ip' in evt.Meta`
    HasField(FieldId),
    /// `x in evt.Meta`
    HasFieldAt(Space, Box<Self>),
    /// A whole map of text fields: `evt.Meta`
    Fields(Space),
    /// Something of the event that is not a text
    Prop(Prop),
    /// A variable of the environment besides `evt`
    Root(Root),
    /// A `let` variable, numbered from the outermost
    Local(u16),
    /// `#` of a closure, numbered from the outermost
    Element(u16),
    /// `#index` of a closure
    ElementIndex(u16),
    /// `#acc` of a closure
    ElementAcc(u16),

    /// `of.name`
    Member {
        /// The object or map
        of: Box<Self>,
        /// The field or key
        name: LitId,
        /// `?.`: nil leaves the whole [`Expr::Chain`]
        optional: bool,
    },
    /// `of[key]`
    Index {
        /// The list, map, object or string
        of: Box<Self>,
        /// Position or key
        key: Box<Self>,
        /// `?.[`
        optional: bool,
    },
    /// `of[from:to]`
    Slice {
        /// The list or string
        of: Box<Self>,
        /// First position, 0 when absent
        from: Option<Box<Self>>,
        /// Position after the last, the length when absent
        to: Option<Box<Self>>,
    },
    /// The end of an optional chain: a `?.` on nil inside makes this nil
    Chain(Box<Self>),

    /// `!x`
    Not(Box<Self>),
    /// `-x`
    Neg(Box<Self>),
    /// `+x`: nothing but the check that x is a number
    Plus(Box<Self>),
    /// Arithmetic and string concatenation
    Arith(Arith, Box<Self>, Box<Self>),
    /// `==`, `!=`, `<`, …
    Compare(Compare, Box<Self>, Box<Self>),
    /// `needle in haystack`
    In(Box<Self>, Box<Self>),
    /// `&&`
    And(Box<Self>, Box<Self>),
    /// `||`
    Or(Box<Self>, Box<Self>),
    /// `c ? a : b`
    Cond(Box<Self>, Box<Self>, Box<Self>),
    /// `a ?? b`
    Coalesce(Box<Self>, Box<Self>),
    /// `contains`, `startsWith`, `endsWith`
    Text(TextOp, Box<Self>, Box<Self>),
    /// `x matches 'constant'`
    Matches(Box<Self>, RegexId),
    /// `x matches computed`
    MatchesComputed(Box<Self>, Box<Self>),

    /// `evt.Meta.x == 'literal'`
    FieldEq(FieldId, LitId),
    /// `evt.Meta.x in ['a', 'b']`
    FieldIn(FieldId, Box<[LitId]>),
    /// `x in ['a', 'b']` for any text x: the literals, sorted by text
    InLits(Box<Self>, Box<[LitId]>),
    /// `Upper(evt.Meta.x)` and its like, computed at most once per line
    Memo(MemoId),
    /// `any(File('f'), { x contains # })`, as one automaton
    ContainsAny(Box<Self>, LiteralSetId),
    /// `any(File('f'), { x == # })`, and with `startsWith` and `endsWith`
    InTextSet(SetOp, Box<Self>, TextSetId),
    /// `any(File('f'), { x matches # })`
    MatchesAny(Box<Self>, RegexSetId),
    /// `RegexpInFile(x, 'f')`
    RegexpInFile(Box<Self>, RegexFileId),

    /// `[a, b]`
    List(Vec<Self>),
    /// `{a: b}`
    Map(Vec<(Self, Self)>),
    /// `a..b`
    Range(Box<Self>, Box<Self>),
    /// A builtin or helper function
    Call(Function, Vec<Self>),
    /// A method of an object
    Method {
        /// The object
        of: Box<Self>,
        /// The method
        method: Method,
        /// What it is called with
        args: Vec<Self>,
        /// `?.`
        optional: bool,
    },
    /// A builtin that runs an expression for each element
    Each(Box<Each>),
    /// `let v = value; body`
    Let {
        /// The variable's number
        local: u16,
        /// What it stands for
        value: Box<Self>,
        /// Where it may be used
        body: Box<Self>,
    },
    /// `a; b`
    Seq(Box<Self>, Box<Self>),
}

/// `any(list, { body })` and the other builtins with a closure.
#[derive(Clone, Debug)]
pub struct Each {
    /// Which builtin
    pub kind: EachKind,
    /// The list (or map, for `filter` and its kin over values)
    pub list: Expr,
    /// The closure; absent for `count(list)` and `sum(list)`
    pub body: Option<Expr>,
    /// `reduce`'s first accumulator, `sortBy`'s order
    pub extra: Option<Expr>,
    /// The closure's number, which [`Expr::Element`] refers to
    pub depth: u16,
}

/// The builtins that take a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum EachKind {
    All,
    None,
    Any,
    One,
    Filter,
    Map,
    Count,
    Sum,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    GroupBy,
    SortBy,
    Reduce,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
}

impl Arith {
    /// How the operator is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
            Self::Pow => "**",
        }
    }
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// How a text is looked up in a set of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOp {
    /// It is one of them.
    Equal,
    /// It begins with one of them.
    StartsWith,
    /// It ends with one of them.
    EndsWith,
}

/// Operators on two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum TextOp {
    Contains,
    StartsWith,
    EndsWith,
}

/// Parts of an event that are not text fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prop {
    /// `evt` itself
    Event,
    /// `evt.Type`
    Type,
    /// `evt.ExpectMode`
    ExpectMode,
    /// `evt.Whitelisted`
    Whitelisted,
    /// `evt.Process`
    Process,
    /// `evt.Time`
    Time,
    /// `evt.Line`
    Line,
    /// `evt.Line.Time`
    LineTime,
    /// `evt.Line.Process`
    LineProcess,
    /// `evt.Unmarshaled`
    Unmarshaled,
    /// `evt.Overflow`
    Overflow,
    /// `evt.Appsec`
    Appsec,
}

/// Variables of the environment besides `evt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `queue` in conditions
    Queue,
    /// `leaky` in conditions
    Leaky,
    /// `signal` in overflow filters
    Signal,
    /// `Alert` in profiles
    Alert,
    /// `results` in hub tests
    Results,
    /// `match` in alert contexts
    Match,
    /// `req` in alert contexts
    Req,
    /// `$env`
    Env,
}

impl Expr {
    /// Whether the value, where it is a list, is one that upstream types as a list of texts, which it
    /// treats unlike a list of anything that happens to hold texts (spec §2.7).
    #[must_use]
    pub fn gives_texts(&self) -> bool {
        match self {
            Self::Call(function, _) => matches!(
                function,
                F::Split
                    | F::SplitAfter
                    | F::SplitN
                    | F::SplitAfterN
                    | F::SplitBuiltin
                    | F::SplitAfterBuiltin
                    | F::Fields
                    | F::File
                    | F::LookupHost
                    | F::ExtractQueryParam
            ),
            Self::Method { method, .. } => {
                matches!(method, Method::GetSources | Method::ParseIpSources)
            }
            // A parameter of a query.
            Self::Member { of, .. } | Self::Index { of, .. } => {
                matches!(**of, Self::Call(F::ParseUri | F::ParseQuery, _))
            }
            Self::Chain(of) | Self::Let { body: of, .. } | Self::Seq(_, of) => of.gives_texts(),
            Self::Cond(_, then, otherwise) => then.gives_texts() || otherwise.gives_texts(),
            Self::Coalesce(left, right) => left.gives_texts() || right.gives_texts(),
            _ => false,
        }
    }

    /// Calls `visit` for this expression and everything inside it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Lit(_)
            | Self::Bytes(_)
            | Self::Field(_)
            | Self::HasField(_)
            | Self::Fields(_)
            | Self::Prop(_)
            | Self::Root(_)
            | Self::Local(_)
            | Self::Element(_)
            | Self::ElementIndex(_)
            | Self::ElementAcc(_)
            | Self::FieldEq(..)
            | Self::FieldIn(..)
            | Self::Memo(_) => {}
            Self::FieldAt(_, of)
            | Self::HasFieldAt(_, of)
            | Self::Member { of, .. }
            | Self::Chain(of)
            | Self::Not(of)
            | Self::Neg(of)
            | Self::Plus(of)
            | Self::Matches(of, _)
            | Self::InLits(of, _)
            | Self::ContainsAny(of, _)
            | Self::InTextSet(_, of, _)
            | Self::MatchesAny(of, _)
            | Self::RegexpInFile(of, _) => of.walk(visit),
            Self::Index { of: a, key: b, .. }
            | Self::Arith(_, a, b)
            | Self::Compare(_, a, b)
            | Self::In(a, b)
            | Self::And(a, b)
            | Self::Or(a, b)
            | Self::Coalesce(a, b)
            | Self::Text(_, a, b)
            | Self::MatchesComputed(a, b)
            | Self::Range(a, b)
            | Self::Let { value: a, body: b, .. }
            | Self::Seq(a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            Self::Cond(a, b, c) => {
                a.walk(visit);
                b.walk(visit);
                c.walk(visit);
            }
            Self::Slice { of, from, to } => {
                of.walk(visit);
                for bound in [from, to].into_iter().flatten() {
                    bound.walk(visit);
                }
            }
            Self::List(items) | Self::Call(_, items) => {
                for item in items {
                    item.walk(visit);
                }
            }
            Self::Map(pairs) => {
                for (key, value) in pairs {
                    key.walk(visit);
                    value.walk(visit);
                }
            }
            Self::Method { of, args, .. } => {
                of.walk(visit);
                for arg in args {
                    arg.walk(visit);
                }
            }
            Self::Each(each) => {
                each.list.walk(visit);
                for part in [&each.body, &each.extra].into_iter().flatten() {
                    part.walk(visit);
                }
            }
        }
    }
}
