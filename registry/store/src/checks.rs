//! The record of the last checks for updates.
//!
//! Owns where it is kept; what it says is its writer's business. It decides nothing: losing it costs
//! a line in a listing.

use std::path::PathBuf;

use crate::{LockedStore, Store, StoreError, disk};

/// Largest record that is read, in bytes.
const MAX_CHECKS_BYTES: u64 = 4 * 1024 * 1024;

impl Store {
    /// The record as it was kept last.
    pub fn checks(&self) -> Result<Option<Vec<u8>>, StoreError> {
        disk::read(&self.checks_path(), MAX_CHECKS_BYTES)
    }

    fn checks_path(&self) -> PathBuf {
        self.directory().join("checks.json")
    }
}

impl LockedStore {
    /// Keeps a record in place of the one before.
    pub fn keep_checks(&self, bytes: &[u8]) -> Result<(), StoreError> {
        disk::replace_file(&self.checks_path(), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.checks().unwrap(), None);
        let locked = store.lock().unwrap();
        locked.keep_checks(b"one").unwrap();
        locked.keep_checks(b"two").unwrap();
        assert_eq!(store.checks().unwrap().as_deref(), Some(b"two".as_slice()));
    }
}
