//! From a tag to a digest, once: after this nothing asks for the tag again.
//!
//! Owns [`Pinned`], which only this module builds. Whether what is pinned may be used is left to
//! `eyas-trust`.

use eyas_artifact::{
    Descriptor, Digest, Document, ImageIndex, Kind, Manifest, Platform, Reference,
};

use super::{Client, manifest::Fetched};
use crate::error::OciError;

/// An artifact fixed by digest: its manifest for one platform is known and complete.
#[derive(Clone, Debug)]
pub struct Pinned {
    asked: Reference,
    reference: Reference,
    root: Fetched,
    platform_manifest: Option<Fetched>,
    manifest: Manifest,
    kind: Kind,
    layer: Descriptor,
}

impl Pinned {
    /// The repository with the digest of what the tag pointed at.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What was asked for.
    pub fn asked(&self) -> &Reference {
        &self.asked
    }

    /// Digest of what the tag pointed at: an index or a manifest. Signatures are about this one.
    pub fn root_digest(&self) -> &Digest {
        &self.root.digest
    }

    /// The document the tag pointed at.
    pub fn root(&self) -> &Fetched {
        &self.root
    }

    /// The manifest for the platform, as it came; the root itself where that is no index.
    pub fn manifest_document(&self) -> &Fetched {
        self.platform_manifest.as_ref().unwrap_or(&self.root)
    }

    /// Digest of the manifest for the platform.
    pub fn manifest_digest(&self) -> &Digest {
        &self.manifest_document().digest
    }

    /// The manifest for the platform.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What kind of artifact it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its configuration document.
    pub fn config(&self) -> &Descriptor {
        &self.manifest.config
    }

    /// Its archive.
    pub fn layer(&self) -> &Descriptor {
        &self.layer
    }
}

impl Client {
    /// Pins a reference for a platform: one request, or two where it points at an index.
    pub async fn pin(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Pinned, OciError> {
        let root = self.manifest(reference).await?;
        let pinned = reference.with_digest(root.digest);
        let (manifest, platform_manifest) = match read(&root, reference)? {
            Document::Manifest(manifest) => (manifest, None),
            Document::Index(index) => {
                let chosen = choose(&index, platform, reference)?;
                let (manifest, fetched) = self.listed(reference, chosen).await?;
                (manifest, Some(fetched))
            }
        };
        let unsupported = |detail| OciError::Unsupported { what: reference.to_string(), detail };
        let Some(layer) = manifest.layers.first().cloned() else {
            return Err(unsupported("it has no layer".to_owned()));
        };
        let Some(kind) = manifest.kind() else {
            return Err(unsupported(format!(
                "its layer is a `{}`, expected one of a rulesfile, plugin, asset or probe",
                layer.media_type
            )));
        };
        let described = &manifest.config.media_type;
        if Kind::from_config_media_type(described).is_some_and(|other| other != kind) {
            return Err(unsupported(format!(
                "its configuration is a `{described}`, its layer a `{}`, expected two of one kind",
                layer.media_type
            )));
        }
        let asked = reference.clone();
        Ok(Pinned { asked, reference: pinned, root, platform_manifest, manifest, kind, layer })
    }

    /// Fetches a manifest that an index lists.
    async fn listed(
        &self,
        reference: &Reference,
        entry: &Descriptor,
    ) -> Result<(Manifest, Fetched), OciError> {
        let by_digest = reference.with_digest(entry.digest);
        let fetched = self.manifest(&by_digest).await?;
        let found = fetched.bytes.len() as u64;
        if found != entry.size {
            let what = by_digest.to_string();
            return Err(OciError::SizeMismatch { what, expected: entry.size, found });
        }
        match read(&fetched, &by_digest)? {
            Document::Manifest(manifest) => Ok((manifest, fetched)),
            Document::Index(_) => Err(OciError::Malformed {
                what: by_digest.to_string(),
                detail: "an index inside an index, expected a manifest".to_owned(),
            }),
        }
    }
}

fn read(fetched: &Fetched, reference: &Reference) -> Result<Document, OciError> {
    Document::from_slice(&fetched.media_type, &fetched.bytes).map_err(|error| OciError::Malformed {
        what: reference.to_string(),
        detail: error.to_string(),
    })
}

/// The entry for the platform. A single entry that names no platform is for all of them.
fn choose<'a>(
    index: &'a ImageIndex,
    platform: &Platform,
    reference: &Reference,
) -> Result<&'a Descriptor, OciError> {
    if let Some(entry) = index.select(platform) {
        return Ok(entry);
    }
    if let [only] = index.manifests.as_slice()
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let mut available: Vec<String> = index.platforms().iter().map(ToString::to_string).collect();
    if available.is_empty() {
        available.push("no platform at all".to_owned());
    }
    Err(OciError::NoPlatform {
        what: reference.to_string(),
        wanted: platform.to_string(),
        available: available.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use eyas_artifact::media;

    use super::*;

    fn entry(platform: Option<&str>, content: &str) -> Descriptor {
        let entry = Descriptor::of(media::OCI_MANIFEST, content.as_bytes());
        match platform {
            Some(platform) => entry.with_platform(platform.parse().unwrap()),
            None => entry,
        }
    }

    #[test]
    fn the_entry_for_the_platform_is_chosen() {
        let reference: Reference = "r/a:1".parse().unwrap();
        let wanted: Platform = "linux/arm64".parse().unwrap();
        let index = ImageIndex::new(vec![entry(None, "x"), entry(Some("linux/arm64"), "y")]);
        let chosen = choose(&index, &wanted, &reference).unwrap();
        assert_eq!(chosen.digest, Digest::sha256("y"));
        let one = ImageIndex::new(vec![entry(None, "x")]);
        assert_eq!(choose(&one, &wanted, &reference).unwrap().digest, Digest::sha256("x"));
        let two = ImageIndex::new(vec![entry(None, "x"), entry(None, "y")]);
        assert!(choose(&two, &wanted, &reference).is_err());
        let other = ImageIndex::new(vec![entry(Some("linux/amd64"), "x")]);
        let error = choose(&other, &wanted, &reference).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`r/a:1` has nothing for platform `linux/arm64`, it has: linux/amd64"
        );
    }
}
