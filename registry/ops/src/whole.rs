//! Files that are written as a whole or not at all, outside of the state directory.
//!
//! Owns how that is done: under another name in the same directory, flushed, renamed. A link is followed,
//! and a file that is there keeps its rights.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::OpsError;

/// Mode of a new file: everybody may read it.
const MODE: u32 = 0o644;

/// A file that is written and has not taken its place. Dropping it removes it.
#[derive(Debug)]
pub struct WholeFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl WholeFile {
    /// Writes `bytes` beside `path`. The mode is the one given, else that of the file which is there.
    pub fn beside(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<Self, OpsError> {
        write(path, bytes, mode).map_err(|error| OpsError::storage("write", path, error))
    }

    /// Puts it in its place.
    pub fn put(self) -> Result<(), OpsError> {
        let Self { file, target } = self;
        let failed = |error| OpsError::storage("write", &target, error);
        file.persist(&target).map_err(|error| failed(error.error))?;
        // The name is as durable as the content.
        File::open(folder_of(&target)).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// Writes a file whole or not at all; a new one is for everybody to read.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), OpsError> {
    WholeFile::beside(path, bytes, None)?.put()
}

fn write(path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<WholeFile> {
    let (target, found) = match fs::canonicalize(path) {
        Ok(target) => {
            let found = fs::metadata(&target)?.permissions().mode() & 0o777;
            (target, Some(found))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let mut file = NamedTempFile::new_in(folder_of(&target))?;
    file.as_file().set_permissions(Permissions::from_mode(mode.or(found).unwrap_or(MODE)))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(WholeFile { file, target })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn rights_are_kept_and_links_stay_links() {
        let dir = tempfile::tempdir().expect("dir");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        replace_file(&real, b"one").expect("made");
        assert_eq!(mode(&real), MODE);
        fs::set_permissions(&real, Permissions::from_mode(0o600)).expect("secret");
        std::os::unix::fs::symlink("real", &link).expect("a link");
        replace_file(&link, b"two").expect("replaced");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!((fs::read(&real).expect("read"), mode(&real)), (b"two".to_vec(), 0o600));
        WholeFile::beside(&real, b"three", Some(0o640)).expect("written").put().expect("put");
        assert_eq!((fs::read(&link).expect("read"), mode(&real)), (b"three".to_vec(), 0o640));
    }

    #[test]
    fn what_is_not_put_leaves_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("file");
        drop(WholeFile::beside(&path, b"x", None).expect("written"));
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 0);
        fs::create_dir(&path).expect("in the way");
        assert!(replace_file(&path, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1);
    }
}
