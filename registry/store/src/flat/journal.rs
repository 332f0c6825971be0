//! What a transaction on a plain directory is going to do.
//!
//! Owns `.eyas/prepared.json` and `.eyas/journal.json`. The first says what will be done once its
//! generation is active, the second, which it becomes by a rename, that it is being done: once that
//! is there the transaction will be finished, by us or by the next to open the directory. Every
//! operation can be done twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;
use serde::{Deserialize, Serialize};

use super::record::Ownership;
use crate::{StoreError, disk};

/// Prefix of staged content, beside the journal.
pub(super) const STAGED: &str = "new-";
/// File name of a journal that does not count yet.
pub(super) const PREPARED: &str = "prepared.json";
/// File name of the journal.
pub(super) const BOUND: &str = "journal.json";
/// Largest journal that is read, in bytes.
const MAX_JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// The steps, and who owns what afterwards.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The store whose generation this is for.
    #[serde(default)]
    pub(super) owner: String,
    /// Number of the generation; 0 when none is active afterwards.
    #[serde(default)]
    pub(super) generation: u64,
    pub(super) operations: Vec<Operation>,
    pub(super) ownership: Ownership,
}

/// One step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    /// Renames staged content to a path.
    Put {
        /// Below the directory.
        path: String,
        /// Beside the journal.
        staged: String,
    },
    /// Removes a file.
    Remove {
        /// Below the directory.
        path: String,
    },
}

/// The order in which kinds are put in place: rules come after what they need, and go before it.
pub(super) fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Plugin => 0,
        Kind::Asset => 1,
        Kind::Rulesfile => 2,
        Kind::Probe => 3,
    }
}

impl Journal {
    /// The journal of a transaction that has begun.
    pub(super) fn read(own: &Path) -> Result<Option<Self>, StoreError> {
        Self::read_from(own.join(BOUND))
    }

    /// The journal of a transaction that was prepared.
    pub(super) fn read_prepared(own: &Path) -> Result<Option<Self>, StoreError> {
        Self::read_from(own.join(PREPARED))
    }

    fn read_from(path: PathBuf) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = disk::read(&path, MAX_JOURNAL_BYTES)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged { path, why: error.to_string() })
    }

    /// Writes it, not counting yet.
    pub(super) fn write(&self, own: &Path) -> Result<(), StoreError> {
        let path = own.join(PREPARED);
        let bytes = serde_json::to_vec(self)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        disk::replace_file(&path, &bytes)
    }

    /// Makes it count. Takes no space on the disk.
    pub(super) fn bind(own: &Path) -> Result<(), StoreError> {
        disk::rename(&own.join(PREPARED), &own.join(BOUND))?;
        disk::sync_dir(own)
    }

    /// Takes it back, in either state.
    pub(super) fn remove(own: &Path) -> Result<(), StoreError> {
        disk::remove_file(&own.join(PREPARED))?;
        disk::remove_file(&own.join(BOUND))?;
        disk::sync_dir(own)
    }
}

impl Operation {
    /// Does the step, unless it was done; gives the directories that must be flushed.
    pub(super) fn run(&self, root: &Path, own: &Path) -> Result<Vec<PathBuf>, StoreError> {
        match self {
            Self::Put { path, staged } => {
                let (target, staged) = (root.join(path), own.join(staged));
                if fs::symlink_metadata(&staged).is_err() {
                    return Ok(Vec::new());
                }
                let folders = folders(root, path);
                if let Some(folder) = folders.last() {
                    disk::ensure_dir(folder)?;
                }
                disk::rename(&staged, &target)?;
                Ok(folders)
            }
            Self::Remove { path } => {
                let target = root.join(path);
                match fs::symlink_metadata(&target) {
                    // Somebody else's directory is there now: not what we wrote.
                    Ok(meta) if meta.is_dir() => {}
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                    _ => disk::remove_file(&target)?,
                }
                let folders = folders(root, path);
                for folder in folders.iter().rev() {
                    // Only an empty directory goes; one that others use stays.
                    let _ = fs::remove_dir(folder);
                }
                Ok(folders)
            }
        }
    }

    /// Whether it brings a file, rather than taking one.
    pub(super) fn is_put(&self) -> bool {
        matches!(self, Self::Put { .. })
    }
}

/// The directories between the root and a file, outermost first.
fn folders(root: &Path, path: &str) -> Vec<PathBuf> {
    let mut folder = root.to_owned();
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    parts
        .into_iter()
        .map(|part| {
            folder.push(part);
            folder.clone()
        })
        .collect()
}
