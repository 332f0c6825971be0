//! `eyas artifact uninstall`, `pin` and `unpin`: what becomes of what is installed.

use std::io::{self, Write};

use eyas_ops::{InstallOptions, Pinned, Trust};
use eyas_trust::Policy;
use serde::Serialize;

use super::assembly::Assembly;
use super::install::{SensorDocument, named_flat, sensor, store};
use crate::args::{Global, PinArgs, TransportArgs, UninstallArgs};
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::wiring;

#[derive(Serialize)]
struct UninstallDocument {
    dry_run: bool,
    changed: bool,
    generation: Option<u64>,
    artifacts: Vec<RemovedLine>,
    sensor: SensorDocument,
}

#[derive(Serialize)]
struct RemovedLine {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    version: String,
    reason: String,
}

impl Document for UninstallDocument {
    const KIND: &'static str = "artifact.uninstall";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would remove" } else { "removed" };
        for RemovedLine { name, version, reason, .. } in &self.artifacts {
            writeln!(out, "{verb} {name} {version}: {reason}")?;
        }
        match self.generation.filter(|_| self.changed) {
            Some(generation) => writeln!(out, "generation {generation} is active"),
            None => Ok(()),
        }
    }
}

/// Runs `artifact uninstall`.
pub(super) fn uninstall(
    args: &UninstallArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    // Nothing is fetched, so nobody has to be trusted.
    let trust = Trust::new(Policy::allow_unsigned(), false)?;
    let client = wiring::client(settings, &TransportArgs::default(), printer)?;
    let assembly = Assembly {
        flat: named_flat(&args.flat, global, settings)?,
        ..Assembly::new(store, client, trust, sensor(&args.reload, settings), printer)
    };
    let options = InstallOptions {
        require_sensor: settings.require_sensor(args.reload.require_sensor)?,
        dry_run: args.dry_run,
        ..InstallOptions::default()
    };
    let done = eyas_ops::uninstall(&assembly.context(), &args.names, args.cascade, &options)?;
    let line = |removal: &eyas_ops::Removal| RemovedLine {
        name: removal.entry.name.clone(),
        kind: removal.entry.kind.to_string(),
        version: removal.entry.version.to_string(),
        reason: removal.reason.clone(),
    };
    Ok(printer.data(&UninstallDocument {
        dry_run: args.dry_run,
        changed: done.changed,
        generation: done.generation.as_ref().map(|generation| generation.number),
        artifacts: done.removed.iter().map(line).collect(),
        sensor: SensorDocument::new(done.confirmation.as_ref()),
    })?)
}

#[derive(Serialize)]
struct PinDocument {
    dry_run: bool,
    changed: Vec<String>,
    pins: Vec<String>,
}

impl Document for PinDocument {
    const KIND: &'static str = "artifact.pin";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let would = if self.dry_run { "would be " } else { "" };
        match self.pins.as_slice() {
            [] => writeln!(out, "nothing {}pinned", if would.is_empty() { "is " } else { would }),
            pins => writeln!(out, "{would}pinned: {}", pins.join(", ")),
        }
    }
}

/// Runs `artifact pin` and, without `hold`, `artifact unpin`.
pub(super) fn pin(
    args: &PinArgs,
    hold: bool,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let change = if hold { eyas_ops::pin } else { eyas_ops::unpin };
    let Pinned { changed, pins }: Pinned = change(&store, &args.names, args.dry_run)?;
    let (dry_run, pins) = (args.dry_run, pins.into_iter().collect());
    Ok(printer.data(&PinDocument { dry_run, changed, pins })?)
}
