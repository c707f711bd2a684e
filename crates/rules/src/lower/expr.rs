//! From a checked tree to the tree the evaluator walks.
//!
//! Names become numbers, constant patterns are compiled, and the shapes rules are made of get the
//! variants that run fast: equality of a field with a literal, membership in a list of literals, and
//! searches through data files, which become one automaton instead of a loop.

use crate::expr::ast::{
    Ast, BinaryOperator as Binary, Expr as Node, Kind, Literal, LogicOperator, OrderOperator,
    Pointer, UnaryOperator,
};
use crate::expr::check::{Checked, Meaning};
use crate::expr::objects::Root as Variable;
use engine::data::DataFiles;
use engine::expr::{Arith, Compare, Each, EachKind, Expr, Prop, Root, SetOp, TextOp};
use engine::function::{Function, Group};
use engine::pool::{Memo, Pool, Space, TextSet};
use re2::{Regex, RegexSet};
use std::sync::Arc;

/// Lowers a checked tree.
pub(super) fn lower(ast: &Ast, checked: &Checked, pool: &mut Pool, data: &DataFiles) -> Expr {
    Lower { checked, pool, data }.expr(&ast.root)
}

struct Lower<'a> {
    checked: &'a Checked,
    pool: &'a mut Pool,
    data: &'a DataFiles,
}

