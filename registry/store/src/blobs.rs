//! Content by digest.
//!
//! Owns `blobs/`: a blob is there under its digest only when all of it is there, was checked and is
//! durable. The directory is an OCI image layout, so it can be copied or served as it is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use eyas_artifact::{Descriptor, Digest, Entry, Generation, Hasher, ImageIndex, Reference, media};
use eyas_oci::REPOSITORY_ANNOTATION;

use crate::disk::{self, NewFile};
use crate::paths::Paths;
use crate::{LockedStore, Store, StoreError};

/// Marker of an image layout directory, as its specification spells it.
const LAYOUT_MARKER: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";
/// Largest index of the layout that is compared with a new one, in bytes.
const MAX_LAYOUT_INDEX_BYTES: u64 = 64 * 1024 * 1024;

/// A blob that is being received.
#[derive(Debug)]
pub struct BlobWriter {
    paths: Paths,
    expected: Digest,
    size: u64,
    /// Absent once it has its final name.
    file: Option<NewFile>,
    /// What earlier processes have received, hashed, until somebody asks for it.
    kept: Option<Hasher>,
    /// Whether the disk or the content failed, rather than whoever sends it.
    failed: bool,
}

impl BlobWriter {
    /// Continues `file`, if there is space for what is missing.
    fn new(paths: Paths, expected: Digest, size: u64, file: NewFile) -> Result<Self, StoreError> {
        let missing = size - file.written();
        let blobs = paths.blobs();
        let mut writer = Self { paths, expected, size, file: Some(file), kept: None, failed: true };
        disk::check_space(&blobs, missing)?;
        writer.failed = false;
        Ok(writer)
    }

    /// The digest that it must have.
    pub fn expected(&self) -> &Digest {
        &self.expected
    }

    /// Bytes received so far; a transfer that was cut goes on from here.
    pub fn written(&self) -> u64 {
        self.file.as_ref().map_or(0, NewFile::written)
    }

    /// Takes the next bytes. More than was announced is an error at once.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let found = self.written() + bytes.len() as u64;
        if found > self.size {
            self.failed = true;
            return Err(self.wrong_size(found));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write(bytes).inspect_err(|_| self.failed = true)
    }

    /// Goes on after what was there when it was opened: that goes through `hasher`, its size comes
    /// back. What has come since then is forgotten, since reading it back would cost more.
    pub(crate) fn resume(&mut self, hasher: &mut Hasher) -> Result<u64, StoreError> {
        match self.kept.take() {
            Some(kept) => *hasher = kept,
            None => self.restart()?,
        }
        Ok(self.written())
    }

    /// Forgets what was received, for a sender that cannot go on from the middle.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.restart().inspect_err(|_| self.failed = true)
    }

    /// The digest of all that is there, or none when it has its final name.
    pub(crate) fn digest(&mut self) -> Option<Digest> {
        self.file.as_mut().map(NewFile::digest)
    }

    /// Checks size and digest. Gives where the content is until it has its name.
    pub(crate) fn check(&mut self) -> Result<PathBuf, StoreError> {
        self.failed = true;
        if self.written() != self.size {
            return Err(self.wrong_size(self.written()));
        }
        let Some(file) = &mut self.file else { return Ok(self.paths.blob(&self.expected)) };
        let found = file.digest();
        if found != self.expected {
            return Err(StoreError::DigestMismatch { expected: self.expected, found });
        }
        let path = file.path().to_owned();
        self.failed = false;
        Ok(path)
    }

    /// Checks size and digest, makes the content durable and gives it its name. The name is durable
    /// once the directory is flushed, before anything is activated that needs it.
    pub fn finish(mut self) -> Result<PathBuf, StoreError> {
        self.check()?;
        self.failed = true;
        let path = self.paths.blob(&self.expected);
        if let Some(file) = self.file.take() {
            file.persist(&path)?;
        }
        Ok(path)
    }

    fn wrong_size(&self, found: u64) -> StoreError {
        StoreError::SizeMismatch { digest: self.expected, expected: self.size, found }
    }
}

/// What was received stays for the next time, unless it was the disk or the content that failed.
impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.failed
            && self.written() > 0
            && let Some(file) = &mut self.file
        {
            file.abandon();
        }
    }
}

impl Store {
    /// Path of a blob, if it is there with this size. The content was checked when it was written.
    pub fn blob_path(&self, digest: &Digest, size: u64) -> Option<PathBuf> {
        let path = self.paths.blob(digest);
        std::fs::symlink_metadata(&path)
            .is_ok_and(|meta| meta.is_file() && meta.len() == size)
            .then_some(path)
    }

    /// Content of a blob of at most `limit` bytes, checked again; `None` when it is not there.
    pub fn blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.paths.blob(digest);
        let Some(bytes) = disk::read(&path, limit)? else { return Ok(None) };
        check(digest, &bytes)?;
        Ok(Some(bytes))
    }

    /// Digest of a blob's file as it is now.
    pub(crate) fn blob_digest(&self, digest: &Digest) -> Result<Option<Digest>, StoreError> {
        digest_of(&self.paths.blob(digest))
    }
}

