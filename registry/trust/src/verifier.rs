//! From a policy and the signatures found to a decision.
//!
//! [`Verifier::decide`] is pure apart from the clock: reference, digest and bytes in, decision out.
//! Fetching is in [`crate::discovery`]. The order is: revoked, which rule, listed digests,
//! signatures, their number, attestations. Whatever is not accepted here is refused.

use eyas_artifact::{AttestationRecord, Digest, Reference, SignerRecord};
use jiff::Timestamp;

use crate::evidence::{Candidate, MAX_CANDIDATES};
use crate::examine::{Examined, Question, examine};
use crate::explain::{Check, Explanation, Step};
use crate::policy::{Attestation, Authority, Basis, Pattern, Policy, Rule};
use crate::roots::Roots;
use crate::statement::SIGNED_PREDICATE;
use crate::verified::Decision;
use crate::{Refusal, TrustError, suggest, threshold};

/// How far a signer's clock may be ahead of ours.
pub const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// Form of a signer record that says that no signature was asked for.
pub const UNSIGNED: &str = "unsigned-accepted";

/// Applies one policy.
#[derive(Debug)]
pub struct Verifier {
    policy: Policy,
    roots: Roots,
}

/// Signatures that were found for a digest.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What was fetched.
    pub candidates: Vec<Candidate>,
    /// How many more are attached that were not fetched, because of [`MAX_CANDIDATES`].
    pub left_out: usize,
}

/// What is being decided about.
struct Case<'a> {
    repository: String,
    digest: &'a Digest,
    evidence: &'a Evidence,
    now: Timestamp,
}

impl Verifier {
    /// Prepares the policy's trusted roots.
    pub fn new(policy: Policy) -> Result<Self, TrustError> {
        let roots = Roots::prepare(policy.roots())?;
        Ok(Self { policy, roots })
    }

    /// The policy that is applied.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether signatures are worth fetching for a reference at all.
    pub fn needs_evidence(&self, asked: &Reference) -> bool {
        self.policy.rule_for(asked).is_none_or(|rule| {
            matches!(rule.basis, Basis::Signed { .. }) || !rule.attestations.is_empty()
        })
    }

    /// Fails when `digest` is revoked, whatever a rule says of `repository`.
    pub fn hold_to_revocations(&self, repository: &str, digest: &Digest) -> Result<(), TrustError> {
        match self.policy.revoked().digests.get(digest) {
            None => Ok(()),
            Some(reason) => Err(TrustError::Revoked {
                repository: repository.to_owned(),
                digest: *digest,
                policy: self.policy.origin().to_owned(),
                reason: reason.clone(),
            }),
        }
    }

    /// Decides about `digest`, which `asked` was resolved to, with today's clock.
    pub fn decide(
        &self,
        asked: &Reference,
        digest: &Digest,
        evidence: &Evidence,
    ) -> Result<Decision, TrustError> {
        self.decide_at(asked, digest, evidence, Timestamp::now())
    }

