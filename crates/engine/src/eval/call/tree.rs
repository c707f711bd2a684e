//! JSON, XML, key-value text, base64.

use super::{Args, Cx, Eval, Value, checked};
use crate::builtins::{json, json_path, kv, url};
use crate::eval::tree::{from_json, from_pairs};
use crate::function::Function as F;
use crate::value::{Map, Missing};
use alloc::{borrow::ToOwned, string::String, sync::Arc, vec::Vec};
use json_path::JsonPath;

impl Cx<'_> {
    pub(super) fn tree_helper(&mut self, args: &Args<'_>) -> Eval<Value> {
        let owned = match args.function {
            F::JsonExtract => {
                let of = args.text(0)?.get(self.event, self.pool);
                let path = args.text(1)?.get(self.event, self.pool);
                json_path::json_extract(of, self.scratch.json_path(path)).to_owned()
            }
            F::JsonExtractLib => {
                let path = self.segments(args)?;
                json_path::json_extract(args.str(0, self)?, &path).to_owned()
            }
            F::JsonExtractUnescape => {
                let path = self.segments(args)?;
                json_path::json_extract_unescape(args.str(0, self)?, &path)
            }
            F::JsonExtractSlice => {
                let path = JsonPath::compile(args.str(1, self)?);
                let found = json_path::json_extract_slice(args.str(0, self)?, &path);
                let items = found.unwrap_or_default().into_iter().map(from_json).collect();
                return self.made(Value::list(items));
            }
            F::JsonExtractObject => {
                let path = JsonPath::compile(args.str(1, self)?);
                let found = json_path::json_extract_object(args.str(0, self)?, &path);
                return self.made(from_pairs(found.unwrap_or_default()));
            }
            F::ToJsonString => self.json(args.get(0)?).to_compact().unwrap_or_default(),
            F::ToJson => checked(args, self.json(args.get(0)?).to_indented("  "))?,
            F::FromJson => {
                let parsed = json::Json::parse(args.str(0, self)?);
                return parsed.map(from_json).map_err(|error| args.failed(&error));
            }
            F::ToBase64 => url::base64_encode(args.str(0, self)?.as_bytes()),
            F::FromBase64 => checked(args, url::b64_decode(args.str(0, self)?))?,
            F::UnmarshalJson => return self.unmarshal_json(args),
            F::ParseKv | F::ParseKvLax => return self.parse_kv(args),
            F::XmlGetNodeValue => {
                let of = args.text(0)?.get(self.event, self.pool);
                let path = args.text(1)?.get(self.event, self.pool);
                let found = self.scratch.xml(of, path);
                found.map_or("", |(document, path)| document.node_value(path)).to_owned()
            }
            F::XmlGetAttributeValue => {
                let of = args.text(0)?.get(self.event, self.pool);
                let path = args.text(1)?.get(self.event, self.pool);
                let name = args.text(2)?.get(self.event, self.pool);
                let found = self.scratch.xml(of, path);
                found.map_or("", |(document, path)| document.attribute_value(path, name)).to_owned()
            }
            _ => return Err(args.misused()),
        };
        Ok(self.literal(&owned))
    }

    /// A JSON path from the arguments after the first.
    fn segments(&self, args: &Args<'_>) -> Eval<JsonPath> {
        let steps: Vec<&str> =
            (1..args.values.len()).map(|index| args.str(index, self)).collect::<Eval<_>>()?;
        Ok(JsonPath::from_steps(steps))
    }

    fn unmarshal_json(&mut self, args: &Args<'_>) -> Eval<Value> {
        let tree = match json::Json::parse(args.str(0, self)?) {
            Ok(tree) => from_json(tree),
            Err(error) => {
                self.outside.note(&error);
                return Err(args.failed(&error));
            }
        };
        self.store(args, tree)
    }

    fn parse_kv(&mut self, args: &Args<'_>) -> Eval<Value> {
        let of = args.str(0, self)?;
        let mut map = Map { missing: Missing::Text, ..Map::default() };
        if args.function == F::ParseKv {
            for (key, value) in kv::parse_kv(of).map_err(|error| args.failed(&error))? {
                map.entries.insert(Arc::from(key), Value::shared(value));
            }
        } else {
            for (key, value) in kv::parse_kv_lax(of).map_err(|error| args.failed(&error))? {
                map.entries.insert(Arc::from(key), Value::shared(&value));
            }
        }
        let key = String::from(args.str(2, self)?);
        if let Some(old) = self.event.unmarshaled.entries.get(key.as_str()) {
            let Value::Map(old) = old else {
                return Err(args.failed("the key already holds something else"));
            };
            if old.missing != Missing::Text {
                return Err(args.failed("the key already holds something else"));
            }
            let mut merged = Map::clone(old);
            merged.entries.append(&mut map.entries);
            map = merged;
        }
        self.store(args, Value::Map(Arc::new(map)))
    }

    /// Stores a tree under the key that is the third argument. The map that is the second one can
    /// only be `evt.Unmarshaled`: no other map in reach of an expression can be written.
    fn store(&mut self, args: &Args<'_>, tree: Value) -> Eval<Value> {
        if !matches!(args.get(1)?, Value::Map(_)) {
            return Err(args.not_a("map", args.get(1)?));
        }
        let key = Arc::from(args.str(2, self)?);
        self.event.unmarshaled.entries.insert(key, tree);
        Ok(Value::Nil)
    }
}
