//! The state files of `falcoctl`: which digest a reference was installed at last.
//!
//! Owns their place, `<state>/.falcoctl/artifact-state/<SHA-256 of the reference>.json`, and their form.
//! They are written for whoever goes back to that program, and read to know what it installed; the
//! truth about what is installed is the store's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use eyas_artifact::Digest;
use serde::{Deserialize, Serialize};

use crate::OpsError;

/// Largest state file that is read, in bytes.
const MAX_RECEIPT_BYTES: u64 = 64 * 1024;
/// Most state files that are looked at.
const MAX_RECEIPTS: usize = 4096;
/// Mode of the directories, which are their owner's alone.
const DIRECTORY_MODE: u32 = 0o700;

/// What was installed at last under a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The reference, with its tag or digest.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Digest of the manifest or image index that it was.
    pub digest: String,
    /// When, RFC 3339 UTC.
    #[serde(rename = "updatedAt")]
    pub updated_at: String,
}

/// The state files below one state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    dir: PathBuf,
}

impl Receipts {
    /// The state files below `state`; nothing is made before one is written.
    pub fn below(state: &Path) -> Self {
        Self { dir: state.join(".falcoctl/artifact-state") }
    }

    /// What was installed at last under `reference`. A file that cannot be read, is cut off or is about
    /// something else says nothing.
    pub fn find(&self, reference: &str) -> Option<Receipt> {
        read(&self.path(reference)).filter(|receipt| receipt.reference == reference)
    }

    /// All references that something was installed under, of at most as many as one store may hold.
    pub fn references(&self) -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return BTreeSet::new() };
        let read = |entry: std::io::Result<fs::DirEntry>| read(&entry.ok()?.path());
        entries.take(MAX_RECEIPTS).filter_map(read).map(|receipt| receipt.reference).collect()
    }

    /// Writes a state file, whole or not at all. One that says the same already stays as it is.
    pub fn write(&self, receipt: &Receipt) -> Result<(), OpsError> {
        if self.find(&receipt.reference).is_some_and(|known| known.digest == receipt.digest) {
            return Ok(());
        }
        let path = self.path(&receipt.reference);
        let failed = |error| OpsError::storage("write the state file", &path, error);
        let text = serde_json::to_vec(receipt).map_err(|error| failed(error.into()))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.dir)
            .map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Removes the state file of a reference, if there is one.
    pub fn forget(&self, reference: &str) -> Result<(), OpsError> {
        let path = self.path(reference);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(OpsError::storage("remove the state file", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, reference: &str) -> PathBuf {
        self.dir.join(format!("{}.json", Digest::sha256(reference).hex()))
    }
}

fn read(path: &Path) -> Option<Receipt> {
    let mut text = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MAX_RECEIPT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const REFERENCE: &str = "registry.example.org/team/demo-rules:1";

    fn receipt(digest: &str) -> Receipt {
        Receipt {
            reference: REFERENCE.to_owned(),
            digest: digest.to_owned(),
            updated_at: "2026-01-02T03:04:05Z".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_found_under_its_reference() {
        let state = tempfile::tempdir().expect("dir");
        let receipts = Receipts::below(state.path());
        assert_eq!(receipts.find(REFERENCE), None);
        receipts.write(&receipt("sha256:0f")).expect("written");
        assert_eq!(receipts.find(REFERENCE), Some(receipt("sha256:0f")));
        assert_eq!(receipts.find("registry.example.org/team/demo-rules:2"), None);
        assert_eq!(receipts.references(), BTreeSet::from([REFERENCE.to_owned()]));
        receipts.forget(REFERENCE).expect("removed");
        receipts.forget(REFERENCE).expect("again is fine");
        assert_eq!(receipts.find(REFERENCE), None);
    }

    #[test]
    fn the_file_is_where_and_what_it_always_was() {
        let state = tempfile::tempdir().expect("dir");
        let receipts = Receipts::below(state.path());
        receipts.write(&receipt("sha256:0f")).expect("written");
        // printf '%s' registry.example.org/team/demo-rules:1 | sha256sum
        let name = "84e7b4705d91d4c37b29ef9feb8f82eb9191a9f034c9ec1413c164c41388a582";
        let dir = state.path().join(".falcoctl/artifact-state");
        let path = dir.join(format!("{name}.json"));
        let text = fs::read_to_string(&path).expect("there");
        let expected = format!(
            "{{\"ref\":\"{REFERENCE}\",\"digest\":\"sha256:0f\",\"updatedAt\":\"2026-01-02T03:04:05Z\"}}"
        );
        assert_eq!(text, expected);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir)), (0o600, 0o700));
    }

    #[test]
    fn the_same_again_is_not_written() {
        let state = tempfile::tempdir().expect("dir");
        let receipts = Receipts::below(state.path());
        receipts.write(&receipt("sha256:0f")).expect("written");
        let later =
            Receipt { updated_at: "2026-01-03T00:00:00Z".to_owned(), ..receipt("sha256:0f") };
        receipts.write(&later).expect("nothing to do");
        assert_eq!(receipts.find(REFERENCE), Some(receipt("sha256:0f")));
        receipts
            .write(&Receipt { digest: "sha256:1f".to_owned(), ..later.clone() })
            .expect("written");
        assert_eq!(receipts.find(REFERENCE).expect("there").updated_at, later.updated_at);
    }

    #[test]
    fn a_broken_file_says_nothing() {
        let state = tempfile::tempdir().expect("dir");
        let receipts = Receipts::below(state.path());
        receipts.write(&receipt("sha256:0f")).expect("written");
        fs::write(receipts.path(REFERENCE), "{\"ref\":").expect("cut off");
        assert_eq!(receipts.find(REFERENCE), None);
        receipts.write(&receipt("sha256:0f")).expect("written again");
        assert_eq!(receipts.find(REFERENCE), Some(receipt("sha256:0f")));
    }
}
