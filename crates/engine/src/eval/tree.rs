//! Between values and the trees of the helpers: JSON and what `Sprintf` prints.

use super::Cx;
use crate::builtins::json::Json;
use crate::builtins::sprintf::{Arg, Elements, to_text};
use crate::value::{EventRef, Map, Missing, Value};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

/// Reads JSON into a value. Numbers are floats, as Go decodes them.
///
/// # Errors
/// The text is not JSON, or is nested too deep.
pub fn parse_json(text: &str) -> Result<Value, String> {
    Json::parse(text).map(from_json)
}

/// A compact JSON array of texts, as Go prints it: `<`, `>` and `&` are escaped.
#[must_use]
pub fn json_texts(texts: &[String]) -> String {
    let list = Json::List(texts.iter().map(|text| Json::Text(text.clone())).collect());
    list.to_compact().unwrap_or_default()
}

/// A JSON tree as a value.
pub(crate) fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(value),
        Json::Int(value) => Value::Int(value),
        Json::Number(value) => Value::Float(value),
        Json::Text(text) => Value::shared(&text),
        Json::List(items) => Value::list(items.into_iter().map(from_json).collect()),
        Json::Map(pairs) => from_pairs(pairs),
    }
}

/// A JSON object as a value.
pub(crate) fn from_pairs(pairs: BTreeMap<String, Json>) -> Value {
    let entries =
        pairs.into_iter().map(|(key, value)| (Arc::from(key.as_str()), from_json(value))).collect();
    Value::Map(Arc::new(Map { missing: Missing::Nil, entries }))
}

impl Cx<'_> {
    /// A value as a JSON tree.
    pub(crate) fn json(&self, value: &Value) -> Json {
        match value {
            Value::Nil => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) | Value::Duration(value) => Json::Int(*value),
            Value::Float(value) => Json::Number(*value),
            Value::Text(text) => Json::Text(self.str(text).to_owned()),
            Value::Bytes(bytes) => Json::Text(crate::builtins::url::base64_encode(bytes)),
            Value::Time(time) => {
                Json::Text(crate::builtins::rfc3339::format_rfc3339_nano((*time).into()))
            }
            Value::List(items) => Json::List(items.iter().map(|item| self.json(item)).collect()),
            Value::Map(map) => Json::Map(
                map.entries
                    .iter()
                    .map(|(key, value)| (String::from(&**key), self.json(value)))
                    .collect(),
            ),
            Value::Object(object) => Json::Map(
                object
                    .fields
                    .iter()
                    .map(|(name, value)| (String::from(*name), self.json(value)))
                    .collect(),
            ),
            Value::Fields(..) => self.json(&self.lasting(value.clone())),
            Value::Event(EventRef::Current | EventRef::Kept(_)) => Json::Map(BTreeMap::new()),
        }
    }

    /// A value as `Sprintf` takes it.
    pub(crate) fn printable<'v>(&'v self, value: &'v Value) -> Arg<'v> {
        match value {
            Value::Nil => Arg::Nil,
            Value::Bool(value) => Arg::Bool(*value),
            Value::Int(value) => Arg::Int(*value),
            Value::Float(value) => Arg::Float(*value),
            Value::Duration(value) => Arg::Duration(*value),
            Value::Time(time) => Arg::Time((*time).into()),
            Value::Text(text) => Arg::Text(self.str(text)),
            Value::Bytes(bytes) => {
                let bytes = bytes.iter().map(|byte| Arg::Int(i64::from(*byte))).collect();
                Arg::List(bytes, Elements::Any)
            }
            Value::List(items) => {
                let kind = if items.iter().all(|item| matches!(item, Value::Text(_))) {
                    Elements::Text
                } else {
                    Elements::Any
                };
                Arg::List(items.iter().map(|item| self.printable(item)).collect(), kind)
            }
            Value::Map(map) => {
                let kind = match map.missing {
                    Missing::Text => Elements::Text,
                    Missing::Nil | Missing::List | Missing::MapOfLists => Elements::Any,
                };
                let pairs = map.entries.iter().map(|(key, value)| (&**key, self.printable(value)));
                Arg::Map(pairs.collect(), kind)
            }
            Value::Object(object) => {
                let values = object.fields.iter().map(|(_, value)| self.printable(value));
                Arg::List(values.collect(), Elements::Any)
            }
            Value::Fields(EventRef::Current, space) => {
                let pairs = self.event.pairs(*space, self.pool);
                let pairs = pairs.into_iter().map(|(key, text)| (key, Arg::Text(text)));
                Arg::Map(pairs.collect(), Elements::Text)
            }
            Value::Fields(EventRef::Kept(kept), space) => {
                let pairs = kept.pairs(*space, self.pool);
                let pairs = pairs.into_iter().map(|(key, text)| (key, Arg::Text(text)));
                Arg::Map(pairs.collect(), Elements::Text)
            }
            Value::Event(_) => Arg::Text("event"),
        }
    }

    /// A value as Go's `%v` prints it.
    #[must_use]
    pub fn print(&self, value: &Value) -> String {
        match value {
            Value::Text(text) => self.str(text).to_owned(),
            other => to_text(&self.printable(other)),
        }
    }

    /// A list of texts, or an error that names what it is instead.
    pub(crate) fn texts_of<'v>(&'v self, value: &'v Value) -> super::Eval<Vec<&'v str>> {
        let Value::List(items) = value else { return Err(super::not_a("list of strings", value)) };
        items
            .iter()
            .map(|item| match item {
                Value::Text(text) => Ok(self.str(text)),
                other => Err(super::EvalError::new(format!(
                    "{} in a list of strings",
                    other.type_name()
                ))),
            })
            .collect()
    }
}
