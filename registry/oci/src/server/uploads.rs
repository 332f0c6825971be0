//! Uploads of blobs: in one request, or opened, continued and closed.
//!
//! Owns the uploads under way. Each has a nameless file; what is not closed within an hour is
//! forgotten with it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{body::Body, extract::Request, response::Response};
use eyas_artifact::Digest;
use futures_util::StreamExt as _;
use http::{
    HeaderName, Method, StatusCode,
    header::{CONTENT_RANGE, LOCATION, RANGE},
};
use oci_distribution::errors::OciErrorCode;

use super::{
    Registry,
    answer::{Refusal, query, with},
    empty,
    manifests::DIGEST_HEADER,
    route::{Route, Target, digest},
};
use crate::{error::OciError, layout::BlobWriter};

/// How long an upload may rest.
const REST: Duration = Duration::from_hours(1);
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

struct Session {
    repository: String,
    touched: Mutex<Instant>,
    /// `None` once it is closed.
    writer: tokio::sync::Mutex<Option<BlobWriter>>,
}

/// The uploads under way.
pub(super) struct Uploads {
    limit: usize,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl Uploads {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, sessions: Mutex::default() }
    }

    fn open(&self, repository: &str, writer: BlobWriter) -> Result<String, Refusal> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.rested() < REST);
        if sessions.len() >= self.limit {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                OciErrorCode::Toomanyrequests,
                format!("there are {} uploads under way already", self.limit),
            ));
        }
        let id = identifier();
        let session = Session {
            repository: repository.to_owned(),
            touched: Mutex::new(Instant::now()),
            writer: tokio::sync::Mutex::new(Some(writer)),
        };
        sessions.insert(id.clone(), Arc::new(session));
        Ok(id)
    }

    fn find(&self, repository: &str, id: &str) -> Result<Arc<Session>, Refusal> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(id).filter(|session| session.repository == repository);
        session.map(Arc::clone).inspect(|session| session.touch()).ok_or_else(unknown)
    }

    fn close(&self, id: &str) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Session {
    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn rested(&self) -> Duration {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

fn unknown() -> Refusal {
    Refusal::unknown(OciErrorCode::BlobUploadUnknown, "there is no such upload")
}

/// 128 random bits; who may upload may not guess another's upload.
fn identifier() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

pub(super) async fn handle(
    registry: &Arc<Registry>,
    route: &Route,
    request: Request,
) -> Result<Response, Refusal> {
    let Target::UploadSession(id) = &route.target else {
        return match *request.method() {
            Method::POST => open(registry, route, request).await,
            _ => Err(Refusal::method()),
        };
    };
    match *request.method() {
        Method::PATCH => proceed(registry, route, id, request).await,
        Method::PUT => close(registry, route, id, request).await,
        Method::GET => state(registry, route, id).await,
        Method::DELETE => {
            registry.uploads.find(&route.repository, id)?;
            registry.uploads.close(id);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Refusal::method()),
    }
}

async fn open(
    registry: &Arc<Registry>,
    route: &Route,
    request: Request,
) -> Result<Response, Refusal> {
    if let Some(mounted) = query(&request, "mount") {
        // All repositories share one blob directory: what is there can be mounted from anywhere.
        let mounted = digest(&mounted)?;
        if registry.layout.blob_size(&mounted)?.is_some() {
            return Ok(created(route, &mounted));
        }
    }
    let mut writer = registry.layout.writer()?;
    if let Some(expected) = query(&request, "digest") {
        let expected = digest(&expected)?;
        take(registry, &mut writer, request.into_body()).await?;
        writer.commit(Some(&expected)).await?;
        return Ok(created(route, &expected));
    }
    let id = registry.uploads.open(&route.repository, writer)?;
    Ok(under_way(route, &id, 0, StatusCode::ACCEPTED))
}

async fn proceed(
    registry: &Arc<Registry>,
    route: &Route,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let session = registry.uploads.find(&route.repository, id)?;
    let mut slot = session.writer.lock().await;
    let writer = slot.as_mut().ok_or_else(unknown)?;
    if let Some(first) = first_byte(&request)?
        && first != writer.size()
    {
        return Ok(under_way(route, id, writer.size(), StatusCode::RANGE_NOT_SATISFIABLE));
    }
    let taken = take(registry, writer, request.into_body()).await;
    session.touch();
    taken?;
    Ok(under_way(route, id, writer.size(), StatusCode::ACCEPTED))
}

async fn close(
    registry: &Arc<Registry>,
    route: &Route,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let session = registry.uploads.find(&route.repository, id)?;
    let expected = digest(&query(&request, "digest").unwrap_or_default())?;
    let mut slot = session.writer.lock().await;
    let writer = slot.as_mut().ok_or_else(unknown)?;
    if let Some(first) = first_byte(&request)?
        && first != writer.size()
    {
        return Ok(under_way(route, id, writer.size(), StatusCode::RANGE_NOT_SATISFIABLE));
    }
    let taken = take(registry, writer, request.into_body()).await;
    // A request that broke off has left half of itself in the file: nothing can follow it.
    let Some(writer) = slot.take() else { return Err(unknown()) };
    registry.uploads.close(id);
    taken?;
    writer.commit(Some(&expected)).await?;
    Ok(created(route, &expected))
}

async fn state(registry: &Arc<Registry>, route: &Route, id: &str) -> Result<Response, Refusal> {
    let session = registry.uploads.find(&route.repository, id)?;
    let slot = session.writer.lock().await;
    let size = slot.as_ref().ok_or_else(unknown)?.size();
    Ok(under_way(route, id, size, StatusCode::NO_CONTENT))
}

/// Moves a request's body into the file.
async fn take(registry: &Registry, writer: &mut BlobWriter, body: Body) -> Result<(), Refusal> {
    let limit = registry.options.max_blob_bytes;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk
            .map_err(|_| Refusal::bad(OciErrorCode::BlobUploadInvalid, "the upload broke off"))?;
        let found = writer.size() + chunk.len() as u64;
        if found > limit {
            let what = "the upload".to_owned();
            return Err(OciError::TooLarge { what, limit, found }.into());
        }
        writer.append(&chunk).await.map_err(|source| {
            Refusal::from(OciError::Io { path: registry.layout.root().to_owned(), source })
        })?;
    }
    Ok(())
}

/// Where a piece says it begins: `Content-Range: <first>-<last>`, with or without the unit.
fn first_byte(request: &Request) -> Result<Option<u64>, Refusal> {
    let Some(value) = request.headers().get(CONTENT_RANGE) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let range = text.strip_prefix("bytes ").unwrap_or(text);
    match range.split_once('-').and_then(|(first, _)| first.trim().parse().ok()) {
        Some(first) => Ok(Some(first)),
        None => Err(Refusal::bad(OciErrorCode::BlobUploadInvalid, "`Content-Range` is malformed")),
    }
}

fn created(route: &Route, digest: &Digest) -> Response {
    let response = empty(StatusCode::CREATED);
    let response = with(response, LOCATION, &format!("/v2/{}/blobs/{digest}", route.repository));
    with(response, DIGEST_HEADER, &digest.to_string())
}

fn under_way(route: &Route, id: &str, size: u64, status: StatusCode) -> Response {
    let response = empty(status);
    let address = format!("/v2/{}/blobs/uploads/{id}", route.repository);
    let response = with(response, LOCATION, &address);
    let response = with(response, UPLOAD_ID, id);
    with(response, RANGE, &format!("0-{}", size.saturating_sub(1)))
}
