//! Whether installed files are what was installed, and putting them right.
//!
//! Owns the comparison of a generation's directory with its lock file. Repair unpacks the archive
//! from the content store again; it fetches nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use eyas_artifact::{Entry, Generation, Kind};

use crate::extract::{ExtractLimits, unpack};
use crate::seen::Seen;
use crate::stage::Scratch;
use crate::{LockedStore, Store, StoreError, disk};

/// Files up to this size are hashed when they are carried to a new generation; of larger ones only
/// type, size and mode are looked at. `verify` hashes all.
const QUICK_HASH_BYTES: u64 = 8 * 1024 * 1024;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has other content, or is not a regular file.
    Changed,
    /// It has another mode.
    Mode,
    /// It is there and belongs to nobody.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Mode => "readable or writable by others than it should be",
            Self::Unknown => "left behind or not recorded",
        })
    }
}

/// A file that is not as it was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Kind of the artifact.
    pub kind: Kind,
    /// Name of the artifact.
    pub name: String,
    /// Where the file is, or was.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// What was found, all of it put right.
    pub repaired: Vec<Finding>,
}

impl Store {
    /// Compares every file of a generation with its lock file.
    pub fn verify(&self, generation: &Generation) -> Result<Vec<Finding>, StoreError> {
        self.verify_again(generation, &mut Seen::default())
    }

    /// As [`Store::verify`], not hashing what was seen before and has not been touched since.
    pub fn verify_again(
        &self,
        generation: &Generation,
        seen: &mut Seen,
    ) -> Result<Vec<Finding>, StoreError> {
        let root = self.generation_dir(generation.number);
        let mut findings = Vec::new();
        for entry in &generation.entries {
            let directory = root.join(entry.directory());
            let mut expected = BTreeSet::new();
            for file in &entry.files {
                let path = directory.join(&file.path);
                if let Some(fault) = examine(&path, file, u64::MAX, seen)? {
                    findings.push(finding(entry, path.clone(), fault));
                }
                expected.insert(path);
            }
            for path in files_below(&directory)? {
                if !expected.contains(&path) {
                    findings.push(finding(entry, path, Fault::Unknown));
                }
            }
        }
        Ok(findings)
    }
}

impl LockedStore {
    /// Restores the files of the active generation that were changed, deleted or added.
    pub fn repair(&self) -> Result<RepairReport, StoreError> {
        match self.current()? {
            Some(generation) => self.repair_generation(&generation),
            None => Ok(RepairReport::default()),
        }
    }

    /// Restores one generation. Each artifact's directory is replaced as a whole.
    pub fn repair_generation(&self, generation: &Generation) -> Result<RepairReport, StoreError> {
        let repaired = self.verify(generation)?;
        let root = self.generation_dir(generation.number);
        for entry in &generation.entries {
            let touched =
                repaired.iter().any(|one| (one.kind, &one.name) == (entry.kind, &entry.name));
            if touched {
                let restored = self.restore(entry)?;
                self.exchange(restored, &root.join(entry.directory()))?;
            }
        }
        Ok(RepairReport { repaired })
    }

    /// Unpacks an installed artifact again; the files must come out as they were recorded.
    pub(crate) fn restore(&self, entry: &Entry) -> Result<Scratch, StoreError> {
        let layer = self.paths.blob(&entry.layer_digest);
        match self.blob_digest(&entry.layer_digest)? {
            Some(found) if found == entry.layer_digest => {}
            Some(found) => {
                return Err(StoreError::DigestMismatch { expected: entry.layer_digest, found });
            }
            None => {
                return Err(StoreError::Damaged {
                    path: layer,
                    why: format!("the archive of `{}` is missing", entry.name),
                });
            }
        }
        let directory = Scratch::create(self)?;
        // It was within the limits of its time when it was installed.
        let limits =
            ExtractLimits { max_entries: u64::MAX, max_bytes: u64::MAX, max_ratio: u64::MAX };
        let files = unpack(&entry.name, &layer, directory.path(), &limits)?;
        if files != entry.files {
            return Err(StoreError::Damaged {
                path: layer,
                why: format!("it no longer gives the recorded files of `{}`", entry.name),
            });
        }
        disk::flush_tree(directory.path())?;
        Ok(directory)
    }

    /// Puts a restored directory in the place of a damaged one, in one step where the kernel can.
    fn exchange(&self, restored: Scratch, target: &Path) -> Result<(), StoreError> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};

        if let Some(parent) = target.parent() {
            disk::ensure_dir(parent)?;
        }
        let swapped = disk::change("replace", target, || {
            renameat_with(CWD, restored.path(), CWD, target, RenameFlags::EXCHANGE)
                .map_err(io::Error::from)
        });
        if swapped.is_err() {
            if fs::symlink_metadata(target).is_ok() {
                let trash = disk::temporary_in(&self.paths.generations(), disk::TRASH);
                disk::rename(target, &trash)?;
            }
            disk::rename(restored.path(), target)?;
            restored.moved();
        }
        // After a swap what was damaged is in the scratch directory, and goes away with it.
        if let Some(parent) = target.parent() {
            disk::sync_dir(parent)?;
        }
        Ok(())
    }
}

/// Whether an artifact's files may be carried to a new generation.
pub(crate) fn quick_check(entry: &Entry, directory: &Path) -> Result<bool, StoreError> {
    for file in &entry.files {
        if examine(&directory.join(&file.path), file, QUICK_HASH_BYTES, &mut Seen::default())?
            .is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares one file; its content only when it has at most `hash_up_to` bytes.
pub(crate) fn examine(
    path: &Path,
    expected: &eyas_artifact::InstalledFile,
    hash_up_to: u64,
    seen: &mut Seen,
) -> Result<Option<Fault>, StoreError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Some(Fault::Missing));
        }
        Err(error) => return Err(StoreError::io("read", path, error)),
    };
    if !meta.is_file() || meta.len() != expected.size {
        return Ok(Some(Fault::Changed));
    }
    if expected.size <= hash_up_to && seen.digest_of(path, &meta)? != Some(expected.digest) {
        return Ok(Some(Fault::Changed));
    }
    if meta.permissions().mode() & 0o7777 != expected.mode {
        return Ok(Some(Fault::Mode));
    }
    Ok(None)
}

fn finding(entry: &Entry, path: PathBuf, fault: Fault) -> Finding {
    Finding { kind: entry.kind, name: entry.name.clone(), path, fault }
}

/// Everything below a directory that is not a directory.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for path in disk::list(directory)? {
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
