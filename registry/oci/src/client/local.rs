//! An image layout directory in the place of a registry.
//!
//! Owns the translation of what one does with a registry into what one does with a directory.
//! Entries that name no repository come from tools that know one per directory: they count for every
//! repository.

use std::fmt;

use eyas_artifact::{Descriptor, Digest, Reference};

use super::{
    BlobSource,
    manifest::{Fetched, Resolved, check},
};
use crate::{error::OciError, layout::Layout};

/// A repository in a directory.
#[derive(Clone, Debug)]
pub(super) struct Local {
    layout: Layout,
    repository: String,
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layout.root().display())
    }
}

impl Local {
    pub(super) fn new(layout: Layout, repository: String) -> Self {
        Self { layout, repository }
    }

    pub(super) fn resolve(&self, reference: &Reference) -> Result<Resolved, OciError> {
        let Descriptor { digest, media_type, size, .. } = self.entry(reference)?;
        Ok(Resolved { digest, media_type, size })
    }

    pub(super) fn manifest(&self, reference: &Reference) -> Result<Fetched, OciError> {
        let entry = self.entry(reference)?;
        let bytes = self.layout.document(&entry.digest)?.ok_or_else(|| not_found(reference))?;
        check(reference, bytes, Some(entry.digest), Some(entry.media_type))
    }

    fn entry(&self, reference: &Reference) -> Result<Descriptor, OciError> {
        let unnamed = Some(self.repository.as_str());
        let found = if let Some(digest) = reference.digest() {
            self.layout.find(&self.repository, digest, unnamed)?
        } else {
            let tag = reference.tag_or_latest();
            self.layout.index()?.find_tag(&self.repository, tag, unnamed).cloned()
        };
        found.ok_or_else(|| not_found(reference))
    }

    pub(super) fn tags(&self, reference: &Reference) -> Result<Vec<String>, OciError> {
        let index = self.layout.index()?;
        let tags = index.tags(&self.repository, Some(&self.repository));
        if tags.is_empty() {
            return Err(OciError::NotFound { what: reference.locator() });
        }
        Ok(tags.into_iter().collect())
    }

    pub(super) fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, OciError> {
        let unnamed = Some(self.repository.as_str());
        self.layout.referrers(&self.repository, subject, artifact_type, unnamed)
    }

    /// The file with a blob, with its size as it is.
    pub(super) fn blob(
        &self,
        what: &str,
        descriptor: &Descriptor,
    ) -> Result<std::path::PathBuf, OciError> {
        match self.layout.blob_size(&descriptor.digest)? {
            None => Err(OciError::NotFound { what: what.to_owned() }),
            Some(found) if found != descriptor.size => {
                let expected = descriptor.size;
                Err(OciError::SizeMismatch { what: what.to_owned(), expected, found })
            }
            Some(_) => Ok(self.layout.blob_path(&descriptor.digest)),
        }
    }

    /// Stores a blob; false when it was there.
    pub(super) async fn push_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<bool, OciError> {
        if self.layout.blob_size(&descriptor.digest)? == Some(descriptor.size) {
            return Ok(false);
        }
        let mut writer = self.layout.writer()?;
        source.pour(&mut writer).await?;
        writer.commit(Some(&descriptor.digest)).await?;
        Ok(true)
    }

    pub(super) fn push_manifest(
        &self,
        tag: Option<&str>,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Digest, OciError> {
        let digest = self.layout.put_bytes(bytes)?;
        let entry = Descriptor::new(media_type, digest, bytes.len() as u64);
        self.layout.list(Some(&self.repository), tag, &entry)?;
        Ok(digest)
    }
}

fn not_found(reference: &Reference) -> OciError {
    OciError::NotFound { what: reference.to_string() }
}