    /// As [`Self::decide`], at a given time.
    pub fn decide_at(
        &self,
        asked: &Reference,
        digest: &Digest,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<Decision, TrustError> {
        let case = Case { repository: asked.locator(), digest, evidence, now };
        self.hold_to_revocations(&case.repository, digest)?;
        let rule = self.policy.rule_for(asked).ok_or_else(|| self.no_rule(&case))?;
        if rule.digests.as_ref().is_some_and(|listed| !listed.contains(digest)) {
            return Err(TrustError::NotListed {
                repository: case.repository,
                digest: *digest,
                rule: rule.place.clone(),
            });
        }
        let mut explanation = self.explanation(rule, &case);
        let signers = match &rule.basis {
            Basis::Unsigned => vec![recorded(UNSIGNED)],
            Basis::Listed => vec![recorded("digest-listed")],
            Basis::Signed { accept, threshold } => {
                self.signers(rule, accept, *threshold, &case, &mut explanation)?
            }
        };
        let attestations = self.attested(rule, &case, &mut explanation)?;
        let minimum_version = rule.minimum_version.clone();
        let rule_cases = rule.needs_cases;
        Ok(Decision { signers, attestations, explanation, minimum_version, rule_cases })
    }

    /// Decides about an index file, by the bundle beside it. `None` when the policy says nothing
    /// about this index.
    pub fn decide_index(
        &self,
        address: &str,
        name: &str,
        content: &[u8],
        bundle: Option<Vec<u8>>,
    ) -> Result<Option<Decision>, TrustError> {
        let Some(index) = self.policy.rule_for_index(address, name) else { return Ok(None) };
        let digest = Digest::sha256(content);
        self.hold_to_revocations(address, &digest)?;
        let mut evidence = Evidence::default();
        evidence
            .candidates
            .extend(bundle.map(|json| Candidate::bundle("the bundle beside it", json)));
        let case = Case {
            repository: address.to_owned(),
            digest: &digest,
            evidence: &evidence,
            now: Timestamp::now(),
        };
        let rule = &index.rule;
        let mut explanation = self.explanation(rule, &case);
        index.index.clone_into(&mut explanation.pattern);
        let signers = match &rule.basis {
            Basis::Signed { accept, threshold } => {
                self.signers(rule, accept, *threshold, &case, &mut explanation)?
            }
            Basis::Unsigned | Basis::Listed => vec![recorded(UNSIGNED)],
        };
        let attestations = Vec::new();
        let (minimum_version, rule_cases) = (None, false);
        Ok(Some(Decision { signers, attestations, explanation, minimum_version, rule_cases }))
    }

    /// The same policy, deciding about the artifact that an index in a registry is by the rule about this
    /// index. `None` when the policy says nothing about it.
    pub fn for_index_at(
        &self,
        reference: &Reference,
        address: &str,
        name: &str,
    ) -> Result<Option<Self>, TrustError> {
        let Some(index) = self.policy.rule_for_index(address, name) else { return Ok(None) };
        let pattern = Pattern::exactly(&reference.locator());
        let rule = Rule { pattern, ..index.rule.clone() };
        let mut policy = self.policy.clone();
        policy.push_front(rule);
        Self::new(policy).map(Some)
    }

    fn explanation(&self, rule: &Rule, case: &Case<'_>) -> Explanation {
        Explanation {
            repository: case.repository.clone(),
            digest: *case.digest,
            policy: self.policy.origin().to_owned(),
            rule: rule.place.clone(),
            pattern: rule.pattern.as_str().to_owned(),
            wanted: rule.describe(),
            attempts: Vec::new(),
        }
    }

    fn examine_all(&self, case: &Case<'_>, accept: &[Authority], predicate: &str) -> Vec<Examined> {
        let question = Question {
            digest: case.digest,
            predicate_type: predicate,
            accept,
            revoked: self.policy.revoked(),
            roots: &self.roots,
        };
        let candidates = case.evidence.candidates.iter().take(MAX_CANDIDATES);
        let mut examined: Vec<_> =
            candidates.map(|candidate| examine(candidate, &question)).collect();
        for one in &mut examined {
            one.hold_to_clock(case.now);
        }
        examined
    }

    fn signers(
        &self,
        rule: &Rule,
        accept: &[Authority],
        threshold: usize,
        case: &Case<'_>,
        explanation: &mut Explanation,
    ) -> Result<Vec<SignerRecord>, TrustError> {
        let mut examined = self.examine_all(case, accept, SIGNED_PREDICATE);
        for one in &mut examined {
            one.hold_to_age(rule.maximum_age_seconds, case.now);
        }
        let satisfied = examined
            .iter()
            .enumerate()
            .map(|(at, one)| (at, one.signer.as_str(), &one.matched[..]));
        let counted = threshold::count(satisfied);
        if counted.len() < threshold {
            return Err(refused(rule, threshold, counted.len(), case, examined));
        }
        let signers = counted.iter().filter_map(|at| examined.get(*at)?.attempt.signer.clone());
        let signers = signers.collect();
        explanation.attempts.extend(examined.into_iter().map(|one| one.attempt));
        Ok(signers)
    }

    fn attested(
        &self,
        rule: &Rule,
        case: &Case<'_>,
        explanation: &mut Explanation,
    ) -> Result<Vec<AttestationRecord>, TrustError> {
        let mut records = Vec::new();
        for wanted in &rule.attestations {
            let mut examined = self.examine_all(case, &wanted.accept, &wanted.predicate_type);
            for one in &mut examined {
                one.hold_to_conditions(wanted);
            }
            let met = examined.iter().any(|one| one.attempt.accepted());
            let mut signers: Vec<SignerRecord> = Vec::new();
            let accepted = examined.iter().filter(|one| one.attempt.accepted());
            for signer in accepted.filter_map(|one| one.attempt.signer.as_ref()) {
                if !signers.contains(signer) {
                    signers.push(signer.clone());
                }
            }
            let attempts = examined.into_iter().map(|one| one.attempt);
            if !met {
                flooded(case)?;
                return Err(TrustError::Refused(Box::new(Refusal {
                    repository: case.repository.clone(),
                    digest: *case.digest,
                    rule: rule.place.clone(),
                    threshold: 0,
                    satisfied: 0,
                    attempts: attempts.collect(),
                    unmet: vec![format!(
                        "no accepted statement of type `{}` is attached",
                        wanted.predicate_type
                    )],
                    suggestion: None,
                })));
            }
            explanation.attempts.extend(attempts);
            records
                .push(AttestationRecord { predicate_type: wanted.predicate_type.clone(), signers });
        }
        Ok(records)
    }

    /// Nobody was asked for, so everything that is proven is worth naming.
    fn no_rule(&self, case: &Case<'_>) -> TrustError {
        let examined = self.examine_all(case, &[], SIGNED_PREDICATE);
        TrustError::NoRule {
            policy: self.policy.origin().to_owned(),
            repository: case.repository.clone(),
            suggestion: suggestion(case, &examined)
                .unwrap_or_else(|| suggest::unsigned(&case.repository)),
        }
    }
}

fn recorded(form: &str) -> SignerRecord {
    SignerRecord { form: form.to_owned(), ..SignerRecord::default() }
}

fn refused(
    rule: &Rule,
    threshold: usize,
    satisfied: usize,
    case: &Case<'_>,
    examined: Vec<Examined>,
) -> TrustError {
    if let Err(error) = flooded(case) {
        return error;
    }
    if examined.is_empty() {
        return TrustError::Unsigned {
            repository: case.repository.clone(),
            digest: *case.digest,
            rule: rule.place.clone(),
            suggestion: suggest::unsigned(&case.repository),
        };
    }
    TrustError::Refused(Box::new(Refusal {
        repository: case.repository.clone(),
        digest: *case.digest,
        rule: rule.place.clone(),
        threshold,
        satisfied,
        suggestion: suggestion(case, &examined),
        attempts: examined.into_iter().map(|one| one.attempt).collect(),
        unmet: Vec::new(),
    }))
}

/// Fails when not all that is attached was looked at: what is missing may be there.
fn flooded(case: &Case<'_>) -> Result<(), TrustError> {
    if case.evidence.left_out == 0 {
        return Ok(());
    }
    Err(TrustError::TooManyCandidates {
        repository: case.repository.clone(),
        found: case.evidence.candidates.len(),
        limit: MAX_CANDIDATES,
    })
}

/// Lines for what is proven but not accepted. Revoked signers are not suggested.
fn suggestion(case: &Case<'_>, examined: &[Examined]) -> Option<String> {
    let observed: Vec<_> = examined.iter().filter_map(|one| one.observed.clone()).collect();
    let by_key = examined.iter().any(Examined::is_by_unknown_key);
    suggest::rule(&case.repository, &observed, by_key)
}

impl Examined {
    /// Whether the candidate is sound as far as can be told without its key.
    fn is_by_unknown_key(&self) -> bool {
        let bound = self.attempt.passed.iter().any(|check| check.step == Step::Binding);
        let failed = self.attempt.failed.as_ref().map(|check| check.step);
        bound && self.uncertified && matches!(failed, Some(Step::Identity | Step::Signature))
    }

