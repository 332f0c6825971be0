//! `eyas artifact repair` and `eyas artifact gc`: keeping the store in order.

use std::io::{self, Write};

use eyas_ops::OpsError;
use eyas_store::{FileFault, Finding};
use serde::Serialize;

use super::install::{named_flat, store};
use crate::args::{GcArgs, Global, RepairArgs};
use crate::listener::Teller;
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::wiring;

#[derive(Serialize)]
struct RepairDocument {
    dry_run: bool,
    files: Vec<FileLine>,
}

#[derive(Serialize)]
struct FileLine {
    artifact: String,
    path: String,
    /// `missing`, `changed`, `mode` or `unknown`.
    fault: &'static str,
}

impl Document for RepairDocument {
    const KIND: &'static str = "artifact.repair";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for FileLine { path, fault, .. } in &self.files {
            writeln!(out, "{fault}: {path}")?;
        }
        match (self.files.len(), self.dry_run) {
            (0, _) => writeln!(out, "every installed file is as it was installed"),
            (count, true) => writeln!(out, "{count} to be restored"),
            (count, false) => writeln!(out, "{count} restored"),
        }
    }
}

/// Runs `artifact repair`.
pub(super) fn repair(
    args: &RepairArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let listener = Teller::new(printer.clone());
    let flat = named_flat(&args.flat, global, settings)?;
    let policy = wiring::recheck(settings, &args.trust)?;
    let findings = eyas_ops::repair(&store, flat.as_ref(), &policy, &listener, args.dry_run)?;
    let files = findings.iter().map(line).collect();
    Ok(printer.data(&RepairDocument { dry_run: args.dry_run, files })?)
}

fn line(finding: &Finding) -> FileLine {
    FileLine {
        artifact: finding.name.clone(),
        path: finding.path.display().to_string(),
        fault: match finding.fault {
            FileFault::Missing => "missing",
            FileFault::Changed => "changed",
            FileFault::Mode => "mode",
            FileFault::Unknown => "unknown",
        },
    }
}

#[derive(Serialize)]
struct GcDocument {
    dry_run: bool,
    generations: Vec<u64>,
    blobs: usize,
    freed_bytes: u64,
}

impl Document for GcDocument {
    const KIND: &'static str = "artifact.gc";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { dry_run, generations, blobs, freed_bytes } = self;
        let (verb, count) = (if *dry_run { "would remove" } else { "removed" }, generations.len());
        writeln!(out, "{verb} {count} generations and {blobs} blobs of {freed_bytes} bytes")
    }
}

/// Runs `artifact gc`.
pub(super) fn gc(
    args: &GcArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    if store.current_number().map_err(OpsError::from)?.is_none() {
        printer.info("nothing is installed, so nothing is removed");
        let (dry_run, generations) = (args.dry_run, Vec::new());
        return Ok(printer.data(&GcDocument { dry_run, generations, blobs: 0, freed_bytes: 0 })?);
    }
    let listener = Teller::new(printer.clone());
    let report = eyas_ops::gc(&store, &listener, args.keep, args.dry_run)?;
    Ok(printer.data(&GcDocument {
        dry_run: args.dry_run,
        generations: report.generations,
        blobs: report.blobs,
        freed_bytes: report.blob_bytes,
    })?)
}
