//! `eyas artifact install` and `eyas artifact rollback`.

use std::io::{self, Write};
use std::path::Path;

use eyas_artifact::{Generation, Name};
use eyas_index::Action;
use eyas_ops::{
    Confirmation, FlatTargets, ForeignPolicy, InstallOptions, OpsError, Outcome, Receipts,
    RollbackOptions,
};
use eyas_store::Store;
use serde::Serialize;

use super::assembly::Assembly;
use super::compatible;
use super::diff;
use super::lockfile::{self, requests};
use crate::args::{FlatArgs, Global, InstallArgs, InstallFlags, ReloadArgs, RollbackArgs};
use crate::judge::Judge;
use crate::listener::Teller;
use crate::personality::Engine;
use crate::phrases;
use crate::printer::{Document, Printer};
use crate::sensor::SocketSensor;
use crate::settings::{FlatDirectories, Settings};
use crate::wiring;

/// Where the store is in a directory for another engine, beside what is remembered of its files.
const STORE_BESIDE: &str = ".eyas/store";

/// What the flags of install and follow mean.
pub(super) fn options(
    flags: &InstallFlags,
    settings: &Settings,
    dry_run: bool,
) -> anyhow::Result<InstallOptions> {
    let allowed: anyhow::Result<Vec<_>> = settings
        .allowed_types(&flags.allowed_types)?
        .iter()
        .map(|typed| wiring::kind(typed, "the allowed types"))
        .collect();
    Ok(InstallOptions {
        platform: wiring::platform(flags.platform.as_deref())?,
        allowed: allowed?,
        resolve_dependencies: settings.resolve_deps(flags.resolve_deps)?,
        allow_downgrade: flags.allow_downgrade,
        allow_other_repository: flags.allow_other_repository || settings.character().any_repository,
        require_sensor: settings.require_sensor(flags.reload.require_sensor)?,
        dry_run,
        ..InstallOptions::default()
    })
}

/// The sensor that the flags name. Where rules are for another engine, ours is told only if it is named.
pub(super) fn sensor(args: &ReloadArgs, settings: &Settings) -> SocketSensor {
    let named = settings.named_sensor_socket(args.socket.sensor_socket.as_deref());
    let ours = settings.character().engine == Engine::Ours || args.require_sensor;
    let told = !args.no_reload && (ours || named.is_some());
    SocketSensor::new(named.unwrap_or_else(|| settings.sensor_socket(None)), told)
}

/// The state directory that the flags name.
pub(super) fn store(global: &Global, settings: &Settings) -> anyhow::Result<Store> {
    Ok(Store::open(settings.store(global)?).map_err(OpsError::from)?)
}

