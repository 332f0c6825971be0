//! One index: its name, its address, and how its bytes are had.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use eyas_artifact::Reference;
use eyas_index::Index;
use eyas_oci::{Client, Document, Object};
use url::Url;

use super::LIMIT;
use crate::OpsError;

/// Longest name of an index, in bytes.
pub const MAX_INDEX_NAME_BYTES: usize = 64;

/// Begins the address of an index in a registry.
const REGISTRY_SCHEME: &str = "oci://";
/// Media type of an index in a registry.
pub(super) const INDEX_LAYER: &str = "application/vnd.eyas.index.layer.v1+yaml";

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
    /// In the storage of a cloud.
    Object(Object),
    /// In a registry, as an artifact.
    Registry(Reference),
}

impl IndexSource {
    /// Reads an address: `https://…`, `http://…`, `file://…`, `s3://…`, `gs://…`, `oci://…` or a path.
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
            IndexLocation::Object(object) => object.to_string(),
            IndexLocation::Registry(reference) => format!("{REGISTRY_SCHEME}{reference}"),
        }
    }

    /// Name of the way it is fetched: `https`, `http`, `file`, `s3`, `gcs` or `oci`.
    pub fn backend(&self) -> &str {
        match &self.location {
            IndexLocation::Web(url) => url.scheme(),
            IndexLocation::File(_) => "file",
            IndexLocation::Object(object) => object.backend(),
            IndexLocation::Registry(_) => "oci",
        }
    }

    /// The same with a path that means the same from everywhere.
    pub fn absolute(self) -> Result<Self, OpsError> {
        let Self { name, location } = self;
        let location = match location {
            IndexLocation::File(path) => IndexLocation::File(
                path.canonicalize().map_err(|error| OpsError::input(&path, error))?,
            ),
            elsewhere => elsewhere,
        };
        Ok(Self { name, location })
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.location, IndexLocation::File(_))
    }

    /// The bytes of the index, of bounded size; `None` when it is still in the state `known`.
    pub(super) async fn fetch(
        &self,
        client: &Client,
        known: Option<&str>,
    ) -> Result<Option<Document>, OpsError> {
        let fetched = match &self.location {
            IndexLocation::File(path) => {
                return Ok(Some(Document { bytes: self.read(path)?, tag: None }));
            }
            IndexLocation::Web(url) => client.document_if_new(url, LIMIT, known).await,
            IndexLocation::Object(object) => client.object_if_new(object, LIMIT, known).await,
            IndexLocation::Registry(reference) => {
                client.layer_if_new(reference, INDEX_LAYER, LIMIT, known).await
            }
        };
        fetched.map_err(|source| OpsError::IndexFetch { name: self.name.clone(), source })
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
            Some("give an `https://`, `http://`, `file://`, `s3://`, `gs://` or `oci://` address"),
        )
    };
    if let Some(reference) = address.strip_prefix(REGISTRY_SCHEME) {
        let reference = reference.parse().map_err(|error| wrong(&format!("{error}")))?;
        return Ok(IndexLocation::Registry(reference));
    }
    if address.starts_with("s3://") || address.starts_with("gs://") {
        let object = address.parse().map_err(|_| wrong("expected a bucket and a key"))?;
        return Ok(IndexLocation::Object(object));
    }
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
        for (address, backend) in [
            ("s3://bucket/a/index.yaml", "s3"),
            ("gs://bucket/index.yaml", "gcs"),
            ("oci://r.example.org/team/index:1", "oci"),
        ] {
            let source = parse(address).expect("an address");
            assert_eq!((source.backend(), source.address().as_str()), (backend, address));
        }
        for wrong in
            ["ftp://i.example.org/x", "https://", "file://host/x", "s3://b", "oci://x", "oci://"]
        {
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
