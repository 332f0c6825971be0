//! Candidate signatures as they were found, before anything in them is believed.
//!
//! Owns turning both forms into one: a payload or bundle, and what vouches for it. Where they were
//! fetched from is left to [`crate::discovery`], whether they count to [`crate::examine`].

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore::types::bundle::VerificationMaterialContent;

use crate::entry::WholeBundle;
use crate::explain::{Check, Step};
use crate::reentry::{self, StatementEntry};

/// Most candidates that are looked at for one digest.
pub const MAX_CANDIDATES: usize = 64;
/// Largest bundle that is read; statements with a bill of materials are the large ones.
pub const MAX_BUNDLE_BYTES: u64 = 4 * 1024 * 1024;
/// Most log entries, and most time stamps, that one bundle may carry: each costs a signature check.
pub(crate) const MAX_PROOFS: usize = 32;
/// Most certificates that a bundle may bring along to link its own to a root.
pub(crate) const MAX_CHAIN: usize = 16;
/// Annotation that carries a classic signature.
pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
pub(crate) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
pub(crate) const CHAIN: &str = "dev.sigstore.cosign/chain";
pub(crate) const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
pub(crate) const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// The bundle that classic forms are turned into: the one that holds a promise without a proof.
const CLASSIC_BUNDLE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// One candidate signature.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it was found, for messages.
    pub origin: String,
    /// What was found.
    pub content: Content,
}

/// The forms of signatures, and what turned out to be none of them.
#[derive(Debug, Clone)]
pub enum Content {
    /// A layer of a `sha256-<hex>.sig` manifest.
    Classic {
        /// The signed payload, exactly as stored.
        payload: Vec<u8>,
        /// The layer's annotations.
        annotations: BTreeMap<String, String>,
    },
    /// A layer of a `sha256-<hex>.att` manifest.
    ClassicStatement {
        /// The signed envelope, exactly as stored.
        envelope: Vec<u8>,
        /// The layer's annotations.
        annotations: BTreeMap<String, String>,
    },
    /// A sigstore bundle, exactly as stored.
    Bundle(Vec<u8>),
    /// Something that is listed as a signature and could not be fetched, and why.
    Unreadable(String),
}

impl Candidate {
    /// A candidate of the classic form.
    pub fn classic(
        origin: impl Into<String>,
        payload: Vec<u8>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self { origin: origin.into(), content: Content::Classic { payload, annotations } }
    }

    /// A statement of the classic form.
    pub fn classic_statement(
        origin: impl Into<String>,
        envelope: Vec<u8>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self { origin: origin.into(), content: Content::ClassicStatement { envelope, annotations } }
    }

    /// A candidate that could not be fetched.
    pub fn unreadable(origin: impl Into<String>, reason: String) -> Self {
        Self { origin: origin.into(), content: Content::Unreadable(reason) }
    }

    /// A candidate of the bundle form.
    pub fn bundle(origin: impl Into<String>, json: Vec<u8>) -> Self {
        Self { origin: origin.into(), content: Content::Bundle(json) }
    }
}

/// Reads a bundle, within its size limit.
pub(crate) fn parse_bundle(json: &[u8]) -> Result<WholeBundle, Check> {
    let malformed = |detail: String| Check::new(Step::Format, detail);
    if json.len() as u64 > MAX_BUNDLE_BYTES {
        let found = json.len();
        return Err(malformed(format!(
            "the bundle has {found} bytes, the limit is {MAX_BUNDLE_BYTES}"
        )));
    }
    let text =
        std::str::from_utf8(json).map_err(|_| malformed("the bundle is not UTF-8".to_owned()))?;
    let bundle = WholeBundle::from_json(text)?;
    within_limits(&bundle)?;
    Ok(bundle)
}

/// A bundle within its size can still ask for thousands of signature checks.
fn within_limits(bundle: &WholeBundle) -> Result<(), Check> {
    let material = &bundle.bundle.verification_material;
    let chain = match &material.content {
        VerificationMaterialContent::X509CertificateChain { certificates } => certificates.len(),
        _ => 1,
    };
    let stamps = material.timestamp_verification_data.rfc3161_timestamps.len();
    for (step, what, found, limit) in [
        (Step::TransparencyLog, "log entries", bundle.entries(), MAX_PROOFS),
        (Step::Timestamp, "time stamps", stamps, MAX_PROOFS),
        (Step::Certificate, "certificates", chain, MAX_CHAIN),
    ] {
        if found > limit {
            return Err(Check::new(step, format!("found {found} {what}, the limit is {limit}")));
        }
    }
    Ok(())
}

