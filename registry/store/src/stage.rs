//! Receiving one artifact.
//!
//! Owns the way from a verified manifest to files on disk that nobody sees yet. What is fetched
//! goes into the content store, where it stays for the next time even when this artifact is refused.

use std::path::{Path, PathBuf};

use eyas_artifact::{
    AttestationRecord, BundleConfig, Descriptor, Digest, Entry, Hasher, InstalledFile, Kind,
    MAX_CONFIG_BYTES, SignerRecord, Version,
};

use crate::blobs::BlobWriter;
use crate::extract::{ExtractLimits, unpack};
use crate::paths::STAGING;
use crate::{LockedStore, StoreError, disk};

/// What is known of an artifact before its content is fetched.
#[derive(Debug, Clone)]
pub struct Source {
    /// The reference as asked, tag included.
    pub reference: String,
    /// Kind, from the layer's media type.
    pub kind: Kind,
    /// Digest of what the tag pointed at.
    pub root_digest: Digest,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// The configuration document.
    pub config: Descriptor,
    /// The archive.
    pub layer: Descriptor,
    /// Who signed it, the one to show first.
    pub signers: Vec<SignerRecord>,
    /// Who made the statements that were required.
    pub attestations: Vec<AttestationRecord>,
    /// Verified signing time, RFC 3339.
    pub signed_at: Option<String>,
    /// Fingerprint of what has accepted it.
    pub accepted_by: Option<Digest>,
}

/// An artifact whose content is being fetched.
#[derive(Debug)]
pub struct Stage {
    store: LockedStore,
    source: Source,
    minimum_version: Option<Version>,
    config: Option<BundleConfig>,
    layer: Layer,
}

#[derive(Debug)]
enum Layer {
    Absent,
    Receiving(Box<BlobWriter>),
    Stored(PathBuf),
}

/// An artifact on disk, unpacked, not yet part of any generation. Dropping it removes the files. They
/// are flushed with the set that they become part of.
#[derive(Debug)]
pub struct Staged {
    entry: Entry,
    directory: Scratch,
}

impl LockedStore {
    /// Begins to fetch an artifact. Crate-private: content comes in through [`LockedStore::stage`],
    /// which wants the proof of verification.
    pub(crate) fn begin(&self, source: Source, minimum_version: Option<Version>) -> Stage {
        let layer = match self.blob_path(&source.layer.digest, source.layer.size) {
            Some(path) => Layer::Stored(path),
            None => Layer::Absent,
        };
        Stage { store: self.clone(), source, minimum_version, config: None, layer }
    }
}

impl Stage {
    /// What is being fetched.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the archive is in the store already and need not be fetched.
    pub fn has_layer(&self) -> bool {
        matches!(self.layer, Layer::Stored(_))
    }

    /// Takes the configuration document, checked against its descriptor and the lowest version that
    /// the policy allows.
    pub fn put_config(&mut self, bytes: &[u8]) -> Result<&BundleConfig, StoreError> {
        let descriptor = &self.source.config;
        if bytes.len() as u64 != descriptor.size {
            return Err(StoreError::SizeMismatch {
                digest: descriptor.digest,
                expected: descriptor.size,
                found: bytes.len() as u64,
            });
        }
        self.store.put_blob(&descriptor.digest, bytes)?;
        let config = BundleConfig::from_slice(bytes).map_err(|source| StoreError::Document {
            context: format!("configuration of `{}`", self.source.reference),
            source,
        })?;
        if let Some(minimum) = self.minimum_version.as_ref().filter(|low| config.version < **low) {
            return Err(StoreError::BelowMinimum {
                reference: self.source.reference.clone(),
                found: config.version,
                minimum: minimum.clone(),
            });
        }
        Ok(self.config.insert(config))
    }

