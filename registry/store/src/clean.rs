//! Dropping what is no longer needed.
//!
//! Owns the rule which generations are kept: the active one, the one a rollback leads to, the newest
//! others, and the one with the highest number, so that no number is ever used twice.

use std::collections::BTreeSet;

use eyas_artifact::Generation;

use crate::{LockedStore, StoreError, disk};

/// Generations kept beside the active one.
pub const DEFAULT_KEPT_GENERATIONS: usize = 3;

/// What garbage collection removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GarbageReport {
    /// Numbers of removed generations.
    pub generations: Vec<u64>,
    /// How many blobs were removed.
    pub blobs: usize,
    /// Their size, in bytes.
    pub blob_bytes: u64,
}

impl LockedStore {
    /// Removes generations beyond the `keep` newest besides the active one, then every blob that no
    /// remaining generation refers to.
    pub fn gc(&self, keep: usize) -> Result<GarbageReport, StoreError> {
        let mut report = GarbageReport::default();
        let numbers = self.numbers()?;
        let current = self.current_number()?;
        let mut kept: BTreeSet<u64> = current.into_iter().collect();
        kept.extend(numbers.last());
        // Where a refusal by the sensor would lead.
        kept.extend(self.previous().ok());
        kept.extend(numbers.iter().rev().filter(|number| Some(**number) != current).take(keep));
        for number in numbers.into_iter().filter(|number| !kept.contains(number)) {
            disk::remove_tree(&self.generation_dir(number))?;
            report.generations.push(number);
        }
        let remaining = self.generations()?;
        self.write_layout_index(&remaining)?;
        self.drop_blobs(&remaining, &mut report)?;
        Ok(report)
    }

    fn drop_blobs(
        &self,
        remaining: &[Generation],
        report: &mut GarbageReport,
    ) -> Result<(), StoreError> {
        let needed: BTreeSet<String> = remaining
            .iter()
            .flat_map(|generation| &generation.entries)
            .flat_map(|entry| {
                [entry.root_digest, entry.manifest_digest, entry.config_digest, entry.layer_digest]
            })
            .map(|digest| digest.hex())
            .collect();
        for path in disk::list(&self.paths.blobs())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if needed.contains(&name) {
                continue;
            }
            let size = std::fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
            disk::remove_file(&path)?;
            report.blobs += 1;
            report.blob_bytes += size;
        }
        Ok(())
    }
}
