//! What an operator can choose about the server, as meant (I9): nothing here is text to be parsed.

use std::path::PathBuf;

use ipnet::IpNet;

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Who may delete alerts, beside callers on this host.
    pub trusted_ips: Vec<IpNet>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether machines may introduce themselves from this host only.
    pub disable_remote_registration: bool,
    /// Which machines are admitted without an administrator.
    pub auto_registration: Option<AutoRegistration>,
    /// Organizational units whose certificates are machines.
    pub agents_allowed_ou: Vec<String>,
    /// Organizational units whose certificates are bouncers.
    pub bouncers_allowed_ou: Vec<String>,
    /// Signs tokens; random where absent, and then no token outlives the server.
    pub token_secret: Option<Vec<u8>>,
    /// What is counted for [`crate::Service::expose`].
    pub counting: Counting,
}

/// What is counted of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Nothing.
    #[default]
    Nothing,
    /// Requests, by route.
    Routes,
    /// Requests by route and by who asks, how long answers take, and what the store holds.
    Everything,
}

/// Admits machines that know a token and come from the right network.
#[derive(Clone)]
pub struct AutoRegistration {
    /// The token, 32 characters at least.
    pub token: String,
    /// The networks.
    pub allowed_ranges: Vec<IpNet>,
}

impl std::fmt::Debug for AutoRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutoRegistration")
            .field("allowed_ranges", &self.allowed_ranges)
            .finish_non_exhaustive()
    }
}

/// Where the server listens. At least one of the two.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// Host and port; port 0 takes any.
    pub tcp: Option<String>,
    /// A unix socket; always clear text.
    pub unix: Option<PathBuf>,
    /// TLS for `tcp`.
    pub tls: Option<Tls>,
}

/// Certificates, in PEM files. They are read again when a file changes.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate chain.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The authorities whose client certificates are believed. Without one, none is asked for.
    pub ca_cert_path: Option<PathBuf>,
    /// What is asked of clients.
    pub client_verification: ClientVerification,
    /// Certificates that were withdrawn.
    pub crl_path: Option<PathBuf>,
}

/// What is asked of clients at the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientVerification {
    /// Nothing.
    None,
    /// A certificate, which may be missing. The handshake takes any; who shows one is judged by it
    /// when asking for something.
    Request,
    /// A certificate. The handshake takes any; it is judged when its owner asks for something.
    RequireAny,
    /// A certificate, which may be missing, and must be good otherwise.
    #[default]
    VerifyIfGiven,
    /// A good certificate.
    RequireAndVerify,
}
