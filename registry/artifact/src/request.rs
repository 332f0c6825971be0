//! What a user asks to install: a name with a tag or digest, or a range of versions.
//!
//! Owns telling the two apart. Where a name leads is left to `eyas-index`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::{ArtifactError, Name, VersionRange};

/// A request as typed: `NAME[:TAG|@DIGEST]`, or `NAME:RANGE` such as `demo-rules:^1.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// What is asked for; without tag and digest where there is a range.
    pub name: Name,
    /// Which versions will do, instead of a tag.
    pub range: Option<VersionRange>,
}

impl Request {
    /// Whether an index has to say where it is.
    pub fn needs_index(&self) -> bool {
        matches!(self.name, Name::Indexed { .. })
    }
}

impl From<Name> for Request {
    fn from(name: Name) -> Self {
        Self { name, range: None }
    }
}

impl FromStr for Request {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        // A port has no sign of a range, so the last colon before the first sign begins the range.
        let signs = text.find(|letter| VersionRange::is_range(&String::from(letter)));
        let Some(first) = signs else { return Ok(text.parse::<Name>()?.into()) };
        let refused =
            |why: &str| ArtifactError::Name { found: text.to_owned(), why: why.to_owned() };
        let Some(colon) = text[..first].rfind(':') else {
            return Err(refused("expected `:` before a range of versions, such as `demo:^1.4`"));
        };
        if text.contains('@') {
            return Err(refused("a digest is exact already, and takes no range of versions"));
        }
        let name: Name = text[..colon].parse()?;
        let tagged = match &name {
            Name::Indexed { tag, .. } => tag.is_some(),
            Name::Full(reference) => reference.tag().is_some(),
        };
        if tagged {
            return Err(refused("expected a tag or a range of versions, found both"));
        }
        Ok(Self { name, range: Some(text[colon + 1..].parse()?) })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.range {
            None => self.name.fmt(f),
            Some(range) => write!(f, "{}:{range}", self.name),
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
