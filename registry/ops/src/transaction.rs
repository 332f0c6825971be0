//! One change of what is active: plan, stage, validate, activate, tell the sensor, or take it back.
//!
//! Shared by install and follow. Until the rename in `activate` nothing is visible; after it, a
//! refusal by the sensor brings the generation before back. One lock is held from plan to answer.

use std::time::Duration;

use eyas_artifact::{Generation, Kind};
use eyas_index::{Plan, PlanOptions};
use eyas_oci::{Metered, OciError};
use eyas_store::{DEFAULT_KEPT_GENERATIONS, ExtractLimits, LockedStore, Staged, Store, StoreError};

use crate::found::{Found, check_offer};
use crate::{
    Activation, Context, Event, InstallOptions, Listener, Offer, OpsError, Presence, Sensor,
    Unreachable, Verdict,
};

/// How long to wait for another process that changes the store.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// What came of a change.
#[derive(Debug)]
pub struct Outcome {
    /// What was planned.
    pub plan: Plan,
    /// The generation in force now; none when nothing is installed.
    pub generation: Option<Generation>,
    /// Whether that generation is new.
    pub changed: bool,
    /// What became of telling the sensor; none when nothing changed.
    pub confirmation: Option<Confirmation>,
}

/// What became of telling the sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It runs the new generation.
    Confirmed(Vec<String>),
    /// None is running.
    Absent(String),
    /// It was not to be told.
    NotAsked,
}

/// A sensor that is told about generations.
pub(crate) struct Told<'a> {
    pub(crate) sensor: &'a dyn Sensor,
    pub(crate) listener: &'a dyn Listener,
    /// Whether its absence is an error.
    pub(crate) require: bool,
}

impl Told<'_> {
    /// Whether there is a sensor, asked before anything is fetched or changed.
    pub(crate) fn presence(&self) -> Result<Presence, OpsError> {
        let presence = self.sensor.presence().map_err(unreachable)?;
        match &presence {
            Presence::Absent(reason) if self.require => Err(no_sensor(reason.clone())),
            _ => Ok(presence),
        }
    }

    /// Tells it about an active generation. An error means that it does not run it.
    pub(crate) fn tell(
        &self,
        store: &Store,
        generation: &Generation,
        presence: &Presence,
    ) -> Result<Confirmation, OpsError> {
        match presence {
            Presence::NotAsked => return Ok(Confirmation::NotAsked),
            Presence::Absent(reason) => return Ok(self.absent(generation, reason.clone())),
            Presence::Running(_) => {}
        }
        let number = generation.number;
        let activation = activation(store, generation)?;
        match self.sensor.reload(&activation).map_err(unreachable)? {
            Verdict::Accepted(lines) => {
                self.listener.tell(&Event::Confirmed { generation: number, lines: &lines });
                Ok(Confirmation::Confirmed(lines))
            }
            Verdict::Refused(lines) => Err(OpsError::SensorRefused { generation: number, lines }),
            Verdict::Absent(reason) if self.require => Err(no_sensor(reason)),
            Verdict::Absent(reason) => Ok(self.absent(generation, reason)),
        }
    }

    fn absent(&self, generation: &Generation, reason: String) -> Confirmation {
        let generation = generation.number;
        self.listener.tell(&Event::NoSensor { generation, reason: &reason });
        Confirmation::Absent(reason)
    }
}

fn no_sensor(reason: String) -> OpsError {
    let hint = "start it with `eyasd`, or leave `--require-sensor` out";
    OpsError::NoSensor { reason, hint: Some(hint.to_owned()) }
}

/// What requirements are held against.
pub(crate) fn offer(context: &Context<'_>, presence: &Presence) -> Offer {
    match presence {
        Presence::Running(offer) => offer.clone(),
        Presence::Absent(_) | Presence::NotAsked => context.sensor.default_offer(),
    }
}

/// Puts artifacts in force. Whatever can be refused without writing is refused before the store is
/// touched, so that a host where all is as asked needs no right to write.
pub(crate) async fn apply(
    context: &Context<'_>,
    mut found: Vec<Found>,
    presence: &Presence,
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    let (plan, installed) = plan_for(context, &found, options)?;
    context.listener.tell(&Event::Planned(&plan));
    found.retain(|artifact| changes(&plan, artifact));
    check_offer(&found, &offer(context, presence))?;
    if found.is_empty() || options.dry_run {
        return Ok(Outcome { plan, generation: installed, changed: false, confirmation: None });
    }
    let locked = context.store.lock_within(LOCK_PATIENCE)?;
    // Somebody else may have been faster: what is active is settled only now.
    let (again, installed) = plan_for(context, &found, options)?;
    found.retain(|artifact| changes(&again, artifact));
    if found.is_empty() {
        return Ok(Outcome { plan, generation: installed, changed: false, confirmation: None });
    }
    let staged = stage(context, &locked, found, &again).await?;
    let previous = installed.map(|generation| generation.number);
    let generation = activate(context, &locked, staged, previous)?;
    let confirmation = context
        .told(options)
        .tell(context.store, &generation, presence)
        .or_else(|refusal| take_back(context, &locked, generation.number, refusal))?;
    tidy(context, &locked);
    Ok(Outcome {
        plan,
        generation: Some(generation),
        changed: true,
        confirmation: Some(confirmation),
    })
}

