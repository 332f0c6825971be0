//! Going back, and remembering why.
//!
//! Owns rollback and the record of generations that were refused by a sensor or left by a user. A
//! rollback moves `current` and marks what it leaves, which stays until garbage collection.

use eyas_artifact::{Digest, Generation};
use serde::{Deserialize, Serialize};

use crate::paths::REFUSAL_FILE;
use crate::{LockedStore, Store, StoreError, compose, disk};

/// Largest record of a refusal, in bytes.
const MAX_REFUSAL_BYTES: u64 = 1024 * 1024;

/// Why a generation was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What was said.
    pub reason: String,
    /// Whether it was merely left by a rollback: good enough to go back to, not to be brought back
    /// by follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

/// A generation in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The generation.
    pub generation: Generation,
    /// Whether it is the active one.
    pub active: bool,
    /// Why it was left, if it was refused.
    pub refused: Option<Refusal>,
}

impl Store {
    /// All generations, newest first. One whose lock file is damaged is listed as one that cannot be used.
    pub fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let current = self.current_number()?;
        let mut entries = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            let active = current == Some(number);
            entries.push(match self.readable(number)? {
                Some(generation) => {
                    HistoryEntry { generation, active, refused: self.refusal(number)? }
                }
                None => HistoryEntry {
                    generation: Generation::new(number, ""),
                    active,
                    refused: Some(Refusal {
                        at: String::new(),
                        reason: "its lock file is damaged".to_owned(),
                        left: false,
                    }),
                },
            });
        }
        Ok(entries)
    }

    /// Why a generation was refused, if it was.
    pub fn refusal(&self, number: u64) -> Result<Option<Refusal>, StoreError> {
        let path = self.generation_dir(number).join(REFUSAL_FILE);
        let Some(bytes) = disk::read(&path, MAX_REFUSAL_BYTES)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged { path, why: error.to_string() })
    }

    /// The newest marked generation that brought this content (digest of a manifest, or of the image
    /// index it was chosen from): follow does not bring back what a user has left, and need not try
    /// what a sensor has refused. Content that is active is not held against anybody.
    pub fn refused_content(&self, digest: &Digest) -> Result<Option<(u64, Refusal)>, StoreError> {
        let holds = |generation: &Generation| {
            let mut entries = generation.entries.iter();
            entries.any(|entry| entry.root_digest == *digest || entry.manifest_digest == *digest)
        };
        if self.current()?.as_ref().is_some_and(holds) {
            return Ok(None);
        }
        for number in self.numbers()?.into_iter().rev() {
            if let Some(refusal) = self.refusal(number)?
                && holds(&self.generation(number)?)
            {
                return Ok(Some((number, refusal)));
            }
        }
        Ok(None)
    }

    /// The generation that a rollback without a number goes to: the nearest ancestor of the active
    /// one that was not refused, or, where the line is broken, the newest lower number that was not.
    pub fn previous(&self) -> Result<u64, StoreError> {
        let current = self.current_number()?;
        let nothing = || StoreError::NothingBefore { current };
        let numbers = self.numbers()?;
        // One whose lock file is damaged leads nowhere, and must not be in the way of those that do.
        let fits = |number: u64| {
            let wanted = self.refusal(number)?.is_none_or(|mark| mark.left);
            Ok::<_, StoreError>(wanted && self.readable(number)?.is_some())
        };
        let parent = |number: u64| {
            Ok::<_, StoreError>(self.readable(number)?.and_then(|generation| generation.parent))
        };
        let mut at = parent(current.ok_or_else(nothing)?)?;
        while let Some(number) = at.filter(|number| numbers.contains(number)) {
            if fits(number)? {
                return Ok(number);
            }
            // Parents have lower numbers; a file that says otherwise must not send us in circles.
            at = parent(number)?.filter(|parent| *parent < number);
        }
        for number in numbers.into_iter().rev().filter(|number| Some(*number) < current) {
            if fits(number)? {
                return Ok(number);
            }
        }
        Err(nothing())
    }
}

impl LockedStore {
    /// Makes an existing generation active; `None` goes to [`Store::previous`]. The one that is left
    /// is marked, so that follow does not bring its content back at the next check, and going to a
    /// marked one on purpose takes its mark away.
    pub fn rollback(&self, to: Option<u64>) -> Result<Generation, StoreError> {
        let number = to.map_or_else(|| self.previous(), Ok)?;
        let generation = self.generation(number)?;
        let left = self.current_number()?.filter(|left| *left != number);
        // A damaged generation is repaired before anybody sees it.
        self.repair_generation(&generation)?;
        self.point_at(number)?;
        // The marks may fail, for want of space say; the way back must not.
        let _ = disk::remove_file(&self.generation_dir(number).join(REFUSAL_FILE));
        if let Some(left) = left {
            let reason = format!("left by a rollback to generation {number}");
            let _ = self.mark(left, reason, true);
        }
        Ok(generation)
    }

    /// Leaves the active generation because it was refused, remembers why, and goes back. Without a
    /// generation to go back to, nothing is active afterwards.
    pub fn reject(&self, number: u64, reason: &str) -> Result<Option<Generation>, StoreError> {
        self.generation(number)?;
        if self.current_number()? != Some(number) {
            self.mark(number, reason.to_owned(), false)?;
            return self.current();
        }
        let back = match self.previous() {
            Ok(previous) => Some(self.rollback(Some(previous))?),
            Err(StoreError::NothingBefore { .. }) => {
                disk::remove_file(&self.paths.current())?;
                disk::sync_dir(self.paths.root())?;
                None
            }
            Err(error) => return Err(error),
        };
        // As above: what counts is that it is no longer active.
        let _ = self.mark(number, reason.to_owned(), false);
        Ok(back)
    }

    fn mark(&self, number: u64, reason: String, left: bool) -> Result<(), StoreError> {
        let refusal = Refusal { at: compose::now(), reason, left };
        let path = self.generation_dir(number).join(REFUSAL_FILE);
        let bytes = serde_json::to_vec_pretty(&refusal)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        disk::replace_file(&path, &bytes)
    }
}
