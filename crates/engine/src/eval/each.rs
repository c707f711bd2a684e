//! Builtins that run a closure for each element.

use super::scratch::Frame;
use super::{Cx, Eval, EvalError, not_a};
use crate::expr::{Each, EachKind, Expr};
use crate::value::{EventRef, Map, Value};
use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

impl Cx<'_> {
    pub(super) fn each(&mut self, each: &Each) -> Eval<Value> {
        let list = self.eval(&each.list)?;
        let items = self.elements(&list)?;
        self.spend(items.len())?;
        match each.kind {
            EachKind::All => Ok(Value::Bool(self.position(each, &items, false)?.is_none())),
            EachKind::None => Ok(Value::Bool(self.position(each, &items, true)?.is_none())),
            EachKind::Any => Ok(Value::Bool(self.position(each, &items, true)?.is_some())),
            EachKind::One => Ok(Value::Bool(self.selected(each, &items)?.len() == 1)),
            EachKind::Filter => {
                let selected = self.selected(each, &items)?;
                Ok(Value::list(selected.into_iter().map(|index| items[index].clone()).collect()))
            }
            EachKind::Count => Ok(Value::Int(self.selected(each, &items)?.len() as i64)),
            EachKind::Find => {
                let found = self.position(each, &items, true)?;
                Ok(found.map_or(Value::Nil, |index| items[index].clone()))
            }
            EachKind::FindIndex => {
                let found = self.position(each, &items, true)?;
                Ok(found.map_or(Value::Nil, |index| Value::Int(index as i64)))
            }
            EachKind::FindLast => {
                let found = self.selected(each, &items)?.pop();
                Ok(found.map_or(Value::Nil, |index| items[index].clone()))
            }
            EachKind::FindLastIndex => {
                let found = self.selected(each, &items)?.pop();
                Ok(found.map_or(Value::Nil, |index| Value::Int(index as i64)))
            }
            EachKind::Map => {
                let list = Value::list(self.mapped(each, &items)?);
                self.weigh(&list)?;
                Ok(list)
            }
            EachKind::Sum => self.sum(each, &items),
            EachKind::GroupBy => self.group_by(each, &items),
            EachKind::SortBy => self.sort_by(each, &items),
            EachKind::Reduce => self.reduce(each, &items),
        }
    }

    /// The elements of a list, or the values of a map.
    pub(super) fn elements(&mut self, list: &Value) -> Eval<Arc<Vec<Value>>> {
        Ok(match list {
            Value::List(items) => Arc::clone(items),
            Value::Map(map) => Arc::new(map.entries.values().cloned().collect()),
            Value::Fields(of, space) => {
                let whole = self.lasting(Value::Fields(of.clone(), *space));
                return self.elements(&whole);
            }
            Value::Event(EventRef::Current | EventRef::Kept(_)) => {
                return Err(not_a("list", list));
            }
            other => return Err(not_a("list", other)),
        })
    }

    fn enter(&mut self, each: &Each, element: &Value, index: usize, acc: Value) {
        let frame = Frame { element: element.clone(), index: index as i64, acc };
        self.scratch.set_frame(each.depth, frame);
    }

    fn holds(&mut self, each: &Each, element: &Value, index: usize) -> Eval<bool> {
        let Some(body) = &each.body else {
            return match element {
                Value::Bool(value) => Ok(*value),
                other => Err(not_a("bool", other)),
            };
        };
        self.enter(each, element, index, Value::Nil);
        self.test(body)
    }

    /// The first element for which the closure gives `wanted`.
    fn position(&mut self, each: &Each, items: &[Value], wanted: bool) -> Eval<Option<usize>> {
        for (index, item) in items.iter().enumerate() {
            if self.holds(each, item, index)? == wanted {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn selected(&mut self, each: &Each, items: &[Value]) -> Eval<Vec<usize>> {
        let mut selected = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if self.holds(each, item, index)? {
                selected.push(index);
            }
        }
        Ok(selected)
    }

    fn mapped(&mut self, each: &Each, items: &[Value]) -> Eval<Vec<Value>> {
        let Some(body) = &each.body else { return Ok(items.to_vec()) };
        let mut mapped = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.enter(each, item, index, Value::Nil);
            mapped.push(self.eval(body)?);
        }
        Ok(mapped)
    }

    fn sum(&mut self, each: &Each, items: &[Value]) -> Eval<Value> {
        let mut total = Value::Int(0);
        for value in self.mapped(each, items)? {
            total = self.arith(crate::expr::Arith::Add, &total, &value)?;
        }
        Ok(total)
    }

    fn group_by(&mut self, each: &Each, items: &[Value]) -> Eval<Value> {
        let keys = self.mapped(each, items)?;
        let mut groups: alloc::collections::BTreeMap<Arc<str>, Vec<Value>> =
            alloc::collections::BTreeMap::new();
        for (key, item) in keys.iter().zip(items) {
            let key = self.key_text(key)?;
            groups.entry(key).or_default().push(self.lasting(item.clone()));
        }
        let entries = groups.into_iter().map(|(key, items)| (key, Value::list(items))).collect();
        Ok(Value::Map(Arc::new(Map { missing: crate::value::Missing::Nil, entries })))
    }

    fn sort_by(&mut self, each: &Each, items: &[Value]) -> Eval<Value> {
        let keys = self.mapped(each, items)?;
        let descending = match &each.extra {
            None => false,
            Some(order) => {
                let order = self.text(order)?;
                match order.get(self.event, self.pool) {
                    "asc" => false,
                    "desc" => true,
                    other => {
                        let message = alloc::format!("`{other}` is no order: use `asc` or `desc`");
                        return Err(EvalError::new(message));
                    }
                }
            }
        };
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut failed = None;
        order.sort_by(|a, b| match self.order(&keys[*a], &keys[*b]) {
            Ok(ordering) if descending => ordering.reverse(),
            Ok(ordering) => ordering,
            Err(error) => {
                failed.get_or_insert(error);
                Ordering::Equal
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(Value::list(order.into_iter().map(|index| items[index].clone()).collect())),
        }
    }

    fn reduce(&mut self, each: &Each, items: &[Value]) -> Eval<Value> {
        let body: &Expr =
            each.body.as_ref().ok_or_else(|| EvalError::new("reduce needs a closure"))?;
        let (mut acc, skip) = match &each.extra {
            Some(first) => (self.eval(first)?, 0),
            None => {
                let first = items.first().cloned();
                (first.ok_or_else(|| EvalError::new("reduce of an empty list"))?, 1)
            }
        };
        for (index, item) in items.iter().enumerate().skip(skip) {
            self.enter(each, item, index, acc);
            acc = self.eval(body)?;
            self.weigh(&acc)?;
        }
        Ok(acc)
    }
}
