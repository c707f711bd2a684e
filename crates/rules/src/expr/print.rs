//! Writes a tree as text that reads back as the same tree.
//!
//! Every compound operand is put in parentheses, whether precedence asks for them or not: the text
//! is for messages and tests, where being plain beats being short.

use super::ast::{Expr, Kind, Literal, Pointer};
use core::fmt::{Display, Formatter, Result, Write};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            Kind::Literal(literal) => literal.fmt(f),
            Kind::Name(name) => f.write_str(name),
            Kind::Builtin(name) => write!(f, "::{}", name.text),
            Kind::Environment => f.write_str("$env"),
            Kind::Pointer(Pointer::Element) => f.write_str("#"),
            Kind::Pointer(Pointer::Index) => f.write_str("#index"),
            Kind::Pointer(Pointer::Accumulator) => f.write_str("#acc"),
            Kind::Member { object, name, optional } => {
                let dot = if *optional { "?." } else { "." };
                write!(f, "{}{dot}{}", Attached(object), name.text)
            }
            Kind::Index { object, index, optional } => {
                let dot = if *optional { "?." } else { "" };
                write!(f, "{}{dot}[{}]", Attached(object), Item(index))
            }
            Kind::Slice { object, from, to } => {
                write!(f, "{}[", Attached(object))?;
                if let Some(from) = from {
                    // A conditional would take the colon for its own.
                    write!(f, "{}", Operand(from))?;
                }
                f.write_str(":")?;
                if let Some(to) = to {
                    write!(f, "{}", Operand(to))?;
                }
                f.write_str("]")
            }
            Kind::Chain(run) => run.fmt(f),
            Kind::Unary { operator, operand } => {
                write!(f, "{}{}", operator.text(), Operand(operand))
            }
            Kind::Binary { operator, left, right, .. } => {
                write!(f, "{} {} {}", Operand(left), operator.text(), Operand(right))
            }
            Kind::Logic { operator, operands } => {
                let (first, rest) = operands.split_first().expect("logic has operands");
                write!(f, "{}", Operand(first))?;
                rest.iter()
                    .try_for_each(|operand| write!(f, " {} {}", operator.text(), Operand(operand)))
            }
            Kind::Comparison { first, rest } => {
                write!(f, "{}", Operand(first))?;
                rest.iter().try_for_each(|(order, operand)| {
                    write!(f, " {} {}", order.text(), Operand(operand))
                })
            }
            Kind::Conditional { condition, then, otherwise } => {
                write!(f, "{} ? {} : {}", Operand(condition), Operand(then), Operand(otherwise))
            }
            Kind::Elvis { value, otherwise } => {
                write!(f, "{} ?: {}", Operand(value), Operand(otherwise))
            }
            Kind::Call { callee, arguments } => {
                write!(f, "{callee}(")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            Kind::Closure(body) => write!(f, "{{ {body} }}"),
            Kind::Let { name, value, body } => {
                write!(f, "let {} = {}; {body}", name.text, Item(value))
            }
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let mark = if index == 0 { "" } else { "; " };
                    // A variable would take the rest of the sequence for its own.
                    write!(f, "{mark}{}", Item(item))?;
                }
                Ok(())
            }
            Kind::Array(items) => {
                f.write_str("[")?;
                list(f, items)?;
                f.write_str("]")
            }
            Kind::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let mark = if index == 0 { "" } else { ", " };
                    match key.kind {
                        Kind::Literal(Literal::Str(_) | Literal::Int(_) | Literal::Float(_)) => {
                            write!(f, "{mark}{key}: {}", Item(value))?;
                        }
                        _ => write!(f, "{mark}({key}): {}", Item(value))?,
                    }
                }
                f.write_str("}")
            }
        }
    }
}

fn list(f: &mut Formatter<'_>, items: &[Expr]) -> Result {
    for (index, item) in items.iter().enumerate() {
        let mark = if index == 0 { "" } else { ", " };
        write!(f, "{mark}{}", Item(item))?;
    }
    Ok(())
}

