//! Versions of artifacts, read tolerantly and compared by the rules of semantic versioning.
//!
//! Owns the order that "older" and "newer" mean everywhere.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ArtifactError;

/// A semantic version; `v1`, `1.2` and `01.2.3` are read as `1.0.0`, `1.2.0` and `1.2.3`.
///
/// Equality and order follow precedence: build metadata is printed, but two versions that differ
/// in it alone are the same version.
#[derive(Debug, Clone)]
pub struct Version(semver::Version);

impl Version {
    /// A release version.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// First number.
    pub fn major(&self) -> u64 {
        self.0.major
    }

    /// Second number.
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// Third number.
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether there is a part after `-`, such as `rc1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Whether this version satisfies a requirement: same major number and not older.
    pub fn satisfies(&self, required: &Self) -> bool {
        self.major() == required.major() && self >= required
    }

    /// Tags that a publisher moves to this version: full, major, major and minor. A pre-release
    /// only has its full tag, nobody who asked for `1` wants it.
    pub fn floating_tags(&self) -> Vec<String> {
        let mut tags = vec![self.to_string()];
        if !self.is_prerelease() {
            tags.push(self.major().to_string());
            tags.push(format!("{}.{}", self.major(), self.minor()));
        }
        tags
    }

    /// The strict form, for requirement ranges.
    pub fn as_semver(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for Version {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        let error =
            |why: &str| ArtifactError::Version { found: text.to_owned(), why: why.to_owned() };
        let bare = text.trim();
        let bare = bare.strip_prefix(['v', 'V']).unwrap_or(bare);
        let numbers_end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (numbers, suffix) = bare.split_at(numbers_end);
        let mut parts = Vec::with_capacity(3);
        for part in numbers.split('.') {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(error("expected numbers separated by dots"));
            }
            let digits = part.trim_start_matches('0');
            parts.push(if digits.is_empty() { "0" } else { digits });
        }
        if parts.len() > 3 {
            return Err(error("expected at most three numbers"));
        }
        if parts.len() < 3 && !suffix.is_empty() {
            return Err(error("a version with a suffix needs all three numbers"));
        }
        parts.resize(3, "0");
        semver::Version::parse(&format!("{}{suffix}", parts.join(".")))
            .map(Self)
            .map_err(|found| error(&found.to_string()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.major, self.0.minor, self.0.patch, &self.0.pre).hash(state);
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