/// The signature of a classic candidate.
pub(crate) fn classic_signature(annotations: &BTreeMap<String, String>) -> Result<Vec<u8>, Check> {
    let malformed = |detail: String| Check::new(Step::Format, detail);
    let text = annotations
        .get(SIGNATURE)
        .ok_or_else(|| malformed(format!("the layer has no annotation `{SIGNATURE}`")))?;
    STANDARD
        .decode(text)
        .map_err(|error| malformed(format!("the signature is not base64: {error}")))
}

/// Whether a classic candidate comes with a certificate.
pub(crate) fn has_certificate(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(CERTIFICATE).is_some_and(|pem| !pem.is_empty())
}

/// A log entry as the classic form stores it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogEntry {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryKind {
    kind: String,
    api_version: String,
}

/// The same signature, certificate and log entry in the bundle form, version 0.1.
pub(crate) fn classic_as_bundle(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
) -> Result<WholeBundle, Check> {
    let digest = Digest::sha256(payload);
    let bundle = json!({
        "mediaType": CLASSIC_BUNDLE,
        "verificationMaterial": material(annotations)?,
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_bytes()) },
            "signature": STANDARD.encode(classic_signature(annotations)?),
        },
    });
    parse_bundle(bundle.to_string().as_bytes())
}

/// The same for a statement, whose envelope has its signature in it.
pub(crate) fn statement_as_bundle(
    envelope: &[u8],
    annotations: &BTreeMap<String, String>,
) -> Result<WholeBundle, Check> {
    let kept = Digest::sha256(envelope);
    let envelope: Value = serde_json::from_slice(envelope)
        .map_err(|error| Check::new(Step::Format, format!("the envelope is malformed: {error}")))?;
    let with = |material: Value| {
        let bundle = json!({
            "mediaType": CLASSIC_BUNDLE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope,
        });
        parse_bundle(bundle.to_string().as_bytes())
    };
    let whole = |annotations: &BTreeMap<String, String>| {
        let Some(statement) = statement_entry(annotations, kept)? else {
            return with(material(annotations)?);
        };
        let mut others = annotations.clone();
        others.remove(LOG_ENTRY);
        let bundle = with(material(&others)?)?;
        Ok(WholeBundle { statement: Some(statement), ..bundle })
    };
    // Without a certificate only the key counts, and broken extras are not needed.
    whole(annotations).or_else(|check| {
        if has_certificate(annotations) {
            return Err(check);
        }
        with(material(&BTreeMap::new())?)
            .map(|bundle| WholeBundle { set_aside: Some(check), ..bundle })
    })
}

/// The log entry of a statement, where it is of the kind that is about the envelope's bytes.
fn statement_entry(
    annotations: &BTreeMap<String, String>,
    envelope: Digest,
) -> Result<Option<StatementEntry>, Check> {
    let Some(text) = annotations.get(LOG_ENTRY) else { return Ok(None) };
    let KeptEntry { entry, body, kind, log_id } = kept_entry(text)?;
    if (kind.kind.as_str(), kind.api_version.as_str()) != reentry::KIND {
        return Ok(None);
    }
    let promise = STANDARD.decode(&entry.signed_entry_timestamp).map_err(|error| {
        Check::new(Step::TransparencyLog, format!("the log's promise is not base64: {error}"))
    })?;
    let LogPayload { integrated_time, log_index, .. } = entry.payload;
    Ok(Some(StatementEntry { body, integrated_time, log_index, log_id, promise, envelope }))
}

