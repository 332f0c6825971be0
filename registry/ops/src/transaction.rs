//! One change of what is active: plan, stage, validate, activate, tell the sensor, or take it back.
//!
//! Shared by install and follow. Until the rename in `activate` nothing is visible; after it, a
//! refusal by the sensor brings the generation before back. Plain directories are prepared before the
//! activation and changed after the answer of the sensor, so that they never show what it refuses.
//! One lock is held from plan to answer.

use std::time::{Duration, Instant};

use eyas_artifact::{Generation, Kind};
use eyas_index::{Plan, PlanOptions};
use eyas_oci::{BlobSink, Metered, OciError, Pinned};
use eyas_store::{
    Ahead, BlobWriter, CandidateSet, DEFAULT_KEPT_GENERATIONS, ExtractLimits, LockedStore, Staged,
    Store, StoreError,
};

use crate::flat::Flat;
use crate::found::Found;
use crate::repair::Watch;
use crate::{
    Activation, Context, Event, InstallOptions, Listener, Offer, OpsError, Presence, Sensor,
    Unreachable, Verdict,
};

/// How long to wait for another process that changes the store.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How often to ask whether an archive that another process receives has arrived.
const BUSY_POLL: Duration = Duration::from_millis(50);

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

    /// After a generation was taken back because a plain directory could not be brought to it: the
    /// directories and the sensor go back too. Gives the error to report.
    pub(crate) fn after_failure(
        &self,
        locked: &LockedStore,
        flat: &Flat<'_>,
        presence: &Presence,
        error: OpsError,
    ) -> OpsError {
        if matches!(error, OpsError::Stuck { .. }) {
            return error;
        }
        let number = locked.current_number().ok().flatten();
        if let Err(source) = flat.bring(locked) {
            let failure = error.to_string();
            return OpsError::Split { generation: number, failure, source: Box::new(source) };
        }
        if let Ok(Some(active)) = locked.current()
            && let Err(refusal) = self.tell(locked, &active, presence)
        {
            let text =
                format!("the sensor does not go back to generation {}: {refusal}", active.number);
            self.listener.tell(&Event::Warning(&text));
        }
        error
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
    if found.is_empty() || options.dry_run {
        if !options.dry_run {
            Watch::default().restore(context.store, context.flat, context.listener)?;
        }
        return Ok(Outcome { plan, generation: installed, changed: false, confirmation: None });
    }
    let mut ahead = Vec::with_capacity(found.len());
    for artifact in &found {
        ahead.extend(fetch_ahead(context, artifact).await?);
    }
    let locked = context.store.lock_within(options.patience)?;
    let flat = Flat::of(context.store, context.flat, context.listener)?;
    flat.recover(&locked)?;
    // Somebody else may have been faster: what is active is settled only now.
    let (again, installed) = plan_for(context, &found, options)?;
    found.retain(|artifact| changes(&again, artifact));
    if found.is_empty() {
        flat.bring(&locked)?;
        return Ok(Outcome { plan, generation: installed, changed: false, confirmation: None });
    }
    let cases: Vec<String> = found.iter().filter_map(with_cases).collect();
    let staged = stage(context, &locked, found, ahead, &again).await?;
    let change = Change { locked: &locked, flat: &flat, told: context.told(options), presence };
    let (generation, confirmation) = change.put_in_force(context, staged, &[], &cases)?;
    Ok(Outcome {
        plan,
        generation: Some(generation),
        changed: true,
        confirmation: Some(confirmation),
    })
}

/// What a change of the store and of all that follows it works with.
pub(crate) struct Change<'a> {
    pub(crate) locked: &'a LockedStore,
    pub(crate) flat: &'a Flat<'a>,
    pub(crate) told: Told<'a>,
    pub(crate) presence: &'a Presence,
}

impl Change<'_> {
    /// Puts a new set in force: validated, prepared in every plain directory, activated, confirmed by
    /// the sensor, then put in place in the directories. Whatever fails takes everything back. `cases`
    /// are the names of the rules whose own cases have to hold.
    pub(crate) fn put_in_force(
        &self,
        context: &Context<'_>,
        staged: Vec<Staged>,
        removed: &[(Kind, String)],
        cases: &[String],
    ) -> Result<(Generation, Confirmation), OpsError> {
        let previous = self.locked.current_number()?;
        let composed = self.locked.compose(staged, removed)?;
        let validated = composed.validate(&|candidate: &CandidateSet<'_>| {
            context.validate.validate(candidate)?;
            cases.iter().try_for_each(|name| context.validate.rule_cases(candidate, name))
        })?;
        context.listener.tell(&Event::Validated);
        let (generation, candidate) = (validated.get().generation(), validated.get().candidate());
        let prepared = self.flat.prepare(
            self.locked,
            generation,
            candidate.directory(),
            candidate.changed(),
        )?;
        let generation = self.locked.activate(validated)?;
        context.listener.tell(&Event::Activated { generation: &generation, previous });
        let confirmation = self
            .told
            .tell(context.store, &generation, self.presence)
            .map_err(|refusal| take_back(context, self.locked, generation.number, refusal))?;
        if let Err(error) = self.flat.commit(self.locked, prepared) {
            let error = take_back(context, self.locked, generation.number, error);
            return Err(self.told.after_failure(self.locked, self.flat, self.presence, error));
        }
        tidy(context, self.locked);
        Ok((generation, confirmation))
    }
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

