//! OCI image layout directories: `oci-layout`, `index.json`, `blobs/sha256/<hex>`.
//!
//! Owns the files of such a directory. A blob gets its name by a rename after its digest has been
//! checked, `index.json` is replaced by a rename under a lock: a reader sees the old or the new
//! state, never a mix, and writers of several processes take turns. What a directory means
//! (a mirror, a cache, a registry's content) is left to whoever uses it.

mod host;
mod index;
mod subject;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use eyas_artifact::{Descriptor, Digest, Document, ImageIndex, media};

pub use host::{layout_host, layout_of_host};
pub use index::{LayoutIndex, REPOSITORY_ANNOTATION};
pub use writer::BlobWriter;

use crate::{config::MAX_MANIFEST_BYTES, error::OciError};

const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const VERSION: &str = "1.0.0";
/// Where blobs are written before they have a name, and the lock.
const INCOMING: &str = ".incoming";
/// Largest `index.json` read, in bytes: room for some hundred thousand entries.
const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;
/// Age at which an unfinished blob is taken for abandoned.
const ABANDONED: Duration = Duration::from_hours(24);

/// An image layout directory. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    /// What `index.json` said when it was last read, with what it looked like then.
    cache: Arc<Mutex<Option<Cached>>>,
    subjects: Arc<Mutex<subject::Subjects>>,
}

/// `index.json` as it was read, with what the file looked like then.
type Cached = (Stamp, Arc<LayoutIndex>);

/// Enough of a file's state to see that it was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { inode: found.ino(), length: found.len(), modified: found.modified().ok() }
    }
}

impl Layout {
    /// Opens a directory that is an image layout.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, OciError> {
        #[derive(serde::Deserialize)]
        struct Marker {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let root = root.into();
        let path = root.join(MARKER);
        let bytes = read_capped(&path, MAX_MANIFEST_BYTES)?;
        let malformed =
            |detail: String| OciError::Malformed { what: path.display().to_string(), detail };
        let marker: Marker = serde_json::from_slice(&bytes)
            .map_err(|error| malformed(format!("no marker of an image layout: {error}")))?;
        if marker.version != VERSION {
            let found = crate::secret::tame(&marker.version, 40);
            return Err(malformed(format!("layout version `{found}`, expected `{VERSION}`")));
        }
        Ok(Self { root, cache: Arc::default(), subjects: Arc::default() })
    }

    /// Opens a directory, making it an empty image layout where it is none yet. A directory that has
    /// other things in it is left alone.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, OciError> {
        let root = root.into();
        if root.join(MARKER).exists() {
            return Self::open(root);
        }
        fs::create_dir_all(root.join("blobs/sha256")).map_err(at(&root))?;
        let layout = Self { root, cache: Arc::default(), subjects: Arc::default() };
        let _lock = layout.lock()?;
        if !layout.root.join(INDEX).exists() {
            layout.write_index(&LayoutIndex::default())?;
        }
        let marker = format!(r#"{{"imageLayoutVersion":"{VERSION}"}}"#);
        layout.replace(MARKER, marker.as_bytes())?;
        Ok(layout)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// Size of a blob; `None` where it is not there.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, OciError> {
        let path = self.blob_path(digest);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// A manifest or index, checked against its digest; `None` where it is not there.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, OciError> {
        if self.blob_size(digest)?.is_none() {
            return Ok(None);
        }
        let path = self.blob_path(digest);
        let bytes = read_capped(&path, MAX_MANIFEST_BYTES)?;
        let found = Digest::sha256(&bytes);
        if found != *digest {
            let what = path.display().to_string();
            return Err(OciError::DigestMismatch { what, expected: *digest, found });
        }
        Ok(Some(bytes))
    }

    /// Begins a blob; it has no name before [`BlobWriter::commit`].
    pub fn writer(&self) -> Result<BlobWriter, OciError> {
        BlobWriter::new(self.clone())
    }

