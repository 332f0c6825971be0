//! `eyas man`: manual pages from the same definitions as the help texts.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use serde::Serialize;

use crate::args::Cli;
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::wiring;

#[derive(Serialize)]
struct ManDocument {
    directory: String,
    pages: Vec<String>,
}

impl Document for ManDocument {
    const KIND: &'static str = "man";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} pages in {}", self.pages.len(), self.directory)
    }
}

/// Writes one page per command into `dir`.
pub(crate) fn run(dir: &Path, printer: &Printer) -> anyhow::Result<()> {
    fs::create_dir_all(dir).map_err(|error| wiring::storage("make", dir, &error))?;
    let mut pages = Vec::new();
    let mut command = Cli::command();
    // Names in full, such as `eyas-artifact-install`, and global flags on each page.
    command.build();
    write(&command, dir, &mut pages)?;
    pages.sort();
    let directory = dir.display().to_string();
    Ok(printer.data(&ManDocument { directory, pages })?)
}

fn write(command: &clap::Command, dir: &Path, pages: &mut Vec<String>) -> Result<(), Failure> {
    let below =
        command.get_subcommands().filter(|one| one.get_name() != "help" && !one.is_hide_set());
    for one in below {
        write(one, dir, pages)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = format!("{}.1", name.replace(' ', "-"));
    let path: PathBuf = dir.join(&name);
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page)
        .and_then(|()| fs::write(&path, &page))
        .map_err(|error| wiring::storage("write", &path, &error))?;
    pages.push(name);
    Ok(())
}
