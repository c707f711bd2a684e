//! What a client certificate proves.

use model::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::tls::PeerCertificate;

/// The common name of a certificate that is good now and belongs to one of the units.
///
/// Checked at every request and not only at the handshake: a connection can outlive the
/// certificate, and the list of withdrawn ones can grow meanwhile.
///
/// # Errors
/// Why it is not, for the log.
pub(crate) fn common_name(
    shown: &PeerCertificate,
    allowed_units: &[String],
    now: Timestamp,
) -> Result<String, String> {
    shown.check(now)?;
    let leaf = shown.leaf().ok_or("no certificate")?;
    let (_, certificate) =
        X509Certificate::from_der(leaf).map_err(|_| "the certificate cannot be read")?;
    let subject = certificate.subject();
    let belongs = subject
        .iter_organizational_unit()
        .filter_map(|unit| unit.as_str().ok())
        .any(|unit| allowed_units.iter().any(|allowed| allowed == unit));
    if !belongs {
        return Err("none of the certificate's organizational units is allowed".to_owned());
    }
    let name = subject.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
    if name.is_empty() || name.len() > 255 {
        return Err("the certificate has no usable common name".to_owned());
    }
    Ok(name.to_owned())
}
