//! Manifests and image indexes: handing out and taking in.

use std::sync::Arc;

use axum::{body::Body, extract::Request, response::Response};
use eyas_artifact::{Descriptor, Digest, Document, media};
use http::{
    HeaderName, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION},
};
use oci_distribution::errors::OciErrorCode;

use super::{
    Registry,
    answer::{Refusal, with},
    empty,
    route::{Key, Route},
};
use crate::{config::MAX_MANIFEST_BYTES, error::OciError};

pub(super) const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
const SUBJECT_HEADER: HeaderName = HeaderName::from_static("oci-subject");

pub(super) async fn handle(
    registry: &Arc<Registry>,
    route: &Route,
    key: &Key,
    request: Request,
) -> Result<Response, Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => get(registry, route, key, &request),
        Method::PUT => put(registry, route, key, request).await,
        Method::DELETE => delete(registry, route, key).await,
        _ => Err(Refusal::method()),
    }
}

fn get(
    registry: &Registry,
    route: &Route,
    key: &Key,
    request: &Request,
) -> Result<Response, Refusal> {
    let unknown = || {
        let message = format!("`{}` has no such manifest", route.repository);
        Refusal::unknown(OciErrorCode::ManifestUnknown, message)
    };
    let entry = find(registry, &route.repository, key)?.ok_or_else(unknown)?;
    let tag = format!("\"{}\"", entry.digest);
    let unchanged = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(&tag)));
    if unchanged {
        return Ok(with(empty(StatusCode::NOT_MODIFIED), ETAG, &tag));
    }
    let bytes = registry.layout.document(&entry.digest)?.ok_or_else(unknown)?;
    let length = bytes.len().to_string();
    let body = if *request.method() == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let response = with(Response::new(body), CONTENT_TYPE, &entry.media_type);
    let response = with(response, CONTENT_LENGTH, &length);
    let response = with(response, ETAG, &tag);
    Ok(with(response, DIGEST_HEADER, &entry.digest.to_string()))
}

/// Takes a tag away from what it points at, or a manifest with all its tags out of the repository.
async fn delete(registry: &Arc<Registry>, route: &Route, key: &Key) -> Result<Response, Refusal> {
    let (shared, repository, key) = (Arc::clone(registry), route.repository.clone(), key.clone());
    let removed = tokio::task::spawn_blocking(move || {
        let unnamed = Some(shared.unnamed());
        match &key {
            Key::Tag(tag) => shared.layout.untag(&repository, tag, unnamed),
            Key::Digest(digest) => shared.layout.unlist(&repository, digest, unnamed),
        }
    });
    if removed.await.map_err(|_| stopped())?? {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let message = format!("`{}` has no such manifest", route.repository);
    Err(Refusal::unknown(OciErrorCode::ManifestUnknown, message))
}

/// The entry for a tag or digest.
fn find(registry: &Registry, repository: &str, key: &Key) -> Result<Option<Descriptor>, OciError> {
    let unnamed = Some(registry.unnamed());
    match key {
        Key::Tag(tag) => Ok(registry.layout.index()?.find_tag(repository, tag, unnamed).cloned()),
        Key::Digest(digest) => registry.layout.find(repository, digest, unnamed),
    }
}

async fn put(
    registry: &Arc<Registry>,
    route: &Route,
    key: &Key,
    request: Request,
) -> Result<Response, Refusal> {
    let sent_as = crate::transport::media_type(request.headers());
    let bytes = axum::body::to_bytes(request.into_body(), MAX_MANIFEST_BYTES as usize)
        .await
        .map_err(|_| {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                OciErrorCode::SizeInvalid,
                format!("no manifest of at most {MAX_MANIFEST_BYTES} bytes came"),
            )
        })?;
    let digest = Digest::sha256(&bytes);
    if let Key::Digest(expected) = key
        && *expected != digest
    {
        let message = format!("expected digest `{expected}`, found `{digest}`");
        return Err(Refusal::bad(OciErrorCode::DigestInvalid, message));
    }
    let media_type = sent_as.unwrap_or_else(|| media::OCI_MANIFEST.to_owned());
    let document = Document::from_slice(&media_type, &bytes)
        .map_err(|error| Refusal::bad(OciErrorCode::ManifestInvalid, error.to_string()))?;
    check_complete(registry, &document)?;
    let tag = match key {
        Key::Tag(tag) => Some(tag.clone()),
        Key::Digest(_) => None,
    };
    let (shared, repository) = (Arc::clone(registry), route.repository.clone());
    let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
    // Waiting for the disk and for the lock must not hold up other requests.
    let stored = tokio::task::spawn_blocking(move || {
        shared.layout.put_bytes(&bytes)?;
        shared.layout.list(Some(&repository), tag.as_deref(), &descriptor)
    });
    stored.await.map_err(|_| stopped())??;
    let response = empty(StatusCode::CREATED);
    let address = format!("/v2/{}/manifests/{digest}", route.repository);
    let response = with(response, LOCATION, &address);
    let response = with(response, DIGEST_HEADER, &digest.to_string());
    Ok(match subject(&document) {
        Some(subject) => with(response, SUBJECT_HEADER, &subject.to_string()),
        None => response,
    })
}

pub(super) fn stopped() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        OciErrorCode::Other("UNKNOWN".to_owned()),
        "the registry is shutting down",
    )
}

fn subject(document: &Document) -> Option<Digest> {
    let subject = match document {
        Document::Manifest(manifest) => manifest.subject.as_ref(),
        Document::Index(index) => index.subject.as_ref(),
    };
    subject.map(|subject| subject.digest)
}

/// Everything a manifest names must be there, but its subject: signatures may come first.
fn check_complete(registry: &Registry, document: &Document) -> Result<(), Refusal> {
    let named: Vec<&Descriptor> = match document {
        Document::Manifest(manifest) => {
            std::iter::once(&manifest.config).chain(&manifest.layers).collect()
        }
        Document::Index(index) => index.manifests.iter().collect(),
    };
    for descriptor in named {
        if registry.layout.blob_size(&descriptor.digest)? != Some(descriptor.size) {
            let message = format!(
                "`{}` of {} bytes has not been uploaded",
                descriptor.digest, descriptor.size
            );
            return Err(Refusal::bad(OciErrorCode::ManifestBlobUnknown, message));
        }
    }
    Ok(())
}