    /// The configuration from the store, if it is there from an earlier time.
    pub fn reuse_config(&mut self) -> Result<Option<&BundleConfig>, StoreError> {
        match self.store.blob(&self.source.config.digest, MAX_CONFIG_BYTES) {
            Ok(Some(bytes)) => self.put_config(&bytes).map(Some),
            Ok(None) | Err(StoreError::DigestMismatch { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a manifest or image index, so that the store stays a complete image layout.
    pub fn put_manifest(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_blob(digest, bytes)
    }

    /// Bytes of the archive that are there.
    pub fn received(&self) -> u64 {
        match &self.layer {
            Layer::Absent => 0,
            Layer::Receiving(writer) => writer.written(),
            Layer::Stored(_) => self.source.layer.size,
        }
    }

    /// Takes the next bytes of the archive.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Layer::Absent = self.layer {
            self.begin_layer(&mut Hasher::new())?;
            self.restart()?;
        }
        match &mut self.layer {
            Layer::Receiving(writer) => writer.write(bytes),
            Layer::Absent | Layer::Stored(_) => Ok(()),
        }
    }

    /// Goes on where an earlier process was cut: what is there goes through `hasher`, its size comes
    /// back. What this one has received is forgotten, since reading it back would cost more.
    pub fn resume(&mut self, hasher: &mut Hasher) -> Result<u64, StoreError> {
        match self.layer {
            Layer::Absent => self.begin_layer(hasher)?,
            Layer::Receiving(_) | Layer::Stored(_) => self.restart()?,
        }
        Ok(match &self.layer {
            Layer::Receiving(writer) => writer.written(),
            Layer::Absent | Layer::Stored(_) => 0,
        })
    }

    fn begin_layer(&mut self, hasher: &mut Hasher) -> Result<(), StoreError> {
        let layer = &self.source.layer;
        let writer = self.store.receive(layer.digest, layer.size, hasher)?;
        self.layer = Layer::Receiving(Box::new(writer));
        Ok(())
    }

    /// Takes what was received before the store was locked.
    pub fn take_over(&mut self, ahead: BlobWriter) {
        // Of another archive it is left for whoever wants it.
        if *ahead.expected() == self.source.layer.digest && !self.has_layer() {
            self.layer = Layer::Receiving(Box::new(ahead));
        }
    }

    /// The digest of what was received of the archive, once that has begun.
    pub(crate) fn digest(&mut self) -> Option<Digest> {
        match &mut self.layer {
            Layer::Receiving(writer) => writer.digest(),
            Layer::Absent | Layer::Stored(_) => None,
        }
    }

    /// Forgets what was received of the archive.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        match &mut self.layer {
            Layer::Receiving(writer) => writer.restart(),
            Layer::Absent | Layer::Stored(_) => Ok(()),
        }
    }

    /// Checks the archive's size and digest, then unpacks it. `reason` is kept in the lock file. The
    /// archive is made durable only after that: the disk writes it meanwhile.
    pub fn extract(
        self,
        limits: &ExtractLimits,
        reason: impl Into<String>,
    ) -> Result<Staged, StoreError> {
        let Self { store, source, config, layer, .. } = self;
        let missing = |what| StoreError::Incomplete { artifact: source.reference.clone(), what };
        let config = config.ok_or_else(|| missing("configuration"))?;
        let (layer, received) = match layer {
            // Of nothing nothing arrives: that it is no archive is told by unpacking it.
            Layer::Absent if source.layer.size == 0 => {
                let mut nothing = store.receive(source.layer.digest, 0, &mut Hasher::new())?;
                (nothing.check()?, Some(nothing))
            }
            Layer::Absent => return Err(missing("archive")),
            Layer::Receiving(mut writer) => (writer.check()?, Some(*writer)),
            // It has been on disk since an earlier time.
            Layer::Stored(path) => {
                store.check_blob(&source.layer.digest)?;
                (path, None)
            }
        };
        let directory = Scratch::create(&store)?;
        let unpacked = unpack(&config.name, &layer, directory.path(), limits);
        // It stays for the next time even when it cannot be unpacked here and now.
        let kept = received.map(BlobWriter::finish).transpose();
        let files = unpacked?;
        kept?;
        Ok(Staged { entry: entry(source, config, files, reason.into()), directory })
    }
}

impl LockedStore {
    /// Refuses a stored blob that has changed since, and removes it so that it is fetched again.
    fn check_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.blob_digest(digest)? {
            Some(found) if found == *digest => Ok(()),
            found => {
                disk::remove_file(&self.paths.blob(digest))?;
                Err(match found {
                    Some(found) => StoreError::DigestMismatch { expected: *digest, found },
                    None => StoreError::Damaged {
                        path: self.paths.blob(digest),
                        why: "it is missing".to_owned(),
                    },
                })
            }
        }
    }
}

impl Staged {
    /// What will be in the lock file.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Directory with the unpacked files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn into_parts(self) -> (Entry, Scratch) {
        (self.entry, self.directory)
    }
}

fn entry(source: Source, config: BundleConfig, files: Vec<InstalledFile>, reason: String) -> Entry {
    let mut signers = source.signers.into_iter();
    Entry {
        name: config.name,
        kind: source.kind,
        reference: source.reference,
        version: config.version,
        root_digest: source.root_digest,
        manifest_digest: source.manifest_digest,
        config_digest: source.config.digest,
        layer_digest: source.layer.digest,
        signer: signers.next(),
        other_signers: signers.collect(),
        attestations: source.attestations,
        signed_at: source.signed_at,
        accepted_by: source.accepted_by,
        reason,
        files,
    }
}

/// A directory in `generations/` that is being filled, on the file system of its destination.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    pub(crate) fn create(store: &LockedStore) -> Result<Self, StoreError> {
        let path = disk::temporary_in(&store.paths.generations(), STAGING);
        disk::create_dir(&path)?;
        Ok(Self { path, keep: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory was moved to its place and is no longer ours to remove.
    pub(crate) fn moved(mut self) {
        self.keep = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: recovery removes it as well.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
