//! What can stop an operation.
//!
//! Owns the mapping from the errors of the crates below to a class. Wording stays where the facts
//! are; this adds what only the operation knows.

use std::io;
use std::path::{Path, PathBuf};

use eyas_artifact::{ArtifactError, Kind};
use eyas_index::IndexError;
use eyas_oci::OciError;
use eyas_store::StoreError;
use eyas_trust::{PolicyError, TrustError};
use thiserror::Error;

use crate::{Class, RefusedArtifact};

/// Why an operation stopped. Nothing that was active before has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpsError {
    /// Something typed, or a file that was named, cannot be meant.
    #[error("{message}")]
    Usage {
        /// What was found and what was expected.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file that was named cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours cannot be read or written.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A temporary file cannot be written.
    #[error("cannot write a temporary file: {0}")]
    Scratch(io::Error),
    /// A signed index is older than what was accepted in its place.
    #[error(
        "index `{name}` {}, and one signed at {newest} was accepted before",
        found.as_ref().map_or_else(|| "does not tell when it was signed".to_owned(), |at| format!("was signed at {at}"))
    )]
    OlderIndex {
        /// Name of the index.
        name: String,
        /// When it was signed, if anything tells.
        found: Option<String>,
        /// Newest signing time that was accepted.
        newest: String,
        /// Where that is noted.
        note: PathBuf,
    },
    /// The note of how new a signed index was cannot be understood.
    #[error(
        "whether index `{name}` is older than what was accepted before is not known: the note `{}` is damaged: {why}",
        note.display()
    )]
    SpoiltNote {
        /// Name of the index.
        name: String,
        /// Where it is noted.
        note: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// An index does not answer, or wrongly.
    #[error("index `{name}` cannot be fetched: {source}")]
    IndexFetch {
        /// Name of the index.
        name: String,
        /// What happened.
        source: OciError,
    },
    /// An index file cannot be read.
    #[error("index `{name}` in `{}` cannot be read: {source}", path.display())]
    IndexFile {
        /// Name of the index.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An index is not what an index should be.
    #[error("{address}: {source}")]
    IndexContent {
        /// Where it is.
        address: String,
        /// What is wrong with it, and where.
        source: Box<IndexError>,
    },
    /// A name is unknown, and an index that may know it could not be had.
    #[error("`{name}` is in no index that could be had: {reason}")]
    NameNeedsIndex {
        /// The name.
        name: String,
        /// The index that is missing.
        index: String,
        /// Why it is.
        reason: String,
        /// Class of that.
        class: Class,
    },
    /// No index of that name was added.
    #[error("no index named `{name}` was added")]
    NoSuchIndex {
        /// The name.
        name: String,
    },
    /// Neither an artifact nor a reference was given.
    #[error("no artifact is given")]
    NothingToDo {
        /// `install` or `follow`.
        command: &'static str,
    },
    /// The kind is not among those that are allowed.
    #[error("{kind} `{name}` from `{reference}` is not among the allowed types: {allowed}")]
    KindNotAllowed {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Where it is from.
        reference: String,
        /// What is allowed.
        allowed: String,
    },
    /// A lock file does not have what is asked for.
    #[error(
        "the lock file does not have `{wanted}`{}",
        locked.as_ref().map_or_else(String::new, |locked| format!(", it has {locked}"))
    )]
    NotLocked {
        /// What is asked for.
        wanted: String,
        /// What it has of that repository, if anything.
        locked: Option<String>,
    },
    /// Something that is to leave, or to be pinned, is not there.
    #[error("no artifact named `{name}` is installed")]
    NotInstalled {
        /// The name.
        name: String,
        /// What is installed.
        installed: Vec<String>,
    },
    /// Something that stays needs what is to leave.
    #[error("`{name}` is needed by installed `{by}`")]
    Needed {
        /// What is to leave.
        name: String,
        /// What needs it.
        by: String,
    },
    /// Something that is to leave is pinned.
    #[error("`{name}` is pinned")]
    Held {
        /// The name.
        name: String,
    },
    /// Something that is to be released is not pinned.
    #[error("`{name}` is not pinned")]
    NotPinned {
        /// The name.
        name: String,
        /// What is pinned.
        pinned: Vec<String>,
    },
    /// The policy in force does not accept what an earlier generation holds.
    #[error(
        "generation {generation} is not activated, {policy} does not accept what is in it: {}",
        listed(what)
    )]
    RefusedGeneration {
        /// The generation.
        generation: u64,
        /// Where the policy came from.
        policy: String,
        /// Each artifact, and what stands against it.
        what: Vec<RefusedArtifact>,
        /// The newest other generation in which nothing does.
        sound: Option<u64>,
    },
    /// The policy in force does not accept what damaged files belong to.
    #[error("nothing is restored, {policy} does not accept what is damaged: {}", listed(what))]
    RefusedRepair {
        /// Where the policy came from.
        policy: String,
        /// Each artifact, and what stands against it.
        what: Vec<RefusedArtifact>,
    },
    /// The policy asks for a higher version.
    #[error("{kind} `{name}` has version `{found}`, the policy asks for at least `{minimum}`")]
    BelowMinimum {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Its version.
        found: String,
        /// The lowest that is accepted.
        minimum: String,
    },
    /// The tag names a version in full, and what it points at has another one.
    #[error(
        "`{reference}` is {kind} `{name}` {found}, which is not the version that its tag names"
    )]
    OtherVersion {
        /// What was asked for.
        reference: String,
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// The version that its own description has.
        found: String,
    },
    /// More artifacts are pulled in than any set should have.
    #[error("more than {limit} artifacts are needed together")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A document from the registry is not what it should be.
    #[error("`{reference}`: {source}")]
    Document {
        /// Where it is from.
        reference: String,
        /// What is wrong with it.
        source: ArtifactError,
    },
    /// A sensor is required and there is none.
    #[error("a sensor is required: {reason}")]
    NoSensor {
        /// Where it was looked for, and what was found.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Something is where the sensor should be, and cannot be asked.
    #[error("the sensor cannot be asked: {message}")]
    SensorUnreachable {
        /// What was found and what was expected.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The sensor refused the new set. The store is back at what was active before.
    #[error("the sensor refused generation {generation}:\n{}", lines.join("\n"))]
    SensorRefused {
        /// The generation that was refused and taken back.
        generation: u64,
        /// What the sensor says.
        lines: Vec<String>,
    },
    /// The sensor refused, and the store could not be put back either.
    #[error(
        "generation {generation} was refused ({refusal}) and could not be taken back: {source}"
    )]
    Stuck {
        /// The generation that is in force although it was refused.
        generation: u64,
        /// What was wrong with it.
        refusal: String,
        /// Why it could not be taken back.
        source: Box<StoreError>,
    },
    /// A plain directory is not at the generation that the store is at.
    #[error(
        "plain directories are not at generation {}, which is active: {source}, after {failure}",
        generation.map_or("none".to_owned(), |number| number.to_string())
    )]
    Split {
        /// The generation that is active.
        generation: Option<u64>,
        /// What went wrong first.
        failure: String,
        /// Why the directories could not be brought to it.
        source: Box<OpsError>,
    },
    /// The title under which an archive was pushed is no plain file name.
    #[error("`{reference}` calls its archive `{title}`, expected a plain file name")]
    UnsafeTitle {
        /// Where it is from.
        reference: String,
        /// What it says.
        title: String,
    },
    /// There is no generation to tell the sensor about.
    #[error("nothing is installed in `{}`", store.display())]
    NothingInstalled {
        /// The state directory.
        store: PathBuf,
    },
    /// The embedded registry cannot listen.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A name, an index file or a plan is wrong.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A registry failed us.
    #[error(transparent)]
    Registry(#[from] OciError),
    /// Verification failed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A reference or another value that was typed is wrong.
    #[error(transparent)]
    Typed(#[from] ArtifactError),
}

impl OpsError {
    pub(crate) fn usage(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self::Usage { message: message.into(), hint: hint.map(str::to_owned) }
    }

    pub(crate) fn input(path: &Path, source: io::Error) -> Self {
        Self::Input { path: path.to_owned(), source }
    }

    /// A failure to write what was asked for.
    pub fn storage(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Storage { doing, path: path.to_owned(), source }
    }

    pub(crate) fn scratch(source: io::Error) -> Self {
        Self::Scratch(source)
    }

    /// A policy that cannot be used.
    pub fn from_policy(error: Box<PolicyError>) -> Self {
        Self::Trust(TrustError::Policy(error))
    }

    /// The whole text of a refusal by the validators, where there is more than one line.
    pub fn report(&self) -> Option<&str> {
        match self {
            Self::Store(StoreError::Invalid(error)) if !error.text.is_empty() => Some(&error.text),
            _ => None,
        }
    }

    /// The class of this failure.
    pub fn class(&self) -> Class {
        match self {
            Self::IndexFile { .. }
            | Self::Usage { .. }
            | Self::Input { .. }
            | Self::NothingToDo { .. }
            | Self::Typed(_) => Class::Usage,
            Self::Storage { .. }
            | Self::Scratch(_)
            | Self::SpoiltNote { .. }
            | Self::Stuck { .. }
            | Self::Split { .. } => Class::Storage,
            Self::IndexFetch { source, .. } | Self::Registry(source) => of_registry(source),
            Self::IndexContent { source, .. } => of_index(source),
            Self::NameNeedsIndex { class, .. } => *class,
            Self::NoSuchIndex { .. }
            | Self::NothingInstalled { .. }
            | Self::NotLocked { .. }
            | Self::NotInstalled { .. }
            | Self::NotPinned { .. } => Class::NotFound,
            Self::KindNotAllowed { .. }
            | Self::OlderIndex { .. }
            | Self::RefusedGeneration { .. }
            | Self::RefusedRepair { .. }
            | Self::BelowMinimum { .. }
            | Self::OtherVersion { .. } => Class::Verification,
            Self::Needed { .. }
            | Self::Held { .. }
            | Self::TooMany { .. }
            | Self::Document { .. }
            | Self::UnsafeTitle { .. } => Class::Validation,
            Self::NoSensor { .. } | Self::SensorUnreachable { .. } | Self::SensorRefused { .. } => {
                Class::Sensor
            }
            Self::Listen { .. } => Class::Failed,
            Self::Index(error) => of_index(error),
            Self::Trust(error) => of_trust(error),
            Self::Store(error) => of_store(error),
        }
    }

    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::NoSensor { hint, .. }
            | Self::SensorUnreachable { hint, .. } => hint.clone(),
            Self::IndexFetch { source, .. } | Self::Registry(source) => source.hint(),
            Self::NameNeedsIndex { index, .. } => Some(format!(
                "check the address of index `{index}`, or give the artifact as \
                 `registry/repository:tag`"
            )),
            Self::NoSuchIndex { .. } => Some("`eyas index list` shows them".to_owned()),
            Self::NothingToDo { command } => {
                Some(format!("name one, or set `artifact.{command}.refs` in the configuration"))
            }
            Self::KindNotAllowed { .. } => {
                Some("see `--allowed-types` and `artifact.allowedTypes`".to_owned())
            }
            Self::OtherVersion { .. } => Some(
                "ask for a version that the registry has; `--allow-downgrade` takes what the tag holds"
                    .to_owned(),
            ),
            Self::NotLocked { .. } => Some(
                "write the lock file again with `eyas artifact lock`, or install without `--locked`"
                    .to_owned(),
            ),
            Self::NotInstalled { installed, .. } if installed.is_empty() => {
                Some("nothing is installed".to_owned())
            }
            Self::NotInstalled { installed, .. } => {
                Some(format!("installed are `{}`", installed.join("`, `")))
            }
            Self::Needed { .. } => Some("`--cascade` removes what needs it too".to_owned()),
            Self::Held { name } => Some(format!("`eyas artifact unpin {name}` releases it")),
            Self::NotPinned { pinned, .. } if pinned.is_empty() => {
                Some("nothing is pinned".to_owned())
            }
            Self::NotPinned { pinned, .. } => {
                Some(format!("pinned are `{}`", pinned.join("`, `")))
            }
            Self::SensorRefused { .. } => Some(
                "nothing has changed: the store is back at the generation before and the sensor \
                 keeps running it"
                    .to_owned(),
            ),
            Self::Stuck { .. } => Some("run `eyas artifact rollback`".to_owned()),
            Self::Split { .. } => {
                Some("when the disk works again, `eyas artifact repair` puts it right".to_owned())
            }
            Self::IndexContent { source, .. } => source.hint(),
            Self::Index(source) => source.hint(),
            Self::Typed(source) | Self::Document { source, .. } => source.hint(),
            Self::Trust(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Input { .. } | Self::IndexFile { .. } => {
                Some("check that the path is right and that this user may read it".to_owned())
            }
            Self::Storage { .. } => Some(
                "check that the path is right and that this user may write it; what was there before \
                 stays as it was"
                    .to_owned(),
            ),
            Self::Scratch(_) => {
                Some("`TMPDIR` names another directory for temporary files".to_owned())
            }
            Self::OlderIndex { note, .. } => Some(format!(
                "an older index may be replayed; where its publisher means it to be used, have it signed \
                 anew, or remove `{}`",
                note.display()
            )),
            Self::SpoiltNote { note, .. } => Some(format!(
                "look that the index is the present one, by its publisher's word, then remove `{}`: the next \
                 signed index is accepted whatever its age, and noted anew",
                note.display()
            )),
            Self::RefusedGeneration { sound: Some(number), .. } => Some(format!(
                "all that is in generation {number} is accepted: `--to {number}`"
            )),
            Self::RefusedGeneration { what, .. } | Self::RefusedRepair { what, .. } => {
                Some(remedy(what))
            }
            Self::BelowMinimum { .. } => Some(
                "ask for a newer version, or change `minimum-version` of the rule in the policy"
                    .to_owned(),
            ),
            Self::TooMany { .. } => Some(
                "install them one after the other; if one needs so many, tell its publisher".to_owned(),
            ),
            Self::UnsafeTitle { .. } => {
                Some("tell the publisher: nothing of it was written".to_owned())
            }
            Self::NothingInstalled { .. } => Some(
                "`eyas artifact install` installs something; `--store` names another directory"
                    .to_owned(),
            ),
            Self::Listen { .. } => {
                Some("name an address of this machine that is free; port 0 takes any".to_owned())
            }
        }
    }
}

