//! Plain directories for programs that know nothing of generations.
//!
//! Owns the transaction that brings such directories from one set of files to the next. For each:
//!
//! 1. new content is staged in `<directory>/.eyas/`, on the directory's own file system, and flushed,
//!    and a journal is written that does not count yet;
//! 2. the generation is activated in the store, which is the point of no return: from there a crash
//!    is finished by the next to open the directory, before it everything is undone;
//! 3. the journals are made to count, files are renamed into place, old ones removed, and the record
//!    of ownership is replaced. Nothing of this takes space on the disk but for new directories.
//!
//! What a reader sees: each file is the old or the new one, whole, at any moment. With several files
//! there is no moment for all of them; the time between the first and the last is that of the renames
//! alone. Plugins come first, then assets, then rules, and what goes goes in the opposite order, so
//! that rules never stand there without what they need.
//!
//! Every file has the mode 0644 and every directory 0755. Files that no artifact owns are left alone.
//! A program that lists the directory passes over `.eyas/`.

mod announce;
mod findings;
mod foreign;
mod journal;
mod prepared;
mod record;
mod served;
mod set;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyas_artifact::{Generation, Kind};

pub use foreign::Foreign;
pub use prepared::Prepared;
pub use record::{OwnedFile, Ownership};
pub use served::FlatDirectories;
pub use set::{FlatSet, FlatSetReport, PreparedSet};

use crate::disk;
use crate::lock::Held;
use crate::{Store, StoreError};
use journal::Journal;
use prepared::Planning;

/// Directory with our own files, inside the flat directory.
const OWN_DIRECTORY: &str = ".eyas";

/// A plain directory, held for changing.
#[derive(Debug)]
pub struct FlatDirectory {
    root: PathBuf,
    owner: String,
    /// Whether a crash left it at a generation that is not the active one.
    behind: bool,
    _lock: Held,
}

/// What a transaction did; paths are below the directory, with `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlatReport {
    /// Files that are new or have new content.
    pub written: Vec<String>,
    /// Files of ours that had been changed or deleted by others, and were put right.
    pub repaired: Vec<String>,
    /// Files that no artifact owned before, and one does now.
    pub adopted: Vec<String>,
    /// Files of an older version, or of a removed artifact.
    pub removed: Vec<String>,
    /// Files that were as they should be.
    pub unchanged: usize,
}

/// A file that should be there.
#[derive(Debug, Clone)]
struct Wanted {
    record: OwnedFile,
    source: PathBuf,
    /// Whether the content was hashed a moment ago.
    fresh: bool,
    /// Whether an older tool had this artifact installed.
    before: bool,
}

/// What directories are brought to.
#[derive(Debug, Clone, Copy)]
pub struct FlatPlan<'a> {
    /// The generation.
    pub generation: &'a Generation,
    /// Where its files are now, laid out as in its own directory.
    pub files: &'a Path,
    /// Artifacts whose files were hashed a moment ago and need not be again.
    pub fresh: &'a [(Kind, String)],
    /// What becomes of files in the way.
    pub foreign: Foreign,
    /// References that an older tool installed here.
    pub installed_before: &'a BTreeSet<String>,
}

impl FlatDirectory {
    /// Takes hold of a directory, creating it if need be, and finishes or undoes what a crash left.
    /// `store` is whose artifacts will be written; another store's files are not touched.
    pub fn open(directory: &Path, store: &Store) -> Result<Self, StoreError> {
        Self::open_within(directory, store, Duration::ZERO)
    }

    /// As [`FlatDirectory::open`], waiting for another writer for a while.
    pub fn open_within(
        directory: &Path,
        store: &Store,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        disk::ensure_dir(directory)?;
        let root = canonical(directory)?;
        let owner = canonical(store.directory()).unwrap_or_else(|_| store.directory().to_owned());
        let own = root.join(OWN_DIRECTORY);
        // Whoever may change the directory must not choose where else we write.
        if fs::symlink_metadata(&own).is_ok_and(|found| found.is_symlink()) {
            let source = io::Error::other("found a symbolic link, expected a directory");
            return Err(StoreError::io("use", &own, source));
        }
        disk::ensure_dir(&own)?;
        let lock = Held::take(&own.join("lock"), patience)?;
        let owner = owner.to_string_lossy().into_owned();
        let mut held = Self { root, owner, behind: false, _lock: lock };
        held.recover(store)?;
        Ok(held)
    }

    /// Where it is, links resolved.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Whether a crash left it at a generation that is no longer the active one.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// What is owned in the directory, by whom.
    pub fn ownership(&self) -> Result<Ownership, StoreError> {
        Ownership::read(&self.own().join(record::FILE))
    }

