//! When the newest index that was accepted under an address was signed.
//!
//! Owns where that is kept and that it never goes back by accident; what is newer is its writer's
//! business. It has a lock of its own, which is held for one small file: whoever changes the store may
//! hold the other one for minutes.

use std::path::PathBuf;
use std::time::Duration;

use eyas_artifact::Digest;
use serde::{Deserialize, Serialize};

use crate::lock::Held;
use crate::{Store, StoreError, disk};

/// Largest note that is read, in bytes; addresses are the longest part.
const MAX_NOTE_BYTES: u64 = 64 * 1024;
/// How long to wait for another process that keeps a note.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Note {
    /// The address, for whoever reads the file.
    index: String,
    signed_at: String,
}

impl Store {
    /// When the newest accepted index of an address was signed, as it was noted.
    pub fn index_note(&self, address: &str) -> Result<Option<String>, StoreError> {
        let path = self.index_note_path(address);
        let Some(bytes) = disk::read(&path, MAX_NOTE_BYTES)? else { return Ok(None) };
        let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
        let note: Note = serde_json::from_slice(&bytes).map_err(|error| {
            let text: String = String::from_utf8_lossy(&bytes).chars().take(64).collect();
            damaged(format!("found `{}`, expected a note: {error}", text.trim()))
        })?;
        if note.index != address {
            return Err(damaged(format!("it is about `{}`, expected `{address}`", note.index)));
        }
        Ok(Some(note.signed_at))
    }

    /// Where that is noted, whether or not it is.
    pub fn index_note_path(&self, address: &str) -> PathBuf {
        let name = format!("{}.json", Digest::sha256(address).hex());
        self.paths.index_notes().join(name)
    }

    /// Notes when an index of an address was signed, unless what is noted by then is `newer`.
    pub fn keep_index_note(
        &self,
        address: &str,
        signed_at: &str,
        newer: impl FnOnce(&str) -> bool,
    ) -> Result<(), StoreError> {
        disk::ensure_dir(self.paths.root())?;
        let directory = self.paths.index_notes();
        disk::ensure_dir(&directory)?;
        let _held = Held::take(&directory.join("lock"), PATIENCE)?;
        if self.index_note(address)?.is_some_and(|there| newer(&there)) {
            return Ok(());
        }
        let path = self.index_note_path(address);
        let note = Note { index: address.to_owned(), signed_at: signed_at.to_owned() };
        let bytes = serde_json::to_vec_pretty(&note)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        disk::replace_file(&path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://i.example.org/index.yaml";

    #[test]
    fn each_address_has_its_own_note_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        assert_eq!(store.index_note(ADDRESS).unwrap(), None);
        store.keep_index_note(ADDRESS, "2", |there| there > "2").unwrap();
        store.keep_index_note("other", "9", |there| there > "9").unwrap();
        // Somebody else was faster.
        store.keep_index_note(ADDRESS, "1", |there| there > "1").unwrap();
        assert_eq!(store.index_note(ADDRESS).unwrap().as_deref(), Some("2"));
        store.keep_index_note(ADDRESS, "3", |there| there > "3").unwrap();
        assert_eq!(store.index_note(ADDRESS).unwrap().as_deref(), Some("3"));
        assert_eq!(store.index_note("other").unwrap().as_deref(), Some("9"));
    }

    #[test]
    fn a_note_that_cannot_be_read_is_none_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.keep_index_note(ADDRESS, "1", |_| false).unwrap();
        std::fs::copy(store.index_note_path(ADDRESS), store.index_note_path("other")).unwrap();
        assert!(store.index_note("other").unwrap_err().to_string().contains("it is about"));
        std::fs::write(store.index_note_path(ADDRESS), "soon").unwrap();
        assert!(store.index_note(ADDRESS).unwrap_err().to_string().contains("`soon`"));
        // Nor is it written over.
        assert!(store.keep_index_note(ADDRESS, "2", |_| false).is_err());
        assert_eq!(std::fs::read(store.index_note_path(ADDRESS)).unwrap(), b"soon");
    }
}
