//! Uploading blobs.
//!
//! Owns the order of things: a blob that is there is not sent again, and a mount that is not granted
//! becomes an upload. The whole blob goes in one streamed request, which every registry takes.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use eyas_artifact::{Descriptor, Reference};
use http::{
    Method, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::{BlobSink as _, Client, Place, Remote};
use crate::{
    auth::Scope,
    error::OciError,
    layout::BlobWriter,
    secret::printable,
    transport::{Body, Call},
};

/// Bytes read from a file at once.
const FILE_CHUNK_BYTES: usize = 256 * 1024;

/// Content to upload; it can be read more than once.
#[derive(Clone, Debug)]
pub enum BlobSource {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, streamed.
    File(PathBuf),
}

impl BlobSource {
    /// Writes the content to a directory.
    pub(super) async fn pour(&self, writer: &mut BlobWriter) -> Result<(), OciError> {
        let root = writer.root().to_owned();
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OciError::Io { path, source }
        };
        match self {
            Self::Bytes(bytes) => writer.write(bytes).await.map_err(at(&root)),
            Self::File(path) => {
                let mut file = tokio::fs::File::open(path).await.map_err(at(path))?;
                let mut buffer = vec![0; FILE_CHUNK_BYTES];
                loop {
                    let length = file.read(&mut buffer).await.map_err(at(path))?;
                    if length == 0 {
                        return Ok(());
                    }
                    writer.write(&buffer[..length]).await.map_err(at(&root))?;
                }
            }
        }
    }

    fn body(&self, length: u64) -> Body {
        match self {
            Self::Bytes(bytes) => Body::Bytes(bytes.clone()),
            Self::File(path) => Body::File { path: path.clone(), length },
        }
    }
}

/// How a blob came to be in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl Client {
    /// Uploads a blob, unless it is there or can be mounted from the repository `mount_from` of the
    /// same registry.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount_from: Option<&str>,
    ) -> Result<Pushed, OciError> {
        let place = match self.origin(reference)? {
            Place::Registry(remote) => remote,
            Place::Layout(local) => {
                let sent = local.push_blob(descriptor, source).await?;
                return Ok(if sent { Pushed::Uploaded } else { Pushed::Existed });
            }
        };
        let what = reference.with_digest(descriptor.digest).to_string();
        let mut scope = Scope::push(&place.repository);
        if let Some(from) = mount_from {
            scope = scope.and_pull(from);
        }
        let upload = Upload { client: self, place, what, descriptor, scope };
        if upload.exists().await? {
            return Ok(Pushed::Existed);
        }
        let Some(address) = upload.open(mount_from).await? else { return Ok(Pushed::Mounted) };
        upload.send(address, source).await?;
        Ok(Pushed::Uploaded)
    }
}

/// One blob on its way to a registry.
struct Upload<'a> {
    client: &'a Client,
    place: Remote,
    what: String,
    descriptor: &'a Descriptor,
    scope: Scope,
}

impl Upload<'_> {
    fn call(&self, method: Method, path: &str) -> Result<Call, OciError> {
        self.client.call(method, &self.place, path, self.scope.clone(), self.what.clone())
    }

    async fn exists(&self) -> Result<bool, OciError> {
        let path = format!("blobs/{}", self.descriptor.digest);
        let call = self.call(Method::HEAD, &path)?.expect(&[StatusCode::NOT_FOUND]);
        Ok(self.client.transport.send(&call).await?.status().is_success())
    }

    /// Opens an upload and gives its address; `None` when the blob was mounted instead.
    async fn open(&self, mount_from: Option<&str>) -> Result<Option<Url>, OciError> {
        let mut call = self.call(Method::POST, "blobs/uploads/")?;
        if let Some(from) = mount_from {
            call.url
                .query_pairs_mut()
                .append_pair("mount", &self.descriptor.digest.to_string())
                .append_pair("from", from);
        }
        let response = self.client.transport.send(&call).await?;
        if response.status() == StatusCode::CREATED && mount_from.is_some() {
            return Ok(None);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|text| call.url.join(text).ok()).ok_or_else(|| {
            let detail = "the registry does not say where to upload to".to_owned();
            OciError::Malformed { what: self.what.clone(), detail }
        })?;
        self.check_target(&call.url, &target)?;
        Ok(Some(target))
    }

    /// The upload goes with our credentials, so it goes to the same host.
    fn check_target(&self, from: &Url, target: &Url) -> Result<(), OciError> {
        let reason = match (from.scheme(), target.scheme()) {
            ("https", "http") => "the upload would go from https to http",
            (_, "http" | "https") if target.host() == from.host() => return Ok(()),
            _ => "the upload would go to another host",
        };
        Err(OciError::Redirect { what: self.what.clone(), target: printable(target), reason })
    }

    async fn send(&self, mut address: Url, source: &BlobSource) -> Result<(), OciError> {
        address.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        let (scope, what) = (self.scope.clone(), self.what.clone());
        let call = Call::new(Method::PUT, &self.place.registry, address, scope, what)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(source.body(self.descriptor.size));
        self.client.transport.send(&call).await.map(drop)
    }
}
