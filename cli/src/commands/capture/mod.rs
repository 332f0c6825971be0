//! `eyas capture …`: recorded events printed, counted, described.

mod info;
mod read;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use eyas_capture::CaptureError;
use eyas_ops::{Class, OpsError};

use crate::args::Capture;
use crate::exit::Failure;
use crate::printer::Printer;

/// Runs a `capture` command.
pub(super) fn run(command: &Capture, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Capture::Read(args) => read::read(args, printer),
        Capture::Info(args) => info::info(args, printer),
    }
}

/// Opens a capture; `-` is standard input.
fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file =
        File::open(path).map_err(|source| OpsError::Input { path: path.to_owned(), source })?;
    Ok(Box::new(file))
}

/// What a damaged capture comes to.
fn damaged(path: &Path, error: &CaptureError) -> anyhow::Error {
    let message = format!("{}: {error}", path.display());
    Failure { class: Class::Failed, message, hint: error.hint().map(str::to_owned) }.into()
}
