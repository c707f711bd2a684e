//! Reads the tokens of an expression into a tree.
//!
//! A Pratt parser: `expression` reads operators that bind at least as tightly as it is
//! told to. The first mistake ends the reading, since what follows it is guesswork. Reading order:
//! this file for operators, `operands` for what stands between them, `messages` for mistakes.
//!
//! INVARIANT: no tree has more than [`MAX_NODES`] nodes or is higher than [`MAX_DEPTH`], and the
//! parser itself recurses no deeper, whatever the text.

mod messages;
mod operands;

use super::ast::{
    Ast, BinaryOperator, Expr, Kind, LogicOperator, Name, NodeId, OrderOperator, Span,
    UnaryOperator,
};
use super::lex::{Token, TokenKind, lex};
use super::{ExprError, codes};
use messages::too_deep;

/// The most nodes an expression may have; COMPAT(crowdsec): its own limit.
pub const MAX_NODES: u32 = 10_000;

/// The most levels an expression may nest. Long runs of `&&`, `||` and `;` are one level.
pub const MAX_DEPTH: u16 = 200;

/// Words that cannot name a variable.
const KEYWORDS: &[&str] = &[
    "and",
    "contains",
    "else",
    "endsWith",
    "false",
    "if",
    "in",
    "let",
    "matches",
    "nil",
    "not",
    "or",
    "startsWith",
    "true",
];

/// What `expression` is told when any operator may follow.
const LOOSEST: u16 = 0;

/// Reads `text` as one expression.
///
/// ```
/// let ast = rules::expr::parse::parse("evt.Meta.service == 'ssh'")?;
/// assert_eq!(ast.root.to_string(), "evt.Meta.service == \"ssh\"");
/// # Ok::<(), Box<rules::expr::ExprError>>(())
/// ```
///
/// # Errors
///
/// The first mistake in the text.
pub fn parse(text: &str) -> Result<Ast, Box<ExprError>> {
    let lexed = lex(text);
    let mut parser =
        Parser { text, tokens: &lexed.tokens, at: 0, heights: Vec::new(), depth: 0, n_closures: 0 };
    let result = parser.whole();
    match (result, lexed.error) {
        // The parser met the end of the tokens, but that is not where the text ends.
        (_, Some(error)) if parser.is_at_end() => Err(error),
        (Ok(root), _) => Ok(Ast { root, n_nodes: parser.n_nodes() }),
        (Err(error), _) => Err(error),
    }
}

/// Errors are boxed while they travel: results are large and the recursion is deep.
type Parsed<T> = Result<T, Box<ExprError>>;

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    /// The height of each node made so far, by its id.
    heights: Vec<u16>,
    depth: u16,
    /// How many closures enclose the current token.
    n_closures: u16,
}

/// An operator between operands, as the parser tells them apart.
enum Infix {
    Pipe,
    Logic(LogicOperator),
    Binary(BinaryOperator),
}

impl Infix {
    fn precedence(&self) -> u16 {
        match self {
            Self::Pipe => LOOSEST,
            Self::Logic(operator) => operator.precedence(),
            Self::Binary(operator) => operator.precedence(),
        }
    }
}

/// Brackets, and how their mates are named in messages.
#[derive(Clone, Copy)]
struct Brackets {
    opening: &'static str,
    closing: &'static str,
}