/// What vouches for a classic signature, as a bundle has it.
fn material(annotations: &BTreeMap<String, String>) -> Result<Value, Check> {
    let mut material = if has_certificate(annotations) {
        json!({ "x509CertificateChain": { "certificates": certificates(annotations)? } })
    } else {
        json!({ "publicKey": { "hint": "" } })
    };
    let entries: Vec<Value> =
        annotations.get(LOG_ENTRY).map(|text| log_entry(text)).transpose()?.into_iter().collect();
    let stamps: Vec<Value> =
        annotations.get(TIMESTAMP).map(|text| timestamp(text)).transpose()?.into_iter().collect();
    if let Some(fields) = material.as_object_mut() {
        fields.insert("tlogEntries".into(), entries.into());
        fields.insert("timestampVerificationData".into(), json!({ "rfc3161Timestamps": stamps }));
    }
    Ok(material)
}

/// The certificate and what came along to link it to a root; a root that comes along is only one
/// more untrusted link.
fn certificates(annotations: &BTreeMap<String, String>) -> Result<Vec<Value>, Check> {
    let blocks = |name: &str| {
        pem::parse_many(annotations.get(name).map(String::as_str).unwrap_or_default()).map_err(
            |error| Check::new(Step::Format, format!("annotation `{name}` is not PEM: {error}")),
        )
    };
    let mut chain = blocks(CERTIFICATE)?;
    chain.truncate(1);
    chain.extend(blocks(CHAIN)?);
    let raw = |block: &pem::Pem| json!({ "rawBytes": STANDARD.encode(block.contents()) });
    Ok(chain.iter().map(raw).collect())
}

/// A log entry, and what its parts are.
struct KeptEntry {
    entry: LogEntry,
    body: Vec<u8>,
    kind: EntryKind,
    log_id: Vec<u8>,
}

fn kept_entry(text: &str) -> Result<KeptEntry, Check> {
    let malformed =
        |detail: String| Check::new(Step::TransparencyLog, format!("the log entry {detail}"));
    let entry: LogEntry =
        serde_json::from_str(text).map_err(|error| malformed(format!("is malformed: {error}")))?;
    let body = STANDARD
        .decode(&entry.payload.body)
        .map_err(|error| malformed(format!("body is not base64: {error}")))?;
    let kind: EntryKind = serde_json::from_slice(&body)
        .map_err(|error| malformed(format!("body is malformed: {error}")))?;
    let log_id = hex::decode(&entry.payload.log_id)
        .map_err(|error| malformed(format!("log id is not hexadecimal: {error}")))?;
    Ok(KeptEntry { entry, body, kind, log_id })
}

fn log_entry(text: &str) -> Result<Value, Check> {
    let KeptEntry { entry, kind, log_id, .. } = kept_entry(text)?;
    Ok(json!({
        "logIndex": entry.payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log_id) },
        "kindVersion": { "kind": kind.kind, "version": kind.api_version },
        "integratedTime": entry.payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.signed_entry_timestamp },
        "canonicalizedBody": entry.payload.body,
    }))
}

