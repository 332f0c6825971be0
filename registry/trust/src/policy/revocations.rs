//! What a policy refuses whatever its rules say, for what was accepted before.

use eyas_artifact::{Digest, Entry, Reference, SignerRecord};

use super::{Pattern, Revoked};

/// The revocations of a policy, with as much of its rules as they have to be weighed by.
#[derive(Debug, Clone, Default)]
pub(super) struct Revocations {
    pub(super) revoked: Revoked,
    /// How many signers each rule asks for, in the order in which rules are tried.
    pub(super) thresholds: Vec<(Pattern, usize)>,
}

impl Revocations {
    /// What of an installed artifact is revoked, in words with the reason; none when nothing is, or
    /// when as many signers remain as the rule for it asks for.
    pub(super) fn of(&self, entry: &Entry) -> Option<String> {
        self.of_digests(entry)
            .or_else(|| self.of_signers(entry))
            .or_else(|| self.of_statements(entry))
    }

    fn of_digests(&self, entry: &Entry) -> Option<String> {
        let parts =
            [entry.root_digest, entry.manifest_digest, entry.config_digest, entry.layer_digest];
        parts.iter().find_map(|part| {
            let reason = self.revoked.digests.get(part)?;
            Some(format!("its digest `{part}` is revoked{}", because(reason.as_ref())))
        })
    }

    /// The same signers were counted when it was accepted; whoever is revoked counts no longer.
    fn of_signers(&self, entry: &Entry) -> Option<String> {
        let signers: Vec<_> = entry.signer.iter().chain(&entry.other_signers).collect();
        let revoked: Vec<_> = signers.iter().filter_map(|signer| self.of_signer(signer)).collect();
        let first = revoked.first()?;
        let remain = signers.len().saturating_sub(revoked.len());
        // Where no rule says how many are enough, all that were recorded are needed.
        let needed = self.threshold(entry).unwrap_or(signers.len());
        if remain >= needed {
            return None;
        }
        let left = if needed > 1 {
            format!("; {remain} of {needed} signers remain")
        } else {
            String::new()
        };
        Some(format!("its signer{first}{left}"))
    }

    /// Of each statement that was required, one maker has to remain.
    fn of_statements(&self, entry: &Entry) -> Option<String> {
        entry.attestations.iter().find_map(|statement| {
            let revoked = statement.signers.iter().map(|signer| self.of_signer(signer));
            let revoked = revoked.collect::<Option<Vec<_>>>()?;
            let first = revoked.first()?;
            Some(format!("who made its statement `{}`{first}", statement.predicate_type))
        })
    }

    fn of_signer(&self, signer: &SignerRecord) -> Option<String> {
        let key = signer.key_fingerprint.as_deref().and_then(|print| {
            let reason = self.revoked.keys.get(&print.parse::<Digest>().ok()?)?;
            Some(format!(", the key `{print}`, is revoked{}", because(reason.as_ref())))
        });
        key.or_else(|| {
            let identity = signer.identity.as_ref()?;
            let reason = self.revoked.identities.get(identity)?;
            Some(format!(" `{identity}` is revoked{}", because(reason.as_ref())))
        })
    }

    fn threshold(&self, entry: &Entry) -> Option<usize> {
        let locator = entry.reference.parse::<Reference>().ok()?.locator();
        let rule = self.thresholds.iter().find(|(pattern, _)| pattern.matches(&locator))?;
        Some(rule.1)
    }
}

fn because(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
