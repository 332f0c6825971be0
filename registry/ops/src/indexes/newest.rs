//! The newest signing time that each signed index was accepted with, so that an older one is not
//! taken for the present one: whoever serves an index could else let a name mean again what it meant.
//!
//! Owns the note of it, beside the kept copies. Without a place for copies nothing is remembered,
//! and `maximum-age` in the rule about the index is what bounds its age.

use std::fs;
use std::io::{ErrorKind, Read as _};

use eyas_trust::Decision;
use jiff::Timestamp;

use super::IndexSource;
use super::copies::{Copies, MAX_NOTE_BYTES, replace};
use crate::{Event, Listener, OpsError};

impl Copies {
    /// Fails when an index was signed before one that was accepted under its address; else notes when
    /// it was signed. What no signature was asked for has no time.
    pub(super) fn hold_to_newest(
        &self,
        source: &IndexSource,
        decision: &Decision,
        listener: &dyn Listener,
    ) -> Result<(), OpsError> {
        let mut signers = decision.signers().iter();
        let signed = signers.any(|one| one.key_fingerprint.is_some() || one.identity.is_some());
        let Some(path) = self.newest_path(source).filter(|_| signed) else { return Ok(()) };
        let found: Option<Timestamp> = decision.signed_at().and_then(|at| at.parse().ok());
        let newest =
            read(&path).map_err(|error| OpsError::storage("read the note", &path, error))?;
        match (found, newest) {
            (found, Some(newest)) if found.is_none_or(|found| found < newest) => {
                Err(OpsError::OlderIndex {
                    name: source.name.clone(),
                    found: found.map(|found| found.to_string()),
                    newest: newest.to_string(),
                    note: path,
                })
            }
            (Some(found), newest) if newest != Some(found) => {
                // A read-only root is no reason to refuse work.
                if let Err(error) = replace(&path, format!("{found}\n").as_bytes()) {
                    let text =
                        format!("when index `{}` was signed is not kept: {error}", source.name);
                    listener.tell(&Event::Warning(&text));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A note that cannot be understood is not the same as none.
fn read(path: &std::path::Path) -> std::io::Result<Option<Timestamp>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_NOTE_BYTES).read_to_string(&mut text)?;
    let time = text.trim().parse().map_err(|error: jiff::Error| {
        std::io::Error::new(ErrorKind::InvalidData, format!("`{}`: {error}", text.trim()))
    })?;
    Ok(Some(time))
}
