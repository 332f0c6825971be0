//! Plain directories for programs that know nothing of generations.
//!
//! Owns the transaction that brings such a directory from one set of files to the next: new content
//! is staged inside the directory's own file system and flushed, a journal is written, files are
//! renamed into place one by one, and the record of ownership is replaced. A crash before the
//! journal undoes everything, after it the next run finishes everything; each single file is the
//! old or the new one at any moment. Files that no artifact owns are left alone.
//!
//! Its own files are in `<directory>/.eyas/`, which programs that list the directory pass over.

mod announce;
mod journal;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyas_artifact::{Generation, Kind};

pub use record::{OwnedFile, Ownership};

use crate::blobs::digest_of;
use crate::disk::{self, NewFile};
use crate::lock::Held;
use crate::{Store, StoreError};
use announce::Announcement;
use journal::{Journal, Operation};

/// Directory with our own files, inside the flat directory.
const OWN_DIRECTORY: &str = ".eyas";

/// What to do with a file that is in the way and that no artifact owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Foreign {
    /// Refuse the transaction, unless the content is the same.
    #[default]
    Refuse,
    /// Take it over and replace it.
    Replace,
}

/// A plain directory, held for changing.
#[derive(Debug)]
pub struct FlatDirectory {
    root: PathBuf,
    owner: String,
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
}

