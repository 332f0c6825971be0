//! What can be wrong with a name or a document, in words that show the offending value.
//!
//! Owns the one error type of the crate. Where a value came from (file, registry, command line) is
//! added by the caller, who knows.

/// A value that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Not `algorithm:hex`, or the hexadecimal part has the wrong length or letters.
    #[error("`{found}` is not a digest: expected `sha256:` and 64 lower case hexadecimal digits")]
    Digest {
        /// The text as given.
        found: String,
    },
    /// A well-formed digest of an algorithm that is not accepted.
    #[error("digest algorithm `{algorithm}` of `{found}` is not supported: expected `sha256`")]
    DigestAlgorithm {
        /// The part before the colon.
        algorithm: String,
        /// The text as given.
        found: String,
    },
    /// Not `registry/repository[:tag][@digest]`.
    #[error("`{found}` is not a reference: {why}")]
    Reference {
        /// The text as given.
        found: String,
        /// The part that is wrong and what was expected.
        why: String,
    },
    /// Neither a name of an index nor a full reference.
    #[error("`{found}` is not an artifact name: {why}")]
    Name {
        /// The text as given.
        found: String,
        /// The part that is wrong and what was expected.
        why: String,
    },
    /// Not a version, even when read tolerantly.
    #[error("`{found}` is not a version: {why}")]
    Version {
        /// The text as given.
        found: String,
        /// What the parser expected.
        why: String,
    },
    /// Not a range of versions.
    #[error("`{found}` is not a range of versions: {why}")]
    Range {
        /// The text as given.
        found: String,
        /// What was expected.
        why: String,
    },
    /// Not `os/architecture[/variant]`.
    #[error("`{found}` is not a platform: expected `os/architecture` such as `linux/amd64`")]
    Platform {
        /// The text as given.
        found: String,
    },
    /// A kind of artifact that does not exist.
    #[error(
        "`{found}` is not an artifact type: expected `rulesfile`, `plugin`, `asset` or `probe`"
    )]
    Kind {
        /// The text as given.
        found: String,
    },
    /// A document larger than its limit.
    #[error("{document} of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Which document.
        document: &'static str,
        /// Its size in bytes.
        found: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A document that is not the JSON it should be.
    #[error("malformed {document} at line {line}, column {column}: {why}")]
    Json {
        /// Which document.
        document: &'static str,
        /// What the parser met.
        why: String,
        /// One-based; 0 when the place is not known.
        line: usize,
        /// One-based; 0 when the place is not known.
        column: usize,
    },
    /// A document that is JSON but says something that cannot be accepted.
    #[error("unacceptable {document}: {why}")]
    Document {
        /// Which document.
        document: &'static str,
        /// The field, what was found and what was expected.
        why: String,
    },
}

impl ArtifactError {
    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Digest { .. } | Self::DigestAlgorithm { .. } => {
                Some("copy the digest from `eyas artifact info` or from the registry".to_owned())
            }
            Self::Reference { .. } => Some(
                "write `registry/repository`, `registry/repository:tag` or \
                 `registry/repository@sha256:…`"
                    .to_owned(),
            ),
            Self::Name { .. } => {
                Some("`eyas artifact search` lists the names of the configured indexes".to_owned())
            }
            Self::Range { .. } => {
                Some("write a range such as `^1.4`, `~1.4.2` or `>=1.2,<2`".to_owned())
            }
            Self::Version { .. } => Some("write a version such as `1.4.0`".to_owned()),
            Self::TooLarge { .. } | Self::Json { .. } | Self::Document { .. } => {
                Some("ask the publisher to push the artifact again".to_owned())
            }
            Self::Platform { .. } | Self::Kind { .. } => None,
        }
    }

    /// Wraps a parser's error with the document it was met in.
    pub(crate) fn json(document: &'static str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The parser appends its own position; ours is in the fields.
        let why = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Json { document, why, line: error.line(), column: error.column() }
    }
}

/// Refuses a document above `limit` bytes before anything parses it.
pub(crate) fn check_size(
    document: &'static str,
    bytes: &[u8],
    limit: u64,
) -> Result<(), ArtifactError> {
    let found = bytes.len() as u64;
    if found > limit {
        return Err(ArtifactError::TooLarge { document, found, limit });
    }
    Ok(())
}
