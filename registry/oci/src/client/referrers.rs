//! Manifests that are about another manifest: signatures, attestations.
//!
//! Owns finding them: by the registry's own list where it has one, else by the tag that the
//! distribution specification (1.1, "Referrers Tag Schema") sets aside for it. What a referrer says
//! is left to `eyas-trust`.

use eyas_artifact::{Descriptor, Digest, ImageIndex, Reference, media};
use http::{Method, StatusCode, header::ACCEPT};

use super::{Client, Place, Remote};
use crate::{
    config::Notice,
    error::OciError,
    secret::printable,
    transport::{Answer, media_type, next_page},
};

/// The tag under which referrers of `subject` are listed where a registry has no list of its own.
pub fn fallback_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm(), subject.hex())
}

impl Client {
    /// What refers to the manifest `subject` in the repository of `reference`; empty when nothing
    /// does. At most [`referrers`](crate::Limits::referrers) are given, and a
    /// [`Notice::ReferrersCut`] when there are more.
    ///
    /// `artifact_type` narrows what a registry's own list says. The list by tag is written by many
    /// hands and often names no type: it is never narrowed.
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, OciError> {
        let mut places = self.places(reference)?;
        let mut found = loop {
            match self.referrers_at(&places.current, reference, subject, artifact_type).await {
                Ok(found) => break found,
                Err(error) => places.advance(error)?,
            }
        };
        let limit = self.config().limits.referrers;
        if found.len() > limit {
            found.truncate(limit);
            let what = reference.with_digest(*subject).to_string();
            self.config().listener.tell(Notice::ReferrersCut { what, limit });
        }
        Ok(found)
    }

    async fn referrers_at(
        &self,
        place: &Place,
        reference: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, OciError> {
        let remote = match place {
            Place::Registry(remote) => remote,
            Place::Layout(local) => {
                let listed = local.referrers(subject, artifact_type)?;
                if !listed.is_empty() {
                    return Ok(listed);
                }
                // What was copied from a registry without a list may have brought its tag along.
                let tagged = self.tagged_index(place, reference, subject).await?;
                return Ok(tagged.map_or_else(Vec::new, |index| index.manifests));
            }
        };
        let listed = self.listed_referrers(remote, reference, subject, artifact_type).await?;
        if let Some(listed) = listed {
            return Ok(listed);
        }
        let tagged = self.tagged_index(place, reference, subject).await?;
        Ok(tagged.map_or_else(Vec::new, |index| index.manifests))
    }

    /// The registry's own list; `None` where it keeps none.
    async fn listed_referrers(
        &self,
        place: &Remote,
        reference: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, OciError> {
        const NO_LIST: &[StatusCode] = &[
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::NOT_ACCEPTABLE,
            StatusCode::NOT_IMPLEMENTED,
        ];
        let limits = &self.config().limits;
        let what = reference.with_digest(*subject).to_string();
        let path = format!("referrers/{subject}");
        let mut call = self
            .reading(Method::GET, place, &path, what.clone())?
            .header(ACCEPT, media::OCI_INDEX)
            .expect(NO_LIST);
        if let Some(wanted) = artifact_type {
            call.url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let mut found = Vec::new();
        for _ in 0..limits.pages {
            let answer = self.transport.read(&call, limits.manifest_bytes).await?;
            // Registries that know no such address answer in many ways, some with a web page.
            if !answer.status.is_success() || !is_index(&answer) {
                return Ok(None);
            }
            let index = read_index(&answer.body, &printable(&answer.url))?;
            found.extend(index.manifests.into_iter().filter(|entry| wanted(entry, artifact_type)));
            // One beyond the limit is enough to know that there are more.
            if found.len() > limits.referrers {
                return Ok(Some(found));
            }
            match next_page(&answer.headers, &answer.url)? {
                Some(next) => call.url = next,
                None => return Ok(Some(found)),
            }
        }
        let detail = format!("the list of referrers does not end after {} pages", limits.pages);
        Err(OciError::Malformed { what, detail })
    }

    /// The index under the fallback tag, if there is one.
    pub(super) async fn tagged_index(
        &self,
        place: &Place,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Option<ImageIndex>, OciError> {
        let tagged = fallback_reference(reference, subject)?;
        match self.manifest_at(place, &tagged).await {
            Ok(fetched) => read_index(&fetched.bytes, &tagged.to_string()).map(Some),
            Err(OciError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The fallback tag of `subject` in the repository of `reference`.
pub(super) fn fallback_reference(
    reference: &Reference,
    subject: &Digest,
) -> Result<Reference, OciError> {
    reference.with_tag(&fallback_tag(subject)).map_err(|error| OciError::Malformed {
        what: reference.with_digest(*subject).to_string(),
        detail: error.to_string(),
    })
}

fn is_index(answer: &Answer) -> bool {
    media_type(&answer.headers).as_deref() == Some(media::OCI_INDEX)
}

fn read_index(bytes: &[u8], what: &str) -> Result<ImageIndex, OciError> {
    ImageIndex::from_slice(bytes)
        .map_err(|error| OciError::Malformed { what: what.to_owned(), detail: error.to_string() })
}

/// Whether an entry may be of the wanted type: one that names none is not passed over.
fn wanted(entry: &Descriptor, artifact_type: Option<&str>) -> bool {
    match (artifact_type, entry.artifact_type.as_deref()) {
        (Some(wanted), Some(found)) => found.is_empty() || wanted == found,
        _ => true,
    }
}
