//! A sigstore instance of our own: certificate authority, certificate log and transparency log,
//! with the trusted root that names them. Keys live in memory and everything is made on the spot,
//! so that each part can be made wrongly as well.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use eyas_trust::sign::document;
use eyas_trust::{Candidate, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};

pub(crate) const IDENTITY: &str =
    "https://github.com/org/rules/.github/workflows/release.yml@refs/tags/v1.2.0";
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub(crate) const REPOSITORY: &str = "r.example/org/rules";
/// Certificates are valid on this day only.
pub(crate) const SIGNED_AT: &str = "2026-02-01T12:00:00Z";

const ORIGIN: &str = "log.example";
const SOURCE_REPOSITORY_REF: u64 = 14;

/// The instance: one authority, one log of each kind.
pub(crate) struct Instance {
    authority: CertificateParams,
    authority_key: KeyPair,
    pub(crate) certificate_log: SigningKey,
    pub(crate) transparency_log: SigningKey,
}

/// What goes into one signature; the fields are what attacks change.
pub(crate) struct Recipe<'a> {
    pub(crate) identity: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) logged_at: &'a str,
    /// Signs the certificate timestamp.
    pub(crate) certificate_log: &'a SigningKey,
    /// Signs log entry and checkpoint.
    pub(crate) transparency_log: &'a SigningKey,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

impl Instance {
    pub(crate) fn new() -> Self {
        let authority_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "simulated authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.not_before = date_time_ymd(2025, 1, 1);
        authority.not_after = date_time_ymd(2035, 1, 1);
        Self { authority, authority_key, certificate_log: key(), transparency_log: key() }
    }

    /// An honest signature.
    pub(crate) fn recipe(&self) -> Recipe<'_> {
        Recipe {
            identity: IDENTITY,
            issuer: ISSUER,
            logged_at: SIGNED_AT,
            certificate_log: &self.certificate_log,
            transparency_log: &self.transparency_log,
        }
    }

    /// The `trusted_root.json` of this instance.
    pub(crate) fn trusted_root(&self) -> String {
        let log = |key: &SigningKey| {
            json!({
                "baseUrl": format!("https://{ORIGIN}"),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(spki(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": "2025-01-01T00:00:00Z" },
                },
                "logId": { "keyId": STANDARD.encode(key.public().fingerprint().as_bytes()) },
            })
        };
        let certificate = self.authority.self_signed(&self.authority_key).unwrap();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.transparency_log)],
            "ctlogs": [log(&self.certificate_log)],
            "certificateAuthorities": [{
                "subject": { "organization": "simulated", "commonName": "simulated authority" },
                "uri": "https://ca.example",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(certificate.der()) }] },
                "validFor": { "start": "2025-01-01T00:00:00Z" },
            }],
            "timestampAuthorities": [],
        })
        .to_string()
    }

    /// A certificate for `key`, with the certificate log's timestamp inside.
    fn certificate(&self, key: &SigningKey, recipe: &Recipe<'_>) -> rcgen::Certificate {
        let subject = KeyPair::from_pem(&key.to_pem().unwrap()).unwrap();
        let issuer = Issuer::from_params(&self.authority, &self.authority_key);
        let mut leaf = CertificateParams::default();
        leaf.serial_number = Some(SerialNumber::from(42_u64));
        leaf.not_before = date_time_ymd(2026, 2, 1);
        leaf.not_after = date_time_ymd(2026, 2, 2);
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.subject_alt_names = vec![SanType::URI(recipe.identity.try_into().unwrap())];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        leaf.custom_extensions =
            vec![fulcio(8, recipe.issuer), fulcio(SOURCE_REPOSITORY_REF, "refs/tags/v1.2.0")];
        let before = leaf.signed_by(&subject, &issuer).unwrap();
        let stamp = self.certificate_timestamp(to_be_signed(before.der()), recipe);
        let extension =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], stamp);
        leaf.custom_extensions.push(extension);
        leaf.signed_by(&subject, &issuer).unwrap()
    }

    /// The list of one signed certificate timestamp (RFC 6962, section 3.2).
    fn certificate_timestamp(&self, to_be_signed: &[u8], recipe: &Recipe<'_>) -> Vec<u8> {
        let millis = (seconds(recipe.logged_at) as u64 * 1000).to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(millis);
        signed.extend([0, 1]);
        let authority = pem::parse(self.authority_key.public_key_pem()).unwrap().into_contents();
        signed.extend(Digest::sha256(authority).as_bytes());
        signed.extend(&(to_be_signed.len() as u32).to_be_bytes()[1..]);
        signed.extend(to_be_signed);
        signed.extend([0, 0]);
        let signature = recipe.certificate_log.sign(&signed).unwrap();
        let mut stamp = vec![0];
        stamp.extend(recipe.certificate_log.public().fingerprint().as_bytes());
        stamp.extend(millis);
        stamp.extend([0, 0, 4, 3]);
        stamp.extend(prefixed(&signature));
        octet_string(&prefixed(&prefixed(&stamp)))
    }

    /// A bundle, version 0.3, with a statement that `digest` is signed.
    pub(crate) fn bundle(&self, digest: &Digest, recipe: &Recipe<'_>) -> Value {
        let key = key();
        let signed = document::bundle(&key, digest, SIGNED_AT.parse().unwrap()).unwrap();
        let mut bundle: Value = serde_json::from_slice(&signed.json).unwrap();
        let certificate = self.certificate(&key, recipe);
        let envelope = &bundle["dsseEnvelope"];
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(envelope.to_string().as_bytes()),
                "payloadHash": hash(&payload),
                "signatures": [{
                    "signature": envelope["signatures"][0]["sig"],
                    "verifier": STANDARD.encode(certificate.pem()),
                }],
            },
        });
        bundle["verificationMaterial"] = json!({
            "certificate": { "rawBytes": STANDARD.encode(certificate.der()) },
            "tlogEntries": [entry(&body, recipe)],
        });
        bundle
    }

    /// A classic signature of `digest` with certificate and log entry in its annotations.
    pub(crate) fn classic(
        &self,
        digest: &Digest,
        recipe: &Recipe<'_>,
    ) -> (Vec<u8>, BTreeMap<String, String>) {
        let key = key();
        let at = SIGNED_AT.parse().unwrap();
        let signed = document::classic(&key, REPOSITORY, digest, at).unwrap();
        let certificate = self.certificate(&key, recipe).pem();
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": hash(&signed.payload) },
                "signature": {
                    "content": signed.signature,
                    "publicKey": { "content": STANDARD.encode(&certificate) },
                },
            },
        });
        let entry = json!({
            "SignedEntryTimestamp": STANDARD.encode(promise(&body, recipe)),
            "Payload": {
                "body": STANDARD.encode(body.to_string()),
                "integratedTime": seconds(recipe.logged_at),
                "logIndex": 0,
                "logID": recipe.transparency_log.public().fingerprint().hex(),
            },
        });
        let annotations = [
            ("dev.cosignproject.cosign/signature", signed.signature),
            ("dev.sigstore.cosign/certificate", certificate),
            ("dev.sigstore.cosign/bundle", entry.to_string()),
        ];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        (signed.payload, annotations.into())
    }
}

