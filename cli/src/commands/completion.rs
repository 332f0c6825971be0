//! `eyas completion`.

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::printer::Printer;

/// Prints a completion script for `shell`.
pub(crate) fn run(shell: clap_complete::Shell, printer: &Printer) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "eyas", &mut script);
    Ok(printer.bytes(&script)?)
}
