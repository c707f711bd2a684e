//! The expression language of filters, statics and assertions: from text to a checked tree.
//!
//! The language is expr-lang 1.17 as detection rules use it. Text is cut into tokens ([`lex`]),
//! read into a tree ([`parse`], [`ast`]), and checked against the environment of the place it was
//! written in ([`check`]); what the tree's names mean is left in a table beside it. Nothing here
//! knows how an expression is run.
//!
//! What may be called is listed in [`engine::function`], so that the evaluator knows the same list.
//!
//! Every function takes any text: time is linear in its length, recursion and the number of nodes
//! are bounded, and what is wrong comes back as an [`ExprError`] with a place (I14).
//!
//! Reading order: [`ast`], [`lex`], [`parse`], [`types`], [`objects`],
//! [`signatures`], [`check`].

pub mod ast;
pub mod check;
pub mod codes;
pub mod lex;
pub mod objects;
pub mod parse;
mod print;
pub mod signatures;
pub mod types;

use ast::{Ast, Span};
use check::{Checked, PatternCheck, Wanted};
use core::ops::Range;
use objects::Place;
use syntax::{Code, Diagnostic};

/// Reads `text` and checks it against the place it was written in.
///
/// ```
/// use rules::expr::check::Wanted;
/// use rules::expr::objects::Place;
///
/// let pattern = |_: &str| Ok(());
/// let text = "evt.Mata.service == 'ssh'";
/// let errors = rules::expr::read(text, Place::Event, Wanted::Bool, &pattern).unwrap_err();
/// assert_eq!(errors[0].message, "an event has no field `Mata`");
/// assert_eq!(errors[0].help.as_deref(), Some("did you mean `Meta`?"));
/// ```
///
/// # Errors
///
/// The first mistake in the text, or all mistakes in what it means.
pub fn read(
    text: &str,
    place: Place,
    wanted: Wanted,
    pattern: PatternCheck<'_>,
) -> Result<(Ast, Checked), Vec<ExprError>> {
    let ast = parse::parse(text).map_err(|error| vec![*error])?;
    let checked = check::check(&ast, place, wanted, pattern)?;
    Ok((ast, checked))
}

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

    /// Turns the error into a diagnostic; `locate` tells where a range of the text is written.
    pub fn into_diagnostic(self, locate: impl Fn(Range<usize>) -> syntax::Span) -> Diagnostic {
        let place = |span: Span| locate(span.start as usize..span.end as usize);
        let mut diagnostic = Diagnostic::error(self.code, self.message).at(place(self.span), "");
        if let Some((span, shows)) = self.see {
            diagnostic = diagnostic.see(place(span), shows);
        }
        match (self.help, self.replacement) {
            (Some(help), Some((span, with))) => diagnostic.fix(help, place(span), with),
            (Some(help), None) => diagnostic.help(help),
            (None, Some((span, with))) => {
                diagnostic.fix(format!("write `{with}`"), place(span), with)
            }
            (None, None) => diagnostic,
        }
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
