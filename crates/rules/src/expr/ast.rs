//! The syntax tree of an expression, as written.
//!
//! The tree says how the text reads, not what its names mean: whether `len(x)` is a function of the
//! language and which object `.Meta` belongs to is decided by [`super::check`], which leaves its
//! findings in a table indexed by [`NodeId`].
//!
//! INVARIANT: a tree made by the parser has at most [`super::parse::MAX_NODES`] nodes, whose ids are
//! unique and below [`Ast::n_nodes`], and is at most [`super::parse::MAX_DEPTH`] high, so that
//! recursion over it is safe.

use core::ops::Range;

/// A place in the text of an expression, in bytes.
pub type Span = Range<u32>;

/// The number of a node, unique within its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Returns the number as an index into a table with [`Ast::n_nodes`] rows.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A whole parsed expression.
#[derive(Clone, Debug)]
pub struct Ast {
    /// The outermost node.
    pub root: Expr,
    /// How many ids were given out.
    pub n_nodes: u32,
}

/// One node: what it is and where it was written.
#[derive(Clone, Debug)]
pub struct Expr {
    /// The node's number.
    pub id: NodeId,
    /// The node's text, without surrounding parentheses.
    pub span: Span,
    /// What the node is.
    pub kind: Kind,
}

/// A name and where it was written.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name itself.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `'text'`, `42`, `nil`, …
    Literal(Literal),
    /// `evt`, a `let` variable, or the callee of `Upper(x)`
    Name(String),
    /// The callee of `::len(x)`: a function of the language, whatever else bears the name
    Builtin(Name),
    /// `$env`: everything the environment offers, by name
    Environment,
    /// `#`, `#index`, `#acc`; `.Field` has the element as its object
    Pointer(Pointer),
    /// `object.name`, `object?.name`
    Member {
        /// What has the member.
        object: Box<Expr>,
        /// The member.
        name: Name,
        /// Written with `?.`: nil ends the whole [`Kind::Chain`].
        optional: bool,
    },
    /// `object[index]`, `object?.[index]`
    Index {
        /// What is indexed.
        object: Box<Expr>,
        /// The position or key.
        index: Box<Expr>,
        /// Written with `?.[`: nil ends the whole [`Kind::Chain`].
        optional: bool,
    },
    /// `object[from:to]`
    Slice {
        /// What is sliced.
        object: Box<Expr>,
        /// The first position; the start when absent.
        from: Option<Box<Expr>>,
        /// The position after the last; the end when absent.
        to: Option<Box<Expr>>,
    },
    /// Encloses a run of members, indexes and calls with at least one `?.`: where that meets nil,
    /// the whole run is nil
    Chain(Box<Expr>),
    /// `not x`, `-x`, `+x`
    Unary {
        /// The operator.
        operator: UnaryOperator,
        /// What it works on.
        operand: Box<Expr>,
    },
    /// `a operator b`
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// Where the operator was written, without the `not` of `not in`.
        operator_span: Span,
        /// Left of the operator.
        left: Box<Expr>,
        /// Right of the operator.
        right: Box<Expr>,
    },
    /// `a && b && c`: at least two operands, none of them a [`Kind::Logic`] with the same operator
    /// unless it was in parentheses
    Logic {
        /// The operator between all operands.
        operator: LogicOperator,
        /// The operands, in order.
        operands: Vec<Expr>,
    },
    /// `first < second <= third`: at least two comparisons, all of which must hold
    Comparison {
        /// The leftmost operand.
        first: Box<Expr>,
        /// Each further operand, after the operator that compares it with the one before.
        rest: Vec<(OrderOperator, Expr)>,
    },
    /// `condition ? then : otherwise`, `if condition { then } else { otherwise }`
    Conditional {
        /// What decides.
        condition: Box<Expr>,
        /// The value if it holds.
        then: Box<Expr>,
        /// The value if it does not.
        otherwise: Box<Expr>,
    },
    /// `value ?: otherwise`: the value itself if it is true
    Elvis {
        /// What decides, and the value if it holds.
        value: Box<Expr>,
        /// The value if it does not.
        otherwise: Box<Expr>,
    },
    /// `callee(arguments)`; a pipe's left side is the first argument
    Call {
        /// [`Kind::Name`], [`Kind::Builtin`] or, for a method, [`Kind::Member`]; anything else is
        /// refused by the checker.
        callee: Box<Expr>,
        /// The arguments, in order. A [`Kind::Closure`] occurs only here.
        arguments: Vec<Expr>,
    },
    /// The closure argument of `any`, `filter` and their like, with or without braces
    Closure(Box<Expr>),
    /// `let name = value; body`
    Let {
        /// The variable.
        name: Name,
        /// What it stands for.
        value: Box<Expr>,
        /// Where it may be used.
        body: Box<Expr>,
    },
    /// `a; b; c`: at least two expressions; the last one is the value
    Sequence(Vec<Expr>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{key: value}`; a bare key is a string literal
    Map(Vec<(Expr, Expr)>),
}

/// A value written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `42`, `0x2a`
    Int(i64),
    /// `4.2`, `1e3`
    Float(f64),
    /// `'text'`, `"text"`, or in backquotes, with escapes resolved
    Str(String),
    /// `b"bytes"`, with escapes resolved
    Bytes(Vec<u8>),
}

/// Something the innermost closure is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// `#`: the current element
    Element,
    /// `#index`: its position
    Index,
    /// `#acc`: what `reduce` has so far
    Accumulator,
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `!`, `not`; `a not in b` is `not (a in b)`
    Not,
    /// `-`
    Negate,
    /// `+`
    Plus,
}

