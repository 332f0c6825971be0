//! Rollback: an earlier generation becomes active again, and the sensor is told.

use eyas_artifact::Generation;
use eyas_store::{LockedStore, Store};

use crate::transaction::{Confirmation, Told, activation, unreachable};
use crate::{Event, Listener, OpsError, Presence, Sensor, Verdict};

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

/// Goes back to generation `to`, or to the one before.
pub fn rollback(
    store: &Store,
    sensor: &dyn Sensor,
    listener: &dyn Listener,
    to: Option<u64>,
    require_sensor: bool,
    dry_run: bool,
) -> Result<RolledBack, OpsError> {
    let from = store.current_number()?;
    let number = to.map_or_else(|| store.previous(), Ok)?;
    let target = store.generation(number)?;
    if dry_run {
        return Ok(RolledBack { from, to: target, confirmation: None });
    }
    let told = Told { sensor, listener, require: require_sensor };
    let presence = told.presence()?;
    let locked = store.lock()?;
    let generation = locked.rollback(Some(number))?;
    listener.tell(&Event::Activated { generation: &generation, previous: from });
    match told.tell(store, &generation, &presence) {
        Ok(confirmation) => {
            Ok(RolledBack { from, to: generation, confirmation: Some(confirmation) })
        }
        Err(refusal) => Err(undo(&locked, listener, number, from, refusal)),
    }
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
