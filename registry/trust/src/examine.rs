//! One candidate against the signers that a rule accepts.
//!
//! Pure: bytes in, a record of checks out. The order is fixed: readable, about this digest, says
//! what is asked for, signature (and for certificates chain, log and time), then who signed, then
//! revocation. The first check that fails ends the candidate.

use eyas_artifact::{Digest, SignerRecord};
use serde_json::Value;
use sigstore::types::{Artifact, Sha256Hash, SignatureContent};

use crate::entry::WholeBundle;
use crate::evidence::{
    Candidate, Content, classic_as_bundle, classic_signature, has_certificate, parse_bundle,
    statement_as_bundle,
};
use crate::explain::{Attempt, Check, Step};
use crate::key::PublicKey;
use crate::keyless::{self, Facts};
use crate::policy::{Authority, LogNeed, Revoked};
use crate::roots::Roots;
use crate::statement::{SIGNED_PREDICATE, SimplePayload, Statement};

/// What is asked of a candidate.
pub(crate) struct Question<'a> {
    pub(crate) digest: &'a Digest,
    /// Predicate type that counts; [`SIGNED_PREDICATE`] for plain signatures.
    pub(crate) predicate_type: &'a str,
    pub(crate) accept: &'a [Authority],
    pub(crate) revoked: &'a Revoked,
    pub(crate) roots: &'a Roots,
}

/// How a candidate did.
pub(crate) struct Examined {
    pub(crate) attempt: Attempt,
    /// Indexes into [`Question::accept`] of the authorities that it satisfies.
    pub(crate) matched: Vec<usize>,
    /// Who signed, in a form in which two equal signers are equal.
    pub(crate) signer: String,
    /// Predicate of a verified statement.
    pub(crate) predicate: Option<Value>,
    /// A certificate that is good, whoever's it is; what a suggestion can name.
    pub(crate) observed: Option<Facts>,
    /// Whether it came without a certificate, so that only a key can vouch for it.
    pub(crate) uncertified: bool,
}

/// The parsed form of a candidate.
struct Opened {
    bundle: Option<WholeBundle>,
    /// What a key's signature has to cover.
    message: Message,
    signature: Vec<u8>,
    signed_at: Option<String>,
    predicate: Option<Value>,
    /// What the sigstore library has to compare with: the digest, or the classic payload.
    artifact: OwnedArtifact,
}

enum Message {
    Bytes(Vec<u8>),
    /// The manifest itself, of which only the digest is at hand.
    Digest(Digest),
}

enum OwnedArtifact {
    Payload(Vec<u8>),
    Digest(Digest),
}

impl OwnedArtifact {
    fn borrow(&self) -> Artifact<'_> {
        match self {
            Self::Payload(bytes) => Artifact::from_blob(bytes),
            Self::Digest(digest) => Artifact::from_digest(Sha256Hash::from(*digest.as_bytes())),
        }
    }
}

/// Examines one candidate.
pub(crate) fn examine(candidate: &Candidate, question: &Question<'_>) -> Examined {
    let mut found = Examined {
        attempt: Attempt {
            candidate: candidate.origin.clone(),
            passed: Vec::new(),
            failed: None,
            signer: None,
        },
        matched: Vec::new(),
        signer: String::new(),
        predicate: None,
        observed: None,
        uncertified: false,
    };
    if let Err(check) = found.run(candidate, question) {
        found.attempt.failed = Some(check);
        found.matched.clear();
    }
    found
}

impl Examined {
    fn run(&mut self, candidate: &Candidate, question: &Question<'_>) -> Result<(), Check> {
        let opened = self.open(candidate, question)?;
        let certified =
            opened.bundle.as_ref().filter(|whole| whole.bundle.signing_certificate().is_some());
        if let Some(bundle) = certified {
            self.by_certificate(bundle, &opened, question)?;
        } else {
            self.uncertified = true;
            self.by_key(&opened, question)?;
        }
        self.predicate = opened.predicate;
        Ok(())
    }