    /// Stages everything that must change so that the directory holds the files of `kinds` of a
    /// generation, and nothing else of this store's. Nothing is visible yet.
    pub fn prepare(self, kinds: &[Kind], plan: &FlatPlan<'_>) -> Result<Prepared, StoreError> {
        let wanted = self.wanted(kinds, plan)?;
        let before = self.ownership()?;
        let mut after = before.without(&self.owner);
        let mut planned = Planning::new(plan.foreign);
        let mut gone: Vec<_> = before
            .of(&self.owner)
            .filter(|(path, _)| !wanted.contains_key(*path))
            .map(|(path, file)| (std::cmp::Reverse(journal::rank(file.kind)), path.clone()))
            .collect();
        for (path, file) in wanted {
            let known = before.find(&path);
            self.check_owner(&path, &file, known)?;
            after.insert(path.clone(), file.record.clone());
            planned.consider(&self, &path, file, known)?;
        }
        gone.sort();
        for (_, path) in gone {
            planned.remove(&path);
        }
        Prepared::stage(self, planned, after, plan.generation.number)
    }

    fn own(&self) -> PathBuf {
        self.root.join(OWN_DIRECTORY)
    }

    /// The files a generation wants here; two artifacts cannot want one path.
    fn wanted(
        &self,
        kinds: &[Kind],
        plan: &FlatPlan<'_>,
    ) -> Result<BTreeMap<String, Wanted>, StoreError> {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for entry in plan.generation.entries.iter().filter(|entry| kinds.contains(&entry.kind)) {
            let fresh =
                plan.fresh.iter().any(|(kind, name)| (*kind, name) == (entry.kind, &entry.name));
            let before = plan.installed_before.contains(&entry.reference);
            for file in &entry.files {
                let source = plan.files.join(entry.directory()).join(&file.path);
                let record = OwnedFile {
                    owner: self.owner.clone(),
                    kind: entry.kind,
                    artifact: entry.name.clone(),
                    digest: file.digest,
                    size: file.size,
                };
                self.check_path(&file.path)?;
                let new = Wanted { record, source, fresh, before };
                if let Some(other) = wanted.insert(file.path.clone(), new) {
                    return Err(self.conflict(&file.path, Some(&other.record)));
                }
            }
        }
        Ok(wanted)
    }

    /// A path must stay out of our own files, and no directory on the way may be a link.
    fn check_path(&self, path: &str) -> Result<(), StoreError> {
        if path.split('/').next() == Some(OWN_DIRECTORY) {
            return Err(self.conflict(path, None));
        }
        let mut folder = self.root.clone();
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.pop();
        for part in parts {
            folder.push(part);
            match fs::symlink_metadata(&folder) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(self.conflict(path, None)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(StoreError::io("read", &folder, error)),
            }
        }
        Ok(())
    }

    /// Another artifact's file is never replaced; the same artifact's from a store that moved is.
    fn check_owner(
        &self,
        path: &str,
        file: &Wanted,
        known: Option<&OwnedFile>,
    ) -> Result<(), StoreError> {
        match known {
            Some(other)
                if other.owner != self.owner
                    && (other.kind, &other.artifact)
                        != (file.record.kind, &file.record.artifact) =>
            {
                Err(self.conflict(path, Some(other)))
            }
            _ => Ok(()),
        }
    }

    fn conflict(&self, path: &str, owner: Option<&OwnedFile>) -> StoreError {
        StoreError::Occupied {
            path: self.root.join(path),
            owner: owner.map(|owned| format!("{} `{}`", owned.kind, owned.artifact)),
        }
    }

    /// Finishes or undoes what a crash left: what was prepared for the generation that is active now
    /// was cut after the activation, anything else before it.
    fn recover(&mut self, store: &Store) -> Result<(), StoreError> {
        let own = self.own();
        let active = store.current_number()?.unwrap_or_default();
        if let Some(prepared) = Journal::read_prepared(&own)?
            && prepared.owner == self.owner
            && prepared.generation == active
        {
            Journal::bind(&own)?;
        }
        let Some(journal) = Journal::read(&own)? else { return self.sweep() };
        prepared::carry_out(self, &journal)?;
        self.behind = journal.owner == self.owner && journal.generation != active;
        Ok(())
    }

    /// Removes what was staged and nobody will use, and a journal that does not count.
    fn sweep(&self) -> Result<(), StoreError> {
        let own = self.own();
        let mut swept = false;
        for path in disk::list(&own)? {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(journal::STAGED.as_bytes())
                || name.starts_with(disk::TEMPORARY.as_bytes())
                || name == journal::PREPARED.as_bytes()
            {
                disk::remove_file(&path)?;
                swept = true;
            }
        }
        if swept { disk::sync_dir(&own) } else { Ok(()) }
    }
}

fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    fs::canonicalize(path).map_err(|error| StoreError::io("open", path, error))
}
