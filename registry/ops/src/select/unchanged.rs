//! What is installed and still what was asked for: one small request says so, and nothing is fetched again.
//!
//! It counts only where nothing that decided about it has changed: the content, the platform, the rule that accepted
//! it, the kinds that may be installed. Everything else is looked at anew, in full.

use eyas_artifact::{Digest, Entry, Generation, ImageIndex, Kind, Reference};

use super::{Context, InstallOptions, Offered, OpsError, config_of};
use crate::Event;

/// Largest image index that is read from the store, in bytes.
const MAX_INDEX_BYTES: u64 = eyas_oci::MAX_MANIFEST_BYTES;

/// The installed artifact, by name, that a reference leads to; none where it has to be looked at anew.
pub(super) async fn look(
    context: &Context<'_>,
    asked: &Reference,
    installed: Option<&Generation>,
    options: &InstallOptions,
) -> Result<Option<(String, Offered)>, OpsError> {
    let entries = installed.into_iter().flat_map(|generation| &generation.entries);
    let candidates: Vec<(&Entry, &Digest)> = entries
        .filter(|entry| is_from(entry, asked) && may_be_installed(entry, options))
        .filter_map(|entry| Some((entry, entry.accepted_by.as_ref()?)))
        .collect();
    if candidates.is_empty() {
        return Ok(None);
    }
    let digest = match asked.digest() {
        Some(digest) => *digest,
        None => context.client.resolve(asked).await?.digest,
    };
    for (entry, accepted_by) in candidates {
        if leads_to(context, entry, &digest, options)?
            && context.trust.still_accepts(context, asked, accepted_by).await?
            && let Some(config) = config_of(context.store, entry)?
        {
            context.listener.tell(&Event::Pinned { asked, digest });
            // An engine that starts after its rules are installed cannot say what it takes.
            let unknown = context.sensor.default_offer().unknown;
            let offered = Offered {
                kind: entry.kind,
                version: entry.version.clone(),
                digest: entry.manifest_digest,
                dependencies: config.dependencies,
                requirements: if unknown { Vec::new() } else { config.requirements },
            };
            return Ok(Some((entry.name.clone(), offered)));
        }
    }
    Ok(None)
}

fn is_from(entry: &Entry, asked: &Reference) -> bool {
    let from = entry.reference.parse::<Reference>();
    from.is_ok_and(|from| from.locator() == asked.locator())
}

/// What a probe needs of this machine is in its own description, and is worth a look each time.
fn may_be_installed(entry: &Entry, options: &InstallOptions) -> bool {
    let allowed = options.allowed.is_empty() || options.allowed.contains(&entry.kind);
    allowed && entry.kind != Kind::Probe
}

/// Whether what a registry has under this digest is, for the platform that is wanted, what is installed.
fn leads_to(
    context: &Context<'_>,
    entry: &Entry,
    digest: &Digest,
    options: &InstallOptions,
) -> Result<bool, OpsError> {
    if entry.manifest_digest == *digest {
        return Ok(true);
    }
    if entry.root_digest != *digest {
        return Ok(false);
    }
    let Some(bytes) = context.store.blob(digest, MAX_INDEX_BYTES)? else { return Ok(false) };
    let index = ImageIndex::from_slice(&bytes).ok();
    let chosen = index.as_ref().and_then(|index| index.select(&options.platform));
    Ok(chosen.is_some_and(|chosen| chosen.digest == entry.manifest_digest))
}
