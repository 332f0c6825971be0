//! `eyas artifact diff`: what differs between what is installed, what a registry has, and
//! generations.

use std::collections::BTreeSet;
use std::io::{self, Write};

use eyas_artifact::{Generation, Kind, Name};
use eyas_ops::{
    Contents, Context, FileContents, InstallOptions, OpsError, Outcome, fetched_contents,
    installed_contents,
};
use eyas_rules::SourceFile;
use eyas_rules::diff::{RuleDiff, diff};
use eyas_store::Store;
use serde::Serialize;

use super::assembly::Assembly;
use super::install::store;
use crate::args::{DiffArgs, Global};
use crate::printer::{Document, Printer};
use crate::sensor::SocketSensor;
use crate::settings::Settings;
use crate::wiring;

/// The differences between two sets of artifacts.
#[derive(Serialize)]
struct DiffDocument {
    from: String,
    to: String,
    artifacts: Vec<ArtifactDiff>,
    #[serde(skip)]
    summary: bool,
}

/// The differences of one artifact.
#[derive(Serialize)]
struct ArtifactDiff {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// `added`, `removed`, `changed` or `same`.
    change: &'static str,
    from_version: Option<String>,
    to_version: Option<String>,
    rules: Option<RuleDiff>,
    files: Vec<FileDiff>,
}

/// The difference of one file.
#[derive(Serialize)]
struct FileDiff {
    path: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    from_bytes: Option<u64>,
    to_bytes: Option<u64>,
}

impl Document for DiffDocument {
    const KIND: &'static str = "artifact.diff";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "from {}\nto   {}", self.from, self.to)?;
        for artifact in &self.artifacts {
            artifact.text(self.summary, out)?;
        }
        Ok(())
    }
}

impl ArtifactDiff {
    fn text(&self, summary: bool, out: &mut dyn Write) -> io::Result<()> {
        let Self { name, kind, change, from_version, to_version, rules, files } = self;
        let none = || "none".to_owned();
        let (from, to) =
            (from_version.clone().unwrap_or_else(none), to_version.clone().unwrap_or_else(none));
        let versions = if from == to { to } else { format!("{from} -> {to}") };
        writeln!(out, "{change} {kind} {name} {versions}")?;
        if let Some(rules) = rules.as_ref().filter(|_| *change != "same") {
            writeln!(out, "  {}", rules.summary())?;
            if !summary {
                rules.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
            }
        }
        if summary {
            return Ok(());
        }
        for FileDiff { path, change, from_bytes, to_bytes } in files {
            let size = match (from_bytes, to_bytes) {
                (Some(from), Some(to)) => format!("{from} -> {to} bytes"),
                (Some(one), None) | (None, Some(one)) => format!("{one} bytes"),
                (None, None) => String::new(),
            };
            writeln!(out, "  {change} file {path}: {size}")?;
        }
        Ok(())
    }
}

/// Which rules a change of what is installed has brought, in one line; none when no rules differ, or
/// when there was nothing before.
pub(crate) fn changed_rules(store: &Store, outcome: &Outcome) -> Option<String> {
    let new = outcome.generation.as_ref().filter(|_| outcome.changed)?;
    let parent = new.parent?;
    let old = installed_contents(store, &store.generation(parent).ok()?).ok()?;
    let rules = diff(&sources(old.iter()), &sources(installed_contents(store, new).ok()?.iter()));
    let differ = !rules.is_empty();
    differ.then(|| format!("against generation {parent}: {}", rules.summary()))
}

/// Runs `artifact diff`.
pub(super) fn run(
    args: &DiffArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
    let (from, to, old, new) = match (number(&args.from), number(&args.to)) {
        (Some(from), to) if to.is_some() || args.to.is_none() => {
            let old = store.generation(from).map_err(OpsError::from)?;
            let new = match to {
                Some(to) => store.generation(to).map_err(OpsError::from)?,
                None => active(&store)?,
            };
            let label = |one: &Generation| format!("generation {}", one.number);
            let sides = (installed_contents(&store, &old)?, installed_contents(&store, &new)?);
            (label(&old), label(&new), sides.0, sides.1)
        }
        _ => registry_sides(args, &store, settings, printer)?,
    };
    let artifacts = compare(&old, &new);
    Ok(printer.data(&DiffDocument { from, to, artifacts, summary: args.summary })?)
}

fn active(store: &Store) -> anyhow::Result<Generation> {
    let active = store.current().map_err(OpsError::from)?;
    let nothing = || OpsError::NothingInstalled { store: store.directory().to_owned() };
    Ok(active.ok_or_else(nothing)?)
}

type Sides = (String, String, Vec<Contents>, Vec<Contents>);

