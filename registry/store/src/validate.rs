//! The seam between the store and those who can judge content.
//!
//! Owns [`Validated`], the proof that a whole new set of files was judged. What a rule or a probe
//! must look like is known elsewhere; the program plugs it in.

use std::path::{Path, PathBuf};

use eyas_artifact::{Entry, Generation, InstalledFile, Kind};

use crate::{Composed, StoreError, disk};

/// Judges a set of files before it becomes active.
pub trait Validate {
    /// Accepts the set, or says what is wrong with it.
    fn validate(&self, candidate: &CandidateSet<'_>) -> Result<(), ValidationError>;

    /// Accepts the set if the cases that come with the rules of one artifact hold in it. Asked for
    /// after [`Self::validate`], where a policy wants it.
    fn rule_cases(
        &self,
        candidate: &CandidateSet<'_>,
        artifact: &str,
    ) -> Result<(), ValidationError> {
        let _ = candidate;
        Err(ValidationError::new(format!("the cases of `{artifact}` cannot be run here")))
    }
}

impl<F> Validate for F
where
    F: Fn(&CandidateSet<'_>) -> Result<(), ValidationError>,
{
    fn validate(&self, candidate: &CandidateSet<'_>) -> Result<(), ValidationError> {
        self(candidate)
    }
}

/// The active generation with the staged artifacts replaced or added: all that a sensor would load.
#[derive(Debug, Clone, Copy)]
pub struct CandidateSet<'a> {
    generation: &'a Generation,
    directory: &'a Path,
    changed: &'a [(Kind, String)],
}

/// One file of the set.
#[derive(Debug, Clone)]
pub struct CandidateFile<'a> {
    /// The artifact it belongs to.
    pub artifact: &'a Entry,
    /// Path below the artifact's directory, size and digest.
    pub file: &'a InstalledFile,
    /// Where it can be read now.
    pub path: PathBuf,
    /// `<artifact>/<path>`, for messages: the path it is read from will not exist for long.
    pub label: String,
}

impl<'a> CandidateSet<'a> {
    pub(crate) fn new(
        generation: &'a Generation,
        directory: &'a Path,
        changed: &'a [(Kind, String)],
    ) -> Self {
        Self { generation, directory, changed }
    }

    /// What will be in the generation.
    pub fn generation(&self) -> &'a Generation {
        self.generation
    }

    /// Directory with the files, laid out as the generation's will be.
    pub fn directory(&self) -> &'a Path {
        self.directory
    }

    /// Artifacts that were added, replaced or removed.
    pub fn changed(&self) -> &'a [(Kind, String)] {
        self.changed
    }

    /// Files of a kind, in the order in which a sensor loads them: by artifact, then by path.
    pub fn files(&self, kind: Kind) -> Vec<CandidateFile<'a>> {
        let (directory, generation) = (self.directory, self.generation);
        generation
            .entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .flat_map(|artifact| {
                artifact.files.iter().map(move |file| CandidateFile {
                    artifact,
                    file,
                    path: directory.join(artifact.directory()).join(&file.path),
                    label: format!("{}/{}", artifact.name, file.path),
                })
            })
            .collect()
    }
}

impl CandidateFile<'_> {
    /// The content, when it is not larger than `limit` bytes.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>, StoreError> {
        disk::read(&self.path, limit)?.ok_or_else(|| StoreError::Damaged {
            path: self.path.clone(),
            why: "it is missing".to_owned(),
        })
    }
}

/// Why a set was refused, ready to be shown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{summary}")]
pub struct ValidationError {
    /// One line.
    pub summary: String,
    /// Full text with places and snippets, one or more lines; may be empty.
    pub text: String,
    /// The same for programs.
    pub reports: serde_json::Value,
}

impl ValidationError {
    /// A refusal in one line.
    pub fn new(summary: impl Into<String>) -> Self {
        let summary = summary.into();
        Self { text: String::new(), reports: serde_json::Value::Null, summary }
    }
}

/// Something that was judged, accepted and made durable. Only [`Composed::validate`] makes one.
#[derive(Debug)]
pub struct Validated<T>(T);

impl<T> Validated<T> {
    /// What was accepted.
    pub fn get(&self) -> &T {
        &self.0
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl Composed {
    /// Has the whole set judged, and makes it durable meanwhile; a refused set disappears from the disk.
    pub fn validate(self, judge: &dyn Validate) -> Result<Validated<Self>, StoreError> {
        let judge = || judge.validate(&self.candidate());
        let (flushed, judged) = disk::meanwhile(&|| self.flush(), judge);
        judged.map_err(StoreError::Invalid)?;
        flushed?;
        Ok(Validated(self))
    }
}
