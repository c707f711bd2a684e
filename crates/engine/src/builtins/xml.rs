//! XML documents as rules see them: elements, attributes, and the text at an element's beginning.
//!
//! The reader is our own because the logs are not XML by the book. Windows events copied from a
//! browser begin with `- <Event …>`, prefixes come undeclared, and upstream reads all of that; a
//! conforming parser refuses it. It is also strict where upstream is: tags must match, attributes
//! must be quoted, unknown entities are errors. Namespaces are not resolved; a prefix is a word.
//!
//! A document is read once and asked many times, some ten times per line. It keeps its own copy of
//! the text, so that it can be cached, and stores everything as ranges of that copy.
//!
//! Reading order: this file has the document, [`read`] fills it, [`path`] finds elements in it.
//!
//! INVARIANT: elements are in document order, an element's parent comes before it, and every range
//! lies in `buffer` on character boundaries. Nothing recurses into the depth of a document.

mod path;
mod read;

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::ops::Range;

pub use path::XmlPath;

/// A range of the document's buffer.
type Span = Range<u32>;

/// A document, ready to be asked.
#[derive(Debug, Default)]
pub struct XmlDoc {
    /// The text as given, then every piece of text that is not written in it literally.
    buffer: String,
    /// How much of the buffer is the text as given.
    text_len: usize,
    /// The elements; the first one stands for the document itself.
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
}

/// An element. Links are indexes; 0, the document, is nobody's child and so means "none".
#[derive(Debug, Default)]
struct Element {
    prefix: Span,
    name: Span,
    parent: u32,
    first_child: u32,
    last_child: u32,
    next_sibling: u32,
    n_children: u32,
    attributes: Range<u32>,
    /// The text between the opening tag and the first child.
    text: Span,
    /// Something other than text or a comment has come, so `text` is complete.
    text_ended: bool,
}

#[derive(Debug)]
struct Attribute {
    prefix: Span,
    name: Span,
    value: Span,
}

impl XmlDoc {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut document = Self::default();
        document.replace(text)?;
        Ok(document)
    }

    /// Reads another document in place of this one, reusing its memory. After an error the document
    /// is empty but still counts as the one of `text`.
    pub fn replace(&mut self, text: &str) -> Result<(), String> {
        self.buffer.clear();
        self.buffer.push_str(text);
        self.text_len = text.len();
        self.elements.clear();
        self.attributes.clear();
        self.elements.push(Element::default());
        let outcome = read::read(self);
        if outcome.is_err() {
            self.elements.truncate(1);
            self.elements[0] = Element::default();
            self.attributes.clear();
        }
        outcome
    }

    /// Returns the text this document was read from.
    pub fn source(&self) -> &str {
        &self.buffer[..self.text_len]
    }

    /// Returns what `XMLGetNodeValue` gives: the text at the beginning of the first element on a
    /// path, or nothing.
    pub fn node_value(&self, path: &XmlPath) -> &str {
        path.first(self).map_or("", |element| self.text(element))
    }

    /// Returns what `XMLGetAttributeValue` gives: an attribute of the first element on a path, or
    /// nothing. A name without a prefix also finds attributes that have one.
    pub fn attribute_value(&self, path: &XmlPath, name: &str) -> &str {
        let name = Name::new(name);
        path.first(self)
            .and_then(|element| self.attribute(element, &name))
            .map_or("", |attribute| self.slice(&attribute.value))
    }

    fn slice(&self, span: &Span) -> &str {
        self.buffer.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Compares without looking for the boundaries of characters.
    fn is(&self, span: &Span, text: &str) -> bool {
        self.buffer.as_bytes().get(span.start as usize..span.end as usize) == Some(text.as_bytes())
    }

    fn element(&self, id: u32) -> &Element {
        &self.elements[id as usize]
    }

    fn text(&self, id: u32) -> &str {
        self.slice(&self.element(id).text)
    }

    fn n_children(&self, id: u32) -> usize {
        self.element(id).n_children as usize
    }

    /// Returns the children of an element, in document order.
    fn children(&self, id: u32) -> impl Iterator<Item = u32> {
        let next = |id: u32| (id != 0).then_some(id);
        core::iter::successors(next(self.element(id).first_child), move |child| {
            next(self.element(*child).next_sibling)
        })
    }

    fn has_name(&self, id: u32, name: &Name) -> bool {
        let element = self.element(id);
        name.matches(self, &element.prefix, &element.name)
    }

    fn attribute(&self, id: u32, name: &Name) -> Option<&Attribute> {
        let range = &self.element(id).attributes;
        let attributes = self.attributes.get(range.start as usize..range.end as usize)?;
        attributes.iter().find(|found| name.matches(self, &found.prefix, &found.name))
    }
}

/// A name in a query. Without a prefix it matches any prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    prefix: String,
    local: String,
}

impl Name {
    fn new(name: &str) -> Self {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        Self { prefix: prefix.to_owned(), local: local.to_owned() }
    }

    fn matches(&self, document: &XmlDoc, prefix: &Span, local: &Span) -> bool {
        document.is(local, &self.local)
            && (self.prefix.is_empty() || document.is(prefix, &self.prefix))
    }
}

#[cfg(test)]
mod tests;
