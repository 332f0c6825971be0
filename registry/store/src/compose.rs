//! Putting a new generation together, and making it the active one.
//!
//! Owns the sequence of activation:
//!
//! 1. the whole set of files in `generations/.staging-*` and the names of the blobs it came from, judged
//!    and flushed, both at once;
//! 2. `pending` names the new number;
//! 3. the directory is renamed to `generations/<N>`;
//! 4. `current` is replaced by rename: the only step that readers see;
//! 5. `pending` is removed.
//!
//! A crash before 4 leaves the old generation, after it the new one; [`crate::recover`] tells by
//! `pending` which of the two it was and removes the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eyas_artifact::{Entry, Generation, Kind};

use crate::disk::NewFile;
use crate::paths::{LOCK_FILE, Paths};
use crate::stage::Scratch;
use crate::validate::CandidateSet;
use crate::{LockedStore, Staged, StoreError, Validated, disk, integrity};

/// A complete new set of files that is not active. Dropping it removes it.
#[derive(Debug)]
pub struct Composed {
    /// The active generation it was put together from.
    base: Option<u64>,
    generation: Generation,
    directory: Scratch,
    changed: Vec<(Kind, String)>,
    /// Where blobs were added; none if nothing was fetched.
    blobs: Option<PathBuf>,
}

impl Composed {
    /// What will be in the generation.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// The set as its judge sees it.
    pub fn candidate(&self) -> CandidateSet<'_> {
        CandidateSet::new(&self.generation, self.directory.path(), &self.changed)
    }

    /// Makes the set durable: what is new of it, all its names, and those of the blobs it came from.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let set = self.directory.path();
        let is_new = |entry: &&Entry| {
            self.changed.iter().any(|(kind, name)| (entry.kind, &entry.name) == (*kind, name))
        };
        for entry in self.generation.entries.iter().filter(is_new) {
            disk::flush_tree(&set.join(entry.directory()))?;
        }
        disk::flush_file(&set.join(LOCK_FILE))?;
        disk::sync_tree(set)?;
        self.blobs.as_deref().map_or(Ok(()), disk::sync_dir)
    }
}

impl LockedStore {
    /// The active generation with `staged` added or replacing what has their kind and name, and
    /// without `removed`.
    pub fn compose(
        &self,
        staged: Vec<Staged>,
        removed: &[(Kind, String)],
    ) -> Result<Composed, StoreError> {
        let base = self.current()?;
        let mut kept: BTreeMap<(Kind, String), Entry> = BTreeMap::new();
        for entry in base.iter().flat_map(|generation| &generation.entries) {
            kept.insert((entry.kind, entry.name.clone()), entry.clone());
        }
        let mut changed = Vec::new();
        for key in removed {
            kept.remove(key)
                .ok_or_else(|| StoreError::NotInstalled { kind: key.0, name: key.1.clone() })?;
            changed.push(key.clone());
        }
        let directory = Scratch::create(self)?;
        let fetched = !staged.is_empty();
        let mut added = Vec::new();
        for one in staged {
            let (entry, files) = one.into_parts();
            let key = (entry.kind, entry.name.clone());
            if added.iter().any(|other: &Entry| (other.kind, &other.name) == (key.0, &key.1)) {
                return Err(StoreError::StagedTwice { kind: entry.kind, name: entry.name });
            }
            kept.remove(&key);
            changed.push(key);
            place(files, &directory.path().join(entry.directory()))?;
            added.push(entry);
        }
        if let Some(base) = &base {
            let from = self.generation_dir(base.number);
            for entry in kept.values() {
                self.carry(entry, &from, directory.path())?;
            }
        }
        let mut generation = Generation::new(self.next_number()?, now());
        generation.parent = base.as_ref().map(|base| base.number);
        generation.entries = kept.into_values().chain(added).collect();
        generation.entries.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        write_lock_file(&generation, directory.path())?;
        let base = base.map(|base| base.number);
        let blobs = fetched.then(|| self.paths.blobs());
        Ok(Composed { base, generation, directory, changed, blobs })
    }

    /// Makes a validated set the active generation.
    pub fn activate(&self, validated: Validated<Composed>) -> Result<Generation, StoreError> {
        let Composed { base, generation, directory, .. } = validated.into_inner();
        let current = self.current_number()?;
        if current != base {
            return Err(StoreError::Stale { base, current });
        }
        let number = generation.number;
        disk::replace_file(&self.paths.pending(), number.to_string().as_bytes())?;
        let activated = disk::rename(directory.path(), &self.generation_dir(number))
            .map(|()| directory.moved())
            .and_then(|()| disk::sync_dir(&self.paths.generations()))
            .and_then(|()| self.point_at(number));
        if let Err(error) = activated {
            // The same that recovery does after a crash here, and will do again if this fails.
            let _ = self.settle_pending();
            return Err(error);
        }
        // Active from here on: what is left is tidying, which recovery does as well.
        let _ = disk::remove_file(&self.paths.pending());
        let _ = self.generations().and_then(|all| self.write_layout_index(&all));
        Ok(generation)
    }

    /// Replaces `current`. Once the link is renamed every reader sees the new generation, so a
    /// failure to flush the directory after that is no failure to activate: a power cut may bring
    /// the old link back, and that is whole as well.
    pub(crate) fn point_at(&self, number: u64) -> Result<(), StoreError> {
        match disk::replace_link(&Paths::generation_target(number), &self.paths.current()) {
            Err(_) if self.current_number().ok().flatten() == Some(number) => Ok(()),
            other => other,
        }
    }

    /// Links an unchanged artifact into the new set. A file that was damaged since is restored from
    /// the archive in the store, never carried on.
    fn carry(&self, entry: &Entry, from: &Path, to: &Path) -> Result<(), StoreError> {
        let (from, to) = (from.join(entry.directory()), to.join(entry.directory()));
        if integrity::quick_check(entry, &from)? {
            for file in &entry.files {
                let target = to.join(&file.path);
                disk::ensure_dir(target.parent().unwrap_or(&to))?;
                disk::link_or_copy(&from.join(&file.path), &target)?;
            }
            return Ok(());
        }
        let restored = self.restore(entry)?;
        place(restored, &to)
    }

    /// One more than any number in use.
    fn next_number(&self) -> Result<u64, StoreError> {
        let last = self.numbers()?.last().copied().max(self.current_number()?);
        Ok(last.unwrap_or(0) + 1)
    }
}

/// Moves unpacked files to their place in a new set.
pub(crate) fn place(files: Scratch, target: &Path) -> Result<(), StoreError> {
    if let Some(parent) = target.parent() {
        disk::ensure_dir(parent)?;
    }
    disk::rename(files.path(), target)?;
    files.moved();
    Ok(())
}

/// It is flushed with the set.
fn write_lock_file(generation: &Generation, directory: &Path) -> Result<(), StoreError> {
    let bytes = generation.to_vec().map_err(|source| StoreError::Document {
        context: "lock file of the new generation".to_owned(),
        source,
    })?;
    let mut file = NewFile::create(directory.join(LOCK_FILE))?;
    file.write(&bytes)?;
    file.leave();
    Ok(())
}

/// The time, in UTC, to the second.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
