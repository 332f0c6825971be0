//! Refreshing a trusted root through TUF, and keeping the last good one.
//!
//! A refresh works on a copy and is published by one rename, so that a refresh that fails half-way
//! leaves what was there. What is kept is a TUF repository, verified again from the bootstrap root
//! each time it is read, and the time of the last refresh, so that its age can be told: nobody
//! on the path, and nobody who can write the folder but not the pointer, can swap the root.

use std::path::{Path, PathBuf};
use std::sync::Once;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sigstore::trust_root::{SigstoreInstance, TrustedRoot, TufBootstrap, TufConfig};

use crate::TrustError;
use crate::roots::RootSource;

/// A TUF repository that distributes a trusted root.
#[derive(Debug, Clone)]
pub struct RootRepository {
    name: String,
    url: String,
    bootstrap: Vec<u8>,
}

impl RootRepository {
    /// The public instance's, with the bootstrap root from this program.
    pub fn public_good() -> Self {
        let instance = SigstoreInstance::PublicGood;
        Self::new("public-good", instance.tuf_url(), instance.tuf_root())
    }

    /// Another instance's; `bootstrap` is a `root.json` that was obtained by other means, and
    /// `name` the file name under which the root is kept.
    pub fn new(name: &str, url: &str, bootstrap: &[u8]) -> Self {
        Self { name: name.to_owned(), url: url.to_owned(), bootstrap: bootstrap.to_vec() }
    }

    /// Name under which the root is kept.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The folder in which refreshed roots are kept.
#[derive(Debug, Clone)]
pub struct RootKeeper {
    folder: PathBuf,
}

/// A root that a refresh brought.
#[derive(Debug, Clone)]
pub struct KeptRoot {
    /// The root, for [`crate::Policy::with_root`].
    pub source: RootSource,
    /// When it was last found to be current.
    pub refreshed_at: Timestamp,
}

impl KeptRoot {
    /// Seconds since the root was last found to be current.
    pub fn age_seconds(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_sub(self.refreshed_at.as_second())
    }
}

/// Says which copy is the good one.
#[derive(Serialize, Deserialize)]
struct Pointer {
    directory: String,
    refreshed_at: Timestamp,
}

impl RootKeeper {
    /// Keeps roots in `folder`, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Asks the repository for its current root. On failure the one that is kept stays.
    pub async fn refresh(&self, repository: &RootRepository) -> Result<KeptRoot, TrustError> {
        self.refresh_at(repository, Timestamp::now()).await
    }

    /// As [`Self::refresh`], at a given time.
    pub async fn refresh_at(
        &self,
        repository: &RootRepository,
        now: Timestamp,
    ) -> Result<KeptRoot, TrustError> {
        let failed = |reason: String| repository.failed(reason);
        if Path::new(&repository.name).file_name() != Some(repository.name.as_ref()) {
            return Err(failed("the name is also that of a file, expected one without `/`".into()));
        }
        std::fs::create_dir_all(&self.folder).map_err(|error| failed(error.to_string()))?;
        let fresh = tempfile::Builder::new()
            .prefix(&format!("{}-", repository.name))
            .tempdir_in(&self.folder)
            .map_err(|error| failed(error.to_string()))?;
        let pointer = self.pointer(repository)?;
        // What had ended when the last refresh was made stays ended, also when the clock was set back since.
        let now = pointer.as_ref().map_or(now, |pointer| pointer.refreshed_at.max(now));
        let old = pointer.map(|pointer| self.folder.join(pointer.directory));
        if let Some(old) = &old {
            copy(old, fresh.path()).map_err(|error| failed(error.to_string()))?;
        }
        provide_tls();
        let config = repository.config(fresh.path());
        let root = TrustedRoot::from_tuf_at(config, now)
            .await
            .map_err(|error| failed(error.to_string()))?;
        self.publish(repository, &fresh.keep(), now).map_err(|error| failed(error.to_string()))?;
        if let Some(old) = old {
            // A copy that stays behind wastes space and harms nothing.
            let _ = std::fs::remove_dir_all(old);
        }
        Ok(KeptRoot { source: repository.source(root), refreshed_at: now })
    }

