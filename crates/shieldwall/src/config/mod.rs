//! Settings files: as written, as meant, and what is wrong with them.
//!
//! `config.yaml` (with `config.yaml.local`) says where everything is; `acquis.yaml` says what to
//! read. Both are spanned YAML read against a list of keys, so that a misspelt key is shown in its
//! place with the nearest right one. Nothing but this module reads the environment.
//!
//! Reading order: [`raw`] (text, environment, known keys), [`settings`] with [`keys`], [`database`],
//! [`server`] and [`client`]; [`credentials`], [`state`] (what counts where
//! nobody names anything), [`acquis`], [`transform`], [`codes`].

mod raw;

mod settings;

mod keys;

mod database;

mod server;

mod log;

mod features;

mod client;

mod credentials;

mod state;

pub(crate) mod acquis;

mod transform;

pub(crate) mod codes;

pub(crate) use client::Client;
pub(crate) use credentials::{Credentials, Proof, Secret, address as credentials_address};
pub(crate) use database::Location;
pub(crate) use features::enabled as enabled_features;
pub(crate) use log::{Files as LogFiles, Log, Media};
pub(crate) use raw::{Desk, value as raw_value};
pub(crate) use server::{Server, Verification, token_secret};
pub(crate) use settings::{DATA_DIR, DnsSettings, Prometheus, Read, Settings, load};
pub(crate) use state::{
    CONFIG_DIRS, Usual, read_own_address, state_dir, usual, usual_state_dir, write_own_address,
};
pub(crate) use transform::given as transform;
