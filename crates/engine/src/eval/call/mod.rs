//! Functions and helpers: turns values into what `builtins` works on, and back (spec §6.4, §6.7).
//!
//! Reading order: this file (who does what), `language`, `numbers`, `text`, `tree`, `network`,
//! `data`, `time`.

mod data;
mod language;
mod network;
mod numbers;
mod text;
mod time;
mod tree;

use super::{Cx, Eval, EvalError, not_a};
use crate::expr::Expr;
use crate::function::{Function, Group, Method};
use crate::value::{Text, Value};
use alloc::{format, string::String, vec::Vec};
use model::Time;

/// A function's arguments.
pub(super) struct Args<'v> {
    function: Function,
    values: &'v [Value],
}

impl Cx<'_> {
    pub(super) fn call(&mut self, function: Function, args: &[Expr]) -> Eval<Value> {
        // Three arguments at most for nearly all functions, so no allocation.
        let mut few = [const { Value::Nil }; 3];
        let many: Vec<Value>;
        let values = if args.len() <= few.len() {
            for (value, arg) in few.iter_mut().zip(args) {
                *value = self.eval(arg)?;
            }
            &few[..args.len()]
        } else {
            many = args.iter().map(|arg| self.eval(arg)).collect::<Eval<_>>()?;
            &many
        };
        let args = Args { function, values };
        match function.group() {
            Group::Predicate => Err(args.misused()),
            Group::Conversion | Group::Collection => self.language(&args),
            Group::Number => self.numbers(&args),
            Group::Text | Group::HelperText | Group::HelperUrl | Group::HubTest => {
                self.text_helper(&args)
            }
            Group::Encoding | Group::HelperTree => self.tree_helper(&args),
            Group::HelperNetwork => self.network_helper(&args),
            Group::HelperData => self.data_helper(&args),
            Group::Time | Group::HelperMisc => self.time_helper(&args),
        }
    }
}

pub(super) fn time_method(
    cx: &mut Cx<'_>,
    time: Time,
    method: Method,
    args: &[Value],
) -> Eval<Value> {
    time::of_time(cx, time, method, args)
}

pub(super) fn duration_method(
    cx: &mut Cx<'_>,
    span: i64,
    method: Method,
    args: &[Value],
) -> Eval<Value> {
    time::of_duration(cx, span, method, args)
}

impl Args<'_> {
    fn get(&self, index: usize) -> Eval<&Value> {
        self.values
            .get(index)
            .ok_or_else(|| EvalError::new(format!("{} needs more arguments", self.function.name())))
    }

    fn str<'a>(&'a self, index: usize, cx: &'a Cx<'_>) -> Eval<&'a str> {
        Ok(cx.str(self.text(index)?))
    }

    fn text(&self, index: usize) -> Eval<&Text> {
        match self.get(index)? {
            Value::Text(text) => Ok(text),
            other => Err(self.not_a("string", other)),
        }
    }

    fn int(&self, index: usize) -> Eval<i64> {
        match self.get(index)? {
            Value::Int(value) | Value::Duration(value) => Ok(*value),
            other => Err(self.not_a("int", other)),
        }
    }

    fn float(&self, index: usize) -> Eval<f64> {
        match self.get(index)? {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            other => Err(self.not_a("number", other)),
        }
    }

    fn not_a(&self, wanted: &str, value: &Value) -> EvalError {
        EvalError::new(format!("{}: {}", self.function.name(), not_a(wanted, value)))
    }

    fn misused(&self) -> EvalError {
        EvalError::new(format!("{} cannot be called like this", self.function.name()))
    }

    /// The helper failed, which makes the expression fail.
    fn failed(&self, error: &str) -> EvalError {
        EvalError::new(format!("{}: {error}", self.function.name()))
    }

    fn missing(&self, what: &str) -> EvalError {
        EvalError::new(format!("{}: {what}", self.function.name()))
    }
}

/// Texts as a list value.
fn texts<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Value {
    Value::list(items.into_iter().map(|item| Value::shared(item.as_ref())).collect())
}

/// The result of a helper that may fail.
fn checked(args: &Args<'_>, result: Result<String, String>) -> Eval<String> {
    result.map_err(|error| args.failed(&error))
}
