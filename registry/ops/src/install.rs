//! Install: what was named, and what it needs, becomes active together or not at all.

use eyas_artifact::Name;
use eyas_index::Cause;

use crate::found::find_all;
use crate::transaction::{Outcome, apply, offer};
use crate::{Context, InstallOptions, OpsError};

/// Installs artifacts.
pub async fn install(
    context: &Context<'_>,
    names: &[Name],
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    if names.is_empty() {
        return Err(OpsError::NothingToDo { command: "install" });
    }
    let mut requests = Vec::with_capacity(names.len());
    for name in names {
        requests.push((context.catalog.resolve(name)?, Cause::Requested));
    }
    let presence = context.told(options).presence()?;
    let installed = context.store.current()?;
    let offered = offer(context, &presence);
    let found = find_all(context, requests, installed.as_ref(), &offered, options).await?;
    apply(context, found, &presence, options).await
}
