//! Several plain directories that change together.
//!
//! Owns the order: all directories are prepared before any is changed, and go through each phase side
//! by side, so that the time between the first rename and the last is that of the renames alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use eyas_artifact::Kind;

use super::{FlatDirectories, FlatDirectory, FlatPlan, FlatReport, Prepared, canonical, journal};
use crate::{Store, StoreError, disk};

/// Plain directories, all held for changing.
#[derive(Debug)]
pub struct FlatSet {
    directories: Vec<(FlatDirectory, Vec<Kind>)>,
}

/// A transaction over several directories that is staged and not begun. Dropping it leaves them as
/// they were.
#[derive(Debug)]
pub struct PreparedSet {
    directories: Vec<Prepared>,
}

/// What a transaction did, for each directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlatSetReport {
    /// Each directory with what was done in it.
    pub directories: Vec<(PathBuf, FlatReport)>,
    /// What could not be made durable or tidied up although every file is in place; the next command
    /// does it.
    pub unsettled: Vec<String>,
}

impl FlatSet {
    /// Takes hold of all directories, creating those that are missing, and finishes or undoes what a
    /// crash left in them.
    pub fn open(
        directories: &FlatDirectories,
        store: &Store,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let mut kinds: BTreeMap<PathBuf, Vec<Kind>> = BTreeMap::new();
        for (kind, directory) in directories.iter() {
            disk::ensure_dir(directory)?;
            kinds.entry(canonical(directory)?).or_default().push(kind);
        }
        // In the order of their paths: two processes that want the same ones must not wait for each
        // other.
        let mut open = Vec::with_capacity(kinds.len());
        for (directory, kinds) in kinds {
            open.push((FlatDirectory::open_within(&directory, store, patience)?, kinds));
        }
        open.sort_by_key(|(_, kinds)| kinds.iter().copied().map(journal::rank).min());
        Ok(Self { directories: open })
    }

    /// Whether a crash has left one at a generation that is no longer the active one.
    pub fn is_behind(&self) -> bool {
        self.directories.iter().any(|(directory, _)| directory.is_behind())
    }

    /// Stages all that must change. Nothing is visible yet.
    pub fn prepare(self, plan: &FlatPlan<'_>) -> Result<PreparedSet, StoreError> {
        let mut prepared = PreparedSet { directories: Vec::new() };
        let mut claimed = BTreeSet::new();
        for (directory, kinds) in self.directories {
            let one = directory.prepare(&kinds, plan)?;
            // One directory may be inside another.
            for path in one.claimed() {
                if let Some(path) = claimed.replace(path) {
                    return Err(StoreError::Occupied { path, owner: Some(OTHER.to_owned()) });
                }
            }
            prepared.directories.push(one);
        }
        Ok(prepared)
    }
}

/// Whose a file is when two directories overlap.
const OTHER: &str = "another artifact, in a directory that overlaps";

impl PreparedSet {
    /// Whether every directory is as it should be.
    pub fn is_nothing(&self) -> bool {
        self.directories.iter().all(Prepared::is_nothing)
    }

    /// What will be done, for each directory.
    pub fn reports(&self) -> impl Iterator<Item = (&std::path::Path, &FlatReport)> {
        self.directories.iter().map(|one| (one.path(), one.report()))
    }

    /// Does it. After an error some files may be the new ones and others the old ones: bring the
    /// directories to a generation again. What fails once all files are in place is no error.
    pub fn commit(mut self) -> Result<FlatSetReport, StoreError> {
        for one in &mut self.directories {
            one.bind()?;
        }
        for one in self.directories.iter_mut().filter(|one| !one.is_nothing()) {
            one.put()?;
        }
        for one in self.directories.iter_mut().rev() {
            one.remove()?;
        }
        let mut report = FlatSetReport::default();
        for mut one in self.directories {
            if let Err(error) = one.settle() {
                report.unsettled.push(error.to_string());
            }
            report.directories.push(one.into_report());
        }
        Ok(report)
    }
}
