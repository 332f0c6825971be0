//! One function per command: settings in, an operation of `eyas-ops` called, its answer printed.

mod completion;
mod version;

use crate::args::{Cli, Command};
use crate::printer::Printer;
use crate::settings::Settings;

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let _ = settings;
    match cli.command {
        Command::Version(args) => version::run(&args, printer),
        Command::Completion { shell } => completion::run(shell, printer),
        _ => Err(anyhow::anyhow!("this command has not been wired in this build")),
    }
}
