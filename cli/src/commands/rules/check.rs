//! `eyas rules check`: every problem of rules files.

use std::io::{self, Write};

use eyas_ops::Class;
use eyas_rules::report::{render, result_text, results_json};
use eyas_rules::{FileResult, Report, Severity, SourceFile};
use serde::Serialize;
use serde_json::Value;

use super::files;
use crate::args::CheckArgs;
use crate::exit::Failure;
use crate::judge::compile;
use crate::printer::{Document, Printer};

/// What came of a check, in the documented form of validation results, with every report beside it.
#[derive(Serialize)]
struct CheckDocument {
    #[serde(flatten)]
    results: Value,
    reports: Vec<Report>,
    #[serde(skip)]
    files: Vec<FileResult>,
    #[serde(skip)]
    sources: Vec<SourceFile>,
}

impl Document for CheckDocument {
    const KIND: &'static str = "rules.check";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for result in &self.files {
            write!(out, "{}", result_text(result))?;
        }
        // The result of a file has its first error only, and ends at the first file with one.
        let mut shown = 0;
        for report in self.reports.iter().filter(|report| report.severity == Severity::Error) {
            shown += 1;
            if shown > 1 {
                writeln!(out, "\n{}", render(report, &self.sources, false))?;
            }
        }
        Ok(())
    }
}

pub(super) fn check(args: &CheckArgs, printer: &Printer) -> anyhow::Result<()> {
    let (sources, unread) = files::read_most(&args.files);
    let mut outcome = compile(&sources);
    if let Some(unread) = unread {
        let (name, missing) = unread.into_missing();
        outcome.end_at(&name, missing);
    }
    let count = |severity| outcome.reports.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let valid = outcome.rule_set.is_some() && !(args.strict && warnings > 0);
    printer.data(&CheckDocument {
        results: results_json(&outcome.results),
        reports: outcome.reports,
        files: outcome.results,
        sources,
    })?;
    if valid {
        return Ok(());
    }
    let message = if errors > 0 {
        format!("the rules do not compile: {errors} {}", plural("error", errors))
    } else {
        format!("the rules have {warnings} {} (`--strict`)", plural("warning", warnings))
    };
    // 1, as tools expect that run a check of rules.
    Err(Failure { class: Class::Failed, message, hint: None }.into())
}

pub(super) fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
