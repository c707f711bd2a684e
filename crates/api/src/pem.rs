//! Certificates and keys in PEM files, as both ends of a TLS connection have them.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};

/// Why a file holds no certificate or no key: its name, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct BadFile {
    file: String,
    reason: String,
}

fn bad(path: &Path, error: &pem::Error) -> BadFile {
    BadFile { file: path.display().to_string(), reason: error.to_string() }
}

/// The certificates of a file, in its order.
///
/// # Errors
/// When the file cannot be read, or what it holds is no PEM.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad(path, &error))
}

/// The private key of a file.
///
/// # Errors
/// When the file cannot be read, or holds no key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, BadFile> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| bad(path, &error))
}
