//! `eyas completion`.

use crate::args;
use crate::printer::Printer;

/// Prints a completion script for `shell`.
pub(crate) fn run(shell: clap_complete::Shell, printer: &Printer) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let personality = printer.personality();
    let program = personality.character().program;
    clap_complete::generate(shell, &mut args::command(personality), program, &mut script);
    Ok(printer.bytes(&script)?)
}
