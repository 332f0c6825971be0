//! One directory's part of a transaction, between staging and the last flush.
//!
//! Owns the phases, which a set of directories goes through together: bind the journal, put what is
//! new, remove what is old, settle. Before the first rename everything can be taken back by dropping
//! [`Prepared`]; what fails after the last one is made good by the next to open the directory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::announce::Announcement;
use super::foreign::replaceable;
use super::journal::{self, Journal, Operation};
use super::{FlatDirectory, FlatReport, Foreign, OwnedFile, Ownership, Wanted, record};
use crate::StoreError;
use crate::blobs::digest_of;
use crate::disk::{self, FILE_MODE, NewFile};

/// Name of the staged record of ownership, beside the journal.
const STAGED_RECORD: &str = "new-owned.json";

/// A transaction that is staged and not begun. Dropping it leaves the directory as it was.
#[derive(Debug)]
pub struct Prepared {
    directory: FlatDirectory,
    journal: Journal,
    report: FlatReport,
    state: State,
    announcement: Option<Announcement>,
    folders: BTreeSet<PathBuf>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is nothing to do.
    Nothing,
    /// Everything can still be taken back.
    Prepared,
    /// Files have been changed: it is to be finished.
    Begun,
}

/// What is to be done; nothing is written yet.
#[derive(Debug)]
pub(super) struct Planning {
    foreign: Foreign,
    report: FlatReport,
    puts: Vec<(String, Wanted)>,
    removes: Vec<String>,
}

impl Planning {
    pub(super) fn new(foreign: Foreign) -> Self {
        Self { foreign, report: FlatReport::default(), puts: Vec::new(), removes: Vec::new() }
    }

    /// Settles what becomes of one path.
    pub(super) fn consider(
        &mut self,
        directory: &FlatDirectory,
        path: &str,
        file: Wanted,
        known: Option<&OwnedFile>,
    ) -> Result<(), StoreError> {
        let found = look(&directory.root.join(path))?;
        let report = &mut self.report;
        let wanted = file.record.digest;
        match (&found, known) {
            (Found::Directory, _) => return Err(directory.conflict(path, None)),
            (Found::File { digest, mode }, _) if *digest == wanted => {
                if known.is_none() {
                    report.adopted.push(path.to_owned());
                }
                if *mode == FILE_MODE {
                    report.unchanged += 1;
                    return Ok(());
                }
                report.repaired.push(path.to_owned());
            }
            (Found::Nothing, None) => report.written.push(path.to_owned()),
            (_, None) => {
                self.check_foreign(directory, path, &file, &found)?;
                self.report.adopted.push(path.to_owned());
                self.report.written.push(path.to_owned());
            }
            (Found::File { digest, .. }, Some(before)) if *digest == before.digest => {
                report.written.push(path.to_owned());
            }
            (_, Some(before)) if before.digest == wanted => report.repaired.push(path.to_owned()),
            (_, Some(_)) => {
                report.repaired.push(path.to_owned());
                report.written.push(path.to_owned());
            }
        }
        self.puts.push((path.to_owned(), file));
        Ok(())
    }

    /// Refuses to replace what is not of the same kind.
    fn check_foreign(
        &self,
        directory: &FlatDirectory,
        path: &str,
        file: &Wanted,
        found: &Found,
    ) -> Result<(), StoreError> {
        let allowed = match (self.foreign, found) {
            (Foreign::Replace, _) => true,
            (Foreign::SameKind, Found::File { .. }) => {
                replaceable(&directory.root.join(path), file.record.kind, file.before)?
            }
            _ => false,
        };
        if allowed { Ok(()) } else { Err(directory.conflict(path, None)) }
    }

    /// A file of an older version, or of an artifact that is gone.
    pub(super) fn remove(&mut self, path: &str) {
        self.report.removed.push(path.to_owned());
        self.removes.push(path.to_owned());
    }
}

impl Prepared {
    /// Stages what was planned.
    pub(super) fn stage(
        directory: FlatDirectory,
        plan: Planning,
        after: Ownership,
        generation: u64,
    ) -> Result<Self, StoreError> {
        let Planning { report, mut puts, removes, .. } = plan;
        let journal = Journal {
            owner: directory.owner.clone(),
            generation,
            operations: Vec::new(),
            ownership: after,
        };
        let mut prepared = Self {
            directory,
            journal,
            report,
            state: State::Nothing,
            announcement: None,
            folders: BTreeSet::new(),
        };
        let directory = &prepared.directory;
        if puts.is_empty()
            && removes.is_empty()
            && directory.ownership()? == prepared.journal.ownership
        {
            return Ok(prepared);
        }
        let own = directory.own();
        disk::check_space(&own, puts.iter().map(|(_, file)| file.record.size).sum())?;
        // From here on dropping it removes what was staged.
        prepared.state = State::Prepared;
        puts.sort_by(|(a, one), (b, other)| {
            let rank = |file: &Wanted| journal::rank(file.record.kind);
            (rank(one), a).cmp(&(rank(other), b))
        });
        for (number, (path, file)) in puts.into_iter().enumerate() {
            let staged = format!("{}{number}", journal::STAGED);
            copy(&file, own.join(&staged))?;
            prepared.journal.operations.push(Operation::Put { path, staged });
        }
        let removes = removes.into_iter().map(|path| Operation::Remove { path });
        prepared.journal.operations.extend(removes);
        prepared.journal.ownership.write(&own.join(STAGED_RECORD))?;
        // Flushes the directory with all that was staged in it.
        prepared.journal.write(&own)?;
        Ok(prepared)
    }

