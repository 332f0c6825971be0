//! What needs a trusted root: signatures by certificate, and log entries of signatures by key.
//!
//! Chain, SCT, transparency log and timestamps are the sigstore library's; this module asks it for
//! all of them without naming a signer, checks that it did them all, and only then looks at who
//! signed. Log entries that the library does not read are held by [`crate::entry`] to the same.
//! All offline.

use eyas_artifact::Digest;
use sigstore::crypto::{CertificateInfo, FulcioCiClaims};
use sigstore::types::{Artifact, SignatureContent};
use sigstore::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use crate::entry::WholeBundle;
use crate::explain::{Check, Step};
use crate::key::PublicKey;
use crate::policy::Keyless;
use crate::roots::{Prepared, Roots};
use crate::statement::Statement;

/// What a verified certificate proves.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) identity: String,
    pub(crate) issuer: String,
    /// Earliest proven time of signing, RFC 3339 UTC.
    pub(crate) signed_at: String,
    claims: FulcioCiClaims,
    /// Name of the root that it chains to.
    root: String,
    /// What a policy calls every root under which all of it holds.
    stems: Vec<String>,
}

/// Verifies a bundle with a certificate over `artifact`, whoever signed it.
pub(crate) fn prove(
    bundle: &WholeBundle,
    artifact: &Artifact<'_>,
    roots: &Roots,
) -> Result<Facts, Check> {
    every_entry_is_proven(bundle)?;
    if bundle.is_by_envelopes_only() && !bundle.is_stamped() {
        return Err(Check::new(
            Step::Timestamp,
            "nothing proves the time of signing: there is no time stamp, and a log of the second generation proves none",
        ));
    }
    let mut failures = Vec::new();
    let mut proven: Option<Facts> = None;
    for root in roots.iter() {
        match (certified(bundle, artifact, root), &mut proven) {
            (Ok(_), Some(proven)) => proven.stems.push(root.stem.clone()),
            (Ok(facts), None) => proven = Some(facts),
            (Err(check), _) => failures.push((root.name.as_str(), check)),
        }
    }
    proven.ok_or_else(|| furthest(failures))
}

/// What one root proves of a bundle with a certificate.
fn certified(
    bundle: &WholeBundle,
    artifact: &Artifact<'_>,
    root: &Prepared,
) -> Result<Facts, Check> {
    if let Some(entry) = &bundle.statement {
        let asked = entry.hold(&bundle.bundle, root, None)?;
        let policy = VerificationPolicy::any_identity();
        let result = asked.verifier.verify(artifact.clone(), &asked.bundle, &policy);
        return facts(&result.map_err(|error| failed(&error))?, bundle, root);
    }
    let mut policy = VerificationPolicy::any_identity();
    // Where the library has entries it proves them; with none it would refuse.
    if bundle.is_by_envelopes_only() {
        policy = policy.skip_tlog_unsafe();
    }
    let result = root
        .verifier
        .verify(artifact.clone(), &bundle.bundle, &policy)
        .map_err(|error| failed(&error))?;
    bundle.hold_envelopes(&root.logs, None)?;
    facts(&result, bundle, root)
}

/// Verifies that a log entered a signature by `key` over `artifact`; gives the time when the log
/// proves one.
pub(crate) fn prove_logged(
    key: &PublicKey,
    bundle: &WholeBundle,
    artifact: &Artifact<'_>,
    roots: &Roots,
) -> Result<Option<String>, Check> {
    let failed_log = |detail: &str| Check::new(Step::TransparencyLog, detail);
    if bundle.entries() == 0 {
        if let Some(check) = &bundle.set_aside {
            return Err(check.clone());
        }
        return Err(failed_log("the signature has no log entry, and one is required"));
    }
    every_entry_is_proven(bundle)?;
    let mut refusal = None;
    for root in roots.iter() {
        match logged(key, bundle, artifact, root) {
            Ok(time) => return Ok(time),
            Err(check) => refusal = Some(later(refusal, check)),
        }
    }
    Err(refusal
        .unwrap_or_else(|| failed_log("the policy trusts no root whose log could be checked")))
}