impl UnaryOperator {
    /// Returns the operator as written; `!` for both spellings of not.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Negate => "-",
            Self::Plus => "+",
        }
    }
}

/// An operator that compares by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderOperator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl OrderOperator {
    /// Returns the operator as written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// An operator between any number of booleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicOperator {
    /// `&&`, `and`
    And,
    /// `||`, `or`
    Or,
}

impl LogicOperator {
    /// Returns the operator as written, in the spelling with signs.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
        }
    }
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`, `<=`, `>`, `>=`, used once
    Order(OrderOperator),
    /// `in`
    In,
    /// `matches`
    Matches,
    /// `contains`
    Contains,
    /// `startsWith`
    StartsWith,
    /// `endsWith`
    EndsWith,
    /// `..`
    Range,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `**`, `^`
    Power,
    /// `??`
    Coalesce,
}

impl BinaryOperator {
    /// Returns the operator as written; `**` for both spellings of power.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Order(order) => order.text(),
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }

    /// Returns how tightly the operator binds; higher is tighter.
    #[must_use]
    pub const fn precedence(self) -> u16 {
        match self {
            Self::Equal
            | Self::NotEqual
            | Self::Order(_)
            | Self::In
            | Self::Matches
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith => 20,
            Self::Range => 25,
            Self::Add | Self::Subtract => 30,
            Self::Multiply | Self::Divide | Self::Modulo => 60,
            Self::Power => 100,
            Self::Coalesce => 500,
        }
    }

    /// Tells whether `a op b op c` reads as `a op (b op c)`.
    #[must_use]
    pub const fn is_right_associative(self) -> bool {
        matches!(self, Self::Power)
    }

    /// Tells whether the operator may follow `not`, as in `not in`.
    #[must_use]
    pub const fn may_follow_not(self) -> bool {
        matches!(
            self,
            Self::In | Self::Matches | Self::Contains | Self::StartsWith | Self::EndsWith
        )
    }
}

impl LogicOperator {
    /// Returns how tightly the operator binds; higher is tighter.
    #[must_use]
    pub const fn precedence(self) -> u16 {
        match self {
            Self::Or => 10,
            Self::And => 15,
        }
    }
}

impl UnaryOperator {
    /// Returns how tightly the operator binds; higher is tighter.
    #[must_use]
    pub const fn precedence(self) -> u16 {
        match self {
            Self::Not => 50,
            Self::Negate | Self::Plus => 90,
        }
    }
}

impl Expr {
    /// Calls `visit` with each direct child, in the order of the text; a method's receiver counts
    /// as a child of its callee.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        match &self.kind {
            Kind::Literal(_)
            | Kind::Name(_)
            | Kind::Builtin(_)
            | Kind::Environment
            | Kind::Pointer(_) => {}
            Kind::Member { object: child, .. }
            | Kind::Chain(child)
            | Kind::Closure(child)
            | Kind::Unary { operand: child, .. } => visit(child),
            Kind::Index { object, index, .. } => {
                visit(object);
                visit(index);
            }
            Kind::Slice { object, from, to } => {
                visit(object);
                from.iter().chain(to).for_each(|bound| visit(bound));
            }
            Kind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Kind::Elvis { value, otherwise } => {
                visit(value);
                visit(otherwise);
            }
            Kind::Let { value, body, .. } => {
                visit(value);
                visit(body);
            }
            Kind::Conditional { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Kind::Comparison { first, rest } => {
                visit(first);
                rest.iter().for_each(|(_, operand)| visit(operand));
            }
            Kind::Call { callee, arguments } => {
                visit(callee);
                arguments.iter().for_each(visit);
            }
            Kind::Logic { operands: children, .. }
            | Kind::Sequence(children)
            | Kind::Array(children) => {
                children.iter().for_each(visit);
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
        }
    }
}
