//! `eyas index …`.

use std::io::{self, Write};

use eyas_oci::Client;
use eyas_ops::{Catalog, Copies, IndexSource, OpsError};
use serde::Serialize;

use crate::args::{Index, IndexAddArgs, IndexListArgs, IndexNamesArgs, IndexUpdateArgs};
use crate::exit::Failure;
use crate::listener::Teller;
use crate::personality::{IndexLists, Words};
use crate::phrases;
use crate::printer::{Document, Printer, Record, Table, local_time};
use crate::settings::Settings;
use crate::wiring;

/// Runs an `index` command.
pub(super) fn run(command: Index, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Index::Add(args) => add(&args, settings, printer),
        Index::List(args) => list(&args, settings, printer),
        Index::Update(args) => update(&args, settings, printer),
        Index::Remove(args) => remove(&args, settings, printer),
    }
}

/// The time for the list of added indexes, as it is customary there.
fn now(printer: &Printer) -> String {
    let now = jiff::Timestamp::now();
    match printer.words() {
        Words::Ours => now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Words::Falcoctl => local_time(now),
    }
}

fn add(args: &IndexAddArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    // A path means the same from everywhere once it is absolute.
    let source = IndexSource::parse(&args.name, &args.url)?.absolute()?;
    let backend = args.backend.as_deref().filter(|backend| !backend.is_empty());
    // One fetcher serves both; that was never told apart.
    let web = |backend: &str| matches!(backend, "http" | "https");
    let fits = |backend: &str| backend == source.backend() || web(backend) && web(source.backend());
    if let Some(backend) = backend.filter(|backend| !fits(backend)) {
        let message = format!("backend `{backend}` does not fit the address `{}`", args.url);
        return Err(Failure::usage(message).with_hint("leave it out: the address decides").into());
    }
    let known = wiring::sources(settings, &args.indexes)?;
    let book = wiring::book(settings)?;
    // Where both lists are written, one that is configured may be added too: then it has a copy.
    let added_too = settings.character().index_lists == IndexLists::BookAndConfiguration
        && book.find(&source.name).is_none();
    let other = known.iter().find(|other| other.name == source.name);
    if let Some(other) = other.filter(|other| !added_too || other.location != source.location) {
        return known_already(&source, other, printer);
    }
    if !args.dry_run {
        say(printer, &phrases::adding_index(&source.name, &args.url));
    }
    let client = wiring::client(settings, &args.transport, printer)?;
    let copies = wiring::copies(settings, &args.indexes)?;
    if args.dry_run {
        let would = vec![looked_at(&source, &client, printer)?];
        return planned("added", would, printer);
    }
    let index = wiring::block_on(async { Ok(eyas_ops::update(&source, &copies, &client).await?) })?;
    wiring::book(settings)?.add(&source, &now(printer))?;
    enter(&source, settings, printer)?;
    say(printer, &phrases::indexes_done("added"));
    printer.aside(format!("index `{}` was added with {} artifacts", source.name, index.len()));
    changed("added", vec![ChangedIndex::with(&source.name, Some(index.len()))], printer)
}

/// Adding what is there already changes nothing; that its address is another one must be said.
fn known_already(
    source: &IndexSource,
    other: &IndexSource,
    printer: &Printer,
) -> anyhow::Result<()> {
    let same = other.location == source.location;
    let message = format!("index `{}` is known already, at `{}`", source.name, other.address());
    match printer.words() {
        _ if same => printer.aside(format!("index `{}` is known already", source.name)),
        Words::Ours => {
            return Err(Failure::usage(message)
                .with_hint("remove it first, or choose another name")
                .into());
        }
        Words::Falcoctl => printer.warn(format!("{message}; it stays as it is")),
    }
    say(printer, &phrases::indexes_done("added"));
    changed("known", vec![ChangedIndex::with(&source.name, None)], printer)
}

/// An index that is fetched and read, and not kept.
fn looked_at(
    source: &IndexSource,
    client: &Client,
    printer: &Printer,
) -> anyhow::Result<ChangedIndex> {
    let (sources, copies) = ([source.clone()], Copies::default());
    let teller = Teller::new(printer.clone());
    let catalog = wiring::block_on(async {
        let catalog = Catalog::load(&sources, &copies, client, &teller).await;
        Ok(catalog.expect_complete()?)
    })?;
    Ok(ChangedIndex::with(&source.name, Some(catalog.index().len())))
}