/// A node where any expression but a sequence may stand.
struct Item<'a>(&'a Expr);

impl Display for Item<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0.kind {
            Kind::Sequence(_) | Kind::Let { .. } => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}

/// A node beside an operator.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if is_compound(self.0) { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

/// A node that something is attached to.
struct Attached<'a>(&'a Expr);

impl Display for Attached<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let is_number = matches!(self.0.kind, Kind::Literal(Literal::Int(_) | Literal::Float(_)));
        // A chain ends where its parentheses end.
        let is_chain = matches!(self.0.kind, Kind::Chain(_));
        if is_number || is_chain || is_compound(self.0) {
            return write!(f, "({})", self.0);
        }
        self.0.fmt(f)
    }
}

fn is_compound(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        Kind::Unary { .. }
            | Kind::Binary { .. }
            | Kind::Logic { .. }
            | Kind::Comparison { .. }
            | Kind::Conditional { .. }
            | Kind::Elvis { .. }
            | Kind::Let { .. }
            | Kind::Sequence(_)
    )
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            // Debug keeps the point or exponent that makes the number a float.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Str(text) => {
                f.write_str("\"")?;
                for letter in text.chars() {
                    match letter {
                        '"' | '\\' => write!(f, "\\{letter}")?,
                        '\n' => f.write_str("\\n")?,
                        '\t' => f.write_str("\\t")?,
                        '\r' => f.write_str("\\r")?,
                        _ if letter.is_control() => write!(f, "\\u{{{:x}}}", u32::from(letter))?,
                        _ => f.write_char(letter)?,
                    }
                }
                f.write_str("\"")
            }
            Self::Bytes(bytes) => {
                f.write_str("b\"")?;
                for byte in bytes {
                    match byte {
                        b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                        b' '..=b'~' => f.write_char(char::from(*byte))?,
                        _ => write!(f, "\\x{byte:02x}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::parse::parse;

    /// The text of a tree reads back as a tree with the same text and the same shape.
    #[track_caller]
    fn check(text: &str, printed: &str) {
        let ast = parse(text).expect("the test's expression is well-formed");
        assert_eq!(ast.root.to_string(), printed);
        let again = parse(printed).expect("what is printed can be read");
        assert_eq!(again.root.to_string(), printed);
    }

    #[test]
    fn compound_operands_are_put_in_parentheses() {
        check("a+b*c", "a + (b * c)");
        check("a && (b && c) && d", "a && (b && c) && d");
        check("not x in y", "(!x) in y");
        check("x not in y", "!(x in y)");
        check("-2 ** 2", "-(2 ** 2)");
        check("a < b <= c", "a < b <= c");
    }

    #[test]
    fn a_chain_ends_where_it_was_written_to_end() {
        check("(a?.b).c", "(a?.b).c");
        check("a?.b.c?.[0]", "a?.b.c?.[0]");
        check("1 .. 5", "1 .. 5");
        check("(5)[0:(a ? b : c)]", "(5)[0:(a ? b : c)]");
    }

    #[test]
    fn variables_and_sequences_keep_their_reach() {
        check("let x = 1; x; x + 1", "let x = 1; x; x + 1");
        check("(let x = 1; x); 2", "(let x = 1; x); 2");
        check("any(a, {let x = #; x.y > .z})", "any(a, { let x = #; x.y > #.z })");
        check("f((a; b), [(a; b)])", "f((a; b), [(a; b)])");
    }

    #[test]
    fn literals_are_escaped() {
        check(r#"'a"b\\c\n' + b"\xff'" + `raw\n`"#, r#"("a\"b\\c\n" + b"\xff'") + "raw\\n""#);
        check("{a: 1, 'b c': 2, 3: 4, (d): 1.0}", r#"{"a": 1, "b c": 2, 3: 4, (d): 1.0}"#);
    }
}
