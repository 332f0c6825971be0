//! `eyas artifact …`: the commands that only ask. Those that change something have modules of their own.

use std::io::{self, Write};

use eyas_artifact::Name;
use eyas_index::Entry;
use eyas_oci::Client;
use eyas_ops::Catalog;
use serde::Serialize;

use super::{compatible, diff, follow, held, install, lockfile, status, upkeep};
use crate::args::{
    Artifact, Global, IndexArgs, InfoArgs, ListArgs, ManifestArgs, SearchArgs, TransportArgs,
    VerifyArgs,
};
use crate::listener::Teller;
use crate::phrases;
use crate::printer::{Document, Printer, Table};
use crate::settings::Settings;
use crate::wiring;

/// Runs an `artifact` command.
pub(super) fn run(
    command: Artifact,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    match command {
        Artifact::Install(args) => install::run(&args, global, settings, printer),
        Artifact::Follow(args) => follow::run(&args, global, settings, printer),
        Artifact::Lock(args) => lockfile::run(&args, global, settings, printer),
        Artifact::Uninstall(args) => held::uninstall(&args, global, settings, printer),
        Artifact::Pin(args) => held::pin(&args, true, global, settings, printer),
        Artifact::Unpin(args) => held::pin(&args, false, global, settings, printer),
        Artifact::Diff(args) => diff::run(&args, global, settings, printer),
        Artifact::List(args) if args.installed => status::list(&args, global, settings, printer),
        Artifact::List(args) => list(&args, settings, printer),
        Artifact::Search(args) => search(&args, settings, printer),
        Artifact::Info(args) => info(&args, settings, printer),
        Artifact::Manifest(args) => document(&args, settings, printer, Part::Manifest),
        Artifact::Config(args) => document(&args, settings, printer, Part::Config),
        Artifact::Verify(args) => verify(&args, settings, printer),
        Artifact::Status(args) => status::run(&args, global, settings, printer),
        Artifact::History(_) => status::history(global, settings, printer),
        Artifact::Rollback(args) => install::rollback(&args, global, settings, printer),
        Artifact::Repair(args) => upkeep::repair(&args, global, settings, printer),
        Artifact::Gc(args) => upkeep::gc(&args, global, settings, printer),
    }
}

#[derive(Serialize)]
struct ListedEntry<'a> {
    index: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
}

#[derive(Serialize)]
struct EntriesDocument<'a> {
    artifacts: Vec<ListedEntry<'a>>,
}

impl<'a> EntriesDocument<'a> {
    fn new(entries: Vec<&'a Entry>) -> Self {
        let listed = entries.into_iter().map(|entry| ListedEntry { index: &entry.index, entry });
        Self { artifacts: listed.collect() }
    }
}

impl EntriesDocument<'_> {
    fn table(&self) -> Table {
        let mut table = Table::new(&["INDEX", "ARTIFACT", "TYPE", "REGISTRY", "REPOSITORY"]);
        for ListedEntry { index, entry } in &self.artifacts {
            let cells = [*index, &entry.name, &entry.kind, &entry.registry, &entry.repository];
            table.row(cells.map(str::to_owned));
        }
        table
    }
}

impl Document for EntriesDocument<'_> {
    const KIND: &'static str = "artifact.list";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.table().write(out)
    }

    fn compatible(&self, out: &mut dyn Write) -> io::Result<()> {
        self.table().write_tabs(out)
    }
}

fn list(args: &ListArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let kind = args.kind.as_deref().map(|typed| wiring::kind(typed, "`--type`")).transpose()?;
    let catalog = all_indexes(settings, &args.transport, &args.indexes, printer)?;
    let entries = eyas_ops::list(&catalog, kind, args.index.as_deref())?;
    Ok(printer.data(&EntriesDocument::new(entries))?)
}

fn search(args: &SearchArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let kind = args.kind.as_deref().map(|typed| wiring::kind(typed, "`--type`")).transpose()?;
    let catalog = all_indexes(settings, &args.transport, &args.indexes, printer)?;
    let entries = eyas_ops::search(&catalog, &args.keywords, args.min_score, kind);
    if entries.is_empty() {
        printer.aside("nothing found; `eyas artifact list` shows all names");
    }
    Ok(printer.data(&EntriesDocument::new(entries))?)
}

