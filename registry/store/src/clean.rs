//! Dropping what is no longer needed.
//!
//! Owns the rule which generations are kept: the active one, the one a rollback leads to, the newest
//! others, and the one with the highest number, so that no number is ever used twice.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use eyas_artifact::Generation;

use crate::paths::PART;
use crate::{LockedStore, Store, StoreError, disk};

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

/// What is to go, and what stays.
#[derive(Default)]
struct Doomed {
    report: GarbageReport,
    remaining: Vec<Generation>,
    blobs: Vec<PathBuf>,
}

impl Store {
    /// What [`LockedStore::gc`] would remove now.
    pub fn garbage(&self, keep: usize) -> Result<GarbageReport, StoreError> {
        Ok(self.doomed(keep)?.report)
    }

    fn doomed(&self, keep: usize) -> Result<Doomed, StoreError> {
        let numbers = self.numbers()?;
        let current = self.current_number()?;
        let mut kept: BTreeSet<u64> = current.into_iter().collect();
        kept.extend(numbers.last());
        // Where a refusal by the sensor would lead.
        kept.extend(self.previous().ok());
        kept.extend(numbers.iter().rev().filter(|number| Some(**number) != current).take(keep));
        let mut doomed = Doomed::default();
        let highest = numbers.last().copied();
        for number in numbers {
            let kept = kept.contains(&number);
            // What is active must be known before anything goes; nobody can go back to another one whose
            // lock file is damaged. Its number stays taken.
            match if Some(number) == current {
                Some(self.generation(number)?)
            } else {
                self.readable(number)?.filter(|_| kept)
            } {
                Some(generation) => doomed.remaining.push(generation),
                None if kept && Some(number) == highest => {}
                None => doomed.report.generations.push(number),
            }
        }
        self.unneeded_blobs(&mut doomed)?;
        Ok(doomed)
    }

    fn unneeded_blobs(&self, doomed: &mut Doomed) -> Result<(), StoreError> {
        let needed: BTreeSet<String> = doomed
            .remaining
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
            // What is being received belongs to who receives it.
            if is_part(&path) && is_left(&path).is_none() {
                continue;
            }
            doomed.report.blobs += 1;
            doomed.report.blob_bytes +=
                std::fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
            doomed.blobs.push(path);
        }
        Ok(())
    }
}

/// Whether nobody is receiving into the file any more; nobody begins to while the answer is kept.
fn is_left(part: &Path) -> Option<File> {
    disk::open(part).ok().filter(|file| disk::hold(file, part))
}

fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PART.as_bytes()))
}

impl LockedStore {
    /// Removes generations beyond the `keep` newest besides the active one, then every blob that no
    /// remaining generation refers to, whole or in part.
    pub fn gc(&self, keep: usize) -> Result<GarbageReport, StoreError> {
        let Doomed { report, remaining, blobs } = self.doomed(keep)?;
        for number in &report.generations {
            disk::remove_tree(&self.generation_dir(*number))?;
        }
        self.write_layout_index(&remaining)?;
        for path in blobs {
            let held = is_left(&path);
            if held.is_some() || !is_part(&path) {
                disk::remove_file(&path)?;
            }
        }
        Ok(report)
    }
}
