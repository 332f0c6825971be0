//! One function per command: settings in, an operation of `eyas-ops` called, its answer printed.

mod artifact;
mod assembly;
mod auth;
mod capture;
mod compatible;
mod completion;
pub(crate) mod diff;
mod driver;
pub(crate) mod follow;
mod held;
mod index;
mod install;
mod lockfile;
mod man;
mod probe;
mod registry;
mod rules;
mod sensor;
mod sign;
mod status;
mod tls;
mod trust;
mod upkeep;
mod version;

pub(crate) use self::trust::with_kept_roots;

use eyas_artifact::Name;
use eyas_ops::OpsError;

use crate::args::{Cli, Command, Rules};
use crate::printer::Printer;
use crate::settings::Settings;

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let Cli { global, command } = cli;
    match command {
        Command::Artifact(command) => artifact::run(command, &global, settings, printer),
        Command::Index(command) => index::run(command, settings, printer),
        Command::Registry(command) => registry::run(command, settings, printer),
        Command::Driver(args) => driver::run(&args, settings, printer),
        Command::Rules(command) => rules::run(&command, &global, settings, printer),
        Command::Sensor(command) => sensor::run(&command, &global, settings, printer),
        Command::Sign(args) => sign::sign(&args, settings, printer),
        Command::Attest(args) => sign::attest(&args, settings, printer),
        Command::Trust(command) => trust::run(command, settings, printer),
        Command::Tls(command) => tls::run(&command, settings, printer),
        Command::Version(_)
        | Command::Capture(_)
        | Command::Completion { .. }
        | Command::Man { .. }
        | Command::Probe(_) => run_without_settings(&command, printer).unwrap_or(Ok(())),
    }
}

/// Runs a command that needs no settings; `None` for all others.
pub(crate) fn run_without_settings(
    command: &Command,
    printer: &Printer,
) -> Option<anyhow::Result<()>> {
    match command {
        Command::Version(args) => Some(version::run(args, printer)),
        Command::Capture(command) => Some(capture::run(command, printer)),
        Command::Completion { shell } => Some(completion::run(*shell, printer)),
        Command::Man { dir } => Some(man::run(dir, printer)),
        Command::Probe(command) => Some(probe::run(command, printer)),
        Command::Rules(Rules::Eval) => Some(rules::eval()),
        _ => None,
    }
}

/// What was typed where an artifact is expected.
fn parse_name(text: &str) -> Result<Name, OpsError> {
    Ok(text.parse::<Name>()?)
}