/// What was done about indexes, or would be; of what was done people are told on standard error.
#[derive(Serialize)]
struct ChangeDocument {
    dry_run: bool,
    /// `added`, `known`, `updated` or `removed`.
    action: &'static str,
    indexes: Vec<ChangedIndex>,
}

#[derive(Serialize)]
struct ChangedIndex {
    name: String,
    artifacts: Option<usize>,
}

impl ChangedIndex {
    fn with(name: &str, artifacts: Option<usize>) -> Self {
        Self { name: name.to_owned(), artifacts }
    }
}

impl Document for ChangeDocument {
    const KIND: &'static str = "index.change";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for index in self.indexes.iter().filter(|_| self.dry_run) {
            let with = index.artifacts.map(|count| format!(", which has {count} artifacts"));
            let (name, action) = (&index.name, self.action);
            writeln!(out, "index `{name}` would be {action}{}", with.unwrap_or_default())?;
        }
        Ok(())
    }
}

fn changed(
    action: &'static str,
    indexes: Vec<ChangedIndex>,
    printer: &Printer,
) -> anyhow::Result<()> {
    Ok(printer.data(&ChangeDocument { dry_run: false, action, indexes })?)
}

fn planned(
    action: &'static str,
    indexes: Vec<ChangedIndex>,
    printer: &Printer,
) -> anyhow::Result<()> {
    Ok(printer.data(&ChangeDocument { dry_run: true, action, indexes })?)
}

/// Says something that only scripts for `falcoctl` wait for.
fn say(printer: &Printer, record: &Record) {
    if printer.words() == Words::Falcoctl {
        printer.record(record);
    }
}

/// Enters an index in the configuration file too, where that is the habit. A file that cannot be written,
/// such as a mounted one, is no reason to fail: the list of added indexes has it.
fn enter(source: &IndexSource, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let (IndexLists::BookAndConfiguration, Some(file)) =
        (settings.character().index_lists, settings.config_file())
    else {
        return Ok(());
    };
    // A list that begins with this index would otherwise replace the default one.
    let mut entries = Vec::new();
    for default in settings.default_indexes()? {
        entries.push(IndexSource::parse(&default.name, &default.url)?);
    }
    if entries.iter().any(|default| default.name == source.name) {
        return Ok(());
    }
    entries.push(source.clone());
    tolerate(eyas_ops::list_indexes(&file, &entries), printer)
}

