//! Log entries of kind `intoto` 0.0.1, which the sigstore library has no name for.
//!
//! Such an entry names the SHA-256 of the envelope's bytes as the log was sent them, that of the payload, and the
//! verifier. It vouches for a statement whose envelope came as those very bytes: whatever has that hash, its
//! signature included, was there when the log promised, whether or not the log looked at the signature.
//! Bundles keep an envelope's parts and not its bytes, so that the entry cannot vouch for one.
//!
//! Owns holding the entry to the envelope, the verifier and the log's promise, which proves the time. Certificate,
//! certificate log, signature and binding stay with the library. It takes a time from entries that it reads alone,
//! so the statement is entered for it once more, as a kind that it reads and at the time that was proven, in a log
//! that is made for this one question: its key exists as long as the question, and the root that names it
//! has no other log and is used for nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore::trust_root::TrustedRoot;
use sigstore::types::bundle::VerificationMaterialContent;
use sigstore::types::{Bundle, Sha256Hash, SignatureBytes, SignatureContent};
use sigstore_crypto::Keyring;
use sigstore_types::DerPublicKey;

use crate::entry::{Body, refused};
use crate::explain::Check;
use crate::key::SigningKey;
use crate::roots::Prepared;

/// Name of the kind.
pub(crate) const KIND: (&str, &str) = ("intoto", "0.0.1");

/// An entry as it is kept beside a statement, and the hash of that statement's envelope as it was kept.
#[derive(Debug)]
pub(crate) struct StatementEntry {
    pub(crate) body: Vec<u8>,
    pub(crate) integrated_time: i64,
    pub(crate) log_index: u64,
    pub(crate) log_id: Vec<u8>,
    /// The log's signature over all of these.
    pub(crate) promise: Vec<u8>,
    pub(crate) envelope: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    content: Entered,
    /// A certificate or key as PEM, in base64.
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entered {
    hash: Hash,
    payload_hash: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    algorithm: String,
    value: String,
}

/// What the library is asked instead.
pub(crate) struct Reentered {
    pub(crate) verifier: sigstore::Verifier,
    pub(crate) bundle: Bundle,
    /// When the log has entered the statement.
    pub(crate) time: Timestamp,
}

impl Hash {
    fn is_of(&self, digest: &Digest, what: &str) -> Result<(), Check> {
        if self.algorithm != digest.algorithm() {
            return Err(refused(format!(
                "the log entry has a hash of kind `{}`, expected `{}`",
                self.algorithm,
                digest.algorithm()
            )));
        }
        if self.value != digest.hex() {
            return Err(refused(format!("the log entry is about another {what}")));
        }
        Ok(())
    }
}

impl StatementEntry {
    /// Holds the entry to a statement and to the logs of a root. `key` is whose signature it is where no
    /// certificate came along. Gives what the library is to be asked.
    pub(crate) fn hold(
        &self,
        bundle: &Bundle,
        root: &Prepared,
        key: Option<&DerPublicKey>,
    ) -> Result<Reentered, Check> {
        let time = self.promised(&root.logs)?;
        let verifier = self.is_about(bundle, key)?;
        reenter(bundle, &root.root, time, &verifier)
    }

    /// The time that the log has promised, under a key of its that was valid then.
    fn promised(&self, logs: &Keyring) -> Result<Timestamp, Check> {
        let time = Timestamp::from_second(self.integrated_time)
            .map_err(|error| refused(format!("the log entry's time is none: {error}")))?;
        let id = Sha256Hash::try_from(&self.log_id[..])
            .map_err(|error| refused(format!("the identifier of the log is malformed: {error}")))?;
        let name = hex::encode(&self.log_id);
        let key = logs.key_at(&id, time).ok_or_else(|| {
            refused(format!("the log `{name}` is not one that the root trusts at {time}"))
        })?;
        let signed = promise_text(&self.body, self.integrated_time, &name, self.log_index);
        key.verify(signed.as_bytes(), &SignatureBytes::new(self.promise.clone()))
            .map_err(|error| refused(format!("the log's promise does not hold: {error}")))?;
        Ok(time)
    }