fn plan_for(
    context: &Context<'_>,
    found: &[Found],
    options: &InstallOptions,
) -> Result<(Plan, Option<Generation>), OpsError> {
    let installed = context.store.current()?;
    let candidates = found.iter().map(|artifact| artifact.candidate.clone()).collect();
    let rules = PlanOptions { allow_downgrade: options.allow_downgrade, reinstall: false };
    Ok((Plan::compute(candidates, installed.as_ref(), rules)?, installed))
}

fn changes(plan: &Plan, artifact: &Found) -> bool {
    plan.changes().any(|step| step.candidate == artifact.candidate)
}

async fn stage(
    context: &Context<'_>,
    locked: &LockedStore,
    changing: Vec<Found>,
    plan: &Plan,
) -> Result<Vec<Staged>, OpsError> {
    let mut staged = Vec::with_capacity(changing.len());
    for artifact in changing {
        let step = plan.changes().find(|step| step.candidate == artifact.candidate);
        let reason = step.map(|step| step.why.to_string()).unwrap_or_default();
        staged.push(stage_one(context, locked, artifact, reason).await?);
    }
    Ok(staged)
}

async fn stage_one(
    context: &Context<'_>,
    locked: &LockedStore,
    artifact: Found,
    reason: String,
) -> Result<Staged, OpsError> {
    let Found { verified, config, config_bytes, .. } = artifact;
    let pinned = verified.get();
    let mut stage = locked.stage(&verified)?;
    stage.put_config(&config_bytes)?;
    if !stage.has_layer() {
        let total = pinned.layer().size;
        let name = &config.name;
        let mut metered = Metered::new(&mut stage, |done| {
            context.listener.tell(&Event::Transfer { name, done, total });
        });
        let fetched = context.client.blob(pinned.reference(), pinned.layer(), &mut metered).await;
        fetched.map_err(fetch_failure)?;
    }
    let staged = stage.extract(&ExtractLimits::default(), reason)?;
    let files = staged.entry().files.len();
    context.listener.tell(&Event::Staged { name: &config.name, version: &config.version, files });
    Ok(staged)
}

/// What the store said inside a failed transfer counts as the store's word.
fn fetch_failure(error: OciError) -> OpsError {
    match error {
        OciError::Sink { what, source } => match StoreError::from_sink(source) {
            Ok(error) => error.into(),
            Err(source) => OciError::Sink { what, source }.into(),
        },
        other => other.into(),
    }
}

fn activate(
    context: &Context<'_>,
    locked: &LockedStore,
    staged: Vec<Staged>,
    previous: Option<u64>,
) -> Result<Generation, OpsError> {
    let none: &[(Kind, String)] = &[];
    let composed = locked.compose(staged, none)?;
    let validated = composed.validate(context.validate)?;
    context.listener.tell(&Event::Validated);
    let generation = locked.activate(validated)?;
    context.listener.tell(&Event::Activated { generation: &generation, previous });
    Ok(generation)
}

/// What the sensor is told.
pub(crate) fn activation(store: &Store, generation: &Generation) -> Result<Activation, OpsError> {
    let lock_digest = generation
        .digest()
        .map_err(|source| OpsError::Document { reference: "lock file".to_owned(), source })?;
    let dir = store.directory();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    Ok(Activation { generation: generation.number, lock_digest, dir })
}

fn take_back(
    context: &Context<'_>,
    locked: &LockedStore,
    number: u64,
    refusal: OpsError,
) -> Result<Confirmation, OpsError> {
    match locked.reject(number, &refusal.to_string()) {
        Ok(restored) => {
            let restored = restored.map(|generation| generation.number);
            context.listener.tell(&Event::RolledBack { refused: number, restored });
            Err(refusal)
        }
        Err(source) => Err(OpsError::Stuck {
            generation: number,
            refusal: refusal.to_string(),
            source: Box::new(source),
        }),
    }
}

/// Old generations go; that they cannot is no reason to fail.
fn tidy(context: &Context<'_>, locked: &LockedStore) {
    if let Err(error) = locked.gc(DEFAULT_KEPT_GENERATIONS) {
        let text = format!("old generations cannot be removed: {error}");
        context.listener.tell(&Event::Warning(&text));
    }
}

pub(crate) fn unreachable(Unreachable { message, hint }: Unreachable) -> OpsError {
    OpsError::SensorUnreachable { message, hint }
}
