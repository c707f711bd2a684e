//! The bodies of the fuzz targets: each takes any bytes and panics when a promise is broken.
//!
//! cargo-fuzz runs them for hours under coverage feedback; the ordinary tests (`fuzz_smoke` of
//! testkit) include this very file and run them for seconds on the seeds and on seeded mutations
//! of them. So nothing here names the fuzzer, a clock or a file.
//!
//! Reading order: [`bytes`] (how a target reads its input), then any target.

pub mod bytes;

pub mod bucket_ops;
pub mod expr;
pub mod grok;
pub mod re2;
pub mod syslog_line;
pub mod yaml_item;

mod model_table;

/// A target: its name, and what runs it on an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("bucket_ops", bucket_ops::run),
    ("expr", expr::run),
    ("grok", grok::run),
    ("re2", re2::run),
    ("syslog_line", syslog_line::run),
    ("yaml_item", yaml_item::run),
];
