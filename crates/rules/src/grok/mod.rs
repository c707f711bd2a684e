//! Grok: regular expressions with names for their parts.
//!
//! `%{NAME:field}` stands for the definition of `NAME` and keeps what it matched as `field`. This
//! module turns such a pattern into one regular expression whose named groups are the fields.
//!
//! INVARIANT: a definition refers only to definitions made before it. That is what rules out
//! recursion, and why the order of definitions matters.
//!
//! Reading order: [`expand`] (registry and expansion), [`base`] (definitions everyone has),
//! [`patterns`] (files of definitions), [`shipped`] (what stands in for such files).

mod base;
mod expand;
mod patterns;
mod shipped;

pub use expand::{Definition, Expanded, GrokError, GrokFault, Registry};
pub(crate) use expand::{false_references, is_name};
pub use patterns::{PatternLine, pattern_lines};
