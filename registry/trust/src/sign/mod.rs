//! Signing: making the documents and attaching them in a registry.
//!
//! Two forms. The bundle, attached as a referrer, is the default; the classic `sha256-<hex>.sig`
//! tag is written on request, for verifiers that know nothing else. Both carry the time of signing
//! inside what is signed (`vnd.eyas.signed-at`), so that an older signature cannot pass for a newer
//! one; verifiers that do not know it ignore it.

pub mod document;

use std::collections::BTreeMap;

use eyas_artifact::{Descriptor, Digest, Manifest, Reference, media};
use eyas_oci::{BlobSource, Client, OciError};
use jiff::Timestamp;
use serde_json::json;

use self::document::{ClassicSignature, SignedBundle};
use crate::TrustError;
use crate::discovery::classic_tag;
use crate::evidence::{MAX_CANDIDATES, SIGNATURE, classic_signature};
use crate::key::SigningKey;
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
}

/// Signs the digest in `reference` and stores the signature beside it.
pub async fn sign(
    client: &Client,
    reference: &Reference,
    key: &SigningKey,
    form: Form,
) -> Result<Stored, TrustError> {
    let now = Timestamp::now();
    let subject = subject(client, reference).await?;
    match form {
        Form::Classic => store_classic(client, reference, key, &subject, now).await,
        Form::Bundle => {
            let bundle = document::bundle(key, &subject.digest, now)?;
            store_bundle(client, reference, subject, &bundle, now).await
        }
    }
}

/// Attaches a signed statement about the digest in `reference`.
pub async fn attest(
    client: &Client,
    reference: &Reference,
    key: &SigningKey,
    predicate_type: &str,
    predicate: serde_json::Value,
) -> Result<Stored, TrustError> {
    let now = Timestamp::now();
    let subject = subject(client, reference).await?;
    let bundle = document::attestation(key, &subject.digest, predicate_type, predicate, now)?;
    store_bundle(client, reference, subject, &bundle, now).await
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
    now: Timestamp,
) -> Result<Stored, TrustError> {
    let config = push(client, reference, media::OCI_EMPTY, b"{}".to_vec()).await?;
    let layer = push(client, reference, media::SIGSTORE_BUNDLE, bundle.json.clone()).await?;
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
    Ok(Stored { subject: digest, location, signed_at: created })
}

async fn store_classic(
    client: &Client,
    reference: &Reference,
    key: &SigningKey,
    subject: &Descriptor,
    now: Timestamp,
) -> Result<Stored, TrustError> {
    let signed = document::classic(key, &reference.locator(), &subject.digest, now)?;
    let tag = classic_tag(&subject.digest);
    let location = reference.with_tag(&tag).map_err(|error| build("signature's tag", &error))?;
    let mut layers = others(client, &location, key).await?;
    if layers.len() >= MAX_CANDIDATES {
        return Err(TrustError::TooManyCandidates {
            repository: reference.locator(),
            found: layers.len(),
            limit: MAX_CANDIDATES,
        });
    }
    let ClassicSignature { payload, signature } = signed;
    let layer = push(client, reference, media::COSIGN_SIMPLE_SIGNING, payload).await?;
    layers.push(layer.with_annotation(SIGNATURE, signature));
    let config = serde_json::to_vec(&image_config(&layers))
        .map_err(|error| build("signature's configuration", &error))?;
    let config = push(client, reference, media::OCI_CONFIG, config).await?;
    let bytes = encode(&Manifest::new(config, layers))?;
    client.push_manifest(&location, &bytes, media::OCI_MANIFEST).await?;
    Ok(Stored { subject: subject.digest, location, signed_at: document::whole_seconds(now) })
}

/// Signatures under the tag that are not by `key`: a new one replaces our own older one and leaves
/// those of others.
async fn others(
    client: &Client,
    location: &Reference,
    key: &SigningKey,
) -> Result<Vec<Descriptor>, TrustError> {
    let fetched = match client.manifest(location).await {
        Ok(fetched) => fetched,
        Err(OciError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let manifest = Manifest::from_slice(&fetched.bytes)
        .map_err(|error| build("list of signatures", &error))?;
    let mut kept = Vec::new();
    for layer in manifest.layers {
        let ours = match classic_signature(&layer.annotations) {
            Ok(signature) => {
                let payload = client.blob_bytes(location, &layer, MAX_PAYLOAD_BYTES).await?;
                key.public().verify(&payload, &signature).is_ok()
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
