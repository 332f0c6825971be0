//! Repair: files that were changed, deleted or left behind, in the store and in the plain
//! directories that follow it.
//!
//! Owns the look at everything that is installed, which writes nothing while all is well.

use eyas_store::{Finding, Seen, Store};
use eyas_trust::Recheck;

use crate::flat::Flat;
use crate::rollback::refused_artifact;
use crate::transaction::LOCK_PATIENCE;
use crate::{Event, FlatTargets, Listener, OpsError};

/// Looks again and again at what is installed. Remembers what it has hashed, so that a look at
/// untouched files is cheap.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Seen,
}

impl Watch {
    /// Looks, and restores what is not as it should be; gives what was found.
    pub fn restore(
        &mut self,
        store: &Store,
        flat: Option<&FlatTargets>,
        listener: &dyn Listener,
    ) -> Result<Vec<Finding>, OpsError> {
        let flat = Flat::of(store, flat, listener)?;
        let findings = self.findings(store, &flat)?;
        if findings.is_empty() {
            return Ok(findings);
        }
        let locked = store.lock_within(LOCK_PATIENCE)?;
        flat.recover(&locked)?;
        // Another process may have been at work: what counts is what is there now.
        let findings = self.findings(store, &flat)?;
        if findings.is_empty() {
            return Ok(findings);
        }
        locked.repair()?;
        flat.bring(&locked)?;
        for Finding { path, fault, .. } in &findings {
            let text = format!("restored `{}`: it was {fault}", path.display());
            listener.tell(&Event::Warning(&text));
        }
        Ok(findings)
    }

    fn findings(&mut self, store: &Store, flat: &Flat<'_>) -> Result<Vec<Finding>, OpsError> {
        let active = store.current()?;
        let mut findings = match &active {
            Some(active) => store.verify_again(active, &mut self.seen)?,
            None => Vec::new(),
        };
        findings.extend(flat.findings(store, active.as_ref(), &mut self.seen)?);
        Ok(findings)
    }
}

/// Restores everything that is not as it was installed, or only says what that is. Fails when the policy
/// does not accept any more what a damaged file belongs to.
pub fn repair(
    store: &Store,
    flat: Option<&FlatTargets>,
    policy: &Recheck,
    listener: &dyn Listener,
    dry_run: bool,
) -> Result<Vec<Finding>, OpsError> {
    let mut watch = Watch::default();
    let findings = watch.findings(store, &Flat::of(store, flat, listener)?)?;
    hold_to_policy(store, &findings, policy)?;
    if dry_run {
        return Ok(findings);
    }
    watch.restore(store, flat, listener)
}

/// What somebody took away because it must not run does not come back by itself.
fn hold_to_policy(store: &Store, findings: &[Finding], policy: &Recheck) -> Result<(), OpsError> {
    let active = store.current()?;
    let entries = active.iter().flat_map(|active| &active.entries);
    let damaged = entries.filter(|entry| findings.iter().any(|found| found.name == entry.name));
    let what: Vec<_> = damaged.filter_map(|entry| refused_artifact(entry, policy)).collect();
    if what.is_empty() {
        return Ok(());
    }
    Err(OpsError::RefusedRepair { policy: policy.origin().to_owned(), what })
}
