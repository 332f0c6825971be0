//! Garbage collection: what no generation that is kept needs.

use eyas_store::{GarbageReport, Store};

use crate::flat::Flat;
use crate::transaction::LOCK_PATIENCE;
use crate::{Listener, OpsError};

/// Removes generations beyond the `keep` newest besides the active one and what only they need, or
/// only says what that is.
pub fn gc(
    store: &Store,
    listener: &dyn Listener,
    keep: usize,
    dry_run: bool,
) -> Result<GarbageReport, OpsError> {
    if dry_run {
        return Ok(store.garbage(keep)?);
    }
    let locked = store.lock_within(LOCK_PATIENCE)?;
    // A transaction that was cut may still need what would go; the store knows its directories.
    Flat::of(store, None, listener)?.recover(&locked)?;
    Ok(locked.gc(keep)?)
}
