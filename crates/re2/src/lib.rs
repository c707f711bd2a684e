//! RE2 regular expressions: Go's syntax, linear time, captures in two passes.
//!
//! Every pattern a rule brings goes through this crate. It speaks Go's regexp syntax, with
//! leftmost-first matches, and never takes more than linear time (I6).
//!
//! Reading order: [`parse`] turns text into an HIR; `literal` reads off what a match must contain;
//! `program` compiles the HIR to a Thompson automaton; `dfa` runs that as a lazy automaton that
//! captures; `regex` is the door to all of it. [`LiteralSet`] and [`RegexSet`] look for many things
//! at once.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod dfa;
mod error;
mod grams;
mod literal;
mod literals;
mod parse;
mod program;
mod regex;
mod set;
mod skip;

pub use error::Error;
pub use literals::LiteralSet;
pub use parse::{SyntaxError, parse};
pub use regex::{Cache, Regex};
pub use set::{RegexSet, SetCache, SetError};
