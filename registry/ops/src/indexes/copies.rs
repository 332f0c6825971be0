//! Copies of fetched indexes, for when an index does not answer or is not to be asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use eyas_artifact::Digest;
use eyas_store::Store;

use super::{IndexBook, IndexSource, LIMIT};
use crate::OpsError;

/// Largest note beside a copy that is read, in bytes.
const MAX_NOTE_BYTES: u64 = 4096;

/// A copy of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// When they were last known to be the newest.
    pub kept: SystemTime,
    /// What the other side calls this state, for asking whether there is a newer one.
    pub tag: Option<String>,
}

/// A directory of copies, or none, and what must not be lost with them.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    dir: Option<PathBuf>,
    manner: Manner,
    /// Where it is noted how new signed indexes were.
    pub(super) notes: Option<Store>,
}

/// When a copy is made, and when it counts.
#[derive(Debug, Clone, Default)]
enum Manner {
    /// Made whenever an index is fetched; it stands in for one that does not answer.
    #[default]
    StandIn,
    /// Made by command, for the indexes that were added from these addresses by name; it counts until
    /// it is made again.
    ByCommand(BTreeMap<String, String>),
}

impl Copies {
    /// Copies in `dir`, which is made when the first one is kept; none without a directory.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, ..Self::default() }
    }

    /// Copies in `dir` under the names of the indexes in `book`, made by command alone.
    pub fn by_command(dir: Option<PathBuf>, book: &IndexBook) -> Self {
        let added = book.iter().map(|added| (added.name.clone(), added.url.clone())).collect();
        Self { dir, manner: Manner::ByCommand(added), notes: None }
    }

    /// The same, noting in `store` when signed indexes were signed. A directory of copies is a cache, which
    /// may be cleared; what keeps older indexes out may not.
    #[must_use]
    pub fn remembering(self, store: Store) -> Self {
        Self { notes: Some(store), ..self }
    }

    /// Whether a copy is made whenever an index is fetched.
    pub(super) fn stand_in(&self) -> bool {
        matches!(self.manner, Manner::StandIn)
    }

    /// Keeps the bytes of an index, and the tag of their state. The copy is whole or not there.
    pub fn keep(
        &self,
        source: &IndexSource,
        bytes: &[u8],
        tag: Option<&str>,
    ) -> Result<(), OpsError> {
        let Some(path) = self.path(source) else { return Ok(()) };
        replace(&path, bytes)?;
        if !self.stand_in() {
            return Ok(());
        }
        // The note says which bytes it is about: one that does not fit them counts for nothing.
        let note = tag.map(|tag| format!("{} {tag}\n", Digest::sha256(bytes)));
        replace(&note_beside(&path), note.unwrap_or_default().as_bytes())
    }

    /// Notes that a copy is still the newest.
    pub fn confirm(&self, source: &IndexSource) -> Result<(), OpsError> {
        let Some(path) = self.path(source) else { return Ok(()) };
        fs::File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|error| OpsError::storage("touch the copy", &path, error))
    }

    /// The copy of an index.
    pub fn find(&self, source: &IndexSource) -> Result<Option<Copy>, OpsError> {
        let Some(path) = self.path(source) else { return Ok(None) };
        if let Manner::ByCommand(added) = &self.manner
            && added.get(&source.name) != Some(&source.address())
        {
            return Ok(None);
        }
        let failed = |error| OpsError::storage("read the copy", &path, error);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let kept = file.metadata().and_then(|found| found.modified()).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
        let tag = read_note(&note_beside(&path), &bytes);
        Ok(Some(Copy { bytes, kept, tag }))
    }

    /// Removes the copy of an index, if there is one.
    pub fn forget(&self, source: &IndexSource) -> Result<(), OpsError> {
        let Some(path) = self.path(source) else { return Ok(()) };
        // A note alone counts for nothing.
        let _ = fs::remove_file(note_beside(&path));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(OpsError::storage("remove the copy", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// The copy of another address is never taken for this one: the address is part of the name, or that of
    /// the list of added indexes.
    fn path(&self, source: &IndexSource) -> Option<PathBuf> {
        let name = match self.manner {
            Manner::StandIn => {
                format!("{}-{}.yaml", source.name, mark(source))
            }
            Manner::ByCommand(_) => format!("{}.yaml", source.name),
        };
        Some(self.dir.as_ref()?.join("indexes").join(name))
    }

    /// Where earlier versions noted the newest signing time of an index. A path counted as what it led to.
    pub(super) fn former_note(&self, source: &IndexSource) -> Option<PathBuf> {
        let absolute = source.clone().absolute();
        let name = format!("{}-{}.newest", source.name, mark(absolute.as_ref().unwrap_or(source)));
        Some(self.dir.as_ref()?.join("indexes").join(name))
    }
}

/// The address of an index as part of a file name.
fn mark(source: &IndexSource) -> String {
    Digest::sha256(source.address()).hex().chars().take(16).collect()
}

fn note_beside(path: &Path) -> PathBuf {
    path.with_extension("tag")
}

/// The tag of a note, if it is about these bytes.
fn read_note(path: &Path, bytes: &[u8]) -> Option<String> {
    let mut note = String::new();
    fs::File::open(path).ok()?.take(MAX_NOTE_BYTES).read_to_string(&mut note).ok()?;
    let (digest, tag) = note.trim_end().split_once(' ')?;
    (digest == Digest::sha256(bytes).to_string() && !tag.is_empty()).then(|| tag.to_owned())
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), OpsError> {
    let failed = |error| OpsError::storage("keep the copy", path, error);
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
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
        copies.keep(&one, b"- name: a\n", Some("\"v1\"")).expect("kept");
        let copy = copies.find(&one).expect("readable").expect("there");
        assert_eq!(copy.bytes, b"- name: a\n");
        assert_eq!(copy.tag.as_deref(), Some("\"v1\""));
        copies.confirm(&one).expect("noted");
        assert!(copies.find(&one).expect("readable").expect("there").kept >= copy.kept);
        assert!(copies.find(&source("https://i.example.org/2.yaml")).expect("readable").is_none());
        copies.forget(&one).expect("removed");
        assert!(copies.find(&one).expect("readable").is_none());
        copies.forget(&one).expect("again is fine");
    }

    #[test]
    fn copies_by_command_are_those_of_the_list() {
        let dir = tempfile::tempdir().expect("dir");
        let mut book = IndexBook::open(dir.path()).expect("empty");
        let one = source("https://i.example.org/1.yaml");
        let place = || Some(dir.path().to_owned());
        Copies::by_command(place(), &book).keep(&one, b"[]\n", None).expect("kept");
        assert!(dir.path().join("indexes/one.yaml").exists(), "under the name alone");
        assert!(Copies::by_command(place(), &book).find(&one).expect("readable").is_none());
        book.add(&one, "now").expect("added");
        let copies = Copies::by_command(place(), &book);
        assert!(copies.find(&one).expect("readable").is_some());
        let other = source("https://i.example.org/2.yaml");
        assert!(copies.find(&other).expect("readable").is_none(), "it has moved");
        assert!(!copies.stand_in() && Copies::default().stand_in());
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let copies = Copies::default();
        let one = source("https://i.example.org/1.yaml");
        copies.keep(&one, b"x", None).expect("ignored");
        assert!(copies.find(&one).expect("readable").is_none());
    }

    #[test]
    fn a_note_about_other_bytes_counts_for_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        let copies = Copies::new(Some(dir.path().to_owned()));
        let one = source("https://i.example.org/1.yaml");
        copies.keep(&one, b"old", Some("v1")).expect("kept");
        let path = copies.path(&one).expect("a place");
        fs::write(&path, b"new").expect("written");
        assert_eq!(copies.find(&one).expect("readable").expect("there").tag, None);
        copies.keep(&one, b"new", None).expect("kept");
        assert_eq!(copies.find(&one).expect("readable").expect("there").tag, None);
    }
}
