//! Pull: the archive of an artifact into a directory, as it is, for a person to look at.
//!
//! Nothing is verified beyond digest and size, and nothing is unpacked or installed.

use std::io;
use std::path::{Path, PathBuf};

use eyas_artifact::{Digest, Kind, Platform, Reference, media};
use eyas_oci::{BlobSink, Client, Metered, Pinned};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use crate::{Event, Listener, OpsError};

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Kind of the artifact.
    pub kind: Kind,
    /// Where it was pulled from, by digest.
    pub reference: Reference,
    /// Digest of the archive.
    pub digest: Digest,
    /// Size of the archive in bytes.
    pub size: u64,
    /// Where it is now.
    pub path: PathBuf,
}

/// Fetches the archive of `reference` into `dir`.
pub async fn pull(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
    dir: &Path,
    listener: &dyn Listener,
) -> Result<Pulled, OpsError> {
    let (pinned, planned) = look(client, reference, platform, dir).await?;
    let layer = pinned.layer();
    let name = file_name(reference, layer.annotations.get(media::ANNOTATION_TITLE))?;
    let failed = |source| OpsError::storage("write the archive to", dir, source);
    std::fs::create_dir_all(dir).map_err(failed)?;
    let target = NamedTempFile::new_in(dir).map_err(failed)?;
    let mut sink = FileSink { file: File::from_std(target.reopen().map_err(failed)?) };
    let mut metered = Metered::new(&mut sink, |done| {
        listener.tell(&Event::Transfer { name: &name, done, total: layer.size });
    });
    client.blob(pinned.reference(), layer, &mut metered).await?;
    sink.file.flush().await.map_err(failed)?;
    target.persist(&planned.path).map_err(|error| failed(error.error))?;
    Ok(planned)
}

/// What [`pull`] would fetch, and where to.
pub async fn plan_pull(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
    dir: &Path,
) -> Result<Pulled, OpsError> {
    Ok(look(client, reference, platform, dir).await?.1)
}

async fn look(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
    dir: &Path,
) -> Result<(Pinned, Pulled), OpsError> {
    let pinned = client.pin(reference, platform).await?;
    let layer = pinned.layer();
    let name = file_name(reference, layer.annotations.get(media::ANNOTATION_TITLE))?;
    let pulled = Pulled {
        kind: pinned.kind(),
        reference: pinned.reference().clone(),
        digest: layer.digest,
        size: layer.size,
        path: dir.join(&name),
    };
    Ok((pinned, pulled))
}

/// The archive of a pinned artifact in a file without a name, to be looked at and forgotten.
pub(crate) async fn fetch_archive(
    client: &Client,
    pinned: &Pinned,
    name: &str,
    listener: &dyn Listener,
) -> Result<std::fs::File, OpsError> {
    let layer = pinned.layer();
    let target = tempfile::tempfile().map_err(OpsError::scratch)?;
    let mut sink =
        FileSink { file: File::from_std(target.try_clone().map_err(OpsError::scratch)?) };
    let mut metered = Metered::new(&mut sink, |done| {
        listener.tell(&Event::Transfer { name, done, total: layer.size });
    });
    client.blob(pinned.reference(), layer, &mut metered).await?;
    sink.file.flush().await.map_err(OpsError::scratch)?;
    sink.file.rewind().await.map_err(OpsError::scratch)?;
    Ok(target)
}

/// The title is the publisher's word: it may name a file here and nothing else.
fn file_name(reference: &Reference, title: Option<&String>) -> Result<String, OpsError> {
    let Some(title) = title else { return Ok(format!("{}.tar.gz", reference.base_name())) };
    let plain = !title.is_empty()
        && !title.starts_with('.')
        && !title.contains(['/', '\\', '\0'])
        && !title.chars().any(char::is_control);
    if plain {
        return Ok(title.clone());
    }
    Err(OpsError::UnsafeTitle { reference: reference.to_string(), title: title.clone() })
}

struct FileSink {
    file: File,
}

impl BlobSink for FileSink {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk).await
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.file.rewind().await?;
        self.file.set_len(0).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_a_plain_file_name() {
        let reference: Reference = "r.example.org/a/demo:1".parse().expect("a reference");
        let name = |title: &str| file_name(&reference, Some(&title.to_owned()));
        assert_eq!(name("demo.tar.gz").expect("plain"), "demo.tar.gz");
        assert_eq!(name("a..b.tar.gz").expect("plain"), "a..b.tar.gz");
        assert_eq!(file_name(&reference, None).expect("named"), "demo.tar.gz");
        for bad in ["", "..", "../x", "/etc/passwd", ".bashrc", "a\nb", "a\\b"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