/// The store of a command that installs. Called as `falcoctl`, a state directory that cannot be written
/// is no reason to fail: the store is then in a directory that takes files, and that is said.
pub(super) fn store_beside(
    flags: &InstallFlags,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Store> {
    let path = settings.store(global)?;
    let is_ours = settings.character().store_below_state.is_none();
    if is_ours || global.store.is_some() || takes_files(&path) {
        return store(global, settings);
    }
    let FlatDirectories { rulesfiles, plugins, assets, .. } = settings.flat(&flags.flat);
    let mut places = [rulesfiles, plugins, assets].into_iter().flatten();
    let Some(place) = places.find(|place| takes_files(place)) else {
        return store(global, settings);
    };
    let other = place.join(STORE_BESIDE);
    printer.warn(format!(
        "state directory `{}` cannot be written: what is installed is remembered in `{}`, which `--store` \
         names for other commands",
        settings.state_dir(global)?.display(),
        other.display()
    ));
    Ok(Store::open(other).map_err(OpsError::from)?)
}

/// Whether files can be made in a directory, or in the one that it would be made in.
fn takes_files(directory: &Path) -> bool {
    let there = directory.ancestors().find(|path| path.is_dir());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(there).is_ok()
}

/// The directories for another engine that the flags of a command name, if there are any.
pub(super) fn flat(
    flags: &InstallFlags,
    global: &Global,
    settings: &Settings,
) -> anyhow::Result<Option<FlatTargets>> {
    targets(settings.flat(&flags.flat), &flags.flat, global, settings)
}

/// The directories that a command which installs nothing has to keep with the store, beside those that
/// the store remembers.
pub(super) fn named_flat(
    args: &FlatArgs,
    global: &Global,
    settings: &Settings,
) -> anyhow::Result<Option<FlatTargets>> {
    targets(settings.named_flat(args), args, global, settings)
}

fn targets(
    directories: FlatDirectories,
    args: &FlatArgs,
    global: &Global,
    settings: &Settings,
) -> anyhow::Result<Option<FlatTargets>> {
    let FlatDirectories { rulesfiles, plugins, assets, .. } = directories;
    if rulesfiles.is_none() && plugins.is_none() && assets.is_none() {
        return Ok(None);
    }
    let foreign = if args.adopt { ForeignPolicy::Adopt } else { ForeignPolicy::default() };
    let installed_before = Receipts::below(&settings.state_dir(global)?).references();
    Ok(Some(FlatTargets { rulesfiles, plugins, assets, foreign, installed_before }))
}

/// What must hold for rules and probes, for the engine that they are for.
pub(super) fn judge(flags: &InstallFlags, settings: &Settings, printer: &Printer) -> Judge {
    let unusable = settings.flat(&flags.flat).unusable;
    Judge::of(settings.character().engine, unusable, printer)
}

/// Runs `artifact install`.
pub(super) fn run(
    args: &InstallArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let flags = &args.flags;
    let requests = requests(&args.references, "install", settings, args.locked.locked)?;
    let names: Vec<Name> = requests.iter().map(|request| request.name.clone()).collect();
    let options = options(flags, settings, args.dry_run)?;
    let store = store_beside(flags, global, settings, printer)?;
    let flat = flat(flags, global, settings)?;
    let trust = wiring::block_on(wiring::trust(settings, &flags.trust, printer))?;
    let client = wiring::client(settings, &flags.transport, printer)?;
    let sensor = sensor(&flags.reload, settings);
    let mut assembly = Assembly {
        judge: judge(flags, settings, printer),
        flat,
        ..Assembly::new(store, client, trust, sensor.clone(), printer)
    };
    if compatible::speaks(printer) && options.resolve_dependencies {
        printer.record(&phrases::resolving());
    }
    let outcome = wiring::block_on_until_told(printer, async {
        assembly.find_names(&names, settings, &flags.indexes, printer).await?;
        assembly.sensor =
            compatible::sensor_for_engine(sensor, settings, &flags.transport, printer).await?;
        lockfile::install(&assembly.context(), &requests, &args.locked, &options).await
    })?;
    if let Some(changed) = diff::changed_rules(&assembly.store, &outcome) {
        printer.aside(changed);
    }
    if !args.dry_run {
        compatible::keep_receipts(&outcome, global, settings, printer);
        if compatible::speaks(printer) {
            compatible::each_installed(
                &outcome,
                assembly.flat.as_ref(),
                &assembly.store,
                |installed| {
                    printer.record(&phrases::installed(installed));
                },
            );
            return Ok(());
        }
    }
    Ok(printer.data(&InstallDocument::new(&outcome, args.dry_run))?)
}

/// One artifact of a plan.
#[derive(Debug, Serialize)]
pub(super) struct StepDocument {
    action: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    version: String,
    installed_version: Option<String>,
    reference: String,
    digest: String,
    reason: String,
}

/// What came of an install.
#[derive(Debug, Serialize)]
pub(super) struct InstallDocument {
    dry_run: bool,
    changed: bool,
    generation: Option<u64>,
    artifacts: Vec<StepDocument>,
    sensor: SensorDocument,
}

/// What became of telling the sensor.
#[derive(Debug, Serialize)]
pub(super) struct SensorDocument {
    /// `confirmed`, `absent`, `not-asked` or `not-needed`.
    state: &'static str,
    lines: Vec<String>,
}

impl SensorDocument {
    pub(super) fn new(confirmation: Option<&Confirmation>) -> Self {
        let (state, lines) = match confirmation {
            Some(Confirmation::Confirmed(lines)) => ("confirmed", lines.clone()),
            Some(Confirmation::Absent(reason)) => ("absent", vec![reason.clone()]),
            Some(Confirmation::NotAsked) => ("not-asked", Vec::new()),
            None => ("not-needed", Vec::new()),
        };
        Self { state, lines }
    }
}

impl InstallDocument {
    pub(super) fn new(outcome: &Outcome, dry_run: bool) -> Self {
        let artifacts = outcome.plan.steps.iter().map(|step| StepDocument {
            action: step.action.to_string(),
            name: step.candidate.name.clone(),
            kind: step.candidate.kind.to_string(),
            version: step.candidate.version.to_string(),
            installed_version: step.installed.as_ref().map(ToString::to_string),
            reference: step.candidate.reference.to_string(),
            digest: step.candidate.manifest_digest.to_string(),
            reason: step.why.to_string(),
        });
        Self {
            dry_run,
            changed: outcome.changed,
            generation: outcome.generation.as_ref().map(|generation| generation.number),
            artifacts: artifacts.collect(),
            sensor: SensorDocument::new(outcome.confirmation.as_ref()),
        }
    }

    fn verb<'a>(&self, action: &'a str) -> &'a str {
        let keep = Action::Keep.to_string();
        match (action, self.dry_run) {
            (action, _) if action == keep => "unchanged",
            ("install", true) => "would install",
            ("upgrade", true) => "would upgrade",
            ("downgrade", true) => "would downgrade",
            ("replace", true) => "would replace",
            ("install", false) => "installed",
            ("upgrade", false) => "upgraded",
            ("downgrade", false) => "downgraded",
            ("replace", false) => "replaced",
            (other, _) => other,
        }
    }
}

