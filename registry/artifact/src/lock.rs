//! `eyas.lock`: what to install, to the digest, on every host alike.
//!
//! Owns the JSON form of a file that people commit. It pins what a tag pointed at (the image index
//! where there are several platforms), so that hosts of different architectures can share it.

use serde::{Deserialize, Serialize};

use crate::error::check_size;
use crate::{ArtifactError, Digest, Generation, Kind, Reference, Version};

/// Version of the file's form; a reader refuses one it does not know.
pub const LOCK_FORMAT: u32 = 1;
/// Largest lock file that is read, in bytes.
pub const MAX_LOCK_BYTES: u64 = 16 * 1024 * 1024;

const DOCUMENT: &str = "eyas.lock";

/// A committed lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Form of this document, [`LOCK_FORMAT`].
    pub format: u32,
    /// What is locked, sorted by kind and name.
    pub artifacts: Vec<Locked>,
}

/// One locked artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Kind of the artifact.
    pub kind: Kind,
    /// Name of the artifact.
    pub name: String,
    /// Version of the artifact.
    pub version: Version,
    /// The reference as it was asked for, tag included.
    pub reference: Reference,
    /// Digest of what that reference pointed at.
    pub digest: Digest,
}

impl Lock {
    /// A lock file with these artifacts.
    pub fn new(mut artifacts: Vec<Locked>) -> Self {
        artifacts.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Self { format: LOCK_FORMAT, artifacts }
    }

    /// Locks what a generation has.
    pub fn of(generation: &Generation) -> Result<Self, ArtifactError> {
        let mut artifacts = Vec::with_capacity(generation.entries.len());
        for entry in &generation.entries {
            artifacts.push(Locked {
                kind: entry.kind,
                name: entry.name.clone(),
                version: entry.version.clone(),
                reference: entry.reference.parse()?,
                digest: entry.root_digest,
            });
        }
        Ok(Self::new(artifacts))
    }

    /// Reads a lock file. Unknown fields are errors: a field that was meant to restrict must not be
    /// passed over.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        check_size(DOCUMENT, bytes, MAX_LOCK_BYTES)?;
        let lock: Self =
            serde_json::from_slice(bytes).map_err(|error| ArtifactError::json(DOCUMENT, &error))?;
        let refused = |why| Err(ArtifactError::Document { document: DOCUMENT, why });
        if lock.format != LOCK_FORMAT {
            return refused(format!("`format` is `{}`, expected `{LOCK_FORMAT}`", lock.format));
        }
        for pair in lock.artifacts.windows(2) {
            let [one, other] = pair else { continue };
            if (one.kind, &one.name) >= (other.kind, &other.name) {
                return refused(format!(
                    "{} `{}` is out of order or occurs twice, expected an order by type and name",
                    other.kind, other.name
                ));
            }
        }
        Ok(lock)
    }

    /// The file's text: indented, one field per line so that changes merge well, with a final line
    /// feed.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| ArtifactError::json(DOCUMENT, &error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The locked artifact of a kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Locked> {
        self.artifacts.iter().find(|locked| locked.kind == kind && locked.name == name)
    }
}

impl Locked {
    /// The reference as it was asked for, tag included, without a digest that it may have had.
    pub fn reference_without_digest(&self) -> String {
        match self.reference.tag() {
            Some(tag) => format!("{}:{tag}", self.reference.locator()),
            None => self.reference.locator(),
        }
    }

    /// What to fetch: the repository at the locked digest, whatever the tag points at today.
    pub fn pinned(&self) -> Reference {
        self.reference.with_digest(self.digest)
    }
}
