//! Which plain directories a store keeps.
//!
//! Owns `flat.json` in the state directory, so that a rollback or a repair reaches the directories
//! that an install has filled, whether or not they are named again. New directories count from the
//! activation on that they were named for: the file says from which generation, and what held before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;
use serde::{Deserialize, Serialize};

use crate::{LockedStore, Store, StoreError, disk};

/// File name of the record.
const FILE: &str = "flat.json";
/// Form of the record; a reader refuses one it does not know.
const FORMAT: u32 = 1;
/// Largest record that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The directory of each kind; a kind without one is in the store alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlatDirectories(BTreeMap<Kind, PathBuf>);

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    directories: FlatDirectories,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// What holds once a generation was activated.
#[derive(Debug, Serialize, Deserialize)]
struct Next {
    generation: u64,
    directories: FlatDirectories,
}

impl FlatDirectories {
    /// Sets the directory of a kind.
    pub fn set(&mut self, kind: Kind, directory: PathBuf) {
        self.0.insert(kind, directory);
    }

    /// Forgets the directories for which this is not true; what is in them stays.
    pub fn retain(&mut self, keep: impl Fn(Kind, &Path) -> bool) {
        self.0.retain(|kind, directory| keep(*kind, directory));
    }

    /// The directory of a kind.
    pub fn get(&self, kind: Kind) -> Option<&Path> {
        self.0.get(&kind).map(PathBuf::as_path)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each kind with its directory.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &Path)> {
        self.0.iter().map(|(kind, directory)| (*kind, directory.as_path()))
    }
}

impl Store {
    /// The directories that are kept at the active generation.
    pub fn flat_directories(&self) -> Result<FlatDirectories, StoreError> {
        Ok(match self.flat_record()? {
            None => FlatDirectories::default(),
            Some(Record { next: Some(next), .. })
                if self.current_number()?.unwrap_or_default() == next.generation =>
            {
                next.directories
            }
            Some(record) => record.directories,
        })
    }

    fn flat_record(&self) -> Result<Option<Record>, StoreError> {
        let path = self.directory().join(FILE);
        let Some(bytes) = disk::read(&path, MAX_BYTES)? else { return Ok(None) };
        let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if record.format != FORMAT {
            return Err(damaged(format!("`format` is `{}`, expected `{FORMAT}`", record.format)));
        }
        Ok(Some(record))
    }
}

impl LockedStore {
    /// Settles what holds after a transaction that was cut, since its number may be given again.
    pub(crate) fn settle_flat_directories(&self) -> Result<(), StoreError> {
        match self.flat_record()? {
            Some(Record { next: Some(_), .. }) => {
                self.keep_flat_directories(&self.flat_directories()?, None)
            }
            _ => Ok(()),
        }
    }

    /// Keeps these directories from now on, or from the moment on that a generation is active.
    pub fn keep_flat_directories(
        &self,
        directories: &FlatDirectories,
        from: Option<u64>,
    ) -> Result<(), StoreError> {
        let path = self.directory().join(FILE);
        let record = match from {
            None => Record { format: FORMAT, directories: directories.clone(), next: None },
            Some(generation) => Record {
                format: FORMAT,
                directories: self.flat_directories()?,
                next: Some(Next { generation, directories: directories.clone() }),
            },
        };
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        disk::replace_file(&path, &bytes)
    }
}