impl Document for InstallDocument {
    const KIND: &'static str = "artifact.install";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for step in &self.artifacts {
            let from = step.installed_version.as_ref().filter(|from| **from != step.version);
            let from = from.map_or_else(String::new, |from| format!(" (was {from})"));
            let (verb, name, version) = (self.verb(&step.action), &step.name, &step.version);
            writeln!(out, "{verb} {name} {version}{from}")?;
            writeln!(out, "  {} {}", step.reference, step.digest)?;
        }
        if self.changed
            && let Some(number) = self.generation
        {
            writeln!(out, "generation {number} is active")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct RollbackDocument {
    dry_run: bool,
    from: Option<u64>,
    generation: u64,
    artifacts: Vec<String>,
    sensor: SensorDocument,
}

impl Document for RollbackDocument {
    const KIND: &'static str = "artifact.rollback";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would be" } else { "is" };
        writeln!(out, "generation {} {verb} active: {}", self.generation, self.artifacts.join(", "))
    }
}

/// Runs `artifact rollback`.
pub(super) fn rollback(
    args: &RollbackArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let flat = named_flat(&args.flat, global, settings)?;
    let sensor = sensor(&args.reload, settings);
    let require = settings.require_sensor(args.reload.require_sensor)?;
    let listener = Teller::new(printer.clone());
    let options = RollbackOptions {
        policy: wiring::recheck(settings, &args.trust)?,
        to: args.to,
        require_sensor: require,
        dry_run: args.dry_run,
    };
    let done = eyas_ops::rollback(&store, &sensor, &listener, flat.as_ref(), &options)?;
    Ok(printer.data(&RollbackDocument {
        dry_run: args.dry_run,
        from: done.from,
        generation: done.to.number,
        artifacts: labels(&done.to),
        sensor: SensorDocument::new(done.confirmation.as_ref()),
    })?)
}

/// Names with versions, for one line.
pub(super) fn labels(generation: &Generation) -> Vec<String> {
    generation.entries.iter().map(|entry| format!("{} {}", entry.name, entry.version)).collect()
}
