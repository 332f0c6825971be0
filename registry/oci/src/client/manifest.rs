//! Manifests and image indexes: what a tag points at, and the documents themselves.
//!
//! Owns the agreement of the three statements about a document: its digest, the media type in the
//! answer, and the media type inside. Reading its content is left to `eyas-artifact`.

use eyas_artifact::{Digest, Reference, media};
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH},
};
use serde::Deserialize;

use super::{Client, Place, Remote, key};
use crate::{
    error::OciError,
    transport::{Call, media_type},
};

/// Header in which registries tell the digest of a manifest.
pub(super) const CONTENT_DIGEST: &str = "docker-content-digest";

/// What a reference points at, from the headers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A manifest or index as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The document.
    pub bytes: Vec<u8>,
    /// Its digest, computed from the bytes.
    pub digest: Digest,
    /// Its media type, which answer and document agree on.
    pub media_type: String,
}

impl Client {
    /// What a tag points at now: one small request, without the document. The digest is the
    /// registry's word, to be compared with a known one; [`Client::pin`] computes it.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, OciError> {
        let mut places = self.places(reference)?;
        loop {
            match self.resolve_at(&places.current, reference).await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => places.advance(error)?,
            }
        }
    }

    /// The document that a tag or digest points at, at most
    /// [`manifest_bytes`](crate::Limits::manifest_bytes) large.
    pub async fn manifest(&self, reference: &Reference) -> Result<Fetched, OciError> {
        let mut places = self.places(reference)?;
        loop {
            match self.manifest_at(&places.current, reference).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => places.advance(error)?,
            }
        }
    }

    async fn resolve_at(&self, place: &Place, reference: &Reference) -> Result<Resolved, OciError> {
        let remote = match place {
            Place::Registry(remote) => remote,
            Place::Layout(local) => return local.resolve(reference),
        };
        let call = self
            .manifest_call(Method::HEAD, remote, reference)?
            .expect(&[StatusCode::METHOD_NOT_ALLOWED]);
        let response = self.transport.send(&call).await?;
        if response.status().is_success()
            && let Some(resolved) = from_headers(response.headers())
        {
            return Ok(resolved);
        }
        let fetched = self.manifest_at(place, reference).await?;
        let size = fetched.bytes.len() as u64;
        Ok(Resolved { digest: fetched.digest, media_type: fetched.media_type, size })
    }

    pub(super) async fn manifest_at(
        &self,
        place: &Place,
        reference: &Reference,
    ) -> Result<Fetched, OciError> {
        let remote = match place {
            Place::Registry(remote) => remote,
            Place::Layout(local) => return local.manifest(reference),
        };
        let call = self.manifest_call(Method::GET, remote, reference)?;
        let answer = self.transport.read(&call, self.config().limits.manifest_bytes).await?;
        let told = told_digest(&answer.headers);
        check(reference, answer.body, told, media_type(&answer.headers))
    }

    fn manifest_call(
        &self,
        method: Method,
        place: &Remote,
        reference: &Reference,
    ) -> Result<Call, OciError> {
        let path = format!("manifests/{}", key(reference));
        let call = self.reading(method, place, &path, reference.to_string())?;
        Ok([media::OCI_MANIFEST, media::OCI_INDEX, media::DOCKER_MANIFEST, media::DOCKER_INDEX]
            .into_iter()
            .fold(call, |call, accepted| call.header(ACCEPT, accepted)))
    }
}

fn from_headers(headers: &HeaderMap) -> Option<Resolved> {
    Some(Resolved {
        digest: told_digest(headers)?,
        media_type: media_type(headers).filter(|found| is_document(found))?,
        size: headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?,
    })
}

fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

fn is_document(media_type: &str) -> bool {
    media::is_manifest(media_type) || media::is_index(media_type)
}

/// Holds a document against the digest that was asked for, else against the one that was told, and
/// settles its media type.
pub(super) fn check(
    reference: &Reference,
    bytes: Vec<u8>,
    told: Option<Digest>,
    answered: Option<String>,
) -> Result<Fetched, OciError> {
    let digest = Digest::sha256(&bytes);
    if let Some(expected) = reference.digest().copied().or(told).filter(|known| *known != digest) {
        let what = reference.to_string();
        return Err(OciError::DigestMismatch { what, expected, found: digest });
    }
    let media_type = settle(&bytes, answered)
        .map_err(|detail| OciError::Malformed { what: reference.to_string(), detail })?;
    Ok(Fetched { bytes, digest, media_type })
}

/// The media type that answer and document agree on. Plain file servers answer with a general type:
/// then the document's own word counts.
fn settle(bytes: &[u8], answered: Option<String>) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Own {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let own: Own = serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"))?;
    match (answered.filter(|found| is_document(found)), own.media_type) {
        (Some(answered), Some(own)) if answered != own => {
            Err(format!("it was sent as `{answered}` but says that it is `{own}`"))
        }
        (Some(agreed), _) | (None, Some(agreed)) => Ok(agreed),
        (None, None) if own.manifests.is_some() => Ok(media::OCI_INDEX.to_owned()),
        (None, None) => Ok(media::OCI_MANIFEST.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_what_both_agree_on() {
        let own = format!(r#"{{"mediaType":"{}"}}"#, media::OCI_MANIFEST);
        let settle =
            |own: &str, answered: Option<&str>| settle(own.as_bytes(), answered.map(str::to_owned));
        assert_eq!(settle(&own, Some(media::OCI_MANIFEST)).unwrap(), media::OCI_MANIFEST);
        assert_eq!(settle(&own, Some("application/json")).unwrap(), media::OCI_MANIFEST);
        assert_eq!(settle("{}", Some(media::OCI_INDEX)).unwrap(), media::OCI_INDEX);
        assert_eq!(settle(r#"{"manifests":[]}"#, None).unwrap(), media::OCI_INDEX);
        assert_eq!(settle("{}", None).unwrap(), media::OCI_MANIFEST);
        assert!(settle(&own, Some(media::OCI_INDEX)).unwrap_err().contains("says that it is"));
        assert!(settle("<html>", None).is_err());
    }

    #[test]
    fn the_digest_asked_for_wins_over_the_one_told() {
        let bytes = b"{}".to_vec();
        let other = Digest::sha256("other");
        let by_tag: Reference = "r/a:1".parse().unwrap();
        let good = by_tag.with_digest(Digest::sha256(&bytes));
        assert!(check(&good, bytes.clone(), Some(other), None).is_ok());
        let error = check(&by_tag, bytes.clone(), Some(other), None).unwrap_err();
        assert!(matches!(error, OciError::DigestMismatch { expected, .. } if expected == other));
        assert!(check(&by_tag.with_digest(other), bytes, None, None).is_err());
    }
}
