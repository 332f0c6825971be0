//! Signatures made to a recipe: honest ones, and the same with one part made wrongly.
//!
//! Whatever a [`Recipe`] does not name is as the real services would have made it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::{Digest, media};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::authority::{Authority, Order, self_signed};
use super::key::Key;
use super::log::Generation;
pub use super::recipe::{Fault, IDENTITY, ISSUER, Recipe};
use super::services::{envelope_body, envelope_record, record_body, statement_body};
use super::{Parts, Stamper};

/// More proofs than a bundle may have.
const MANY: usize = 40;

/// A signature, ready to be attached.
#[derive(Debug, Clone)]
pub enum Forged {
    /// A bundle's bytes.
    Bundle(Vec<u8>),
    /// A statement of the classic form.
    Statement {
        /// The envelope.
        envelope: Vec<u8>,
        /// The annotations of its layer.
        annotations: BTreeMap<String, String>,
    },
    /// A payload and the annotations of its layer.
    Classic {
        /// The payload.
        payload: Vec<u8>,
        /// The annotations.
        annotations: BTreeMap<String, String>,
    },
}

/// Whoever makes signatures to a recipe.
pub struct Forge<'a> {
    parts: &'a Parts,
    recipe: &'a Recipe,
    key: Key,
    now: Timestamp,
}

/// A signature with what vouches for its key.
struct Signed {
    signature: Vec<u8>,
    certificate: Option<rcgen::Certificate>,
    entries: Vec<Value>,
    stamp: Option<String>,
}

impl Parts {
    /// Makes a signature of `digest`; `key` is the private key that the recipe names.
    pub fn forge(&self, recipe: &Recipe, digest: &Digest, key: Option<Key>) -> Forged {
        let certified = key.is_none();
        let key = key.unwrap_or_default();
        let forge = Forge { parts: self, recipe, key, now: Timestamp::now() };
        match recipe.form.as_str() {
            "classic" => forge.classic(digest, certified),
            "statement" => forge.classic_statement(digest, certified),
            _ => forge.bundle(digest, certified),
        }
    }
}

