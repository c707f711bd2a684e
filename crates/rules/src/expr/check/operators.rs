//! The types of operators.

use super::Checker;
use crate::expr::ast::{
    BinaryOperator, Expr, Kind, Literal, LogicOperator, OrderOperator, Span, UnaryOperator,
};
use crate::expr::types::Type;
use crate::expr::{ExprError, codes};

impl<'a> Checker<'a> {
    pub(super) fn unary(&mut self, operator: UnaryOperator, operand: &'a Expr) -> Type {
        let found = self.expr(operand);
        let (fits, wanted, result) = match operator {
            UnaryOperator::Not => (found.may_be_bool(), "a boolean", Type::Bool),
            UnaryOperator::Negate | UnaryOperator::Plus => {
                (found.may_be_number(), "a number", found.clone())
            }
        };
        if fits {
            return result;
        }
        let message = format!("`{}` needs {wanted}, this is {found}", operator.text());
        self.report(ExprError::new(codes::OPERAND_TYPE, operand.span.clone(), message));
        // What the operator gives is known even if what it is given is wrong.
        if operator == UnaryOperator::Not { Type::Bool } else { Type::Any }
    }

    pub(super) fn logic(&mut self, operator: LogicOperator, operands: &'a [Expr]) -> Type {
        for operand in operands {
            let found = self.expr(operand);
            if !found.may_be_bool() {
                let message = format!("`{}` needs booleans, this is {found}", operator.text());
                let error = ExprError::new(codes::OPERAND_TYPE, operand.span.clone(), message);
                let error = match found {
                    // `x == 'a' or 'b'`
                    Type::Str => {
                        error.help("each side is an expression of its own: `x == 'a' or x == 'b'`")
                    }
                    _ => error,
                };
                self.report(error);
            }
        }
        Type::Bool
    }

    pub(super) fn comparison(
        &mut self,
        node: &'a Expr,
        first: &'a Expr,
        rest: &'a [(OrderOperator, Expr)],
    ) -> Type {
        let mut left = self.expr(first);
        for (order, operand) in rest {
            let right = self.expr(operand);
            if !is_ordered(&left, &right) {
                let error = mismatch(BinaryOperator::Order(*order), &node.span, &left, &right);
                self.report(error);
            }
            left = right;
        }
        Type::Bool
    }

    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        operator_span: &Span,
        left: &'a Expr,
        right: &'a Expr,
    ) -> Type {
        let n_errors = self.errors.len();
        let one = self.expr(left);
        let another = self.expr(right);
        let span = left.span.start..right.span.end;
        let result = match operator {
            BinaryOperator::In => self.membership(&one, &another, operator_span, &span),
            BinaryOperator::Matches => {
                self.constant_pattern(right);
                self.operation(operator, &span, &one, &another)
            }
            _ => self.operation(operator, &span, &one, &another),
        };
        self.blame_not(operator, operator_span, left, &span, n_errors);
        result
    }

    fn operation(
        &mut self,
        operator: BinaryOperator,
        span: &Span,
        one: &Type,
        another: &Type,
    ) -> Type {
        use BinaryOperator as Op;
        let result = match operator {
            Op::Equal | Op::NotEqual => one.is_comparable(another).then_some(Type::Bool),
            Op::Order(_) => is_ordered(one, another).then_some(Type::Bool),
            // Told apart by the caller.
            Op::In => Some(Type::Bool),
            Op::Matches => {
                // COMPAT(crowdsec): text of an absent thing is nil, and matches nothing.
                let fits = one.may_be_text() || matches!(one, Type::Bytes | Type::Nil);
                (fits && another.may_be_text()).then_some(Type::Bool)
            }
            Op::Contains | Op::StartsWith | Op::EndsWith => {
                let fit =
                    [one, another].iter().all(|side| side.may_be_text() || **side == Type::Nil);
                fit.then_some(Type::Bool)
            }
            Op::Range => {
                (one.may_be_whole() && another.may_be_whole()).then_some(Type::list(Type::Int))
            }
            Op::Add => sum(one, another),
            Op::Subtract => difference(one, another),
            Op::Multiply => product(one, another),
            Op::Divide | Op::Power => {
                (one.may_be_number() && another.may_be_number()).then_some(Type::Float)
            }
            Op::Modulo => (one.may_be_whole() && another.may_be_whole()).then_some(Type::Int),
            Op::Coalesce => Some(one.clone().join(another.clone())),
        };
        if let Some(result) = result {
            return result;
        }
        let mut error = mismatch(operator, span, one, another);
        if operator == Op::Contains && matches!(one, Type::List(_) | Type::Map(_)) {
            error = error.help("`contains` is about strings; write `x in list` for elements");
        }
        self.report(error);
        // A comparison gives a boolean even if it is wrong: no second error about that.
        if operator.precedence() == Op::Equal.precedence() { Type::Bool } else { Type::Any }
    }

    /// Replaces the errors since `n_errors` if one of them is about `not x in y` not meaning what
    /// it says: it is `(not x) in y`, and that is all there is to tell.
    fn blame_not(
        &mut self,
        operator: BinaryOperator,
        operator_span: &Span,
        left: &Expr,
        span: &Span,
        n_errors: usize,
    ) {
        let Kind::Unary { operator: UnaryOperator::Not, operand } = &left.kind else { return };
        let is_about_not = |error: &ExprError| {
            error.code == codes::OPERAND_TYPE && (error.span == operand.span || error.span == *span)
        };
        if operator.may_follow_not() && self.errors[n_errors..].iter().any(is_about_not) {
            self.errors.truncate(n_errors);
            self.report(misplaced_not(operator, operator_span, left));
        }
    }

    fn membership(
        &mut self,
        one: &Type,
        another: &Type,
        operator_span: &Span,
        span: &Span,
    ) -> Type {
        let fits = match another {
            Type::Any | Type::Nil | Type::Map(_) => true,
            Type::List(element) => one.is_comparable(element),
            Type::Object(object) => match object.element() {
                Some(element) => one.is_comparable(&element),
                None => one.may_be_text(),
            },
            Type::Str => {
                let message = "`in` does not look into strings";
                let error = ExprError::new(codes::OPERAND_TYPE, span.clone(), message)
                    .see(operator_span.clone(), "the right side is a string")
                    .help("write `text contains part`");
                self.report(error);
                return Type::Bool;
            }
            Type::Bytes => one.may_be_whole(),
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Time
            | Type::Duration
            | Type::Weekday
            | Type::Month
            | Type::Location => false,
        };
        if !fits {
            let error = mismatch(BinaryOperator::In, span, one, another);
            self.report(error);
        }
        Type::Bool
    }

    fn constant_pattern(&mut self, pattern: &Expr) {
        if let Kind::Literal(Literal::Str(text)) = &pattern.kind
            && let Err(reason) = (self.pattern)(text)
        {
            let message = format!("the pattern is not a regular expression: {reason}");
            self.report(ExprError::new(codes::BAD_PATTERN, pattern.span.clone(), message));
        }
    }
}

