//! References to content in a registry: `registry[:port]/repository[:tag][@digest]`.
//!
//! Owns the grammar (OCI distribution specification 1.1 for repository and tag, the common host
//! grammar for the registry). A registry is always named: nothing is assumed for a string without
//! one, that is a [`Name`](crate::Name) of an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ArtifactError, Digest};

/// The tag that is meant when neither tag nor digest is given.
pub const DEFAULT_TAG: &str = "latest";

/// Longest registry and repository together, as the distribution specification recommends.
const MAX_PATH_LENGTH: usize = 255;
/// Longest tag of the distribution specification.
const MAX_TAG_LENGTH: usize = 128;

/// Where content is, and which content when a digest is given.
///
/// The registry is kept in lower case, so that a policy on a host cannot be passed by spelling it
/// in another way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// A reference to a repository, checked like a parsed one.
    pub fn new(registry: &str, repository: &str) -> Result<Self, ArtifactError> {
        let text = || format!("{registry}/{repository}");
        check_registry(registry).map_err(|why| error(&text(), why))?;
        check_repository(repository).map_err(|why| error(&text(), why))?;
        if registry.len() + 1 + repository.len() > MAX_PATH_LENGTH {
            return Err(error(&text(), format!("longer than {MAX_PATH_LENGTH} characters")));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            tag: None,
            digest: None,
        })
    }

    /// Host and, if given, port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag, or `latest` when none was given.
    pub fn tag_or_latest(&self) -> &str {
        self.tag().unwrap_or(DEFAULT_TAG)
    }

    /// `registry/repository`, the part a policy is bound to.
    pub fn locator(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The last element of the repository, the name a pushed artifact gets by default.
    pub fn base_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The same repository, pinned to a digest and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository at a tag and without a digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ArtifactError> {
        check_tag(tag).map_err(|why| error(&format!("{}:{tag}", self.locator()), why))?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }
}

impl FromStr for Reference {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        if text.contains("://") {
            return Err(error(text, "a registry is named without a scheme"));
        }
        let (rest, digest) = split_digest(text)?;
        let (registry, path) = rest
            .split_once('/')
            .ok_or_else(|| error(text, "expected a registry and a repository separated by `/`"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(|why| error(text, why))?;
        }
        let bare = Self::new(registry, repository).map_err(|found| match found {
            ArtifactError::Reference { why, .. } => error(text, why),
            other => other,
        })?;
        Ok(Self { tag: tag.map(str::to_owned), digest, ..bare })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn error(found: &str, why: impl Into<String>) -> ArtifactError {
    ArtifactError::Reference { found: found.to_owned(), why: why.into() }
}

/// Splits `…@digest`; the digest's own error is kept, since it says more.
pub(crate) fn split_digest(text: &str) -> Result<(&str, Option<Digest>), ArtifactError> {
    match text.split_once('@') {
        Some((rest, digest)) => Ok((rest, Some(digest.parse()?))),
        None => Ok((text, None)),
    }
}

fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = split_port(registry)?;
    if let Some(port) = port {
        // One port has one spelling, or a policy on it could be passed by another.
        let valid = !port.is_empty()
            && !port.starts_with('0')
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|number| number != 0);
        if !valid {
            return Err(format!("port `{port}` is not a number from 1 to 65535"));
        }
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("`{address}` is not an IPv6 address")),
        };
    }
    if host.split('.').all(is_domain_component) {
        Ok(())
    } else {
        Err(format!("`{host}` is not a host name"))
    }
}

/// Separates a port, minding that an IPv6 address in brackets has colons of its own.
fn split_port(registry: &str) -> Result<(&str, Option<&str>), String> {
    if registry.starts_with('[') {
        let end = registry.find(']').ok_or_else(|| format!("`{registry}` lacks a `]`"))?;
        let (host, rest) = registry.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(format!("unexpected `{rest}` after `{host}`")),
        };
    }
    Ok(match registry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    })
}

fn is_domain_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_repository(repository: &str) -> Result<(), String> {
    match repository.split('/').find(|part| !is_path_component(part)) {
        None => Ok(()),
        Some("") => Err("the repository has an empty path element".to_owned()),
        Some(part) => Err(format!(
            "repository element `{part}` may only have lower case letters and digits, separated \
             by single `.`, one or two `_`, or `-`"
        )),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the distribution specification, without an engine.
fn is_path_component(part: &str) -> bool {
    let is_word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().is_some_and(is_word) || !bytes.last().is_some_and(is_word) {
        return false;
    }
    bytes
        .split(is_word)
        .filter(|gap| !gap.is_empty())
        .all(|gap| matches!(gap, b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

pub(crate) fn check_tag(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("the tag after `:` is empty".to_owned());
    }
    if tag.len() > MAX_TAG_LENGTH {
        return Err(format!("the tag is longer than {MAX_TAG_LENGTH} characters"));
    }
    let valid = tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-']);
    if valid {
        Ok(())
    } else {
        Err(format!(
            "tag `{tag}` may only have letters, digits, `_`, `.` and `-`, and starts with neither \
             `.` nor `-`"
        ))
    }
}