/// The same with one root.
fn logged(
    key: &PublicKey,
    bundle: &WholeBundle,
    artifact: &Artifact<'_>,
    root: &Prepared,
) -> Result<Option<String>, Check> {
    if let Some(entry) = &bundle.statement {
        let asked = entry.hold(&bundle.bundle, root, Some(key.der()))?;
        let policy = PublicKeyVerificationPolicy::new(key.der().clone());
        let result = asked.verifier.verify(artifact.clone(), &asked.bundle, &policy);
        result.map_err(|error| failed(&error))?;
        return Ok(Some(asked.time.to_string()));
    }
    let only_ours = bundle.is_by_envelopes_only();
    let time = if only_ours && !bundle.is_stamped() {
        // The library wants an entry or a stamp of any bundle.
        signed_with(key, bundle, artifact)?;
        None
    } else {
        let mut policy = PublicKeyVerificationPolicy::new(key.der().clone());
        if only_ours {
            policy = policy.skip_tlog_unsafe();
        }
        let result = root
            .verifier
            .verify(artifact.clone(), &bundle.bundle, &policy)
            .map_err(|error| failed(&error))?;
        if !result.tlog_verified() && !only_ours {
            return Err(Check::new(Step::TransparencyLog, "the log entry was not verified"));
        }
        earliest(&result)
    };
    bundle.hold_envelopes(&root.logs, Some(key.der()))?;
    Ok(time)
}

/// Verifies an envelope's signature by `key` over a statement about `artifact`.
fn signed_with(
    key: &PublicKey,
    bundle: &WholeBundle,
    artifact: &Artifact<'_>,
) -> Result<(), Check> {
    let SignatureContent::DsseEnvelope(envelope) = &bundle.bundle.content else {
        return Err(Check::new(Step::Format, "the bundle's content is no envelope"));
    };
    let unknown = || Check::new(Step::Binding, "the content's digest is not SHA-256");
    let digest = match artifact {
        Artifact::Blob(bytes) => Digest::sha256(bytes),
        // One of another kind has another length, and is refused.
        Artifact::Digest(digest) => format!("sha256:{}", hex::encode(digest.value().as_bytes()))
            .parse()
            .map_err(|_| unknown())?,
        _ => return Err(unknown()),
    };
    Statement::parse(&envelope.payload_type, envelope.payload.as_bytes())?.names(&digest)?;
    key.verify(&envelope.pae(), envelope.signature.sig.as_bytes())
        .map_err(|reason| Check::new(Step::Signature, reason))
}

/// Of two failures the one that got further.
pub(crate) fn later(known: Option<Check>, new: Check) -> Check {
    match known {
        Some(known) if known.step >= new.step => known,
        _ => new,
    }
}

fn earliest(result: &VerificationResult) -> Option<String> {
    let times = result.verified_timestamps().iter().copied().chain(result.integrated_time());
    times.min().map(|time| time.to_string())
}

/// The library accepts a log entry that carries no evidence beside one that does; here each
/// entry needs its own.
fn every_entry_is_proven(bundle: &WholeBundle) -> Result<(), Check> {
    let entries = &bundle.bundle.verification_material.tlog_entries;
    let bare = entries
        .iter()
        .any(|entry| entry.inclusion_proof.is_none() && entry.inclusion_promise.is_none());
    if bare {
        return Err(Check::new(
            Step::TransparencyLog,
            "a log entry has neither an inclusion proof nor a signed entry timestamp",
        ));
    }
    Ok(())
}

fn facts(
    result: &VerificationResult,
    bundle: &WholeBundle,
    root: &Prepared,
) -> Result<Facts, Check> {
    let logged = result.tlog_verified() || bundle.is_by_envelopes_only();
    let done = [
        (result.certificate_verified(), Step::Certificate, "the certificate chain"),
        (result.sct_verified(), Step::Certificate, "the signed certificate timestamp"),
        (logged, Step::TransparencyLog, "the transparency log entry"),
    ];
    for (verified, step, what) in done {
        if !verified {
            return Err(Check::new(step, format!("{what} was not verified")));
        }
    }
    let missing =
        |step: Step, what: &str| Check::new(step, format!("the certificate has no {what}"));
    let certificate: &CertificateInfo =
        result.certificate().ok_or_else(|| missing(Step::Certificate, "content"))?;
    let identity = result.identity().ok_or_else(|| missing(Step::Identity, "identity"))?;
    let issuer = result.issuer().ok_or_else(|| missing(Step::Identity, "issuer"))?;
    let signed_at = earliest(result).ok_or_else(|| {
        Check::new(Step::Timestamp, "no log and no timestamp authority proves the time of signing")
    })?;
    Ok(Facts {
        identity: identity.as_str().to_owned(),
        issuer: issuer.to_owned(),
        signed_at,
        claims: certificate.ci_claims.clone(),
        root: root.name.clone(),
        stems: vec![root.stem.clone()],
    })
}