fn timestamp(text: &str) -> Result<Value, Check> {
    #[derive(Deserialize)]
    struct Stamp {
        #[serde(rename = "SignedRFC3161Timestamp")]
        signed: String,
    }
    let stamp: Stamp = serde_json::from_str(text).map_err(|error| {
        Check::new(Step::Timestamp, format!("the timestamp is malformed: {error}"))
    })?;
    Ok(json!({ "signedTimestamp": stamp.signed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_bundle_limit_is_inclusive() {
        let mut json = include_bytes!("../testdata/cosign-bundle.json").to_vec();
        json.resize(MAX_BUNDLE_BYTES as usize, b' ');
        assert!(parse_bundle(&json).is_ok());
        json.push(b' ');
        assert!(parse_bundle(&json).unwrap_err().detail.contains("limit"));
    }

    #[test]
    fn what_is_no_bundle_is_refused_as_such() {
        for json in [&b"{}"[..], b"\xff", b"[]", b"{\"mediaType\":\"x\"}"] {
            assert_eq!(parse_bundle(json).unwrap_err().step, Step::Format);
        }
    }

    #[test]
    fn what_one_bundle_may_cost_is_limited() {
        let mut bundle: Value =
            serde_json::from_slice(include_bytes!("../testdata/cosign-bundle.json")).unwrap();
        let stamps = |count: usize| json!({ "rfc3161Timestamps": vec![json!({ "signedTimestamp": "AAAA" }); count] });
        for (count, fits) in [(MAX_PROOFS, true), (MAX_PROOFS + 1, false)] {
            bundle["verificationMaterial"]["timestampVerificationData"] = stamps(count);
            match parse_bundle(bundle.to_string().as_bytes()) {
                Ok(_) => assert!(fits, "{count}"),
                Err(check) => {
                    assert!(!fits && check.step == Step::Timestamp, "{count}: {check}");
                }
            }
        }
    }

    /// Annotations of a statement whose log entry is of this kind.
    fn logged_as(kind: &str, version: &str) -> BTreeMap<String, String> {
        let body = json!({ "apiVersion": version, "kind": kind, "spec": {} }).to_string();
        let entry = json!({
            "SignedEntryTimestamp": "AAAA",
            "Payload": {
                "body": STANDARD.encode(body),
                "integratedTime": 1_700_000_000,
                "logIndex": 7,
                "logID": "ab".repeat(32),
            },
        });
        annotations(&[(LOG_ENTRY, &entry.to_string())])
    }

    #[test]
    fn what_is_about_an_envelope_s_bytes_vouches_for_kept_statements_alone() {
        let envelope = json!({
            "payload": STANDARD.encode("{}"),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{ "sig": STANDARD.encode("signature") }],
        });
        let envelope = envelope.to_string().into_bytes();
        let mut found = logged_as("intoto", "0.0.1");
        let by_key = statement_as_bundle(&envelope, &found).unwrap();
        assert_eq!((by_key.entries(), by_key.known_entries()), (1, 0));
        let entry = by_key.statement.as_ref().unwrap();
        assert_eq!(entry.envelope, Digest::sha256(&envelope), "as it is, not as it could be");
        // Not for a signature, nor for a bundle, which has no such bytes.
        found.insert(SIGNATURE.to_owned(), "eHk=".to_owned());
        let check = classic_as_bundle(b"payload", &found).unwrap_err();
        assert_eq!(check.step, Step::TransparencyLog);
        assert!(check.detail.contains("`intoto` 0.0.1"), "{check}");
        assert!(check.detail.contains("--rekor-entry-type dsse"), "{check}");
        // Its successor has the envelope in it.
        let later = statement_as_bundle(&envelope, &logged_as("intoto", "0.0.2")).unwrap();
        assert!(later.statement.is_none() && later.known_entries() == 1);
    }

    #[test]
    fn a_classic_candidate_needs_its_signature() {
        assert!(classic_signature(&annotations(&[])).unwrap_err().detail.contains(SIGNATURE));
        let broken = annotations(&[(SIGNATURE, "%%%")]);
        assert!(classic_signature(&broken).unwrap_err().detail.contains("base64"));
        assert_eq!(classic_signature(&annotations(&[(SIGNATURE, "eHk=")])).unwrap(), b"xy");
    }

    #[test]
    fn a_classic_log_entry_becomes_a_bundle_entry() {
        let body = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}"#);
        let id = "ab".repeat(32);
        let entry = format!(
            r#"{{"SignedEntryTimestamp":"AAAA","Payload":{{"body":"{body}","integratedTime":1700000000,"logIndex":7,"logID":"{id}"}}}}"#
        );
        let found = annotations(&[(SIGNATURE, "eHk="), (LOG_ENTRY, &entry)]);
        let bundle = classic_as_bundle(b"payload", &found).unwrap().bundle;
        assert!(bundle.has_inclusion_promise() && !bundle.has_inclusion_proof());
        assert!(bundle.signing_certificate().is_none());
        assert_eq!(bundle.verification_material.tlog_entries[0].log_index.get(), 7);
    }

    #[test]
    fn broken_parts_name_their_stage() {
        for (key, value, step) in [
            (LOG_ENTRY, "{}", Step::TransparencyLog),
            (TIMESTAMP, "{}", Step::Timestamp),
            (CERTIFICATE, "-----BEGIN X-----\n%\n-----END X-----", Step::Format),
        ] {
            let found = annotations(&[(SIGNATURE, "eHk="), (key, value)]);
            assert_eq!(classic_as_bundle(b"p", &found).unwrap_err().step, step, "{key}");
        }
    }
}
