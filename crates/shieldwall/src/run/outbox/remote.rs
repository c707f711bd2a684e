//! A parent behind HTTP, told apart from others by its address and by who we are to it.

use super::parent::{Parent, Trouble};
use crate::config::{Client, Credentials, Proof};
use anyhow::{Context as _, Result};
use api::client;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, time::Duration};
use tokio::runtime::Handle;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Another process's local API.
pub(crate) struct Remote {
    client: client::Client,
    runtime: Handle,
    url: String,
    key: String,
}

/// A client for credentials.
///
/// # Errors
/// When a certificate cannot be read, or the address is none.
pub(crate) fn client(
    credentials: &Credentials,
    settings: &Client,
    scenarios: Vec<String>,
) -> Result<client::Client> {
    let proof = match &credentials.proof {
        Proof::Password { login, password } => client::Credentials::Password {
            machine: login.clone(),
            password: password.reveal().to_owned(),
        },
        Proof::Certificate { .. } => client::Credentials::MachineCertificate,
    };
    let identity = match &credentials.proof {
        Proof::Certificate { cert, key } => {
            Some(client::Identity { cert: cert.clone(), key: key.clone() })
        }
        Proof::Password { .. } => None,
    };
    let settings = client::Settings {
        url: credentials.url.clone(),
        credentials: proof,
        // Exactly one slash, or servers refuse the login.
        user_agent: concat!("crowdsec/v", env!("CARGO_PKG_VERSION"), "-shieldwall").to_owned(),
        ca_cert: credentials.ca_cert.clone(),
        identity,
        insecure_skip_verify: settings.insecure_skip_verify,
        scenarios,
        timeout: PATIENCE,
    };
    client::Client::new(settings).with_context(|| format!("talking to {}", credentials.url))
}

impl Remote {
    /// A parent for credentials.
    ///
    /// # Errors
    /// When there can be no client for them.
    pub(crate) fn new(
        credentials: &Credentials,
        settings: &Client,
        scenarios: Vec<String>,
        runtime: Handle,
    ) -> Result<Self> {
        let client = client(credentials, settings, scenarios)?;
        let who = format!("{} {}", credentials.url, credentials.login().unwrap_or_default());
        let mut key = String::from("remote-");
        for byte in &Sha256::digest(who.as_bytes())[..8] {
            // Writing to a string cannot fail.
            let _infallible = write!(key, "{byte:02x}");
        }
        Ok(Self { client, runtime, url: credentials.url.clone(), key })
    }
}

impl Parent for Remote {
    fn name(&self) -> &str {
        &self.url
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn send(&self, alerts: &[String]) -> Result<(), Trouble> {
        let parsed: Result<Vec<api::Alert>, _> =
            alerts.iter().map(|alert| serde_json::from_str(alert)).collect();
        let parsed = parsed.map_err(|error| Trouble::Never(error.to_string()))?;
        self.runtime
            .block_on(self.client.post_alerts(&parsed))
            .map(drop)
            .map_err(|error| trouble(&error))
    }

    fn beat(&self) -> Result<(), Trouble> {
        self.runtime.block_on(self.client.heartbeat()).map_err(|error| trouble(&error))
    }

    fn leave(&self) -> Result<(), Trouble> {
        self.runtime.block_on(self.client.unregister()).map_err(|error| trouble(&error))
    }
}

fn trouble(error: &client::ClientError) -> Trouble {
    match error.retry() {
        client::Retry::Later if error.status() == Some(500) => Trouble::Fault(error.to_string()),
        client::Retry::Later => Trouble::Later(error.to_string()),
        client::Retry::Never => Trouble::Never(error.to_string()),
    }
}
