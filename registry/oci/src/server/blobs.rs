//! Blobs: handing out, whole or in part.

use std::{io::SeekFrom, sync::Arc};

use axum::{body::Body, response::Response};
use eyas_artifact::Digest;
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use oci_distribution::errors::OciErrorCode;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{
    Registry,
    answer::{Refusal, with},
    empty,
    manifests::{DIGEST_HEADER, stopped},
    route::Route,
};
use crate::{error::OciError, layout::Removal};

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Removes a blob that no manifest needs. All repositories share one blob directory: what another one
/// needs stays.
async fn delete(
    registry: &Arc<Registry>,
    route: &Route,
    digest: Digest,
) -> Result<Response, Refusal> {
    let shared = Arc::clone(registry);
    let removed = tokio::task::spawn_blocking(move || shared.layout.remove_blob(&digest));
    match removed.await.map_err(|_| stopped())?? {
        Removal::Done => Ok(empty(StatusCode::ACCEPTED)),
        Removal::Absent => {
            let message = format!("`{}` has no such blob", route.repository);
            Err(Refusal::unknown(OciErrorCode::BlobUnknown, message))
        }
        Removal::Needed => Err(Refusal::new(
            StatusCode::CONFLICT,
            OciErrorCode::Denied,
            "a manifest needs this blob: delete that first",
        )),
    }
}

/// The part of a blob that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From the first to the last byte, both counted.
    Bytes(u64, u64),
    /// None of it is there.
    Nothing,
}

pub(super) async fn handle(
    registry: &Arc<Registry>,
    route: &Route,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    match *method {
        Method::GET | Method::HEAD => {}
        Method::DELETE => return delete(registry, route, digest).await,
        _ => return Err(Refusal::method()),
    }
    let Some(size) = registry.layout.blob_size(&digest)? else {
        let message = format!("`{}` has no such blob", route.repository);
        return Err(Refusal::unknown(OciErrorCode::BlobUnknown, message));
    };
    let tag = format!("\"{digest}\"");
    let (status, first, length) = match part(headers, size, &tag) {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Bytes(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Part::Nothing => {
            let response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(with(response, CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        body(registry, &digest, first, length).await?
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let response = with(response, CONTENT_TYPE, "application/octet-stream");
    let response = with(response, CONTENT_LENGTH, &length.to_string());
    let response = with(response, ACCEPT_RANGES, "bytes");
    let response = with(response, ETAG, &tag);
    let response = with(response, DIGEST_HEADER, &digest.to_string());
    if status != StatusCode::PARTIAL_CONTENT {
        return Ok(response);
    }
    let range = format!("bytes {first}-{}/{size}", first + length - 1);
    Ok(with(response, CONTENT_RANGE, &range))
}

async fn body(
    registry: &Registry,
    digest: &Digest,
    first: u64,
    length: u64,
) -> Result<Body, OciError> {
    let path = registry.layout.blob_path(digest);
    let at = |source| OciError::Io { path: path.clone(), source };
    let mut file = tokio::fs::File::open(&path).await.map_err(at)?;
    if first > 0 {
        file.seek(SeekFrom::Start(first)).await.map_err(at)?;
    }
    Ok(Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES)))
}

/// Reads `Range` (RFC 9110 section 14.2). Several parts at once are not served: then the whole is,
/// as the specification allows. So it is for a part of something else (`If-Range`).
fn part(headers: &HeaderMap, size: u64, tag: &str) -> Part {
    let stale = headers.get(IF_RANGE).is_some_and(|value| value.as_bytes() != tag.as_bytes());
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.and_then(|text| text.strip_prefix("bytes=")).filter(|_| !stale) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Part::Whole;
    };
    let end = size.saturating_sub(1);
    match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(first), _) if first >= size => Part::Nothing,
        (Ok(first), "") => Part::Bytes(first, end),
        (Ok(first), last) => match last.parse::<u64>() {
            Ok(last) if last >= first => Part::Bytes(first, last.min(end)),
            _ => Part::Whole,
        },
        (Err(_), last) if first.is_empty() => match last.parse::<u64>() {
            Ok(0) => Part::Nothing,
            Ok(_) if size == 0 => Part::Nothing,
            Ok(count) => Part::Bytes(size.saturating_sub(count), end),
            Err(_) => Part::Whole,
        },
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, size: u64) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        part(&headers, size, "\"x\"")
    }

    #[test]
    fn parts_are_cut_to_what_there_is() {
        assert_eq!(of("bytes=0-4", 10), Part::Bytes(0, 4));
        assert_eq!(of("bytes=5-", 10), Part::Bytes(5, 9));
        assert_eq!(of("bytes=9-", 10), Part::Bytes(9, 9));
        assert_eq!(of("bytes=5-99", 10), Part::Bytes(5, 9));
        assert_eq!(of("bytes=-3", 10), Part::Bytes(7, 9));
        assert_eq!(of("bytes=-30", 10), Part::Bytes(0, 9));
    }

    #[test]
    fn what_is_not_there_cannot_be_sent() {
        assert_eq!(of("bytes=10-", 10), Part::Nothing);
        assert_eq!(of("bytes=-0", 10), Part::Nothing);
        assert_eq!(of("bytes=0-", 0), Part::Nothing);
        assert_eq!(of("bytes=-1", 0), Part::Nothing);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for range in ["lines=1-2", "bytes=", "bytes=a-b", "bytes=4-2", "bytes=0-1,3-4", "bytes=-"] {
            assert_eq!(of(range, 10), Part::Whole, "{range}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=1-2".parse().unwrap());
        headers.insert(IF_RANGE, "\"y\"".parse().unwrap());
        assert_eq!(part(&headers, 10, "\"x\""), Part::Whole);
        headers.insert(IF_RANGE, "\"x\"".parse().unwrap());
        assert_eq!(part(&headers, 10, "\"x\""), Part::Bytes(1, 2));
    }
}
