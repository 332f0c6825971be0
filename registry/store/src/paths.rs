//! Where things are in the state directory.
//!
//! Owns the names; the layout is documented in [`crate`].

use std::path::{Path, PathBuf};

use eyas_artifact::Digest;

/// Paths below a state directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// What was received of a blob so far.
    pub(crate) fn part(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(format!("{PART}{}", digest.hex()))
    }

    pub(crate) fn layout_marker(&self) -> PathBuf {
        self.root.join("oci-layout")
    }

    pub(crate) fn layout_index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(crate) fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        self.generations().join(number.to_string())
    }

    /// Target of `current`, relative so that the state directory can be moved.
    pub(crate) fn generation_target(number: u64) -> PathBuf {
        Path::new("generations").join(number.to_string())
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Notes about indexes, one for each address.
    pub(crate) fn index_notes(&self) -> PathBuf {
        self.root.join("indexes")
    }

    /// Names the generation whose activation has begun and not ended.
    pub(crate) fn pending(&self) -> PathBuf {
        self.root.join("pending")
    }
}

/// Prefix of blobs that were received in part. They outlive their process: the next continues them,
/// and garbage collection removes those that nobody holds.
pub(crate) const PART: &str = ".part-";
/// File in a generation that describes it.
pub(crate) const LOCK_FILE: &str = "lock.json";
/// File in a generation that says why it was rolled back.
pub(crate) const REFUSAL_FILE: &str = "refused.json";
/// Prefix of directories in `generations` that are being filled.
pub(crate) const STAGING: &str = ".staging-";
