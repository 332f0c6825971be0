//! Publishing an index as an artifact of a registry.
//!
//! Owns its form: a manifest with an artifact type of its own, an empty configuration and the YAML
//! text as the only layer. It has a digest, so that it can be pinned and signed like anything else.

use std::path::Path;

use eyas_artifact::{Descriptor, Digest, Manifest, Reference, media};
use eyas_index::Index;
use eyas_oci::{BlobSource, Client};
use eyas_trust::Signer;

use super::{LIMIT, source::INDEX_LAYER};
use crate::{Form, OpsError, sign::sign};

/// Artifact type of an index.
const INDEX_TYPE: &str = "application/vnd.eyas.index.v1+yaml";
/// Media type of a configuration that says nothing, and what such a one is.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedIndex {
    /// Repository and digest.
    pub reference: Reference,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Tags that point at it.
    pub tags: Vec<String>,
    /// Size of the index in bytes.
    pub size: u64,
    /// Fingerprint of the key that signed it.
    pub signed_by: Option<String>,
}

/// All that goes up.
struct Prepared {
    config: Descriptor,
    layer: Descriptor,
    text: Vec<u8>,
    manifest: Vec<u8>,
    done: PushedIndex,
}

/// Pushes an index file, which must be a valid index, under the reference's tag and `tags`.
pub async fn push_index(
    client: &Client,
    reference: &Reference,
    file: &Path,
    tags: &[String],
    signing: Option<&(Signer, Vec<Form>)>,
) -> Result<PushedIndex, OpsError> {
    let Prepared { config, layer, text, manifest, mut done } = prepare(reference, file, tags)?;
    client.push_blob(reference, &config, &BlobSource::Bytes(EMPTY.into()), None).await?;
    client.push_blob(reference, &layer, &BlobSource::Bytes(text.into()), None).await?;
    client.push_manifest(&done.reference, &manifest, media::OCI_MANIFEST).await?;
    // Signed before a tag leads to it: whoever follows the tag finds the signature.
    if let Some((signer, forms)) = signing {
        for form in forms {
            done.signed_by = Some(sign(client, &done.reference, signer, *form).await?);
        }
    }
    for tag in &done.tags {
        client.push_manifest(&reference.with_tag(tag)?, &manifest, media::OCI_MANIFEST).await?;
    }
    Ok(done)
}

/// What [`push_index`] would push.
pub fn plan_index(
    reference: &Reference,
    file: &Path,
    tags: &[String],
) -> Result<PushedIndex, OpsError> {
    Ok(prepare(reference, file, tags)?.done)
}

fn prepare(reference: &Reference, file: &Path, tags: &[String]) -> Result<Prepared, OpsError> {
    if reference.digest().is_some() {
        return Err(OpsError::usage(
            format!("`{reference}` names a digest, which is not known before the push"),
            Some("give a tag, or none for `latest`"),
        ));
    }
    let text = std::fs::metadata(file)
        .and_then(
            |found| if found.len() > LIMIT { Ok(None) } else { std::fs::read(file).map(Some) },
        )
        .map_err(|error| OpsError::input(file, error))?;
    let text = text.ok_or_else(|| {
        let message = format!("`{}` has more than {LIMIT} bytes", file.display());
        OpsError::usage(message, None)
    })?;
    let address = file.display().to_string();
    Index::parse("index", &text)
        .map_err(|source| OpsError::IndexContent { address, source: Box::new(source) })?;
    let size = text.len() as u64;
    let layer =
        Descriptor::of(INDEX_LAYER, &text).with_annotation(media::ANNOTATION_TITLE, "index.yaml");
    let config = Descriptor::of(EMPTY_TYPE, EMPTY);
    let mut manifest = Manifest::new(config.clone(), vec![layer.clone()]);
    manifest.artifact_type = Some(INDEX_TYPE.to_owned());
    let manifest = manifest.to_vec()?;
    let digest = Digest::sha256(&manifest);
    let mut all: Vec<String> = reference.tag().map(str::to_owned).into_iter().collect();
    all.extend(tags.iter().cloned());
    if all.is_empty() {
        all.push(reference.tag_or_latest().to_owned());
    }
    all.dedup();
    let reference = reference.with_digest(digest);
    let done = PushedIndex { reference, digest, tags: all, size, signed_by: None };
    Ok(Prepared { config, layer, text, manifest, done })
}