    fn pass(&mut self, check: Check) {
        self.attempt.passed.push(check);
    }

    fn open(&mut self, candidate: &Candidate, question: &Question<'_>) -> Result<Opened, Check> {
        match &candidate.content {
            Content::Classic { payload, annotations } => {
                let parsed = SimplePayload::parse(payload)?;
                if question.predicate_type != SIGNED_PREDICATE {
                    return Err(Check::new(
                        Step::Predicate,
                        format!(
                            "a classic signature makes no statement of type `{}`",
                            question.predicate_type
                        ),
                    ));
                }
                self.pass(parsed.names(question.digest)?);
                let bundle = classic_as_bundle(payload, annotations);
                // Without a certificate only the key counts, and broken extras are not needed.
                let bundle = if has_certificate(annotations) { Some(bundle?) } else { bundle.ok() };
                Ok(Opened {
                    bundle,
                    message: Message::Bytes(payload.clone()),
                    signature: classic_signature(annotations)?,
                    signed_at: parsed.signed_at(),
                    predicate: None,
                    artifact: OwnedArtifact::Payload(payload.clone()),
                })
            }
            Content::Unreadable(reason) => Err(Check::new(Step::Format, reason.clone())),
            Content::ClassicStatement { envelope, annotations } => {
                self.open_bundle(statement_as_bundle(envelope, annotations)?, question)
            }
            Content::Bundle(json) => self.open_bundle(parse_bundle(json)?, question),
        }
    }

    fn open_bundle(
        &mut self,
        bundle: WholeBundle,
        question: &Question<'_>,
    ) -> Result<Opened, Check> {
        let (message, signature, signed_at, predicate) = match &bundle.bundle.content {
            SignatureContent::DsseEnvelope(envelope) => {
                let statement =
                    Statement::parse(&envelope.payload_type, envelope.payload.as_bytes())?;
                self.pass(statement.names(question.digest)?);
                self.pass(statement.states(question.predicate_type)?);
                let signature = envelope.signature.sig.as_bytes().to_vec();
                let signed_at = statement.signed_at(question.digest);
                (
                    Message::Bytes(envelope.pae()),
                    signature,
                    signed_at,
                    Some(statement.predicate().clone()),
                )
            }
            SignatureContent::MessageSignature(message) => {
                self.pass(message_names(message, question)?);
                let signature = message.signature.as_bytes().to_vec();
                (Message::Digest(*question.digest), signature, None, None)
            }
            _ => {
                return Err(Check::new(Step::Format, "the bundle's content is of an unknown kind"));
            }
        };
        let artifact = OwnedArtifact::Digest(*question.digest);
        Ok(Opened { bundle: Some(bundle), message, signature, signed_at, predicate, artifact })
    }

    fn by_certificate(
        &mut self,
        bundle: &WholeBundle,
        opened: &Opened,
        question: &Question<'_>,
    ) -> Result<(), Check> {
        let facts = keyless::prove(bundle, &opened.artifact.borrow(), question.roots)?;
        self.pass(Check::new(Step::Signature, "fits the content and the certificate's key"));
        facts.checks().into_iter().for_each(|check| self.pass(check));
        self.attempt.signer = Some(SignerRecord {
            form: "keyless".into(),
            key_fingerprint: None,
            identity: Some(facts.identity.clone()),
            issuer: Some(facts.issuer.clone()),
            signed_at: Some(facts.signed_at.clone()),
        });
        self.signer = format!("{} {}", facts.issuer, facts.identity);
        if let Some(reason) = question.revoked.identities.get(&facts.identity) {
            return Err(revoked(&facts.describe(), reason.as_deref()));
        }
        let mut refusal = None;
        for (at, authority) in question.accept.iter().enumerate() {
            let Authority::Keyless(wanted) = authority else { continue };
            match facts.satisfies(wanted) {
                Ok(check) => {
                    self.matched.push(at);
                    self.pass(check);
                }
                Err(check) => refusal = Some(check),
            }
        }
        let none = || {
            let signer = facts.describe();
            Check::new(
                Step::Identity,
                format!("signed by {signer}, and the rule accepts keys only"),
            )
        };
        let matched = !self.matched.is_empty();
        let refused = refusal.unwrap_or_else(none);
        self.observed = Some(facts);
        if matched { Ok(()) } else { Err(refused) }
    }

