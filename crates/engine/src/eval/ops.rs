//! Operators: comparison, arithmetic, membership, indexing (spec §6.2).

use super::{Cx, Eval, EvalError, not_a};
use crate::expr::{Arith, Compare, Expr};
use crate::value::{EventRef, Text, Value};
use alloc::format;
use core::cmp::Ordering;
use model::Time;

impl Cx<'_> {
    pub(super) fn compare(&mut self, op: Compare, left: &Expr, right: &Expr) -> Eval<bool> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        Ok(match op {
            Compare::Eq => self.equal(&left, &right),
            Compare::Ne => !self.equal(&left, &right),
            Compare::Lt => self.order(&left, &right)? == Ordering::Less,
            Compare::Le => self.order(&left, &right)? != Ordering::Greater,
            Compare::Gt => self.order(&left, &right)? == Ordering::Greater,
            Compare::Ge => self.order(&left, &right)? != Ordering::Less,
        })
    }

    /// Deep equality. Numbers compare across widths, other kinds are never equal.
    pub(crate) fn equal(&self, left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                number(left) == number(right)
            }
            (Value::Text(a), Value::Text(b)) => self.str(a) == self.str(b),
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| self.equal(a, b))
            }
            (Value::Map(_) | Value::Fields(..), Value::Map(_) | Value::Fields(..)) => {
                let (a, b) = (self.lasting(left.clone()), self.lasting(right.clone()));
                match (&a, &b) {
                    (Value::Map(a), Value::Map(b)) => {
                        a.entries.len() == b.entries.len()
                            && a.entries
                                .iter()
                                .zip(&b.entries)
                                .all(|((ka, a), (kb, b))| ka == kb && self.equal(a, b))
                    }
                    _ => false,
                }
            }
            (Value::Object(a), Value::Object(b)) => {
                a.kind == b.kind
                    && a.fields.len() == b.fields.len()
                    && a.fields
                        .iter()
                        .zip(&b.fields)
                        .all(|((ka, a), (kb, b))| ka == kb && self.equal(a, b))
            }
            _ => false,
        }
    }

    /// The order of two numbers, texts, instants or durations.
    pub(super) fn order(&self, left: &Value, right: &Value) -> Eval<Ordering> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => {
                Ok(a.cmp(b))
            }
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                // NaN is neither below nor above anything; called greater so that `<` is false.
                Ok(number(left).partial_cmp(&number(right)).unwrap_or(Ordering::Greater))
            }
            (Value::Text(a), Value::Text(b)) => Ok(self.str(a).cmp(self.str(b))),
            (Value::Time(a), Value::Time(b)) => Ok(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
            _ => Err(EvalError::new(format!(
                "cannot compare {} with {}",
                left.type_name(),
                right.type_name()
            ))),
        }
    }

    pub(super) fn arith(&mut self, op: Arith, left: &Value, right: &Value) -> Eval<Value> {
        let mismatch = || {
            EvalError::new(format!(
                "cannot apply `{}` to {} and {}",
                op.symbol(),
                left.type_name(),
                right.type_name()
            ))
        };
        Ok(match (op, left, right) {
            (Arith::Add, Value::Text(a), Value::Text(b)) => Value::Text(self.concat(a, b)),
            (Arith::Add, Value::Time(at), Value::Duration(span))
            | (Arith::Add, Value::Duration(span), Value::Time(at)) => {
                Value::Time(Time { at: at.at.plus_nanos(*span), offset: at.offset })
            }
            (Arith::Sub, Value::Time(a), Value::Time(b)) => Value::Duration(a.at.nanos_since(b.at)),
            (Arith::Sub, Value::Time(at), Value::Duration(span)) => {
                Value::Time(Time { at: at.at.plus_nanos(span.saturating_neg()), offset: at.offset })
            }
            (Arith::Add, Value::Duration(a), Value::Duration(b)) => {
                Value::Duration(a.wrapping_add(*b))
            }
            (Arith::Sub, Value::Duration(a), Value::Duration(b)) => {
                Value::Duration(a.wrapping_sub(*b))
            }
            (Arith::Mul, Value::Duration(a), Value::Int(b))
            | (Arith::Mul, Value::Int(a), Value::Duration(b)) => {
                Value::Duration(a.wrapping_mul(*b))
            }
            (Arith::Mul, Value::Duration(a), Value::Float(b))
            | (Arith::Mul, Value::Float(b), Value::Duration(a)) => {
                Value::Duration((*a as f64 * b) as i64)
            }
            (Arith::Div, Value::Duration(a), Value::Duration(b)) => {
                Value::Float(*a as f64 / *b as f64)
            }
            (Arith::Add, Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_add(*b)),
            (Arith::Sub, Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_sub(*b)),
            (Arith::Mul, Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_mul(*b)),
            (Arith::Rem, Value::Int(_), Value::Int(0)) => {
                return Err(EvalError::new("remainder of a division by zero"));
            }
            (Arith::Rem, Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_rem(*b)),
            (
                _,
                Value::Int(_) | Value::Float(_) | Value::Duration(_),
                Value::Int(_) | Value::Float(_) | Value::Duration(_),
            ) => {
                let (a, b) = (number(left), number(right));
                match op {
                    Arith::Add => Value::Float(a + b),
                    Arith::Sub => Value::Float(a - b),
                    Arith::Mul => Value::Float(a * b),
                    Arith::Div => Value::Float(a / b),
                    Arith::Pow => Value::Float(libm::pow(a, b)),
                    Arith::Rem => return Err(mismatch()),
                }
            }
            _ => return Err(mismatch()),
        })
    }

    pub(crate) fn concat(&mut self, left: &Text, right: &Text) -> Text {
        // Both are read before the arena grows: a text may be a piece of the arena itself.
        let mut whole = alloc::string::String::with_capacity(64);
        whole.push_str(self.str(left));
        whole.push_str(self.str(right));
        self.event.push(&whole)
    }

    /// `needle in haystack`
    pub(super) fn contains(&self, haystack: &Value, needle: &Value) -> Eval<bool> {
        Ok(match (haystack, needle) {
            (Value::Nil, _) => false,
            (Value::List(items), _) => items.iter().any(|item| self.equal(item, needle)),
            (Value::Map(map), Value::Text(key)) => map.entries.contains_key(self.str(key)),
            (Value::Map(map), Value::Int(key)) => {
                map.entries.contains_key(format!("{key}").as_str())
            }
            (Value::Fields(of, space), Value::Text(key)) => {
                let key = self.str(key);
                match of {
                    EventRef::Current => self.event.named(*space, key, self.pool).is_some(),
                    EventRef::Kept(kept) => kept.named(*space, key, self.pool).is_some(),
                }
            }
            (Value::Map(_) | Value::Fields(..), _) => false,
            (Value::Object(object), Value::Text(name)) => object.field(self.str(name)).is_some(),
            (Value::Text(_), _) => {
                return Err(EvalError::new("`in` does not search texts: use `contains`"));
            }
            (other, _) => return Err(not_a("list or map", other)),
        })
    }

    /// `of[key]`
    pub(super) fn index(&mut self, of: &Value, key: &Value) -> Eval<Value> {
        match (of, key) {
            (Value::List(items), Value::Int(at)) => {
                let at = position(*at, items.len());
                let item = at.and_then(|at| items.get(at)).cloned();
                item.ok_or_else(|| {
                    EvalError::new(format!(
                        "index out of range: the list has {} elements",
                        items.len()
                    ))
                })
            }
            // Go indexes bytes: the result is a number (spec §13, trap 53).
            (Value::Text(text), Value::Int(at)) => {
                let bytes = self.str(text).as_bytes();
                let byte = position(*at, bytes.len()).and_then(|at| bytes.get(at));
                byte.map(|byte| Value::Int(i64::from(*byte)))
                    .ok_or_else(|| EvalError::new("index out of range"))
            }
            (Value::Bytes(bytes), Value::Int(at)) => {
                let byte = position(*at, bytes.len()).and_then(|at| bytes.get(at));
                byte.map(|byte| Value::Int(i64::from(*byte)))
                    .ok_or_else(|| EvalError::new("index out of range"))
            }
            (Value::Map(map), _) => {
                let key = self.key_text(key)?;
                Ok(map.entries.get(&key).cloned().unwrap_or_else(|| map.missing.value()))
            }
            (Value::Fields(..) | Value::Object(_) | Value::Event(_), Value::Text(name)) => {
                let name = alloc::string::String::from(self.str(name));
                self.member(of, &name)
            }
            (Value::Nil, _) => Err(EvalError::new("cannot index nil")),
            (other, key) => Err(EvalError::new(format!(
                "cannot index {} with {}",
                other.type_name(),
                key.type_name()
            ))),
        }
    }

    /// `of[from:to]`; bounds are clamped and may count from the end.
    pub(super) fn slice(&mut self, of: &Value, from: Option<i64>, to: Option<i64>) -> Eval<Value> {
        let bounds = |len: usize| {
            let clamp = |at: i64| {
                let at = if at < 0 { at.saturating_add(len as i64) } else { at };
                usize::try_from(at.max(0)).unwrap_or(usize::MAX).min(len)
            };
            let from = from.map_or(0, clamp);
            let to = to.map_or(len, clamp);
            from..to.max(from)
        };
        match of {
            Value::Text(text) => {
                let text = self.str(text);
                let range = bounds(text.len());
                // A cut inside a character would not be UTF-8; what is left of it is replaced.
                let cut = alloc::string::String::from_utf8_lossy(&text.as_bytes()[range]);
                let cut = cut.into_owned();
                Ok(Value::Text(self.event.push(&cut)))
            }
            Value::Bytes(bytes) => Ok(Value::Bytes(bytes[bounds(bytes.len())].into())),
            Value::List(items) => Ok(Value::list(items[bounds(items.len())].to_vec())),
            other => Err(not_a("list or string", other)),
        }
    }

    /// The characters of a text.
    pub(crate) fn str<'b>(&'b self, text: &'b Text) -> &'b str {
        text.get(self.event, self.pool)
    }
}

/// A number as a float; 0 for what is none.
pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::Int(value) | Value::Duration(value) => *value as f64,
        Value::Float(value) => *value,
        _ => 0.0,
    }
}

/// A place in a list of `len`, counted from the end when negative.
fn position(at: i64, len: usize) -> Option<usize> {
    let at = if at < 0 { at.checked_add(i64::try_from(len).ok()?)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < len)
}
