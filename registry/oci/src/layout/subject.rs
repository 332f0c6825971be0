//! What the manifests of a layout are about.
//!
//! Owns the list of referrers that a registry would keep: it is read from the manifests themselves,
//! each once, since content never changes under a digest.

use std::collections::{BTreeSet, HashMap};

use eyas_artifact::{Descriptor, Digest, Document};

use super::{Layout, LayoutIndex};
use crate::error::OciError;

/// Manifests whose subject is remembered.
const MAX_REMEMBERED: usize = 100_000;

/// The subject of each manifest read, with the manifest's entry for a list of referrers.
pub(super) type Subjects = HashMap<Digest, Option<(Digest, Descriptor)>>;

impl Layout {
    /// The manifests of a repository that are about `subject`, of one artifact type or of all.
    /// `unnamed` is the repository of entries that name none.
    pub fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        unnamed: Option<&str>,
    ) -> Result<Vec<Descriptor>, OciError> {
        let index: &LayoutIndex = &*self.index()?;
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for entry in index.of(repository, unnamed) {
            // One manifest may be listed under several tags.
            if !seen.insert(entry.digest) {
                continue;
            }
            if let Some((about, listed)) = self.subject(entry)?
                && about == *subject
                && artifact_type
                    .is_none_or(|wanted| listed.artifact_type.as_deref() == Some(wanted))
            {
                found.push(listed);
            }
        }
        Ok(found)
    }

    fn subject(&self, entry: &Descriptor) -> Result<Option<(Digest, Descriptor)>, OciError> {
        if let Some(known) = super::lock(&self.subjects).get(&entry.digest) {
            return Ok(known.clone());
        }
        let Some(bytes) = self.document(&entry.digest)? else { return Ok(None) };
        let found = referrer(entry, &bytes);
        let mut known = super::lock(&self.subjects);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(entry.digest, found.clone());
        Ok(found)
    }
}

fn referrer(entry: &Descriptor, bytes: &[u8]) -> Option<(Digest, Descriptor)> {
    let mut listed = Descriptor::new(&entry.media_type, entry.digest, bytes.len() as u64);
    let subject = match Document::from_slice(&entry.media_type, bytes).ok()? {
        Document::Manifest(manifest) => {
            listed.artifact_type =
                Some(manifest.artifact_type.unwrap_or(manifest.config.media_type));
            listed.annotations = manifest.annotations;
            manifest.subject
        }
        Document::Index(index) => {
            listed.artifact_type = index.artifact_type;
            listed.annotations = index.annotations;
            index.subject
        }
    };
    Some((subject?.digest, listed))
}
