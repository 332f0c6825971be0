//! The store as the daemon sees it: `current`, its lock file, and the files it lists. Read only.
//!
//! The lock file says what belongs to a generation and with which digest; a file that differs is
//! refused, so that what runs is what was verified.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use eyas_artifact::{ArtifactError, Digest, Entry, Generation, Kind, MAX_GENERATION_BYTES};
use eyas_rules::SourceFile;

/// Largest rules file that is read, in bytes.
pub(crate) const MAX_RULES_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest probe object that is read, in bytes.
const MAX_PROBE_BYTES: u64 = 64 * 1024 * 1024;

const CURRENT: &str = "current";
const GENERATIONS: &str = "generations";
const LOCK_FILE: &str = "lock.json";

/// Why a generation cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Something below the store cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is larger than is read.
    #[error("`{}` is larger than `{limit}` bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The lock file is no lock file.
    #[error("`{}`: {source}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        source: ArtifactError,
    },
    /// `current` leads somewhere else than into the store.
    #[error("`{}` leads to `{}`, expected `{GENERATIONS}/<number>`", path.display(), target.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A lock file lists a path that leaves its artifact's directory.
    #[error("`{}` lists the path `{file}`, which leaves its directory", lock.display())]
    Escapes {
        /// The lock file.
        lock: PathBuf,
        /// The path.
        file: String,
    },
    /// A file is not the one that was installed.
    #[error("`{}` has digest `{found}`, the lock file says `{expected}`", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What the lock file says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A rules file is not UTF-8.
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// What to do about it, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } | Self::Escapes { .. } | Self::Lock { .. } => Some(
                "the store was changed by something else than `eyas`: install the artifact again, \
                 or go back with `eyas artifact rollback`"
                    .into(),
            ),
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run as root, or let the sensor's user read the store".into())
            }
            _ => None,
        }
    }
}

/// One generation's content, as far as the daemon runs it.
#[derive(Debug)]
pub(crate) struct Installed {
    /// Its number.
    pub(crate) number: u64,
    /// Digest of its lock file.
    pub(crate) lock_digest: Digest,
    /// Rules files in the order of the lock file.
    pub(crate) rules: Vec<SourceFile>,
    /// The newest probe object, if there is one.
    pub(crate) probe: Option<InstalledProbe>,
}

/// A probe object of a generation.
#[derive(Debug)]
pub(crate) struct InstalledProbe {
    /// Name of the artifact.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Digest of the object.
    pub(crate) digest: Digest,
    /// The object.
    pub(crate) object: Vec<u8>,
}

/// Reads the current generation; `None` when nothing is active.
pub(crate) fn current(store: &Path) -> Result<Option<Installed>, StoreError> {
    let link = store.join(CURRENT);
    // Between reading the link and reading the files the generation may be replaced and cleaned up.
    let mut before = target(&link)?;
    loop {
        let Some(number) = before else { return Ok(None) };
        match read(store, number) {
            Err(error) => {
                let now = target(&link)?;
                if now == before {
                    return Err(error);
                }
                before = now;
            }
            Ok(installed) => return Ok(Some(installed)),
        }
    }
}

/// The number that `current` leads to; `None` when nothing is active.
pub(crate) fn current_number(store: &Path) -> Result<Option<u64>, StoreError> {
    target(&store.join(CURRENT))
}

/// Numbers of the generations in the store below `number`, newest first.
pub(crate) fn older_than(store: &Path, number: u64) -> Vec<u64> {
    let entries = std::fs::read_dir(store.join(GENERATIONS));
    let mut numbers: Vec<u64> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|found| *found < number)
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers
}

fn target(link: &Path) -> Result<Option<u64>, StoreError> {
    let target = match std::fs::read_link(link) {
        Ok(target) => target,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Read { path: link.to_path_buf(), source }),
    };
    let number = target
        .strip_prefix(GENERATIONS)
        .ok()
        .and_then(|number| number.to_str()?.trim_end_matches('/').parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(StoreError::Link { path: link.to_path_buf(), target }),
    }
}

/// Reads one generation.
pub(crate) fn read(store: &Path, number: u64) -> Result<Installed, StoreError> {
    let directory = store.join(GENERATIONS).join(number.to_string());
    let lock = directory.join(LOCK_FILE);
    let bytes = read_capped(&lock, MAX_GENERATION_BYTES)?;
    let generation = Generation::from_slice(&bytes)
        .map_err(|source| StoreError::Lock { path: lock.clone(), source })?;
    let mut installed = Installed {
        number: generation.number,
        lock_digest: Digest::sha256(&bytes),
        rules: Vec::new(),
        probe: None,
    };
    for entry in &generation.entries {
        match entry.kind {
            Kind::Rulesfile => installed.rules.extend(rules_of(&directory, &lock, entry)?),
            Kind::Probe => {
                let newer = installed.probe.as_ref().is_none_or(|probe| {
                    probe.version.parse().is_ok_and(|version| entry.version > version)
                });
                if newer && let Some(probe) = probe_of(&directory, &lock, entry)? {
                    installed.probe = Some(probe);
                }
            }
            _ => {}
        }
    }
    Ok(installed)
}

fn rules_of(directory: &Path, lock: &Path, entry: &Entry) -> Result<Vec<SourceFile>, StoreError> {
    let is_rules = |path: &str| has_ending(path, &["yaml", "yml"]);
    let mut files = Vec::new();
    for file in entry.files.iter().filter(|file| is_rules(&file.path)) {
        let path = place(directory, lock, entry, &file.path)?;
        let text = checked(&path, &file.digest, MAX_RULES_FILE_BYTES)?;
        let text = String::from_utf8(text).map_err(|_| StoreError::NotText { path })?;
        files.push(SourceFile { name: format!("{}/{}", entry.name, file.path), text });
    }
    Ok(files)
}

fn probe_of(
    directory: &Path,
    lock: &Path,
    entry: &Entry,
) -> Result<Option<InstalledProbe>, StoreError> {
    let is_object = |path: &str| has_ending(path, &["o"]);
    let Some(file) = entry.files.iter().find(|file| is_object(&file.path)) else {
        return Ok(None);
    };
    let path = place(directory, lock, entry, &file.path)?;
    Ok(Some(InstalledProbe {
        name: entry.name.clone(),
        version: entry.version.to_string(),
        digest: file.digest,
        object: checked(&path, &file.digest, MAX_PROBE_BYTES)?,
    }))
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|found| endings.iter().any(|ending| found == *ending))
}

/// Where a listed file lies; the lock file is not trusted to stay below its directory.
fn place(directory: &Path, lock: &Path, entry: &Entry, file: &str) -> Result<PathBuf, StoreError> {
    let plain = |path: &str| {
        !path.is_empty() && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
    };
    if !plain(file) || !plain(&entry.name) {
        return Err(StoreError::Escapes { lock: lock.to_path_buf(), file: file.to_owned() });
    }
    Ok(directory.join(entry.directory()).join(file))
}

fn checked(path: &Path, expected: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
    let bytes = read_capped(path, limit)?;
    let found = Digest::sha256(&bytes);
    if found != *expected {
        return Err(StoreError::Changed { path: path.to_path_buf(), expected: *expected, found });
    }
    Ok(bytes)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let failed = |source| StoreError::Read { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::TooLarge { path: path.to_path_buf(), limit });
    }
    Ok(bytes)
}