const PARENTHESES: Brackets = Brackets { opening: "(", closing: ")" };
const SQUARE: Brackets = Brackets { opening: "[", closing: "]" };
const BRACES: Brackets = Brackets { opening: "{", closing: "}" };

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Parsed<Expr> {
        if self.is_at_end() {
            return fail(codes::EMPTY, self.span(), "the expression is empty");
        }
        let root = self.sequence()?;
        if self.is_at_end() {
            return Ok(root);
        }
        Err(self.unexpected_after(&root))
    }

    // Tokens.

    fn token(&self) -> &'a Token {
        // The last token is an `End`, which `advance` does not pass.
        self.tokens.get(self.at).unwrap_or(&self.tokens[self.tokens.len() - 1])
    }

    fn peek(&self) -> &'a Token {
        self.tokens.get(self.at + 1).unwrap_or(&self.tokens[self.tokens.len() - 1])
    }

    fn span(&self) -> Span {
        self.token().span.clone()
    }

    fn advance(&mut self) -> &'a Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    fn is_at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    fn at_sign(&self, sign: &str) -> bool {
        matches!(self.token().kind, TokenKind::Sign(here) if here == sign)
    }

    fn at_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    fn word(&self) -> Option<&'a str> {
        self.word_of(self.token())
    }

    fn word_of(&self, token: &Token) -> Option<&'a str> {
        (token.kind == TokenKind::Word).then(|| self.written(&token.span))
    }

    fn written(&self, span: &Span) -> &'a str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn skip_sign(&mut self, sign: &str) -> bool {
        let is_there = self.at_sign(sign);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn expect_sign(&mut self, sign: &str, place: &str) -> Parsed<()> {
        if self.skip_sign(sign) {
            return Ok(());
        }
        Err(self.expected(&format!("`{sign}` {place}")))
    }

    /// Moves past the bracket that closes the one at `opening`; returns where it ends.
    fn close(&mut self, brackets: Brackets, opening: &Span) -> Parsed<u32> {
        if self.at_sign(brackets.closing) {
            return Ok(self.advance().span.end);
        }
        let Brackets { opening: mate, closing } = brackets;
        let mut error = ExprError::new(
            codes::NOT_CLOSED,
            self.span(),
            format!("expected `{closing}`, found {}", self.found()),
        )
        .see(opening.clone(), format!("to close this `{mate}`"));
        if let Some((help, span, with)) = self.slip() {
            error = error.help(help).replace(span, with);
        } else if mate == "(" && self.at_sign(",") {
            error = error.help("a list is written in square brackets: `[a, b]`");
        }
        Err(Box::new(error))
    }

    // Nodes.

    fn n_nodes(&self) -> u32 {
        u32::try_from(self.heights.len()).unwrap_or(u32::MAX)
    }

    /// Makes a node, unless the tree would be too big with it.
    fn node(&mut self, span: Span, kind: Kind) -> Parsed<Expr> {
        let id = NodeId(self.n_nodes());
        if id.0 >= MAX_NODES {
            return fail(
                codes::TOO_BIG,
                span,
                format!("the expression has more than {MAX_NODES} parts"),
            );
        }
        let node = Expr { id, span, kind };
        let mut tallest = 0;
        node.for_each_child(&mut |child| tallest = tallest.max(self.heights[child.id.index()]));
        if tallest >= MAX_DEPTH {
            return Err(too_deep(node.span));
        }
        self.heights.push(tallest + 1);
        Ok(node)
    }

    fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.span()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    // Expressions, from the loosest to the tightest.

    fn sequence(&mut self) -> Parsed<Expr> {
        let first = self.expression(LOOSEST)?;
        if !self.at_sign(";") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(";") {
            if self.is_at_end() || self.at_sign(")") || self.at_sign("}") {
                break;
            }
            items.push(self.expression(LOOSEST)?);
        }
        if items.len() == 1 {
            return Ok(items.remove(0));
        }
        let span = items[0].span.start..items[items.len() - 1].span.end;
        self.node(span, Kind::Sequence(items))
    }

    /// Reads operands and the operators between them that bind at least as tightly as `at_least`.
    fn expression(&mut self, at_least: u16) -> Parsed<Expr> {
        self.nest(|parser| {
            if at_least == LOOSEST && parser.at_word("let") {
                return parser.variable();
            }
            if at_least == LOOSEST && parser.at_word("if") {
                return parser.if_else();
            }
            let operand = parser.operand()?;
            let value = parser.operators(operand, at_least)?;
            if at_least == LOOSEST && parser.at_sign("?") {
                return parser.conditional(value);
            }
            Ok(value)
        })
    }

    fn operators(&mut self, mut left: Expr, at_least: u16) -> Parsed<Expr> {
        let mut follows_coalesce = false;
        // Whether `left` is a run of logic that the same operator continues.
        let mut is_run = false;
        loop {
            let negation = self.at_word("not").then(|| self.span());
            let operator_token = if negation.is_some() { self.peek() } else { self.token() };
            let Some(infix) = self.infix(operator_token) else {
                if negation.is_some() {
                    return Err(self.bad_negation(operator_token));
                }
                return Ok(left);
            };
            if negation.is_some()
                && !matches!(infix, Infix::Binary(operator) if operator.may_follow_not())
            {
                return Err(self.bad_negation(operator_token));
            }
            if infix.precedence() < at_least {
                return Ok(left);
            }
            let operator_span = operator_token.span.clone();
            let is_mixed = match infix {
                Infix::Pipe => false,
                Infix::Logic(_) => true,
                Infix::Binary(operator) => operator != BinaryOperator::Coalesce,
            };
            if follows_coalesce && is_mixed {
                let written = self.written(&operator_span);
                let message = format!("`{written}` cannot follow `??` without parentheses");
                let error = ExprError::new(codes::COALESCE_MIXED, operator_span, message)
                    .help("put the `??` and its operands in parentheses");
                return Err(Box::new(error));
            }
            if negation.is_some() {
                self.advance();
            }
            self.advance();
            follows_coalesce = false;
            match infix {
                Infix::Pipe => left = self.pipe(left)?,
                Infix::Logic(operator) => {
                    left = self.logic(left, operator, is_run)?;
                    is_run = true;
                    continue;
                }
                Infix::Binary(BinaryOperator::Order(order)) => {
                    left = self.comparison(left, order, operator_span)?;
                }
                Infix::Binary(operator) => {
                    follows_coalesce = operator == BinaryOperator::Coalesce;
                    let tighter = u16::from(!operator.is_right_associative());
                    let right = self.expression(operator.precedence() + tighter)?;
                    let span = left.span.start..right.span.end;
                    let (left_box, right) = (Box::new(left), Box::new(right));
                    let kind = Kind::Binary { operator, operator_span, left: left_box, right };
                    left = self.node(span.clone(), kind)?;
                    if negation.is_some() {
                        let operand = Box::new(left);
                        left =
                            self.node(span, Kind::Unary { operator: UnaryOperator::Not, operand })?;
                    }
                }
            }
            is_run = false;
        }
    }

    fn infix(&self, token: &Token) -> Option<Infix> {
        use BinaryOperator as Op;
        let binary = match token.kind {
            TokenKind::Sign(sign) => match sign {
                "|" => return Some(Infix::Pipe),
                "&&" => return Some(Infix::Logic(LogicOperator::And)),
                "||" => return Some(Infix::Logic(LogicOperator::Or)),
                "==" => Op::Equal,
                "!=" => Op::NotEqual,
                ".." => Op::Range,
                "+" => Op::Add,
                "-" => Op::Subtract,
                "*" => Op::Multiply,
                "/" => Op::Divide,
                "%" => Op::Modulo,
                "**" | "^" => Op::Power,
                "??" => Op::Coalesce,
                _ => Op::Order(order_operator(sign)?),
            },
            TokenKind::Word => match self.written(&token.span) {
                "and" => return Some(Infix::Logic(LogicOperator::And)),
                "or" => return Some(Infix::Logic(LogicOperator::Or)),
                "in" => Op::In,
                "matches" => Op::Matches,
                "contains" => Op::Contains,
                "startsWith" => Op::StartsWith,
                "endsWith" => Op::EndsWith,
                _ => return None,
            },
            TokenKind::Int(_)
            | TokenKind::Float(_)
            | TokenKind::Str(_)
            | TokenKind::Bytes(_)
            | TokenKind::End => return None,
        };
        Some(Infix::Binary(binary))
    }

    fn logic(&mut self, left: Expr, operator: LogicOperator, is_run: bool) -> Parsed<Expr> {
        let right = self.expression(operator.precedence() + 1)?;
        let span = left.span.start..right.span.end;
        match left.kind {
            // The run keeps its id: only its last operand is new.
            Kind::Logic { operator: before, mut operands } if is_run && before == operator => {
                let height = self.heights[right.id.index()] + 1;
                if height > MAX_DEPTH {
                    return Err(too_deep(span));
                }
                let own = &mut self.heights[left.id.index()];
                *own = height.max(*own);
                operands.push(right);
                Ok(Expr { id: left.id, span, kind: Kind::Logic { operator, operands } })
            }
            _ => self.node(span, Kind::Logic { operator, operands: vec![left, right] }),
        }
    }

    /// Reads the right side of a comparison, and every comparison that goes on from there.
    fn comparison(
        &mut self,
        left: Expr,
        order: OrderOperator,
        operator_span: Span,
    ) -> Parsed<Expr> {
        let tighter = BinaryOperator::Order(order).precedence() + 1;
        let right = self.expression(tighter)?;
        let mut rest = vec![(order, right)];
        while let TokenKind::Sign(sign) = self.token().kind {
            let Some(order) = order_operator(sign) else { break };
            self.advance();
            rest.push((order, self.expression(tighter)?));
        }
        let span = left.span.start..rest.last().map_or(left.span.end, |(_, last)| last.span.end);
        let first = Box::new(left);
        if rest.len() > 1 {
            return self.node(span, Kind::Comparison { first, rest });
        }
        let Some((_, right)) = rest.pop() else { return Ok(*first) };
        let operator = BinaryOperator::Order(order);
        self.node(
            span,
            Kind::Binary { operator, operator_span, left: first, right: Box::new(right) },
        )
    }

    /// Reads what follows a `|`: a call whose first argument is `left`.
    fn pipe(&mut self, left: Expr) -> Parsed<Expr> {
        let start = left.span.start;
        let mut callee = if self.at_sign("::") {
            self.builtin_name()?
        } else if let Some(name) = self.free_word() {
            let span = self.advance().span.clone();
            self.node(span, name_kind(name))?
        } else {
            return Err(self.expected("a function after `|`"));
        };
        while self.skip_sign(".") {
            callee = self.member(callee, false)?;
        }
        if !self.at_sign("(") {
            let error =
                ExprError::new(codes::UNEXPECTED, callee.span, "`|` needs a call on its right")
                    .help("write the function with parentheses: `x | upper()`");
            return Err(Box::new(error));
        }
        let call = self.call(callee, start, vec![left])?;
        self.postfix(call)
    }

    fn variable(&mut self) -> Parsed<Expr> {
        let start = self.advance().span.start;
        let Some(text) = self.free_word() else {
            return Err(self.expected("the name of a variable after `let`"));
        };
        let name = Name { text: text.to_owned(), span: self.advance().span.clone() };
        self.expect_sign("=", "after the variable's name")?;
        let value = self.expression(LOOSEST)?;
        if !self.skip_sign(";") {
            let error = self.expected("`;` after the variable's value");
            return Err(Box::new(
                error.help("a `let` is followed by the expression it is for: `let x = 1; x + 1`"),
            ));
        }
        if self.is_at_end() || self.at_sign(")") || self.at_sign("}") {
            return Err(self.expected("an expression after the `let`"));
        }
        let body = self.sequence()?;
        let span = start..body.span.end;
        self.node(span, Kind::Let { name, value: Box::new(value), body: Box::new(body) })
    }

    fn if_else(&mut self) -> Parsed<Expr> {
        let start = self.advance().span.start;
        let condition = self.expression(LOOSEST)?;
        let (then, _) = self.block("after the condition")?;
        if !self.at_word("else") {
            let error = self.expected("`else`");
            return Err(Box::new(
                error.help("an `if` always has an `else`, since it must have a value"),
            ));
        }
        self.advance();
        let (otherwise, end) = if self.at_word("if") {
            let otherwise = self.nest(Self::if_else)?;
            let end = otherwise.span.end;
            (otherwise, end)
        } else {
            self.block("after `else`")?
        };
        let kind = Kind::Conditional {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        self.node(start..end, kind)
    }

    /// Reads `{ … }`; returns its value and where it ends.
    fn block(&mut self, place: &str) -> Parsed<(Expr, u32)> {
        let opening = self.span();
        self.expect_sign("{", place)?;
        let value = self.sequence()?;
        let end = self.close(BRACES, &opening)?;
        Ok((value, end))
    }

    /// Reads what follows a condition, from its `?` on.
    fn conditional(&mut self, condition: Expr) -> Parsed<Expr> {
        let question = self.advance().span.clone();
        let start = condition.span.start;
        let condition = Box::new(condition);
        if self.skip_sign(":") {
            let otherwise = Box::new(self.expression(LOOSEST)?);
            let span = start..otherwise.span.end;
            return self.node(span, Kind::Elvis { value: condition, otherwise });
        }
        let then = Box::new(self.expression(LOOSEST)?);
        if !self.skip_sign(":") {
            let error = self.expected("`:` and the other value");
            return Err(Box::new(error.see(question, "for this `?`")));
        }
        let otherwise = Box::new(self.expression(LOOSEST)?);
        let span = start..otherwise.span.end;
        self.node(span, Kind::Conditional { condition, then, otherwise })
    }
}

fn name_kind(name: &str) -> Kind {
    if name == "$env" { Kind::Environment } else { Kind::Name(name.to_owned()) }
}

fn order_operator(sign: &str) -> Option<OrderOperator> {
    match sign {
        "<" => Some(OrderOperator::Less),
        "<=" => Some(OrderOperator::LessOrEqual),
        ">" => Some(OrderOperator::Greater),
        ">=" => Some(OrderOperator::GreaterOrEqual),
        _ => None,
    }
}

fn fail<T>(code: syntax::Code, span: Span, message: impl Into<String>) -> Parsed<T> {
    Err(Box::new(ExprError::new(code, span, message)))
}

#[cfg(test)]
mod tests;