/// Sides of which at least one is in a registry.
fn registry_sides(
    args: &DiffArgs,
    store: &Store,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Sides> {
    let names = [&args.from, &args.to]
        .into_iter()
        .flatten()
        .map(|text| super::parse_name(text))
        .collect::<Result<Vec<Name>, _>>()?;
    let trust = wiring::block_on(wiring::trust(settings, &args.trust, printer))?;
    let sensor = SocketSensor::new(settings.sensor_socket(None), false);
    let client = wiring::client(settings, &args.transport, printer)?;
    let mut assembly = Assembly::new(store.clone(), client, trust, sensor, printer);
    let platform = wiring::platform(args.platform.as_deref())?;
    let options = InstallOptions { platform, dry_run: true, ..InstallOptions::default() };
    wiring::block_on(async {
        assembly.find_names(&names, settings, &args.indexes, printer).await?;
        let context = assembly.context();
        match names.as_slice() {
            [] => everything(&context, &options).await,
            [name] => one(&context, name, &options).await,
            [from, to, ..] => two(&context, from, to, &options).await,
        }
    })
}

/// Everything that is installed, and what its references are now.
async fn everything(context: &Context<'_>, options: &InstallOptions) -> anyhow::Result<Sides> {
    let installed = installed_contents(context.store, &active(context.store)?)?;
    let mut available = Vec::with_capacity(installed.len());
    for one in &installed {
        let reference = eyas_ops::available(context, one).await?;
        available.push(fetched_contents(context, &reference, Some(one), options).await?);
    }
    Ok(("what is installed".to_owned(), "what the registry has".to_owned(), installed, available))
}

/// What is installed under a name, and what the registry has.
async fn one(
    context: &Context<'_>,
    name: &Name,
    options: &InstallOptions,
) -> anyhow::Result<Sides> {
    let all = installed_contents(context.store, &active(context.store)?)?;
    let typed = name.to_string();
    let own = all.iter().find(|one| one.name == typed);
    let reference = match own {
        Some(own) => eyas_ops::available(context, own).await?,
        None => context.catalog.resolve(name)?,
    };
    let available = fetched_contents(context, &reference, own, options).await?;
    let installed =
        all.into_iter().find(|one| (one.kind, &one.name) == (available.kind, &available.name));
    let Some(installed) = installed else {
        let names = active(context.store)?.entries.into_iter().map(|entry| entry.name).collect();
        return Err(OpsError::NotInstalled { name: available.name, installed: names }.into());
    };
    let from = format!("installed {} {}", installed.name, installed.version);
    Ok((from, reference.to_string(), vec![installed], vec![available]))
}

async fn two(
    context: &Context<'_>,
    from: &Name,
    to: &Name,
    options: &InstallOptions,
) -> anyhow::Result<Sides> {
    let (from, to) = (context.catalog.resolve(from)?, context.catalog.resolve(to)?);
    let old = fetched_contents(context, &from, None, options).await?;
    let new = fetched_contents(context, &to, Some(&old), options).await?;
    // Two artifacts under different names are still to be compared with each other.
    let new = Contents { name: old.name.clone(), ..new };
    Ok((from.to_string(), to.to_string(), vec![old], vec![new]))
}

fn compare(old: &[Contents], new: &[Contents]) -> Vec<ArtifactDiff> {
    let keys: BTreeSet<(Kind, &str)> =
        old.iter().chain(new).map(|one| (one.kind, one.name.as_str())).collect();
    let find = |side: &'_ [Contents], key: (Kind, &str)| {
        side.iter().position(|one| (one.kind, one.name.as_str()) == key)
    };
    let pair =
        |key| (find(old, key).map(|place| &old[place]), find(new, key).map(|place| &new[place]));
    keys.into_iter().map(|key| artifact(key, pair(key))).collect()
}

fn artifact(
    (kind, name): (Kind, &str),
    (old, new): (Option<&Contents>, Option<&Contents>),
) -> ArtifactDiff {
    let files = files(old, new);
    let change = match (old, new) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(old), Some(new)) if old.digest == new.digest => "same",
        _ => "changed",
    };
    let version = |side: Option<&Contents>| side.map(|one| one.version.to_string());
    let rules = kind == Kind::Rulesfile;
    ArtifactDiff {
        name: name.to_owned(),
        kind,
        change,
        from_version: version(old),
        to_version: version(new),
        rules: rules.then(|| diff(&sources(old.into_iter()), &sources(new.into_iter()))),
        files,
    }
}

/// Files of rules in the order in which a sensor loads them.
fn sources<'c>(side: impl Iterator<Item = &'c Contents>) -> Vec<SourceFile> {
    let rules = side.filter(|one| one.kind == Kind::Rulesfile);
    let texts = rules.flat_map(|one| {
        one.files.iter().filter_map(|(path, file)| {
            let name = format!("{}/{path}", one.name);
            Some(SourceFile { name, text: file.text.clone()? })
        })
    });
    texts.collect()
}

/// Files that are not compared as rules.
fn files(old: Option<&Contents>, new: Option<&Contents>) -> Vec<FileDiff> {
    let of = |side: Option<&Contents>| side.map(|one| one.files.clone()).unwrap_or_default();
    let (old, new) = (of(old), of(new));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let compared = |file: Option<&FileContents>| file.is_none_or(|file| file.text.is_some());
    let one = |path: &String| {
        let (was, is) = (old.get(path), new.get(path));
        if compared(was) && compared(is) {
            return None;
        }
        let change = match (was, is) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(was), Some(is)) if was.digest == is.digest => return None,
            _ => "changed",
        };
        let size = |file: Option<&FileContents>| file.map(|file| file.size);
        Some(FileDiff { path: path.clone(), change, from_bytes: size(was), to_bytes: size(is) })
    };
    paths.into_iter().filter_map(one).collect()
}
