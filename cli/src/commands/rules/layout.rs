//! `eyas rules fmt`: rules files in their usual layout.

use std::path::Path;

use eyas_ops::Class;
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
                eyas_ops::replace_file(path, laid_out.as_bytes())?;
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
