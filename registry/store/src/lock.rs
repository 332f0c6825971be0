//! One writer at a time.
//!
//! Owns the lock file. The kernel releases the lock when its holder ends, however it ends; the
//! number in the file is for the message alone. All that changes the store is a method of
//! [`LockedStore`], so that it cannot be called without the lock.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::disk::{self, FILE_MODE};
use crate::{Store, StoreError};

/// How often a waiting process asks again.
const POLL: Duration = Duration::from_millis(20);
/// Longest content of the lock file that is read: a process number.
const MAX_PID_BYTES: u64 = 32;

/// The store, with the right to change it. Clones share one lock, which is released with the last.
#[derive(Debug, Clone)]
pub struct LockedStore {
    store: Store,
    _lock: Arc<Held>,
}

/// A lock file that is held.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Held {
    /// Takes the lock, waiting for another holder for a while, and notes who we are.
    pub(crate) fn take(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let mut file = disk::change("open", path, || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(FILE_MODE)
                .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32)
                .open(path)
        })?;
        let deadline = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(POLL),
                Err(Errno::WOULDBLOCK) => {
                    let path = path.to_owned();
                    return Err(StoreError::Locked { path, pid: holder(&mut file) });
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(StoreError::io("lock", path, error.into())),
            }
        }
        let mut held = Self(file);
        disk::change("write", path, || {
            held.0.set_len(0)?;
            held.0.rewind()?;
            writeln!(held.0, "{}", std::process::id())
        })?;
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough: a child between fork and exec has the file open as well.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Store {
    /// Takes the lock, creates what is missing and finishes or undoes what a crash left.
    pub fn lock(&self) -> Result<LockedStore, StoreError> {
        self.lock_within(Duration::ZERO)
    }

    /// As [`Store::lock`], waiting for another writer for a while.
    pub fn lock_within(&self, patience: Duration) -> Result<LockedStore, StoreError> {
        disk::ensure_dir(self.paths.root())?;
        let held = Held::take(&self.paths.lock(), patience)?;
        let locked = LockedStore { store: self.clone(), _lock: Arc::new(held) };
        locked.prepare_layout()?;
        locked.recover()?;
        Ok(locked)
    }
}

impl Deref for LockedStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
