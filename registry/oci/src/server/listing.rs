//! Listings: repositories, tags, referrers.

use std::collections::BTreeSet;

use axum::{extract::Request, response::Response};
use eyas_artifact::{Digest, ImageIndex, media};
use http::{HeaderName, Method, header::CONTENT_TYPE};
use oci_distribution::errors::OciErrorCode;

use super::{
    Registry,
    answer::{Refusal, json, query, with, with_next},
    route::Route,
};

/// Entries of a page where the client names no number, and the most it may name.
const MAX_PAGE: usize = 1000;

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

pub(super) fn referrers(
    registry: &Registry,
    route: &Route,
    subject: Digest,
    request: &Request,
) -> Result<Response, Refusal> {
    only_reading(request)?;
    let wanted = query(request, "artifactType");
    let found = registry.layout.referrers(
        &route.repository,
        &subject,
        wanted.as_deref(),
        Some(registry.unnamed()),
    )?;
    let body = ImageIndex::new(found).to_vec().unwrap_or_default();
    let response = with(json(body), CONTENT_TYPE, media::OCI_INDEX);
    Ok(match wanted {
        Some(_) => with(response, HeaderName::from_static("oci-filters-applied"), "artifactType"),
        None => response,
    })
}
