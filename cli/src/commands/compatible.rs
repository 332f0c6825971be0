//! What install and follow do besides, when the program is called `falcoctl`: its state files, and its words
//! for what is installed.

use std::time::Duration;

use eyas_artifact::Kind;
use eyas_index::Step;
use eyas_oci::Client;
use eyas_ops::{FlatTargets, Offer, OpsError, Outcome, Receipt, Receipts};
use eyas_store::Store;

use crate::args::{Global, TransportArgs};
use crate::personality::{Engine, Words};
use crate::phrases::Installed;
use crate::printer::Printer;
use crate::sensor::SocketSensor;
use crate::service::Versions;
use crate::settings::Settings;
use crate::wiring;

/// Whether the program speaks as `falcoctl` here.
pub(super) fn speaks(printer: &Printer) -> bool {
    printer.words() == Words::Falcoctl && !printer.is_json()
}

/// Writes the state file of each artifact that was asked for. That it cannot is no reason to fail: the
/// store knows what is installed.
pub(super) fn keep_receipts(
    outcome: &Outcome,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) {
    if printer.words() != Words::Falcoctl {
        return;
    }
    let Ok(state) = settings.state_dir(global) else { return };
    let receipts = Receipts::below(&state);
    let updated_at = jiff::Timestamp::now().to_string();
    for Step { candidate, .. } in &outcome.plan.steps {
        let receipt = Receipt {
            reference: candidate.reference.to_string(),
            digest: candidate.root_digest.to_string(),
            updated_at: updated_at.clone(),
        };
        if let Err(error) = receipts.write(&receipt) {
            printer.warn(format!("the state of `{}` is not kept: {error}", receipt.reference));
        }
    }
}

/// Longest wait for an engine that may not be running yet.
const ENGINE_PATIENCE: Duration = Duration::from_secs(1);

/// The sensor, with requirements held against what another engine says of itself. An engine that does not
/// answer may be of any version: it starts after its rules are installed.
pub(super) async fn sensor_for_engine(
    sensor: SocketSensor,
    settings: &Settings,
    transport: &TransportArgs,
    printer: &Printer,
) -> anyhow::Result<SocketSensor> {
    if settings.character().engine == Engine::Ours || sensor.is_told() {
        return Ok(sensor);
    }
    let Some(place) = settings.engine_versions()? else { return Ok(sensor) };
    // Asked once: what does not run yet will not run a moment later either.
    let mut config = wiring::client_config(settings, transport, &printer.quieter())?;
    config.retry.retries = 0;
    let client = Client::new(config).map_err(OpsError::from)?;
    let (offer, said) = Versions::new(place, ENGINE_PATIENCE).read(&client).await;
    if let Some(why) = said.filter(|_| offer.is_none()) {
        let why = why.split(';').next().unwrap_or_default();
        printer.aside(format!("{why}; requirements on the engine are not checked"));
    }
    let unknown = Offer { unknown: true, ..Offer::default() };
    Ok(sensor.with_declared(Some(offer.unwrap_or(unknown))))
}

/// The directory in which the artifacts of a kind are found.
fn directory(kind: Kind, flat: Option<&FlatTargets>, store: &Store) -> String {
    let flat = flat.and_then(|flat| flat.directory(kind));
    flat.unwrap_or(store.directory()).display().to_string()
}

/// Calls for each artifact that is in force now and was asked for or needed.
pub(super) fn each_installed(
    outcome: &Outcome,
    flat: Option<&FlatTargets>,
    store: &Store,
    mut say: impl FnMut(&Installed<'_>),
) {
    for Step { candidate, .. } in &outcome.plan.steps {
        say(&Installed {
            reference: &candidate.reference,
            kind: candidate.kind,
            digest: candidate.root_digest,
            directory: &directory(candidate.kind, flat, store),
        });
    }
}
