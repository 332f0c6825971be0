//! What a user types where an artifact is expected.
//!
//! Owns the decision whether a string is a name that an index resolves or a full reference. The
//! look-up itself is left to `eyas-index`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reference::{check_tag, split_digest};
use crate::{ArtifactError, Digest, Reference};

/// Longest name of an artifact, in characters; it becomes a directory name.
pub const MAX_NAME_LENGTH: usize = 128;

/// A request as typed: `name[:tag][@digest]` for an index, or a full reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// No `/`: an entry of an index says where it is.
    Indexed {
        /// Name of the index entry.
        name: String,
        /// Tag, if given.
        tag: Option<String>,
        /// Digest, if given; it wins over the tag.
        digest: Option<Digest>,
    },
    /// `registry/repository…`, needs no index.
    Full(Reference),
}

impl FromStr for Name {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        if text.contains('/') {
            return Ok(Self::Full(text.parse()?));
        }
        let error = |why: String| ArtifactError::Name { found: text.to_owned(), why };
        let (rest, digest) = split_digest(text)?;
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(error("the name is empty".to_owned()));
        }
        if name.len() > MAX_NAME_LENGTH {
            return Err(error(format!("the name is longer than {MAX_NAME_LENGTH} characters")));
        }
        if !is_word(name, u8::is_ascii_alphanumeric) {
            return Err(error(
                "expected letters, digits, `_`, `.` and `-`, starting with a letter or digit"
                    .to_owned(),
            ));
        }
        if let Some(tag) = tag {
            check_tag(tag).map_err(error)?;
        }
        Ok(Self::Indexed { name: name.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(reference) => reference.fmt(f),
            Self::Indexed { name, tag, digest } => {
                f.write_str(name)?;
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                if let Some(digest) = digest {
                    write!(f, "@{digest}")?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a name from an artifact's own configuration may become a directory: lower case, so that
/// no two differ in case alone, and never a path or a hidden file.
pub fn is_artifact_name(name: &str) -> bool {
    name.len() <= MAX_NAME_LENGTH && is_word(name, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_word(name: &str, letter: impl Fn(&u8) -> bool) -> bool {
    name.as_bytes().first().is_some_and(&letter)
        && name.bytes().all(|b| letter(&b) || matches!(b, b'_' | b'.' | b'-'))
}
