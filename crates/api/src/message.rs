//! The small messages: login, registration, counts, errors, allowlists.

use serde::{Deserialize, Serialize};

use crate::alert::text;

/// What a machine logs in with.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Login {
    /// Its name.
    pub machine_id: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The scenarios it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<Vec<String>>,
}

/// A machine that introduces itself.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Its name.
    pub machine_id: Option<String>,
    /// The password it will log in with.
    pub password: Option<String>,
    /// What admits it at once, where the server allows that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_token: Option<String>,
}

/// The answer to a login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Token {
    /// 200.
    pub code: u16,
    /// When it ends: RFC 3339.
    pub expire: String,
    /// The token.
    pub token: String,
}

/// An error: what to show. `code` is there where tokens are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The status once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What is wrong.
    pub message: String,
}

/// How many were deleted, as a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The number.
    #[serde(rename = "nbDeleted")]
    pub n_deleted: String,
}

/// A list of what must not be decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowlist {
    /// Its identifier on the console.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub allowlist_id: Option<String>,
    /// Whether the console manages it.
    #[serde(skip_serializing_if = "text::is_false")]
    pub console_managed: Option<bool>,
    /// When it was made.
    pub created_at: String,
    /// Its description.
    pub description: String,
    /// Its items.
    #[serde(deserialize_with = "text::null_as_empty")]
    pub items: Vec<AllowlistItem>,
    /// Its name.
    pub name: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// One entry of an allowlist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowlistItem {
    /// When it was added.
    pub created_at: String,
    /// Why it is there.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub description: Option<String>,
    /// When it ends; year 1 means never.
    pub expiration: String,
    /// The address or network.
    pub value: String,
}

impl AllowlistItem {
    /// COMPAT(crowdsec): "never" is Go's zero time, with milliseconds.
    pub const NEVER: &str = "0001-01-01T00:00:00.000Z";
}

/// Whether one address or network is allowlisted. Empty when it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckReply {
    /// Whether it is.
    #[serde(skip_serializing_if = "text::is_false")]
    pub allowlisted: Option<bool>,
    /// By which entries.
    #[serde(skip_serializing_if = "text::is_empty")]
    pub reason: Option<String>,
}

/// Asks about several addresses and networks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkCheck {
    /// Which.
    pub targets: Option<Vec<String>>,
}

/// Those that are allowlisted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkCheckReply {
    /// One for each target that is.
    pub results: Vec<AllowlistMatches>,
}

/// The entries that concern one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowlistMatches {
    /// The entries, each with the name of its list.
    pub allowlists: Vec<String>,
    /// The target as asked.
    pub target: String,
}
