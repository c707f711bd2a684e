//! What the helpers and the language's own functions compute: plain functions over plain values.
//!
//! Nothing here knows expressions; the evaluator turns its values into `&str` and friends and back.
//! A function that upstream lets fail returns `Result<_, String>`, and the message is for the rule's
//! author. Everything is total and bounded: no input makes it panic, recurse without limit, or
//! produce more than a fixed multiple of its size (or a stated limit).
//!
//! Rules were written against Go's standard library, so its behavior is the specification here,
//! down to what a date may leave out.
//!
//! Reading order: [`text`], [`glob`], [`url`], [`net`], [`kv`]; [`number`], [`sprintf`]; [`time`],
//! [`rfc3339`], [`layout`], [`parse_date`], [`duration`]; [`json`], [`json_path`]; [`xml`].

pub mod duration;
pub mod glob;
pub mod json;
pub mod json_path;
pub mod kv;
pub mod layout;
pub mod net;
pub mod number;
pub mod parse_date;
pub mod rfc3339;
pub mod sprintf;
pub mod text;
pub mod time;
pub mod url;
pub mod xml;