fn misplaced_not(operator: BinaryOperator, operator_span: &Span, left: &Expr) -> ExprError {
    let text = operator.text();
    let message = format!("`not` belongs to what follows it, not to `{text}`");
    ExprError::new(codes::OPERAND_TYPE, left.span.clone(), message)
        .see(operator_span.clone(), "this operator comes later")
        .help(format!("write `x not {text} y`, or put all after the `not` in parentheses"))
}

fn mismatch(operator: BinaryOperator, span: &Span, left: &Type, right: &Type) -> ExprError {
    use BinaryOperator as Op;
    let text = operator.text();
    let message = format!("`{text}` does not work on {left} and {right}");
    let error = ExprError::new(codes::OPERAND_TYPE, span.clone(), message);
    let is_text = |of: &Type| *of == Type::Str;
    let one_is_text = is_text(left) != is_text(right);
    let one_is_number = left.is_number() != right.is_number();
    match operator {
        Op::Add if one_is_text => error.help("turn the other side into a string with `string(…)`"),
        Op::Equal | Op::NotEqual | Op::Order(_) if one_is_text && one_is_number => {
            error.help("compare with a string in quotes, or convert with `int(…)` or `string(…)`")
        }
        _ => error,
    }
}

fn is_ordered(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Any, other) | (other, Type::Any) => {
            other.may_be_number() || matches!(other, Type::Str | Type::Time)
        }
        (Type::Str, Type::Str) | (Type::Time, Type::Time) => true,
        _ => left.is_number() && right.is_number(),
    }
}

/// Returns the type of a number that comes of two numbers.
fn number(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        _ if !left.is_number() || !right.is_number() => None,
        (Type::Float, _) | (_, Type::Float) => Some(Type::Float),
        (Type::Duration, _) | (_, Type::Duration) => Some(Type::Duration),
        _ => Some(Type::Int),
    }
}

fn sum(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Str, Type::Str | Type::Any) | (Type::Any, Type::Str) => Some(Type::Str),
        (Type::Time, Type::Duration | Type::Any) | (Type::Duration | Type::Any, Type::Time) => {
            Some(Type::Time)
        }
        (Type::Any, other) | (other, Type::Any) => other.may_be_number().then_some(Type::Any),
        _ => number(left, right),
    }
}

fn difference(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Time | Type::Any, Type::Time) => Some(Type::Duration),
        (Type::Time, Type::Duration) => Some(Type::Time),
        (Type::Time, Type::Any) => Some(Type::Any),
        (Type::Any, other) | (other, Type::Any) => other.may_be_number().then_some(Type::Any),
        _ => number(left, right),
    }
}

fn product(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Any, other) | (other, Type::Any) => other.may_be_number().then_some(Type::Any),
        _ => number(left, right),
    }
}
