//! The newest signing time that each signed index was accepted with, so that an older one is not
//! taken for the present one: whoever serves an index could else let a name mean again what it meant.
//!
//! Owns the comparison. The note itself is in the store, with all else that must outlast a cache; one
//! that an earlier version left beside the kept copies is carried over once. Without a store nothing is
//! remembered, and `maximum-age` in the rule about the index is what bounds its age.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use eyas_store::{Store, StoreError};
use eyas_trust::Decision;
use jiff::Timestamp;

use super::copies::Copies;
use super::{IndexLocation, IndexSource};
use crate::{Event, Listener, OpsError};

/// Largest note of an earlier version that is read, in bytes.
const MAX_FORMER_BYTES: u64 = 4096;

/// What is noted about an index.
struct Noted {
    newest: Timestamp,
    /// The file that says so.
    path: PathBuf,
    /// Whether it is one of an earlier version, which is to be carried over.
    former: bool,
}

impl Copies {
    /// Fails when an index was signed before one that was accepted under its address; else notes when
    /// it was signed: the latest time by which all rules about it were met. What no signature was asked
    /// for has no time.
    pub(super) fn hold_to_newest(
        &self,
        source: &IndexSource,
        decisions: &[Decision],
        listener: &dyn Listener,
    ) -> Result<(), OpsError> {
        let mut signers = decisions.iter().flat_map(Decision::signers);
        let signed = signers.any(|one| one.key_fingerprint.is_some() || one.identity.is_some());
        let Some(store) = self.notes.as_ref().filter(|_| signed) else { return Ok(()) };
        let times = decisions.iter().filter_map(Decision::signed_at);
        let found: Option<Timestamp> = times.filter_map(|at| at.parse().ok()).max();
        let address = source.lasting_address();
        let noted = self.noted(source, store, &address)?;
        if let Some(noted) = &noted
            && found.is_none_or(|found| found < noted.newest)
        {
            return Err(OpsError::OlderIndex {
                name: source.name.clone(),
                found: found.map(|found| found.to_string()),
                newest: noted.newest.to_string(),
                note: noted.path.clone(),
            });
        }
        let known = noted.as_ref().filter(|noted| !noted.former).map(|noted| noted.newest);
        let Some(found) = found.filter(|found| Some(*found) != known) else { return Ok(()) };
        // Another process may have noted a newer one meanwhile.
        let newer = |there: &str| there.parse::<Timestamp>().is_ok_and(|there| there > found);
        match store.keep_index_note(&address, &found.to_string(), newer) {
            Ok(()) => {
                if let Some(former) = noted.filter(|noted| noted.former) {
                    // It counts no longer; that it may stay costs nothing.
                    let _ = fs::remove_file(former.path);
                }
            }
            // A read-only root is no reason to refuse work.
            Err(error) => listener.tell(&Event::Warning(&format!(
                "when index `{}` was signed is not kept, so that an older one would be accepted: {error}",
                source.name
            ))),
        }
        Ok(())
    }

    /// What is noted: in the store, else by an earlier version beside the copies.
    fn noted(
        &self,
        source: &IndexSource,
        store: &Store,
        address: &str,
    ) -> Result<Option<Noted>, OpsError> {
        let path = store.index_note_path(address);
        let spoilt = |path: &Path, why: String| OpsError::SpoiltNote {
            name: source.name.clone(),
            note: path.to_owned(),
            why,
        };
        let note = store.index_note(address).map_err(|error| match error {
            StoreError::Damaged { path, why } => spoilt(&path, why),
            error => error.into(),
        })?;
        let (text, path, former) = match note {
            Some(text) => (text, path, false),
            None => match self.former_note(source) {
                Some(path) => match read_former(&path) {
                    Ok(Some(text)) => (text, path, true),
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(OpsError::storage("read the note", &path, error)),
                },
                None => return Ok(None),
            },
        };
        // A note that cannot be understood is not the same as none.
        let newest = text.parse().map_err(|error: jiff::Error| {
            spoilt(&path, format!("found `{text}`, expected a time: {error}"))
        })?;
        Ok(Some(Noted { newest, path, former }))
    }
}

impl IndexSource {
    /// The address by which an index is remembered, whatever it is called. A path counts from everywhere,
    /// and as it is written: the file behind a link may be another one after each update.
    fn lasting_address(&self) -> String {
        let IndexLocation::File(path) = &self.location else { return self.address() };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        format!("file://{}", absolute.display())
    }
}

fn read_former(path: &Path) -> std::io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FORMER_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}
