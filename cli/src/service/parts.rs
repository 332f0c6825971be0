//! Everything that the configuration decides, built as a whole and replaced as a whole.
//!
//! A configuration that became wrong changes nothing: what was built from the last good one stays.
//! The policy is not among it: it is read each time something is about to be installed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eyas_artifact::Request;
use eyas_oci::Client;
use eyas_ops::{Event, FlatTargets, InstallOptions, Listener, Schedule, Trust};
use eyas_store::Store;

use super::pulse::Pulse;
use super::shelf::Shelf;
use super::versions::Versions;
use super::watch::Watched;
use crate::args::{FollowArgs, Global};
use crate::commands::follow::{flat_of, judge_of, names_of, open_store, options_of, sensor_of};
use crate::judge::Judge;
use crate::listener::Teller;
use crate::printer::Printer;
use crate::sensor::SocketSensor;
use crate::settings::Settings;
use crate::wiring;

/// What was typed, and what stays as it is while the configuration changes.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) args: FollowArgs,
    pub(crate) global: Global,
    pub(crate) printer: Printer,
    pub(crate) pulse: Arc<Pulse>,
}

/// What the configuration decides.
pub(crate) struct Parts {
    pub(crate) typed: Typed,
    pub(crate) settings: Settings,
    pub(crate) names: Vec<Request>,
    pub(crate) options: InstallOptions,
    pub(crate) schedule: Schedule,
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) flat: Option<FlatTargets>,
    pub(crate) judge: Judge,
    pub(crate) listener: Counting,
    pub(crate) shelf: Shelf,
    pub(crate) versions: Option<Versions>,
    watched: Mutex<Watched>,
}

impl Parts {
    /// Builds everything from settings.
    pub(crate) fn build(typed: Typed, settings: Settings) -> anyhow::Result<Self> {
        let Typed { args, global, printer, pulse } = &typed;
        // What is read is watched as it was before it was read.
        let watched = Watched::of(configuration_of(&settings));
        let dry_run = args.dry_run;
        Ok(Self {
            names: names_of(&args.references, "follow", &settings)?,
            options: InstallOptions {
                patience: UPDATE_PATIENCE,
                ..options_of(&args.flags, &settings, dry_run)?
            },
            schedule: settings.schedule(args)?,
            store: open_store(&args.flags, global, &settings, printer)?,
            client: wiring::client(&settings, &args.flags.transport, printer)?,
            flat: flat_of(&args.flags, global, &settings)?,
            judge: judge_of(&args.flags, &settings, printer),
            listener: Counting::new(printer, pulse),
            shelf: Shelf::default(),
            versions: settings
                .falco_versions(args)?
                .map(|(place, limit)| Versions::new(place, limit)),
            watched: Mutex::new(watched),
            settings,
            typed,
        })
    }

    /// Builds everything again from the configuration as it is now.
    pub(crate) fn again(&self) -> anyhow::Result<Self> {
        let settings = self.settings.read_again(&self.typed.global)?;
        Self::build(self.typed.clone(), settings)
    }

    /// Whether the configuration is no longer what this was built from.
    pub(crate) fn is_outdated(&self) -> bool {
        self.watched().changed()
    }

    /// From now on the configuration as it is counts as seen, so that a wrong one is told once.
    pub(crate) fn overlook(&self) {
        *self.watched() = Watched::of(configuration_of(&self.settings));
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy as it is now.
    pub(crate) async fn trust(&self) -> anyhow::Result<Trust> {
        let typed = &self.typed;
        wiring::trust(&self.settings, &typed.args.flags.trust, &typed.printer.quieter()).await
    }

    /// The sensor; without an answer requirements are held against what `versions` last said.
    pub(crate) fn sensor(&self) -> SocketSensor {
        sensor_of(&self.typed.args.flags, &self.settings)
    }
}

fn configuration_of(settings: &Settings) -> Vec<PathBuf> {
    let added = settings.book_dir().map(|dir| dir.join("indexes.yaml"));
    settings.config_file().into_iter().chain(added).collect()
}

/// Passes on what happens, and counts what is fetched.
pub(crate) struct Counting {
    teller: Teller,
    pulse: Arc<Pulse>,
    /// Bytes of each layer that is arriving, by the name of its artifact.
    arrived: Mutex<BTreeMap<String, u64>>,
}

impl Counting {
    fn new(printer: &Printer, pulse: &Arc<Pulse>) -> Self {
        Self {
            teller: Teller::new(printer.clone()),
            pulse: Arc::clone(pulse),
            arrived: Mutex::default(),
        }
    }
}

impl Listener for Counting {
    fn tell(&self, event: &Event<'_>) {
        if let Event::Transfer { name, done, total } = event {
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            // Only what is under way is remembered. A lower number is a new beginning.
            let before = arrived.remove(*name).filter(|before| before <= done).unwrap_or(0);
            self.pulse.fetched(done - before);
            if done < total {
                arrived.insert((*name).to_owned(), *done);
            }
        }
        self.teller.tell(event);
    }
}

/// How long an update waits for whoever changes the store, which holds up nothing else: a sensor may
/// take minutes to compile what another update has brought.
const UPDATE_PATIENCE: Duration = Duration::from_mins(10);
/// How long keeping the record of checks waits for another process that changes the store.
pub(crate) const RECORD_PATIENCE: Duration = Duration::ZERO;