/// With several roots, the failure that says most is the one at the latest step.
fn furthest(failures: Vec<(&str, Check)>) -> Check {
    let several = failures.len() > 1;
    failures.into_iter().max_by_key(|(_, check)| check.step).map_or_else(
        || Check::new(Step::Certificate, "the policy trusts no root for keyless signatures"),
        |(name, mut check)| {
            if several {
                check.detail = format!("{} (with `{name}`)", check.detail);
            }
            check
        },
    )
}

/// The stage at which the library refused.
fn failed(error: &sigstore::Error) -> Check {
    use sigstore::Error as E;
    let step = match error {
        E::IdentityMismatch { .. } | E::IssuerMismatch { .. } => Step::Identity,
        E::SignatureInvalid(_) | E::Crypto(_) => Step::Signature,
        E::ArtifactMismatch(_) => Step::Binding,
        E::Certificate(_) | E::InvalidTrustRoot(_) | E::TrustRoot(_) | E::TrustedCertificate(_) => {
            Step::Certificate
        }
        E::TransparencyLog(_) => Step::TransparencyLog,
        E::Timestamp(_) => Step::Timestamp,
        _ => Step::Format,
    };
    Check::new(step, error.to_string())
}

impl Facts {
    /// Compares the signer with one accepted identity.
    pub(crate) fn satisfies(&self, wanted: &Keyless) -> Result<Check, Check> {
        let differs = |what: &str, found: &str, wanted: &dyn std::fmt::Display| {
            Check::new(Step::Identity, format!("{what} is `{found}`, expected {wanted}"))
        };
        if let Some(root) = &wanted.root
            && !self.stems.contains(root)
        {
            return Err(differs(
                "the certifying root",
                &self.stems.join("`, `"),
                &format!("`{root}`"),
            ));
        }
        if !wanted.issuer.matches(&self.issuer) {
            return Err(differs("the issuer", &self.issuer, &wanted.issuer));
        }
        if !wanted.identity.matches(&self.identity) {
            return Err(differs("the identity", &self.identity, &wanted.identity));
        }
        for (claim, matcher) in &wanted.claims {
            let found = claim.of(&self.claims).unwrap_or("");
            if found.is_empty() || !matcher.matches(found) {
                return Err(differs(&format!("the claim {claim}"), found, matcher));
            }
        }
        Ok(Check::new(
            Step::Identity,
            format!("signed by {}, which matches {}", self.describe(), wanted.identity),
        ))
    }

    /// Identity and issuer in words.
    pub(crate) fn describe(&self) -> String {
        format!("`{}`, issued by `{}`", self.identity, self.issuer)
    }

    /// What was proven, for the record.
    pub(crate) fn checks(&self) -> [Check; 3] {
        let root = &self.root;
        [
            Check::new(
                Step::Certificate,
                format!("chains to {root}, was valid when used, is in a trusted certificate log"),
            ),
            Check::new(
                Step::TransparencyLog,
                format!("every entry is proven by a log of {root} and is about this signature"),
            ),
            Check::new(Step::Timestamp, format!("signed at {}, as is proven", self.signed_at)),
        ]
    }
}

/// A statement about the build that a certificate carries besides identity and issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim(&'static str, fn(&FulcioCiClaims) -> Option<&String>);

