//! `eyas artifact follow`: what was typed, handed to the service.
//!
//! The service shares with `artifact install` what flags mean and how an update is printed.

use eyas_artifact::{Generation, Name};
use eyas_ops::{InstallOptions, Outcome};
use eyas_store::Store;

use super::install::{self, InstallDocument};
use crate::args::{FollowArgs, Global, InstallFlags};
use crate::printer::Printer;
use crate::sensor::SocketSensor;
use crate::service;
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

/// The sensor that the flags name.
pub(crate) fn sensor_of(flags: &InstallFlags, settings: &Settings) -> SocketSensor {
    install::sensor(flags, settings)
}

/// The artifacts that were typed, else those that are configured.
pub(crate) fn names_of(
    typed: &[String],
    command: &'static str,
    settings: &Settings,
) -> anyhow::Result<Vec<Name>> {
    install::names(typed, command, settings)
}

/// The state directory.
pub(crate) fn open_store(global: &Global, settings: &Settings) -> anyhow::Result<Store> {
    install::store(global, settings)
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
