//! `eyas rules fmt`: rules files in their usual layout.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use eyas_ops::{Class, OpsError};
use eyas_rules::layout::lay_out;

use super::check::plural;
use super::files::read_text;
use crate::args::FmtArgs;
use crate::exit::Failure;
use crate::printer::Printer;

/// Lays files out, or tells which are not.
pub(super) fn fmt(args: &FmtArgs, printer: &Printer) -> anyhow::Result<()> {
    let mut different = Vec::new();
    for path in &args.files {
        let file = read_text(path)?;
        let laid_out = lay_out(&file).map_err(|error| Failure {
            class: Class::Failed,
            message: format!("`{}`: {error}", file.name),
            hint: None,
        })?;
        if path == Path::new("-") {
            printer.bytes(laid_out.as_bytes())?;
        } else if laid_out != file.text {
            if !args.check {
                replace(path, laid_out.as_bytes())
                    .map_err(|source| OpsError::Input { path: path.clone(), source })?;
                printer.info(format!("{} is laid out anew", file.name));
            }
            different.push(file.name);
        }
    }
    if !args.check || different.is_empty() {
        return Ok(());
    }
    let count = different.len();
    let message = format!(
        "{count} {} not in the usual layout: {}",
        if count == 1 { "file is" } else { "files are" },
        different.join(", ")
    );
    let hint = format!("`eyas rules fmt` without `--check` lays the {} out", plural("file", count));
    Err(Failure { class: Class::Failed, message, hint: Some(hint) }.into())
}

/// The new text beside the file, then in its place, with the rights of the old one.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let target = fs::canonicalize(path)?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = target.with_file_name(name);
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text)?;
        file.set_permissions(fs::metadata(&target)?.permissions())?;
        file.sync_all()?;
        fs::rename(&beside, &target)
    });
    if written.is_err() {
        // Nothing may be left beside the file; that it cannot be removed is not the first problem.
        let _ = fs::remove_file(&beside);
    }
    written
}
