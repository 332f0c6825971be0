//! Install: what was named, and what it needs, becomes active together or not at all.

use eyas_artifact::{Generation, Lock, Request};
use eyas_index::Cause;

use crate::select::{Selection, Wish, select, select_locked};
use crate::transaction::{Outcome, apply, offer};
use crate::{Context, InstallOptions, OpsError, Presence};

/// Installs artifacts.
pub async fn install(
    context: &Context<'_>,
    requests: &[Request],
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    if requests.is_empty() {
        return Err(OpsError::NothingToDo { command: "install" });
    }
    let wishes = wishes(context, requests)?;
    let (presence, installed) = (context.told(options).presence()?, context.store.current()?);
    let offered = offer(context, &presence);
    let selection = select(context, wishes, installed.as_ref(), &offered, options).await?;
    carry_out(context, selection, &presence, options).await
}

/// Installs from a lock file: what is named, or all of it, at exactly the digests it has. Each is
/// verified against the policy as always: a lock file says which content, never whom to trust.
pub async fn install_locked(
    context: &Context<'_>,
    lock: &Lock,
    requests: &[Request],
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    let wishes = wishes(context, requests)?;
    let (presence, installed) = (context.told(options).presence()?, context.store.current()?);
    let offered = offer(context, &presence);
    let selection =
        select_locked(context, lock, wishes, installed.as_ref(), &offered, options).await?;
    carry_out(context, selection, &presence, options).await
}

/// What an install on an empty host would bring, as a lock file. Everything is verified; nothing is
/// installed.
pub async fn lock(
    context: &Context<'_>,
    requests: &[Request],
    options: &InstallOptions,
) -> Result<Lock, OpsError> {
    if requests.is_empty() {
        return Err(OpsError::NothingToDo { command: "install" });
    }
    let wishes = wishes(context, requests)?;
    let presence = context.told(options).presence()?;
    let offered = offer(context, &presence);
    let selection = select(context, wishes, None, &offered, options).await?;
    Ok(Lock::new(selection.found.into_iter().map(|found| found.candidate.into_locked()).collect()))
}

/// What installed artifacts are locked at.
pub fn lock_installed(installed: &Generation) -> Result<Lock, OpsError> {
    Ok(Lock::of(installed)?)
}

async fn carry_out(
    context: &Context<'_>,
    selection: Selection,
    presence: &Presence,
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    let Selection { found, kept, notes } = selection;
    for note in &notes {
        context.listener.tell(&crate::Event::Warning(note));
    }
    let mut outcome = apply(context, found, kept, presence, options).await?;
    outcome.plan.notes.extend(notes);
    Ok(outcome)
}

fn wishes(context: &Context<'_>, requests: &[Request]) -> Result<Vec<Wish>, OpsError> {
    let wish = |request: &Request| {
        let reference = context.catalog.resolve(&request.name)?;
        Ok(Wish { reference, range: request.range.clone(), cause: Cause::Requested })
    };
    requests.iter().map(wish).collect()
}
