//! The language's own functions on sizes, types and collections (spec §6.4).

use super::{Args, Cx, Eval, EvalError, Value};
use crate::builtins::number;
use crate::function::Function as F;
use crate::value::Map;
use alloc::{format, sync::Arc, vec::Vec};

impl Cx<'_> {
    pub(super) fn language(&mut self, args: &Args<'_>) -> Eval<Value> {
        match args.function {
            F::Len => self.length(args),
            F::Type => {
                let name = args.get(0)?.type_name();
                Ok(self.literal(name))
            }
            F::Abs => match args.get(0)? {
                Value::Int(value) => Ok(Value::Int(value.wrapping_abs())),
                Value::Duration(value) => Ok(Value::Duration(value.wrapping_abs())),
                _ => Ok(Value::Float(libm::fabs(args.float(0)?))),
            },
            F::Ceil => Ok(Value::Float(libm::ceil(args.float(0)?))),
            F::Floor => Ok(Value::Float(libm::floor(args.float(0)?))),
            F::Round => Ok(Value::Float(libm::round(args.float(0)?))),
            F::Int => self.to_int(args),
            F::Float => self.to_float(args),
            F::String => {
                let value = args.get(0)?;
                if let Value::Text(_) = value {
                    return Ok(value.clone());
                }
                let text = self.print(value);
                Ok(self.literal(&text))
            }
            F::First | F::Last => {
                let value = args.get(0)?;
                if let Value::Nil = value {
                    return Ok(Value::Nil);
                }
                let items = self.elements(value)?;
                let found = if args.function == F::First { items.first() } else { items.last() };
                Ok(found.cloned().unwrap_or(Value::Nil))
            }
            F::GetBuiltin => {
                let (of, key) = (args.get(0)?.clone(), args.get(1)?.clone());
                Ok(self.index(&of, &key).unwrap_or(Value::Nil))
            }
            F::Take => {
                let items = self.elements(args.get(0)?)?;
                let n = usize::try_from(args.int(1)?)
                    .map_err(|_| args.failed("cannot take a negative number"))?;
                self.made(Value::list(items.iter().take(n).cloned().collect()))
            }
            F::Keys | F::Values | F::ToPairs => self.pairs_of(args),
            F::FromPairs => self.map_of_pairs(args),
            F::Reverse => {
                let items = self.elements(args.get(0)?)?;
                self.made(Value::list(items.iter().rev().cloned().collect()))
            }
            F::Uniq => {
                let items = self.elements(args.get(0)?)?;
                let unique = self.unique(&items)?;
                self.made(Value::list(unique))
            }
            F::Concat => {
                let mut all = Vec::new();
                for value in args.values {
                    all.extend(self.elements(value)?.iter().cloned());
                }
                self.made(Value::list(all))
            }
            F::FlattenBuiltin => {
                let items = self.elements(args.get(0)?)?;
                let mut flat = Vec::new();
                flatten(&items, &mut flat);
                self.made(Value::list(flat))
            }
            F::Sort => self.sort(args),
            _ => Err(args.misused()),
        }
    }

    /// Characters of a text, elements of anything else.
    fn length(&mut self, args: &Args<'_>) -> Eval<Value> {
        let n = match args.get(0)? {
            Value::Text(text) => self.str(text).chars().count(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.len(),
            Value::Map(map) => map.entries.len(),
            fields @ Value::Fields(..) => match self.lasting(fields.clone()) {
                Value::Map(map) => map.entries.len(),
                _ => 0,
            },
            Value::Object(object) => object.fields.len(),
            other => return Err(args.not_a("string, list or map", other)),
        };
        self.spend(0)?;
        Ok(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)))
    }

    fn to_int(&self, args: &Args<'_>) -> Eval<Value> {
        Ok(Value::Int(match args.get(0)? {
            Value::Int(value) | Value::Duration(value) => *value,
            Value::Float(value) => *value as i64,
            Value::Text(text) => {
                let text = self.str(text);
                number::parse_int(text)
                    .ok_or_else(|| args.failed(&format!("`{text}` is no integer")))?
            }
            other => return Err(args.not_a("number or string", other)),
        }))
    }

    fn to_float(&self, args: &Args<'_>) -> Eval<Value> {
        Ok(Value::Float(match args.get(0)? {
            Value::Text(text) => {
                let text = self.str(text);
                number::parse_float(text)
                    .ok_or_else(|| args.failed(&format!("`{text}` is no number")))?
            }
            _ => args.float(0)?,
        }))
    }

    fn pairs_of(&mut self, args: &Args<'_>) -> Eval<Value> {
        let whole = self.lasting(args.get(0)?.clone());
        let Value::Map(map) = &whole else { return Err(args.not_a("map", &whole)) };
        let items = map
            .entries
            .iter()
            .map(|(key, value)| match args.function {
                F::Keys => Value::shared(key),
                F::Values => value.clone(),
                _ => Value::list(alloc::vec![Value::shared(key), value.clone()]),
            })
            .collect();
        self.made(Value::list(items))
    }

    fn map_of_pairs(&mut self, args: &Args<'_>) -> Eval<Value> {
        let mut map = Map::default();
        for pair in self.elements(args.get(0)?)?.iter() {
            let pair = self.elements(pair)?;
            let [key, value] = pair.as_slice() else {
                return Err(args.failed("a pair has two elements"));
            };
            let key = self.key_text(key)?;
            map.entries.insert(key, self.lasting(value.clone()));
        }
        self.made(Value::Map(Arc::new(map)))
    }

    /// The elements without repetitions, in order of first appearance.
    pub(super) fn unique(&mut self, items: &[Value]) -> Eval<Vec<Value>> {
        let mut unique: Vec<Value> = Vec::new();
        for item in items {
            // Quadratic, so it is paid for in elements.
            self.spend(unique.len() / 16)?;
            if !unique.iter().any(|known| self.equal(known, item)) {
                unique.push(item.clone());
            }
        }
        Ok(unique)
    }

    fn sort(&mut self, args: &Args<'_>) -> Eval<Value> {
        let mut items = self.elements(args.get(0)?)?.to_vec();
        let descending = args.values.len() > 1 && args.str(1, self)? == "desc";
        let mut failed: Option<EvalError> = None;
        items.sort_by(|a, b| {
            let order = self.order(a, b).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                core::cmp::Ordering::Equal
            });
            if descending { order.reverse() } else { order }
        });
        match failed {
            Some(error) => Err(error),
            None => self.made(Value::list(items)),
        }
    }
}

/// Appends the elements of lists in lists, in order.
pub(super) fn flatten(items: &[Value], flat: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::List(inner) => flatten(inner, flat),
            other => flat.push(other.clone()),
        }
    }
}