fn listed(what: &[RefusedArtifact]) -> String {
    what.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn remedy(what: &[RefusedArtifact]) -> String {
    match what.iter().find(|artifact| !artifact.revoked) {
        None => {
            "install a version that is not revoked, or take the line out of the policy".to_owned()
        }
        Some(RefusedArtifact { pinned, .. }) => format!(
            "`eyas artifact install {pinned} --allow-downgrade` asks its registry for signatures that are \
             accepted today; `--no-verify` does without"
        ),
    }
}

fn of_registry(error: &OciError) -> Class {
    match error {
        OciError::NotFound { .. } | OciError::NoPlatform { .. } => Class::NotFound,
        OciError::DigestMismatch { .. } | OciError::SizeMismatch { .. } => Class::Verification,
        OciError::Unsupported { .. } => Class::Validation,
        OciError::Credentials { .. } | OciError::Tls { .. } | OciError::Config { .. } => {
            Class::Usage
        }
        OciError::Io { .. } | OciError::Sink { .. } | OciError::CredentialStore { .. } => {
            Class::Storage
        }
        _ => Class::Network,
    }
}

fn of_index(error: &IndexError) -> Class {
    match error {
        IndexError::UnknownName { .. } => Class::NotFound,
        // An older version under the same name is an attack until somebody says otherwise.
        IndexError::Refused { .. } => Class::Verification,
        IndexError::Unsolvable(conflict) if conflict.is_absence() => Class::NotFound,
        IndexError::Unsolvable(_) => Class::Validation,
        IndexError::Edit { .. } => Class::Usage,
        _ => Class::Network,
    }
}

fn of_trust(error: &TrustError) -> Class {
    match error {
        TrustError::Policy(_)
        | TrustError::Key { .. }
        | TrustError::Password { .. }
        | TrustError::Root { .. }
        | TrustError::Token { .. }
        | TrustError::NotClassic
        | TrustError::NotPinned { .. } => Class::Usage,
        TrustError::Service { .. } => Class::Network,
        TrustError::Registry(error) => of_registry(error),
        TrustError::Build { .. } => Class::Failed,
        _ => Class::Verification,
    }
}

fn of_store(error: &StoreError) -> Class {
    match error {
        StoreError::Invalid(_)
        | StoreError::Archive { .. }
        | StoreError::ArchiveLimit { .. }
        | StoreError::Document { .. }
        | StoreError::StagedTwice { .. } => Class::Validation,
        StoreError::DigestMismatch { .. } | StoreError::SizeMismatch { .. } => Class::Verification,
        StoreError::UnknownGeneration { .. }
        | StoreError::NothingBefore { .. }
        | StoreError::NotInstalled { .. } => Class::NotFound,
        _ => Class::Storage,
    }
}