    fn signed_at(&self) -> Option<Timestamp> {
        self.attempt.signer.as_ref()?.signed_at.as_deref()?.parse().ok()
    }

    /// A time in the future would make all that is signed until then look old.
    fn hold_to_clock(&mut self, now: Timestamp) {
        let Some(time) = self.signed_at().filter(|_| self.attempt.failed.is_none()) else { return };
        if time.as_second().saturating_sub(now.as_second()) > MAX_CLOCK_SKEW_SECONDS {
            let detail = format!("signed at {time}, which is in the future of {now}");
            self.fail(Check::new(Step::Timestamp, detail));
        }
    }

    fn hold_to_age(&mut self, maximum_seconds: Option<i64>, now: Timestamp) {
        let (Some(maximum), None) = (maximum_seconds, &self.attempt.failed) else { return };
        match young_enough(self.signed_at(), maximum, now) {
            Ok(check) => self.attempt.passed.push(check),
            Err(check) => self.fail(check),
        }
    }

    fn hold_to_conditions(&mut self, wanted: &Attestation) {
        if self.attempt.failed.is_some() {
            return;
        }
        for condition in &wanted.conditions {
            let found = self.predicate.as_ref().and_then(|value| value.pointer(&condition.path));
            let text =
                found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            if !text.as_deref().is_some_and(|text| condition.matcher.matches(text)) {
                let found = text.map_or_else(|| "nothing".to_owned(), |text| format!("`{text}`"));
                let detail =
                    format!("`{}` is {found}, expected {}", condition.path, condition.matcher);
                self.fail(Check::new(Step::Condition, detail));
                return;
            }
        }
    }

    fn fail(&mut self, check: Check) {
        self.attempt.failed = Some(check);
        self.matched.clear();
    }
}

fn young_enough(time: Option<Timestamp>, maximum: i64, now: Timestamp) -> Result<Check, Check> {
    let failed = |detail: String| Check::new(Step::Age, detail);
    let time = time.ok_or_else(|| {
        failed("the rule limits the age, and the time of signing is not known".into())
    })?;
    let age = now.as_second().saturating_sub(time.as_second());
    if age > maximum {
        return Err(failed(format!("signed at {time}, which is {age} s ago, at most {maximum} s")));
    }
    Ok(Check::new(Step::Age, format!("signed at {time}, at most {maximum} s ago")))
}
