//! `eyas artifact status`, `history` and `list --installed`: what the store says.

use std::collections::BTreeSet;
use std::io::{self, Write};

use eyas_artifact::{Entry, Generation};
use eyas_ops::{CheckedReference, Checks, OpsError, RefusedArtifact, SignerWords, Standing};
use eyas_store::HistoryEntry;
use serde::Serialize;

use super::install::{labels, store};
use super::sensor::ask;
use crate::args::{Global, ListArgs, StatusArgs, TrustArgs};
use crate::printer::{Document, Printer, Table};
use crate::settings::Settings;
use crate::wiring;

/// What is installed, who runs it and how the last check went.
#[derive(Serialize)]
struct StatusDocument {
    store: String,
    generation: Option<Generation>,
    pins: BTreeSet<String>,
    /// What is active and was revoked since; none where the policy cannot be read.
    revoked: Option<Vec<RefusedArtifact>>,
    /// What is active and is not accepted any more, though not revoked; none where the policy cannot be read.
    not_accepted: Option<Vec<RefusedArtifact>>,
    sensor: SensorLine,
    last_check: Option<Checks>,
}

/// The sensor in one line.
#[derive(Serialize)]
struct SensorLine {
    socket: String,
    running: bool,
    generation: Option<u64>,
    rules_enabled: Option<u64>,
    /// Why nothing is known of it.
    reason: Option<String>,
}

impl Document for StatusDocument {
    const KIND: &'static str = "artifact.status";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.generation {
            None => writeln!(out, "nothing is installed in {}", self.store)?,
            Some(generation) => {
                let (number, created) = (generation.number, &generation.created);
                writeln!(out, "generation {number} of {created} is active in {}", self.store)?;
                let pinned = |entry: &Entry| self.pins.contains(&entry.name);
                let mut entries = generation.entries.iter();
                entries.try_for_each(|entry| artifact(entry, pinned(entry), out))?;
            }
        }
        for artifact in self.revoked.iter().flatten() {
            writeln!(out, "revoked since: {artifact}")?;
            writeln!(out, "  install a version that is not revoked, or uninstall it")?;
        }
        for artifact in self.not_accepted.iter().flatten() {
            writeln!(out, "no longer accepted: {artifact}")?;
            writeln!(
                out,
                "  install a version that is accepted, uninstall it, or let the policy accept it"
            )?;
        }
        self.sensor.text(self.generation.as_ref(), out)?;
        match &self.last_check {
            None => writeln!(out, "last check: none recorded"),
            Some(checks) => {
                writeln!(out, "last check: {}", checks.checked)?;
                checks.references.iter().try_for_each(|reference| checked(reference, out))?;
                checks.sensor.iter().try_for_each(|sensor| writeln!(out, "  {sensor}"))
            }
        }
    }
}

fn artifact(entry: &Entry, pinned: bool, out: &mut dyn Write) -> io::Result<()> {
    let pinned = if pinned { ", pinned" } else { "" };
    writeln!(out, "  {} {} ({}{pinned})", entry.name, entry.version, entry.kind)?;
    writeln!(out, "    from   {} {}", entry.reference, entry.manifest_digest)?;
    let signed = entry.signed_at.as_ref().map_or(String::new(), |at| format!(" at {at}"));
    writeln!(out, "    signed by {}{signed}", SignerWords(entry.signer.as_ref()))?;
    writeln!(out, "    why    {}", entry.reason)
}

fn checked(reference: &CheckedReference, out: &mut dyn Write) -> io::Result<()> {
    let CheckedReference { name, since, next, .. } = reference;
    let next = next.as_ref().map(|next| format!("; next check {next}")).unwrap_or_default();
    match reference.standing {
        Standing::Current => writeln!(out, "  {name}: current since {since}{next}"),
        Standing::Failing => {
            let reason = reference.reason.as_deref().unwrap_or("refused");
            let reason = reason.lines().next().unwrap_or_default();
            writeln!(out, "  {name}: failing since {since}{next}: {reason}")?;
            reference.hint.iter().try_for_each(|hint| writeln!(out, "    hint: {hint}"))
        }
    }
}

impl SensorLine {
    fn text(&self, active: Option<&Generation>, out: &mut dyn Write) -> io::Result<()> {
        if !self.running {
            let reason = self.reason.as_deref().unwrap_or("not running");
            return writeln!(out, "sensor: {reason}");
        }
        let rules = self.rules_enabled.unwrap_or_default();
        match (self.generation, active.map(|generation| generation.number)) {
            (Some(runs), Some(active)) if runs == active => {
                writeln!(out, "sensor: runs generation {runs}, {rules} rules enabled")
            }
            (Some(runs), Some(active)) => {
                writeln!(
                    out,
                    "sensor: runs generation {runs} and not {active}; {rules} rules enabled"
                )?;
                writeln!(out, "  `eyas sensor reload` tells it to load what is active")
            }
            (Some(runs), None) => writeln!(out, "sensor: runs generation {runs} of another store"),
            (None, _) => writeln!(out, "sensor: runs {rules} rules that are from no generation"),
        }
    }
}

