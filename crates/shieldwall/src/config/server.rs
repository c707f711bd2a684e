//! `api.server`: the local API as it is to run here.

use super::{
    credentials::Secret,
    raw::{Desk, value},
};
use anyhow::{Result, ensure};
use ipnet::IpNet;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use syntax::yaml::Yaml;

/// Where the API listens unless somebody says otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// The shortest token for registrations: shorter ones could be guessed.
const MIN_TOKEN: usize = 32;

/// The local API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// `host:port`
    pub(crate) listen_uri: Option<String>,
    /// A unix socket, also to listen on.
    pub(crate) listen_socket: Option<PathBuf>,
    /// The file of profiles.
    pub(crate) profiles: PathBuf,
    /// Whether that file was named and so must be there.
    pub(crate) profiles_named: bool,
    pub(crate) tls: Option<Tls>,
    /// Who may delete alerts.
    pub(crate) trusted_ips: Vec<IpNet>,
    /// Whose word about clients' addresses counts.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether only this host may register machines.
    pub(crate) disable_remote_registration: bool,
    pub(crate) auto_registration: Option<AutoRegistration>,
    /// Whether counts of usage stay here.
    pub(crate) disable_usage_metrics_export: bool,
    /// The credentials of the central API.
    pub(crate) online_credentials: Option<PathBuf>,
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) ca_cert_path: Option<PathBuf>,
    pub(crate) verification: Verification,
    pub(crate) agents_allowed_ou: Vec<String>,
    pub(crate) bouncers_allowed_ou: Vec<String>,
    pub(crate) crl_path: Option<PathBuf>,
    /// How long the word on a certificate counts.
    pub(crate) cache_expiration: Option<Duration>,
}

/// What is asked of clients at the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verification {
    None,
    Request,
    RequireAny,
    #[default]
    VerifyIfGiven,
    RequireAndVerify,
}

/// Who may register and is admitted at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AutoRegistration {
    pub(crate) token: String,
    pub(crate) allowed_ranges: Vec<IpNet>,
}

impl Server {
    /// What holds without a `config.yaml`.
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self {
            listen_uri: Some(LISTEN.to_owned()),
            profiles: dir.join("profiles.yaml"),
            trusted_ips: loopback(),
            ..Self::default()
        }
    }

    /// What holds without any settings.
    pub(crate) fn usual() -> Self {
        Self::in_dir(Path::new("/etc/shieldwall"))
    }
}

fn loopback() -> Vec<IpNet> {
    ["127.0.0.1/32", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect()
}

/// Reads the section. `None`: the API is not to run here.
pub(super) fn read(tree: &Yaml, dir: &Path, desk: &mut Desk) -> Option<Server> {
    value(tree, "api.server")?;
    let enabled = desk.flag(tree, "api.server.enable").unwrap_or(true);
    let path = |desk: &mut Desk, key: &str| {
        desk.text(tree, &format!("api.server.{key}")).map(PathBuf::from)
    };
    let profiles = path(desk, "profiles_path");
    let mut trusted_proxies = networks(tree, "api.server.trusted_proxies", desk);
    let forwarded = desk.flag(tree, "api.server.use_forwarded_for_headers").unwrap_or(false);
    if forwarded && value(tree, "api.server.trusted_proxies").is_none() {
        // COMPAT(crowdsec): the flag alone trusts everybody.
        trusted_proxies = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
    }
    let server = Server {
        listen_uri: desk.text(tree, "api.server.listen_uri").map(str::to_owned),
        listen_socket: path(desk, "listen_socket"),
        profiles_named: profiles.is_some(),
        profiles: profiles.unwrap_or_else(|| dir.join("profiles.yaml")),
        tls: tls(tree, desk),
        trusted_ips: networks(tree, "api.server.trusted_ips", desk),
        trusted_proxies,
        disable_remote_registration: desk
            .flag(tree, "api.server.disable_remote_lapi_registration")
            .unwrap_or(false),
        auto_registration: auto_registration(tree, desk),
        disable_usage_metrics_export: desk
            .flag(tree, "api.server.disable_usage_metrics_export")
            .unwrap_or(false),
        online_credentials: path(desk, "online_client.credentials_path"),
    };
    enabled.then_some(server)
}

/// A list of addresses and networks.
fn networks(tree: &Yaml, path: &str, desk: &mut Desk) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in desk.texts(tree, path) {
        match model::parse_target(&text) {
            Ok(network) => networks.push(network),
            Err(error) => bad(tree, path, &format!("`{path}`: {error}"), desk),
        }
    }
    networks
}