    fn by_key(&mut self, opened: &Opened, question: &Question<'_>) -> Result<(), Check> {
        let mut refusal = None;
        for (at, authority) in question.accept.iter().enumerate() {
            let Authority::Key { key, origin, log } = authority else { continue };
            match key_signed(key, *log, opened, question) {
                Ok((check, logged_at)) => {
                    self.pass(check);
                    return self.by_known_key((at, key, origin), opened, logged_at, question);
                }
                Err(check) => refusal = Some(keyless::later(refusal, check)),
            }
        }
        Err(refusal.unwrap_or_else(|| {
            Check::new(Step::Identity, "signed with a key, and the rule accepts no keys")
        }))
    }

    fn by_known_key(
        &mut self,
        (at, key, origin): (usize, &PublicKey, &str),
        opened: &Opened,
        logged_at: Option<String>,
        question: &Question<'_>,
    ) -> Result<(), Check> {
        self.attempt.signer = Some(SignerRecord {
            form: "key".into(),
            key_fingerprint: Some(key.fingerprint().to_string()),
            identity: None,
            issuer: None,
            signed_at: logged_at.or_else(|| opened.signed_at.clone()),
        });
        self.signer = key.fingerprint().to_string();
        if let Some(reason) = question.revoked.keys.get(key.fingerprint()) {
            return Err(revoked(&key.to_string(), reason.as_deref()));
        }
        self.pass(Check::new(Step::Identity, format!("signed by the {key} from `{origin}`")));
        self.matched.push(at);
        Ok(())
    }
}

fn revoked(who: &str, reason: Option<&str>) -> Check {
    let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Check::new(Step::Revocation, format!("{who} is revoked by the policy{because}"))
}

/// A bare message signature covers the manifest itself, so it can only mean "signed".
fn message_names(
    message: &sigstore::types::bundle::MessageSignature,
    question: &Question<'_>,
) -> Result<Check, Check> {
    if question.predicate_type != SIGNED_PREDICATE {
        return Err(Check::new(
            Step::Predicate,
            format!("a message signature makes no statement of type `{}`", question.predicate_type),
        ));
    }
    let digest = question.digest;
    match &message.message_digest {
        Some(named) if named.digest.as_bytes() != digest.as_bytes() => Err(Check::new(
            Step::Binding,
            format!("the bundle is about `{}`, not about `{digest}`", named.digest.to_hex()),
        )),
        _ => Ok(Check::new(
            Step::Binding,
            format!("is a message signature, checked over `{digest}`"),
        )),
    }
}

/// Whether `key` made the signature, and when a log saw it if one had to.
fn key_signed(
    key: &PublicKey,
    log: LogNeed,
    opened: &Opened,
    question: &Question<'_>,
) -> Result<(Check, Option<String>), Check> {
    let made = match &opened.message {
        Message::Bytes(bytes) => key.verify(bytes, &opened.signature),
        Message::Digest(digest) => key.verify_digest(digest, &opened.signature),
    };
    made.map_err(|reason| Check::new(Step::Signature, reason))?;
    let check = Check::new(Step::Signature, format!("fits the content and the {key}"));
    match log {
        LogNeed::NotRequired => Ok((check, None)),
        LogNeed::Required => {
            let absent = || Check::new(Step::TransparencyLog, "the signature has no log entry");
            let bundle = opened.bundle.as_ref().ok_or_else(absent)?;
            let logged_at =
                keyless::prove_logged(key, bundle, &opened.artifact.borrow(), question.roots)?;
            Ok((check, logged_at))
        }
    }
}
