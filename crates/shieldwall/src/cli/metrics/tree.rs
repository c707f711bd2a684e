//! Named numbers, nested.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A number, a text, or more of them with names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Map(BTreeMap<String, Self>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

impl Node {
    /// The node at a path, made where there is none. A number in the way becomes a map.
    pub(super) fn at(&mut self, path: &[&str]) -> &mut Self {
        let Some((first, rest)) = path.split_first() else { return self };
        if !matches!(self, Self::Map(_)) {
            *self = Self::default();
        }
        match self {
            Self::Map(map) => map.entry((*first).to_owned()).or_default().at(rest),
            // Was made a map just now.
            Self::Number(_) | Self::Text(_) => self,
        }
    }

    /// Adds to the number at a path.
    pub(super) fn add(&mut self, path: &[&str], by: f64) {
        let node = self.at(path);
        let before = match node {
            Self::Number(number) => *number,
            Self::Text(_) | Self::Map(_) => 0.0,
        };
        *node = Self::Number(before + by);
    }

    /// What has a name here, by name.
    pub(super) fn children(&self) -> impl Iterator<Item = (&String, &Self)> {
        let map = match self {
            Self::Map(map) => Some(map),
            Self::Number(_) | Self::Text(_) => None,
        };
        map.into_iter().flatten()
    }

    /// The child with a name.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(name),
            Self::Number(_) | Self::Text(_) => None,
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(whole(*number)),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

/// A number without its fraction, within the range of whole numbers.
#[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate, which is meant")]
pub(in crate::cli) fn whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_where_they_are_named() {
        let mut root = Node::default();
        root.add(&["a", "b"], 1.5);
        root.add(&["a", "b"], 1.25);
        root.add(&["a", "c"], f64::NAN);
        *root.at(&["d"]) = Node::Text("x".to_owned());
        let json = serde_json::to_string(&root).unwrap();
        assert_eq!(json, r#"{"a":{"b":2,"c":0},"d":"x"}"#);
        assert_eq!(root.children().count(), 2);
        assert_eq!(root.get("a").and_then(|it| it.get("b")), Some(&Node::Number(2.75)));
    }
}
