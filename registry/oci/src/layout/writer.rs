//! A blob on its way into an image layout.
//!
//! Owns the nameless file: it is removed unless [`BlobWriter::commit`] has given it its name.

use std::{fs::Permissions, io, os::unix::fs::PermissionsExt as _, path::Path};

use eyas_artifact::{Digest, Hasher};
use tempfile::TempPath;
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{Layout, at, sync_parent};
use crate::{client::BlobSink, error::OciError};

/// Mode of files in a layout: it may be served by another user.
pub(super) fn mode() -> Permissions {
    Permissions::from_mode(0o644)
}

/// Takes the bytes of one blob and computes their digest.
#[derive(Debug)]
pub struct BlobWriter {
    layout: Layout,
    file: File,
    path: TempPath,
    hasher: Hasher,
    size: u64,
}

impl BlobWriter {
    pub(super) fn new(layout: Layout) -> Result<Self, OciError> {
        let directory = layout.incoming()?;
        let (file, path) = tempfile::Builder::new()
            .permissions(mode())
            .tempfile_in(&directory)
            .map_err(at(&directory))?
            .into_parts();
        Ok(Self { layout, file: File::from_std(file), path, hasher: Hasher::new(), size: 0 })
    }

    /// The directory it will be in.
    pub(crate) fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub async fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk).await?;
        self.hasher.update(chunk);
        self.size += chunk.len() as u64;
        Ok(())
    }

    /// Gives the blob its name, on stable storage. With `expected`, only if that is its digest.
    pub async fn commit(mut self, expected: Option<&Digest>) -> Result<Digest, OciError> {
        let found = self.hasher.finish();
        if let Some(expected) = expected.filter(|expected| **expected != found) {
            let what = "the uploaded blob".to_owned();
            return Err(OciError::DigestMismatch { what, expected: *expected, found });
        }
        let path = self.layout.blob_path(&found);
        self.file.flush().await.map_err(at(&path))?;
        self.file.sync_all().await.map_err(at(&path))?;
        self.path.persist(&path).map_err(|error| at(&path)(error.error))?;
        sync_parent(&path)?;
        Ok(found)
    }
}

impl BlobSink for BlobWriter {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.append(chunk).await
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        self.hasher = Hasher::new();
        self.size = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_committed_blob_has_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let mut writer = layout.writer().unwrap();
        writer.append(b"rubbish").await.unwrap();
        writer.restart().await.unwrap();
        writer.append(b"he").await.unwrap();
        writer.append(b"llo").await.unwrap();
        let digest = Digest::sha256("hello");
        assert_eq!(layout.blob_size(&digest).unwrap(), None);
        assert_eq!(writer.commit(Some(&digest)).await.unwrap(), digest);
        assert_eq!(std::fs::read(layout.blob_path(&digest)).unwrap(), b"hello");
    }

    #[tokio::test]
    async fn a_wrong_digest_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let mut writer = layout.writer().unwrap();
        writer.append(b"hello").await.unwrap();
        let error = writer.commit(Some(&Digest::sha256("other"))).await.unwrap_err();
        assert!(matches!(error, OciError::DigestMismatch { .. }));
        assert_eq!(std::fs::read_dir(directory.path().join("blobs/sha256")).unwrap().count(), 0);
        let left = std::fs::read_dir(directory.path().join(".incoming")).unwrap();
        assert!(left.flatten().all(|entry| entry.file_name() == "lock"));
    }
}
