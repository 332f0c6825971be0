//! Sign: a signature beside an artifact that is in a registry.

use eyas_artifact::{Digest, Reference};
use eyas_oci::Client;
use eyas_trust::SigningKey;

pub use eyas_trust::Form;

use crate::OpsError;

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Repository and digest.
    pub reference: Reference,
    /// Fingerprint of the key.
    pub key: String,
}

/// Resolves a reference once and signs what it points at.
pub async fn sign_reference(
    client: &Client,
    reference: &Reference,
    key: &SigningKey,
    forms: &[Form],
) -> Result<Signed, OpsError> {
    // The document itself is fetched: signing a digest that only a header claims would sign on
    // the registry's word.
    let digest: Digest = client.manifest(reference).await?.digest;
    let pinned = reference.with_digest(digest);
    for form in forms {
        sign(client, &pinned, key, *form).await?;
    }
    Ok(Signed { reference: pinned, key: key.public().fingerprint().to_string() })
}

pub(crate) async fn sign(
    client: &Client,
    pinned: &Reference,
    key: &SigningKey,
    form: Form,
) -> Result<(), OpsError> {
    eyas_trust::sign(client, pinned, key, form).await?;
    Ok(())
}
