//! What a policy refuses whatever its rules say, for what was accepted before.
//!
//! Read without keys and roots, so that going back to an earlier generation needs neither: a key
//! management service that does not answer must not stand in the way of a rollback.

use eyas_artifact::{Digest, Entry, SignerRecord};

use super::Revoked;

/// The revocations of a policy.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    pub(super) origin: String,
    pub(super) revoked: Revoked,
}

impl Revocations {
    /// Where they are written, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What of an installed artifact is revoked, in words with the reason; none when nothing is.
    pub fn of(&self, entry: &Entry) -> Option<String> {
        let because = |reason: &Option<String>| {
            reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"))
        };
        let parts =
            [entry.root_digest, entry.manifest_digest, entry.config_digest, entry.layer_digest];
        let digest = parts.iter().find_map(|part| {
            let reason = self.revoked.digests.get(part)?;
            Some(format!("its digest `{part}` is revoked{}", because(reason)))
        });
        let mut signers = entry.signer.iter().chain(&entry.other_signers);
        let of_signer = |signer: &SignerRecord| {
            let key = signer.key_fingerprint.as_deref().and_then(|print| {
                let reason = self.revoked.keys.get(&print.parse::<Digest>().ok()?)?;
                Some(format!("its signer, the key `{print}`, is revoked{}", because(reason)))
            });
            key.or_else(|| {
                let identity = signer.identity.as_ref()?;
                let reason = self.revoked.identities.get(identity)?;
                Some(format!("its signer `{identity}` is revoked{}", because(reason)))
            })
        };
        digest.or_else(|| signers.find_map(of_signer))
    }
}
