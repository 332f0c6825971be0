//! Listings: repositories, tags, referrers.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use axum::{extract::Request, response::Response};
use eyas_artifact::{Descriptor, Digest, Document, ImageIndex, media};
use http::{HeaderName, Method, header::CONTENT_TYPE};
use oci_distribution::errors::OciErrorCode;

use super::{
    Registry,
    answer::{Refusal, json, query, with, with_next},
    route::Route,
};
use crate::{error::OciError, layout::Layout};

/// Entries of a page where the client names no number, and the most it may name.
const MAX_PAGE: usize = 1000;
/// Manifests whose subject is remembered.
const MAX_REMEMBERED: usize = 100_000;

pub(super) fn catalog(registry: &Registry, request: &Request) -> Result<Response, Refusal> {
    only_reading(request)?;
    let all = registry.layout.index()?.repositories(Some(registry.unnamed()));
    let (page, next) = cut(request, &all)?;
    let body = serde_json::json!({ "repositories": page }).to_string();
    Ok(paged(json(body.into_bytes()), "/v2/_catalog", next))
}

pub(super) fn tags(
    registry: &Registry,
    route: &Route,
    request: &Request,
) -> Result<Response, Refusal> {
    only_reading(request)?;
    let index = registry.layout.index()?;
    if index.of(&route.repository, Some(registry.unnamed())).next().is_none() {
        let message = format!("there is no repository `{}`", route.repository);
        return Err(Refusal::unknown(OciErrorCode::NameUnknown, message));
    }
    let all = index.tags(&route.repository, Some(registry.unnamed()));
    let (page, next) = cut(request, &all)?;
    let body = serde_json::json!({ "name": route.repository, "tags": page }).to_string();
    let path = format!("/v2/{}/tags/list", route.repository);
    Ok(paged(json(body.into_bytes()), &path, next))
}

fn only_reading(request: &Request) -> Result<(), Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::method()),
    }
}

/// One page of a sorted listing, and where the next begins, if there is one.
type Page<'a> = (Vec<&'a String>, Option<(usize, &'a String)>);

fn cut<'a>(request: &Request, all: &'a BTreeSet<String>) -> Result<Page<'a>, Refusal> {
    let number = match query(request, "n") {
        None => MAX_PAGE,
        Some(text) => {
            let number: usize = text.parse().map_err(|_| {
                let code = OciErrorCode::Other("PAGINATION_NUMBER_INVALID".to_owned());
                Refusal::bad(code, "`n` is no number")
            })?;
            number.min(MAX_PAGE)
        }
    };
    let last = query(request, "last").unwrap_or_default();
    let mut rest = all.iter().filter(|entry| **entry > last);
    let page: Vec<&String> = rest.by_ref().take(number).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(|last| (number, *last));
    Ok((page, next))
}

fn paged(response: Response, path: &str, next: Option<(usize, &String)>) -> Response {
    match next {
        Some((number, last)) => with_next(response, path, number, last),
        None => response,
    }
}

/// What manifests say they are about. Content never changes under a digest, so what was read once
/// need not be read again.
#[derive(Default)]
pub(super) struct Subjects(Mutex<HashMap<Digest, Option<(Digest, Descriptor)>>>);

impl Subjects {
    /// The subject of a manifest, with the manifest's entry for a list of referrers.
    fn of(
        &self,
        layout: &Layout,
        entry: &Descriptor,
    ) -> Result<Option<(Digest, Descriptor)>, OciError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&entry.digest) {
            return Ok(known.clone());
        }
        let Some(bytes) = layout.document(&entry.digest)? else { return Ok(None) };
        let found = referrer(entry, &bytes);
        let mut known = lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(entry.digest, found.clone());
        Ok(found)
    }
}

fn referrer(entry: &Descriptor, bytes: &[u8]) -> Option<(Digest, Descriptor)> {
    let mut listed = Descriptor::new(&entry.media_type, entry.digest, bytes.len() as u64);
    let subject = match Document::from_slice(&entry.media_type, bytes).ok()? {
        Document::Manifest(manifest) => {
            listed.artifact_type =
                Some(manifest.artifact_type.unwrap_or(manifest.config.media_type));
            listed.annotations = manifest.annotations;
            manifest.subject
        }
        Document::Index(index) => {
            listed.artifact_type = index.artifact_type;
            listed.annotations = index.annotations;
            index.subject
        }
    };
    Some((subject?.digest, listed))
}

pub(super) fn referrers(
    registry: &Registry,
    route: &Route,
    subject: Digest,
    request: &Request,
) -> Result<Response, Refusal> {
    only_reading(request)?;
    let wanted = query(request, "artifactType");
    let index = registry.layout.index()?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for entry in index.of(&route.repository, Some(registry.unnamed())) {
        // One manifest may be listed under several tags.
        if !seen.insert(entry.digest) {
            continue;
        }
        if let Some((about, listed)) = registry.subjects.of(&registry.layout, entry)?
            && about == subject
            && wanted.as_ref().is_none_or(|wanted| listed.artifact_type.as_ref() == Some(wanted))
        {
            found.push(listed);
        }
    }
    let body = ImageIndex::new(found).to_vec().unwrap_or_default();
    let response = with(json(body), CONTENT_TYPE, media::OCI_INDEX);
    Ok(match wanted {
        Some(_) => with(response, HeaderName::from_static("oci-filters-applied"), "artifactType"),
        None => response,
    })
}
