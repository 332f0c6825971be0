//! `eyas artifact follow`: what was typed, handed to the service.
//!
//! The service shares with `artifact install` what flags mean and how an update is printed.

use eyas_artifact::{Generation, Request};
use eyas_ops::{FlatTargets, InstallOptions, Outcome};
use eyas_store::Store;

use super::install::{self, InstallDocument};
use super::{compatible, lockfile};
use crate::args::{FollowArgs, Global, InstallFlags};
use crate::judge::Judge;
use crate::phrases;
use crate::printer::Printer;
use crate::sensor::SocketSensor;
use crate::service::{self, Parts};
use crate::settings::Settings;

/// Runs `artifact follow`.
pub(super) fn run(
    args: &FollowArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let printer = printer.clone().for_service(settings.log_format(global)?);
    service::run(args, global, settings, printer)
}

/// What the flags mean.
pub(crate) fn options_of(
    flags: &InstallFlags,
    settings: &Settings,
    dry_run: bool,
) -> anyhow::Result<InstallOptions> {
    install::options(flags, settings, dry_run)
}

/// The directories for another engine.
pub(crate) fn flat_of(
    flags: &InstallFlags,
    global: &Global,
    settings: &Settings,
) -> anyhow::Result<Option<FlatTargets>> {
    install::flat(flags, global, settings)
}

/// What must hold for rules and probes.
pub(crate) fn judge_of(flags: &InstallFlags, settings: &Settings, printer: &Printer) -> Judge {
    install::judge(flags, settings, printer)
}

/// Says what was installed in the words of `falcoctl`, and writes its state files.
pub(crate) fn told_compatibly(parts: &Parts, outcome: &Outcome, printer: &Printer) {
    compatible::keep_receipts(outcome, &parts.typed.global, &parts.settings, printer);
    if compatible::speaks(printer) {
        compatible::each_installed(outcome, parts.flat.as_ref(), &parts.store, |installed| {
            printer.record(&phrases::followed(installed));
        });
    }
}

/// The sensor that the flags name.
pub(crate) fn sensor_of(flags: &InstallFlags, settings: &Settings) -> SocketSensor {
    install::sensor(&flags.reload, settings)
}

/// The artifacts that were typed, else those that are configured.
pub(crate) fn names_of(
    typed: &[String],
    command: &'static str,
    settings: &Settings,
) -> anyhow::Result<Vec<Request>> {
    lockfile::requests(typed, command, settings, false)
}

/// The state directory.
pub(crate) fn open_store(
    flags: &InstallFlags,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Store> {
    install::store_beside(flags, global, settings, printer)
}

/// Prints an update as `artifact install` does.
pub(crate) fn print_outcome(
    printer: &Printer,
    outcome: &Outcome,
    dry_run: bool,
) -> std::io::Result<()> {
    printer.data(&InstallDocument::new(outcome, dry_run))
}

/// What a generation holds, in one line.
pub(crate) fn active_in(generation: &Generation) -> String {
    install::labels(generation).join(", ")
}
