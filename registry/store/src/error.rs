//! What can go wrong in the state directory.
//!
//! Owns the one error type of the crate and the classing of system errors: a full disk and a
//! read-only target are cases of their own, since the user can do something about them.

use std::io;
use std::path::{Path, PathBuf};

use eyas_artifact::{ArtifactError, Digest, Kind, Version};

use crate::paths::LOCK_FILE;
use crate::validate::ValidationError;

/// Why the store refused or failed. Whatever the variant, the active generation is what it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system has no room, or a quota is used up.
    #[error("no space left to {action} `{}`", path.display())]
    Full {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
    },
    /// Known before anything was written: what is needed does not fit.
    #[error("`{}` has {available} bytes free, but {needed} bytes are needed", path.display())]
    TooLittleSpace {
        /// Directory on the file system.
        path: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The file system is mounted read-only.
    #[error("cannot {action} `{}`: the file system is read-only", path.display())]
    ReadOnly {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
    },
    /// The user may not write there.
    #[error("cannot {action} `{}`: permission denied", path.display())]
    Denied {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
    },
    /// Any other error of the system.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process is changing the store.
    #[error("the store `{}` is being changed by another process{}", path.display(), holder(*pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, if it says so.
        pid: Option<u32>,
    },
    /// Something in the store is not as it was written.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// Content does not have the digest it should have.
    #[error("content has digest `{found}`, expected `{expected}`")]
    DigestMismatch {
        /// Digest that was announced.
        expected: Digest,
        /// Digest of what came.
        found: Digest,
    },
    /// Content does not have the size it should have.
    #[error("content of `{digest}` has {found} bytes, expected {expected} bytes")]
    SizeMismatch {
        /// Digest that was announced.
        digest: Digest,
        /// Size that was announced, in bytes.
        expected: u64,
        /// Size of what came so far, in bytes.
        found: u64,
    },
    /// An archive that cannot be read or contains what is not allowed.
    #[error("unacceptable archive of `{artifact}`: {why}")]
    Archive {
        /// Name of the artifact.
        artifact: String,
        /// The entry and what is wrong with it.
        why: String,
    },
    /// An archive above a limit.
    #[error("archive of `{artifact}` exceeds the limit of {limit} {what}")]
    ArchiveLimit {
        /// Name of the artifact.
        artifact: String,
        /// The limit.
        limit: u64,
        /// What is counted.
        what: &'static str,
    },
    /// A document of an artifact or of the store is malformed.
    #[error("{context}: {source}")]
    Document {
        /// Which one.
        context: String,
        /// What is wrong with it.
        source: ArtifactError,
    },
    /// The policy wants a newer version.
    #[error("`{reference}` has version `{found}`, but the policy wants at least `{minimum}`")]
    BelowMinimum {
        /// Reference of the artifact.
        reference: String,
        /// Its version.
        found: Version,
        /// The lowest version that is allowed.
        minimum: Version,
    },
    /// Content was asked for before it was there.
    #[error("the {what} of `{artifact}` has not been stored yet")]
    Incomplete {
        /// Reference of the artifact.
        artifact: String,
        /// Which part.
        what: &'static str,
    },
    /// Two staged artifacts of one kind and name.
    #[error("{kind} `{name}` is staged twice")]
    StagedTwice {
        /// Kind of the artifact.
        kind: Kind,
        /// Name of the artifact.
        name: String,
    },
    /// An artifact that is to be removed is not installed.
    #[error("{kind} `{name}` is not installed")]
    NotInstalled {
        /// Kind of the artifact.
        kind: Kind,
        /// Name of the artifact.
        name: String,
    },
    /// The active generation is not the one that a new set was made from.
    #[error(
        "the new set was made from generation {}, but {} is active",
        or_none(*base),
        or_none(*current)
    )]
    Stale {
        /// The generation it was made from.
        base: Option<u64>,
        /// The active generation.
        current: Option<u64>,
    },
    /// The new set of files was refused.
    #[error("the new set of artifacts was refused: {0}")]
    Invalid(ValidationError),
    /// A file of a plain directory that may not be replaced.
    #[error(
        "`{}` is in the way: it belongs to {}",
        path.display(),
        owner.as_deref().unwrap_or("no artifact")
    )]
    Occupied {
        /// The file.
        path: PathBuf,
        /// The artifact that owns it, if one does.
        owner: Option<String>,
    },
    /// A generation that does not exist.
    #[error("there is no generation {number}; there are {}", numbers(available))]
    UnknownGeneration {
        /// The number asked for.
        number: u64,
        /// Numbers that exist.
        available: Vec<u64>,
    },
    /// Nothing is installed yet, or there is nothing older.
    #[error("there is no generation before {}", current.map_or("the first".to_owned(), |n| n.to_string()))]
    NothingBefore {
        /// The active generation.
        current: Option<u64>,
    },
}

