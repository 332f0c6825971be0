//! `eyas index …`.

use std::io::{self, Write};

use eyas_ops::{IndexSource, OpsError};
use serde::Serialize;

use crate::args::{Index, IndexAddArgs, IndexListArgs, IndexNamesArgs, IndexUpdateArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer, Table};
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

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn add(args: &IndexAddArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    // A path means the same from everywhere once it is absolute.
    let source = IndexSource::parse(&args.name, &args.url)?.absolute()?;
    if let Some(backend) = args.backend.as_deref().filter(|backend| *backend != source.backend()) {
        let message = format!("backend `{backend}` does not fit the address `{}`", args.url);
        return Err(Failure::usage(message).with_hint("leave it out: the address decides").into());
    }
    let known = wiring::sources(settings, &args.indexes)?;
    if let Some(other) = known.iter().find(|other| other.name == source.name) {
        if other.location == source.location {
            printer.info(format!("index `{}` is known already", source.name));
            return Ok(());
        }
        let message = format!("index `{}` is known already, at `{}`", source.name, other.address());
        return Err(Failure::usage(message)
            .with_hint("remove it first, or choose another name")
            .into());
    }
    let client = wiring::client(settings, &args.transport, printer)?;
    let copies = wiring::copies(settings, &args.indexes);
    let index = wiring::block_on(async { Ok(eyas_ops::update(&source, &copies, &client).await?) })?;
    wiring::book(settings)?.add(&source, &now())?;
    printer.info(format!("index `{}` was added with {} artifacts", source.name, index.len()));
    Ok(())
}

fn update(args: &IndexUpdateArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let known = wiring::sources(settings, &args.indexes)?;
    let mut chosen = Vec::with_capacity(args.names.len());
    for name in &args.names {
        let found = known.iter().find(|source| source.name == *name);
        chosen.push(found.ok_or_else(|| OpsError::NoSuchIndex { name: name.clone() })?);
    }
    let client = wiring::client(settings, &args.transport, printer)?;
    let copies = wiring::copies(settings, &args.indexes);
    let mut book = wiring::book(settings)?;
    wiring::block_on(async {
        for source in chosen {
            let index = eyas_ops::update(source, &copies, &client).await?;
            book.touch(&source.name, &now())?;
            printer.info(format!("index `{}` has {} artifacts", source.name, index.len()));
        }
        Ok(())
    })
}

fn remove(args: &IndexNamesArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let mut book = wiring::book(settings)?;
    let configured = settings.indexes(&args.indexes)?;
    for name in &args.names {
        if book.find(name).is_none() && configured.iter().any(|index| index.name == *name) {
            let message = format!("index `{name}` is in the configuration file, which is yours");
            return Err(Failure::usage(message).with_hint("remove it there").into());
        }
    }
    let copies = wiring::copies(settings, &args.indexes);
    let sources: Vec<IndexSource> = args
        .names
        .iter()
        .filter_map(|name| book.find(name))
        .filter_map(|added| IndexSource::parse(&added.name, &added.url).ok())
        .collect();
    book.remove(&args.names)?;
    for source in &sources {
        copies.forget(source)?;
    }
    printer.info(format!("removed {}", args.names.join(", ")));
    Ok(())
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
}

fn list(args: &IndexListArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let book = wiring::book(settings)?;
    let configured = settings.indexes(&args.indexes)?;
    let mut indexes = Vec::new();
    for source in wiring::sources(settings, &args.indexes)? {
        let is_configured = configured.iter().any(|index| index.name == source.name);
        let added = book.find(&source.name).filter(|_| !is_configured);
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
