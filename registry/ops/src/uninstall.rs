//! Uninstall: what was named leaves, in a new generation without it. What others need stays, unless
//! they are to leave too.

use eyas_artifact::{BundleConfig, Entry, Generation, Kind};

use crate::flat::Flat;
use crate::pin::expect_installed;
use crate::select::config_of;
use crate::transaction::{Change, Confirmation};
use crate::{Context, InstallOptions, OpsError};

/// Something that leaves, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The artifact as it is installed.
    pub entry: Entry,
    /// Why it leaves, in words.
    pub reason: String,
}

/// What came of an uninstall.
#[derive(Debug)]
pub struct Uninstalled {
    /// What leaves, by kind and name.
    pub removed: Vec<Removal>,
    /// The generation in force now.
    pub generation: Option<Generation>,
    /// Whether that generation is new.
    pub changed: bool,
    /// What became of telling the sensor; none when nothing changed.
    pub confirmation: Option<Confirmation>,
}

/// Removes installed artifacts; with `cascade`, also those that cannot do without them.
pub fn uninstall(
    context: &Context<'_>,
    names: &[String],
    cascade: bool,
    options: &InstallOptions,
) -> Result<Uninstalled, OpsError> {
    let presence = context.told(options).presence()?;
    let installed = context.store.current()?;
    let removed = removals(context, installed.as_ref(), names, cascade)?;
    if options.dry_run {
        return Ok(Uninstalled {
            removed,
            generation: installed,
            changed: false,
            confirmation: None,
        });
    }
    let locked = context.store.lock_within(options.patience)?;
    let flat = Flat::of(context.store, context.flat, context.listener)?;
    flat.recover(&locked)?;
    // Somebody else may have been faster: what is active is settled only now.
    let installed = context.store.current()?;
    let removed = removals(context, installed.as_ref(), names, cascade)?;
    let keys: Vec<(Kind, String)> =
        removed.iter().map(|one| (one.entry.kind, one.entry.name.clone())).collect();
    let (told, presence) = (context.told(options), &presence);
    let change = Change { locked: &locked, flat: &flat, told, presence };
    let (generation, confirmation) = change.put_in_force(context, Vec::new(), &keys, &[])?;
    Ok(Uninstalled {
        removed,
        generation: Some(generation),
        changed: true,
        confirmation: Some(confirmation),
    })
}

fn removals(
    context: &Context<'_>,
    installed: Option<&Generation>,
    names: &[String],
    cascade: bool,
) -> Result<Vec<Removal>, OpsError> {
    let pins = context.store.pins()?;
    let mut entries = Vec::new();
    for entry in installed.into_iter().flat_map(|generation| &generation.entries) {
        entries.push((entry, config_of(context.store, entry)?));
    }
    let mut leaving: Vec<Removal> = Vec::new();
    for name in names {
        expect_installed(name, installed)?;
        let own = entries.iter().filter(|(entry, _)| entry.name == *name);
        for (entry, _) in own {
            if !leaving.iter().any(|one| one.entry == **entry) {
                let reason = "requested".to_owned();
                leaving.push(Removal { entry: (*entry).clone(), reason });
            }
        }
    }
    while let Some((entry, needed)) = stranded(&entries, &leaving) {
        if !cascade {
            return Err(OpsError::Needed {
                name: needed,
                by: format!("{} {}", entry.name, entry.version),
            });
        }
        let reason = format!("needs `{needed}`");
        leaving.push(Removal { entry: entry.clone(), reason });
    }
    if let Some(one) = leaving.iter().find(|one| pins.contains(&one.entry.name)) {
        return Err(OpsError::Held { name: one.entry.name.clone() });
    }
    leaving.sort_by(|a, b| (a.entry.kind, &a.entry.name).cmp(&(b.entry.kind, &b.entry.name)));
    Ok(leaving)
}

/// Something that stays and would lose what it needs, with the name of that.
fn stranded<'e>(
    entries: &[(&'e Entry, Option<BundleConfig>)],
    leaving: &[Removal],
) -> Option<(&'e Entry, String)> {
    let leaves = |entry: &Entry| leaving.iter().any(|one| one.entry == *entry);
    for (entry, config) in entries.iter().filter(|(entry, _)| !leaves(entry)) {
        for dependency in config.iter().flat_map(|config| &config.dependencies) {
            let mut options = vec![(&dependency.name, &dependency.version)];
            options.extend(dependency.alternatives.iter().map(|one| (&one.name, &one.version)));
            let there = |stay: bool| {
                entries.iter().map(|(other, _)| *other).find(|other| {
                    leaves(other) != stay
                        && options.iter().any(|(name, wanted)| {
                            **name == other.name && wanted.allows(&other.version)
                        })
                })
            };
            if let (Some(lost), None) = (there(false), there(true)) {
                return Some((*entry, lost.name.clone()));
            }
        }
    }
    None
}
