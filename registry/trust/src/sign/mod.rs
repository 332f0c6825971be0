//! Signing: making the documents and attaching them in a registry.
//!
//! Two forms. The bundle, attached as a referrer, is the default; the classic `sha256-<hex>.sig`
//! tag is written on request, for verifiers that know nothing else. Both carry the time of signing
//! inside what is signed (`vnd.eyas.signed-at`), so that an older signature cannot pass for a newer
//! one; verifiers that do not know it ignore it.

mod der;
pub mod document;
mod service;
mod signer;
mod token;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::{Descriptor, Digest, Manifest, Reference, SignerRecord, media};
use eyas_oci::{BlobSource, Client, OciError};
use jiff::Timestamp;
use serde_json::json;
use sigstore::types::{Artifact, Sha256Hash};

pub use self::service::MAX_ANSWER_BYTES;
pub use self::signer::{Services, Signed, Signer};
pub use self::token::{IdentityToken, MAX_TOKEN_BYTES};

use self::document::{Envelope, SignedBundle};
use self::signer::{Message, Vouched};
use crate::TrustError;
use crate::discovery::classic_tag;
use crate::evidence::{
    CERTIFICATE, CHAIN, LOG_ENTRY, MAX_CANDIDATES, SIGNATURE, TIMESTAMP, classic_as_bundle,
    classic_signature, parse_bundle,
};
use crate::keyless;
use crate::statement::MAX_PAYLOAD_BYTES;

/// What kind of content a bundle has, on its manifest.
const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
/// The statement's type, on the bundle's manifest.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// How a signature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A layer under the `sha256-<hex>.sig` tag.
    Classic,
    /// A sigstore bundle, attached as a referrer.
    Bundle,
}

/// A signature that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The digest that was signed.
    pub subject: Digest,
    /// Where the signature is: the classic tag, or the referrer by digest.
    pub location: Reference,
    /// What it says about the time, RFC 3339 UTC.
    pub signed_at: String,
    /// Who signed.
    pub signer: SignerRecord,
}

/// Signs the digest in `reference` and stores the signature beside it.
pub async fn sign(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    form: Form,
) -> Result<Stored, TrustError> {
    let now = Timestamp::now();
    let subject = subject(client, reference).await?;
    match form {
        Form::Classic => store_classic(client, reference, signer, &subject, now).await,
        Form::Bundle => {
            let envelope = Envelope::signed(&subject.digest, now)?;
            store_envelope(client, reference, signer, subject, &envelope, now).await
        }
    }
}

/// Attaches a signed statement about the digest in `reference`.
pub async fn attest(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    predicate_type: &str,
    predicate: serde_json::Value,
) -> Result<Stored, TrustError> {
    let now = Timestamp::now();
    let subject = subject(client, reference).await?;
    let envelope = Envelope::about(&subject.digest, predicate_type, predicate, now)?;
    store_envelope(client, reference, signer, subject, &envelope, now).await
}

/// Signs a document that is no artifact, such as an index file; gives the bundle to put beside it
/// and who signed. It is signed as artifacts are, in a statement that tells when: of two versions of
/// a document a reader has to know which one is older.
pub async fn sign_document(
    document: &[u8],
    signer: &Signer,
) -> Result<(Vec<u8>, SignerRecord), TrustError> {
    let (digest, now) = (Digest::sha256(document), Timestamp::now());
    let envelope = Envelope::signed(&digest, now)?;
    let message = envelope.message();
    let made = signer.sign(Message { bytes: &message, envelope: Some(&envelope) }).await?;
    let bundle = envelope.bundle(&made)?;
    if let (Some(roots), Vouched::Certificate(_)) = (signer.roots(), &made.vouched) {
        let digest = Sha256Hash::from(*digest.as_bytes());
        hold(&bundle.json, &Artifact::from_digest(digest), roots)?;
    }
    Ok((bundle.json, made.record(&document::whole_seconds(now))))
}

