//! A file that is being written.
//!
//! Owns its temporary name: dropped before it was kept, the file is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use eyas_artifact::{Digest, Hasher};
use eyas_oci::Digesting;
use rustix::fs::{Advice, FlockOperation, OFlags, copy_file_range, flock};

use super::{FILE_MODE, change, rename};
use crate::StoreError;

/// Bytes copied at a time; memory does not grow with the file.
const COPY_BYTES: usize = 128 * 1024;
/// Most bytes that the kernel copies in one call, so that a signal is not kept waiting.
const CLONE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes after which the disk is asked to begin writing.
const HAND_OVER_BYTES: u64 = 8 * 1024 * 1024;

/// A new file, hashed while it is written.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: File,
    digesting: Digesting,
    written: u64,
    handed_over: u64,
    keep: bool,
}

impl NewFile {
    /// Creates a file that must not exist.
    pub(crate) fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file = change("create", &path, || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32)
                .open(&path)
        })?;
        let new = Self {
            path,
            file,
            digesting: Digesting::new(),
            written: 0,
            handed_over: 0,
            keep: false,
        };
        // Whatever the process's mask is, readers of the store must be able to read.
        change("set the mode of", &new.path, || {
            new.file.set_permissions(fs::Permissions::from_mode(FILE_MODE))
        })?;
        Ok(new)
    }

    /// Goes on with a file that another process has left; what is there goes through `hasher` too.
    /// A new one where there is none, or where it has more than `limit` bytes. Whoever has it holds
    /// a lock on it; `None` while that is somebody else.
    pub(crate) fn resume(
        path: PathBuf,
        limit: u64,
        hasher: &mut Hasher,
    ) -> Result<Option<Self>, StoreError> {
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
        let Ok(mut file) = opened else {
            super::remove_file(&path)?;
            return Ok(Self::create(path)?.held());
        };
        if !hold(&file, &path) {
            return Ok(None);
        }
        let mut kept = 0;
        let mut buffer = vec![0; COPY_BYTES];
        while let Ok(count @ 1..) = file.read(&mut buffer) {
            kept += count as u64;
            hasher.update(&buffer[..count]);
        }
        let whole = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == kept);
        if !whole || kept > limit {
            *hasher = Hasher::new();
            super::remove_file(&path)?;
            return Ok(Self::create(path)?.held());
        }
        let digesting = Digesting::after(hasher.clone());
        Ok(Some(Self { path, file, digesting, written: kept, handed_over: kept, keep: false }))
    }

    /// The same with its lock, unless somebody was faster, to whom it is left.
    fn held(mut self) -> Option<Self> {
        if hold(&self.file, &self.path) {
            return Some(self);
        }
        self.abandon();
        None
    }

    /// Lets the file stay under the name it has, whatever is in it.
    pub(crate) fn abandon(&mut self) {
        self.keep = true;
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        change("write", &self.path, || self.file.write_all(bytes))?;
        self.digesting.update(bytes);
        self.written += bytes.len() as u64;
        if self.written - self.handed_over >= HAND_OVER_BYTES {
            // Lets the disk begin now, so that the flush at the end has little left. A hint: failing costs time only.
            let window = std::num::NonZeroU64::new(self.written - self.handed_over);
            let _ = rustix::fs::fadvise(&self.file, self.handed_over, window, Advice::DontNeed);
            self.handed_over = self.written;
        }
        Ok(())
    }

    /// Appends all that a reader gives; `from` is named when reading fails.
    pub(crate) fn fill_from(
        &mut self,
        reader: &mut impl Read,
        from: &Path,
    ) -> Result<(), StoreError> {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.write(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", from, error)),
            }
        }
    }

    /// Appends all of a file whose content is known, without hashing it: [`NewFile::digest`] knows
    /// nothing of it. The kernel shares the blocks where it can.
    pub(crate) fn clone_from(&mut self, source: &File, from: &Path) -> Result<(), StoreError> {
        loop {
            let copied = change("write", &self.path, || {
                copy_file_range(source, None, &self.file, None, CLONE_BYTES)
                    .map_err(io::Error::from)
            });
            match copied {
                Ok(0) => return Ok(()),
                Ok(count) => self.written += count as u64,
                // Not between these two file systems.
                Err(StoreError::Io { .. } | StoreError::Denied { .. }) if self.written == 0 => {
                    return self.fill_from(&mut &*source, from);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Empties the file, to start again.
    pub(crate) fn restart(&mut self) -> Result<(), StoreError> {
        change("truncate", &self.path, || {
            self.file.set_len(0)?;
            io::Seek::rewind(&mut self.file)
        })?;
        self.digesting = Digesting::new();
        self.written = 0;
        self.handed_over = 0;
        Ok(())
    }

    /// The name it has now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Digest of the bytes written so far.
    pub(crate) fn digest(&mut self) -> Digest {
        self.digesting.digest()
    }

    /// Keeps the file under the name it has, where nobody looks before all is flushed.
    pub(crate) fn leave(mut self) {
        self.keep = true;
    }

    /// Flushes the file and keeps it under the name it has.
    pub(crate) fn keep(mut self) -> Result<(), StoreError> {
        change("flush", &self.path, || self.file.sync_all())?;
        self.keep = true;
        Ok(())
    }

    /// Flushes the file and gives it its final name. Durable once the directory is flushed.
    pub(crate) fn persist(mut self, to: &Path) -> Result<(), StoreError> {
        change("flush", &self.path, || self.file.sync_all())?;
        rename(&self.path, to)?;
        self.keep = true;
        Ok(())
    }
}

/// Takes the lock of a file that several processes may want to continue, if nobody has it, and if the
/// file still has its name: whoever had it may have given it its final one meanwhile.
pub(crate) fn hold(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = || {
        let (own, named) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
        Some((own.dev(), own.ino()) == (named.dev(), named.ino()))
    };
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() && same() == Some(true)
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: recovery removes it as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}
