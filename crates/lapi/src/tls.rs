//! TLS: certificates read from files, read again when they change, and what a peer's proves.

use std::{
    fs::Metadata,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use api::pem;
use model::Timestamp;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime, pem::PemObject as _,
    },
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use crate::settings::{ClientVerification, Tls};

/// Files are looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The TLS settings of a listener, kept as new as their files.
pub(crate) struct Certificates {
    settings: Tls,
    state: Mutex<State>,
}

struct State {
    loaded: Loaded,
    seen: Vec<Option<(SystemTime, u64)>>,
    looked_at: Instant,
}

#[derive(Clone)]
struct Loaded {
    config: Arc<ServerConfig>,
    trust: Arc<Trust>,
}

/// Whose certificates are believed, and which ones were withdrawn.
pub(crate) struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    withdrawn: Vec<CertRevocationList<'static>>,
}

/// The certificate chain a peer showed at the handshake.
pub(crate) struct PeerCertificate {
    chain: Vec<CertificateDer<'static>>,
    certificates: Arc<Certificates>,
}

impl Certificates {
    /// Reads the files.
    pub(crate) fn load(settings: Tls) -> Result<Self, String> {
        let seen = stamps(&settings);
        let loaded = load(&settings)?;
        let state = State { loaded, seen, looked_at: Instant::now() };
        Ok(Self { settings, state: Mutex::new(state) })
    }

    /// The settings for the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current().config
    }

    /// What is loaded, after a look at the files. Files that cannot be read leave what there was.
    fn current(&self) -> Loaded {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked_at.elapsed() >= LOOK_AGAIN {
            state.looked_at = Instant::now();
            let seen = stamps(&self.settings);
            if seen != state.seen {
                match load(&self.settings) {
                    Ok(loaded) => {
                        tracing::info!("certificates were read again");
                        state.loaded = loaded;
                        state.seen = seen;
                    }
                    Err(reason) => {
                        tracing::warn!(
                            reason,
                            "changed certificates cannot be read; old ones stay"
                        );
                    }
                }
            }
        }
        state.loaded.clone()
    }

    /// Makes the next look happen at once.
    #[cfg(test)]
    pub(crate) fn forget_when(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.looked_at = Instant::now().checked_sub(LOOK_AGAIN * 2).unwrap_or(state.looked_at);
    }
}

impl PeerCertificate {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, from: &Arc<Certificates>) -> Self {
        Self { chain, certificates: Arc::clone(from) }
    }

    /// The peer's own certificate, DER.
    pub(crate) fn leaf(&self) -> Option<&[u8]> {
        self.chain.first().map(AsRef::as_ref)
    }

    /// Whether the chain leads to an authority we believe, at `now`, and nobody withdrew it.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), String> {
        let trust = self.certificates.current().trust;
        let (leaf, between) = self.chain.split_first().ok_or("no certificate")?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| error.to_string())?;
        let seconds = u64::try_from(now.unix().0).unwrap_or(0);
        let verify = |withdrawn: &[&CertRevocationList<'_>]| {
            let revocation = RevocationOptionsBuilder::new(withdrawn).ok();
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &trust.anchors,
                between,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::client_auth(),
                revocation.map(|o| o.with_status_policy(UnknownStatusPolicy::Allow).build()),
                None,
            )
            .map(drop)
        };
        verify(&[]).map_err(|error| error.to_string())?;
        // Each list by itself: of several by one issuer only the first would be asked, and one that
        // cannot be believed (an authority of the same name, with another key) would spoil the rest.
        let is_withdrawn = trust
            .withdrawn
            .iter()
            .any(|list| matches!(verify(&[list]), Err(webpki::Error::CertRevoked)));
        if is_withdrawn {
            return Err("certificate revoked by CRL".to_owned());
        }
        Ok(())
    }
}

fn stamps(settings: &Tls) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |meta: &Metadata| Some((meta.modified().ok()?, meta.len()));
    let optional = [&settings.ca_cert_path, &settings.crl_path];
    [&settings.cert_file, &settings.key_file]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .map(|path: &PathBuf| std::fs::metadata(path).ok().as_ref().and_then(stamp))
        .collect()
}

fn load(settings: &Tls) -> Result<Loaded, String> {
    let text = |error: pem::BadFile| error.to_string();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let authorities = match &settings.ca_cert_path {
        Some(path) => pem::certificates(path).map_err(text)?,
        None => Vec::new(),
    };
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone()).map_err(|error| format!("client authority: {error}"))?;
    }
    let trust = Trust { anchors: roots.roots.clone(), withdrawn: withdrawn(settings)? };
    let key = pem::private_key(&settings.key_file).map_err(text)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match verifier(settings.client_verification, &roots, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(pem::certificates(&settings.cert_file).map_err(text)?, key)
        .map_err(|error| format!("{}: {error}", settings.cert_file.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), trust: Arc::new(trust) })
}

fn withdrawn(settings: &Tls) -> Result<Vec<CertRevocationList<'static>>, String> {
    let Some(path) = &settings.crl_path else { return Ok(Vec::new()) };
    let wrong = |error: String| format!("{}: {error}", path.display());
    let mut lists = Vec::new();
    let blocks = CertificateRevocationListDer::pem_file_iter(path)
        .map_err(|error| wrong(error.to_string()))?;
    for block in blocks {
        let block = block.map_err(|error| wrong(error.to_string()))?;
        let list = OwnedCertRevocationList::from_der(&block).map_err(|e| wrong(e.to_string()))?;
        lists.push(list.into());
    }
    Ok(lists)
}

/// What asks clients for certificates; `None` asks for none.
fn verifier(
    verification: ClientVerification,
    roots: &RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let any = |mandatory| {
        let any = AnyClient { mandatory, provider: Arc::clone(provider) };
        Ok(Some(Arc::new(any) as Arc<dyn ClientCertVerifier>))
    };
    let checked = || {
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(provider))
    };
    match verification {
        ClientVerification::None => Ok(None),
        ClientVerification::Request => any(false),
        ClientVerification::RequireAny => any(true),
        // Without an authority there is nothing to check a certificate by.
        ClientVerification::VerifyIfGiven if roots.is_empty() => Ok(None),
        ClientVerification::VerifyIfGiven => {
            checked().allow_unauthenticated().build().map(Some).map_err(|error| error.to_string())
        }
        ClientVerification::RequireAndVerify => {
            checked().build().map(Some).map_err(|error| error.to_string())
        }
    }
}

/// Lets any certificate through the handshake. It proves nothing: whoever shows one is judged by
/// [`PeerCertificate::check`], as everybody is.
#[derive(Debug)]
struct AnyClient {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(settings: &Tls) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&settings.cert_file, made.cert.pem()).unwrap();
        std::fs::write(&settings.key_file, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn changed_files_are_read_again_and_broken_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Tls {
            cert_file: directory.path().join("cert.pem"),
            key_file: directory.path().join("key.pem"),
            ca_cert_path: None,
            client_verification: ClientVerification::VerifyIfGiven,
            crl_path: None,
        };
        write(&settings);
        let certificates = Certificates::load(settings.clone()).unwrap();
        let first = certificates.config();
        certificates.forget_when();
        assert!(Arc::ptr_eq(&first, &certificates.config()), "nothing changed");
        write(&settings);
        certificates.forget_when();
        let second = certificates.config();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(&settings.cert_file, "junk").unwrap();
        certificates.forget_when();
        assert!(Arc::ptr_eq(&second, &certificates.config()));
        assert!(Certificates::load(settings).is_err());
    }
}
