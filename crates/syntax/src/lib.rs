//! Text with places: spanned YAML, diagnostics and their rendering.
//!
//! Everything an author wrote keeps the byte range it came from, so that each mistake, even one
//! found three layers later, can be shown under the very characters that cause it. The crate reads
//! no files and prints nothing: text comes in through [`Sources`], and what is wrong with it goes
//! out as [`Diagnostics`], to be turned into text by [`render`].
//!
//! Reading order: [`source`](Sources), [`diagnostic`](Diagnostic), [`codes`], [`render`](render()),
//! [`nearest`](nearest()), [`yaml`].
//!
//! ```
//! use syntax::{Diagnostics, Sources, Style, render, yaml};
//!
//! let mut sources = Sources::new();
//! let file = sources.add("demo.yaml", "type: leaky\ntype: trigger\n");
//! let mut diags = Diagnostics::new();
//! let documents = yaml::parse(file, &sources, &mut diags);
//!
//! assert_eq!(documents[0].get("type").and_then(|value| value.as_str()), Some("leaky"));
//! let report = diags.iter().next().expect("the key is there twice");
//! let shown = render(report, &sources, Style { color: false, width: 100 });
//! assert!(shown.starts_with("error[R0004]: the key `type` is there twice"));
//! ```

#![forbid(unsafe_code)]

mod source;

mod diagnostic;

pub mod codes;

mod render;

mod nearest;

pub mod yaml;

pub use crate::diagnostic::{Diagnostic, Diagnostics, Help, Label, Severity};
pub use crate::nearest::nearest;
pub use crate::render::{Style, render};
pub use crate::source::{FileId, Sources, Span};
pub use codes::Code;
