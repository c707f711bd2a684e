//! Labels: what an author says about a scenario, in any shape.

use crate::reader::{Fields, Reader};
use core::fmt;
use syntax::yaml::{Node, Yaml};

/// The pairs of a scenario's `labels`, in order.
pub type Labels = Vec<(String, Label)>;

/// One value: YAML without anchors, tags and places.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// Nothing.
    Null,
    /// A boolean, by the words of YAML 1.1.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Pairs, in order.
    Map(Vec<(String, Self)>),
}

impl fmt::Display for Label {
    /// Writes the value as one text: `true`, `[ssh linux]`, `map[a:1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) => write!(f, "{float}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let blank = if index == 0 { "" } else { " " };
                    write!(f, "{blank}{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("map[")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let blank = if index == 0 { "" } else { " " };
                    write!(f, "{blank}{key}:{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Reads the labels of a scenario.
pub(super) fn labels(fields: &Fields<'_>, reader: &mut Reader) -> Labels {
    let Some(value) = fields.value("labels") else { return Vec::new() };
    match value.as_map() {
        Some(pairs) => label_pairs(pairs, reader),
        None => {
            reader.wrong_type("`labels`", "a map", value);
            Vec::new()
        }
    }
}

fn label_pairs(pairs: &[(Yaml, Yaml)], reader: &mut Reader) -> Labels {
    let mut labels = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        match key.as_str() {
            Some(name) => labels.push((name.to_owned(), label(value, reader))),
            None => reader.wrong_type("a label's name", "a text", key),
        }
    }
    labels
}

fn label(yaml: &Yaml, reader: &mut Reader) -> Label {
    match &yaml.node {
        Node::Seq(items) => Label::List(items.iter().map(|item| label(item, reader)).collect()),
        Node::Map(pairs) => Label::Map(label_pairs(pairs, reader)),
        Node::Scalar(scalar) => {
            if scalar.is_null() {
                return Label::Null;
            }
            let bool = scalar.as_bool().map(Label::Bool);
            let int = || scalar.as_int().map(Label::Int);
            let float = || scalar.as_float().map(Label::Float);
            bool.or_else(int).or_else(float).unwrap_or_else(|| Label::Text(scalar.text.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_written_as_one_text() {
        let text = |text: &str| Label::Text(text.to_owned());
        let map = Label::Map(vec![("a".to_owned(), Label::Int(1)), ("b".to_owned(), text("x"))]);
        assert_eq!(map.to_string(), "map[a:1 b:x]");
        let list = Label::List(vec![Label::Bool(true), Label::Float(0.5), Label::Null, text("y")]);
        assert_eq!(list.to_string(), "[true 0.5  y]");
    }
}
