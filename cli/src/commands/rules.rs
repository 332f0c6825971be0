//! `eyas rules …`.

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use eyas_ops::{Class, OpsError};
use eyas_rules::report::{render, result_text, results_json};
use eyas_rules::{FileResult, Report, Severity, SourceFile};
use serde::Serialize;
use serde_json::Value;

use crate::args::{CheckArgs, Rules};
use crate::exit::Failure;
use crate::judge::{MAX_RULES_FILE_BYTES, compile, is_rules};
use crate::printer::{Document, Printer};

/// Runs a `rules` command.
pub(super) fn run(command: &Rules, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Rules::Check(args) => check(args, printer),
    }
}

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

fn check(args: &CheckArgs, printer: &Printer) -> anyhow::Result<()> {
    let mut sources = Vec::new();
    for path in &args.files {
        read(path, &mut sources)?;
    }
    let outcome = compile(&sources);
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

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Reads a file, standard input for `-`, or the rules files of a directory by name.
fn read(path: &Path, sources: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MAX_RULES_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        sources.push(source("-", bytes)?);
        return Ok(());
    }
    let unreadable = |source| OpsError::Input { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let found = entry.map_err(unreadable)?.path();
            if found.is_file() && is_rules(&found.to_string_lossy()) {
                files.push(found);
            }
        }
        files.sort();
        return files.iter().try_for_each(|file| read(file, sources));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_RULES_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    sources.push(source(&path.display().to_string(), bytes)?);
    Ok(())
}

fn source(name: &str, bytes: Vec<u8>) -> Result<SourceFile, Failure> {
    if bytes.len() as u64 > MAX_RULES_FILE_BYTES {
        let message = format!("`{name}` has more than {MAX_RULES_FILE_BYTES} bytes");
        return Err(Failure::usage(message));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name: name.to_owned(), text }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Failure::usage(format!("`{name}` is not UTF-8 text: wrong from byte {at} on")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_rules_files_by_name() {
        let dir = tempfile::tempdir().expect("dir");
        for name in ["b.yaml", "a.yml", "README.md"] {
            fs::write(dir.path().join(name), "[]\n").expect("written");
        }
        let mut sources = Vec::new();
        read(dir.path(), &mut sources).expect("readable");
        let names: Vec<&str> =
            sources.iter().filter_map(|file| file.name.rsplit('/').next()).collect();
        assert_eq!(names, ["a.yml", "b.yaml"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let said = read(&dir.path().join("absent.yaml"), &mut Vec::new()).expect_err("absent");
        assert!(said.to_string().contains("absent.yaml"), "{said}");
        fs::write(dir.path().join("latin.yaml"), b"a: \xe9\n").expect("written");
        let said = read(&dir.path().join("latin.yaml"), &mut Vec::new()).expect_err("not text");
        assert!(said.to_string().contains("byte 3"), "{said}");
    }
}
