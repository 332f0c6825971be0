//! Pin and unpin: an installed artifact stays at its version until somebody says otherwise.

use std::collections::BTreeSet;

use eyas_artifact::Generation;
use eyas_store::Store;

use crate::OpsError;
use crate::transaction::LOCK_PATIENCE;

/// What came of a change of pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Names that were changed.
    pub changed: Vec<String>,
    /// All names that are pinned now, or would be.
    pub pins: BTreeSet<String>,
}

/// Pins installed artifacts: no install and no follow moves them.
pub fn pin(store: &Store, names: &[String], dry_run: bool) -> Result<Pinned, OpsError> {
    let installed = store.current()?;
    for name in names {
        expect_installed(name, installed.as_ref())?;
    }
    change(store, dry_run, |pins| {
        names.iter().filter(|name| pins.insert((*name).clone())).cloned().collect()
    })
}

/// Lets artifacts move again.
pub fn unpin(store: &Store, names: &[String], dry_run: bool) -> Result<Pinned, OpsError> {
    let pins = store.pins()?;
    if let Some(name) = names.iter().find(|name| !pins.contains(*name)) {
        return Err(OpsError::NotPinned { name: name.clone(), pinned: pins.into_iter().collect() });
    }
    change(store, dry_run, |pins| names.iter().filter(|name| pins.remove(*name)).cloned().collect())
}

fn change(
    store: &Store,
    dry_run: bool,
    edit: impl Fn(&mut BTreeSet<String>) -> Vec<String>,
) -> Result<Pinned, OpsError> {
    let mut pins = store.pins()?;
    let changed = edit(&mut pins);
    if changed.is_empty() || dry_run {
        return Ok(Pinned { changed, pins });
    }
    let locked = store.lock_within(LOCK_PATIENCE)?;
    // Somebody else may have changed them meanwhile.
    let mut pins = store.pins()?;
    let changed = edit(&mut pins);
    locked.keep_pins(&pins)?;
    Ok(Pinned { changed, pins })
}

/// Fails with what is installed when a name is not.
pub(crate) fn expect_installed(name: &str, installed: Option<&Generation>) -> Result<(), OpsError> {
    let entries = || installed.iter().flat_map(|generation| &generation.entries);
    if entries().any(|entry| entry.name == name) {
        return Ok(());
    }
    let installed = entries().map(|entry| entry.name.clone()).collect();
    Err(OpsError::NotInstalled { name: name.to_owned(), installed })
}
