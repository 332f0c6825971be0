//! Reading the store: which generations there are and which is active.
//!
//! Owns the [`Store`] handle. Needs no lock and no right to write: a reader follows `current` once
//! and stays in the directory it found.

use std::io;
use std::path::{Path, PathBuf};

use eyas_artifact::{Generation, MAX_GENERATION_BYTES};

use crate::paths::{LOCK_FILE, Paths};
use crate::{StoreError, disk};

/// A state directory. Opening it changes nothing; changes go through [`crate::LockedStore`].
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) paths: Paths,
}

impl Store {
    /// Opens a state directory, which need not exist yet.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let paths = Paths::new(directory.into());
        match std::fs::metadata(paths.root()) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                let source = io::Error::from(io::ErrorKind::NotADirectory);
                return Err(StoreError::io("open the store", paths.root(), source));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("open", paths.root(), error)),
        }
        Ok(Self { paths })
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        self.paths.root()
    }

    /// The link to the active generation, for programs that follow it themselves.
    pub fn current_link(&self) -> PathBuf {
        self.paths.current()
    }

    /// Directory of a generation, whether or not it exists.
    pub fn generation_dir(&self, number: u64) -> PathBuf {
        self.paths.generation(number)
    }

    /// Number of the active generation.
    pub fn current_number(&self) -> Result<Option<u64>, StoreError> {
        let link = self.paths.current();
        let target = match std::fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let why = "found something else, expected a symbolic link".to_owned();
                return Err(StoreError::Damaged { path: link, why });
            }
            Err(error) => return Err(StoreError::io("read", &link, error)),
        };
        let number = target.file_name().and_then(|name| number_of(Path::new(name)));
        match number {
            Some(number) if target == Paths::generation_target(number) => Ok(Some(number)),
            _ => Err(StoreError::Damaged {
                path: link,
                why: format!(
                    "it points at `{}`, expected `generations/<number>`",
                    target.display()
                ),
            }),
        }
    }

    /// The active generation, or `None` when nothing was ever installed.
    pub fn current(&self) -> Result<Option<Generation>, StoreError> {
        self.current_number()?.map(|number| self.generation(number)).transpose()
    }

    /// A generation by number.
    pub fn generation(&self, number: u64) -> Result<Generation, StoreError> {
        let path = self.paths.generation(number).join(LOCK_FILE);
        let Some(bytes) = disk::read(&path, MAX_GENERATION_BYTES)? else {
            return Err(self.unknown(number)?);
        };
        let generation = Generation::from_slice(&bytes)
            .map_err(|error| StoreError::Damaged { path: path.clone(), why: error.to_string() })?;
        if generation.number != number {
            let why = format!("it says number {}, expected {number}", generation.number);
            return Err(StoreError::Damaged { path, why });
        }
        Ok(generation)
    }

    /// A generation by number, or none when its lock file is damaged or gone.
    pub(crate) fn readable(&self, number: u64) -> Result<Option<Generation>, StoreError> {
        match self.generation(number) {
            Ok(generation) => Ok(Some(generation)),
            Err(StoreError::Damaged { .. } | StoreError::UnknownGeneration { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Numbers of all generations, ascending.
    pub fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<u64> = disk::list(&self.paths.generations())?
            .iter()
            .filter_map(|path| number_of(Path::new(path.file_name()?)))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// All generations, ascending by number.
    pub fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        self.numbers()?.into_iter().map(|number| self.generation(number)).collect()
    }

    pub(crate) fn unknown(&self, number: u64) -> Result<StoreError, StoreError> {
        Ok(StoreError::UnknownGeneration { number, available: self.numbers()? })
    }
}

/// The number a directory is named after; only the canonical spelling counts.
fn number_of(name: &Path) -> Option<u64> {
    let text = name.to_str()?;
    let number = text.parse().ok()?;
    (u64::to_string(&number) == text && number > 0).then_some(number)
}
