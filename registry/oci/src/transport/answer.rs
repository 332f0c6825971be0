//! Answers that are read whole, up to a limit, and what stands in their headers.
//!
//! Owns the cap on documents and the rules for the next page of a listing.

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, LINK},
};
use reqwest::Response;
use url::Url;

use super::{failure::Failure, pace::Pace};
use crate::{
    config::Timeouts,
    error::OciError,
    secret::{printable, tame},
};

/// An answer with its body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads a body of at most `limit` bytes; an announced length above it is refused unread.
    pub(crate) async fn read(
        mut response: Response,
        limit: u64,
        timeouts: &Timeouts,
        what: &str,
    ) -> Result<Self, Failure> {
        let too_large = |found| OciError::TooLarge { what: what.to_owned(), limit, found };
        let announced = response.content_length();
        if let Some(length) = announced.filter(|length| *length > limit) {
            return Err(too_large(length).into());
        }
        let mut body = Vec::with_capacity(announced.unwrap_or(0) as usize);
        let mut pace = Pace::of_document(timeouts);
        while let Some(piece) = pace.next(&mut response, what).await? {
            body.extend_from_slice(&piece);
            if body.len() as u64 > limit {
                return Err(too_large(body.len() as u64).into());
            }
        }
        let (status, url) = (response.status(), response.url().clone());
        Ok(Self { status, headers: std::mem::take(response.headers_mut()), url, body })
    }
}

/// The media type of an answer, without parameters and in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let bare = value.split(';').next().unwrap_or_default().trim();
    (!bare.is_empty()).then(|| bare.to_ascii_lowercase())
}

/// Address of the next page of a listing (RFC 8288, relation `next`). It must lead to the same
/// origin: the header goes with our credentials.
pub(crate) fn next_page(headers: &HeaderMap, here: &Url) -> Result<Option<Url>, OciError> {
    for value in headers.get_all(LINK) {
        let Some(target) = value.to_str().ok().and_then(next_target) else { continue };
        let malformed = |detail: String| OciError::Malformed { what: printable(here), detail };
        let url = here.join(target).map_err(|_| {
            malformed(format!("the next page `{}` is no address", tame(target, 200)))
        })?;
        if url.origin() != here.origin() {
            return Err(malformed(format!("the next page is elsewhere, at `{}`", printable(&url))));
        }
        if url == *here {
            return Err(malformed("the next page is this page".to_owned()));
        }
        return Ok(Some(url));
    }
    Ok(None)
}

/// The target of a link whose relation is `next`.
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest[start + 1..].split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let parameters = &after[..end];
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split(' ').any(|r| r.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = &after[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &str) -> Result<Option<String>, OciError> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        let here = Url::parse("https://r.example.org/v2/a/tags/list?n=2").unwrap();
        next_page(&headers, &here).map(|url| url.map(String::from))
    }

    #[test]
    fn the_next_page_is_found() {
        let expected = Some("https://r.example.org/v2/a/tags/list?n=2&last=b".to_owned());
        for link in [
            r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
            r"</v2/a/tags/list?n=2&last=b>;rel=next",
            r#"</p>; rel="prev", </v2/a/tags/list?n=2&last=b>; title="x"; rel="next last""#,
            r#"<https://r.example.org/v2/a/tags/list?n=2&last=b>; rel="next""#,
        ] {
            assert_eq!(next(link).unwrap(), expected, "{link}");
        }
    }

    #[test]
    fn other_links_are_no_next_page() {
        for link in [r#"</a>; rel="prev""#, "</a>", "rubbish", "</a"] {
            assert_eq!(next(link).unwrap(), None, "{link}");
        }
    }

    #[test]
    fn the_next_page_must_be_another_one_of_the_same_origin() {
        for link in [
            r#"<https://evil.example.org/v2/>; rel="next""#,
            r#"<http://r.example.org/v2/>; rel="next""#,
            r#"<https://r.example.org:444/v2/>; rel="next""#,
            r#"</v2/a/tags/list?n=2>; rel="next""#,
        ] {
            assert!(matches!(next(link), Err(OciError::Malformed { .. })), "{link}");
        }
    }

    #[test]
    fn media_types_lose_their_parameters() {
        let mut headers = HeaderMap::new();
        assert_eq!(media_type(&headers), None);
        headers.insert(CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
    }
}
