//! Versions that will do: a range as it is typed, and what a dependency asks for.
//!
//! Owns the spelling. `^1.4`, `~1.4.2`, `>=1.2,<2`, `=1.4.0` and `1.*` are ranges, because none of
//! them can be a tag; `1`, `1.4` and `latest` are tags that a publisher moves, and stay tags.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ArtifactError, Version};

/// Characters that no tag has and every range has at least one of.
const RANGE_SIGNS: [char; 6] = ['^', '~', '<', '>', '=', '*'];

/// A range of versions, such as `>=1.2,<2`.
///
/// A pre-release is in a range only when the range names a pre-release of the same version: nobody
/// who asked for `^1.4` wants `1.5.0-rc1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionRange {
    text: String,
    bounds: semver::VersionReq,
}

impl VersionRange {
    /// Whether a text is meant as a range and not as a tag.
    pub fn is_range(text: &str) -> bool {
        text.contains(RANGE_SIGNS)
    }

    /// Whether a version is in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.bounds.matches(version.as_semver())
    }
}

impl FromStr for VersionRange {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        let error = |why: String| ArtifactError::Range { found: text.to_owned(), why };
        if !Self::is_range(text) {
            return Err(error("expected one of `^`, `~`, `<`, `>`, `=` or `*`".to_owned()));
        }
        // Blanks between bounds mean what a comma means.
        let mut bounds: Vec<String> = Vec::new();
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            match bounds.last_mut() {
                Some(last) if is_sign(last) => last.push_str(part),
                _ => bounds.push(part.to_owned()),
            }
        }
        let bounds = semver::VersionReq::parse(&bounds.join(","))
            .map_err(|found| error(found.to_string()))?;
        Ok(Self { text: text.trim().to_owned(), bounds })
    }
}

fn is_sign(text: &str) -> bool {
    text.chars().all(|letter| RANGE_SIGNS.contains(&letter) && letter != '*')
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Which versions of a dependency will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// A plain version: the same major number, and not older.
    AtLeast(Version),
    /// What is written as a range.
    Range(VersionRange),
}

impl Constraint {
    /// Whether a version will do.
    pub fn allows(&self, version: &Version) -> bool {
        match self {
            Self::AtLeast(lowest) => version.satisfies(lowest),
            Self::Range(range) => range.contains(version),
        }
    }

    /// The version that was named, where it was no range.
    pub fn plain(&self) -> Option<&Version> {
        match self {
            Self::AtLeast(version) => Some(version),
            Self::Range(_) => None,
        }
    }
}

impl From<VersionRange> for Constraint {
    fn from(range: VersionRange) -> Self {
        Self::Range(range)
    }
}

impl From<Version> for Constraint {
    fn from(version: Version) -> Self {
        Self::AtLeast(version)
    }
}

impl FromStr for Constraint {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        if VersionRange::is_range(text) {
            text.parse().map(Self::Range)
        } else {
            text.parse().map(Self::AtLeast)
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(version) => version.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
