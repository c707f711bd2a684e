//! Settings files: as written, as meant, and what is wrong with them.
//!
//! `config.yaml` (with `config.yaml.local`) says where everything is; `acquis.yaml` says what to
//! read. Both are spanned YAML read against a list of keys, so that a misspelt key is shown in its
//! place with the nearest right one. Nothing but this module reads the environment.
//!
//! Reading order: [`raw`] (text, environment, known keys), [`settings`], [`acquis`],
//! [`transform`], [`codes`].

mod raw;

mod settings;

pub(crate) mod acquis;

mod transform;

pub(crate) mod codes;

pub(crate) use raw::Desk;
pub(crate) use settings::{DATA_DIR, DnsSettings, Read, Settings, load};
