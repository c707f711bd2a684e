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
            // Without a database there are no decisions (spec §6.7).
            F::GetDecisionsCount | F::GetDecisionsSinceCount | F::GetActiveDecisionsCount => {
                args.str(0, self)?;
                Ok(Value::Int(0))
            }
            F::GetActiveDecisionsTimeLeft => {
                args.str(0, self)?;
                Ok(Value::Duration(0))
            }
            _ => Err(args.misused()),
        }
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
