//! Why a pattern is refused.

use alloc::boxed::Box;
use core::fmt;

use crate::parse::SyntaxError;

/// A pattern that cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The pattern is not RE2 syntax.
    Syntax(SyntaxError),
    /// The pattern repeats so much that its automaton would be too large.
    TooLarge,
    /// The pattern asks for something RE2 does not have.
    Unsupported,
    /// A wanted group does not exist in the pattern, or is wanted twice.
    Group(Box<str>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::TooLarge => {
                f.write_str("the pattern repeats too much: its automaton is too large")
            }
            Self::Unsupported => f.write_str("the pattern matches parts of characters"),
            Self::Group(name) => write!(f, "no group `{name}`, or it is wanted twice"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::TooLarge | Self::Unsupported | Self::Group(_) => None,
        }
    }
}