/// Holds a new bundle against the root, as whoever verifies it will.
fn hold(bundle: &[u8], artifact: &Artifact<'_>, roots: &crate::Roots) -> Result<(), TrustError> {
    parse_bundle(bundle)
        .and_then(|bundle| keyless::prove(&bundle, artifact, roots))
        .map(|_| ())
        .map_err(|check| TrustError::NotSound { check })
}

async fn store_envelope(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    subject: Descriptor,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Stored, TrustError> {
    let message = envelope.message();
    let made = signer.sign(Message { bytes: &message, envelope: Some(envelope) }).await?;
    let bundle = envelope.bundle(&made)?;
    if let (Some(roots), Vouched::Certificate(_)) = (signer.roots(), &made.vouched) {
        let digest = Sha256Hash::from(*subject.digest.as_bytes());
        hold(&bundle.json, &Artifact::from_digest(digest), roots)?;
    }
    store_bundle(client, reference, subject, &bundle, &made, now).await
}

/// The descriptor of what is signed. It is fetched, so that nothing is signed that is not there.
async fn subject(client: &Client, reference: &Reference) -> Result<Descriptor, TrustError> {
    let digest = reference
        .digest()
        .ok_or_else(|| TrustError::NotPinned { reference: reference.to_string() })?;
    let fetched = client.manifest(&reference.with_digest(*digest)).await?;
    Ok(Descriptor::new(fetched.media_type, fetched.digest, fetched.bytes.len() as u64))
}

async fn store_bundle(
    client: &Client,
    reference: &Reference,
    subject: Descriptor,
    bundle: &SignedBundle,
    made: &Signed,
    now: Timestamp,
) -> Result<Stored, TrustError> {
    let config = push(client, reference, media::OCI_EMPTY, b"{}".to_vec()).await?;
    let layer = push(client, reference, media::SIGSTORE_BUNDLE, bundle.json.clone()).await?;
    // Whoever verifies an install asks for one thing less.
    let layer = layer.with_data(&bundle.json);
    let created = document::whole_seconds(now);
    let digest = subject.digest;
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(media::SIGSTORE_BUNDLE.to_owned());
    manifest.subject = Some(subject);
    manifest.annotations = BTreeMap::from([
        (BUNDLE_CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (BUNDLE_PREDICATE.to_owned(), bundle.predicate_type.clone()),
        (media::ANNOTATION_CREATED.to_owned(), created.clone()),
    ]);
    let listed = client.push_referrer(reference, &encode(&manifest)?).await?;
    let location = reference.with_digest(listed.digest);
    let signer = made.record(&created);
    Ok(Stored { subject: digest, location, signed_at: created, signer })
}

async fn store_classic(
    client: &Client,
    reference: &Reference,
    signer: &Signer,
    subject: &Descriptor,
    now: Timestamp,
) -> Result<Stored, TrustError> {
    if !signer.fits_classic() {
        return Err(TrustError::NotClassic);
    }
    let tag = classic_tag(&subject.digest);
    let location = reference.with_tag(&tag).map_err(|error| build("signature's tag", &error))?;
    let mut layers = others(client, &location, signer).await?;
    if layers.len() >= MAX_CANDIDATES {
        return Err(TrustError::TooManyCandidates {
            repository: reference.locator(),
            found: layers.len(),
            limit: MAX_CANDIDATES,
        });
    }
    let payload = document::payload(&reference.locator(), &subject.digest, now)?;
    let made = signer.sign(Message { bytes: &payload, envelope: None }).await?;
    let annotations = annotations(&made);
    if let (Some(roots), Vouched::Certificate(_)) = (signer.roots(), &made.vouched) {
        classic_as_bundle(&payload, &annotations)
            .and_then(|bundle| keyless::prove(&bundle, &Artifact::from_blob(&payload), roots))
            .map_err(|check| TrustError::NotSound { check })?;
    }
    let layer = push(client, reference, media::COSIGN_SIMPLE_SIGNING, payload.clone()).await?;
    let mut layer = layer.with_data(&payload);
    layer.annotations.extend(annotations);
    layers.push(layer);
    let config = serde_json::to_vec(&image_config(&layers))
        .map_err(|error| build("signature's configuration", &error))?;
    let config = push(client, reference, media::OCI_CONFIG, config).await?;
    let bytes = encode(&Manifest::new(config, layers))?;
    client.push_manifest(&location, &bytes, media::OCI_MANIFEST).await?;
    let signed_at = document::whole_seconds(now);
    let signer = made.record(&signed_at);
    Ok(Stored { subject: subject.digest, location, signed_at, signer })
}

/// What vouches for a classic signature, as annotations of its layer.
fn annotations(made: &Signed) -> BTreeMap<String, String> {
    let mut found = BTreeMap::from([(SIGNATURE.to_owned(), STANDARD.encode(&made.signature))]);
    if let Vouched::Certificate(certificate) = &made.vouched {
        let pem = |der: &[u8]| service::pem_block("CERTIFICATE", der);
        found.insert(CERTIFICATE.to_owned(), pem(&certificate.der));
        let chain: String = certificate.chain.iter().map(|der| pem(der)).collect();
        found.insert(CHAIN.to_owned(), chain);
    }
    if let Some(entry) = made.entries.first().and_then(classic_entry) {
        found.insert(LOG_ENTRY.to_owned(), entry.to_string());
    }
    if let Some(stamp) = made.stamps.first() {
        let stamp = json!({ "SignedRFC3161Timestamp": STANDARD.encode(stamp) });
        found.insert(TIMESTAMP.to_owned(), stamp.to_string());
    }
    found
}

/// A log entry as the classic form stores it.
fn classic_entry(entry: &serde_json::Value) -> Option<serde_json::Value> {
    let number = |value: &serde_json::Value| value.as_str()?.parse::<i64>().ok();
    let id = STANDARD.decode(entry["logId"]["keyId"].as_str()?).ok()?;
    Some(json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number(&entry["integratedTime"])?,
            "logIndex": number(&entry["logIndex"])?,
            "logID": hex::encode(id),
        },
    }))
}

