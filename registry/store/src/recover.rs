//! After a crash.
//!
//! Owns the decision between finishing and undoing, and the removal of everything that only a dead
//! process knew. Runs whenever the lock is taken, so every writer starts from a clean store.

use crate::disk::{self, TEMPORARY, TRASH};
use crate::paths::STAGING;
use crate::{LockedStore, StoreError};

/// Largest `pending` file: a number.
const MAX_PENDING_BYTES: u64 = 32;

impl LockedStore {
    /// Finishes or undoes an activation that was cut, then removes temporary files.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        self.settle_pending()?;
        self.settle_flat_directories()?;
        self.sweep()
    }

    pub(crate) fn settle_pending(&self) -> Result<(), StoreError> {
        let path = self.paths.pending();
        let Some(bytes) = disk::read(&path, MAX_PENDING_BYTES)? else { return Ok(()) };
        let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        if let Some(number) = number {
            let directory = self.generation_dir(number);
            // Active: it was finished but for the tidying. Otherwise nobody has seen it.
            if self.current_number()? != Some(number) && directory.exists() {
                disk::remove_tree(&directory)?;
            }
        }
        disk::remove_file(&path)
    }

    /// Everything under a temporary name belongs to a dead process, since we hold the lock.
    fn sweep(&self) -> Result<(), StoreError> {
        let directories =
            [self.paths.root().to_owned(), self.paths.blobs(), self.paths.generations()];
        for path in directories.iter().map(|directory| disk::list(directory)) {
            for left in path? {
                let name = left.file_name().unwrap_or_default().as_encoded_bytes();
                let ours = [TEMPORARY, TRASH, STAGING]
                    .iter()
                    .any(|prefix| name.starts_with(prefix.as_bytes()));
                if !ours {
                    continue;
                }
                if left.is_dir() && !left.is_symlink() {
                    disk::remove_tree(&left)?;
                } else {
                    disk::remove_file(&left)?;
                }
            }
        }
        Ok(())
    }
}