/// A configuration file that cannot be written is told and no more.
fn tolerate(edited: Result<bool, OpsError>, printer: &Printer) -> anyhow::Result<()> {
    match edited {
        Ok(_) => Ok(()),
        Err(error @ OpsError::Storage { .. }) => {
            printer.warn(format!("{error}; the list of added indexes has it"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn update(args: &IndexUpdateArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let known = wiring::sources(settings, &args.indexes)?;
    let mut chosen = Vec::with_capacity(args.names.len());
    for name in &args.names {
        let found = known.iter().find(|source| source.name == *name);
        chosen.push(found.ok_or_else(|| OpsError::NoSuchIndex { name: name.clone() })?);
    }
    let client = wiring::client(settings, &args.transport, printer)?;
    if args.dry_run {
        let would = chosen.into_iter().map(|source| looked_at(source, &client, printer));
        return planned("updated", would.collect::<anyhow::Result<_>>()?, printer);
    }
    let copies = wiring::copies(settings, &args.indexes)?;
    let mut book = wiring::book(settings)?;
    wiring::block_on(async {
        let mut done = Vec::with_capacity(chosen.len());
        for source in chosen {
            say(printer, &phrases::updating_index(&source.name));
            let index = eyas_ops::update(source, &copies, &client).await?;
            book.touch(&source.name, &now(printer))?;
            printer.aside(format!("index `{}` has {} artifacts", source.name, index.len()));
            done.push(ChangedIndex::with(&source.name, Some(index.len())));
        }
        say(printer, &phrases::indexes_done("updated"));
        changed("updated", done, printer)
    })
}

fn remove(args: &IndexNamesArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let mut book = wiring::book(settings)?;
    let lists = settings.character().index_lists;
    let configured = settings.indexes(&args.indexes)?;
    let in_file = |name: &String| configured.iter().any(|index| index.name == *name);
    if lists == IndexLists::Book
        && let Some(name) =
            args.names.iter().find(|name| book.find(name).is_none() && in_file(name))
    {
        let message = format!("index `{name}` is in the configuration file, which is yours");
        return Err(Failure::usage(message).with_hint("remove it there").into());
    }
    let copies = wiring::copies(settings, &args.indexes)?;
    let (added, others): (Vec<String>, Vec<String>) =
        args.names.iter().cloned().partition(|name| book.find(name).is_some());
    let sources: Vec<IndexSource> = added
        .iter()
        .filter_map(|name| book.find(name))
        .filter_map(|added| IndexSource::parse(&added.name, &added.url).ok())
        .collect();
    if args.dry_run {
        let there = args.names.iter().filter(|name| added.contains(name) || in_file(name));
        let would = there.map(|name| ChangedIndex::with(name, None)).collect();
        if let Some(unknown) = others.iter().find(|name| !in_file(name)) {
            return Err(OpsError::NoSuchIndex { name: unknown.clone() }.into());
        }
        return planned("removed", would, printer);
    }
    for name in &args.names {
        say(printer, &phrases::removing_index(name));
    }
    match lists {
        IndexLists::Book => book.remove(&args.names)?,
        IndexLists::BookAndConfiguration => {
            if let Some(unknown) = others.iter().find(|name| !in_file(name)) {
                printer.warn(format!("no index named `{unknown}` is there"));
            }
            if !added.is_empty() {
                book.remove(&added)?;
            }
            if let Some(file) = settings.config_file() {
                tolerate(eyas_ops::unlist_indexes(&file, &args.names), printer)?;
            }
        }
    }
    for source in &sources {
        copies.forget(source)?;
    }
    say(printer, &phrases::indexes_done("removed"));
    printer.aside(format!("removed {}", args.names.join(", ")));
    let removed = args.names.iter().map(|name| ChangedIndex::with(name, None)).collect();
    changed("removed", removed, printer)
}

#[derive(Serialize)]
struct ListedIndex {
    name: String,
    url: String,
    backend: String,
    /// `added` by command, or `configured`.
    from: &'static str,
    added: Option<String>,
    updated: Option<String>,
}

#[derive(Serialize)]
struct IndexesDocument {
    indexes: Vec<ListedIndex>,
}

impl Document for IndexesDocument {
    const KIND: &'static str = "index.list";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["NAME", "URL", "FROM", "ADDED", "UPDATED"]);
        for index in &self.indexes {
            let ListedIndex { name, url, from, added, updated, .. } = index;
            let [added, updated] = [added, updated].map(|at| at.clone().unwrap_or_default());
            table.row([name.clone(), url.clone(), (*from).to_owned(), added, updated]);
        }
        table.write(out)
    }

    /// Only those that were added, as it always was.
    fn compatible(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["NAME", "URL", "ADDED", "UPDATED"]);
        for index in self.indexes.iter().filter(|index| index.added.is_some()) {
            let ListedIndex { name, url, added, updated, .. } = index;
            let [added, updated] = [added, updated].map(|at| at.clone().unwrap_or_default());
            table.row([name.clone(), url.clone(), added, updated]);
        }
        table.write_tabs(out)
    }
}

fn list(args: &IndexListArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let book = wiring::book(settings)?;
    let configured = settings.indexes(&args.indexes)?;
    let mut indexes = Vec::new();
    for source in wiring::sources(settings, &args.indexes)? {
        let is_configured = configured.iter().any(|index| index.name == source.name);
        // Where both lists are written, an index that was added is in both.
        let both = settings.character().index_lists == IndexLists::BookAndConfiguration;
        let added = book.find(&source.name).filter(|_| both || !is_configured);
        indexes.push(ListedIndex {
            url: source.address(),
            backend: source.backend().to_owned(),
            from: if is_configured { "configured" } else { "added" },
            added: added.map(|added| added.added_timestamp.clone()),
            updated: added.map(|added| added.updated_timestamp.clone()),
            name: source.name,
        });
    }
    Ok(printer.data(&IndexesDocument { indexes })?)
}
