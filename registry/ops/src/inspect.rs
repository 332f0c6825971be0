//! Questions that change nothing: what names there are, which tags, what a registry says of an
//! artifact, and whether it would be accepted.

use eyas_artifact::{Kind, MAX_CONFIG_BYTES, Name, Platform, Reference};
use eyas_index::Entry;
use eyas_oci::Client;
use eyas_trust::Explanation;

use crate::found;
use crate::{Catalog, Listener, OpsError, Trust};

/// Entries of the indexes, of one kind and of one index where that is asked for.
pub fn list<'a>(
    catalog: &'a Catalog,
    kind: Option<Kind>,
    index: Option<&str>,
) -> Result<Vec<&'a Entry>, OpsError> {
    if let Some(name) = index
        && !catalog.knows_index(name)
    {
        return Err(OpsError::NoSuchIndex { name: name.to_owned() });
    }
    let of_kind = |entry: &&Entry| kind.is_none_or(|kind| entry.kind == kind.as_str());
    let of_index = |entry: &&Entry| index.is_none_or(|name| entry.index == name);
    Ok(catalog.index().iter().filter(of_kind).filter(of_index).collect())
}

/// Entries that look like one of the keywords, best first.
pub fn search<'a>(
    catalog: &'a Catalog,
    keywords: &[String],
    min_score: f64,
    kind: Option<Kind>,
) -> Vec<&'a Entry> {
    let hits = catalog.index().search(keywords, min_score);
    hits.into_iter()
        .map(|hit| hit.entry)
        .filter(|entry| kind.is_none_or(|kind| entry.kind == kind.as_str()))
        .collect()
}

/// The tags of a repository that are versions of the artifact; those that carry signatures and
/// lists of referrers are left out.
pub async fn tags(client: &Client, reference: &Reference) -> Result<Vec<String>, OpsError> {
    let tags = client.tags(reference).await?;
    Ok(tags.into_iter().filter(|tag| !is_attachment(tag)).collect())
}

fn is_attachment(tag: &str) -> bool {
    let rest = tag.strip_prefix("sha256-").unwrap_or_default();
    let hex = rest.split('.').next().unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The manifest for a platform, exactly as the registry serves it.
pub async fn manifest(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
) -> Result<Vec<u8>, OpsError> {
    let pinned = client.pin(reference, platform).await?;
    Ok(pinned.manifest_document().bytes.clone())
}

/// The configuration document for a platform, exactly as the registry serves it.
pub async fn config(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
) -> Result<Vec<u8>, OpsError> {
    let pinned = client.pin(reference, platform).await?;
    Ok(client.blob_bytes(pinned.reference(), pinned.config(), MAX_CONFIG_BYTES).await?)
}

/// Verifies an artifact as an install would, and says how.
pub async fn verify(
    client: &Client,
    catalog: &Catalog,
    trust: &Trust,
    name: &Name,
    platform: &Platform,
    listener: &dyn Listener,
) -> Result<Explanation, OpsError> {
    let reference = catalog.find(name, listener).await?;
    let pinned = client.pin(&reference, platform).await?;
    let kind = pinned.kind();
    let verified = trust.verify(client, catalog, pinned, listener).await?;
    // Its description is asked for only where the rule is about it.
    if let Some(minimum) = verified.minimum_version() {
        let (config, _) = found::describe(client, &reference, verified.get()).await?;
        found::check_minimum(kind, &config, Some(minimum))?;
    }
    Ok(verified.explanation().clone())
}

#[cfg(test)]
mod tests {
    use super::is_attachment;

    #[test]
    fn attachments_are_told_from_versions() {
        let hex = "0".repeat(64);
        for tag in
            [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att")]
        {
            assert!(is_attachment(&tag), "{tag}");
        }
        for tag in
            ["1.0.0", "latest", "sha256-1", "sha256-.sig", &format!("sha256-{}", "z".repeat(64))]
        {
            assert!(!is_attachment(tag), "{tag}");
        }
    }
}
