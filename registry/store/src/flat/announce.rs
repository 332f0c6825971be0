//! Waking programs that watch a plain directory.
//!
//! Owns the two signs that a rename alone does not give. A watch on a file stays with the old
//! content when another file is renamed over it: we hold the old one open for writing and close it
//! when all is in place, which such a watch takes for the end of a write. A watch on a directory for
//! creations and deletions does not hear renames: a directory is made in it and removed again.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::journal::{Journal, Operation};

/// Name of the directory that comes and goes.
const MARKER: &str = ".eyas-changed";

/// Watchers that will hear of a transaction when this is dropped.
#[derive(Debug)]
pub(super) struct Announcement {
    /// What is about to be replaced; closing it is the sign.
    _replaced: Vec<File>,
    directories: BTreeSet<PathBuf>,
}

impl Announcement {
    /// To be called before the first step of a transaction. Nothing here can fail it.
    pub(super) fn of(journal: &Journal, root: &Path) -> Self {
        let mut replaced = Vec::new();
        let mut directories = BTreeSet::new();
        for operation in &journal.operations {
            let (Operation::Put { path, .. } | Operation::Remove { path }) = operation;
            let target = root.join(path);
            directories.extend(target.parent().map(Path::to_owned));
            // Neither truncated nor written to.
            let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened =
                OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(&target);
            replaced.extend(opened);
        }
        Self { _replaced: replaced, directories }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        for directory in &self.directories {
            let marker = directory.join(MARKER);
            if fs::create_dir(&marker).is_ok() {
                let _ = fs::remove_dir(&marker);
            }
        }
    }
}
