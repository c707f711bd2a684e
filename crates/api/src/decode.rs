//! Reads request bodies, and says in the words of Go's decoder why one cannot be read.
//!
//! COMPAT(crowdsec): agents, bouncers and scripts show these words to people and look for them in
//! logs. Bodies are read by serde; only one that it refuses is looked at again, first for its
//! grammar ([`scan`]), then for the types of its fields against a [`Shape`] ([`shapes`]).
//! As with Go's decoder, what follows the first JSON value is not looked at.

mod scan;
mod shapes;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Deserializer, Value};

/// Something that is sent to the local API as the body of a request.
pub trait Body: DeserializeOwned {
    /// What the fields are in Go.
    #[doc(hidden)]
    const SHAPE: Shape;
}

/// What Go expects in a place of a document, and how it names that.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A text.
    Text,
    /// A flag.
    Flag,
    /// A whole number of so many bits.
    Whole(u32),
    /// A number of so many bits with a fraction.
    Float(u32),
    /// Anything.
    Any,
    /// A list: its type, and its elements.
    List(&'static str, &'static Self),
    /// Values by name: its type, and the values.
    Map(&'static str, &'static Self),
    /// Named fields. The type is empty where the fields count as those of what is around it.
    Struct(&'static str, &'static [(&'static str, Self)]),
}

/// Reads a body. A list in the place of a structure is taken for its fields, where Go refuses it.
///
/// ```
/// let login: api::Login = api::decode::read(br#"{"machine_id":"m"}"#).unwrap();
/// assert_eq!(login.machine_id.as_deref(), Some("m"));
/// assert_eq!(api::decode::read::<api::Login>(b"{").err().unwrap(), "unexpected EOF");
/// ```
///
/// # Errors
/// Why it cannot be read, as Go's decoder says it.
pub fn read<T: Body>(body: &[u8]) -> Result<T, String> {
    T::deserialize(&mut Deserializer::from_slice(body))
        .map_err(|error| complaint(body, &T::SHAPE).unwrap_or_else(|| format!("json: {error}")))
}

/// What Go's decoder finds wrong. `None` where it would not mind.
fn complaint(body: &[u8], shape: &Shape) -> Option<String> {
    if let Err(wrong) = scan::scan(body) {
        return Some(wrong);
    }
    let value = Value::deserialize(&mut Deserializer::from_slice(body)).ok()?;
    // The depth of `value` is limited by its parser, and with it the depth of this walk.
    mismatch(&value, shape, "", &mut Vec::new())
}

/// The first place whose value does not fit. `root` is the structure it stands in.
fn mismatch<'a>(
    value: &'a Value,
    shape: &Shape,
    root: &str,
    path: &mut Vec<&'a str>,
) -> Option<String> {
    let wrong = || Some(sentence(value, shape, root, path));
    match (shape, value) {
        (_, Value::Null) | (Shape::Any, _) => None,
        (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => None,
        (Shape::Whole(bits), Value::Number(number)) => {
            let limit = 1i128 << bits.saturating_sub(1);
            let fits = number.as_i128().is_some_and(|number| (-limit..limit).contains(&number));
            if fits { None } else { wrong() }
        }
        (Shape::Float(bits), Value::Number(number)) => {
            let limit = if *bits == 32 { f64::from(f32::MAX) } else { f64::MAX };
            let fits = number.as_f64().is_some_and(|number| number.abs() <= limit);
            if fits { None } else { wrong() }
        }
        (Shape::List(_, inner), Value::Array(items)) => {
            items.iter().find_map(|item| mismatch(item, inner, root, path))
        }
        (Shape::Map(_, inner), Value::Object(map)) => {
            map.values().find_map(|item| mismatch(item, inner, root, path))
        }
        (Shape::Struct(name, fields), Value::Object(map)) => {
            let root = if name.is_empty() { root } else { short(name) };
            map.iter().find_map(|(key, item)| {
                let (_, inner) = fields.iter().find(|(name, _)| name == key)?;
                path.push(key);
                let found = mismatch(item, inner, root, path);
                path.pop();
                found
            })
        }
        (
            Shape::Text
            | Shape::Flag
            | Shape::Whole(_)
            | Shape::Float(_)
            | Shape::List(..)
            | Shape::Map(..)
            | Shape::Struct(..),
            _,
        ) => wrong(),
    }
}

fn sentence(value: &Value, shape: &Shape, root: &str, path: &[&str]) -> String {
    let found = match (value, shape) {
        (Value::Number(number), Shape::Whole(_) | Shape::Float(_)) => format!("number {number}"),
        (Value::Number(_), _) => "number".to_owned(),
        (Value::Null, _) => "null".to_owned(),
        (Value::Bool(_), _) => "bool".to_owned(),
        (Value::String(_), _) => "string".to_owned(),
        (Value::Array(_), _) => "array".to_owned(),
        (Value::Object(_), _) => "object".to_owned(),
    };
    let wanted = match shape {
        Shape::Text => "string".to_owned(),
        Shape::Flag => "bool".to_owned(),
        Shape::Whole(bits) => format!("int{bits}"),
        Shape::Float(bits) => format!("float{bits}"),
        Shape::Any => "interface {}".to_owned(),
        Shape::List(name, _) | Shape::Map(name, _) | Shape::Struct(name, _) => (*name).to_owned(),
    };
    if path.is_empty() {
        return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
    }
    let field = path.join(".");
    format!("json: cannot unmarshal {found} into Go struct field {root}.{field} of type {wanted}")
}

/// A type without its package.
fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alert, BulkCheck, Login, Registration, metrics::AllMetrics};

    fn check<T: Body>(body: &str, want: &str) {
        assert_eq!(read::<T>(body.as_bytes()).err().as_deref(), Some(want), "{body}");
    }

    #[test]
    fn the_place_and_both_types_are_named() {
        for (body, want) in [
            ("{}", "object into Go value of type models.AddAlertsRequest"),
            ("[1]", "number into Go value of type models.Alert"),
            (
                r#"[{"capacity":"five"}]"#,
                "string into Go struct field Alert.capacity of type int32",
            ),
            (
                r#"[{"capacity":3000000000}]"#,
                "number 3000000000 into Go struct field Alert.capacity of type int32",
            ),
            (
                r#"[{"events_count":1.5}]"#,
                "number 1.5 into Go struct field Alert.events_count of type int32",
            ),
            (
                r#"[{"source":{"scope":1}}]"#,
                "number into Go struct field Source.source.scope of type string",
            ),
            (
                r#"[{"source":"x"}]"#,
                "string into Go struct field Alert.source of type models.Source",
            ),
            (
                r#"[{"decisions":[{"simulated":"no"}]}]"#,
                "string into Go struct field Decision.decisions.simulated of type bool",
            ),
            (
                r#"[{"events":{}}]"#,
                "object into Go struct field Alert.events of type []*models.Event",
            ),
            (
                r#"[{"events":[{"meta":[{"key":true}]}]}]"#,
                "bool into Go struct field MetaItems0.events.meta.key of type string",
            ),
        ] {
            check::<Vec<Alert>>(body, &format!("json: cannot unmarshal {want}"));
        }
        check::<Login>(
            r#"{"scenarios":"a"}"#,
            "json: cannot unmarshal string into Go struct field WatcherAuthRequest.scenarios of type []string",
        );
        check::<Registration>(
            r#"{"password":1}"#,
            "json: cannot unmarshal number into Go struct field WatcherRegistrationRequest.password of type string",
        );
        check::<BulkCheck>(
            r#"{"targets":[1]}"#,
            "json: cannot unmarshal number into Go struct field BulkCheckAllowlistRequest.targets of type string",
        );
        check::<AllMetrics>(
            r#"{"remediation_components":[{"utc_startup_timestamp":"now"}]}"#,
            "json: cannot unmarshal string into Go struct field AllMetrics.remediation_components.utc_startup_timestamp of type int64",
        );
        check::<AllMetrics>(
            r#"{"log_processors":[{"metrics":[{"items":[{"labels":{"a":1}}]}]}]}"#,
            "json: cannot unmarshal number into Go struct field AllMetrics.log_processors.metrics.items.labels of type string",
        );
    }

    #[test]
    fn what_follows_the_first_value_does_not_matter() {
        assert!(read::<Vec<Alert>>(b"[] trailing").is_ok());
    }

    #[test]
    fn nothing_is_too_deep() {
        let deep = "[".repeat(100_000);
        assert!(read::<Vec<Alert>>(deep.as_bytes()).is_err());
        let closed = format!(r#"{{"machine_id":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(read::<Login>(closed.as_bytes()).is_err());
    }
}
