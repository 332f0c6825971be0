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

/// Pushes an index file, which must be a valid index, under the reference's tag and `tags`.
pub async fn push_index(
    client: &Client,
    reference: &Reference,
    file: &Path,
    tags: &[String],
    signing: Option<&(Signer, Vec<Form>)>,
) -> Result<PushedIndex, OpsError> {
    if reference.digest().is_some() {
        return Err(OpsError::usage(
            format!("`{reference}` names a digest, which is not known before the push"),
            Some("give a tag, or none for `latest`"),
        ));
    }
    let bytes = std::fs::metadata(file)
        .and_then(
            |found| if found.len() > LIMIT { Ok(None) } else { std::fs::read(file).map(Some) },
        )
        .map_err(|error| OpsError::input(file, error))?;
    let bytes = bytes.ok_or_else(|| {
        let message = format!("`{}` has more than {LIMIT} bytes", file.display());
        OpsError::usage(message, None)
    })?;
    let address = file.display().to_string();
    Index::parse("index", &bytes)
        .map_err(|source| OpsError::IndexContent { address, source: Box::new(source) })?;
    let size = bytes.len() as u64;
    let layer =
        Descriptor::of(INDEX_LAYER, &bytes).with_annotation(media::ANNOTATION_TITLE, "index.yaml");
    let config = Descriptor::of(EMPTY_TYPE, EMPTY);
    client.push_blob(reference, &config, &BlobSource::Bytes(EMPTY.into()), None).await?;
    client.push_blob(reference, &layer, &BlobSource::Bytes(bytes.into()), None).await?;
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(INDEX_TYPE.to_owned());
    let manifest = manifest.to_vec()?;
    let digest = Digest::sha256(&manifest);
    let pinned = reference.with_digest(digest);
    client.push_manifest(&pinned, &manifest, media::OCI_MANIFEST).await?;
    // Signed before a tag leads to it: whoever follows the tag finds the signature.
    let mut signed_by = None;
    if let Some((signer, forms)) = signing {
        for form in forms {
            signed_by = Some(sign(client, &pinned, signer, *form).await?);
        }
    }
    let mut all: Vec<String> = reference.tag().map(str::to_owned).into_iter().collect();
    all.extend(tags.iter().cloned());
    if all.is_empty() {
        all.push(reference.tag_or_latest().to_owned());
    }
    all.dedup();
    for tag in &all {
        client.push_manifest(&reference.with_tag(tag)?, &manifest, media::OCI_MANIFEST).await?;
    }
    Ok(PushedIndex { reference: pinned, digest, tags: all, size, signed_by })
}
