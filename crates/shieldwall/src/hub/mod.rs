//! Rules on disk: a hub tree with its index, and a configuration directory with installed items.
//!
//! Both end as the same thing, a list of [`::rules::SourceFile`]s, so the compiler never knows
//! where a rule came from. What is read here was written by others: paths from an index stay below
//! the hub, links end somewhere, files have a size.
//!
//! Reading order: [`index`], [`select`] (items of a hub tree by name), [`installed`] (a
//! configuration directory), [`files`] (reading with limits).

pub(crate) mod index;

pub(crate) mod select;

pub(crate) mod installed;

pub(crate) mod files;
