//! The list of indexes that were added by command, `indexes.yaml` beside the configuration.
//!
//! It is written by `index add` and `index remove` alone, whole or not at all; the configuration
//! file of the user is never touched.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::IndexSource;
use crate::OpsError;

/// Largest list that is read, in bytes.
const MAX_BOOK_BYTES: u64 = 1024 * 1024;

/// An index that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedIndex {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// How it is fetched.
    #[serde(default)]
    pub backend: String,
    /// When it was added, RFC 3339 UTC.
    #[serde(default)]
    pub added_timestamp: String,
    /// When it was last fetched by command, RFC 3339 UTC.
    #[serde(default)]
    pub updated_timestamp: String,
}

/// The list, as it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBook {
    /// None when there is no place to keep it.
    path: Option<PathBuf>,
    configs: Vec<AddedIndex>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    configs: Vec<AddedIndex>,
}

impl IndexBook {
    /// Reads the list in `dir`; an absent one is empty.
    pub fn open(dir: &Path) -> Result<Self, OpsError> {
        let path = dir.join("indexes.yaml");
        let failed = |error| OpsError::storage("read the list of indexes", &path, error);
        let mut text = String::new();
        match fs::File::open(&path) {
            Ok(file) => file.take(MAX_BOOK_BYTES).read_to_string(&mut text).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error)),
        };
        let configs = if text.trim().is_empty() {
            Vec::new()
        } else {
            let read: Result<Document, _> = serde_saphyr::from_str(&text);
            let document = read.map_err(|error| {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default().to_owned();
                OpsError::usage(
                    format!("list of indexes `{}` is not valid: {why}", path.display()),
                    Some("correct or remove the file; `eyas index add` writes it again"),
                )
            })?;
            document.configs
        };
        Ok(Self { path: Some(path), configs })
    }

    /// An empty list that cannot be kept, for a user without a home.
    pub fn nowhere() -> Self {
        Self { path: None, configs: Vec::new() }
    }

    /// The indexes, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &AddedIndex> {
        self.configs.iter()
    }

    /// The index of that name.
    pub fn find(&self, name: &str) -> Option<&AddedIndex> {
        self.configs.iter().find(|index| index.name == name)
    }

    /// Adds an index at the end.
    pub fn add(&mut self, source: &IndexSource, now: &str) -> Result<(), OpsError> {
        self.configs.push(AddedIndex {
            name: source.name.clone(),
            url: source.address(),
            backend: source.backend().to_owned(),
            added_timestamp: now.to_owned(),
            updated_timestamp: now.to_owned(),
        });
        self.write()
    }

    /// Notes that an index was fetched.
    pub fn touch(&mut self, name: &str, now: &str) -> Result<(), OpsError> {
        let Some(index) = self.configs.iter_mut().find(|index| index.name == name) else {
            return Ok(());
        };
        now.clone_into(&mut index.updated_timestamp);
        self.write()
    }

    /// Removes indexes; all of them must be there.
    pub fn remove(&mut self, names: &[String]) -> Result<(), OpsError> {
        if let Some(unknown) = names.iter().find(|name| self.find(name).is_none()) {
            return Err(OpsError::NoSuchIndex { name: unknown.clone() });
        }
        self.configs.retain(|index| !names.contains(&index.name));
        self.write()
    }

    fn write(&self) -> Result<(), OpsError> {
        let Some(path) = &self.path else {
            return Err(OpsError::usage(
                "there is no place for the list of indexes: `HOME` is not set",
                Some("set `HOME`, or list the index in the configuration file"),
            ));
        };
        let failed = |error| OpsError::storage("write the list of indexes", path, error);
        let document = Document { configs: self.configs.clone() };
        let text = serde_saphyr::to_string(&document)
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let dir = path.parent().unwrap_or(path);
        fs::create_dir_all(dir).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_after_opening_again() {
        let dir = tempfile::tempdir().expect("dir");
        let below = dir.path().join("conf");
        let mut book = IndexBook::open(&below).expect("empty");
        assert!(!below.exists(), "reading writes nothing");
        let source = IndexSource::parse("one", "https://i.example.org/i.yaml").expect("valid");
        book.add(&source, "2026-01-02T03:04:05Z").expect("added");
        book.touch("one", "2026-01-03T00:00:00Z").expect("noted");
        let again = IndexBook::open(&below).expect("readable");
        assert_eq!(again, book);
        let found = again.find("one").expect("there");
        assert_eq!(
            (found.backend.as_str(), found.url.as_str()),
            ("https", "https://i.example.org/i.yaml")
        );
        assert_eq!(found.updated_timestamp, "2026-01-03T00:00:00Z");
    }

    #[test]
    fn removing_an_unknown_one_removes_none() {
        let dir = tempfile::tempdir().expect("dir");
        let mut book = IndexBook::open(dir.path()).expect("empty");
        let source = IndexSource::parse("one", "https://i.example.org/i.yaml").expect("valid");
        book.add(&source, "now").expect("added");
        let said = book.remove(&["one".to_owned(), "two".to_owned()]).expect_err("unknown");
        assert!(matches!(said, OpsError::NoSuchIndex { name } if name == "two"));
        assert!(IndexBook::open(dir.path()).expect("readable").find("one").is_some());
        book.remove(&["one".to_owned()]).expect("removed");
        assert_eq!(IndexBook::open(dir.path()).expect("readable").iter().count(), 0);
    }

    #[test]
    fn a_broken_list_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("indexes.yaml"), "configs: [").expect("written");
        let said = IndexBook::open(dir.path()).expect_err("broken").to_string();
        assert!(said.contains("indexes.yaml"), "{said}");
    }
}
