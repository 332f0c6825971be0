//! Addresses of the distribution API.
//!
//! Owns taking a path apart. Nothing leaves here that has not passed the grammar of a repository,
//! tag or digest, so no part of an address can name a file of its own choice.

use eyas_artifact::{Digest, Reference};
use http::StatusCode;
use oci_distribution::errors::OciErrorCode;

use super::answer::Refusal;

/// What an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The repository; empty for the registry itself.
    pub(super) repository: String,
    pub(super) target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Base,
    Catalog,
    Tags,
    Manifest(Key),
    Blob(Digest),
    Upload,
    UploadSession(String),
    Referrers(Digest),
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Tag(String),
    Digest(Digest),
}

impl Route {
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let path = decode(path).ok_or_else(unknown)?;
        let rest = path.strip_prefix("/v2").ok_or_else(unknown)?;
        let of_registry = |target| Ok(Self { repository: String::new(), target });
        let rest = match rest {
            "" | "/" => return of_registry(Target::Base),
            "/_catalog" => return of_registry(Target::Catalog),
            rest => rest.strip_prefix('/').ok_or_else(unknown)?,
        };
        let (repository, target) = split(rest)?;
        Reference::new("localhost", repository).map_err(|_| {
            Refusal::bad(OciErrorCode::NameInvalid, "this is no name of a repository")
        })?;
        Ok(Self { repository: repository.to_owned(), target })
    }
}

fn split(rest: &str) -> Result<(&str, Target), Refusal> {
    if let Some(repository) = rest.strip_suffix("/tags/list") {
        return Ok((repository, Target::Tags));
    }
    if let Some(repository) =
        rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
    {
        return Ok((repository, Target::Upload));
    }
    let (front, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
    if let Some(repository) = front.strip_suffix("/manifests") {
        return Ok((repository, Target::Manifest(key(last)?)));
    }
    if let Some(repository) = front.strip_suffix("/blobs/uploads") {
        return Ok((repository, Target::UploadSession(last.to_owned())));
    }
    if let Some(repository) = front.strip_suffix("/blobs") {
        return Ok((repository, Target::Blob(digest(last)?)));
    }
    if let Some(repository) = front.strip_suffix("/referrers") {
        return Ok((repository, Target::Referrers(digest(last)?)));
    }
    Err(unknown())
}

fn key(text: &str) -> Result<Key, Refusal> {
    if text.contains(':') {
        return digest(text).map(Key::Digest);
    }
    let valid =
        Reference::new("localhost", "any").and_then(|reference| reference.with_tag(text)).is_ok();
    if valid {
        Ok(Key::Tag(text.to_owned()))
    } else {
        Err(Refusal::unknown(OciErrorCode::ManifestUnknown, "this is no tag"))
    }
}

pub(super) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|_| {
        Refusal::bad(OciErrorCode::DigestInvalid, "this is no digest, expected `sha256:<hex>`")
    })
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, OciErrorCode::NotFound, "there is nothing at this address")
}

/// Undoes percent encoding; some clients encode the colon of a digest.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Option<(String, Target)> {
        Route::parse(path).ok().map(|route| (route.repository, route.target))
    }

    #[test]
    fn every_address_of_the_specification_is_known() {
        let digest = Digest::sha256("x");
        let at = |repository: &str, target| Some((repository.to_owned(), target));
        assert_eq!(route("/v2"), at("", Target::Base));
        assert_eq!(route("/v2/"), at("", Target::Base));
        assert_eq!(route("/v2/_catalog"), at("", Target::Catalog));
        assert_eq!(route("/v2/a/b/tags/list"), at("a/b", Target::Tags));
        let tag = Target::Manifest(Key::Tag("1".into()));
        assert_eq!(route("/v2/a/manifests/1"), at("a", tag));
        let by_digest = Target::Manifest(Key::Digest(digest));
        assert_eq!(route(&format!("/v2/a/manifests/{digest}")), at("a", by_digest));
        assert_eq!(route(&format!("/v2/a/blobs/{digest}")), at("a", Target::Blob(digest)));
        let encoded = format!("/v2/a/blobs/sha256%3a{}", digest.hex());
        assert_eq!(route(&encoded), at("a", Target::Blob(digest)));
        assert_eq!(route(&format!("/v2/a/referrers/{digest}")), at("a", Target::Referrers(digest)));
        assert_eq!(route("/v2/a/blobs/uploads/"), at("a", Target::Upload));
        assert_eq!(route("/v2/a/blobs/uploads/9f"), at("a", Target::UploadSession("9f".into())));
        // Parts of the API may be names of repositories, too.
        let tag = Target::Manifest(Key::Tag("list".into()));
        assert_eq!(
            route("/v2/blobs/manifests/tags/manifests/list"),
            at("blobs/manifests/tags", tag)
        );
    }

    #[test]
    fn path_tricks_name_nothing() {
        for path in [
            "/",
            "/v1/",
            "/v2x",
            "/v2/../etc/manifests/1",
            "/v2/a/../b/manifests/1",
            "/v2/a%2f..%2f..%2fb/manifests/1",
            "/v2/%2e%2e/blobs/sha256:00",
            "/v2/a//b/tags/list",
            "/v2/A/tags/list",
            "/v2/a/manifests/..",
            "/v2/a/manifests/%00",
            "/v2/a/blobs/sha256:../../../etc/passwd",
            "/v2/a/blobs/sha512:aa",
            "/v2/a/tags/list/",
            "/v2/a/%zz/tags/list",
            "/v2/a/%e",
            "/v2//tags/list",
        ] {
            assert!(route(path).is_none(), "{path}");
        }
    }
}
