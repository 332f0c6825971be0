//! `eyas rules test`: cases beside rules files, run and counted.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_ops::{Class, OpsError};
use eyas_rules::trial::{self, EXTENSION, Outcome};
use serde::Serialize;

use super::check::plural;
use super::describe::loaded;
use super::files::{read_all, read_text};
use crate::args::RulesTestArgs;
use crate::captures::Beside;
use crate::exit::Failure;
use crate::judge::is_rules;
use crate::printer::{Document, Printer};

#[derive(Serialize)]
struct TestDocument {
    #[serde(flatten)]
    outcome: Outcome,
}

impl Document for TestDocument {
    const KIND: &'static str = "rules.test";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Outcome { cases, failures, coverage } = &self.outcome;
        for failure in failures {
            writeln!(out, "{}:{}: {}", failure.file, failure.line, failure.case)?;
            failure.problems.iter().try_for_each(|problem| writeln!(out, "  {problem}"))?;
        }
        let passed = cases - failures.len();
        writeln!(out, "{passed} of {cases} {} passed", plural("case", *cases))?;
        let rules = coverage.rules;
        for (names, what) in
            [(&coverage.without_match, "match"), (&coverage.without_miss, "not match")]
        {
            if !names.is_empty() {
                writeln!(out, "{} of {rules} rules no case expects to {what}:", names.len())?;
                names.iter().try_for_each(|name| writeln!(out, "  {name}"))?;
            }
        }
        Ok(())
    }
}

/// Runs cases against the rules beside them.
pub(super) fn test(args: &RulesTestArgs, printer: &Printer) -> anyhow::Result<()> {
    let (mut rules, mut cases) = (Vec::new(), Vec::new());
    for path in &args.files {
        sort_out(path, &mut rules, &mut cases)?;
    }
    for (found, what) in [(&rules, "rules"), (&cases, "case")] {
        if found.is_empty() {
            let hint = format!("cases are in files that end in `.{EXTENSION}`");
            let message = format!("there is no {what} file among what is given");
            return Err(Failure::usage(message).with_hint(hint).into());
        }
    }
    let outcome = loaded(&read_all(&rules)?, &trial::options())?;
    let Some(rule_set) = outcome.rule_set else { return Ok(()) };
    let mut all = Vec::new();
    for path in &cases {
        let read = trial::read(&read_text(path)?);
        all.extend(read.map_err(|error| Failure::usage(error.to_string()))?);
    }
    let outcome = trial::run(&rule_set, &all, &mut Beside);
    let coverage = &outcome.coverage;
    let uncovered = coverage.without_match.len() + coverage.without_miss.len();
    let failed = outcome.failures.len();
    printer.data(&TestDocument { outcome })?;
    if failed > 0 {
        let message = format!("{failed} of {} {} failed", all.len(), plural("case", all.len()));
        return Err(Failure { class: Class::Failed, message, hint: None }.into());
    }
    if args.covered && uncovered > 0 {
        let message = "not every rule has a case that matches and one that does not".to_owned();
        return Err(Failure { class: Class::Failed, message, hint: None }.into());
    }
    Ok(())
}

/// Files by what they are; a directory gives its rules files and its case files by name.
fn sort_out(path: &Path, rules: &mut Vec<PathBuf>, cases: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = |source| OpsError::Input { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        let is_case = path.extension().is_some_and(|end| end == EXTENSION);
        if is_case { cases } else { rules }.push(path.to_owned());
        return Ok(());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        if is_rules(&file.to_string_lossy()) || file.extension().is_some_and(|e| e == EXTENSION) {
            sort_out(file, rules, cases)?;
        }
    }
    Ok(())
}
