//! Going back, and remembering why.
//!
//! Owns rollback and the record of generations that a sensor refused. A rollback moves `current`
//! and nothing else; the generation it leaves stays until garbage collection.

use eyas_artifact::{Digest, Generation, Kind};
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
    /// What the sensor, or the user, said.
    pub reason: String,
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
    /// All generations, newest first.
    pub fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let current = self.current_number()?;
        let mut entries = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            entries.push(HistoryEntry {
                generation: self.generation(number)?,
                active: current == Some(number),
                refused: self.refusal(number)?,
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

    /// The refused generation that brought this content, if there is one: follow does not try again
    /// what a sensor has refused. Content that the active generation has as well is not held
    /// against anybody.
    pub fn refused_content(
        &self,
        kind: Kind,
        name: &str,
        manifest: &Digest,
    ) -> Result<Option<(u64, Refusal)>, StoreError> {
        let holds = |generation: &Generation| {
            generation.find(kind, name).is_some_and(|entry| entry.manifest_digest == *manifest)
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

    /// The generation that a rollback without a number goes to: the newest below the active one
    /// that was not refused.
    pub fn previous(&self) -> Result<u64, StoreError> {
        let current = self.current_number()?;
        let below = self.numbers()?.into_iter().rev().filter(|number| Some(*number) < current);
        for number in below {
            if self.refusal(number)?.is_none() {
                return Ok(number);
            }
        }
        Err(StoreError::NothingBefore { current })
    }
}

impl LockedStore {
    /// Makes an existing generation active. `None` goes to [`Store::previous`].
    pub fn rollback(&self, to: Option<u64>) -> Result<Generation, StoreError> {
        let number = to.map_or_else(|| self.previous(), Ok)?;
        let generation = self.generation(number)?;
        // A damaged generation is repaired before anybody sees it.
        self.repair_generation(&generation)?;
        self.point_at(number)?;
        Ok(generation)
    }

    /// Leaves the active generation because it was refused: records why, and goes back. Without a
    /// generation to go back to, the record is made and nothing is active afterwards.
    pub fn reject(&self, number: u64, reason: &str) -> Result<Option<Generation>, StoreError> {
        let refusal = Refusal { at: compose::now(), reason: reason.to_owned() };
        self.generation(number)?;
        let path = self.generation_dir(number).join(REFUSAL_FILE);
        let bytes = serde_json::to_vec_pretty(&refusal)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        if self.current_number()? != Some(number) {
            disk::replace_file(&path, &bytes)?;
            return self.current();
        }
        // Going back comes first: the record may fail for want of space, the way back must not.
        let back = match self.previous() {
            Ok(previous) => Some(self.rollback(Some(previous))?),
            Err(StoreError::NothingBefore { .. }) => {
                disk::remove_file(&self.paths.current())?;
                disk::sync_dir(self.paths.root())?;
                None
            }
            Err(error) => return Err(error),
        };
        disk::replace_file(&path, &bytes)?;
        Ok(back)
    }
}