    /// What the transaction will do.
    pub fn report(&self) -> &FlatReport {
        &self.report
    }

    /// Where.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whether the directory is as it should be.
    pub(super) fn is_nothing(&self) -> bool {
        self.state == State::Nothing
    }

    /// Paths that will have content of an artifact, below the directory.
    pub(super) fn claimed(&self) -> impl Iterator<Item = PathBuf> {
        let owned = self.journal.ownership.of(&self.directory.owner);
        owned.map(|(path, _)| self.directory.root.join(path))
    }

    /// Does it. After an error the next [`FlatDirectory::open`] finishes or undoes it.
    pub fn commit(mut self) -> Result<FlatReport, StoreError> {
        self.bind()?;
        self.put()?;
        self.remove()?;
        self.settle()?;
        Ok(std::mem::take(&mut self.report))
    }

    pub(super) fn bind(&mut self) -> Result<(), StoreError> {
        if self.is_nothing() { Ok(()) } else { Journal::bind(&self.directory.own()) }
    }

    pub(super) fn put(&mut self) -> Result<(), StoreError> {
        self.announcement = Some(Announcement::of(&self.journal, &self.directory.root));
        self.run(true)
    }

    pub(super) fn remove(&mut self) -> Result<(), StoreError> {
        self.run(false)
    }

    fn run(&mut self, puts: bool) -> Result<(), StoreError> {
        let Self { journal, directory, folders, state, .. } = self;
        for operation in journal.operations.iter().filter(|one| one.is_put() == puts) {
            folders.extend(operation.run(&directory.root, &directory.own())?);
            *state = State::Begun;
        }
        Ok(())
    }

    /// Makes it durable and wakes whoever watches. All files are in place by now.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        if self.is_nothing() {
            return Ok(());
        }
        self.state = State::Begun;
        flush(&self.directory.root, std::mem::take(&mut self.folders))?;
        drop(self.announcement.take());
        finish(&self.directory, &self.journal)
    }

    /// What was done.
    pub(super) fn into_report(mut self) -> (PathBuf, FlatReport) {
        (self.directory.root.clone(), std::mem::take(&mut self.report))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if self.state == State::Prepared {
            // Best effort: the next to open the directory does the same.
            let _ = Journal::remove(&self.directory.own());
            let _ = self.directory.sweep();
        }
    }
}

/// Does what a journal says. Each step may have been done already.
pub(super) fn carry_out(directory: &FlatDirectory, journal: &Journal) -> Result<(), StoreError> {
    let announcement = Announcement::of(journal, &directory.root);
    let mut folders = BTreeSet::new();
    for operation in &journal.operations {
        folders.extend(operation.run(&directory.root, &directory.own())?);
    }
    flush(&directory.root, folders)?;
    drop(announcement);
    finish(directory, journal)
}

fn flush(root: &Path, mut folders: BTreeSet<PathBuf>) -> Result<(), StoreError> {
    folders.insert(root.to_owned());
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        disk::sync_dir(folder)?;
    }
    Ok(())
}

/// The record of ownership takes its place, and the journal goes.
fn finish(directory: &FlatDirectory, journal: &Journal) -> Result<(), StoreError> {
    let own = directory.own();
    let (staged, record) = (own.join(STAGED_RECORD), own.join(record::FILE));
    if fs::symlink_metadata(&staged).is_ok() {
        disk::rename(&staged, &record)?;
        disk::sync_dir(&own)?;
    } else if directory.ownership()? != journal.ownership {
        journal.ownership.write(&record)?;
    }
    Journal::remove(&own)?;
    directory.sweep()
}

/// Copies the content next to where it will be. Not a link: whoever edits the file in place must not
/// edit the store.
fn copy(file: &Wanted, to: PathBuf) -> Result<(), StoreError> {
    let mut source = disk::open(&file.source)?;
    let mut copy = NewFile::create(to)?;
    let damaged = |why: String| StoreError::Damaged { path: file.source.clone(), why };
    if file.fresh {
        copy.clone_from(&source, &file.source)?;
        let (found, size) = (copy.written(), file.record.size);
        if found != size {
            return Err(damaged(format!("it has {found} bytes, expected {size}")));
        }
    } else {
        copy.fill_from(&mut source, &file.source)?;
        let found = copy.digest();
        if found != file.record.digest {
            return Err(damaged(format!(
                "it has digest `{found}`, expected `{}`",
                file.record.digest
            )));
        }
    }
    copy.keep()
}

/// What is at a path now.
enum Found {
    Nothing,
    /// A regular file.
    File {
        digest: eyas_artifact::Digest,
        mode: u32,
    },
    /// A link or something stranger; replaced like a changed file.
    Other,
    Directory,
}

fn look(path: &Path) -> Result<Found, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Found::Directory),
        Ok(meta) if meta.is_file() => {
            let mode = meta.permissions().mode() & 0o7777;
            Ok(digest_of(path)?.map_or(Found::Nothing, |digest| Found::File { digest, mode }))
        }
        Ok(_) => Ok(Found::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}
