//! The detection engine at run time: a program, a line and a time go in; alerts come out.
//!
//! Nothing here performs I/O, reads a clock or logs (I1); what only the world knows is asked of an
//! [`Outside`]. The engine never sees the text of a rule: the `rules` crate turns text into a
//! [`Program`] once, and from then on nothing can fail.
//!
//! Reading order: [`pool`] (fields, literals, patterns), [`expr`] (the expression tree), [`value`],
//! [`event`] (one line's working record), [`eval`], [`program`], [`select`] (who could match),
//! [`stage`] (parsers), `enrich`, [`bucket`], [`table`], [`pour`], `alert`, [`overflow`], [`engine`],
//! [`profile`] (what is decided about alerts).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod alert;
pub mod bucket;
pub mod builtins;
pub mod data;
pub mod engine;
mod enrich;
pub mod eval;
pub mod event;
pub mod expr;
pub mod function;
pub mod observe;
pub mod outside;
pub mod overflow;
pub mod pool;
pub mod pour;
pub mod profile;
pub mod program;
pub mod select;
mod silence;
pub mod stage;
pub mod table;
pub mod value;

pub use engine::{Engine, Limits, Outcome, Parser, Settler};
pub use outside::{NoOutside, Outside};
pub use overflow::Overflow;
pub use pour::Pours;
pub use program::Program;
