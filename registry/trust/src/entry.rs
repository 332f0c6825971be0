//! Log entries of a kind that the sigstore library has no name for: `dsse` 0.0.2.
//!
//! A log of the second generation enters an envelope as this kind. Owns taking such entries out of
//! a bundle before the library reads it, and holding each to what the library holds `hashedrekord`
//! 0.0.2 to: a strictly read body about this envelope, this signature and this verifier, a proof
//! of inclusion, and a checkpoint by a trusted log. Certificates, stamps and the signature itself
//! stay with the library; a log of this generation proves no time.

use serde::Deserialize;
use serde_json::Value;
use sigstore::types::bundle::VerificationMaterialContent;
use sigstore::types::{
    Bundle, CanonicalizedBody, DigestBytes, DsseEnvelope, HashAlgorithm, InclusionProof, LogId,
    LogIndex, Sha256Hash, SignatureBytes, SignatureContent,
};
use sigstore_crypto::{KeyAlgorithm, Keyring};
use sigstore_types::{DerCertificate, DerPublicKey};

use crate::explain::{Check, Step};
use crate::reentry::{self, StatementEntry};

/// Name of the kind.
const KIND: (&str, &str) = ("dsse", "0.0.2");

/// A bundle with every log entry that it carries.
#[derive(Debug)]
pub(crate) struct WholeBundle {
    /// All but the entries of this module's kind.
    pub(crate) bundle: Bundle,
    /// The entries of this module's kind.
    pub(crate) envelopes: Vec<EnvelopeEntry>,
    /// The entry of a statement that was kept with its envelope's bytes, where it is of the kind that
    /// needs these.
    pub(crate) statement: Option<StatementEntry>,
    /// Why what came along to vouch for a key's signature is not there.
    pub(crate) set_aside: Option<Check>,
}

/// An entry of kind `dsse` 0.0.2 as a bundle carries it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvelopeEntry {
    // What is zero is left out.
    #[serde(default)]
    log_index: LogIndex,
    log_id: LogId,
    #[serde(rename = "kindVersion")]
    _kind: Kind,
    #[serde(default)]
    integrated_time: Option<Value>,
    inclusion_proof: InclusionProof,
    canonicalized_body: CanonicalizedBody,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
    version: String,
}

impl Kind {
    fn is_ours(&self) -> bool {
        (self.kind.as_str(), self.version.as_str()) == KIND
    }

    fn is_old_statement(&self) -> bool {
        (self.kind.as_str(), self.version.as_str()) == reentry::KIND
    }
}

