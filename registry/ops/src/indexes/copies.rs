//! Copies of fetched indexes, for when an index does not answer.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use eyas_artifact::Digest;

use super::{IndexSource, LIMIT};
use crate::OpsError;

/// A directory of copies, or none.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    dir: Option<PathBuf>,
}

impl Copies {
    /// Copies in `dir`, which is made when the first one is kept; none without a directory.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// Keeps the bytes of an index. The copy is whole or not there.
    pub fn keep(&self, source: &IndexSource, bytes: &[u8]) -> Result<(), OpsError> {
        let Some(path) = self.path(source) else { return Ok(()) };
        let failed = |error| OpsError::storage("keep the copy", &path, error);
        let dir = path.parent().unwrap_or(&path);
        fs::create_dir_all(dir).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The copy of an index and when it was kept.
    pub fn find(&self, source: &IndexSource) -> Result<Option<(Vec<u8>, SystemTime)>, OpsError> {
        let Some(path) = self.path(source) else { return Ok(None) };
        let failed = |error| OpsError::storage("read the copy", &path, error);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let kept = file.metadata().and_then(|found| found.modified()).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some((bytes, kept)))
    }

    /// Removes the copy of an index, if there is one.
    pub fn forget(&self, source: &IndexSource) -> Result<(), OpsError> {
        let Some(path) = self.path(source) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(OpsError::storage("remove the copy", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// The address is part of the name: the copy of another address is never taken for this one.
    fn path(&self, source: &IndexSource) -> Option<PathBuf> {
        let mark = Digest::sha256(source.address()).hex();
        let name = format!("{}-{}.yaml", source.name, &mark[..16]);
        Some(self.dir.as_ref()?.join("indexes").join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> IndexSource {
        IndexSource::parse("one", address).expect("valid")
    }

    #[test]
    fn a_copy_is_found_for_its_own_address_only() {
        let dir = tempfile::tempdir().expect("dir");
        let copies = Copies::new(Some(dir.path().to_owned()));
        let one = source("https://i.example.org/1.yaml");
        copies.keep(&one, b"- name: a\n").expect("kept");
        let (bytes, _) = copies.find(&one).expect("readable").expect("there");
        assert_eq!(bytes, b"- name: a\n");
        assert!(copies.find(&source("https://i.example.org/2.yaml")).expect("readable").is_none());
        copies.forget(&one).expect("removed");
        assert!(copies.find(&one).expect("readable").is_none());
        copies.forget(&one).expect("again is fine");
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let copies = Copies::default();
        let one = source("https://i.example.org/1.yaml");
        copies.keep(&one, b"x").expect("ignored");
        assert!(copies.find(&one).expect("readable").is_none());
    }
}
