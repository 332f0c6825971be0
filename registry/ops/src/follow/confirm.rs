//! Whether the sensor runs what is active, asked at every check.
//!
//! An update is confirmed when it is installed. This is for everything after that: a sensor that was
//! not there then, one that was restarted on something else, and a process of ours that was stopped
//! between activation and answer. A refusal takes the generation back, as it does during an update.

use std::fmt;

use eyas_store::{LockedStore, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::flat::Flat;
use crate::transaction::{Confirmation, LOCK_PATIENCE, Told, activation, unreachable};
use crate::{Event, FlatTargets, Listener, OpsError, Presence, Sensor};

/// How the sensor stands to what is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The generation that is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How the sensor stands to it.
    pub state: ConfirmedState,
    /// Why, where that needs words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl fmt::Display for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self
            .generation
            .map_or_else(|| "nothing".to_owned(), |number| format!("generation {number}"));
        match self.state {
            ConfirmedState::Confirmed => write!(f, "the sensor confirmed {generation}")?,
            ConfirmedState::Other => write!(f, "the sensor runs something else than {generation}")?,
            ConfirmedState::Refused => {
                write!(f, "the sensor refused what was active; {generation} is active again")?;
            }
            ConfirmedState::Absent => write!(f, "no sensor confirmed {generation}")?,
            ConfirmedState::NotAsked => write!(f, "no sensor was asked about {generation}")?,
            ConfirmedState::Nothing => f.write_str("there was nothing a sensor could confirm")?,
            ConfirmedState::Unreachable => {
                write!(f, "no sensor could be asked about {generation}")?;
            }
        }
        let reason = self.reason.as_deref().and_then(|reason| reason.lines().next());
        reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// The ways a sensor can stand to what is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmedState {
    /// It runs it.
    Confirmed,
    /// It runs something else, and says that it has taken this.
    Other,
    /// It refused it; the generation was taken back.
    Refused,
    /// None is running.
    Absent,
    /// It is not to be told.
    NotAsked,
    /// Nothing is installed that it could run.
    Nothing,
    /// It could not be asked.
    Unreachable,
}

/// Asks the sensor, and tells it once what is active if it runs something else.
#[derive(Debug, Default)]
pub struct Confirmer {
    /// What it was told last without being asked for.
    told: Option<u64>,
}

impl Confirmer {
    /// One that has asked nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the sensor stands to what is active now. With `anew` it is told to load it even if it
    /// says that it has, as after a repair.
    pub fn ask(
        &mut self,
        store: &Store,
        flat: Option<&FlatTargets>,
        sensor: &dyn Sensor,
        listener: &dyn Listener,
        anew: bool,
    ) -> Confirmed {
        let (state, reason) = match self.settle(store, flat, sensor, listener, anew) {
            Ok(state) => (state, None),
            Err(Trouble::Absent(reason)) => (ConfirmedState::Absent, Some(reason)),
            Err(Trouble::Refused(reason)) => (ConfirmedState::Refused, Some(reason)),
            Err(Trouble::Unreachable(error)) => {
                (ConfirmedState::Unreachable, Some(error.to_string()))
            }
        };
        Confirmed { generation: store.current_number().ok().flatten(), state, reason }
    }

    fn settle(
        &mut self,
        store: &Store,
        flat: Option<&FlatTargets>,
        sensor: &dyn Sensor,
        listener: &dyn Listener,
        anew: bool,
    ) -> Result<ConfirmedState, Trouble> {
        let told = Told { sensor, listener, require: false };
        let stands = self.stands(store, &told, anew)?;
        let Stands::Apart(presence) = stands else { return Ok(stands.settled()) };
        // Whoever is changing the store tells the sensor, too: what is active, and whether the sensor
        // runs it, is settled only once the store is ours.
        let locked = match store.lock_within(LOCK_PATIENCE) {
            Err(StoreError::Locked { .. }) => return Ok(ConfirmedState::Other),
            other => other.map_err(OpsError::from)?,
        };
        let again = self.stands(store, &told, anew)?;
        let Stands::Apart(_) = again else { return Ok(again.settled()) };
        let Some(active) = store.current().map_err(OpsError::from)? else {
            return Ok(ConfirmedState::Nothing);
        };
        self.told = Some(active.number);
        match told.tell(store, &active, &presence) {
            Ok(Confirmation::Confirmed(_)) => Ok(ConfirmedState::Confirmed),
            Ok(Confirmation::Absent(reason)) => Err(Trouble::Absent(reason)),
            Ok(Confirmation::NotAsked) => Ok(ConfirmedState::NotAsked),
            Err(refusal @ OpsError::SensorRefused { .. }) => {
                take_back(&locked, flat, listener, active.number, &refusal)?;
                Err(Trouble::Refused(refusal.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is anything to tell the sensor.
    fn stands(&mut self, store: &Store, told: &Told<'_>, anew: bool) -> Result<Stands, Trouble> {
        let Some(active) = store.current().map_err(OpsError::from)? else {
            return Ok(Stands::Settled(ConfirmedState::Nothing));
        };
        let presence = told.presence()?;
        match &presence {
            Presence::NotAsked => return Ok(Stands::Settled(ConfirmedState::NotAsked)),
            Presence::Absent(reason) => return Err(Trouble::Absent(reason.clone())),
            Presence::Running(_) => {}
        }
        let ours = activation(store, &active)?;
        let Some(runs) = told.sensor.in_force().map_err(unreachable)? else {
            return Err(Trouble::Absent("it went away while it was asked".to_owned()));
        };
        let same =
            runs.generation == Some(ours.generation) && runs.lock_digest == Some(ours.lock_digest);
        if same && !anew {
            self.told = None;
            return Ok(Stands::Settled(ConfirmedState::Confirmed));
        }
        if self.told == Some(active.number) && !anew {
            // It was told and runs something else: telling it again and again changes nothing.
            return Ok(Stands::Settled(ConfirmedState::Other));
        }
        Ok(Stands::Apart(presence))
    }
}

/// How the sensor stands to what is active, before it is told anything.
enum Stands {
    /// There is nothing to tell.
    Settled(ConfirmedState),
    /// It is to be told what is active.
    Apart(Presence),
}

impl Stands {
    fn settled(&self) -> ConfirmedState {
        match self {
            Self::Settled(state) => *state,
            Self::Apart(_) => ConfirmedState::Other,
        }
    }
}

/// Why a generation is not confirmed.
enum Trouble {
    Absent(String),
    Refused(String),
    Unreachable(OpsError),
}

impl From<OpsError> for Trouble {
    fn from(error: OpsError) -> Self {
        Self::Unreachable(error)
    }
}

fn take_back(
    locked: &LockedStore,
    flat: Option<&FlatTargets>,
    listener: &dyn Listener,
    number: u64,
    refusal: &OpsError,
) -> Result<(), OpsError> {
    let flat = Flat::of(locked, flat, listener)?;
    flat.recover(locked)?;
    let restored = locked.reject(number, &refusal.to_string())?;
    let restored = restored.map(|generation| generation.number);
    listener.tell(&Event::RolledBack { refused: number, restored });
    flat.bring(locked)
}
