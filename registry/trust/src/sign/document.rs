//! The bytes that are signed and the bytes that are stored, in both forms.
//!
//! Pure: a key, a digest and a time in, documents out. Pushing them is left to [`super`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::{Digest, media};
use serde_json::{Value, json};

use super::signer::Signed;
use crate::TrustError;
use crate::key::SigningKey;
use crate::statement::{IN_TOTO_PAYLOAD, SIGNED_PREDICATE, SimplePayload, Statement};

/// A classic signature: payload and signature over its bytes.
#[derive(Debug, Clone)]
pub struct ClassicSignature {
    /// The payload, to be stored as it is.
    pub payload: Vec<u8>,
    /// The signature in base64, to be stored as annotation of the payload's layer.
    pub signature: String,
}

/// A sigstore bundle with the type of its statement.
#[derive(Debug, Clone)]
pub struct SignedBundle {
    /// The bundle as JSON.
    pub json: Vec<u8>,
    /// The statement's predicate type.
    pub predicate_type: String,
}

/// A statement that is about to be signed.
#[derive(Debug, Clone)]
pub struct Envelope {
    payload: Vec<u8>,
    predicate_type: String,
}

impl Envelope {
    /// Says that `digest` is signed.
    pub fn signed(digest: &Digest, signed_at: jiff::Timestamp) -> Result<Self, TrustError> {
        Self::of(&Statement::signed(digest, &whole_seconds(signed_at)), SIGNED_PREDICATE)
    }

    /// States something of `predicate_type` about `digest`.
    pub fn about(
        digest: &Digest,
        predicate_type: &str,
        predicate: Value,
        signed_at: jiff::Timestamp,
    ) -> Result<Self, TrustError> {
        let signed_at = whole_seconds(signed_at);
        Self::of(&Statement::about(digest, &signed_at, predicate_type, predicate), predicate_type)
    }

    fn of(statement: &Statement, predicate_type: &str) -> Result<Self, TrustError> {
        let predicate_type = predicate_type.to_owned();
        Ok(Self { payload: to_json("statement", statement)?, predicate_type })
    }

    /// The bytes that a signature covers.
    pub(crate) fn message(&self) -> Vec<u8> {
        sigstore::types::pae(IN_TOTO_PAYLOAD, &self.payload)
    }

    /// The envelope with its signature.
    pub(crate) fn json(&self, signature: &[u8]) -> Value {
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": IN_TOTO_PAYLOAD,
            "signatures": [ { "sig": STANDARD.encode(signature) } ],
        })
    }

    /// The bundle with everything that vouches for the signature.
    pub(crate) fn bundle(&self, signed: &Signed) -> Result<SignedBundle, TrustError> {
        let bundle = json!({
            "mediaType": media::SIGSTORE_BUNDLE,
            "verificationMaterial": signed.material(),
            "dsseEnvelope": self.json(&signed.signature),
        });
        let predicate_type = self.predicate_type.clone();
        Ok(SignedBundle { json: to_json("bundle", &bundle)?, predicate_type })
    }
}

/// The payload of a classic signature of `digest`.
pub(crate) fn payload(
    repository: &str,
    digest: &Digest,
    signed_at: jiff::Timestamp,
) -> Result<Vec<u8>, TrustError> {
    to_json("payload", &SimplePayload::signed(repository, digest, &whole_seconds(signed_at)))
}

/// Signs `digest` in the classic form.
pub fn classic(
    key: &SigningKey,
    repository: &str,
    digest: &Digest,
    signed_at: jiff::Timestamp,
) -> Result<ClassicSignature, TrustError> {
    let payload = payload(repository, digest, signed_at)?;
    let signature = STANDARD.encode(key.sign(&payload)?);
    Ok(ClassicSignature { payload, signature })
}

/// Signs `digest` in the bundle form.
pub fn bundle(
    key: &SigningKey,
    digest: &Digest,
    signed_at: jiff::Timestamp,
) -> Result<SignedBundle, TrustError> {
    let envelope = Envelope::signed(digest, signed_at)?;
    envelope.bundle(&Signed::by_key(key, &envelope.message())?)
}

/// Signs a statement of `predicate_type` about `digest`.
pub fn attestation(
    key: &SigningKey,
    digest: &Digest,
    predicate_type: &str,
    predicate: Value,
    signed_at: jiff::Timestamp,
) -> Result<SignedBundle, TrustError> {
    let envelope = Envelope::about(digest, predicate_type, predicate, signed_at)?;
    envelope.bundle(&Signed::by_key(key, &envelope.message())?)
}

fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>, TrustError> {
    serde_json::to_vec(value).map_err(|error| TrustError::Build { what, reason: error.to_string() })
}

/// More precision would say more about the signer's machine than about the order of signatures.
pub(crate) fn whole_seconds(time: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> jiff::Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    #[test]
    fn a_classic_signature_is_over_the_stored_bytes() {
        let key = SigningKey::generate().unwrap();
        let digest = Digest::sha256(b"m");
        let signed = classic(&key, "r.example/x", &digest, time()).unwrap();
        let signature = STANDARD.decode(&signed.signature).unwrap();
        key.public().verify(&signed.payload, &signature).unwrap();
        let json: Value = serde_json::from_slice(&signed.payload).unwrap();
        assert_eq!(json["critical"]["image"]["docker-manifest-digest"], digest.to_string());
        assert_eq!(json["critical"]["type"], "cosign container image signature");
        assert_eq!(json["optional"][crate::SIGNED_AT], "2026-01-02T03:04:05Z");
    }

    #[test]
    fn a_bundle_is_readable_by_the_library() {
        let key = SigningKey::generate().unwrap();
        let signed = bundle(&key, &Digest::sha256(b"m"), time()).unwrap();
        let text = String::from_utf8(signed.json).unwrap();
        let bundle = sigstore::types::Bundle::from_json(&text).unwrap();
        assert!(bundle.signing_certificate().is_none());
        assert_eq!(signed.predicate_type, SIGNED_PREDICATE);
    }
}
