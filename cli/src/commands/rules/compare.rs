//! `eyas rules diff`: what differs between two sets of rules files, by rule.

use std::io::{self, Write};

use eyas_ops::Class;
use eyas_rules::diff::{RuleDiff, diff};
use serde::Serialize;

use super::files::read_all;
use crate::args::RulesDiffArgs;
use crate::exit::Failure;
use crate::printer::{Document, Printer};

#[derive(Serialize)]
struct DiffDocument {
    #[serde(flatten)]
    diff: RuleDiff,
}

impl Document for DiffDocument {
    const KIND: &'static str = "rules.diff";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.diff)?;
        writeln!(out, "{}", self.diff.summary())
    }
}

/// Compares two files or directories.
pub(super) fn compare(args: &RulesDiffArgs, printer: &Printer) -> anyhow::Result<()> {
    let side = |path| read_all(std::slice::from_ref(path));
    let diff = diff(&side(&args.old)?, &side(&args.new)?);
    let (same, problems) = (diff.is_empty(), diff.problems.len());
    let summary = diff.summary();
    printer.data(&DiffDocument { diff })?;
    if problems > 0 {
        let message = "not everything could be compared".to_owned();
        let hint = Some("`eyas rules check` tells what is wrong".to_owned());
        return Err(Failure { class: Class::Failed, message, hint }.into());
    }
    if same {
        Ok(())
    } else {
        Err(Failure { class: Class::Failed, message: summary, hint: None }.into())
    }
}
