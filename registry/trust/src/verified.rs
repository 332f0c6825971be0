//! The proof that verification has happened.
//!
//! [`Verified`] can only be made in this crate, by [`crate::Verifier`]; whatever takes one by value
//! cannot be reached by content that was not verified.

use eyas_artifact::{AttestationRecord, Digest, SignerRecord, Version};

use crate::explain::Explanation;

/// A value that a policy has accepted, with who vouched for it.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    inner: T,
    signers: Vec<SignerRecord>,
    attestations: Vec<AttestationRecord>,
    explanation: Explanation,
    minimum_version: Option<Version>,
    accepted_by: Option<Digest>,
    rule_cases: bool,
}

impl<T> Verified<T> {
    pub(crate) fn new(inner: T, decision: Decision, accepted_by: Option<Digest>) -> Self {
        let Decision { signers, attestations, explanation, minimum_version, rule_cases } = decision;
        Self { inner, signers, attestations, explanation, minimum_version, accepted_by, rule_cases }
    }

    /// The [fingerprint](crate::Verifier::fingerprint) of what has accepted it.
    pub fn accepted_by(&self) -> Option<&Digest> {
        self.accepted_by.as_ref()
    }

    /// What was verified.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// What was verified, leaving the proof behind.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Who vouched: one record per accepted signer, or one that says why none was needed.
    pub fn signers(&self) -> &[SignerRecord] {
        &self.signers
    }

    /// Who made the statements that the rule requires.
    pub fn attestations(&self) -> &[AttestationRecord] {
        &self.attestations
    }

    /// The signer to show where there is room for one.
    pub fn signer(&self) -> Option<&SignerRecord> {
        self.signers.first()
    }

    /// Latest time at which an accepted signer signed, where any said or a log proves it. An
    /// install is a step back in time when this is earlier than what is active.
    pub fn signed_at(&self) -> Option<&str> {
        latest(&self.signers)
    }

    /// Each check that was made, for `--explain`.
    pub fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// Lowest version that the rule allows; the caller compares it with the artifact's.
    pub fn minimum_version(&self) -> Option<&Version> {
        self.minimum_version.as_ref()
    }

    /// Whether rules have to come with cases that hold; the caller has them run.
    pub fn requires_rule_cases(&self) -> bool {
        self.rule_cases
    }
}

/// What a policy decided, when it accepts.
#[derive(Debug, Clone)]
pub struct Decision {
    pub(crate) signers: Vec<SignerRecord>,
    pub(crate) attestations: Vec<AttestationRecord>,
    pub(crate) explanation: Explanation,
    pub(crate) minimum_version: Option<Version>,
    pub(crate) rule_cases: bool,
}

impl Decision {
    /// Who vouched.
    pub fn signers(&self) -> &[SignerRecord] {
        &self.signers
    }

    /// Each check that was made.
    pub fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// As [`Verified::signed_at`].
    pub fn signed_at(&self) -> Option<&str> {
        latest(&self.signers)
    }
}

/// Times are in one canonical form with whole seconds or a fraction, so they are compared as times.
fn latest(signers: &[SignerRecord]) -> Option<&str> {
    signers
        .iter()
        .filter_map(|signer| signer.signed_at.as_deref())
        .filter_map(|text| Some((text.parse::<jiff::Timestamp>().ok()?, text)))
        .max_by_key(|(time, _)| *time)
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(signed_at: Option<&str>) -> SignerRecord {
        SignerRecord {
            form: "key".into(),
            signed_at: signed_at.map(str::to_owned),
            ..SignerRecord::default()
        }
    }

    #[test]
    fn the_latest_time_counts() {
        let signers = [
            signer(None),
            signer(Some("2026-01-02T00:00:00Z")),
            signer(Some("2026-01-02T00:00:00.5Z")),
            signer(Some("2025-12-31T00:00:00Z")),
            signer(Some("no time")),
        ];
        assert_eq!(latest(&signers), Some("2026-01-02T00:00:00.5Z"));
        assert_eq!(latest(&[signer(None)]), None);
    }
}
