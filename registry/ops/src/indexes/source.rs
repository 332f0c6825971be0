//! One index: its name, its address, and how its bytes are had.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use eyas_index::Index;
use eyas_oci::Client;
use url::Url;

use super::LIMIT;
use crate::OpsError;

/// Longest name of an index, in bytes.
pub const MAX_INDEX_NAME_BYTES: usize = 64;

/// An index that is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSource {
    /// What it is called in messages and listings.
    pub name: String,
    /// Where it is.
    pub location: IndexLocation,
}

/// Where an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexLocation {
    /// At an `http` or `https` address.
    Web(Url),
    /// In a file.
    File(PathBuf),
}

impl IndexSource {
    /// Reads an address: `https://…`, `http://…`, `file://…` or a path.
    pub fn parse(name: &str, address: &str) -> Result<Self, OpsError> {
        check_index_name(name)?;
        let location = if address.contains("://") {
            from_url(address)?
        } else {
            IndexLocation::File(PathBuf::from(address))
        };
        Ok(Self { name: name.to_owned(), location })
    }

    /// The address as text.
    pub fn address(&self) -> String {
        match &self.location {
            IndexLocation::Web(url) => url.to_string(),
            IndexLocation::File(path) if path.is_absolute() => format!("file://{}", path.display()),
            IndexLocation::File(path) => path.display().to_string(),
        }
    }

    /// Name of the way it is fetched: `https`, `http` or `file`.
    pub fn backend(&self) -> &str {
        match &self.location {
            IndexLocation::Web(url) => url.scheme(),
            IndexLocation::File(_) => "file",
        }
    }

    /// The same with a path that means the same from everywhere.
    pub fn absolute(self) -> Result<Self, OpsError> {
        let Self { name, location } = self;
        let location = match location {
            IndexLocation::File(path) => IndexLocation::File(
                path.canonicalize().map_err(|error| OpsError::input(&path, error))?,
            ),
            web @ IndexLocation::Web(_) => web,
        };
        Ok(Self { name, location })
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.location, IndexLocation::File(_))
    }

    /// The bytes of the index, of bounded size.
    pub(super) async fn fetch(&self, client: &Client) -> Result<Vec<u8>, OpsError> {
        match &self.location {
            IndexLocation::File(path) => self.read(path),
            IndexLocation::Web(url) => client
                .document(url, LIMIT)
                .await
                .map_err(|source| OpsError::IndexFetch { name: self.name.clone(), source }),
        }
    }

    /// Reads the bytes of the index; what is wrong with them is told with its address.
    pub(super) fn read_index(&self, bytes: &[u8]) -> Result<Index, OpsError> {
        Index::parse(&self.name, bytes)
            .map_err(Box::new)
            .map_err(|source| OpsError::IndexContent { address: self.address(), source })
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, OpsError> {
        let unreadable =
            |source| OpsError::IndexFile { name: self.name.clone(), path: path.to_owned(), source };
        let mut bytes = Vec::new();
        // One byte more than the limit, so that the parser can tell that it is exceeded.
        fs::File::open(path)
            .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        Ok(bytes)
    }
}

fn from_url(address: &str) -> Result<IndexLocation, OpsError> {
    let wrong = |why: &str| {
        OpsError::usage(
            format!("`{address}` cannot be the address of an index: {why}"),
            Some("give an `https://`, `http://` or `file://` address"),
        )
    };
    let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(IndexLocation::Web(url)),
        "file" => url
            .to_file_path()
            .map(IndexLocation::File)
            .map_err(|()| wrong("expected `file:///` and an absolute path")),
        other => Err(wrong(&format!("the scheme `{other}` is not known"))),
    }
}

/// Whether an index can be called `name`: it becomes a file name.
pub fn check_index_name(name: &str) -> Result<(), OpsError> {
    let fits = !name.is_empty() && name.len() <= MAX_INDEX_NAME_BYTES;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits && plain && !name.starts_with('.') {
        return Ok(());
    }
    Err(OpsError::usage(
        format!("`{name}` cannot be the name of an index"),
        Some("use up to 64 letters, digits, `-`, `_` and `.`, not starting with `.`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_urls_or_paths() {
        let parse = |address| IndexSource::parse("one", address);
        assert_eq!(parse("https://i.example.org/i.yaml").expect("web").backend(), "https");
        let file = parse("file:///srv/index.yaml").expect("file");
        assert_eq!(file.location, IndexLocation::File("/srv/index.yaml".into()));
        assert_eq!(parse("index.yaml").expect("path").backend(), "file");
        for wrong in ["ftp://i.example.org/x", "https://", "file://host/x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_never_leaves_its_directory() {
        for good in ["falcosecurity", "a.b-c_D9"] {
            assert!(check_index_name(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/b", ".hidden", "a b", "ä"] {
            assert!(check_index_name(bad).is_err(), "{bad}");
        }
        assert!(check_index_name(&"x".repeat(MAX_INDEX_NAME_BYTES)).is_ok());
        assert!(check_index_name(&"x".repeat(MAX_INDEX_NAME_BYTES + 1)).is_err());
    }
}
