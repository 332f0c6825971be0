//! The tags of a repository.
//!
//! Owns walking the pages; bounded in pages and in tags.

use eyas_artifact::Reference;
use http::Method;
use serde::Deserialize;

use super::{Client, Place};
use crate::{error::OciError, secret::printable, transport::next_page};

/// Tags asked for per page.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Client {
    /// All tags of the repository of `reference`, in the registry's order, which is usually
    /// alphabetical.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, OciError> {
        let mut places = self.places(reference)?;
        loop {
            match self.tags_at(&places.current, reference).await {
                Ok(tags) => return Ok(tags),
                Err(error) => places.advance(error)?,
            }
        }
    }

    async fn tags_at(&self, place: &Place, reference: &Reference) -> Result<Vec<String>, OciError> {
        let remote = match place {
            Place::Registry(remote) => remote,
            Place::Layout(local) => return local.tags(reference),
        };
        let limits = &self.config().limits;
        let what = reference.locator();
        let mut call = self.reading(Method::GET, remote, "tags/list", what.clone())?;
        call.url.set_query(Some(&format!("n={PAGE}")));
        let mut tags = Vec::new();
        for _ in 0..limits.pages {
            let answer = self.transport.read(&call, limits.manifest_bytes).await?;
            let page: Page = serde_json::from_slice(&answer.body).map_err(|error| {
                let detail = format!("no list of tags: {error}");
                OciError::Malformed { what: printable(&call.url), detail }
            })?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > limits.tags {
                let (limit, found) = (limits.tags as u64, tags.len() as u64);
                let what = format!("list of tags of {what}");
                return Err(OciError::TooMany { what, limit, found });
            }
            match next_page(&answer.headers, &answer.url)? {
                Some(next) => call.url = next,
                None => return Ok(tags),
            }
        }
        let limit = limits.pages;
        let detail = format!("the list of tags does not end after {limit} pages");
        Err(OciError::Malformed { what, detail })
    }
}
