//! YAML as a tree in which every node knows where it was written.
//!
//! Hides the YAML library: its events, its character counts and its wording. What comes out has
//! aliases replaced by what they name and merge keys by what they bring, so a reader of items sees
//! maps, lists and scalars and nothing else. Scalars are kept as text; whether `on` is a word or a
//! boolean is for the one who reads the field to decide, and [`Scalar`] answers by the rules of
//! YAML 1.1.
//!
//! INVARIANT: a tree is at most [`MAX_DEPTH`] deep and holds at most [`MAX_NODES`] nodes, whatever
//! the text, so walking one by recursion is safe.
//!
//! Reading order: the tree (here), `scalar`, `parse`, `repair`, `trace`,
//! `explain`.

mod scalar;

mod parse;

mod repair;

mod trace;

mod explain;

#[cfg(test)]
mod tests;

pub use parse::{MAX_BYTES, MAX_DEPTH, MAX_NODES, parse};
pub use scalar::{Scalar, ScalarStyle};

use crate::source::Span;

/// A node of a YAML document.
#[derive(Clone, Debug)]
pub struct Yaml {
    /// Where it was written: a scalar with its quotes, a map or a list from its first to its last
    /// character. What came through an alias keeps the place where it was written out.
    pub span: Span,
    /// What it is.
    pub node: Node,
    /// Its tag if it has one: `!local` as written, standard tags in full (`tag:yaml.org,2002:str`).
    pub tag: Option<String>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Node {
    /// A text, a number, a boolean or nothing.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Yaml>),
    /// A map, in the order written. Scalar keys are unique: of two equal ones the second was
    /// reported and dropped.
    Map(Vec<(Yaml, Yaml)>),
}

impl Yaml {
    /// Returns the scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.node {
            Node::Scalar(scalar) => Some(scalar),
            Node::Seq(_) | Node::Map(_) => None,
        }
    }

    /// Returns the text of a scalar of any style: what was written, without quotes and escapes.
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| scalar.text.as_str())
    }

    /// Returns the elements, if it is a list.
    pub fn as_seq(&self) -> Option<&[Self]> {
        match &self.node {
            Node::Seq(elements) => Some(elements),
            Node::Scalar(_) | Node::Map(_) => None,
        }
    }

    /// Returns keys and values, if it is a map.
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match &self.node {
            Node::Map(entries) => Some(entries),
            Node::Scalar(_) | Node::Seq(_) => None,
        }
    }

    /// Returns the value of `key`, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns `key` as it was written, and its value.
    pub fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(name, value)| (name, value))
    }

    /// Says whether it is a scalar that stands for nothing: `key:`, `key: ~` or `key: null`.
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(Scalar::is_null)
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_scalar()?.as_bool()
    }

    /// Returns the integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        self.as_scalar()?.as_int()
    }

    /// Returns the number, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        self.as_scalar()?.as_float()
    }

    /// Returns what a diagnostic calls this node: "a map", "a list", "a number" and so on.
    pub fn describe(&self) -> &'static str {
        match &self.node {
            Node::Seq(_) => "a list",
            Node::Map(_) => "a map",
            Node::Scalar(scalar) if scalar.is_null() => "nothing",
            Node::Scalar(scalar) if scalar.as_bool().is_some() => "a boolean",
            Node::Scalar(scalar) if scalar.as_float().is_some() => "a number",
            Node::Scalar(_) => "a text",
        }
    }
}