    /// Whether what was entered is this envelope and this verifier, and no more. Gives the verifier as it
    /// was entered.
    fn is_about(&self, bundle: &Bundle, key: Option<&DerPublicKey>) -> Result<String, Check> {
        let body: Body<Spec> = serde_json::from_slice(&self.body)
            .map_err(|error| refused(format!("the body of the log entry is malformed: {error}")))?;
        if (body.kind.as_str(), body.api_version.as_str()) != KIND {
            return Err(refused("the body of the log entry is of another kind than its name"));
        }
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(refused("a log entry of kind `intoto` is about an envelope"));
        };
        let payload = Digest::sha256(envelope.payload.as_bytes());
        body.spec.content.payload_hash.is_of(&payload, "payload")?;
        body.spec.content.hash.is_of(&self.envelope, "envelope")?;
        let other = || refused("the log entry is about a signature by another verifier");
        let pem = STANDARD.decode(&body.spec.public_key).map_err(|_| other())?;
        let block = pem::parse(&pem).map_err(|_| other())?;
        let certificate = match &bundle.verification_material.content {
            VerificationMaterialContent::PublicKey(_) => None,
            _ => bundle.signing_certificate(),
        };
        let same = match (certificate, key) {
            (Some(certificate), _) => {
                block.tag() == "CERTIFICATE" && block.contents() == certificate.as_bytes()
            }
            (None, Some(key)) => block.tag() == "PUBLIC KEY" && block.contents() == key.as_bytes(),
            (None, None) => false,
        };
        if same { Ok(body.spec.public_key) } else { Err(other()) }
    }
}

/// What a log of the first generation signs when it promises, as canonical JSON (RFC 8785).
fn promise_text(body: &[u8], time: i64, log_id: &str, log_index: u64) -> String {
    let body = STANDARD.encode(body);
    format!(
        r#"{{"body":"{body}","integratedTime":{time},"logID":"{log_id}","logIndex":{log_index}}}"#
    )
}

fn reenter(
    bundle: &Bundle,
    root: &TrustedRoot,
    time: Timestamp,
    verifier: &str,
) -> Result<Reentered, Check> {
    let failed = |error: &dyn std::fmt::Display| {
        refused(format!("the log entry cannot be held against the certificate: {error}"))
    };
    let log = SigningKey::generate().map_err(|error| failed(&error))?;
    let id = *log.public().fingerprint();
    let mut known = serde_json::to_value(root).map_err(|error| failed(&error))?;
    known["tlogs"] = json!([{
        "baseUrl": "",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(log.public().der().as_bytes()),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        },
        "logId": { "keyId": STANDARD.encode(id.as_bytes()) },
    }]);
    let known = TrustedRoot::from_json(&known.to_string()).map_err(|error| failed(&error))?;
    let mut whole: Value = serde_json::to_value(bundle).map_err(|error| failed(&error))?;
    let body = json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": sha256(whole["dsseEnvelope"].to_string().as_bytes()),
            "payloadHash": sha256(&payload(bundle)),
            "signatures": [{
                "signature": whole["dsseEnvelope"]["signatures"][0]["sig"],
                "verifier": verifier,
            }],
        },
    });
    let body = body.to_string().into_bytes();
    let seconds = time.as_second();
    let promise = log
        .sign(promise_text(&body, seconds, &id.hex(), 0).as_bytes())
        .map_err(|error| failed(&error))?;
    whole["verificationMaterial"]["tlogEntries"] = json!([{
        "logIndex": "0",
        "logId": { "keyId": STANDARD.encode(id.as_bytes()) },
        "kindVersion": { "kind": "dsse", "version": "0.0.1" },
        "integratedTime": seconds.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": STANDARD.encode(promise) },
        "canonicalizedBody": STANDARD.encode(&body),
    }]);
    Ok(Reentered {
        verifier: sigstore::Verifier::new(&known).map_err(|error| failed(&error))?,
        bundle: Bundle::from_json(&whole.to_string()).map_err(|error| failed(&error))?,
        time,
    })
}

fn payload(bundle: &Bundle) -> Vec<u8> {
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => envelope.payload.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

fn sha256(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": Digest::sha256(bytes).hex() })
}
