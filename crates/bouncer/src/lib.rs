//! Decisions into effect: what a feed says becomes a set, and a back-end enforces the set.
//!
//! [`set`] is pure: what is decided about every address, and the smallest change that follows from
//! news. A [`backend`] carries that change out; what it holds is a cache that can be read back,
//! compared and repaired at any time, and whose entries end on time without us (I11).
//!
//! Reading order: [`set`], [`feed`], [`backend`], [`protect`].

extern crate alloc;

pub mod backend;
pub mod feed;
pub mod protect;
pub mod set;
