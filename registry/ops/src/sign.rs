//! Sign: a signature or a statement beside an artifact that is in a registry.

use eyas_artifact::{Digest, Reference, SignerRecord};
use eyas_oci::Client;
use eyas_trust::Signer;

pub use eyas_trust::Form;

use crate::OpsError;

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Repository and digest.
    pub reference: Reference,
    /// Where each signature or statement is.
    pub stored: Vec<Reference>,
    /// Who signed.
    pub signer: SignerRecord,
}

impl Signed {
    /// The key's fingerprint, or the identity.
    pub fn signed_by(&self) -> String {
        who(&self.signer)
    }
}

/// Resolves a reference once and signs what it points at.
pub async fn sign_reference(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    forms: &[Form],
) -> Result<Signed, OpsError> {
    let pinned = pin(client, reference).await?;
    let mut outcome =
        Signed { reference: pinned, stored: Vec::new(), signer: SignerRecord::default() };
    for form in forms {
        let stored = eyas_trust::sign(client, &outcome.reference, signer, *form).await?;
        outcome.stored.push(stored.location);
        outcome.signer = stored.signer;
    }
    Ok(outcome)
}

/// What [`sign_reference`] would do: which digest, by whom, and the tags it would write. The digest of a referrer is
/// not known before the signature is.
pub async fn plan_sign(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    forms: &[Form],
) -> Result<Signed, OpsError> {
    let reference = pin(client, reference).await?;
    let mut stored = Vec::new();
    if forms.contains(&Form::Classic) {
        if !signer.fits_classic() {
            return Err(eyas_trust::TrustError::NotClassic.into());
        }
        let tag = reference.digest().map(eyas_trust::classic_tag).unwrap_or_default();
        stored.push(reference.with_tag(&tag)?);
    }
    let key_fingerprint = signer.public().map(|key| key.fingerprint().to_string());
    let signer = SignerRecord { key_fingerprint, ..SignerRecord::default() };
    Ok(Signed { reference, stored, signer })
}

/// Resolves a reference once and attaches a statement about what it points at.
pub async fn attest_reference(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    predicate_type: &str,
    predicate: serde_json::Value,
) -> Result<Signed, OpsError> {
    let reference = pin(client, reference).await?;
    let stored = eyas_trust::attest(client, &reference, signer, predicate_type, predicate).await?;
    Ok(Signed { reference, stored: vec![stored.location], signer: stored.signer })
}

async fn pin(client: &Client, reference: &Reference) -> Result<Reference, OpsError> {
    // The document itself is fetched: signing a digest that only a header claims would sign on
    // the registry's word.
    let digest: Digest = client.manifest(reference).await?.digest;
    Ok(reference.with_digest(digest))
}

/// A signer in one word.
fn who(signer: &SignerRecord) -> String {
    signer.identity.as_ref().or(signer.key_fingerprint.as_ref()).cloned().unwrap_or_default()
}

pub(crate) async fn sign(
    client: &Client,
    pinned: &Reference,
    signer: &Signer,
    form: Form,
) -> Result<String, OpsError> {
    Ok(who(&eyas_trust::sign(client, pinned, signer, form).await?.signer))
}
