//! Names that must stay at the version they are installed in.
//!
//! Owns where they are kept. They are beside the generations and not in them: going back to an
//! earlier generation does not bring back what somebody wanted then.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::{LockedStore, Store, StoreError, disk};

/// Largest list that is read, in bytes.
const MAX_PINS_BYTES: u64 = 1024 * 1024;

impl Store {
    /// Names of pinned artifacts.
    pub fn pins(&self) -> Result<BTreeSet<String>, StoreError> {
        let path = self.pins_path();
        let Some(bytes) = disk::read(&path, MAX_PINS_BYTES)? else { return Ok(BTreeSet::new()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Damaged { path, why: error.to_string() })
    }

    fn pins_path(&self) -> PathBuf {
        self.directory().join("pins.json")
    }
}

impl LockedStore {
    /// Keeps this list in place of the one before.
    pub fn keep_pins(&self, names: &BTreeSet<String>) -> Result<(), StoreError> {
        let path = self.pins_path();
        if names.is_empty() {
            return disk::remove_file(&path);
        }
        let bytes = serde_json::to_vec_pretty(names)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        disk::replace_file(&path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_found_again_and_none_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.pins().unwrap().is_empty());
        let locked = store.lock().unwrap();
        let names = BTreeSet::from(["b".to_owned(), "a".to_owned()]);
        locked.keep_pins(&names).unwrap();
        assert_eq!(store.pins().unwrap(), names);
        locked.keep_pins(&BTreeSet::new()).unwrap();
        locked.keep_pins(&BTreeSet::new()).unwrap();
        assert!(!dir.path().join("pins.json").exists());
    }

    #[test]
    fn a_list_that_cannot_be_read_is_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pins.json"), "[1").unwrap();
        assert!(Store::open(dir.path()).unwrap().pins().is_err());
    }
}