impl Forge<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.recipe.faults.contains(&fault)
    }

    fn ago(&self, minutes: i64) -> Timestamp {
        self.now - SignedDuration::from_mins(minutes)
    }

    /// Signs a statement; gives the envelope too.
    fn envelope(&self, digest: &Digest, certified: bool) -> (Value, Signed) {
        let payload = self.statement(digest).to_string().into_bytes();
        let kind = &self.recipe.payload_type;
        let length = kind.len();
        let mut message = format!("DSSEv1 {length} {kind} {} ", payload.len()).into_bytes();
        message.extend(&payload);
        let stored = if self.has(Fault::ChangedPayload) {
            let changed = String::from_utf8_lossy(&payload).replace("predicate", "predicate ");
            changed.into_bytes()
        } else {
            payload
        };
        let envelope = |signature: &[u8]| {
            json!({
                "payload": STANDARD.encode(&stored),
                "payloadType": kind,
                "signatures": [{ "sig": STANDARD.encode(signature) }],
            })
        };
        let signed = self.sign(&message, certified, |signature| envelope(signature).to_string());
        let mut whole = envelope(&signed.signature);
        if self.has(Fault::NoSignature) {
            whole["signatures"] = json!([]);
        }
        (whole, signed)
    }

    /// A statement as it is stored by tag.
    fn classic_statement(&self, digest: &Digest, certified: bool) -> Forged {
        let (envelope, signed) = self.envelope(digest, certified);
        let annotations = self.annotations(&signed);
        let mut envelope = envelope.to_string();
        if self.has(Fault::RespeltEnvelope) {
            envelope.push('\n');
        }
        Forged::Statement { envelope: envelope.into_bytes(), annotations }
    }

    fn bundle(&self, digest: &Digest, certified: bool) -> Forged {
        let (envelope, signed) = self.envelope(digest, certified);
        let mut material = match &signed.certificate {
            Some(certificate) if !self.has(Fault::NoCertificate) => {
                json!({ "certificate": { "rawBytes": STANDARD.encode(certificate.der()) } })
            }
            _ => json!({ "publicKey": { "hint": STANDARD.encode(self.key.id()) } }),
        };
        material["tlogEntries"] = signed.entries.into();
        if let Some(stamp) = signed.stamp {
            let times = if self.has(Fault::ManyStamps) { MANY } else { 1 };
            let stamps = vec![json!({ "signedTimestamp": stamp }); times];
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": stamps });
        }
        let mut bundle = json!({
            "mediaType": media::SIGSTORE_BUNDLE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope,
        });
        if self.has(Fault::UnknownMediaType) {
            bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json".into();
        }
        let mut bytes = bundle.to_string().into_bytes();
        if self.has(Fault::Truncated) {
            bytes.truncate(bytes.len() / 2);
        }
        if self.has(Fault::Huge) {
            bytes.resize(5 * 1024 * 1024, b' ');
        }
        Forged::Bundle(bytes)
    }

    fn statement(&self, digest: &Digest) -> Value {
        let recipe = self.recipe;
        let mut subject = json!({ "digest": { "sha256": digest.hex() } });
        if let Some(minutes) = recipe.says_signed_minutes_ago {
            subject["annotations"] = json!({ "vnd.eyas.signed-at": self.said(minutes) });
        }
        let mut predicate = recipe.predicate.clone();
        if self.has(Fault::DigestInPredicate) {
            predicate = json!({ "subject": [subject] });
            subject = json!({ "digest": { "sha256": "0".repeat(64) } });
        }
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [subject],
            "predicateType": recipe.predicate_type,
            "predicate": predicate,
        })
    }

    fn said(&self, minutes: i64) -> String {
        self.ago(minutes).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn classic(&self, digest: &Digest, certified: bool) -> Forged {
        let kind = if self.has(Fault::OtherPayloadKind) {
            "atomic container signature"
        } else {
            "cosign container image signature"
        };
        let mut payload = json!({
            "critical": {
                "identity": { "docker-reference": "" },
                "image": { "docker-manifest-digest": digest.to_string() },
                "type": kind,
            },
            "optional": {},
        });
        if let Some(minutes) = self.recipe.says_signed_minutes_ago {
            payload["optional"] = json!({ "vnd.eyas.signed-at": self.said(minutes) });
        }
        let message = payload.to_string().into_bytes();
        let signed = self.sign(&message, certified, |_| String::new());
        let mut annotations = self.annotations(&signed);
        annotations.insert(
            "dev.cosignproject.cosign/signature".to_owned(),
            STANDARD.encode(&signed.signature),
        );
        if self.has(Fault::NoSignature) {
            annotations.remove("dev.cosignproject.cosign/signature");
        }
        let payload =
            if self.has(Fault::ChangedPayload) { [&message[..], b" "].concat() } else { message };
        Forged::Classic { payload, annotations }
    }

    /// What vouches for a signature of the classic form.
    fn annotations(&self, signed: &Signed) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        if let Some(certificate) =
            signed.certificate.as_ref().filter(|_| !self.has(Fault::NoCertificate))
        {
            annotations.insert("dev.sigstore.cosign/certificate".into(), certificate.pem());
        }
        if let Some(entry) = signed.entries.first() {
            let id = entry["logId"]["keyId"].as_str().unwrap_or_default();
            let id = STANDARD.decode(id).expect("an identifier");
            let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
            let entry = json!({
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"],
                    "integratedTime": number(&entry["integratedTime"]),
                    "logIndex": number(&entry["logIndex"]),
                    "logID": hex::encode(id),
                },
            });
            annotations.insert("dev.sigstore.cosign/bundle".into(), entry.to_string());
        }
        if let Some(stamp) = &signed.stamp {
            let stamp = json!({ "SignedRFC3161Timestamp": stamp });
            annotations.insert("dev.sigstore.cosign/rfc3161timestamp".into(), stamp.to_string());
        }
        annotations
    }

    /// Signs, certifies, logs and stamps.
    fn sign(&self, message: &[u8], certified: bool, envelope: impl Fn(&[u8]) -> String) -> Signed {
        let by = if self.has(Fault::OtherKey) { &Key::generate() } else { &self.key };
        let mut signature = by.sign(message);
        let whole = signature.clone();
        if self.has(Fault::BrokenSignature) {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        let certificate = certified.then(|| self.certificate());
        let entries = if self.recipe.log == 0 {
            Vec::new()
        } else {
            self.entries(message, &signature, certificate.as_ref(), &envelope(&signature))
        };
        let certificate = certificate.map(|honest| {
            if self.has(Fault::OtherCertificate) { self.certificate() } else { honest }
        });
        let stamp = self.recipe.stamped.then(|| self.stamp(&whole));
        Signed { signature, certificate, entries, stamp }
    }

    fn certificate(&self) -> rcgen::Certificate {
        let recipe = self.recipe;
        let unknown = Key::generate();
        let parts = self.parts;
        let log =
            if self.has(Fault::UnknownCertificateLog) { &unknown } else { &parts.authority.log };
        let order = Order {
            identity: &recipe.identity,
            issuer: &recipe.issuer,
            claims: &recipe.claims,
            from: self.ago(recipe.certified_minutes_ago),
            log: (!self.has(Fault::NoCertificateTimestamp)).then_some(log),
            code_signing: !self.has(Fault::NoCodeSigning),
            forged_timestamp: self.has(Fault::ForgedCertificateTimestamp),
        };
        if self.has(Fault::SelfSignedCertificate) {
            return self_signed(&self.key, &order);
        }
        if self.has(Fault::UnknownAuthority) {
            return Authority::default().issue(self.key.pair(), &order);
        }
        let subject = if self.has(Fault::OtherCertificate) { &Key::generate() } else { &self.key };
        parts.authority.issue(subject.pair(), &order)
    }

    fn entries(
        &self,
        message: &[u8],
        signature: &[u8],
        certificate: Option<&rcgen::Certificate>,
        envelope: &str,
    ) -> Vec<Value> {
        let body = self.body(message, signature, certificate, envelope);
        let generation = if self.recipe.log == 2 { Generation::Second } else { Generation::First };
        let at = self.ago(self.recipe.logged_minutes_ago);
        let mut log = self.parts.log(generation);
        let mut entry = if self.has(Fault::UnknownLog) {
            log.posed().enter(&body, at)
        } else if self.has(Fault::ForgedLog) {
            let mut entry = log.posed().enter(&body, at);
            entry["logId"]["keyId"] = STANDARD.encode(log.key.id()).into();
            entry
        } else if self.has(Fault::OtherEntry) {
            log.enter(&other_body(&body), at)
        } else {
            log.enter(&body, at)
        };
        drop(log);
        self.spoil(&mut entry, generation);
        let mut entries = vec![entry.clone()];
        if self.has(Fault::ExtraBareEntry) {
            for field in ["inclusionProof", "inclusionPromise"] {
                entry.as_object_mut().expect("an entry").remove(field);
            }
            entries.push(entry);
        } else if self.has(Fault::ManyEntries) {
            entries.resize(MANY, entry);
        }
        entries
    }

    fn body(
        &self,
        message: &[u8],
        signature: &[u8],
        certificate: Option<&rcgen::Certificate>,
        envelope: &str,
    ) -> Value {
        let pem = certificate.map_or_else(|| self.key.public_pem(), rcgen::Certificate::pem);
        let verifier = STANDARD.encode(&pem);
        let digest = Digest::sha256(message);
        if self.recipe.log == 2 {
            let key = match certificate {
                Some(certificate) => {
                    json!({ "x509Certificate": { "rawBytes": STANDARD.encode(certificate.der()) } })
                }
                None => json!({ "publicKey": { "rawBytes": STANDARD.encode(self.key.spki()) } }),
            };
            let mut verifier = key;
            verifier["keyDetails"] = "PKIX_ECDSA_P256_SHA_256".into();
            if self.recipe.envelope_entered {
                return self.enveloped(envelope, &verifier);
            }
            return record_body(&json!({
                "digest": STANDARD.encode(digest.as_bytes()),
                "signature": { "content": STANDARD.encode(signature), "verifier": verifier },
            }));
        }
        if !envelope.is_empty() && self.recipe.hash_entered {
            return self.hashed(envelope, &verifier);
        }
        if !envelope.is_empty() {
            return envelope_body(envelope, &verifier).expect("an envelope");
        }
        json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": digest.hex() } },
                "signature": {
                    "content": STANDARD.encode(signature),
                    "publicKey": { "content": verifier },
                },
            },
        })
    }

    /// What the first generation enters for an envelope's hash, with what is wrong about it.
    fn hashed(&self, envelope: &str, verifier: &str) -> Value {
        let mut body = statement_body(envelope, verifier).expect("an envelope");
        let spec = &mut body["spec"];
        for fault in &self.recipe.faults {
            let zeros = || Value::from("0".repeat(64));
            match fault {
                Fault::OtherPayloadEntered => spec["content"]["payloadHash"]["value"] = zeros(),
                Fault::OtherSignatureEntered => spec["content"]["hash"]["value"] = zeros(),
                Fault::NoEnvelopeEntered => drop_fields(&mut spec["content"], &["hash"]),
                Fault::OtherVerifierEntered => {
                    spec["publicKey"] = STANDARD.encode(self.certificate().pem()).into();
                }
                Fault::KeyEntered => {
                    spec["publicKey"] = STANDARD.encode(self.key.public_pem()).into();
                }
                Fault::UnknownFieldEntered => spec["surplus"] = true.into(),
                _ => {}
            }
        }
        body
    }

    /// What the second generation enters for an envelope, with what is wrong about it.
    fn enveloped(&self, envelope: &str, verifier: &Value) -> Value {
        let envelope: Value = serde_json::from_str(envelope).expect("an envelope");
        let mut body = envelope_record(&envelope, verifier).expect("an envelope");
        let other = STANDARD.encode(self.key.sign(b"something else"));
        let entered = &mut body["spec"]["dsseV002"];
        for fault in &self.recipe.faults {
            let signatures = &mut entered["signatures"];
            match fault {
                Fault::OtherPayloadEntered => {
                    entered["payloadHash"]["digest"] = STANDARD.encode([0; 32]).into();
                }
                Fault::OtherSignatureEntered => signatures[0]["content"] = other.as_str().into(),
                Fault::OtherVerifierEntered => {
                    let named = &mut signatures[0]["verifier"];
                    if named["x509Certificate"].is_object() {
                        let certificate = STANDARD.encode(self.certificate().der());
                        named["x509Certificate"]["rawBytes"] = certificate.into();
                    } else {
                        let spki = STANDARD.encode(Key::generate().spki());
                        named["publicKey"]["rawBytes"] = spki.into();
                    }
                }
                Fault::KeyEntered => {
                    signatures[0]["verifier"] = json!({
                        "publicKey": { "rawBytes": STANDARD.encode(self.key.spki()) },
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    });
                }
                Fault::ExtraSignatureEntered => {
                    let mut extra = signatures[0].clone();
                    extra["content"] = other.as_str().into();
                    signatures.as_array_mut().expect("signatures").push(extra);
                }
                Fault::OtherKeyDetails => {
                    signatures[0]["verifier"]["keyDetails"] = "PKIX_ED25519".into();
                }
                Fault::UnknownFieldEntered => entered["surplus"] = true.into(),
                _ => {}
            }
        }
        body
    }

    /// Spoils an honest entry.
    fn spoil(&self, entry: &mut Value, generation: Generation) {
        let zeros = STANDARD.encode([0; 32]);
        for fault in &self.recipe.faults {
            match fault {
                Fault::OtherLogId => {
                    let other = match generation {
                        Generation::First => Generation::Second,
                        Generation::Second => Generation::First,
                    };
                    let id = self.parts.log(other).key.id();
                    entry["logId"]["keyId"] = STANDARD.encode(id).into();
                }
                Fault::ForgedProof => entry["inclusionProof"]["hashes"][0] = zeros.as_str().into(),
                Fault::EmptyProof => entry["inclusionProof"]["hashes"] = json!([]),
                Fault::OtherRoot => entry["inclusionProof"]["rootHash"] = zeros.as_str().into(),
                Fault::OtherIndex => {
                    entry["logIndex"] = "3".into();
                    entry["inclusionProof"]["logIndex"] = "3".into();
                }
                Fault::ForgedCheckpoint => respell(entry, |lines| {
                    "4096".clone_into(&mut lines[1]);
                }),
                Fault::WitnessOnly => respell(entry, |lines| {
                    lines.remove(4);
                }),
                Fault::UnsignedCheckpoint => respell(entry, |lines| lines.truncate(4)),
                Fault::ForgedPromise => {
                    let promise = STANDARD.encode(self.key.sign(b"something else"));
                    entry["inclusionPromise"]["signedEntryTimestamp"] = promise.into();
                }
                Fault::OtherKindThanEntered => entry["kindVersion"]["kind"] = "dsse".into(),
                Fault::TimeAdded => {
                    let time = self.ago(self.recipe.logged_minutes_ago).as_second();
                    entry["integratedTime"] = time.to_string().into();
                }
                Fault::PromiseAdded => {
                    let promise = STANDARD.encode(self.key.sign(b"something else"));
                    entry["inclusionPromise"] = json!({ "signedEntryTimestamp": promise });
                }
                Fault::NoPromise => drop_fields(entry, &["inclusionPromise"]),
                Fault::NoProof => drop_fields(entry, &["inclusionProof"]),
                Fault::NoEvidence => drop_fields(entry, &["inclusionPromise", "inclusionProof"]),
                Fault::ChangedTime => {
                    let time = self.ago(self.recipe.logged_minutes_ago - 1).as_second();
                    entry["integratedTime"] = time.to_string().into();
                }
                _ => {}
            }
        }
    }

    fn stamp(&self, signature: &[u8]) -> String {
        let at = self.ago(self.recipe.stamped_minutes_ago);
        let stamp = if self.has(Fault::UnknownStamper) {
            Stamper::default().stamp(signature, at)
        } else if self.has(Fault::OtherStamp) {
            self.parts.stamper.stamp(b"another signature", at)
        } else if self.has(Fault::BrokenStamp) {
            vec![0x30, 0]
        } else {
            self.parts.stamper.stamp(signature, at)
        };
        STANDARD.encode(stamp)
    }
}

/// An honest entry of the same kind about something else.
fn other_body(body: &Value) -> Value {
    let (kind, version) = (&body["kind"], &body["apiVersion"]);
    let spec = if kind == "dsse" && version == "0.0.2" {
        let mut spec = body["spec"].clone();
        spec["dsseV002"]["payloadHash"]["digest"] = STANDARD.encode([0; 32]).into();
        spec
    } else {
        json!({ "data": { "hash": { "algorithm": "sha256", "value": "0".repeat(64) } } })
    };
    json!({ "apiVersion": version, "kind": kind, "spec": spec })
}

fn drop_fields(entry: &mut Value, fields: &[&str]) {
    for field in fields {
        entry.as_object_mut().expect("an entry").remove(*field);
    }
}

/// Changes the lines of a checkpoint: name, size, root, nothing, signatures.
fn respell(entry: &mut Value, change: impl FnOnce(&mut Vec<String>)) {
    let envelope = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
    let text = envelope.as_str().expect("a checkpoint");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    *envelope = (lines.join("\n") + "\n").into();
}