/// Names as in the policy file, after Fulcio's own.
const CLAIMS: [Claim; 16] = [
    Claim("build-config-digest", |c| c.build_config_digest.as_ref()),
    Claim("build-config-uri", |c| c.build_config_uri.as_ref()),
    Claim("build-signer-digest", |c| c.build_signer_digest.as_ref()),
    Claim("build-signer-uri", |c| c.build_signer_uri.as_ref()),
    Claim("build-trigger", |c| c.build_trigger.as_ref()),
    Claim("deployment-environment", |c| c.deployment_environment.as_ref()),
    Claim("run-invocation-uri", |c| c.run_invocation_uri.as_ref()),
    Claim("runner-environment", |c| c.runner_environment.as_ref()),
    Claim("source-repository-digest", |c| c.source_repository_digest.as_ref()),
    Claim("source-repository-identifier", |c| c.source_repository_identifier.as_ref()),
    Claim("source-repository-owner-identifier", |c| c.source_repository_owner_identifier.as_ref()),
    Claim("source-repository-owner-uri", |c| c.source_repository_owner_uri.as_ref()),
    Claim("source-repository-ref", |c| c.source_repository_ref.as_ref()),
    Claim("source-repository-uri", |c| c.source_repository_uri.as_ref()),
    Claim("source-repository-visibility", |c| c.source_repository_visibility_at_signing.as_ref()),
    Claim("token-subject", |c| c.token_subject.as_ref()),
];

impl Claim {
    /// Finds a claim by its name in the policy file.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        CLAIMS.into_iter().find(|claim| claim.0 == name).ok_or_else(|| {
            let known: Vec<&str> = CLAIMS.iter().map(|claim| claim.0).collect();
            format!("claim `{name}` is not known, expected one of `{}`", known.join("`, `"))
        })
    }

    fn of(self, claims: &FulcioCiClaims) -> Option<&str> {
        (self.1)(claims).map(String::as_str)
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Matcher;

    fn facts() -> Facts {
        let mut claims = FulcioCiClaims::default();
        claims.source_repository_ref = Some("refs/tags/v1.2.0".into());
        Facts {
            identity: "https://github.com/org/rules/.github/workflows/release.yml@refs/tags/v1.2.0"
                .into(),
            issuer: "https://token.actions.githubusercontent.com".into(),
            signed_at: "2026-01-02T03:04:05Z".into(),
            claims,
            root: "test".into(),
            stems: vec!["test".into()],
        }
    }

    fn wanted(issuer: &str, identity: &str) -> Keyless {
        Keyless {
            issuer: Matcher::exact(issuer).unwrap(),
            identity: Matcher::whole(identity).unwrap(),
            root: None,
            claims: Vec::new(),
        }
    }

    const ISSUER: &str = "https://token.actions.githubusercontent.com";

    #[test]
    fn issuer_and_identity_must_both_match() {
        assert!(facts().satisfies(&wanted(ISSUER, "https://github.com/org/rules/.*")).is_ok());
        let failed = facts().satisfies(&wanted("https://accounts.example", ".*")).unwrap_err();
        assert!(failed.detail.starts_with("the issuer is"), "{failed}");
        let failed =
            facts().satisfies(&wanted(ISSUER, "https://github.com/org/rules/")).unwrap_err();
        assert!(failed.detail.starts_with("the identity is"), "{failed}");
    }

    #[test]
    fn claims_narrow_what_is_accepted() {
        let mut keyless = wanted(ISSUER, ".*");
        let claim = Claim::parse("source-repository-ref").unwrap();
        keyless.claims = vec![(claim, Matcher::whole("refs/tags/.*").unwrap())];
        assert!(facts().satisfies(&keyless).is_ok());
        keyless.claims = vec![(claim, Matcher::whole("refs/heads/main").unwrap())];
        assert!(facts().satisfies(&keyless).unwrap_err().detail.contains("source-repository-ref"));
        let absent = Claim::parse("runner-environment").unwrap();
        keyless.claims = vec![(absent, Matcher::whole(".*").unwrap())];
        assert!(facts().satisfies(&keyless).is_err(), "an absent claim matches nothing");
    }

    #[test]
    fn an_unknown_claim_lists_the_known_ones() {
        let error = Claim::parse("source-repo").unwrap_err();
        assert!(error.contains("`source-repo`") && error.contains("`source-repository-uri`"));
    }

    #[test]
    fn the_latest_step_says_most() {
        let check = furthest(vec![
            ("a", Check::new(Step::Certificate, "no chain")),
            ("b", Check::new(Step::TransparencyLog, "bad proof")),
        ]);
        assert_eq!(check.step, Step::TransparencyLog);
        assert!(check.detail.contains("`b`"));
        assert_eq!(furthest(Vec::new()).step, Step::Certificate);
    }
}
