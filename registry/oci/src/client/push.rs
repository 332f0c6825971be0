//! Uploading manifests, and referrers with their list.
//!
//! Owns the rule that a referrer is listed under the fallback tag where the registry does not list
//! it itself. Pushes go to the registry, never to a mirror. Blobs are uploaded by `upload`.

use bytes::Bytes;
use eyas_artifact::{Descriptor, Digest, ImageIndex, Manifest, Reference, media};
use http::{HeaderMap, Method, header::CONTENT_TYPE};

use super::{Client, Place, key, manifest::CONTENT_DIGEST, referrers::fallback_reference};
use crate::{auth::Scope, error::OciError, transport::Body};

/// Header by which a registry says that it lists referrers itself.
const SUBJECT: &str = "oci-subject";
/// Most bytes that the entries of such a list bring along; registries refuse lists of 4 MiB.
const MAX_ALONG_BYTES: usize = 1024 * 1024;
/// How often the fallback list is written anew when somebody else wrote it at the same time.
const LIST_ATTEMPTS: usize = 5;

impl Client {
    /// Uploads a manifest or index under the reference's tag, or by digest where it has no tag.
    /// Everything it names must be there. Gives its digest.
    pub async fn push_manifest(
        &self,
        reference: &Reference,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Digest, OciError> {
        self.put_manifest(reference, bytes, media_type).await.map(|(digest, _)| digest)
    }

    /// Uploads a manifest that is about another one (it has a `subject`), and sees to it that it is
    /// listed as such. Gives its descriptor as it is listed.
    pub async fn push_referrer(
        &self,
        reference: &Reference,
        bytes: &[u8],
    ) -> Result<Descriptor, OciError> {
        let malformed = |detail: String| OciError::Malformed { what: reference.locator(), detail };
        let manifest = Manifest::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let subject = manifest
            .subject
            .as_ref()
            .ok_or_else(|| malformed("the manifest has no `subject`".to_owned()))?
            .digest;
        let mut entry = Descriptor::of(media::OCI_MANIFEST, bytes);
        entry.artifact_type = Some(manifest.artifact_type.unwrap_or(manifest.config.media_type));
        entry.annotations = manifest.annotations;
        let by_digest = reference.with_digest(entry.digest);
        let (_, headers) = self.put_manifest(&by_digest, bytes, media::OCI_MANIFEST).await?;
        // A directory lists what it has.
        if headers.is_some_and(|headers| !headers.contains_key(SUBJECT)) {
            // A list that we write can bring along what it lists.
            self.list_referrer(reference, &subject, entry.clone().with_data(bytes)).await?;
        }
        Ok(entry)
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(Digest, Option<HeaderMap>), OciError> {
        let digest = Digest::sha256(bytes);
        let what = reference.to_string();
        if let Some(expected) = reference.digest().copied().filter(|known| *known != digest) {
            return Err(OciError::DigestMismatch { what, expected, found: digest });
        }
        let name = match (reference.tag(), reference.digest()) {
            (None, None) => digest.to_string(),
            (Some(tag), _) => tag.to_owned(),
            (None, Some(_)) => key(reference),
        };
        let place = match self.origin(reference)? {
            Place::Registry(remote) => remote,
            Place::Layout(local) => {
                let digest = local.push_manifest(reference.tag(), bytes, media_type)?;
                return Ok((digest, None));
            }
        };
        let scope = Scope::push(&place.repository);
        let call = self
            .call(Method::PUT, &place, &format!("manifests/{name}"), scope, what.clone())?
            .text_header(CONTENT_TYPE, media_type)
            .body(Body::Bytes(Bytes::copy_from_slice(bytes)));
        let answer = self.transport.read(&call, self.config().limits.manifest_bytes).await?;
        let told = answer.headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
        match told.and_then(|text| text.parse::<Digest>().ok()) {
            Some(found) if found != digest => {
                Err(OciError::DigestMismatch { what, expected: digest, found })
            }
            _ => Ok((digest, Some(answer.headers))),
        }
    }

    /// Adds an entry to the list under the fallback tag. The specification knows no lock for it: the
    /// list is read again afterwards, and written again if somebody else was faster.
    async fn list_referrer(
        &self,
        reference: &Reference,
        subject: &Digest,
        mut entry: Descriptor,
    ) -> Result<(), OciError> {
        let place = self.origin(reference)?;
        let tagged = fallback_reference(reference, subject)?;
        let malformed = |detail: String| OciError::Malformed { what: tagged.to_string(), detail };
        for _ in 0..LIST_ATTEMPTS {
            let known = self.tagged_index(&place, reference, subject).await?;
            let mut index = known.unwrap_or_else(|| ImageIndex::new(Vec::new()));
            if index.manifests.iter().any(|listed| listed.digest == entry.digest) {
                return Ok(());
            }
            let along = |listed: &Descriptor| listed.data.as_ref().map_or(0, String::len);
            if index.manifests.iter().map(along).sum::<usize>() > MAX_ALONG_BYTES {
                entry.data = None;
            }
            index.manifests.push(entry.clone());
            let bytes = index.to_vec().map_err(|error| malformed(error.to_string()))?;
            self.put_manifest(&tagged, &bytes, media::OCI_INDEX).await?;
        }
        Err(malformed("this list of referrers is written by somebody else all the time".to_owned()))
    }
}
