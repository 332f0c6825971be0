//! Documents at addresses outside of the distribution protocol, such as an index.
//!
//! They are fetched with everything that counts for registries: authentication, certificates,
//! proxies, limits, redirects and repetition. A document that is known by its entity tag is not sent
//! again.

use eyas_artifact::Reference;
use http::{
    Method, StatusCode,
    header::{ETAG, IF_NONE_MATCH},
};
use url::Url;

use super::Client;
use crate::{
    auth::Scope,
    error::OciError,
    secret::printable,
    transport::{Answer, Call, authority},
};

/// Longest entity tag that is kept, in bytes.
const MAX_TAG_BYTES: usize = 1024;

/// A document, and what to call this state of it when asking again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The content.
    pub bytes: Vec<u8>,
    /// Its entity tag, where the server gave one; the digest for one from a registry.
    pub tag: Option<String>,
}

impl Client {
    /// The document at `url`, of at most `limit` bytes.
    pub async fn document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, OciError> {
        let document = self.document_if_new(url, limit, None).await?;
        let unasked = || OciError::Malformed {
            what: printable(url),
            detail: "it is unchanged, says the server, but nothing of it was known".to_owned(),
        };
        document.map(|document| document.bytes).ok_or_else(unasked)
    }

    /// The same; `None` when it is still in the state with the entity tag `known`.
    pub async fn document_if_new(
        &self,
        url: &Url,
        limit: u64,
        known: Option<&str>,
    ) -> Result<Option<Document>, OciError> {
        let what = printable(url);
        let call = Call::new(Method::GET, authority(url), url.clone(), Scope::none(), what);
        let answer = self.transport.read(&conditional(call, known), limit).await?;
        Ok(changed(answer, known))
    }

    /// The first layer of an artifact, of at most `limit` bytes; `None` when the reference still
    /// points at the digest `known`.
    pub async fn layer_if_new(
        &self,
        reference: &Reference,
        layer_type: &str,
        limit: u64,
        known: Option<&str>,
    ) -> Result<Option<Document>, OciError> {
        let fetched = self.manifest(reference).await?;
        let digest = fetched.digest.to_string();
        if known == Some(digest.as_str()) {
            return Ok(None);
        }
        let unsupported =
            |detail: String| OciError::Unsupported { what: reference.to_string(), detail };
        let manifest = eyas_artifact::Manifest::from_slice(&fetched.bytes)
            .map_err(|error| unsupported(error.to_string()))?;
        let layer = manifest.layers.first().filter(|layer| layer.media_type == layer_type);
        let layer =
            layer.ok_or_else(|| unsupported(format!("expected a layer of `{layer_type}`")))?;
        let pinned = reference.with_digest(fetched.digest);
        let bytes = self.blob_bytes(&pinned, layer, limit).await?;
        Ok(Some(Document { bytes, tag: Some(digest) }))
    }
}

/// Asks for another state than the one that is known.
pub(super) fn conditional(call: Call, known: Option<&str>) -> Call {
    match known {
        Some(tag) => call.text_header(IF_NONE_MATCH, tag).expect(&[StatusCode::NOT_MODIFIED]),
        None => call,
    }
}

pub(super) fn changed(answer: Answer, known: Option<&str>) -> Option<Document> {
    if known.is_some() && answer.status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let tag = tag.filter(|tag| tag.len() <= MAX_TAG_BYTES).map(str::to_owned);
    Some(Document { bytes: answer.body, tag })
}
