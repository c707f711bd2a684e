//! Data files, stashes, the decision database.

use super::{Args, Cx, Eval, Value};
use crate::builtins::duration;
use crate::function::Function as F;
use alloc::{borrow::ToOwned, format, string::String};

impl Cx<'_> {
    pub(super) fn data_helper(&mut self, args: &Args<'_>) -> Eval<Value> {
        match args.function {
            F::File => {
                let name = args.str(0, self)?;
                match self.data.list(name) {
                    Some(file) => Ok(file.lines.clone()),
                    None => {
                        self.outside.note(&format!("data file `{name}` is not loaded"));
                        Ok(Value::texts([]))
                    }
                }
            }
            F::FileMap => {
                let file = self.data.map(args.str(0, self)?);
                Ok(Value::list(file.map(|file| file.rows.clone()).unwrap_or_default()))
            }
            F::RegexpInFile => {
                let name = args.text(1)?.get(self.event, self.pool);
                let Some((id, file)) = self.data.regex(name) else {
                    self.outside.note(&format!("data file `{name}` is not loaded"));
                    return Ok(Value::Bool(false));
                };
                let text = args.text(0)?;
                let text = text.get(self.event, self.pool);
                Ok(Value::Bool(file.set.is_match_any(self.scratch.set(id), text).is_some()))
            }
            F::LookupFile => {
                let text = args.text(0)?;
                let name = args.text(1)?.get(self.event, self.pool);
                let Some(index) = self.data.maps.iter().position(|file| &*file.name == name) else {
                    return Ok(self.literal(""));
                };
                let text = text.get(self.event, self.pool);
                let scratch = &mut *self.scratch;
                let tag = self.data.maps[index]
                    .tag(text, |row, regex| regex.is_match(scratch.map_regex(index, row), text))
                    .unwrap_or("");
                Ok(self.literal(tag))
            }
            F::GetFromStash => {
                let name = args.text(0)?.get(self.event, self.pool);
                let key = args.text(1)?.get(self.event, self.pool);
                let found = self.scratch.stashed(name, key, self.now).unwrap_or("").to_owned();
                Ok(self.literal(&found))
            }
            F::SetInStash => self.set_in_stash(args),
            F::GetDecisionsCount | F::GetDecisionsSinceCount | F::GetActiveDecisionsCount => {
                self.decisions_count(args)
            }
            F::GetActiveDecisionsTimeLeft => {
                let left = self.outside.history().active_time_left(args.str(0, self)?);
                let left = checked_history(args, left)?;
                Ok(Value::Duration(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)))
            }
            _ => Err(args.misused()),
        }
    }

    /// How many decisions there were. Where no profile is evaluated there are none (spec §6.7).
    fn decisions_count(&self, args: &Args<'_>) -> Eval<Value> {
        let (value, history) = (args.str(0, self)?, self.outside.history());
        let count = match args.function {
            F::GetDecisionsSinceCount => {
                let span = duration::parse_duration_with_days(args.str(1, self)?)
                    .map_err(|error| args.failed(&error))?;
                history.decisions_since(value, self.now.plus_nanos(span.saturating_neg()))
            }
            F::GetActiveDecisionsCount => history.active_decisions(value),
            _ => history.decisions(value),
        };
        let count = checked_history(args, count)?;
        Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    fn set_in_stash(&mut self, args: &Args<'_>) -> Eval<Value> {
        let ttl = match args.values.get(3) {
            None | Some(Value::Nil) => None,
            Some(Value::Int(nanos) | Value::Duration(nanos)) => Some(*nanos),
            Some(Value::Text(text)) => {
                let parsed = duration::parse_duration(self.str(text));
                Some(parsed.map_err(|error| args.failed(&error))?)
            }
            Some(other) => return Err(args.not_a("duration", other)),
        };
        let name = String::from(args.str(0, self)?);
        let key = args.text(1)?.get(self.event, self.pool);
        let value = args.text(2)?.get(self.event, self.pool);
        if !self.scratch.stash(&name, key, value, ttl, self.now) {
            self.outside.note(&format!("stash `{name}` is not declared"));
        }
        Ok(Value::Nil)
    }
}

/// What the store answered, or why it could not.
fn checked_history<T>(args: &Args<'_>, answer: Result<T, String>) -> Eval<T> {
    answer.map_err(|error| args.failed(&error))
}
