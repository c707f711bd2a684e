//! Reads operands: literals, names, brackets, and what is attached to them.

use super::messages::no_closure;
use super::{BRACES, KEYWORDS, LOOSEST, PARENTHESES, Parsed, Parser, SQUARE, name_kind};
use crate::expr::ast::{Expr, Kind, Literal, Name, Pointer, UnaryOperator};
use crate::expr::lex::TokenKind;
use crate::expr::{ExprError, codes};
use engine::function::{Function, Group};

impl<'a> Parser<'a> {
    /// Reads one operand: signs before it, the thing itself, and what is attached to it.
    pub(super) fn operand(&mut self) -> Parsed<Expr> {
        if let Some(operator) = self.unary_operator() {
            let start = self.advance().span.start;
            let operand = Box::new(self.expression(operator.precedence())?);
            let span = start..operand.span.end;
            return self.node(span, Kind::Unary { operator, operand });
        }
        let value = self.primary()?;
        self.postfix(value)
    }

    fn unary_operator(&self) -> Option<UnaryOperator> {
        match self.token().kind {
            TokenKind::Sign("!") => Some(UnaryOperator::Not),
            TokenKind::Sign("-") => Some(UnaryOperator::Negate),
            TokenKind::Sign("+") => Some(UnaryOperator::Plus),
            _ => self.at_word("not").then_some(UnaryOperator::Not),
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.token();
        let span = token.span.clone();
        let literal = match &token.kind {
            TokenKind::Int(value) => Literal::Int(*value),
            TokenKind::Float(value) => Literal::Float(*value),
            TokenKind::Str(value) => Literal::Str(value.clone()),
            TokenKind::Bytes(value) => Literal::Bytes(value.clone()),
            TokenKind::Sign(sign) => return self.bracketed(sign),
            TokenKind::End => return Err(self.no_operand()),
            TokenKind::Word => match self.written(&span) {
                "nil" => Literal::Nil,
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                name => return self.named(name),
            },
        };
        self.advance();
        self.node(span, Kind::Literal(literal))
    }

    /// Reads an operand that begins with a word that is no literal.
    fn named(&mut self, name: &str) -> Parsed<Expr> {
        if KEYWORDS.contains(&name) {
            let error = self.no_operand();
            return Err(match name {
                "if" | "let" => {
                    Box::new(error.help(format!(
                        "put the `{name}` and all that belongs to it in parentheses"
                    )))
                }
                _ => error,
            });
        }
        let span = self.advance().span.clone();
        let start = span.start;
        let callee = self.node(span, name_kind(name))?;
        if self.at_sign("(") {
            return self.call(callee, start, Vec::new());
        }
        Ok(callee)
    }

    /// Reads an operand that begins with a sign.
    fn bracketed(&mut self, sign: &str) -> Parsed<Expr> {
        match sign {
            "(" => {
                let opening = self.advance().span.clone();
                let value = self.sequence()?;
                self.close(PARENTHESES, &opening)?;
                Ok(value)
            }
            "[" => self.array(),
            "{" => self.map(),
            "#" => self.pointer(),
            "." if self.n_closures > 0 => {
                // The element has no text of its own; the member after it is read as attached.
                let start = self.span().start;
                self.node(start..start, Kind::Pointer(Pointer::Element))
            }
            "." if self.peek().kind == TokenKind::Word => Err(no_closure(self.span(), ".Field")),
            "::" => {
                let start = self.span().start;
                let callee = self.builtin_name()?;
                if !self.at_sign("(") {
                    return Err(self.expected("`(` after the function's name"));
                }
                self.call(callee, start, Vec::new())
            }
            _ => Err(self.no_operand()),
        }
    }

    fn pointer(&mut self) -> Parsed<Expr> {
        let mut span = self.advance().span.clone();
        if self.n_closures == 0 {
            return Err(no_closure(span, "#"));
        }
        // `# in x` is the element and an operator: the name is attached or it is none.
        let is_named = self.token().span.start == span.end && self.token().kind == TokenKind::Word;
        if !is_named {
            return self.node(span, Kind::Pointer(Pointer::Element));
        }
        let name_span = self.advance().span.clone();
        let pointer = match self.written(&name_span) {
            "index" => Pointer::Index,
            "acc" => Pointer::Accumulator,
            name => {
                let error = ExprError::new(
                    codes::UNKNOWN_NAME,
                    name_span.clone(),
                    format!("there is no `#{name}`"),
                )
                .suggest(name, name_span, ["index", "acc"]);
                let help = format!("a field of the element is `#.{name}`");
                return Err(Box::new(if error.help.is_none() { error.help(help) } else { error }));
            }
        };
        span.end = name_span.end;
        self.node(span, Kind::Pointer(pointer))
    }

    fn array(&mut self) -> Parsed<Expr> {
        let opening = self.advance().span.clone();
        let mut items = Vec::new();
        while !self.at_sign("]") {
            items.push(self.expression(LOOSEST)?);
            if !self.skip_sign(",") {
                break;
            }
        }
        let end = self.close(SQUARE, &opening)?;
        self.node(opening.start..end, Kind::Array(items))
    }

    fn map(&mut self) -> Parsed<Expr> {
        let opening = self.advance().span.clone();
        let mut entries = Vec::new();
        while !self.at_sign("}") {
            let key = self.map_key()?;
            self.expect_sign(":", "after the key")?;
            entries.push((key, self.expression(LOOSEST)?));
            if !self.skip_sign(",") {
                break;
            }
        }
        let end = self.close(BRACES, &opening)?;
        self.node(opening.start..end, Kind::Map(entries))
    }

    fn map_key(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let literal = match &self.token().kind {
            TokenKind::Word => Literal::Str(self.written(&span).to_owned()),
            TokenKind::Str(text) => Literal::Str(text.clone()),
            TokenKind::Int(value) => Literal::Int(*value),
            TokenKind::Float(value) => Literal::Float(*value),
            TokenKind::Sign("(") => {
                self.advance();
                let key = self.sequence()?;
                self.close(PARENTHESES, &span)?;
                return Ok(key);
            }
            TokenKind::Sign(_) | TokenKind::Bytes(_) | TokenKind::End => {
                let error = self.expected("a key");
                let help = "a key is a name, a string, a number, or an expression in parentheses";
                return Err(Box::new(error.help(help)));
            }
        };
        self.advance();
        self.node(span, Kind::Literal(literal))
    }

    // What is attached to an operand.

    pub(super) fn postfix(&mut self, mut value: Expr) -> Parsed<Expr> {
        let mut is_chain = false;
        loop {
            let optional = self.at_sign("?.");
            if optional || self.at_sign(".") {
                is_chain |= optional;
                self.advance();
                let is_index = optional && self.at_sign("[");
                value =
                    if is_index { self.index(value, true)? } else { self.member(value, optional)? };
                if self.at_sign("(") {
                    let start = value.span.start;
                    if is_index {
                        return Err(self.not_callable());
                    }
                    value = self.call(value, start, Vec::new())?;
                }
            } else if self.at_sign("[") {
                value = self.index(value, false)?;
            } else if self.at_sign("(") {
                return Err(self.not_callable());
            } else {
                break;
            }
        }
        if is_chain {
            return self.node(value.span.clone(), Kind::Chain(Box::new(value)));
        }
        Ok(value)
    }

    /// Reads the name after a `.`; keywords are names here.
    pub(super) fn member(&mut self, object: Expr, optional: bool) -> Parsed<Expr> {
        if self.token().kind != TokenKind::Word {
            return Err(self.expected("the name of a field after `.`"));
        }
        let span = self.advance().span.clone();
        let name = Name { text: self.written(&span).to_owned(), span };
        let span = object.span.start..name.span.end;
        self.node(span, Kind::Member { object: Box::new(object), name, optional })
    }

    /// Reads `[index]` or `[from:to]`.
    fn index(&mut self, object: Expr, optional: bool) -> Parsed<Expr> {
        let start = object.span.start;
        let object = Box::new(object);
        let opening = self.advance().span.clone();
        let from = if self.at_sign(":") { None } else { Some(Box::new(self.expression(LOOSEST)?)) };
        let is_slice = self.skip_sign(":");
        let kind = match from {
            Some(index) if !is_slice => Kind::Index { object, index, optional },
            from => {
                let to = if self.at_sign("]") {
                    None
                } else {
                    Some(Box::new(self.expression(LOOSEST)?))
                };
                Kind::Slice { object, from, to }
            }
        };
        let end = self.close(SQUARE, &opening)?;
        self.node(start..end, kind)
    }

    /// Reads the arguments of a call from its `(` on; `arguments` holds what a pipe brought.
    pub(super) fn call(
        &mut self,
        callee: Expr,
        start: u32,
        mut arguments: Vec<Expr>,
    ) -> Parsed<Expr> {
        let takes_closure = match &callee.kind {
            Kind::Name(name) => is_predicate(name),
            Kind::Builtin(name) => is_predicate(&name.text),
            _ => false,
        };
        let opening = self.advance().span.clone();
        while !self.at_sign(")") {
            let is_closure = takes_closure && arguments.len() == 1;
            arguments.push(if is_closure { self.closure()? } else { self.expression(LOOSEST)? });
            if !self.skip_sign(",") {
                break;
            }
        }
        let end = self.close(PARENTHESES, &opening)?;
        self.node(start..end, Kind::Call { callee: Box::new(callee), arguments })
    }

    fn closure(&mut self) -> Parsed<Expr> {
        let mut span = self.span();
        self.n_closures += 1;
        let body = if self.at_sign("{") {
            let (body, end) = self.block("")?;
            span.end = end;
            body
        } else {
            let body = self.expression(LOOSEST)?;
            span.end = body.span.end;
            body
        };
        self.n_closures -= 1;
        self.node(span, Kind::Closure(Box::new(body)))
    }

    /// Reads `::name`.
    pub(super) fn builtin_name(&mut self) -> Parsed<Expr> {
        let start = self.advance().span.start;
        if self.token().kind != TokenKind::Word {
            return Err(self.expected("the name of a function after `::`"));
        }
        let span = self.advance().span.clone();
        let name = Name { text: self.written(&span).to_owned(), span };
        self.node(start..name.span.end, Kind::Builtin(name))
    }

    pub(super) fn free_word(&self) -> Option<&'a str> {
        self.word().filter(|word| !KEYWORDS.contains(word))
    }
}

fn is_predicate(name: &str) -> bool {
    Function::from_name(name).is_some_and(|function| function.group() == Group::Predicate)
}
