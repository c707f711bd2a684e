//! The language's functions on numbers and bits.

use super::{Args, Cx, Eval, Value};
use crate::function::Function as F;
use alloc::vec::Vec;

impl Cx<'_> {
    pub(super) fn numbers(&mut self, args: &Args<'_>) -> Eval<Value> {
        match args.function {
            F::Max | F::Min | F::Mean | F::Median => self.statistic(args),
            F::BitNot => Ok(Value::Int(!args.int(0)?)),
            _ => {
                let (a, b) = (args.int(0)?, args.int(1)?);
                let shift = || {
                    u32::try_from(b).map_err(|_| args.failed("cannot shift by a negative number"))
                };
                Ok(Value::Int(match args.function {
                    F::BitAnd => a & b,
                    F::BitOr => a | b,
                    F::BitXor => a ^ b,
                    F::BitNand => a & !b,
                    // As in Go, shifting by 64 or more leaves nothing.
                    F::BitShl => a.checked_shl(shift()?).unwrap_or(0),
                    F::BitShr => a.checked_shr(shift()?).unwrap_or(if a < 0 { -1 } else { 0 }),
                    F::BitUshr => {
                        a.cast_unsigned().checked_shr(shift()?).unwrap_or(0).cast_signed()
                    }
                    _ => return Err(args.misused()),
                }))
            }
        }
    }

    fn statistic(&mut self, args: &Args<'_>) -> Eval<Value> {
        let mut flat = Vec::new();
        super::language::flatten(args.values, &mut flat);
        let wrong = flat
            .iter()
            .find(|value| !matches!(value, Value::Int(_) | Value::Float(_) | Value::Duration(_)));
        if let Some(wrong) = wrong {
            return Err(args.not_a("number", wrong));
        }
        let number = crate::eval::ops::number;
        match args.function {
            F::Max | F::Min => {
                let order = |a: &&Value, b: &&Value| number(a).total_cmp(&number(b));
                let found = if args.function == F::Max {
                    flat.iter().max_by(order)
                } else {
                    flat.iter().min_by(order)
                };
                found.cloned().ok_or_else(|| args.failed("there are no numbers"))
            }
            _ if flat.is_empty() => Ok(Value::Float(0.0)),
            F::Mean => {
                let sum: f64 = flat.iter().map(number).sum();
                Ok(Value::Float(sum / flat.len() as f64))
            }
            _ => {
                let mut sorted: Vec<f64> = flat.iter().map(number).collect();
                sorted.sort_by(f64::total_cmp);
                let middle = sorted.len() / 2;
                Ok(Value::Float(if sorted.len() % 2 == 1 {
                    sorted[middle]
                } else {
                    f64::midpoint(sorted[middle - 1], sorted[middle])
                }))
            }
        }
    }
}