/// Runs `artifact status`.
pub(super) fn run(
    args: &StatusArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let generation = store.current().map_err(OpsError::from)?;
    let path = settings.sensor_socket(args.socket.sensor_socket.as_deref());
    let socket = path.display().to_string();
    let sensor = match ask(&path) {
        Ok(status) => SensorLine {
            socket,
            running: true,
            generation: status.generation,
            rules_enabled: Some(status.rules.enabled),
            reason: None,
        },
        Err(failure) => SensorLine {
            socket,
            running: false,
            generation: None,
            rules_enabled: None,
            reason: Some(failure.message),
        },
    };
    let last_check = eyas_ops::last_checks(&store)?;
    let pins = store.pins().map_err(OpsError::from)?;
    let (revoked, not_accepted) = match refused(args, generation.as_ref(), settings, printer) {
        Some(refused) => {
            let (revoked, others) = refused.into_iter().partition(|artifact| artifact.revoked);
            (Some(revoked), Some(others))
        }
        None => (None, None),
    };
    let store = store.directory().display().to_string();
    Ok(printer.data(&StatusDocument {
        store,
        generation,
        pins,
        revoked,
        not_accepted,
        sensor,
        last_check,
    })?)
}

/// What is active and is not accepted any more. A policy that cannot be read hides nothing else.
fn refused(
    args: &StatusArgs,
    active: Option<&Generation>,
    settings: &Settings,
    printer: &Printer,
) -> Option<Vec<RefusedArtifact>> {
    let policy = TrustArgs { policy: args.policy.clone(), ..TrustArgs::default() };
    match wiring::recheck(settings, &policy) {
        Ok(policy) => {
            Some(active.map(|active| eyas_ops::refused(active, &policy)).unwrap_or_default())
        }
        Err(error) => {
            printer.warn(format!("what is revoked is not known: {error:#}"));
            None
        }
    }
}

#[derive(Serialize)]
struct HistoryDocument {
    generations: Vec<HistoryLine>,
}

#[derive(Serialize)]
struct HistoryLine {
    active: bool,
    refused: Option<String>,
    #[serde(flatten)]
    generation: Generation,
}

impl Document for HistoryDocument {
    const KIND: &'static str = "artifact.history";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["", "GENERATION", "CREATED", "ARTIFACTS", "REFUSED"]);
        for HistoryLine { active, refused, generation } in &self.generations {
            let mark = if *active { "*" } else { " " };
            let refused = refused.as_deref().and_then(|text| text.lines().next());
            table.row([
                mark.to_owned(),
                generation.number.to_string(),
                generation.created.clone(),
                labels(generation).join(", "),
                refused.unwrap_or_default().to_owned(),
            ]);
        }
        table.write(out)
    }
}

/// Runs `artifact history`.
pub(super) fn history(
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let entries = store(global, settings)?.history().map_err(OpsError::from)?;
    let line = |HistoryEntry { generation, active, refused }| HistoryLine {
        active,
        refused: refused.map(|refusal| refusal.reason),
        generation,
    };
    Ok(printer.data(&HistoryDocument { generations: entries.into_iter().map(line).collect() })?)
}

#[derive(Serialize)]
struct InstalledDocument {
    artifacts: Vec<Entry>,
}

impl Document for InstalledDocument {
    const KIND: &'static str = "artifact.installed";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["ARTIFACT", "TYPE", "VERSION", "REFERENCE", "SIGNED BY"]);
        for entry in &self.artifacts {
            table.row([
                entry.name.clone(),
                entry.kind.to_string(),
                entry.version.to_string(),
                entry.reference.clone(),
                SignerWords(entry.signer.as_ref()).to_string(),
            ]);
        }
        table.write(out)
    }
}

/// Runs `artifact list --installed`.
pub(super) fn list(
    args: &ListArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let kind = args.kind.as_deref().map(|typed| wiring::kind(typed, "`--type`")).transpose()?;
    let generation = store(global, settings)?.current().map_err(OpsError::from)?;
    let entries = generation.map(|generation| generation.entries).unwrap_or_default();
    let of_kind = |entry: &Entry| kind.is_none_or(|kind| entry.kind == kind);
    let artifacts = entries.into_iter().filter(of_kind).collect();
    Ok(printer.data(&InstalledDocument { artifacts })?)
}
