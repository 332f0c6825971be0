//! Where verified content enters the store.
//!
//! Owns the only public way to a [`Stage`]: it wants the proof of verification. The client streams
//! the archive into the stage, which keeps it under a temporary name until all of it was checked.

use std::io;

use eyas_artifact::Hasher;
use eyas_oci::{BlobSink, Pinned};
use eyas_trust::Verified;

use crate::{LockedStore, Source, Stage, StoreError};

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
            signer: verified.signer().cloned(),
            signed_at: verified.signed_at().map(str::to_owned),
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