impl Lower<'_> {
    fn boxed(&mut self, node: &Node) -> Box<Expr> {
        Box::new(self.expr(node))
    }

    fn all(&mut self, nodes: &[Node]) -> Vec<Expr> {
        nodes.iter().map(|node| self.expr(node)).collect()
    }

    fn expr(&mut self, node: &Node) -> Expr {
        match &node.kind {
            Kind::Literal(literal) => self.literal(literal),
            Kind::Name(_) => self.name(node),
            // Only callees are forced builtins; the checker refused any other use.
            Kind::Builtin(_) => Expr::Nil,
            Kind::Environment => Expr::Root(Root::Env),
            Kind::Pointer(pointer) => {
                let Meaning::Closure(depth) = self.checked.meaning_of(node) else {
                    return Expr::Nil;
                };
                match pointer {
                    Pointer::Element => Expr::Element(depth),
                    Pointer::Index => Expr::ElementIndex(depth),
                    Pointer::Accumulator => Expr::ElementAcc(depth),
                }
            }
            Kind::Member { object, name, optional } => {
                if let Meaning::Root(root) = self.checked.meaning_of(node) {
                    return variable(root);
                }
                let of = self.expr(object);
                self.member(of, &name.text, *optional)
            }
            Kind::Index { object, index, optional } => {
                if let Meaning::Root(root) = self.checked.meaning_of(node) {
                    return variable(root);
                }
                let of = self.expr(object);
                match (&of, &index.kind) {
                    (Expr::Fields(_) | Expr::Prop(_), Kind::Literal(Literal::Str(name))) => {
                        self.member(of, name, *optional)
                    }
                    (Expr::Fields(space), _) => {
                        let space = *space;
                        Expr::FieldAt(space, self.boxed(index))
                    }
                    _ => {
                        let key = self.boxed(index);
                        Expr::Index { of: Box::new(of), key, optional: *optional }
                    }
                }
            }
            Kind::Slice { object, from, to } => Expr::Slice {
                of: self.boxed(object),
                from: from.as_ref().map(|bound| self.boxed(bound)),
                to: to.as_ref().map(|bound| self.boxed(bound)),
            },
            Kind::Chain(inner) => Expr::Chain(self.boxed(inner)),
            Kind::Unary { operator, operand } => {
                let inner = self.boxed(operand);
                match operator {
                    UnaryOperator::Not => Expr::Not(inner),
                    UnaryOperator::Negate => match *inner {
                        Expr::Int(value) => Expr::Int(value.wrapping_neg()),
                        Expr::Float(value) => Expr::Float(-value),
                        inner => Expr::Neg(Box::new(inner)),
                    },
                    UnaryOperator::Plus => Expr::Plus(inner),
                }
            }
            Kind::Binary { operator, left, right, .. } => self.binary(*operator, left, right),
            Kind::Logic { operator, operands } => {
                let operands = self.all(operands);
                balanced(operands, &|left, right| match operator {
                    LogicOperator::And => Expr::And(Box::new(left), Box::new(right)),
                    LogicOperator::Or => Expr::Or(Box::new(left), Box::new(right)),
                })
            }
            Kind::Comparison { first, rest } => {
                let mut left = self.expr(first);
                let mut whole: Option<Expr> = None;
                for (operator, operand) in rest {
                    let right = self.expr(operand);
                    let one =
                        Expr::Compare(order(*operator), Box::new(left), Box::new(right.clone()));
                    left = right;
                    whole = Some(match whole {
                        None => one,
                        Some(whole) => Expr::And(Box::new(whole), Box::new(one)),
                    });
                }
                whole.unwrap_or(Expr::Nil)
            }
            Kind::Conditional { condition, then, otherwise } => {
                Expr::Cond(self.boxed(condition), self.boxed(then), self.boxed(otherwise))
            }
            // The value is a boolean, so where it holds it is true.
            Kind::Elvis { value, otherwise } => {
                let value = self.boxed(value);
                Expr::Cond(value, Box::new(Expr::Bool(true)), self.boxed(otherwise))
            }
            Kind::Call { callee, arguments } => self.call(node, callee, arguments),
            Kind::Closure(body) => self.expr(body),
            Kind::Let { value, body, .. } => {
                let local = match self.checked.meaning_of(node) {
                    Meaning::Variable(local) => local,
                    _ => 0,
                };
                Expr::Let { local, value: self.boxed(value), body: self.boxed(body) }
            }
            Kind::Sequence(parts) => {
                let parts = self.all(parts);
                balanced(parts, &|first, then| Expr::Seq(Box::new(first), Box::new(then)))
            }
            Kind::Array(items) => Expr::List(self.all(items)),
            Kind::Map(pairs) => Expr::Map(
                pairs.iter().map(|(key, value)| (self.expr(key), self.expr(value))).collect(),
            ),
        }
    }

    fn literal(&mut self, literal: &Literal) -> Expr {
        match literal {
            Literal::Nil => Expr::Nil,
            Literal::Bool(value) => Expr::Bool(*value),
            Literal::Int(value) => Expr::Int(*value),
            Literal::Float(value) => Expr::Float(*value),
            Literal::Str(text) => Expr::Lit(self.pool.lit(text)),
            Literal::Bytes(bytes) => Expr::Bytes(Arc::from(bytes.as_slice())),
        }
    }

    fn name(&self, node: &Node) -> Expr {
        match self.checked.meaning_of(node) {
            Meaning::Root(root) => variable(root),
            Meaning::Variable(local) => Expr::Local(local),
            _ => Expr::Nil,
        }
    }

    /// `of.name`, where parts of the current event become numbers.
    fn member(&mut self, of: Expr, name: &str, optional: bool) -> Expr {
        match of {
            Expr::Fields(space) => Expr::Field(self.pool.field(space, name)),
            Expr::Prop(Prop::Event) => match name {
                "Parsed" => Expr::Fields(Space::Parsed),
                "Meta" => Expr::Fields(Space::Meta),
                "Enriched" => Expr::Fields(Space::Enriched),
                "Line" => Expr::Prop(Prop::Line),
                "Type" => Expr::Prop(Prop::Type),
                "ExpectMode" => Expr::Prop(Prop::ExpectMode),
                "Whitelisted" => Expr::Prop(Prop::Whitelisted),
                "Process" => Expr::Prop(Prop::Process),
                "Time" => Expr::Prop(Prop::Time),
                "Unmarshaled" => Expr::Prop(Prop::Unmarshaled),
                "Overflow" => Expr::Prop(Prop::Overflow),
                "Appsec" => Expr::Prop(Prop::Appsec),
                _ => Expr::Field(self.pool.field(Space::Event, name)),
            },
            Expr::Prop(Prop::Line) => match name {
                "Labels" => Expr::Fields(Space::Label),
                "Time" => Expr::Prop(Prop::LineTime),
                "Process" => Expr::Prop(Prop::LineProcess),
                _ => Expr::Field(self.pool.field(Space::Event, &format!("Line.{name}"))),
            },
            of => Expr::Member { of: Box::new(of), name: self.pool.lit(name), optional },
        }
    }

    fn binary(&mut self, operator: Binary, left: &Node, right: &Node) -> Expr {
        match operator {
            Binary::Equal => self.equal(left, right),
            Binary::NotEqual => Expr::Not(Box::new(self.equal(left, right))),
            Binary::Order(operator) => {
                Expr::Compare(order(operator), self.boxed(left), self.boxed(right))
            }
            Binary::In => self.is_in(left, right),
            Binary::Matches => {
                let text = self.boxed(left);
                match self.expr(right) {
                    Expr::Lit(pattern) => match Regex::new(self.pool.lit_text(pattern)) {
                        Ok(regex) => Expr::Matches(text, self.pool.add_regex(regex)),
                        // The checker refused it already, or it is too large: fails when it runs.
                        Err(_) => Expr::MatchesComputed(text, Box::new(Expr::Lit(pattern))),
                    },
                    pattern => Expr::MatchesComputed(text, Box::new(pattern)),
                }
            }
            Binary::Contains => Expr::Text(TextOp::Contains, self.boxed(left), self.boxed(right)),
            Binary::StartsWith => {
                Expr::Text(TextOp::StartsWith, self.boxed(left), self.boxed(right))
            }
            Binary::EndsWith => Expr::Text(TextOp::EndsWith, self.boxed(left), self.boxed(right)),
            Binary::Range => Expr::Range(self.boxed(left), self.boxed(right)),
            Binary::Add => self.arith(Arith::Add, left, right),
            Binary::Subtract => self.arith(Arith::Sub, left, right),
            Binary::Multiply => self.arith(Arith::Mul, left, right),
            Binary::Divide => self.arith(Arith::Div, left, right),
            Binary::Modulo => self.arith(Arith::Rem, left, right),
            Binary::Power => self.arith(Arith::Pow, left, right),
            Binary::Coalesce => Expr::Coalesce(self.boxed(left), self.boxed(right)),
        }
    }

    fn arith(&mut self, operator: Arith, left: &Node, right: &Node) -> Expr {
        Expr::Arith(operator, self.boxed(left), self.boxed(right))
    }

    fn equal(&mut self, left: &Node, right: &Node) -> Expr {
        match (self.expr(left), self.expr(right)) {
            (Expr::Field(field), Expr::Lit(lit)) | (Expr::Lit(lit), Expr::Field(field)) => {
                Expr::FieldEq(field, lit)
            }
            (left, right) => Expr::Compare(Compare::Eq, Box::new(left), Box::new(right)),
        }
    }

    fn is_in(&mut self, needle: &Node, haystack: &Node) -> Expr {
        let needle = self.expr(needle);
        match (needle, self.expr(haystack)) {
            (Expr::Lit(key), Expr::Fields(space)) => {
                let key = String::from(self.pool.lit_text(key));
                Expr::HasField(self.pool.field(space, &key))
            }
            (key, Expr::Fields(space)) => Expr::HasFieldAt(space, Box::new(key)),
            (needle, Expr::List(items)) => {
                let lits: Option<Vec<_>> = items
                    .iter()
                    .map(|item| match item {
                        Expr::Lit(lit) => Some(*lit),
                        _ => None,
                    })
                    .collect();
                match (needle, lits) {
                    (Expr::Field(field), Some(lits)) => Expr::FieldIn(field, lits.into()),
                    (needle, Some(mut lits)) => {
                        lits.sort_by(|a, b| self.pool.lit_text(*a).cmp(self.pool.lit_text(*b)));
                        Expr::InLits(Box::new(needle), lits.into())
                    }
                    (needle, None) => Expr::In(Box::new(needle), Box::new(Expr::List(items))),
                }
            }
            (needle, haystack) => Expr::In(Box::new(needle), Box::new(haystack)),
        }
    }

    fn call(&mut self, node: &Node, callee: &Node, arguments: &[Node]) -> Expr {
        match self.checked.meaning_of(node) {
            Meaning::Function(function) if function.group() == Group::Predicate => {
                self.each(function, arguments)
            }
            Meaning::Function(function) => {
                let arguments = self.all(arguments);
                self.function(function, arguments)
            }
            Meaning::Method(method) => {
                let Kind::Member { object, optional, .. } = &callee.kind else { return Expr::Nil };
                let of = self.boxed(object);
                Expr::Method { of, method, args: self.all(arguments), optional: *optional }
            }
            // A method nobody has: reading it as a field fails when it runs, as it should.
            _ => self.expr(callee),
        }
    }

    fn function(&mut self, function: Function, arguments: Vec<Expr>) -> Expr {
        match (function, arguments.as_slice()) {
            // Texts that are known now are changed now.
            (_, [Expr::Lit(lit)]) if changes_text(function) => {
                let text = change_text(function, self.pool.lit_text(*lit));
                Expr::Lit(self.pool.lit(&text))
            }
            // Many rules derive the same text from the same field.
            (_, [Expr::Field(field)]) if changes_text(function) => {
                let memo = Memo { field: *field, functions: vec![function] };
                self.memo(memo, function, arguments)
            }
            (_, [Expr::Memo(inner)]) if changes_text(function) => {
                let mut memo = self.pool.memo_of(*inner).clone();
                memo.functions.push(function);
                self.memo(memo, function, arguments)
            }
            (Function::RegexpInFile, [_, Expr::Lit(name)]) => {
                let known = self.data.regex(self.pool.lit_text(*name));
                match (known, arguments.into_iter().next()) {
                    (Some((file, _)), Some(text)) => Expr::RegexpInFile(Box::new(text), file),
                    // Without the file nothing matches; what loads files has said so.
                    _ => Expr::Bool(false),
                }
            }
            _ => Expr::Call(function, arguments),
        }
    }

    fn memo(&mut self, memo: Memo, function: Function, arguments: Vec<Expr>) -> Expr {
        self.pool.memo(memo).map_or_else(|| Expr::Call(function, arguments), Expr::Memo)
    }

    fn each(&mut self, function: Function, arguments: &[Node]) -> Expr {
        let kind = match function {
            Function::All => EachKind::All,
            Function::None => EachKind::None,
            Function::Any => EachKind::Any,
            Function::One => EachKind::One,
            Function::Filter => EachKind::Filter,
            Function::Map => EachKind::Map,
            Function::Count => EachKind::Count,
            Function::Sum => EachKind::Sum,
            Function::Find => EachKind::Find,
            Function::FindIndex => EachKind::FindIndex,
            Function::FindLast => EachKind::FindLast,
            Function::FindLastIndex => EachKind::FindLastIndex,
            Function::GroupBy => EachKind::GroupBy,
            Function::SortBy => EachKind::SortBy,
            _ => EachKind::Reduce,
        };
        let Some(list) = arguments.first() else { return Expr::Nil };
        let list = self.expr(list);
        let closure = arguments.iter().find(|argument| matches!(argument.kind, Kind::Closure(_)));
        let depth = closure.map_or(0, |closure| match self.checked.meaning_of(closure) {
            Meaning::Closure(depth) => depth,
            _ => 0,
        });
        let body = closure.map(|closure| self.expr(closure));
        let extra = arguments
            .iter()
            .skip(1)
            .find(|argument| !matches!(argument.kind, Kind::Closure(_)))
            .map(|argument| self.expr(argument));
        if kind == EachKind::Any
            && let Some(fused) = self.search(&list, body.as_ref(), depth)
        {
            return fused;
        }
        Expr::Each(Box::new(Each { kind, list, body, extra, depth }))
    }

    /// `any(File('f'), { x contains # })` and its like as one automaton or one look-up, where x is
    /// the same for all lines. Of a line, `Upper(#)` and the like may be taken.
    fn search(&mut self, list: &Expr, body: Option<&Expr>, depth: u16) -> Option<Expr> {
        let Expr::Call(Function::File, arguments) = list else { return None };
        let [Expr::Lit(name)] = arguments.as_slice() else { return None };
        let file = self.data.list(self.pool.lit_text(*name))?;
        let mut body = body?;
        // Files have no empty lines, so asking for the length asks nothing.
        while let Expr::And(first, rest) = body
            && is_not_empty(first, depth)
        {
            body = rest;
        }
        let (text, line) = match body {
            Expr::Text(_, text, line) | Expr::MatchesComputed(text, line) => (text, line),
            Expr::Compare(Compare::Eq, left, right) => {
                if mentions(left, depth) {
                    (right, left)
                } else {
                    (left, right)
                }
            }
            _ => return None,
        };
        let functions = changes_of_element(line, depth)?;
        if mentions(text, depth) {
            return None;
        }
        let lines: Vec<String> = file
            .texts
            .iter()
            .map(|line| {
                functions
                    .iter()
                    .fold(line.to_string(), |text, function| change_text(*function, &text))
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let text = text.clone();
        let set = |pool: &mut Pool| pool.add_text_set(TextSet::new(&lines));
        Some(match body {
            Expr::Text(TextOp::Contains, ..) => {
                Expr::ContainsAny(text, self.pool.add_literal_set(&lines))
            }
            Expr::Text(TextOp::StartsWith, ..) => {
                Expr::InTextSet(SetOp::StartsWith, text, set(self.pool))
            }
            Expr::Text(TextOp::EndsWith, ..) => {
                Expr::InTextSet(SetOp::EndsWith, text, set(self.pool))
            }
            Expr::Compare(..) => Expr::InTextSet(SetOp::Equal, text, set(self.pool)),
            // A line that is no pattern fails when it is reached; only the loop does that.
            _ => Expr::MatchesAny(text, self.pool.add_regex_set(RegexSet::new(&lines).ok()?)),
        })
    }
}

/// Whether a function takes one text and gives one, and nothing else decides.
fn changes_text(function: Function) -> bool {
    matches!(
        function,
        Function::Upper
            | Function::UpperBuiltin
            | Function::Lower
            | Function::LowerBuiltin
            | Function::PathUnescape
            | Function::QueryUnescape
    )
}

fn change_text(function: Function, text: &str) -> String {
    use engine::builtins::{text as texts, url};
    match function {
        Function::Upper | Function::UpperBuiltin => texts::upper(text),
        Function::Lower | Function::LowerBuiltin => texts::lower(text),
        Function::PathUnescape => url::path_unescape(text).into_owned(),
        _ => url::query_unescape(text).into_owned(),
    }
}

/// The functions applied to the element of a closure, innermost first: none for `#` itself.
fn changes_of_element(expr: &Expr, depth: u16) -> Option<Vec<Function>> {
    match expr {
        Expr::Element(at) if *at == depth => Some(Vec::new()),
        Expr::Call(function, arguments) if changes_text(*function) => {
            let mut functions = changes_of_element(arguments.first()?, depth)?;
            functions.push(*function);
            Some(functions)
        }
        _ => None,
    }
}

/// Whether an expression is `len(#) > 0`.
fn is_not_empty(expr: &Expr, depth: u16) -> bool {
    let Expr::Compare(Compare::Gt, left, right) = expr else { return false };
    let (Expr::Call(Function::Len, arguments), Expr::Int(0)) = (&**left, &**right) else {
        return false;
    };
    matches!(arguments.as_slice(), [Expr::Element(at)] if *at == depth)
}

/// Joins a run of operands to a tree that is only as high as it must be: a run may be thousands long,
/// and the evaluator recurses.
fn balanced(mut operands: Vec<Expr>, join: &dyn Fn(Expr, Expr) -> Expr) -> Expr {
    if operands.len() <= 1 {
        return operands.pop().unwrap_or(Expr::Nil);
    }
    let right = operands.split_off(operands.len() / 2);
    join(balanced(operands, join), balanced(right, join))
}

/// Whether an expression depends on the element of a closure.
fn mentions(expr: &Expr, depth: u16) -> bool {
    let mut found = false;
    expr.walk(&mut |part| {
        found |= matches!(
            part,
            Expr::Element(at) | Expr::ElementIndex(at) | Expr::ElementAcc(at) if *at == depth
        );
    });
    found
}

fn variable(root: Variable) -> Expr {
    Expr::Root(match root {
        Variable::Event => return Expr::Prop(Prop::Event),
        Variable::Queue => Root::Queue,
        Variable::Leaky => Root::Leaky,
        Variable::Signal => Root::Signal,
        Variable::Alert => Root::Alert,
        Variable::Match => Root::Match,
        Variable::Request => Root::Req,
        Variable::Results => Root::Results,
    })
}

fn order(operator: OrderOperator) -> Compare {
    match operator {
        OrderOperator::Less => Compare::Lt,
        OrderOperator::LessOrEqual => Compare::Le,
        OrderOperator::Greater => Compare::Gt,
        OrderOperator::GreaterOrEqual => Compare::Ge,
    }
}
