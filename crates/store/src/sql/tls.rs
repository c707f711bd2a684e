//! TLS to PostgreSQL: how far the server is believed, and the binding of a password to the channel.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use super::{Server, SslMode};

/// A setting and what is wrong with it.
type Wrong = (Option<&'static str>, String);

/// How connections are made safe.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the certificates the settings name.
    pub(super) fn new(server: &Server) -> Result<Self, Wrong> {
        let wrong = |error: TlsError| (Some("sslmode"), error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(wrong)?;
        let verifier = verifier(server, &provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match &server.client_cert {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_file(&own.key).map_err(|error| {
                    (Some("ssl_client_key"), format!("{}: {error}", own.key.display()))
                })?;
                let chain = certificates(&own.cert, "ssl_client_cert")?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| (Some("ssl_client_cert"), error.to_string()))?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

fn certificates(
    path: &std::path::Path,
    setting: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| (Some(setting), format!("{}: {error}", path.display())))
}

fn verifier(
    server: &Server,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Wrong> {
    let provider = Arc::clone(provider);
    let names_host = match (server.ssl_mode, &server.ca_cert) {
        (SslMode::VerifyFull, _) => true,
        // As PostgreSQL's own clients do: who names a signer wants him looked at.
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => false,
        (SslMode::Disable | SslMode::Prefer | SslMode::Require, _) => {
            return Ok(Arc::new(Believer { provider, signer: None }));
        }
    };
    let wrong = |error: String| (Some("ssl_ca_cert"), error);
    let strict: Arc<dyn ServerCertVerifier> = match &server.ca_cert {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "ssl_ca_cert")? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?
        }
        None => Arc::new(
            rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
                .map_err(|error| wrong(error.to_string()))?,
        ),
    };
    Ok(if names_host { strict } else { Arc::new(Believer { provider, signer: Some(strict) }) })
}

/// Believes a server whose certificate names another host, or any server where nobody is asked.
#[derive(Debug)]
struct Believer {
    provider: Arc<CryptoProvider>,
    signer: Option<Arc<dyn ServerCertVerifier>>,
}

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(signer) = &self.signer else { return Ok(ServerCertVerified::assertion()) };
        match signer.verify_server_cert(leaf, others, name, ocsp, now) {
            // The name is looked at last, when all else has been found good.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Connect> {
        // A socket has no name, and no TLS either: that is only noticed when it is wanted.
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other);
        Ok(Connect { tls: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

/// One connection about to be made safe.
pub(super) struct Connect {
    tls: TlsConnector,
    name: io::Result<ServerName<'static>>,
}

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(Stream(self.tls.connect(self.name?, stream).await?)) })
    }
}

/// A connection made safe.
pub(super) struct Stream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    /// The hash of the server's certificate, which both sides mix into the proof of the password:
    /// who sits in between with another certificate cannot pass the proof on.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        leaf.and_then(|leaf| end_point(leaf))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// RFC 5929: the hash is that of the certificate's signature, and SHA-256 in place of weaker ones.
fn end_point(leaf: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    Some(match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        // MD5, SHA-1 and SHA-256 with RSA, SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(leaf).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(leaf).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(leaf).to_vec(),
        _ => return None,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_an_end_point() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let der = made.cert.der();
        assert_eq!(end_point(der), Some(Sha256::digest(der).to_vec()));
        assert_eq!(end_point(b"no certificate"), None);
    }
}