/// The catalog of every index, for commands that are about the indexes themselves.
fn all_indexes(
    settings: &Settings,
    transport: &TransportArgs,
    indexes: &IndexArgs,
    printer: &Printer,
) -> anyhow::Result<Catalog> {
    let client = wiring::client(settings, transport, printer)?;
    let teller = Teller::new(printer.clone());
    let catalog = wiring::block_on(wiring::catalog(settings, indexes, &client, &teller, true))?;
    if catalog.is_unconfigured() {
        printer.aside("no index is configured; `eyas index add NAME URL` adds one");
    }
    Ok(catalog.expect_complete()?)
}

#[derive(Serialize)]
struct TagsOf {
    #[serde(rename = "ref")]
    reference: String,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct InfoDocument {
    artifacts: Vec<TagsOf>,
}

impl InfoDocument {
    fn table(&self) -> Table {
        let mut table = Table::new(&["REF", "TAGS"]);
        for artifact in &self.artifacts {
            table.row([artifact.reference.clone(), artifact.tags.join(", ")]);
        }
        table
    }
}

impl Document for InfoDocument {
    const KIND: &'static str = "artifact.info";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.table().write(out)
    }

    fn compatible(&self, out: &mut dyn Write) -> io::Result<()> {
        self.table().write_tabs(out)
    }
}

fn info(args: &InfoArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let names: Result<Vec<Name>, _> =
        args.references.iter().map(|text| super::parse_name(text)).collect();
    let names = names?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let artifacts = wiring::block_on(async {
        let catalog = catalog_for(&names, settings, &args.indexes, &client, printer).await?;
        let mut artifacts = Vec::with_capacity(names.len());
        for name in &names {
            let reference = catalog.resolve(name)?;
            let tags = match eyas_ops::tags(&client, &reference).await {
                Ok(tags) => tags,
                // One that cannot be had does not keep the others back there.
                Err(error) if compatible::speaks(printer) => {
                    printer.record(&phrases::no_tags(&reference, &error.to_string()));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            artifacts.push(TagsOf { reference: reference.locator(), tags });
        }
        Ok(artifacts)
    })?;
    Ok(printer.data(&InfoDocument { artifacts })?)
}

/// The indexes, when one of the names needs them.
pub(super) async fn catalog_for(
    names: &[Name],
    settings: &Settings,
    indexes: &IndexArgs,
    client: &Client,
    printer: &Printer,
) -> anyhow::Result<Catalog> {
    let needed = names.iter().any(|name| matches!(name, Name::Indexed { .. }));
    let teller = Teller::new(printer.clone());
    wiring::catalog(settings, indexes, client, &teller, needed).await
}

#[derive(Clone, Copy)]
enum Part {
    Manifest,
    Config,
}

/// Prints a document as the registry serves it, so that its digest can be computed from it.
fn document(
    args: &ManifestArgs,
    settings: &Settings,
    printer: &Printer,
    part: Part,
) -> anyhow::Result<()> {
    let name = super::parse_name(&args.reference)?;
    let platform = wiring::platform(args.platform.as_deref())?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let names = [name];
    let bytes = wiring::block_on(async {
        let catalog = catalog_for(&names, settings, &args.indexes, &client, printer).await?;
        let reference = catalog.resolve(&names[0])?;
        Ok(match part {
            Part::Manifest => eyas_ops::manifest(&client, &reference, &platform).await?,
            Part::Config => eyas_ops::config(&client, &reference, &platform).await?,
        })
    })?;
    printer.bytes(&bytes)?;
    if !printer.is_json() && !bytes.ends_with(b"\n") {
        printer.bytes(b"\n")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct VerifiedDocument<'a> {
    #[serde(flatten)]
    explanation: &'a eyas_trust::Explanation,
    #[serde(skip)]
    explain: bool,
}

impl Document for VerifiedDocument<'_> {
    const KIND: &'static str = "artifact.verify";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { explanation, explain } = self;
        if *explain {
            return write!(out, "{explanation}");
        }
        writeln!(
            out,
            "{}@{} satisfies rule {}",
            explanation.repository, explanation.digest, explanation.rule
        )
    }
}

fn verify(args: &VerifyArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let names = [super::parse_name(&args.reference)?];
    let platform = wiring::platform(args.platform.as_deref())?;
    let trust = wiring::block_on(wiring::trust(settings, &args.trust, printer))?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let teller = Teller::new(printer.clone());
    let explanation = wiring::block_on(async {
        let catalog = catalog_for(&names, settings, &args.indexes, &client, printer).await?;
        Ok(eyas_ops::verify(&client, &catalog, &trust, &names[0], &platform, &teller).await?)
    })?;
    Ok(printer.data(&VerifiedDocument { explanation: &explanation, explain: args.explain })?)
}
