//! The rule compiler: hub items, grok and expressions to a program.
//!
//! Text becomes checked items, items become a program; every mistake on the way is reported at its
//! place and the rest is kept (I3, I14). No file is read here: the edge hands over texts.
//!
//! Reading order: [`SourceFile`], [`check`], [`item`], [`grok`], [`expr`], `lower`,
//! `profile` (what is decided about alerts), [`codes`].

#![forbid(unsafe_code)]

mod source;

pub mod item;

mod duration;
mod reader;

pub mod grok;

pub mod expr;

pub mod codes;

mod lower;

mod profile;

pub use item::read::{Checked, check};
pub use lower::{Compiled, NodeSource, Options, ReadData, compile, compile_expr};
pub use profile::{CompiledProfiles, compile_profiles};
pub use source::{FileKind, Origin, SourceFile};
