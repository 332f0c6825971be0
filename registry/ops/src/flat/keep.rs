//! Keeping plain directories at the active generation.
//!
//! Owns the choice of directories for one operation, those that are named and those that the store
//! remembers, and the way back when a file cannot be put in place although its generation is active.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eyas_artifact::{Generation, Kind};
use eyas_store::{
    Finding, FlatDirectories, FlatPlan, FlatSet, FlatSetReport, Foreign, LockedStore, PreparedSet,
    Seen, Store,
};

use super::{FlatTargets, ForeignPolicy};
use crate::transaction::LOCK_PATIENCE;
use crate::{Event, Listener, OpsError};

/// The plain directories of one operation.
pub(crate) struct Flat<'a> {
    /// Those that are changed.
    directories: FlatDirectories,
    /// Those that the store will remember; none when it remembers them already.
    record: Option<FlatDirectories>,
    foreign: Foreign,
    installed_before: BTreeSet<String>,
    listener: &'a dyn Listener,
}

impl<'a> Flat<'a> {
    /// Those that are named, and those that the store keeps already.
    pub(crate) fn of(
        store: &Store,
        targets: Option<&FlatTargets>,
        listener: &'a dyn Listener,
    ) -> Result<Self, OpsError> {
        let known = store.flat_directories()?;
        let mut record = known.clone();
        for kind in Kind::ALL {
            let Some(directory) = targets.and_then(|targets| targets.directory(kind)) else {
                continue;
            };
            let directory = whole(store, directory)?;
            if let Some(old) = known.get(kind).filter(|old| *old != directory) {
                let text = format!(
                    "`{}` is no longer kept up to date: {kind} files go to `{}` now",
                    old.display(),
                    directory.display()
                );
                listener.tell(&Event::Warning(&text));
            }
            record.set(kind, directory);
        }
        let mut directories = record.clone();
        directories.retain(|kind, directory| {
            let named = targets.is_some_and(|targets| targets.directory(kind).is_some());
            let there = named || directory.is_dir();
            if !there {
                let text = format!(
                    "`{}`, where {kind} files were kept, is gone and is left out",
                    directory.display()
                );
                listener.tell(&Event::Warning(&text));
            }
            there
        });
        let foreign = match targets.map(|targets| targets.foreign).unwrap_or_default() {
            ForeignPolicy::SameKind => Foreign::SameKind,
            ForeignPolicy::Adopt => Foreign::Replace,
        };
        Ok(Self {
            directories,
            record: (record != known).then_some(record),
            foreign,
            installed_before: targets.map(|it| it.installed_before.clone()).unwrap_or_default(),
            listener,
        })
    }

    /// Finishes or undoes what a crash left.
    pub(crate) fn recover(&self, locked: &LockedStore) -> Result<(), OpsError> {
        if self.directories.is_empty() {
            return Ok(());
        }
        let behind = FlatSet::open(&self.directories, locked, LOCK_PATIENCE)?.is_behind();
        if behind { self.bring(locked) } else { Ok(()) }
    }

    /// Stages what a generation changes. `files` is where its files are now, `fresh` is what was
    /// unpacked a moment ago.
    pub(crate) fn prepare(
        &self,
        locked: &LockedStore,
        generation: &Generation,
        files: &Path,
        fresh: &[(Kind, String)],
    ) -> Result<PreparedSet, OpsError> {
        let plan = FlatPlan {
            generation,
            files,
            fresh,
            foreign: self.foreign,
            installed_before: &self.installed_before,
        };
        let set = FlatSet::open(&self.directories, locked, LOCK_PATIENCE)?;
        let prepared = set.prepare(&plan)?;
        if let Some(record) = &self.record {
            locked.keep_flat_directories(record, Some(generation.number))?;
        }
        Ok(prepared)
    }

    /// Carries out what was prepared for the generation that is active now. After an error the
    /// directories are to be brought to the generation that will be.
    pub(crate) fn commit(
        &self,
        locked: &LockedStore,
        prepared: PreparedSet,
    ) -> Result<(), OpsError> {
        let report = prepared.commit()?;
        if let Some(record) = &self.record {
            // It counts already; this only forgets what it replaced.
            let _ = locked.keep_flat_directories(record, None);
        }
        self.tell(&report);
        Ok(())
    }

    /// Brings the directories to the active generation.
    pub(crate) fn bring(&self, locked: &LockedStore) -> Result<(), OpsError> {
        let generation = locked.current()?.unwrap_or_else(|| Generation::new(0, String::new()));
        let files = locked.generation_dir(generation.number);
        let prepared = self.prepare(locked, &generation, &files, &[])?;
        self.commit(locked, prepared)
    }

    /// What is not as the active generation says.
    pub(crate) fn findings(
        &self,
        store: &Store,
        generation: Option<&Generation>,
        seen: &mut Seen,
    ) -> Result<Vec<Finding>, OpsError> {
        Ok(store.flat_findings(&self.directories, generation, seen)?)
    }

    fn tell(&self, report: &FlatSetReport) {
        for (directory, report) in &report.directories {
            self.listener.tell(&Event::Published { directory, report });
        }
        for text in &report.unsettled {
            let text = format!("every file is in place, but {text}; the next command settles it");
            self.listener.tell(&Event::Warning(&text));
        }
    }
}

/// The directory from the root on. One inside the store would be taken for a part of it.
fn whole(store: &Store, directory: &Path) -> Result<PathBuf, OpsError> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .map_err(|source| OpsError::storage("find", path, source))
    };
    let (whole, root) = (absolute(directory)?, absolute(store.directory())?);
    if whole.starts_with(&root) {
        let message = format!(
            "`{}` is inside the store `{}`, expected a directory of its own",
            directory.display(),
            root.display()
        );
        return Err(OpsError::usage(message, None));
    }
    Ok(whole)
}