/// A transaction that is staged and not begun. Dropping it leaves the directory as it was.
#[derive(Debug)]
pub struct Prepared {
    directory: FlatDirectory,
    journal: Journal,
    report: FlatReport,
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
        disk::ensure_dir(&own)?;
        let lock = Held::take(&own.join("lock"), patience)?;
        let held = Self { root, owner: owner.to_string_lossy().into_owned(), _lock: lock };
        held.recover()?;
        Ok(held)
    }

    /// What is owned in the directory, by whom.
    pub fn ownership(&self) -> Result<Ownership, StoreError> {
        Ownership::read(&self.own().join(record::FILE))
    }

    /// Stages everything that must change so that the directory holds the files of `kinds` of a
    /// generation, and nothing else of this store's. Nothing is visible yet.
    pub fn prepare(
        self,
        store: &Store,
        generation: &Generation,
        kinds: &[Kind],
        foreign: Foreign,
    ) -> Result<Prepared, StoreError> {
        let wanted = self.wanted(store, generation, kinds)?;
        let before = self.ownership()?;
        let mut after = before.without(&self.owner);
        let mut plan = Planning { journal: Journal::default(), report: FlatReport::default() };
        for (path, file) in &wanted {
            let known = before.find(path);
            self.check_owner(path, file, known)?;
            plan.consider(&self, path, file, known, foreign)?;
            after.insert(path.clone(), file.record.clone());
        }
        for (path, _) in before.of(&self.owner).filter(|(path, _)| !wanted.contains_key(*path)) {
            plan.journal.operations.push(Operation::Remove { path: path.clone() });
            plan.report.removed.push(path.clone());
        }
        plan.journal.ownership = after;
        disk::sync_dir(&self.own())?;
        Ok(Prepared { directory: self, journal: plan.journal, report: plan.report })
    }

    fn own(&self) -> PathBuf {
        self.root.join(OWN_DIRECTORY)
    }

    /// The files a generation wants here; two artifacts cannot want one path.
    fn wanted(
        &self,
        store: &Store,
        generation: &Generation,
        kinds: &[Kind],
    ) -> Result<BTreeMap<String, Wanted>, StoreError> {
        let root = store.generation_dir(generation.number);
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for entry in generation.entries.iter().filter(|entry| kinds.contains(&entry.kind)) {
            for file in &entry.files {
                let source = root.join(entry.directory()).join(&file.path);
                let record = OwnedFile {
                    owner: self.owner.clone(),
                    kind: entry.kind,
                    artifact: entry.name.clone(),
                    digest: file.digest,
                    size: file.size,
                };
                self.check_path(&file.path)?;
                if let Some(other) = wanted.insert(file.path.clone(), Wanted { record, source }) {
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

    fn recover(&self) -> Result<(), StoreError> {
        if let Some(journal) = Journal::read(&self.own())? {
            return self.carry_out(&journal);
        }
        self.sweep()
    }

    /// Does what a journal says. Each step may have been done already.
    fn carry_out(&self, journal: &Journal) -> Result<(), StoreError> {
        let announcement = Announcement::of(journal, &self.root);
        let mut folders = BTreeSet::from([self.root.clone()]);
        for operation in &journal.operations {
            folders.extend(operation.run(&self.root, &self.own())?);
        }
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            disk::sync_dir(folder)?;
        }
        drop(announcement);
        journal.ownership.write(&self.own().join(record::FILE))?;
        Journal::remove(&self.own())?;
        self.sweep()
    }

    /// Removes staged content that nobody will use.
    fn sweep(&self) -> Result<(), StoreError> {
        for path in disk::list(&self.own())? {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(journal::STAGED.as_bytes())
                || name.starts_with(disk::TEMPORARY.as_bytes())
            {
                disk::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// What is being put together by [`FlatDirectory::prepare`].
struct Planning {
    journal: Journal,
    report: FlatReport,
}

impl Planning {
    fn consider(
        &mut self,
        directory: &FlatDirectory,
        path: &str,
        file: &Wanted,
        known: Option<&OwnedFile>,
        foreign: Foreign,
    ) -> Result<(), StoreError> {
        let target = directory.root.join(path);
        let found = look(&target)?;
        let report = &mut self.report;
        match (&found, known) {
            (Found::Directory, _) => return Err(directory.conflict(path, None)),
            (Found::Digest(digest), _) if *digest == file.record.digest => {
                report.unchanged += 1;
                if known.is_none() {
                    report.adopted.push(path.to_owned());
                }
                return Ok(());
            }
            (Found::Nothing, None) => report.written.push(path.to_owned()),
            (_, None) if foreign == Foreign::Refuse => {
                return Err(directory.conflict(path, None));
            }
            (_, None) => {
                report.adopted.push(path.to_owned());
                report.written.push(path.to_owned());
            }
            (Found::Digest(digest), Some(before)) if *digest == before.digest => {
                report.written.push(path.to_owned());
            }
            (_, Some(before)) if before.digest == file.record.digest => {
                report.repaired.push(path.to_owned());
            }
            (_, Some(_)) => {
                report.repaired.push(path.to_owned());
                report.written.push(path.to_owned());
            }
        }
        self.stage(directory, path, file)
    }

    /// Copies the content next to where it will be. Not a link: whoever edits the file in place must
    /// not edit the store.
    fn stage(
        &mut self,
        directory: &FlatDirectory,
        path: &str,
        file: &Wanted,
    ) -> Result<(), StoreError> {
        let staged = format!("{}{}", journal::STAGED, self.journal.operations.len());
        let mut copy = NewFile::create(directory.own().join(&staged))?;
        copy.fill_from(&mut disk::open(&file.source)?, &file.source)?;
        let found = copy.digest();
        if found != file.record.digest {
            return Err(StoreError::Damaged {
                path: file.source.clone(),
                why: format!("it has digest `{found}`, expected `{}`", file.record.digest),
            });
        }
        copy.keep()?;
        self.journal.operations.push(Operation::Put { path: path.to_owned(), staged });
        Ok(())
    }
}

impl Prepared {
    /// What the transaction will do.
    pub fn report(&self) -> &FlatReport {
        &self.report
    }

    /// Writes the journal and does it. After an error the next [`FlatDirectory::open`] finishes or
    /// undoes it.
    pub fn commit(self) -> Result<FlatReport, StoreError> {
        let Self { directory, journal, report } = self;
        if journal.operations.is_empty() && directory.ownership()? == journal.ownership {
            return Ok(report);
        }
        journal.write(&directory.own())?;
        directory.carry_out(&journal)?;
        Ok(report)
    }
}

/// What is at a path now.
enum Found {
    Nothing,
    /// A regular file with this content.
    Digest(eyas_artifact::Digest),
    /// A link or something stranger; replaced like a changed file.
    Other,
    Directory,
}

fn look(path: &Path) -> Result<Found, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Found::Directory),
        Ok(meta) if meta.is_file() => Ok(digest_of(path)?.map_or(Found::Nothing, Found::Digest)),
        Ok(_) => Ok(Found::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}

fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    fs::canonicalize(path).map_err(|error| StoreError::io("open", path, error))
}
