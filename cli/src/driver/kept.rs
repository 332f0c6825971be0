//! Drivers that were fetched or built, kept for the next start of the host.
//!
//! Beside each file is its digest, written after the file was checked. A file without one, or with
//! another, is not used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use eyas_artifact::Digest;

use super::proof::{digest_of, parse_digest};

/// Mode of the directories, which nobody else has to read.
const FOLDER_MODE: u32 = 0o750;
/// Mode of the files.
const FILE_MODE: u32 = 0o644;

/// A new file beside the one that it will become. Dropped before it was kept, it is removed.
#[derive(Debug)]
pub(crate) struct New {
    target: PathBuf,
    path: PathBuf,
    file: File,
    kept: bool,
}

impl New {
    /// Begins a file that will be `target`.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        if let Some(folder) = target.parent() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        }
        let path = suffixed(target, &format!(".new-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        Ok(Self { target: target.to_owned(), path, file, kept: false })
    }

    /// Where it is until it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        use std::io::Seek as _;
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Makes it the target, with its digest beside it.
    pub(crate) fn keep(mut self, digest: Digest) -> io::Result<PathBuf> {
        self.file.sync_all()?;
        let sum = suffixed(&self.target, ".sha256");
        // Between the two steps the target has no digest, and is then not used.
        match fs::remove_file(&sum) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&self.path, &self.target)?;
        self.kept = true;
        fs::write(&sum, format!("{}\n", digest.hex()))?;
        Ok(self.target.clone())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is there, and is still what was checked.
pub(crate) fn is_intact(file: &Path) -> bool {
    let noted = fs::read_to_string(suffixed(file, ".sha256")).unwrap_or_default();
    let found = digest_of(file);
    matches!((parse_digest(noted.trim()), found), (Some(noted), Ok(found)) if noted == found)
}

fn suffixed(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_until_it_changes() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("a/b/falco.ko");
        let mut new = New::beside(&target).expect("a new file");
        new.write(b"wrong").expect("written");
        new.clear().expect("cleared");
        new.write(b"module").expect("written");
        assert!(!target.exists() && !is_intact(&target));
        new.keep(Digest::sha256(b"module")).expect("kept");
        assert_eq!(fs::read(&target).expect("content"), b"module");
        assert!(is_intact(&target));
        fs::write(&target, "modulf").expect("changed");
        assert!(!is_intact(&target));
        fs::write(&target, "module").expect("restored");
        fs::remove_file(suffixed(&target, ".sha256")).expect("removed");
        assert!(!is_intact(&target));
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("falco.ko");
        drop(New::beside(&target).expect("a new file"));
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
    }
}
