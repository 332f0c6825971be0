//! Guarding what is installed: files that were changed, deleted or added are put right.
//!
//! The first look hashes every file. Later ones only read the file system's own record of each file:
//! device, inode, size, mode, and the times of the last change of content and of record. Nobody can
//! write a file, replace it or set its times without the last of these moving, so all is hashed
//! again exactly when one has moved. What is remembered is one digest.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use eyas_artifact::Digest;
use eyas_store::{Finding, LockedStore, Store, StoreError};

use crate::OpsError;

/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 64;

/// Remembers how what is installed looked when it was last right.
#[derive(Debug, Default)]
pub struct Guard {
    right: Option<(u64, Digest)>,
    /// How often every file was hashed.
    hashed: u64,
}

impl Guard {
    /// A guard that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares what is installed with what was installed, and puts it right. Gives what was wrong.
    /// While somebody else is changing the store nothing is looked at.
    pub fn inspect(&mut self, store: &Store) -> Result<Vec<Finding>, OpsError> {
        let Some(generation) = store.current()? else {
            self.right = None;
            return Ok(Vec::new());
        };
        let root = store.generation_dir(generation.number);
        let now = (generation.number, print_of(&root));
        if self.right == Some(now) {
            return Ok(Vec::new());
        }
        self.hashed += 1;
        let findings = store.verify(&generation)?;
        if findings.is_empty() {
            // As it was before the hashing: a change meanwhile is seen at the next look.
            self.right = Some(now);
            return Ok(findings);
        }
        self.right = None;
        let repaired = match store.lock() {
            Ok(locked) => LockedStore::repair(&locked)?.repaired,
            Err(StoreError::Locked { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(repaired)
    }

    /// How often every file was hashed.
    pub fn hashed(&self) -> u64 {
        self.hashed
    }
}

/// One digest of everything below a directory that would move with a change.
fn print_of(root: &Path) -> Digest {
    let mut record = Vec::new();
    add(root, &mut record, 0);
    Digest::sha256(record)
}

fn add(path: &Path, record: &mut Vec<u8>, depth: usize) {
    record.extend_from_slice(path.as_os_str().as_encoded_bytes());
    record.push(0);
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return note(&error, record),
    };
    add_meta(&meta, record);
    if !meta.is_dir() || depth == MAX_DEPTH {
        return;
    }
    let mut below: Vec<_> = match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => return note(&error, record),
    };
    below.sort();
    for path in below {
        add(&path, record, depth + 1);
    }
}

fn add_meta(meta: &Metadata, record: &mut Vec<u8>) {
    let numbers = [
        meta.dev(),
        meta.ino(),
        meta.size(),
        u64::from(meta.mode()),
        meta.mtime() as u64,
        meta.mtime_nsec() as u64,
        meta.ctime() as u64,
        meta.ctime_nsec() as u64,
    ];
    for number in numbers {
        record.extend_from_slice(&number.to_ne_bytes());
    }
}

fn note(error: &io::Error, record: &mut Vec<u8>) {
    record.extend_from_slice(error.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn every_kind_of_change_moves_the_print() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("deep/a.yaml");
        fs::create_dir(dir.path().join("deep")).expect("made");
        fs::write(&file, "one").expect("written");
        let mut seen = std::collections::BTreeSet::from([print_of(dir.path())]);
        assert!(seen.contains(&print_of(dir.path())), "nothing moved it");
        let mut moved = |what: &str| assert!(seen.insert(print_of(dir.path())), "{what}");
        fs::write(&file, "two").expect("written");
        moved("content of the same length");
        let old = SystemTime::now() - Duration::from_hours(1);
        let opened = fs::File::options().write(true).open(&file).expect("opened");
        opened.set_modified(old).expect("time set");
        moved("a time that was set back");
        fs::write(dir.path().join("b.yaml"), "").expect("written");
        moved("a new file");
        fs::remove_file(&file).expect("removed");
        moved("a deleted file");
        fs::remove_dir_all(dir.path().join("deep")).expect("removed");
        moved("a deleted directory");
    }

    #[test]
    fn nothing_installed_is_nothing_wrong() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a store");
        let mut guard = Guard::new();
        assert!(guard.inspect(&store).expect("looked at").is_empty());
        assert_eq!(guard.hashed(), 0);
    }
}
