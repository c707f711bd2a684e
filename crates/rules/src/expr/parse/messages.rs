//! What the parser says about a text it cannot read.

use super::{MAX_DEPTH, Parser};
use crate::expr::ast::{Expr, Kind, Literal, Span};
use crate::expr::lex::{Token, TokenKind};
use crate::expr::{ExprError, codes};

impl Parser<'_> {
    /// Describes the current token.
    pub(super) fn found(&self) -> String {
        let token = self.token();
        match token.kind {
            TokenKind::End => "the end of the expression".to_owned(),
            TokenKind::Str(_) => "a string".to_owned(),
            TokenKind::Bytes(_) => "a byte string".to_owned(),
            TokenKind::Word | TokenKind::Sign(_) | TokenKind::Int(_) | TokenKind::Float(_) => {
                format!("`{}`", self.written(&token.span))
            }
        }
    }

    pub(super) fn expected(&self, what: &str) -> Box<ExprError> {
        let message = format!("expected {what}, found {}", self.found());
        Box::new(ExprError::new(codes::UNEXPECTED, self.span(), message))
    }

    /// Describes the lack of an operand where one must be.
    pub(super) fn no_operand(&self) -> Box<ExprError> {
        let Some(before) = self.at.checked_sub(1).map(|at| &self.tokens[at].span) else {
            return self.expected("a value");
        };
        let place = format!("a value after `{}`", cut(self.written(before)));
        let error = self.expected(&place);
        match (&self.token().kind, self.written(before)) {
            // `= =`, `===`, `=>`: the author has another language in mind.
            (TokenKind::Sign("="), "==" | "!=") => {
                Box::new(error.help("values are compared with `==` or `!=`"))
            }
            (TokenKind::Sign("."), _) => Box::new(error.help("the element of a closure is `#`")),
            _ => error,
        }
    }

    /// Describes a token that cannot go on after the complete expression before it.
    pub(super) fn unexpected_after(&self, before: &Expr) -> Box<ExprError> {
        if let Some((help, span, with)) = self.slip() {
            let message = format!("{} is not an operator", self.found());
            let error = ExprError::new(codes::UNEXPECTED, self.span(), message);
            return Box::new(error.help(help).replace(span, with));
        }
        match self.token().kind {
            TokenKind::Sign(")" | "]" | "}") => {
                let message = format!("{} closes nothing", self.found());
                Box::new(ExprError::new(codes::UNEXPECTED, self.span(), message))
            }
            TokenKind::Str(_) if matches!(before.kind, Kind::Literal(Literal::Str(_))) => {
                Box::new(self.expected("an operator").help("strings are joined with `+`"))
            }
            _ => self.expected("an operator or the end of the expression"),
        }
    }

    /// Guesses the operator meant by a token that stands where one must be: what to say, and what
    /// to replace by what.
    pub(super) fn slip(&self) -> Option<(String, Span, &'static str)> {
        const OPERATORS: [&str; 7] =
            ["and", "contains", "endsWith", "in", "matches", "or", "startsWith"];
        let meant = match self.token().kind {
            TokenKind::Sign("=") => "==",
            TokenKind::Sign("!") if matches!(self.peek().kind, TokenKind::Sign("=")) => "!=",
            TokenKind::Word => match self.word()? {
                "is" | "eq" | "equals" => "==",
                word => syntax::nearest(word, OPERATORS)?,
            },
            _ => return None,
        };
        Some((format!("did you mean `{meant}`?"), self.span(), meant))
    }

    pub(super) fn bad_negation(&self, token: &Token) -> Box<ExprError> {
        let written = match token.kind {
            TokenKind::End => "the end of the expression".to_owned(),
            _ => format!("`{}`", cut(self.written(&token.span))),
        };
        let message =
            format!("expected `in` or another operator in words after `not`, found {written}");
        let error = ExprError::new(codes::UNEXPECTED, token.span.clone(), message);
        Box::new(match token.kind {
            TokenKind::Sign("==") => {
                error.help("did you mean `!=`?").replace(self.span().start..token.span.end, "!=")
            }
            _ => error,
        })
    }

    pub(super) fn not_callable(&self) -> Box<ExprError> {
        let message = "only functions and methods can be called";
        Box::new(ExprError::new(codes::NOT_CALLABLE, self.span(), message))
    }
}

/// Shortens what a message quotes.
fn cut(written: &str) -> &str {
    const LONGEST: usize = 40;
    written.char_indices().nth(LONGEST).map_or(written, |(end, _)| &written[..end])
}

pub(super) fn too_deep(span: Span) -> Box<ExprError> {
    let message = format!("the expression nests more than {MAX_DEPTH} levels deep");
    Box::new(ExprError::new(codes::TOO_BIG, span, message))
}

pub(super) fn no_closure(span: Span, written: &str) -> Box<ExprError> {
    let message = format!("`{written}` has a meaning only inside of a closure");
    let error = ExprError::new(codes::NO_CLOSURE, span, message);
    Box::new(
        error.help("a closure is the second argument of `any`, `all`, `filter` and their like"),
    )
}
