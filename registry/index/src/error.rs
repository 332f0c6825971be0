//! What can be wrong with an index, a name or a plan.
//!
//! Owns the one error type of the crate. Problems of an index are collected, so that a publisher
//! sees all of them at once.

use std::fmt;

use eyas_artifact::{ArtifactError, Kind, Version};

use crate::solve::Conflict;

/// Why an index, a look-up or a plan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The file is larger than is read.
    #[error("index `{index}` of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Name of the index.
        index: String,
        /// Size found, in bytes.
        found: usize,
        /// Limit, in bytes.
        limit: usize,
    },
    /// The file is not the YAML list of entries that it should be.
    #[error("index `{index}` is malformed: {}", join(problems))]
    Malformed {
        /// Name of the index.
        index: String,
        /// What is wrong and where; at least one.
        problems: Vec<Problem>,
    },
    /// No index has an entry of that name.
    #[error("no configured index has an artifact named `{name}`")]
    UnknownName {
        /// The name as typed.
        name: String,
        /// Names that look alike, best first.
        similar: Vec<String>,
        /// How many names are known.
        known: usize,
    },
    /// The entry does not make a valid reference, or a tag is not valid.
    #[error("entry `{name}` of index `{index}`: {source}")]
    Reference {
        /// Name of the entry.
        name: String,
        /// Name of the index.
        index: String,
        /// What is wrong with it.
        source: ArtifactError,
    },
    /// An index text cannot be edited in place.
    #[error("cannot edit the index text at line {line}: {why}")]
    Edit {
        /// One-based line.
        line: u64,
        /// What stands there and what was expected.
        why: String,
    },
    /// Requests that cannot be met together.
    #[error("nothing fits: {0}")]
    Unsolvable(Box<Conflict>),
    /// Steps that the policy on older versions forbids. Nothing of the plan may be done.
    #[error("{}", join(refusals))]
    Refused {
        /// At least one.
        refusals: Vec<Refusal>,
    },
}

impl IndexError {
    /// One-based line of the first problem, when the error has a place.
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Malformed { problems, .. } => problems.first().map(|problem| problem.line),
            Self::Edit { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// One-based column of the first problem, when the error has a place.
    pub fn column(&self) -> Option<u64> {
        match self {
            Self::Malformed { problems, .. } => problems.first().map(|problem| problem.column),
            _ => None,
        }
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Reference { .. } => Some(
                "ask the publisher of the index to correct it; artifacts given as \
                 `registry/repository` need no index"
                    .to_owned(),
            ),
            Self::UnknownName { known: 0, .. } => Some(
                "the configured indexes are empty: `eyas index add` adds one, or give the artifact \
                 as `registry/repository`"
                    .to_owned(),
            ),
            Self::UnknownName { similar, .. } if similar.is_empty() => Some(
                "`eyas index update` fetches the indexes again; `eyas artifact search` lists names"
                    .to_owned(),
            ),
            Self::UnknownName { similar, .. } => {
                Some(format!("did you mean `{}`?", similar.join("`, `")))
            }
            Self::Edit { .. } => {
                Some("write the index as a block list, one `- name: …` per artifact".to_owned())
            }
            Self::Unsolvable(conflict) => Some(conflict.hint()),
            Self::Refused { refusals } => Some(hint_for(refusals.iter())),
        }
    }
}

/// Something wrong at a place of an index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One-based line; 0 when the parser gave none.
    pub line: u64,
    /// One-based column; 0 when the parser gave none.
    pub column: u64,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// The ways in which an index file can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Not YAML, or a value of the wrong type.
    Syntax(String),
    /// Not UTF-8.
    NotText,
    /// A list item without content.
    NullEntry {
        /// Position in the list, from 1.
        position: usize,
    },
    /// A required field is absent or empty.
    MissingField {
        /// Name of the entry, or its position when it has none.
        entry: String,
        /// The field.
        field: &'static str,
    },
    /// A name that nobody could type.
    BadName {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// Two entries of one name.
    Duplicate {
        /// The name.
        name: String,
        /// Line of the first one.
        first: u64,
    },
    /// More entries than are read.
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        match &self.kind {
            ProblemKind::Syntax(why) => f.write_str(why),
            ProblemKind::NotText => f.write_str("expected UTF-8 text"),
            ProblemKind::NullEntry { position } => {
                write!(f, "entry {position} is empty, expected a mapping with a `name`")
            }
            ProblemKind::MissingField { entry, field } => {
                write!(f, "entry `{entry}` lacks the field `{field}`")
            }
            ProblemKind::BadName { name, why } => {
                write!(f, "`{name}` cannot be the name of an artifact: {why}")
            }
            ProblemKind::Duplicate { name, first } => {
                write!(f, "`{name}` is already the name of the entry at line {first}")
            }
            ProblemKind::TooMany { limit } => write!(f, "more than {limit} entries"),
        }
    }
}

/// A change that would bring an older artifact, or another one under the name of the active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kind of the artifact.
    pub kind: Kind,
    /// Name of the artifact.
    pub name: String,
    /// Version that is installed.
    pub installed: Version,
    /// Version that was found.
    pub found: Version,
    /// Why it may not take the installed one's place.
    pub reason: RefusalReason,
}

/// Why an artifact may not take the place of the installed one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Its version is lower.
    LowerVersion,
    /// It was signed earlier; both times in RFC 3339.
    OlderSignature {
        /// When the installed one was signed.
        installed: String,
        /// When the found one was signed.
        found: String,
    },
    /// It is another content of the same version, and nothing tells when it was signed.
    UnknownTime {
        /// When the installed one was signed.
        installed: String,
    },
    /// It is from another repository, whose signers need not be those of the installed one.
    OtherRepository {
        /// Where the installed one is from.
        installed: String,
        /// Where the found one is from.
        found: String,
    },
}

/// What lets such changes through on purpose.
pub(crate) fn hint_for<'a>(refusals: impl Iterator<Item = &'a Refusal>) -> String {
    let (mut moved, mut older) = (false, false);
    for refusal in refusals {
        match refusal.reason {
            RefusalReason::OtherRepository { .. } => moved = true,
            _ => older = true,
        }
    }
    let moved = moved
        .then_some("`--allow-other-repository` lets an artifact come from elsewhere on purpose");
    let older = older.then_some("`--allow-downgrade` installs an older version on purpose");
    [moved, older].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, installed, found, reason } = self;
        match reason {
            RefusalReason::LowerVersion => write!(
                f,
                "{kind} `{name}`: found version `{found}`, which is lower than the installed \
                 `{installed}`"
            ),
            RefusalReason::OlderSignature { installed: before, found: after } => write!(
                f,
                "{kind} `{name}`: found version `{found}` signed at `{after}`, before the installed \
                 `{installed}` signed at `{before}`"
            ),
            RefusalReason::UnknownTime { installed: before } => write!(
                f,
                "{kind} `{name}`: found another content of version `{found}`, and nothing tells when it was signed; \
                 the installed one was signed at `{before}`"
            ),
            RefusalReason::OtherRepository { installed: before, found: after } => write!(
                f,
                "{kind} `{name}`: found version `{found}` in `{after}`, but the installed `{installed}` is from \
                 `{before}`"
            ),
        }
    }
}

fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
