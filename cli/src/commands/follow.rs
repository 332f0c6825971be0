//! `eyas artifact follow`: rounds of checks until told to stop.

use std::time::{Duration, Instant};

use eyas_artifact::Name;
use eyas_oci::Client;
use eyas_ops::{
    Catalog, CheckResult, Checked, Context, Follower, InstallOptions, OpsError, Schedule, Startup,
    Trust,
};
use eyas_store::Store;

use super::artifact::catalog_for;
use super::install::{InstallDocument, labels, names, options, sensor, store};
use crate::args::{FollowArgs, Global, LogLevel, StartupBehavior};
use crate::exit;
use crate::judge::Judge;
use crate::listener::Teller;
use crate::printer::{Printer, Record};
use crate::sensor::SocketSensor;
use crate::settings::Settings;
use crate::{signals, wiring};

/// How long indexes from elsewhere are believed before they are fetched again.
const CATALOG_AGE: Duration = Duration::from_hours(1);

/// Runs `artifact follow`.
pub(super) fn run(
    args: &FollowArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let printer = printer.clone().for_service(settings.log_format(global)?);
    let flags = &args.flags;
    let names = names(&args.references, "follow", settings)?;
    let every = settings.every(args.every)?;
    let startup = match settings.startup(args.startup_behavior)? {
        _ if args.once => Startup::Immediate,
        StartupBehavior::Immediate => Startup::Immediate,
        StartupBehavior::Jitter => Startup::Jitter,
        StartupBehavior::Skip => Startup::Skip,
    };
    let service = Service {
        args,
        settings,
        options: options(flags, settings, false)?,
        store: store(global, settings)?,
        trust: wiring::trust(settings, &flags.trust, &printer)?,
        client: wiring::client(settings, &flags.transport, &printer)?,
        sensor: sensor(flags, settings),
        judge: Judge::new(),
        listener: Teller::new(printer.clone()),
        follower: Follower::new(names.clone())?,
        catalog: None,
        names,
        printer,
    };
    wiring::block_on(service.run(Schedule { every, startup }))
}

/// Everything that lives as long as the service.
struct Service<'a> {
    args: &'a FollowArgs,
    settings: &'a Settings,
    names: Vec<Name>,
    options: InstallOptions,
    store: Store,
    trust: Trust,
    client: Client,
    sensor: SocketSensor,
    judge: Judge,
    listener: Teller,
    follower: Follower,
    catalog: Option<(Catalog, Instant)>,
    printer: Printer,
}

impl Service<'_> {
    async fn run(mut self, schedule: Schedule) -> anyhow::Result<()> {
        let stop = signals::until_told();
        tokio::pin!(stop);
        let list = self.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.printer.info(format!("following {list} every {}", seconds(schedule.every)));
        let mut delay = schedule.first(seed().as_bytes());
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(delay) => {}
            }
            // What waits for the network can be dropped at any point: nothing is half done until
            // the store is changed, and that happens without waiting.
            let round = tokio::select! {
                () = &mut stop => break,
                round = self.round() => round?,
            };
            if self.args.once {
                return first_failure(round);
            }
            delay = schedule.every;
        }
        self.printer.info("told to stop");
        Ok(())
    }

    /// One round of checks, told and recorded.
    async fn round(&mut self) -> anyhow::Result<Vec<Checked>> {
        self.refresh().await?;
        let empty = Catalog::default();
        let catalog = self.catalog.as_ref().map_or(&empty, |(catalog, _)| catalog);
        let context = Context {
            store: &self.store,
            client: &self.client,
            catalog,
            trust: &self.trust,
            validate: &self.judge,
            sensor: &self.sensor,
            listener: &self.listener,
            flat: None,
        };
        let round = self.follower.check(&context, &self.options).await;
        for checked in &round {
            self.tell(checked);
        }
        if round.iter().any(|checked| matches!(checked.result, CheckResult::Failed { .. })) {
            // The index may have moved the artifact: ask it again next time.
            self.catalog = None;
        }
        self.keep(&round);
        Ok(round)
    }

    /// Reads the indexes again when they are in files, are old, or something failed.
    async fn refresh(&mut self) -> anyhow::Result<()> {
        let fresh =
            |(catalog, at): &(Catalog, Instant)| !catalog.is_local() && at.elapsed() < CATALOG_AGE;
        if self.catalog.as_ref().is_some_and(fresh) {
            return Ok(());
        }
        let indexes = &self.args.flags.indexes;
        let catalog =
            catalog_for(&self.names, self.settings, indexes, &self.client, &self.printer).await?;
        self.catalog = Some((catalog, Instant::now()));
        Ok(())
    }

    fn tell(&self, checked: &Checked) {
        self.printer.record(&record(checked));
        if let CheckResult::Installed(outcome) = &checked.result
            && self.printer.is_json()
        {
            // One document per update; nobody reads it is no reason to stop.
            let _ = self.printer.data(&InstallDocument::new(outcome, false));
        }
    }

    /// Keeps the record for `status`; a store that cannot be written is told where it matters.
    fn keep(&self, round: &[Checked]) {
        let kept = eyas_ops::keep_checks(&self.store, round);
        if let Err(error) = kept {
            let message = format!("the record of this check cannot be kept: {error}");
            self.printer.record(&Record::new(LogLevel::Debug, message));
        }
    }
}

fn record(checked: &Checked) -> Record {
    let name = checked.name.to_string();
    let digest = checked.digest.map(|digest| digest.to_string());
    let record = match &checked.result {
        CheckResult::Current { again: true } => {
            Record::new(LogLevel::Info, format!("{name} is current again"))
        }
        CheckResult::Current { again: false } => {
            Record::new(LogLevel::Debug, format!("{name} has nothing new"))
        }
        CheckResult::StillRefused => {
            Record::new(LogLevel::Debug, format!("{name} is still what was refused"))
        }
        CheckResult::Installed(outcome) => {
            let active = outcome.generation.as_ref();
            let what = active.map(|generation| labels(generation).join(", ")).unwrap_or_default();
            let number = active.map(|generation| generation.number);
            Record::new(LogLevel::Info, format!("{name} was updated; active now: {what}"))
                .with("generation", number)
        }
        CheckResult::Failed { error, known } => failure(&name, error, *known),
    };
    record.with("artifact", name).with("digest", digest)
}

fn failure(name: &str, error: &OpsError, known: bool) -> Record {
    let level = if known { LogLevel::Debug } else { LogLevel::Error };
    let class = error.class();
    let mut record = Record::new(level, format!("{name} was not updated: {error}"))
        .with("class", exit::name(class));
    if let Some(report) = error.report() {
        record = record.detail(report);
    }
    match error.hint() {
        Some(hint) => record.detail(format!("hint: {hint}")),
        None => record,
    }
}

fn first_failure(round: Vec<Checked>) -> anyhow::Result<()> {
    for checked in round {
        if let CheckResult::Failed { error, .. } = checked.result {
            return Err(error.into());
        }
    }
    Ok(())
}

/// What differs between hosts and between starts, for the jitter.
fn seed() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{host}{}", std::process::id())
}

fn seconds(every: Duration) -> String {
    match every.as_secs() {
        0 => format!("{} ms", every.as_millis()),
        seconds => format!("{seconds} s"),
    }
}