    /// Stores bytes as a blob.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, OciError> {
        let digest = Digest::sha256(bytes);
        if self.blob_size(&digest)? == Some(bytes.len() as u64) {
            return Ok(digest);
        }
        let path = self.blob_path(&digest);
        self.replace_path(&path, bytes)?;
        Ok(digest)
    }

    /// What the directory lists.
    pub fn index(&self) -> Result<Arc<LayoutIndex>, OciError> {
        let path = self.root.join(INDEX);
        let stamp = Stamp::of(&fs::metadata(&path).map_err(at(&path))?);
        let mut cache = lock(&self.cache);
        if let Some((known, index)) = cache.as_ref()
            && *known == stamp
        {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.read_index()?);
        *cache = Some((stamp, Arc::clone(&index)));
        Ok(index)
    }

    /// The entry of a manifest, also of one that only an image index of the repository lists.
    pub fn find(
        &self,
        repository: &str,
        digest: &Digest,
        unnamed: Option<&str>,
    ) -> Result<Option<Descriptor>, OciError> {
        let index = self.index()?;
        if let Some(entry) = index.find_digest(repository, digest, unnamed) {
            return Ok(Some(entry.clone()));
        }
        for entry in index.of(repository, unnamed) {
            if !media::is_index(&entry.media_type) {
                continue;
            }
            let Some(bytes) = self.document(&entry.digest)? else { continue };
            // What is no index, whatever it is called, lists nothing.
            let Ok(listed) = ImageIndex::from_slice(&bytes) else { continue };
            if let Some(child) = listed.manifests.into_iter().find(|c| c.digest == *digest) {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// Lists a manifest that is stored, under a repository and a tag or without one. A tag moves
    /// from what had it before, which stays listed without it.
    pub fn list(
        &self,
        repository: Option<&str>,
        tag: Option<&str>,
        descriptor: &Descriptor,
    ) -> Result<(), OciError> {
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        if index.add(repository, tag, descriptor) {
            self.write_index(&index)?;
        }
        Ok(())
    }

    /// Takes a tag away from what it points at, which stays listed. False when there is no such tag.
    pub fn untag(
        &self,
        repository: &str,
        tag: &str,
        unnamed: Option<&str>,
    ) -> Result<bool, OciError> {
        self.edit(|index| index.remove_tag(repository, tag, unnamed))
    }

    /// Takes a manifest out of a repository with all its tags; its bytes stay, since others may list
    /// them. False when it was not listed.
    pub fn unlist(
        &self,
        repository: &str,
        digest: &Digest,
        unnamed: Option<&str>,
    ) -> Result<bool, OciError> {
        self.edit(|index| index.remove_digest(repository, digest, unnamed))
    }

    fn edit(&self, change: impl FnOnce(&mut LayoutIndex) -> bool) -> Result<bool, OciError> {
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        let changed = change(&mut index);
        if changed {
            self.write_index(&index)?;
        }
        Ok(changed)
    }

    /// Removes a blob, unless something that is listed needs it.
    pub fn remove_blob(&self, digest: &Digest) -> Result<Removal, OciError> {
        let _lock = self.lock()?;
        if self.blob_size(digest)?.is_none() {
            return Ok(Removal::Absent);
        }
        let mut open: Vec<Descriptor> = self.read_index()?.entries().to_vec();
        while let Some(entry) = open.pop() {
            if entry.digest == *digest {
                return Ok(Removal::Needed);
            }
            if !media::is_index(&entry.media_type) && !media::is_manifest(&entry.media_type) {
                continue;
            }
            let Some(bytes) = self.document(&entry.digest)? else { continue };
            // What is neither needs nothing.
            let Ok(document) = Document::from_slice(&entry.media_type, &bytes) else { continue };
            match document {
                Document::Manifest(manifest) => {
                    let mut named = std::iter::once(&manifest.config).chain(&manifest.layers);
                    if named.any(|descriptor| descriptor.digest == *digest) {
                        return Ok(Removal::Needed);
                    }
                }
                Document::Index(index) => open.extend(index.manifests),
            }
        }
        let path = self.blob_path(digest);
        fs::remove_file(&path).map_err(at(&path))?;
        Ok(Removal::Done)
    }

    /// Removes what writers that died have left behind.
    pub fn sweep(&self) -> Result<(), OciError> {
        let directory = self.incoming()?;
        for entry in fs::read_dir(&directory).map_err(at(&directory))?.flatten() {
            let old = entry
                .metadata()
                .and_then(|found| found.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED));
            if old && entry.file_name() != "lock" {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn read_index(&self) -> Result<LayoutIndex, OciError> {
        let path = self.root.join(INDEX);
        let bytes = read_capped(&path, MAX_INDEX_BYTES)?;
        LayoutIndex::from_slice(&bytes)
            .map_err(|detail| OciError::Malformed { what: path.display().to_string(), detail })
    }

    fn write_index(&self, index: &LayoutIndex) -> Result<(), OciError> {
        let bytes = index.to_vec().map_err(|detail| OciError::Malformed {
            what: self.root.join(INDEX).display().to_string(),
            detail,
        })?;
        self.replace(INDEX, &bytes)
    }

    /// Held while `index.json` is read, changed and written.
    fn lock(&self) -> Result<fs::File, OciError> {
        let path = self.incoming()?.join("lock");
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        Ok(file)
    }

    fn incoming(&self) -> Result<PathBuf, OciError> {
        let path = self.root.join(INCOMING);
        fs::create_dir_all(&path).map_err(at(&path))?;
        Ok(path)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), OciError> {
        self.replace_path(&self.root.join(name), bytes)
    }

    /// Writes a file beside its place and renames it there.
    fn replace_path(&self, path: &Path, bytes: &[u8]) -> Result<(), OciError> {
        use std::io::Write as _;
        let mut file = tempfile::Builder::new()
            .permissions(writer::mode())
            .tempfile_in(self.incoming()?)
            .map_err(at(path))?;
        file.write_all(bytes).map_err(at(path))?;
        file.as_file().sync_all().map_err(at(path))?;
        file.persist(path).map_err(|error| at(path)(error.error))?;
        sync_parent(path)
    }
}

/// What came of removing a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// It was not there.
    Absent,
    /// Something that is listed needs it.
    Needed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept under these locks is complete at any moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(path: &Path) -> impl Fn(io::Error) -> OciError {
    move |source| OciError::Io { path: path.to_owned(), source }
}

fn sync_parent(path: &Path) -> Result<(), OciError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(at(parent))
}

fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, OciError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(at(path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(at(path))?;
    let found = bytes.len() as u64;
    if found > limit {
        return Err(OciError::TooLarge { what: path.display().to_string(), limit, found });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_layout_is_made_and_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/b");
        assert!(matches!(Layout::open(&root), Err(OciError::Io { .. })));
        Layout::create(&root).unwrap();
        Layout::create(&root).unwrap();
        assert!(Layout::open(&root).unwrap().index().unwrap().entries().is_empty());
    }

    #[test]
    fn another_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
        let error = Layout::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("layout version `2.0.0`, expected `1.0.0`"), "{error}");
    }

    #[test]
    fn changes_by_another_handle_are_seen() {
        let directory = tempfile::tempdir().unwrap();
        let ours = Layout::create(directory.path()).unwrap();
        let theirs = Layout::open(directory.path()).unwrap();
        assert!(ours.index().unwrap().entries().is_empty());
        let digest = theirs.put_bytes(b"{}").unwrap();
        theirs
            .list(Some("a/b"), Some("1"), &Descriptor::new(media::OCI_MANIFEST, digest, 2))
            .unwrap();
        assert_eq!(ours.index().unwrap().find_tag("a/b", "1", None).unwrap().digest, digest);
        assert_eq!(ours.document(&digest).unwrap().unwrap(), b"{}");
    }

    #[test]
    fn writers_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let layout = Layout::open(layout.root()).unwrap();
                scope.spawn(move || {
                    let bytes = format!("{{\"n\":{n}}}");
                    let digest = layout.put_bytes(bytes.as_bytes()).unwrap();
                    let size = bytes.len() as u64;
                    let descriptor = Descriptor::new(media::OCI_MANIFEST, digest, size);
                    layout.list(Some("a"), Some(&format!("t{n}")), &descriptor).unwrap();
                });
            }
        });
        assert_eq!(layout.index().unwrap().tags("a", None).len(), 8);
    }

    #[test]
    fn a_damaged_document_is_not_handed_out() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let digest = layout.put_bytes(b"{}").unwrap();
        fs::write(layout.blob_path(&digest), b"[]").unwrap();
        assert!(matches!(layout.document(&digest), Err(OciError::DigestMismatch { .. })));
        assert_eq!(layout.document(&Digest::sha256("absent")).unwrap(), None);
    }
}
