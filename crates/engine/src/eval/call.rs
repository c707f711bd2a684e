//! Functions.
use super::*;
use crate::function::{Function, Method};
use model::Time;

impl Cx<'_> {
    pub(super) fn call(&mut self, function: Function, args: &[Expr]) -> Eval<Value> {
        let _ = args;
        Err(EvalError::new(format!("{} is missing", function.name())))
    }
}
pub(super) fn time_method(_: &mut Cx<'_>, _: Time, m: Method, _: &[Value]) -> Eval<Value> {
    Err(EvalError::new(format!("{} is missing", m.name())))
}
pub(super) fn duration_method(_: &mut Cx<'_>, _: i64, m: Method, _: &[Value]) -> Eval<Value> {
    Err(EvalError::new(format!("{} is missing", m.name())))
}
