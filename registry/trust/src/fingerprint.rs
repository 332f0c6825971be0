//! What a decision rests on beside the signatures themselves, as one digest.
//!
//! While it is the same, content that was accepted would be accepted again, so that nobody has to be asked for its
//! signatures a second time. It is remembered with what is installed; who remembers it is left to the store.

use eyas_artifact::{Digest, Reference};

use crate::verifier::Verifier;

impl Verifier {
    /// Digest of the rule for a reference, of what is revoked, of the trusted roots and of this program's version.
    /// None where no rule matches, and where a decision also depends on today's date or on statements that may be
    /// attached later.
    pub fn fingerprint(&self, asked: &Reference) -> Option<Digest> {
        let policy = self.policy();
        let rule = policy.rule_for(asked)?;
        if rule.maximum_age_seconds.is_some() || rule.needs_cases || !rule.attestations.is_empty() {
            return None;
        }
        let mut text = format!(
            "{}\n{}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n",
            env!("CARGO_PKG_VERSION"),
            asked.locator(),
            rule.pattern.as_str(),
            rule.describe(),
            rule.digests,
            rule.minimum_version,
            policy.revoked(),
        );
        for root in policy.roots() {
            text.push_str(&root.to_json().ok()?);
        }
        Some(Digest::sha256(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    fn of(policy: &str) -> Option<Digest> {
        let policy = Policy::parse(policy.as_bytes(), "trust.yaml").unwrap();
        let asked = "r.example.org/team/demo:1".parse().unwrap();
        Verifier::new(policy).unwrap().fingerprint(&asked)
    }

    const KEYLESS: &str = "version: 1\nrules:\n  - match: r.example.org/team/*\n    accept:\n      - keyless: {issuer: https://i, identity: https://x}\n";

    #[test]
    fn whatever_decides_changes_it_and_nothing_else() {
        let before = of(KEYLESS).unwrap();
        let moved = KEYLESS.replace(
            "rules:\n",
            "rules:\n  - match: other.example.org/*\n    insecure: accept unsigned\n",
        );
        assert_eq!(of(&moved), Some(before), "a rule about something else is none for this");
        for (from, to) in [
            ("https://x", "https://y"),
            ("team/*", "team/**"),
            ("rules:", "revoked: [{identity: https://z}]\nrules:"),
            ("    accept:", "    minimum-version: 1.0.0\n    accept:"),
            (
                "    accept:",
                "    threshold: 1\n    digests: ['sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']\n    accept:",
            ),
        ] {
            assert_ne!(of(&KEYLESS.replace(from, to)), Some(before), "{to}");
        }
    }

    #[test]
    fn what_depends_on_the_date_or_on_statements_has_none() {
        for more in ["maximum-age: 90d", "attestations: [{predicate-type: spdx}]"] {
            let policy = KEYLESS.replace("    accept:", &format!("    {more}\n    accept:"));
            assert_eq!(of(&policy), None, "{more}");
        }
        assert_eq!(of("version: 1\nrules: []\n"), None);
    }
}
