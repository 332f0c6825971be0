//! One bundle against one artifact and one signer, without a registry or a policy file.
//!
//! What `verify-bundle` of the public conformance suite asks for, answered by the same functions
//! that decide about installs.

use eyas_artifact::Digest;
use sigstore::types::{Artifact, Sha256Hash};

use crate::evidence::parse_bundle;
use crate::explain::{Check, Step};
use crate::key::PublicKey;
use crate::keyless;
use crate::policy::{Keyless, Matcher};
use crate::roots::Roots;

/// What was signed.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// Their SHA-256, where the bytes are not at hand.
    Digest(Digest),
}

/// Who has to have signed.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// A certificate for exactly this identity, by exactly this issuer.
    Identity {
        /// Subject alternative name.
        identity: &'a str,
        /// OIDC issuer.
        issuer: &'a str,
    },
    /// This key, entered in a transparency log.
    Key(&'a PublicKey),
}

/// Verifies `bundle` with everything it has to prove; on failure the check that failed.
pub fn verify(
    bundle: &[u8],
    content: Content<'_>,
    signer: Signer<'_>,
    roots: &Roots,
) -> Result<Check, Check> {
    let bundle = parse_bundle(bundle)?;
    let artifact = match content {
        Content::Bytes(bytes) => Artifact::from_blob(bytes),
        Content::Digest(digest) => Artifact::from_digest(Sha256Hash::from(*digest.as_bytes())),
    };
    match signer {
        Signer::Identity { identity, issuer } => {
            let exact = |text: &str| {
                Matcher::exact(text).map_err(|reason| Check::new(Step::Identity, reason))
            };
            let wanted = Keyless {
                issuer: exact(issuer)?,
                identity: exact(identity)?,
                root: None,
                claims: Vec::new(),
            };
            keyless::prove(&bundle, &artifact, roots)?.satisfies(&wanted)
        }
        Signer::Key(key) => {
            let logged_at = keyless::prove_logged(key, &bundle, &artifact, roots)?;
            let when = logged_at.map_or_else(String::new, |time| format!(", logged at {time}"));
            Ok(Check::new(Step::Identity, format!("signed by {key}{when}")))
        }
    }
}