    /// As [`Self::refresh`], keeping nothing: what a refresh would bring.
    pub async fn preview(&self, repository: &RootRepository) -> Result<KeptRoot, TrustError> {
        let failed = |error: std::io::Error| repository.failed(error.to_string());
        let scratch = tempfile::tempdir().map_err(failed)?;
        if let Some(pointer) = self.pointer(repository)? {
            let known = scratch.path().join(&pointer.directory);
            std::fs::create_dir_all(&known).map_err(failed)?;
            copy(&self.folder.join(&pointer.directory), &known).map_err(failed)?;
            let named = scratch.path().join(format!("{}.json", repository.name));
            std::fs::copy(self.pointer_file(repository), named).map_err(failed)?;
        }
        Self::new(scratch.path().to_owned()).refresh(repository).await
    }

    /// The root of the last refresh that succeeded, verified again, without any network.
    pub async fn kept(&self, repository: &RootRepository) -> Result<Option<KeptRoot>, TrustError> {
        let Some(pointer) = self.pointer(repository)? else { return Ok(None) };
        let config = repository.config(&self.folder.join(&pointer.directory)).offline();
        // Judged at the time of the refresh: an air-gapped host uses what was good then, and is
        // told how long ago that was.
        let root = TrustedRoot::from_tuf_at(config, pointer.refreshed_at)
            .await
            .map_err(|error| repository.failed(error.to_string()))?;
        let source = repository.source(root);
        Ok(Some(KeptRoot { source, refreshed_at: pointer.refreshed_at }))
    }

    fn pointer_file(&self, repository: &RootRepository) -> PathBuf {
        self.folder.join(format!("{}.json", repository.name))
    }

    fn pointer(&self, repository: &RootRepository) -> Result<Option<Pointer>, TrustError> {
        let file = self.pointer_file(repository);
        let malformed = |why: &dyn std::fmt::Display| {
            repository.failed(format!("`{}` cannot be used: {why}", file.display()))
        };
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(malformed(&error)),
        };
        let pointer: Pointer = serde_json::from_slice(&text).map_err(|error| malformed(&error))?;
        let plain = Path::new(&pointer.directory).file_name().and_then(|name| name.to_str());
        if plain != Some(&pointer.directory) {
            return Err(malformed(&format!("`{}` is no folder name", pointer.directory)));
        }
        Ok(Some(pointer))
    }

    fn publish(
        &self,
        repository: &RootRepository,
        fresh: &Path,
        now: Timestamp,
    ) -> std::io::Result<()> {
        let directory = fresh.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pointer = serde_json::to_vec(&Pointer { directory, refreshed_at: now })?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        std::io::Write::write_all(&mut file, &pointer)?;
        file.as_file().sync_all()?;
        file.persist(self.pointer_file(repository))?;
        Ok(())
    }
}

impl RootRepository {
    fn config(&self, cache: &Path) -> TufConfig {
        TufConfig::custom(&self.url, TufBootstrap::trusted(&self.bootstrap))
            .with_cache_dir(cache.to_path_buf())
    }

    fn source(&self, root: TrustedRoot) -> RootSource {
        RootSource::Document { name: self.name.clone(), root: Box::new(root) }
    }

    fn failed(&self, reason: String) -> TrustError {
        TrustError::Root { name: self.name.clone(), reason }
    }
}

/// The library builds an HTTP client without naming a TLS provider; a program that has set none
/// gets the one that everything else here uses.
pub(crate) fn provide_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the program has set one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// Copies a folder of files and folders of files, which is all that a TUF cache is.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            for inner in std::fs::read_dir(entry.path())? {
                let inner = inner?;
                if inner.file_type()?.is_file() {
                    std::fs::copy(inner.path(), target.join(inner.file_name()))?;
                }
            }
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