impl StoreError {
    /// Classes an error of the system.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, path }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Denied { action, path },
            _ => Self::Io { action, path, source },
        }
    }

    /// Whether the error is about content rather than about the disk.
    pub fn is_verification(&self) -> bool {
        matches!(
            self,
            Self::DigestMismatch { .. }
                | Self::SizeMismatch { .. }
                | Self::Archive { .. }
                | Self::ArchiveLimit { .. }
                | Self::Document { .. }
                | Self::BelowMinimum { .. }
        )
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Full { .. } | Self::TooLittleSpace { .. } => {
                "free some space (`eyas artifact gc` drops old generations) and run the command \
                 again; nothing was changed"
            }
            Self::ReadOnly { .. } => {
                "mount the directory writable, or choose another with `--store`; nothing was changed"
            }
            Self::Denied { .. } => {
                "run as the user who owns the directory, or choose another with `--store`; nothing \
                 was changed"
            }
            Self::Stale { .. } => "run the command again",
            Self::Locked { .. } => "wait for it to finish and run the command again",
            Self::Damaged { path, .. } => damage_hint(path),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "the registry or something on the way changed the content; try again, or another \
                 mirror"
            }
            Self::Archive { .. } | Self::ArchiveLimit { .. } | Self::Document { .. } => {
                "ask the publisher to push the artifact again; nothing was changed"
            }
            Self::Invalid(_) => "the previous generation is still active",
            Self::Occupied { owner: None, .. } => {
                "move it away, or take it over with `--adopt`; nothing was changed"
            }
            Self::Occupied { .. } => {
                "install one of the two to another directory; nothing was changed"
            }
            Self::UnknownGeneration { .. } | Self::NothingBefore { .. } => {
                "`eyas artifact history` lists the generations"
            }
            Self::NotInstalled { .. } => "`eyas artifact status` lists what is",
            Self::BelowMinimum { .. } => {
                "change `minimum-version` in the policy to accept an older one"
            }
            Self::Io { .. } => {
                "check the path and its disk, or choose another directory with `--store`; nothing was \
                 changed"
            }
            Self::StagedTwice { .. } => "leave one of the two out",
            Self::Incomplete { .. } => "run the command again; nothing was changed",
        };
        Some(text.to_owned())
    }
}

/// What helps depends on what is damaged.
fn damage_hint(path: &Path) -> &'static str {
    let is_record = path.extension().is_some_and(|ending| ending == "json");
    if path.ends_with(LOCK_FILE) || path.ends_with("current") {
        "`eyas artifact rollback` goes to the last generation that can be read (`--to NUMBER` to any \
         other); without one, move the store away and install again"
    } else if is_record {
        "move this file away, then run `eyas artifact repair` and the command again: only what the file \
         remembers is lost"
    } else {
        "`eyas artifact repair` restores files from the store; `eyas artifact rollback` returns to the \
         previous generation"
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
}

fn or_none(number: Option<u64>) -> String {
    number.map_or("none".to_owned(), |number| number.to_string())
}

fn numbers(available: &[u64]) -> String {
    if available.is_empty() {
        return "none".to_owned();
    }
    available.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