impl Store {
    /// Begins to receive a blob without the right to change the store, or goes on where an earlier
    /// process was cut. It gets its name from [`BlobWriter::finish`], which is for who has that right.
    pub(crate) fn receive_ahead(&self, digest: Digest, size: u64) -> Result<Ahead, StoreError> {
        if self.blob_path(&digest, size).is_some() {
            return Ok(Ahead::There);
        }
        disk::ensure_dir(&self.paths.blobs())?;
        let mut hasher = Hasher::new();
        let Some(file) = NewFile::resume(self.paths.part(&digest), size, &mut hasher)? else {
            return Ok(Ahead::Busy);
        };
        let mut writer = BlobWriter::new(self.paths.clone(), digest, size, file)?;
        writer.kept = Some(hasher);
        Ok(Ahead::Ours(Box::new(writer)))
    }
}

/// How it stands with a blob that is wanted.
#[derive(Debug)]
pub enum Ahead {
    /// It is in the store.
    There,
    /// Somebody else is receiving it.
    Busy,
    /// It is to be received.
    Ours(Box<BlobWriter>),
}

impl LockedStore {
    /// Begins to receive a blob, or goes on where an earlier process was cut; what is there already
    /// goes through `hasher`. It is checked whole at the end.
    pub fn receive(
        &self,
        digest: Digest,
        size: u64,
        hasher: &mut Hasher,
    ) -> Result<BlobWriter, StoreError> {
        let file = match NewFile::resume(self.paths.part(&digest), size, hasher)? {
            Some(file) => file,
            // Somebody is receiving it ahead, and may do so for long.
            None => NewFile::create(disk::temporary_in(&self.paths.blobs(), disk::TEMPORARY))?,
        };
        BlobWriter::new(self.paths.clone(), digest, size, file)
    }

    /// Stores bytes that are in memory; their digest must be the one given. The name is durable as
    /// that of [`BlobWriter::finish`] is.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        check(digest, bytes)?;
        if self.blob_path(digest, bytes.len() as u64).is_some() {
            return Ok(());
        }
        disk::put_file(&self.paths.blob(digest), bytes)
    }

    /// Creates the directories and marks them as an image layout. What a crash takes of that is made
    /// again by the next writer, so that no flush of the directory is worth its time.
    pub(crate) fn prepare_layout(&self) -> Result<(), StoreError> {
        disk::ensure_dir(&self.paths.blobs())?;
        disk::ensure_dir(&self.paths.generations())?;
        if !self.paths.layout_marker().exists() {
            disk::put_file(&self.paths.layout_marker(), LAYOUT_MARKER)?;
        }
        if !self.paths.layout_index().exists() {
            self.write_layout_index(&[])?;
        }
        Ok(())
    }

    /// Lists what generations hold in the layout's index, each under its repository and tag; a tag
    /// means what the newest generation says. A crash may bring the index before it back, until the
    /// next change of the store writes it again.
    pub(crate) fn write_layout_index(&self, generations: &[Generation]) -> Result<(), StoreError> {
        let mut listing = Listing::default();
        for entry in generations.iter().rev().flat_map(|generation| &generation.entries) {
            listing.add(&self.paths, entry);
        }
        let bytes = ImageIndex::new(listing.manifests).to_vec().map_err(|source| {
            StoreError::Document { context: "index of the image layout".to_owned(), source }
        })?;
        let path = self.paths.layout_index();
        if disk::read(&path, MAX_LAYOUT_INDEX_BYTES)?.as_deref() == Some(&bytes) {
            return Ok(());
        }
        disk::put_file(&path, &bytes)
    }
}

/// Entries of the layout's index.
#[derive(Default)]
struct Listing {
    manifests: Vec<Descriptor>,
    tags: BTreeSet<(String, String)>,
}

impl Listing {
    /// Adds what the tag pointed at, and the manifest for this platform where that is another one.
    fn add(&mut self, paths: &Paths, entry: &Entry) {
        let Ok(reference) = entry.reference.parse::<Reference>() else { return };
        let repository = reference.repository();
        let tag = reference
            .tag()
            .filter(|tag| self.tags.insert((repository.to_owned(), (*tag).to_owned())));
        let (root, manifest) = (entry.root_digest, entry.manifest_digest);
        if root == manifest {
            self.list(paths, media::OCI_MANIFEST, manifest, repository, tag);
        } else {
            self.list(paths, media::OCI_INDEX, root, repository, tag);
            self.list(paths, media::OCI_MANIFEST, manifest, repository, None);
        }
    }

    fn list(
        &mut self,
        paths: &Paths,
        media_type: &str,
        digest: Digest,
        repository: &str,
        tag: Option<&str>,
    ) {
        let listed = self.manifests.iter().any(|known| {
            known.digest == digest
                && known.annotations.get(REPOSITORY_ANNOTATION).is_some_and(|at| at == repository)
        });
        let Ok(meta) = std::fs::metadata(paths.blob(&digest)) else { return };
        if listed && tag.is_none() {
            return;
        }
        let mut descriptor = Descriptor::new(media_type, digest, meta.len())
            .with_annotation(REPOSITORY_ANNOTATION, repository);
        if let Some(tag) = tag {
            descriptor = descriptor.with_annotation(media::ANNOTATION_REF_NAME, tag);
        }
        self.manifests.push(descriptor);
    }
}

fn check(expected: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
    let found = Digest::sha256(bytes);
    if found == *expected {
        Ok(())
    } else {
        Err(StoreError::DigestMismatch { expected: *expected, found })
    }
}

/// Digest of a file; `None` when it does not exist.
pub(crate) fn digest_of(path: &std::path::Path) -> Result<Option<Digest>, StoreError> {
    use std::io::Read;

    const READ_BYTES: usize = 128 * 1024;
    let mut file = match disk::open(path) {
        Ok(file) => file,
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hasher.finish())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io("read", path, error)),
        }
    }
}
