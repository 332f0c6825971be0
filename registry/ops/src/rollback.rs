//! Rollback: an earlier generation becomes active again, and the sensor is told.

use std::fmt;

use eyas_artifact::{Entry, Generation, Version};
use eyas_store::{HistoryEntry, LockedStore, Store};
use eyas_trust::{Judgement, Recheck};
use serde::Serialize;

use crate::flat::Flat;
use crate::transaction::{Confirmation, LOCK_PATIENCE, Told, activation, unreachable};
use crate::{Event, FlatTargets, Listener, OpsError, Presence, Sensor, Verdict};

/// What came of a rollback.
#[derive(Debug)]
pub struct RolledBack {
    /// The generation that was active.
    pub from: Option<u64>,
    /// The generation that is, or would be, active.
    pub to: Generation,
    /// What became of telling the sensor; none for a dry run.
    pub confirmation: Option<Confirmation>,
}

/// How a rollback is to be done.
#[derive(Debug, Clone, Default)]
pub struct RollbackOptions {
    /// What decides whether something may become active again.
    pub policy: Recheck,
    /// The generation to go to; the one before when there is none.
    pub to: Option<u64>,
    /// Whether a sensor must confirm.
    pub require_sensor: bool,
    /// Whether to stop before anything is changed.
    pub dry_run: bool,
}

/// Goes back to an earlier generation.
pub fn rollback(
    store: &Store,
    sensor: &dyn Sensor,
    listener: &dyn Listener,
    flat: Option<&FlatTargets>,
    options: &RollbackOptions,
) -> Result<RolledBack, OpsError> {
    let from = store.current_number()?;
    let number = options.to.map_or_else(|| store.previous(), Ok)?;
    let target = store.generation(number)?;
    hold_to_policy(store, &target, from, &options.policy, listener)?;
    if options.dry_run {
        return Ok(RolledBack { from, to: target, confirmation: None });
    }
    let told = Told { sensor, listener, require: options.require_sensor };
    let presence = told.presence()?;
    let locked = store.lock_within(LOCK_PATIENCE)?;
    let flat = Flat::of(store, flat, listener)?;
    flat.recover(&locked)?;
    // Before anybody sees it, and before its files are copied.
    locked.repair_generation(&target)?;
    let prepared = flat.prepare(&locked, &target, &store.generation_dir(number), &[])?;
    let generation = locked.rollback(Some(number))?;
    listener.tell(&Event::Activated { generation: &generation, previous: from });
    let confirmation = match told.tell(store, &generation, &presence) {
        Ok(confirmation) => confirmation,
        Err(refusal) => return Err(undo(&locked, listener, number, from, refusal)),
    };
    if let Err(error) = flat.commit(&locked, prepared) {
        let error = undo(&locked, listener, number, from, error);
        return Err(told.after_failure(&locked, &flat, &presence, error));
    }
    Ok(RolledBack { from, to: generation, confirmation: Some(confirmation) })
}

/// An artifact of a generation that a policy does not accept any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedArtifact {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What stands against it, with the reason or the rule's place.
    pub why: String,
    /// Whether something of it is revoked; else a rule does not accept it.
    #[serde(skip)]
    pub revoked: bool,
    /// Where it is from, by digest.
    #[serde(skip)]
    pub pinned: String,
}

impl fmt::Display for RefusedArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.name, self.version, self.why)
    }
}

/// What is in a generation that a policy does not accept any more, as far as its record tells.
pub fn refused(generation: &Generation, policy: &Recheck) -> Vec<RefusedArtifact> {
    generation.entries.iter().filter_map(|entry| refused_artifact(entry, policy)).collect()
}

pub(crate) fn refused_artifact(entry: &Entry, policy: &Recheck) -> Option<RefusedArtifact> {
    let (why, revoked) = match policy.judge(entry) {
        Judgement::Accepted | Judgement::Doubted(_) => return None,
        Judgement::NotAccepted(why) => (why, false),
        Judgement::Revoked(why) => (why, true),
    };
    let (name, version) = (entry.name.clone(), entry.version.clone());
    let without_digest = entry.reference.split('@').next().unwrap_or_default();
    let pinned = format!("{without_digest}@{}", entry.root_digest);
    Some(RefusedArtifact { name, version, why, revoked, pinned })
}

/// What was accepted once need not be any more.
fn hold_to_policy(
    store: &Store,
    target: &Generation,
    from: Option<u64>,
    policy: &Recheck,
    listener: &dyn Listener,
) -> Result<(), OpsError> {
    let what = refused(target, policy);
    if what.is_empty() {
        for entry in &target.entries {
            if let Judgement::Doubted(why) = policy.judge(entry) {
                let (name, version) = (&entry.name, &entry.version);
                listener.tell(&Event::Warning(&format!(
                    "whether {name} {version} is still accepted is not known: {why}"
                )));
            }
        }
        return Ok(());
    }
    let usable = |entry: &HistoryEntry| entry.refused.as_ref().is_none_or(|refused| refused.left);
    let others = store.history()?.into_iter().filter(usable).map(|entry| entry.generation);
    let sound = others
        .filter(|other| Some(other.number) != from && other.number != target.number)
        .filter(|other| refused(other, policy).is_empty())
        .max_by_key(|other| other.number);
    Err(OpsError::RefusedGeneration {
        generation: target.number,
        policy: policy.origin().to_owned(),
        what,
        sound: sound.map(|generation| generation.number),
    })
}

/// The sensor runs on with what it had, so the store goes back to that too.
fn undo(
    locked: &LockedStore,
    listener: &dyn Listener,
    refused: u64,
    from: Option<u64>,
    refusal: OpsError,
) -> OpsError {
    let Some(number) = from else { return refusal };
    match locked.rollback(Some(number)) {
        Ok(_) => {
            listener.tell(&Event::RolledBack { refused, restored: from });
            refusal
        }
        Err(source) => OpsError::Stuck {
            generation: refused,
            refusal: refusal.to_string(),
            source: Box::new(source),
        },
    }
}

/// Tells the sensor to load what is active. Gives what it says.
pub fn reload(
    store: &Store,
    sensor: &dyn Sensor,
    listener: &dyn Listener,
) -> Result<Vec<String>, OpsError> {
    let told = Told { sensor, listener, require: true };
    if let Presence::Absent(reason) = told.presence()? {
        return Err(OpsError::NoSensor { reason, hint: None });
    }
    let Some(generation) = store.current()? else {
        return Err(OpsError::NothingInstalled { store: store.directory().to_owned() });
    };
    match sensor.reload(&activation(store, &generation)?).map_err(unreachable)? {
        Verdict::Accepted(lines) => Ok(lines),
        Verdict::Refused(lines) => {
            Err(OpsError::SensorRefused { generation: generation.number, lines })
        }
        Verdict::Absent(reason) => Err(OpsError::NoSensor { reason, hint: None }),
    }
}
