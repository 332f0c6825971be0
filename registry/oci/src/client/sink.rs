//! Where the bytes of a blob go.
//!
//! Owns the contract between the transport and whoever stores: bytes come in order, exactly once
//! between two restarts, and count for nothing until the operation that brought them has succeeded.

use std::{future, io};

use eyas_artifact::{Digest, Hasher};

/// Takes the bytes of a blob.
pub trait BlobSink: Send {
    /// Tells how many bytes are kept from an earlier run, and feeds them to `hasher`. They are not
    /// trusted: if the whole has the wrong digest, [`restart`](Self::restart) is called and all
    /// bytes come anew.
    fn resume(&mut self, hasher: &mut Hasher) -> impl Future<Output = io::Result<u64>> + Send {
        let _ = hasher;
        future::ready(Ok(0))
    }

    /// Takes the next bytes.
    fn write(&mut self, chunk: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Forgets all bytes taken so far.
    fn restart(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// The digest of all bytes since the last restart, those kept from an earlier run included. A sink
    /// that works it out while it stores them, and gives one before the first byte, spares the transport
    /// from hashing the same bytes as well; others give none.
    fn digest(&mut self) -> Option<Digest> {
        None
    }
}

impl BlobSink for Vec<u8> {
    fn write(&mut self, chunk: &[u8]) -> impl Future<Output = io::Result<()>> + Send {
        self.extend_from_slice(chunk);
        future::ready(Ok(()))
    }

    fn restart(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.clear();
        future::ready(Ok(()))
    }
}

/// A sink that tells how far it is, for a progress display.
pub struct Metered<'a, S: ?Sized, F> {
    sink: &'a mut S,
    tell: F,
    bytes: u64,
}

impl<'a, S: BlobSink + ?Sized, F: FnMut(u64) + Send> Metered<'a, S, F> {
    /// Calls `tell` with the number of bytes that `sink` has, after each change.
    pub fn new(sink: &'a mut S, tell: F) -> Self {
        Self { sink, tell, bytes: 0 }
    }

    fn set(&mut self, bytes: u64) {
        self.bytes = bytes;
        (self.tell)(bytes);
    }
}

impl<S: BlobSink + ?Sized, F: FnMut(u64) + Send> BlobSink for Metered<'_, S, F> {
    async fn resume(&mut self, hasher: &mut Hasher) -> io::Result<u64> {
        let kept = self.sink.resume(hasher).await?;
        self.set(kept);
        Ok(kept)
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.sink.write(chunk).await?;
        self.set(self.bytes + chunk.len() as u64);
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.sink.restart().await?;
        self.set(0);
        Ok(())
    }

    fn digest(&mut self) -> Option<Digest> {
        self.sink.digest()
    }
}