fn tls(tree: &Yaml, desk: &mut Desk) -> Option<Tls> {
    value(tree, "api.server.tls")?;
    let path = |desk: &mut Desk, key: &str| {
        desk.text(tree, &format!("api.server.tls.{key}")).map(PathBuf::from)
    };
    let (cert, key) = (path(desk, "cert_file"), path(desk, "key_file"));
    if cert.is_some() != key.is_some() {
        let missing = if cert.is_some() { "key" } else { "cert" };
        bad(tree, "api.server.tls", &format!("missing TLS {missing} file"), desk);
    }
    let verification = match desk.text(tree, "api.server.tls.client_verification") {
        None | Some("VerifyClientCertIfGiven") => Verification::VerifyIfGiven,
        Some("NoClientCert") => Verification::None,
        Some("RequestClientCert") => Verification::Request,
        Some("RequireAnyClientCert") => Verification::RequireAny,
        Some("RequireAndVerifyClientCert") => Verification::RequireAndVerify,
        Some(word) => {
            let message = format!("unknown TLS client_verification value: {word}");
            bad(tree, "api.server.tls.client_verification", &message, desk);
            Verification::default()
        }
    };
    let mut units = |key: &str| {
        let path = format!("api.server.tls.{key}");
        let units = desk.texts(tree, &path);
        if units.iter().any(String::is_empty) {
            bad(tree, &path, "allowed_ou configuration contains invalid empty string", desk);
        }
        units
    };
    let (agents, bouncers) = (units("agents_allowed_ou"), units("bouncers_allowed_ou"));
    Some(Tls {
        cert_file: cert?,
        key_file: key?,
        ca_cert_path: path(desk, "ca_cert_path"),
        verification,
        agents_allowed_ou: agents,
        bouncers_allowed_ou: bouncers,
        crl_path: path(desk, "crl_path"),
        cache_expiration: desk.duration(tree, "api.server.tls.cache_expiration"),
    })
}

fn auto_registration(tree: &Yaml, desk: &mut Desk) -> Option<AutoRegistration> {
    let section = "api.server.auto_registration";
    value(tree, section)?;
    if desk.flag(tree, "api.server.auto_registration.enabled") != Some(true) {
        return None;
    }
    let token = desk.text(tree, "api.server.auto_registration.token").unwrap_or_default();
    if token.len() < MIN_TOKEN {
        let message = format!("the token of `{section}` must have at least {MIN_TOKEN} characters");
        bad(tree, section, &message, desk);
    }
    let allowed_ranges = networks(tree, "api.server.auto_registration.allowed_ranges", desk);
    if allowed_ranges.is_empty() {
        bad(tree, section, &format!("`{section}` needs `allowed_ranges`"), desk);
    }
    Some(AutoRegistration { token: token.to_owned(), allowed_ranges })
}

/// The key that signs tokens, where the environment names one: servers behind one address need the
/// same.
///
/// # Errors
/// When it is too short to be a secret.
pub(crate) fn token_secret() -> Result<Option<Secret>> {
    const SHORTEST: usize = 64;
    let Ok(secret) = std::env::var("CS_LAPI_SECRET") else { return Ok(None) };
    ensure!(secret.len() >= SHORTEST, "CS_LAPI_SECRET not strong enough");
    Ok(Some(Secret::new(secret)))
}

fn bad(tree: &Yaml, path: &str, message: &str, desk: &mut Desk) {
    let span = value(tree, path).map_or(tree.span, |value| value.span);
    desk.bad(span, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Option<Server>, Vec<String>) {
        let mut desk = Desk::default();
        let tree = desk.parse("config.yaml", text).remove(0);
        let server = read(&tree, Path::new("/etc/x"), &mut desk);
        (server, desk.diagnostics.iter().map(|it| it.message.clone()).collect())
    }

    #[test]
    fn without_the_section_nothing_is_served() {
        assert!(check("common: {}\n").0.is_none());
        assert!(check("api: {server: {enable: false, listen_uri: 'x:1'}}\n").0.is_none());
        let (server, mistakes) = check("api: {server: {listen_uri: '127.0.0.1:1'}}\n");
        assert!(mistakes.is_empty());
        let server = server.unwrap();
        assert_eq!(server.listen_uri.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(server.profiles, PathBuf::from("/etc/x/profiles.yaml"));
        assert!(!server.profiles_named && server.trusted_ips.is_empty());
    }

    #[test]
    fn forwarded_addresses_are_believed_only_when_asked_for() {
        let proxies = |text: &str| {
            let (server, mistakes) = check(&format!("api: {{server: {{{text}}}}}\n"));
            assert!(mistakes.is_empty(), "{mistakes:?}");
            let proxies = server.unwrap().trusted_proxies;
            proxies.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(proxies("listen_uri: x").is_empty());
        assert_eq!(proxies("use_forwarded_for_headers: true"), ["0.0.0.0/0", "::/0"]);
        assert_eq!(
            proxies("use_forwarded_for_headers: true, trusted_proxies: [192.0.2.1]"),
            ["192.0.2.1/32"]
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let mistakes = |text: &str| check(&format!("api: {{server: {{{text}}}}}\n")).1;
        assert_eq!(mistakes("tls: {cert_file: a}"), ["missing TLS key file"]);
        assert_eq!(mistakes("tls: {key_file: a}"), ["missing TLS cert file"]);
        assert_eq!(
            mistakes("tls: {cert_file: a, key_file: b, agents_allowed_ou: ['']}"),
            ["allowed_ou configuration contains invalid empty string"]
        );
        assert_eq!(
            mistakes("tls: {cert_file: a, key_file: b, client_verification: Maybe}"),
            ["unknown TLS client_verification value: Maybe"]
        );
        assert_eq!(mistakes("auto_registration: {enabled: true, token: short}").len(), 2);
        assert_eq!(mistakes("auto_registration: {enabled: false, token: short}").len(), 0);
        assert_eq!(
            mistakes("trusted_ips: [here]"),
            ["`api.server.trusted_ips`: invalid ip address 'here'"]
        );
    }
}
