//! What is wrong with an author's text, where, and what to do about it.
//!
//! A [`Diagnostic`] is plain data and is never thrown: whoever finds one pushes it into
//! [`Diagnostics`] and reads on, so that one run reports every mistake of every file.

use crate::codes::Code;
use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Severity {
    /// What was written cannot be used; the item it belongs to is left out.
    Error,
    /// What was written can be used but hardly means what its author thinks.
    Warning,
}

/// One mistake in an author's text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a diagnostic that is not pushed is never seen"]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of mistake this is.
    pub code: Code,
    /// What is wrong, in one sentence without a final stop.
    pub message: String,
    /// The places that are wrong. The first one decides where the diagnostic is listed.
    pub at: Vec<Label>,
    /// The places that explain why.
    pub see: Vec<Label>,
    /// What to do about it, in the order to be read.
    pub help: Vec<Help>,
}

/// A place and what there is to say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words to write under it; may be empty.
    pub text: String,
}

/// Something that helps to put a mistake right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Help {
    /// A piece of advice.
    Advice(String),
    /// A fact worth knowing.
    Note(String),
    /// A replacement that can be pasted.
    Fix {
        /// What the replacement does.
        text: String,
        /// The bytes to be replaced.
        span: Span,
        /// What to write there instead.
        replacement: String,
    },
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// Makes a warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        Self { severity, code, message, at: Vec::new(), see: Vec::new(), help: Vec::new() }
    }

    /// Adds a place that is wrong.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.at.push(Label { span, text: label.into() });
        self
    }

    /// Adds a place that explains why.
    pub fn see(mut self, span: Span, label: impl Into<String>) -> Self {
        self.see.push(Label { span, text: label.into() });
        self
    }

    /// Adds a piece of advice.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(Help::Advice(text.into()));
        self
    }

    /// Adds a fact worth knowing.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.help.push(Help::Note(text.into()));
        self
    }

    /// Adds a replacement for `span` that can be pasted.
    pub fn fix(
        mut self,
        text: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> Self {
        self.help.push(Help::Fix { text: text.into(), span, replacement: replacement.into() });
        self
    }

    /// Returns the place the diagnostic is listed under, if it has one.
    pub fn place(&self) -> Option<Span> {
        self.at.first().or_else(|| self.see.first()).map(|label| label.span)
    }
}

/// All that was found wrong, in the order it was found until sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Adds several, for example another collection.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(diagnostics);
    }

    /// Says whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Says whether an error was found; warnings do not count.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Says whether an error was found within `span`, for example within one document of a file.
    pub fn has_errors_in(&self, span: Span) -> bool {
        self.found.iter().any(|diagnostic| {
            diagnostic.severity == Severity::Error
                && diagnostic.at.iter().any(|label| span.contains(label.span))
        })
    }

    /// Returns how many were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns all of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// Returns all of them as a list.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Puts them into the order of the texts they speak of. Those without a place come first, and
    /// those about the same place stay in the order they were found.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|diagnostic| diagnostic.place().map(|span| (span.file, span.start)));
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::source::FileId;

    #[test]
    fn sorting_follows_the_text_and_keeps_ties() {
        let at = |file, start| Span::new(FileId(file), start, start + 1);
        let mut diags = Diagnostics::new();
        diags.push(Diagnostic::error(codes::YAML_SYNTAX, "third").at(at(1, 5), ""));
        diags.push(Diagnostic::warning(codes::YAML_SYNTAX, "second").at(at(0, 9), ""));
        diags.push(Diagnostic::error(codes::YAML_SYNTAX, "fourth").at(at(1, 5), ""));
        diags.push(Diagnostic::error(codes::YAML_SYNTAX, "first"));
        diags.sort();
        let order: Vec<&str> = diags.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(order, ["first", "second", "third", "fourth"]);
    }

    #[test]
    fn warnings_are_not_errors() {
        let mut diags = Diagnostics::new();
        let span = Span::new(FileId(0), 4, 6);
        diags.push(Diagnostic::warning(codes::YAML_SYNTAX, "hm").at(span, ""));
        assert!(!diags.has_errors() && !diags.has_errors_in(span));
        diags.extend([Diagnostic::error(codes::YAML_SYNTAX, "no").at(span, "")]);
        assert!(diags.has_errors() && diags.has_errors_in(Span::new(FileId(0), 0, 6)));
        assert!(!diags.has_errors_in(Span::new(FileId(0), 6, 9)));
    }
}