/// The name of rules that the policy wants to come with cases.
fn with_cases(artifact: &Found) -> Option<String> {
    let wanted = artifact.verified.requires_rule_cases();
    let candidate = &artifact.candidate;
    (wanted && candidate.kind == Kind::Rulesfile).then(|| candidate.name.clone())
}

fn changes(plan: &Plan, artifact: &Found) -> bool {
    plan.changes().any(|step| step.candidate == artifact.candidate)
}

async fn stage(
    context: &Context<'_>,
    locked: &LockedStore,
    changing: Vec<Found>,
    mut ahead: Vec<BlobWriter>,
    plan: &Plan,
) -> Result<Vec<Staged>, OpsError> {
    let mut staged = Vec::with_capacity(changing.len());
    for artifact in changing {
        let digest = artifact.verified.get().layer().digest;
        let own = ahead.iter().position(|writer| *writer.expected() == digest);
        let received = own.map(|place| ahead.swap_remove(place));
        let step = plan.changes().find(|step| step.candidate == artifact.candidate);
        let reason = step.map(|step| step.why.to_string()).unwrap_or_default();
        staged.push(stage_one(context, locked, artifact, received, reason).await?);
    }
    Ok(staged)
}

async fn stage_one(
    context: &Context<'_>,
    locked: &LockedStore,
    artifact: Found,
    received: Option<BlobWriter>,
    reason: String,
) -> Result<Staged, OpsError> {
    let Found { verified, config, config_bytes, .. } = artifact;
    let mut stage = locked.stage(&verified)?;
    stage.put_config(&config_bytes)?;
    if !stage.has_layer() {
        match received {
            Some(writer) => stage.take_over(writer),
            None => fetch(context, verified.get(), &config.name, &mut stage).await?,
        }
    }
    let staged = stage.extract(&ExtractLimits::default(), reason)?;
    let files = staged.entry().files.len();
    context.listener.tell(&Event::Staged { name: &config.name, version: &config.version, files });
    Ok(staged)
}

/// Fetches the archive before the store is locked: a slow transfer keeps no other command, and no
/// other followed artifact, from changing the store. Nothing where it is there, or where somebody
/// else has been receiving it for long.
async fn fetch_ahead(
    context: &Context<'_>,
    artifact: &Found,
) -> Result<Option<BlobWriter>, OpsError> {
    let start = Instant::now();
    loop {
        match context.store.fetch_ahead(&artifact.verified)? {
            Ahead::There => return Ok(None),
            Ahead::Busy if start.elapsed() > LOCK_PATIENCE => return Ok(None),
            Ahead::Busy => tokio::time::sleep(BUSY_POLL).await,
            Ahead::Ours(mut writer) => {
                let (pinned, name) = (artifact.verified.get(), &artifact.config.name);
                fetch(context, pinned, name, writer.as_mut()).await?;
                return Ok(Some(*writer));
            }
        }
    }
}

async fn fetch(
    context: &Context<'_>,
    pinned: &Pinned,
    name: &str,
    sink: &mut impl BlobSink,
) -> Result<(), OpsError> {
    let total = pinned.layer().size;
    let mut metered = Metered::new(sink, |done| {
        context.listener.tell(&Event::Transfer { name, done, total });
    });
    // Behind a pointer: whoever waits for a change would carry all of the transfer along.
    let fetched = context.client.blob(pinned.reference(), pinned.layer(), &mut metered);
    Box::pin(fetched).await.map_err(fetch_failure)
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

/// What the sensor is told.
pub(crate) fn activation(store: &Store, generation: &Generation) -> Result<Activation, OpsError> {
    let lock_digest = generation
        .digest()
        .map_err(|source| OpsError::Document { reference: "lock file".to_owned(), source })?;
    let dir = store.directory();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    Ok(Activation { generation: generation.number, lock_digest, dir })
}

/// Leaves a generation that was activated; gives the error to report.
fn take_back(
    context: &Context<'_>,
    locked: &LockedStore,
    number: u64,
    refusal: OpsError,
) -> OpsError {
    match locked.reject(number, &refusal.to_string()) {
        Ok(restored) => {
            let restored = restored.map(|generation| generation.number);
            context.listener.tell(&Event::RolledBack { refused: number, restored });
            refusal
        }
        Err(source) => OpsError::Stuck {
            generation: number,
            refusal: refusal.to_string(),
            source: Box::new(source),
        },
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
