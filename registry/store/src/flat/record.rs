//! Which file of a plain directory belongs to whom.
//!
//! Owns `.eyas/owned.json`. Kept in the directory itself, so that it goes where the files go.

use std::collections::BTreeMap;
use std::path::Path;

use eyas_artifact::{Digest, Kind};
use serde::{Deserialize, Serialize};

use crate::{StoreError, disk};

/// File name of the record.
pub(super) const FILE: &str = "owned.json";
/// Form of the record; a reader refuses one it does not know.
const FORMAT: u32 = 1;
/// Largest record that is read, in bytes.
const MAX_RECORD_BYTES: u64 = 64 * 1024 * 1024;

/// Owned files by path below the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    format: u32,
    files: BTreeMap<String, OwnedFile>,
}

/// A file that an artifact brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedFile {
    /// State directory of the store that wrote it.
    pub owner: String,
    /// Kind of the artifact.
    pub kind: Kind,
    /// Name of the artifact.
    pub artifact: String,
    /// Content that was written.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Default for Ownership {
    fn default() -> Self {
        Self { format: FORMAT, files: BTreeMap::new() }
    }
}

impl Ownership {
    /// The owner of a path.
    pub fn find(&self, path: &str) -> Option<&OwnedFile> {
        self.files.get(path)
    }

    /// All owned files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &OwnedFile)> {
        self.files.iter()
    }

    /// Files that one store wrote.
    pub(super) fn of(&self, owner: &str) -> impl Iterator<Item = (&String, &OwnedFile)> {
        self.files.iter().filter(move |(_, file)| file.owner == owner)
    }

    /// The record without the files of one store.
    pub(super) fn without(&self, owner: &str) -> Self {
        let others = self.files.iter().filter(|(_, file)| file.owner != owner);
        Self {
            format: FORMAT,
            files: others.map(|(path, file)| (path.clone(), file.clone())).collect(),
        }
    }

    pub(super) fn insert(&mut self, path: String, file: OwnedFile) {
        self.files.insert(path, file);
    }

    /// Reads the record; an absent one owns nothing.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(bytes) = disk::read(path, MAX_RECORD_BYTES)? else { return Ok(Self::default()) };
        let damaged = |why: String| StoreError::Damaged { path: path.to_owned(), why };
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if record.format != FORMAT {
            return Err(damaged(format!("`format` is `{}`, expected `{FORMAT}`", record.format)));
        }
        Ok(record)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| StoreError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        disk::replace_file(path, &bytes)
    }
}