/// As much of a bundle as tells which kinds of entries are in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinds {
    verification_material: KindsMaterial,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KindsMaterial {
    #[serde(default)]
    tlog_entries: Vec<KindsEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KindsEntry {
    kind_version: Kind,
}

/// Body of an entry: what the log has entered, as its kind describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Body<S> {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(rename = "dsseV002")]
    entered: Entered,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entered {
    payload_hash: PayloadHash,
    signatures: Vec<EnteredSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadHash {
    algorithm: HashAlgorithm,
    digest: DigestBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnteredSignature {
    content: SignatureBytes,
    verifier: EnteredVerifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnteredVerifier {
    key_details: String,
    #[serde(default)]
    x509_certificate: Option<Raw<DerCertificate>>,
    #[serde(default)]
    public_key: Option<Raw<DerPublicKey>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw<T> {
    raw_bytes: T,
}

pub(crate) fn refused(detail: impl Into<String>) -> Check {
    Check::new(Step::TransparencyLog, detail)
}

impl WholeBundle {
    /// Reads a bundle's JSON.
    pub(crate) fn from_json(text: &str) -> Result<Self, Check> {
        let malformed = |error: &dyn std::fmt::Display| {
            Check::new(Step::Format, format!("the bundle is malformed: {error}"))
        };
        let read = |text: &str| Bundle::from_json(text).map_err(|error| malformed(&error));
        // What this cannot read the library refuses, in its own words.
        let kinds = serde_json::from_str::<Kinds>(text);
        let kinds = kinds.map(|kinds| kinds.verification_material.tlog_entries).unwrap_or_default();
        if kinds.iter().any(|entry| entry.kind_version.is_old_statement()) {
            let (kind, version) = reentry::KIND;
            return Err(refused(format!(
                "the log entry is of kind `{kind}` {version}, which vouches for nothing but a statement that is kept \
                 byte for byte; attest with `--rekor-entry-type dsse`"
            )));
        }
        if !kinds.iter().any(|entry| entry.kind_version.is_ours()) {
            return Ok(Self {
                bundle: read(text)?,
                envelopes: Vec::new(),
                statement: None,
                set_aside: None,
            });
        }
        let mut json: Value = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let entries = json
            .pointer_mut("/verificationMaterial/tlogEntries")
            .and_then(Value::as_array_mut)
            .map(std::mem::take)
            .unwrap_or_default();
        let is_ours = |entry: &Value| {
            entry
                .get("kindVersion")
                .is_some_and(|kind| Kind::deserialize(kind).is_ok_and(|kind| kind.is_ours()))
        };
        let (ours, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_ours);
        if let Some(left) = json.pointer_mut("/verificationMaterial/tlogEntries") {
            *left = others.into();
        }
        let envelopes = ours.into_iter().map(EnvelopeEntry::read).collect::<Result<_, _>>()?;
        Ok(Self { bundle: read(&json.to_string())?, envelopes, statement: None, set_aside: None })
    }

    /// How many log entries there are.
    pub(crate) fn entries(&self) -> usize {
        let others = self.envelopes.len().saturating_add(usize::from(self.statement.is_some()));
        self.known_entries().saturating_add(others)
    }

    /// How many of them the library reads.
    pub(crate) fn known_entries(&self) -> usize {
        self.bundle.verification_material.tlog_entries.len()
    }

    /// Whether only this module's entries vouch for the signature.
    pub(crate) fn is_by_envelopes_only(&self) -> bool {
        self.known_entries() == 0 && !self.envelopes.is_empty()
    }

    /// Whether a time stamp is there.
    pub(crate) fn is_stamped(&self) -> bool {
        !self.bundle.verification_material.timestamp_verification_data.rfc3161_timestamps.is_empty()
    }

    /// Holds each entry of this module's kind to the bundle, and to the logs of a root. `key` is
    /// whose signature it is where the bundle brings no certificate.
    pub(crate) fn hold_envelopes(
        &self,
        logs: &Keyring,
        key: Option<&DerPublicKey>,
    ) -> Result<(), Check> {
        for entry in &self.envelopes {
            entry.is_included(logs)?;
            entry.is_about(&self.bundle, key)?;
        }
        Ok(())
    }
}

impl EnvelopeEntry {
    fn read(entry: Value) -> Result<Self, Check> {
        let entry: Self = serde_json::from_value(entry)
            .map_err(|error| refused(format!("the log entry is malformed: {error}")))?;
        // Zero stands for none.
        let timed = |time: &Value| !matches!(time.as_str(), Some("0")) && time.as_u64() != Some(0);
        if entry.integrated_time.as_ref().is_some_and(timed) {
            return Err(refused(
                "the log entry has a time, and a log of the second generation proves none",
            ));
        }
        Ok(entry)
    }

    /// Whether the entry is in a trusted log. Index, size and root are those that are signed or
    /// hashed; their copies in the proof decide nothing.
    fn is_included(&self, logs: &Keyring) -> Result<(), Check> {
        let id = Sha256Hash::try_from(self.log_id.key_id.as_bytes())
            .map_err(|error| refused(format!("the identifier of the log is malformed: {error}")))?;
        let key = logs.key_started_by(&id, jiff::Timestamp::now()).ok_or_else(|| {
            refused(format!("the log `{}` is not one that the root trusts", self.log_id.key_id))
        })?;
        let checkpoint = self
            .inclusion_proof
            .checkpoint
            .checkpoint()
            .ok_or_else(|| refused("the proof of inclusion has no checkpoint"))?;
        sigstore_merkle::verify_inclusion_proof(
            &sigstore_merkle::hash_leaf(self.canonicalized_body.as_bytes()),
            self.log_index.get(),
            checkpoint.tree_size(),
            &self.inclusion_proof.hashes,
            checkpoint.root_hash(),
        )
        .map_err(|error| refused(format!("the proof of inclusion does not hold: {error}")))?;
        let hint = id.as_bytes().get(..4);
        let by_log = checkpoint
            .signatures()
            .iter()
            .filter(|signature| Some(&signature.key_id.as_bytes()[..]) == hint)
            .any(|signature| key.verify(checkpoint.signed_data(), &signature.signature).is_ok());
        if by_log {
            Ok(())
        } else {
            Err(refused("the checkpoint is not signed by the log that the entry names"))
        }
    }

    /// Whether what was entered is this envelope, this signature and this verifier, and no more.
    fn is_about(&self, bundle: &Bundle, key: Option<&DerPublicKey>) -> Result<(), Check> {
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(refused(
                "a log entry of kind `dsse` is about an envelope, and the bundle has none",
            ));
        };
        let body: Body<Spec> = serde_json::from_slice(self.canonicalized_body.as_bytes())
            .map_err(|error| refused(format!("the body of the log entry is malformed: {error}")))?;
        if (body.kind.as_str(), body.api_version.as_str()) != KIND {
            return Err(refused(format!(
                "the body of the log entry is of kind `{}` `{}`, expected `{}` `{}`",
                body.kind, body.api_version, KIND.0, KIND.1
            )));
        }
        let entered = body.spec.entered;
        entered.payload_hash.is_of(envelope)?;
        let [signature] = &entered.signatures[..] else {
            return Err(refused(format!(
                "the log entry has {} signatures, expected the one of the envelope",
                entered.signatures.len()
            )));
        };
        if signature.content != envelope.signature.sig {
            return Err(refused("the log entry is about another signature"));
        }
        signature.verifier.is_of(bundle, key)
    }
}

impl PayloadHash {
    fn is_of(&self, envelope: &DsseEnvelope) -> Result<(), Check> {
        if self.algorithm != HashAlgorithm::Sha2256 {
            return Err(refused(format!(
                "the log entry has a hash of kind `{}`, expected `SHA2_256`",
                self.algorithm
            )));
        }
        let payload = eyas_artifact::Digest::sha256(envelope.payload.as_bytes());
        if self.digest.as_bytes() != payload.as_bytes() {
            return Err(refused("the log entry is about another payload"));
        }
        Ok(())
    }
}

impl EnteredVerifier {
    fn is_of(&self, bundle: &Bundle, key: Option<&DerPublicKey>) -> Result<(), Check> {
        let other = || refused("the log entry is about a signature by another verifier");
        let certificate = match &bundle.verification_material.content {
            VerificationMaterialContent::PublicKey(_) => None,
            _ => bundle.signing_certificate(),
        };
        let spki = match (&self.x509_certificate, &self.public_key, certificate, key) {
            (Some(entered), None, Some(certificate), _) => {
                if entered.raw_bytes != *certificate {
                    return Err(other());
                }
                sigstore_crypto::parse_certificate_info(certificate)
                    .map_err(|error| refused(format!("the certificate is malformed: {error}")))?
                    .public_key
            }
            (None, Some(entered), None, Some(key)) => {
                if entered.raw_bytes != *key {
                    return Err(other());
                }
                key.clone()
            }
            _ => return Err(other()),
        };
        let fits = KeyAlgorithm::from_spki(&spki)
            .is_ok_and(|algorithm| details_of(algorithm).contains(&self.key_details.as_str()));
        if fits {
            Ok(())
        } else {
            Err(refused(format!(
                "the log entry calls the key `{}`, which it is not",
                self.key_details
            )))
        }
    }
}

/// What a log calls a kind of key together with the hash that the library verifies it with
/// (`PublicKeyDetails` of the sigstore protobuf specifications).
fn details_of(algorithm: KeyAlgorithm) -> &'static [&'static str] {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => &["PKIX_ECDSA_P256_SHA_256"],
        KeyAlgorithm::EcdsaP384 => &["PKIX_ECDSA_P384_SHA_384"],
        KeyAlgorithm::Ed25519 => &["PKIX_ED25519"],
        KeyAlgorithm::Rsa => &[
            "PKIX_RSA_PKCS1V15_2048_SHA256",
            "PKIX_RSA_PKCS1V15_3072_SHA256",
            "PKIX_RSA_PKCS1V15_4096_SHA256",
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    /// A bundle with an entry of this module's kind beside what it had.
    fn with_entry(change: impl FnOnce(&mut Value)) -> Result<WholeBundle, Check> {
        let mut bundle: Value =
            serde_json::from_slice(include_bytes!("../testdata/cosign-bundle.json")).unwrap();
        let id = STANDARD.encode([7; 32]);
        let note = format!("log.example\n1\n{id}\n\n\u{2014} log.example {id}\n");
        let mut entry = json!({
            "logId": { "keyId": id },
            "kindVersion": { "kind": "dsse", "version": "0.0.2" },
            "integratedTime": "0",
            "inclusionProof": {
                "rootHash": id,
                "treeSize": "1",
                "hashes": [],
                "checkpoint": { "envelope": note },
            },
            "canonicalizedBody": STANDARD.encode("{}"),
        });
        change(&mut entry);
        let entries = &mut bundle["verificationMaterial"]["tlogEntries"];
        match entries.as_array_mut() {
            Some(entries) => entries.push(entry),
            None => *entries = json!([entry]),
        }
        WholeBundle::from_json(&bundle.to_string())
    }

    #[test]
    fn entries_are_told_apart_by_their_kind() {
        let plain = include_str!("../testdata/cosign-bundle.json");
        let before = WholeBundle::from_json(plain).unwrap();
        assert!(before.envelopes.is_empty() && !before.is_by_envelopes_only());
        let whole = with_entry(|_| {}).unwrap();
        assert_eq!((whole.envelopes.len(), whole.known_entries()), (1, before.known_entries()));
        assert_eq!(whole.entries(), before.entries() + 1);
    }

    #[test]
    fn what_such_a_log_does_not_prove_is_refused() {
        for (field, value, why) in [
            ("integratedTime", json!("1700000000"), "proves none"),
            ("integratedTime", json!(1), "proves none"),
            ("inclusionPromise", json!({ "signedEntryTimestamp": "AAAA" }), "inclusionPromise"),
            ("inclusionProof", Value::Null, "malformed"),
        ] {
            let check = with_entry(|entry| entry[field] = value).unwrap_err();
            assert_eq!(check.step, Step::TransparencyLog);
            assert!(check.detail.contains(why), "{check}");
        }
    }

    #[test]
    fn a_log_that_no_root_trusts_proves_nothing() {
        let whole = with_entry(|_| {}).unwrap();
        let check = whole.hold_envelopes(&Keyring::new(), None).unwrap_err();
        assert!(check.detail.contains("not one that the root trusts"), "{check}");
    }
}