pub(crate) fn from_bundle(bundle: &Value) -> Candidate {
    Candidate::bundle("a referrer", bundle.to_string().into_bytes())
}

pub(crate) fn from_classic(
    (payload, annotations): (Vec<u8>, BTreeMap<String, String>),
) -> Candidate {
    Candidate::classic("the classic tag", payload, annotations)
}

/// An entry in a log of one leaf, with promise, proof and checkpoint.
fn entry(body: &Value, recipe: &Recipe<'_>) -> Value {
    let log = recipe.transparency_log;
    let mut leaf = vec![0];
    leaf.extend(body.to_string().into_bytes());
    let root = STANDARD.encode(Digest::sha256(leaf).as_bytes());
    let note = format!("{ORIGIN}\n1\n{root}\n");
    let mut line = log.public().fingerprint().as_bytes()[..4].to_vec();
    line.extend(log.sign(note.as_bytes()).unwrap());
    let checkpoint = format!("{note}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(line));
    json!({
        "logIndex": "0",
        "logId": { "keyId": STANDARD.encode(log.public().fingerprint().as_bytes()) },
        "kindVersion": { "kind": body["kind"], "version": body["apiVersion"] },
        "integratedTime": seconds(recipe.logged_at).to_string(),
        "inclusionPromise": { "signedEntryTimestamp": STANDARD.encode(promise(body, recipe)) },
        "inclusionProof": {
            "logIndex": "0",
            "rootHash": root,
            "treeSize": "1",
            "hashes": [],
            "checkpoint": { "envelope": checkpoint },
        },
        "canonicalizedBody": STANDARD.encode(body.to_string()),
    })
}

/// The log's signature over the entry in canonical JSON.
fn promise(body: &Value, recipe: &Recipe<'_>) -> Vec<u8> {
    let canonical = format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":0}}"#,
        STANDARD.encode(body.to_string()),
        seconds(recipe.logged_at),
        recipe.transparency_log.public().fingerprint().hex()
    );
    recipe.transparency_log.sign(canonical.as_bytes()).unwrap()
}

fn hash(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": Digest::sha256(bytes).hex() })
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn spki(key: &SigningKey) -> Vec<u8> {
    pem::parse(key.public_pem()).unwrap().into_contents()
}

/// A Fulcio extension: a UTF-8 string under the project's arc.
fn fulcio(number: u64, text: &str) -> CustomExtension {
    let mut content = vec![0x0c];
    content.extend(der_length(text.len()));
    content.extend(text.as_bytes());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, number], content)
}

fn octet_string(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x04];
    out.extend(der_length(content.len()));
    out.extend(content);
    out
}

fn der_length(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![short],
        Ok(short) => vec![0x81, short],
        Err(_) => [&[0x82][..], &(length as u16).to_be_bytes()].concat(),
    }
}

fn prefixed(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// The first element inside a certificate: what its issuer signed.
fn to_be_signed(certificate: &[u8]) -> &[u8] {
    let header = |der: &[u8]| match der[1] {
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    let inner = &certificate[header(certificate).0..];
    let (start, length) = header(inner);
    &inner[..start + length]
}
