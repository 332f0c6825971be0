//! What a certificate says of whoever it is for.
//!
//! Reading only: whether the certificate is good is [`crate::keyless`]'s to say.

use sigstore_types::DerCertificate;

use crate::explain::{Check, Step};
use crate::key::PublicKey;

/// Largest certificate that is read; real ones have about 1.5 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Identity, issuer and key in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateIdentity {
    /// Subject alternative name.
    pub identity: Option<String>,
    /// Issuer of the token that the certificate was given for.
    pub issuer: Option<String>,
    /// The certified key.
    pub public_key: PublicKey,
}

/// Reads a certificate in DER. Nothing in it is verified.
pub fn certificate_identity(der: &[u8]) -> Result<CertificateIdentity, Check> {
    let malformed = |detail: String| Check::new(Step::Certificate, detail);
    if der.len() > MAX_CERTIFICATE_BYTES {
        let found = der.len();
        return Err(malformed(format!(
            "the certificate has {found} bytes, the limit is {MAX_CERTIFICATE_BYTES}"
        )));
    }
    let info = sigstore_crypto::parse_certificate_info(&DerCertificate::new(der.to_vec()))
        .map_err(|error| malformed(format!("the certificate is malformed: {error}")))?;
    let public_key = PublicKey::from_der(info.public_key.as_bytes().to_vec(), "the certificate")
        .map_err(|error| malformed(error.to_string()))?;
    Ok(CertificateIdentity {
        identity: info.identity.map(|identity| identity.as_str().to_owned()),
        issuer: info.issuer,
        public_key,
    })
}
