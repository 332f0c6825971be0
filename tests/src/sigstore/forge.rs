//! Signatures made to a recipe: honest ones, and the same with one part made wrongly.
//!
//! A [`Recipe`] is data, so that an attack can be written down in a file. Whatever is not named in it is as the real
//! services would have made it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::{Digest, media};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::authority::{Authority, Order, self_signed};
use super::key::Key;
use super::log::Generation;
use super::services::{envelope_body, envelope_record, record_body};
use super::{Parts, Stamper};

/// Identity of an honest signer.
pub const IDENTITY: &str =
    "https://github.com/org/rules/.github/workflows/release.yml@refs/tags/v1.2.0";
/// Issuer of an honest signer's tokens.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// More proofs than a bundle may have.
const MANY: usize = 40;
const SIGNED_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What a signature is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// `bundle` or `classic`.
    pub form: String,
    /// Name of the key that signs; a fresh one with a certificate when absent.
    pub key: Option<String>,
    /// Subject alternative name of the certificate.
    pub identity: String,
    /// Issuer in the certificate.
    pub issuer: String,
    /// Claims in the certificate.
    pub claims: BTreeMap<String, String>,
    /// Type of the statement.
    pub predicate_type: String,
    /// Content of the statement.
    pub predicate: Value,
    /// Type of the envelope's payload.
    pub payload_type: String,
    /// Generation of the log, 1 or 2; 0 for none.
    pub log: u8,
    /// Whether the second generation is asked to enter the envelope, not only the hash of what is signed.
    pub envelope_entered: bool,
    /// Whether a time stamp is included.
    pub stamped: bool,
    /// How long ago the certificate began.
    pub certified_minutes_ago: i64,
    /// How long ago the log entered the signature; negative is the future.
    pub logged_minutes_ago: i64,
    /// How long ago the time was stamped.
    pub stamped_minutes_ago: i64,
    /// When the signer says that it signed, relative to now.
    pub says_signed_minutes_ago: Option<i64>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            form: "bundle".into(),
            key: None,
            identity: IDENTITY.into(),
            issuer: ISSUER.into(),
            claims: BTreeMap::new(),
            predicate_type: SIGNED_PREDICATE.into(),
            predicate: json!({}),
            payload_type: IN_TOTO.into(),
            log: 1,
            envelope_entered: false,
            stamped: false,
            certified_minutes_ago: 5,
            logged_minutes_ago: 4,
            stamped_minutes_ago: 4,
            says_signed_minutes_ago: None,
            faults: Vec::new(),
        }
    }
}

/// One part made wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The certificate is by an authority that nobody trusts, entered in the right log.
    UnknownAuthority,
    /// The certificate signs itself.
    SelfSignedCertificate,
    /// The certificate is not for signing code.
    NoCodeSigning,
    /// The certificate was entered in a log that nobody trusts.
    UnknownCertificateLog,
    /// The certificate has no timestamp of a certificate log.
    NoCertificateTimestamp,
    /// The certificate's timestamp is over something else.
    ForgedCertificateTimestamp,
    /// The certificate is another one of the same identity.
    OtherCertificate,
    /// The log's key is not the one that is trusted, its name and identifier are.
    ForgedLog,
    /// The log is one that nobody trusts.
    UnknownLog,
    /// The entry's log identifier is that of another trusted log.
    OtherLogId,
    /// The proof's path is not the entry's.
    ForgedProof,
    /// The proof's path is missing.
    EmptyProof,
    /// The root in the proof is not the one in the checkpoint.
    OtherRoot,
    /// The checkpoint's signature is over something else.
    ForgedCheckpoint,
    /// Only the witness signs the checkpoint.
    WitnessOnly,
    /// The checkpoint has no signature at all.
    UnsignedCheckpoint,
    /// The promise's signature is over something else.
    ForgedPromise,
    /// There is no promise.
    NoPromise,
    /// There is no proof.
    NoProof,
    /// There is neither.
    NoEvidence,
    /// The index in the entry is not that of the proof.
    OtherIndex,
    /// The entry is an honest one of another signature.
    OtherEntry,
    /// The entry is about the envelope of another payload.
    OtherPayloadEntered,
    /// The entry is about another signature of the same envelope.
    OtherSignatureEntered,
    /// The entry names another key or certificate than the bundle's.
    OtherVerifierEntered,
    /// The entry names a key where the bundle brings a certificate.
    KeyEntered,
    /// The entry has a second signature beside the right one.
    ExtraSignatureEntered,
    /// The entry calls the key one of another kind.
    OtherKeyDetails,
    /// The entry has a field that nobody knows.
    UnknownFieldEntered,
    /// The bundle calls an entry of a hash one of an envelope.
    OtherKindThanEntered,
    /// The log of the second generation is said to tell the time.
    TimeAdded,
    /// The entry comes with a promise that its generation does not make.
    PromiseAdded,
    /// A second entry without any evidence is beside the good one.
    ExtraBareEntry,
    /// The time in the entry was changed after the promise.
    ChangedTime,
    /// The stamp is over another signature.
    OtherStamp,
    /// The stamp is by an authority that nobody trusts.
    UnknownStamper,
    /// The stamp is no stamp.
    BrokenStamp,
    /// The signature is by another key than the certificate's.
    OtherKey,
    /// One bit of the signature is wrong.
    BrokenSignature,
    /// The payload was changed after it was signed.
    ChangedPayload,
    /// There is no signature.
    NoSignature,
    /// The certificate is left out, so that it looks like a signature by key.
    NoCertificate,
    /// The statement has the right digest only among its predicate.
    DigestInPredicate,
    /// The bundle's media type is not known.
    UnknownMediaType,
    /// The bundle is cut off.
    Truncated,
    /// The bundle is larger than the limit.
    Huge,
    /// The entry is there forty times.
    ManyEntries,
    /// The stamp is there forty times.
    ManyStamps,
    /// The payload says that it is something else than an image's signature.
    OtherPayloadKind,
}

/// A signature, ready to be attached.
#[derive(Debug, Clone)]
pub enum Forged {
    /// A bundle's bytes.
    Bundle(Vec<u8>),
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
        if recipe.form == "classic" {
            forge.classic(digest, certified)
        } else {
            forge.bundle(digest, certified)
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

    fn bundle(&self, digest: &Digest, certified: bool) -> Forged {
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
            "dsseEnvelope": envelope(&signed.signature),
        });
        if self.has(Fault::NoSignature) {
            bundle["dsseEnvelope"]["signatures"] = json!([]);
        }
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
        let mut annotations = BTreeMap::from([(
            "dev.cosignproject.cosign/signature".to_owned(),
            STANDARD.encode(&signed.signature),
        )]);
        if let Some(certificate) = signed.certificate.filter(|_| !self.has(Fault::NoCertificate)) {
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
        if self.has(Fault::NoSignature) {
            annotations.remove("dev.cosignproject.cosign/signature");
        }
        let payload =
            if self.has(Fault::ChangedPayload) { [&message[..], b" "].concat() } else { message };
        Forged::Classic { payload, annotations }
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
