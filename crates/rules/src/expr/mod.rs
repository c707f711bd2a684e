//! The expression language of filters, statics and assertions: from text to a checked tree.
//!
//! The language is expr-lang 1.17 as detection rules use it. Text is cut into tokens ([`lex`]),
//! read into a tree ([`parse`], [`ast`]), and checked against the environment of the place it was
//! written in ([`check`]); what the tree's names mean is left in a table beside it. Nothing here
//! knows how an expression is run.
//!
//! Every function takes any text: time is linear in its length, recursion and the number of nodes
//! are bounded, and what is wrong comes back as an [`ExprError`] with a place (I14).
//!
//! Reading order: [`ast`], [`lex`], [`parse`], [`functions`], [`types`], [`objects`],
//! [`signatures`], [`check`].

pub mod ast;
pub mod check;
pub mod codes;
pub mod functions;
pub mod lex;
pub mod objects;
pub mod parse;
mod print;
pub mod signatures;
pub mod types;

use ast::Span;
use syntax::Code;

/// What is wrong with an expression, where, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// The kind of mistake.
    pub code: Code,
    /// One sentence about it.
    pub message: String,
    /// Where it is, in bytes of the expression's text.
    pub span: Span,
    /// Another place that explains the mistake, and what it shows.
    pub see: Option<(Span, String)>,
    /// What the author may do about it.
    pub help: Option<String>,
    /// The text that would put it right, and what it replaces.
    pub replacement: Option<(Span, String)>,
}

impl ExprError {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, see: None, help: None, replacement: None }
    }

    pub(crate) fn see(mut self, span: Span, shows: impl Into<String>) -> Self {
        self.see = Some((span, shows.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn replace(mut self, span: Span, with: impl Into<String>) -> Self {
        self.replacement = Some((span, with.into()));
        self
    }

    /// Suggests the known name nearest to the one written at `span`, if one is near.
    pub(crate) fn suggest<'a>(
        self,
        wanted: &str,
        span: Span,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match syntax::nearest(wanted, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")).replace(span, name),
            None => self,
        }
    }
}
