//! Where verified content enters the store.
//!
//! Owns the only public ways to a [`Stage`] and to a blob that is received ahead of it: they want the
//! proof of verification. The client streams the archive into one of the two, which keeps it under a
//! temporary name until all of it was checked.

use std::io;

use eyas_artifact::{Digest, Hasher};
use eyas_oci::{BlobSink, Pinned};
use eyas_trust::Verified;

use crate::blobs::Ahead;
use crate::{BlobWriter, LockedStore, Source, Stage, Store, StoreError};

impl Store {
    /// Begins to receive the archive of a verified artifact before the store is locked, so that a slow
    /// transfer holds up nobody.
    pub fn fetch_ahead(&self, verified: &Verified<Pinned>) -> Result<Ahead, StoreError> {
        let layer = verified.get().layer();
        self.receive_ahead(layer.digest, layer.size)
    }
}

impl LockedStore {
    /// Begins to fetch a verified artifact. Its manifests are stored at once, so that the store
    /// stays a complete image layout.
    pub fn stage(&self, verified: &Verified<Pinned>) -> Result<Stage, StoreError> {
        let pinned = verified.get();
        let source = Source {
            reference: pinned.asked().to_string(),
            kind: pinned.kind(),
            root_digest: *pinned.root_digest(),
            manifest_digest: *pinned.manifest_digest(),
            config: pinned.config().clone(),
            layer: pinned.layer().clone(),
            signers: verified.signers().to_vec(),
            attestations: verified.attestations().to_vec(),
            signed_at: verified.signed_at().map(str::to_owned),
            accepted_by: verified.accepted_by().copied(),
        };
        let stage = self.begin(source, verified.minimum_version().cloned());
        for document in [pinned.root(), pinned.manifest_document()] {
            stage.put_manifest(&document.digest, &document.bytes)?;
        }
        Ok(stage)
    }
}

/// Errors carry the [`StoreError`] inside, to be had back with [`StoreError::from_sink`].
impl BlobSink for Stage {
    async fn resume(&mut self, hasher: &mut Hasher) -> io::Result<u64> {
        Stage::resume(self, hasher).map_err(into_io)
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        Stage::write(self, chunk).map_err(into_io)
    }

    async fn restart(&mut self) -> io::Result<()> {
        Stage::restart(self).map_err(into_io)
    }

    fn digest(&mut self) -> Option<Digest> {
        Stage::digest(self)
    }
}

/// The same, before there is a stage.
impl BlobSink for BlobWriter {
    async fn resume(&mut self, hasher: &mut Hasher) -> io::Result<u64> {
        BlobWriter::resume(self, hasher).map_err(into_io)
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        BlobWriter::write(self, chunk).map_err(into_io)
    }

    async fn restart(&mut self) -> io::Result<()> {
        BlobWriter::restart(self).map_err(into_io)
    }

    fn digest(&mut self) -> Option<Digest> {
        BlobWriter::digest(self)
    }
}

impl StoreError {
    /// The store's own error inside one that came back through a transfer.
    pub fn from_sink(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

fn into_io(error: StoreError) -> io::Error {
    io::Error::other(error)
}