/// Signatures under the tag that are not by the same key: a new one replaces our own older one and leaves
/// those of others.
async fn others(
    client: &Client,
    location: &Reference,
    signer: &Signer,
) -> Result<Vec<Descriptor>, TrustError> {
    let fetched = match client.manifest(location).await {
        Ok(fetched) => fetched,
        Err(OciError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let manifest = Manifest::from_slice(&fetched.bytes)
        .map_err(|error| build("list of signatures", &error))?;
    let Some(key) = signer.public() else { return Ok(manifest.layers) };
    let mut kept = Vec::new();
    for layer in manifest.layers {
        let ours = match classic_signature(&layer.annotations) {
            Ok(signature) => {
                let payload = client.blob_bytes(location, &layer, MAX_PAYLOAD_BYTES).await?;
                key.verify(&payload, &signature).is_ok()
            }
            Err(_) => false,
        };
        if !ours {
            kept.push(layer);
        }
    }
    Ok(kept)
}

/// What image tools expect of a configuration: one diff id per layer.
fn image_config(layers: &[Descriptor]) -> serde_json::Value {
    let ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    json!({
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": ids },
    })
}

async fn push(
    client: &Client,
    reference: &Reference,
    media_type: &str,
    bytes: Vec<u8>,
) -> Result<Descriptor, TrustError> {
    let descriptor = Descriptor::of(media_type, &bytes);
    client.push_blob(reference, &descriptor, &BlobSource::Bytes(bytes.into()), None).await?;
    Ok(descriptor)
}

fn encode(manifest: &Manifest) -> Result<Vec<u8>, TrustError> {
    manifest.to_vec().map_err(|error| build("signature's manifest", &error))
}

fn build(what: &'static str, error: &dyn std::fmt::Display) -> TrustError {
    TrustError::Build { what, reason: error.to_string() }
}
