//! Texts, URLs.

use super::{Args, Cx, Eval, Value, checked, texts};
use crate::builtins::{glob, number, sprintf, text, url};
use crate::function::Function as F;
use crate::value::{Map, Missing, Text};
use alloc::{borrow::ToOwned, string::String, sync::Arc, vec::Vec};
use text::Cut;

impl Cx<'_> {
    pub(super) fn text_helper(&mut self, args: &Args<'_>) -> Eval<Value> {
        let owned: String = match args.function {
            F::Upper
            | F::UpperBuiltin
            | F::Lower
            | F::LowerBuiltin
            | F::PathUnescape
            | F::QueryUnescape => {
                return Ok(Value::Text(self.text_function(args.function, args.text(0)?)));
            }
            F::Split
            | F::SplitAfter
            | F::SplitN
            | F::SplitAfterN
            | F::SplitBuiltin
            | F::SplitAfterBuiltin => {
                let cut = match args.function {
                    F::SplitAfter | F::SplitAfterN | F::SplitAfterBuiltin => Cut::After,
                    _ => Cut::Around,
                };
                let limit = if args.values.len() > 2 { args.int(2)? } else { -1 };
                let (of, by) = (args.str(0, self)?, args.str(1, self)?);
                let pieces = texts(text::split(of, by, limit, cut));
                return self.made(pieces);
            }
            F::Fields => {
                let pieces = texts(text::fields(args.str(0, self)?));
                return self.made(pieces);
            }
            F::Index | F::IndexOf => {
                return position(text::index(args.str(0, self)?, args.str(1, self)?));
            }
            F::LastIndexOf => {
                return position(text::last_index(args.str(0, self)?, args.str(1, self)?));
            }
            F::IndexAny => {
                return position(text::index_any(args.str(0, self)?, args.str(1, self)?));
            }
            F::HasPrefix => {
                return Ok(Value::Bool(args.str(0, self)?.starts_with(args.str(1, self)?)));
            }
            F::HasSuffix => {
                return Ok(Value::Bool(args.str(0, self)?.ends_with(args.str(1, self)?)));
            }
            F::Match => {
                return Ok(Value::Bool(glob::glob_match(args.str(0, self)?, args.str(1, self)?)));
            }
            F::Atof => return Ok(Value::Float(number::atof(args.str(0, self)?))),
            F::Get => return self.get_text(args),
            F::ParseUri | F::ParseQuery => return self.query(args),
            F::ExtractQueryParam => {
                let found = url::extract_query_param(args.str(0, self)?, args.str(1, self)?);
                return self.made(texts(found));
            }
            F::LogInfo => {
                let line = self.sprintf(args)?;
                self.outside.note(&line);
                return Ok(Value::Bool(true));
            }
            F::ToString => {
                return Ok(match args.get(0)? {
                    value @ Value::Text(_) => value.clone(),
                    _ => self.literal(""),
                });
            }
            F::Sprintf => self.sprintf(args)?,
            F::Hostname => {
                self.outside.hostname().ok_or_else(|| args.failed("the host has no name"))?
            }
            F::B64Decode => checked(args, url::b64_decode(args.str(0, self)?))?,
            F::Join | F::JoinBuiltin => {
                let items = self.texts_of(args.get(0)?)?;
                let separator = if args.values.len() > 1 { args.str(1, self)? } else { "" };
                checked(args, text::join(&items, separator))?
            }
            F::Replace | F::ReplaceBuiltin => {
                let limit = if args.values.len() > 3 { args.int(3)? } else { -1 };
                let (of, old, new) = (args.str(0, self)?, args.str(1, self)?, args.str(2, self)?);
                checked(args, text::replace(of, old, new, limit))?
            }
            F::ReplaceAll => {
                let (of, old, new) = (args.str(0, self)?, args.str(1, self)?, args.str(2, self)?);
                checked(args, text::replace(of, old, new, -1))?
            }
            F::Repeat => checked(args, text::repeat(args.str(0, self)?, args.int(1)?))?,
            F::Trim => text::trim(args.str(0, self)?, args.str(1, self)?).to_owned(),
            F::TrimBuiltin if args.values.len() > 1 => {
                text::trim(args.str(0, self)?, args.str(1, self)?).to_owned()
            }
            F::TrimBuiltin | F::TrimSpace => text::trim_space(args.str(0, self)?).to_owned(),
            F::TrimLeft => text::trim_left(args.str(0, self)?, args.str(1, self)?).to_owned(),
            F::TrimRight => text::trim_right(args.str(0, self)?, args.str(1, self)?).to_owned(),
            F::TrimPrefix | F::TrimPrefixBuiltin => {
                text::trim_prefix(args.str(0, self)?, args.str(1, self)?).to_owned()
            }
            F::TrimSuffix | F::TrimSuffixBuiltin => {
                text::trim_suffix(args.str(0, self)?, args.str(1, self)?).to_owned()
            }
            F::PathEscape => url::path_escape(args.str(0, self)?),
            F::QueryEscape => url::query_escape(args.str(0, self)?),
            F::Basename => text::basename(args.str(0, self)?).to_owned(),
            _ => return Err(args.misused()),
        };
        Ok(self.literal(&owned))
    }

    /// Changes the case of a text or decodes it. Nearly all texts are ASCII and change in place, and
    /// most have nothing to decode and stay what they are. hot: `cargo xtask bench engine`
    pub(in crate::eval) fn text_function(&mut self, function: F, of: &Text) -> Text {
        let text = self.str(of);
        let changed = match function {
            F::Upper | F::UpperBuiltin | F::Lower | F::LowerBuiltin => {
                let upper = matches!(function, F::Upper | F::UpperBuiltin);
                if text.is_ascii() {
                    return self.event.push_ascii_case(of, upper, self.pool);
                }
                if upper { text::upper(text) } else { text::lower(text) }
            }
            _ => {
                let is_query = function == F::QueryUnescape;
                let encoded = memchr::memchr(b'%', text.as_bytes()).is_some()
                    || (is_query && text.contains('+'));
                if !encoded {
                    return of.clone();
                }
                let decoded =
                    if is_query { url::query_unescape(text) } else { url::path_unescape(text) };
                decoded.into_owned()
            }
        };
        self.event.push(&changed)
    }

    /// `Get(list, i)`: empty past the end; negative is an error.
    fn get_text(&mut self, args: &Args<'_>) -> Eval<Value> {
        let index = usize::try_from(args.int(1)?).map_err(|_| args.failed("negative index"))?;
        match args.get(0)? {
            Value::List(items) => {
                Ok(items.get(index).cloned().unwrap_or_else(|| Value::shared("")))
            }
            other => Err(args.not_a("list", other)),
        }
    }

    fn query(&mut self, args: &Args<'_>) -> Eval<Value> {
        let of = args.str(0, self)?;
        let query = if args.function == F::ParseQuery {
            url::parse_query(of)
        } else {
            url::parse_uri(of).unwrap_or_else(|error| {
                self.outside.note(&error);
                url::Query::new()
            })
        };
        let entries =
            query.into_iter().map(|(key, values)| (Arc::from(key.as_str()), texts(values)));
        let map = Map { missing: Missing::List, entries: entries.collect() };
        self.made(Value::Map(Arc::new(map)))
    }

    fn sprintf(&self, args: &Args<'_>) -> Eval<String> {
        let format = args.str(0, self)?;
        let rest: Vec<sprintf::Arg<'_>> =
            args.values[1..].iter().map(|value| self.printable(value)).collect();
        Ok(sprintf::sprintf(format, &rest))
    }

    /// Counts the elements of a new list or map.
    pub(super) fn made(&mut self, value: Value) -> Eval<Value> {
        let n = match &value {
            Value::List(items) => items.len(),
            Value::Map(map) => map.entries.len(),
            _ => 0,
        };
        self.spend(n)?;
        Ok(value)
    }
}

fn position(at: Option<usize>) -> Eval<Value> {
    Ok(Value::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
}
