//! Goldens of diagnostics: `tests/data/diagnostics/N.in` is loaded, what is told about it must be
//! exactly `N.out`.
//!
//! A line `### NAME` begins a file of its own; `### plugin NAME VERSION` loads a plugin;
//! `### unreadable NAME` and `### no text NAME` stand for a file that is not there. With
//! `EYAS_BLESS=1` the outputs are written instead of compared; read the difference then.
#![expect(clippy::unwrap_used, reason = "what cannot be read stops the test")]
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use eyas_rules::collect::Plugin;
use eyas_rules::load::Missing;
use eyas_rules::report::{Code, render_all, result_text};
use eyas_rules::{EngineOptions, LoadOutcome, SourceFile, load};

/// Variable that asks for new outputs.
const BLESS: &str = "EYAS_BLESS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/diagnostics")
}

fn inputs() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<PathBuf> =
        entries.filter(|p| p.extension().is_some_and(|e| e == "in")).collect();
    inputs.sort();
    inputs
}

/// Splits an input into files and plugins and loads it.
fn loaded(text: &str) -> (Vec<SourceFile>, LoadOutcome) {
    let mut missing = None;
    let mut files = vec![SourceFile { name: "rules.yaml".to_owned(), text: String::new() }];
    let mut options = EngineOptions::default();
    for line in text.lines() {
        if let Some(plugin) = line.strip_prefix("### plugin ") {
            let (name, version) = plugin.split_once(' ').unwrap_or((plugin, "0.0.0"));
            let plugin = Plugin { name: name.to_owned(), version: version.parse().unwrap() };
            options.plugins.get_or_insert_default().push(plugin);
        } else if let Some(name) = line.strip_prefix("### unreadable ") {
            missing = Some((name, Missing::Unreadable("no such file".to_owned())));
        } else if let Some(name) = line.strip_prefix("### no text ") {
            missing = Some((name, Missing::NoText("not UTF-8 from byte 3 on".to_owned())));
        } else if let Some(name) = line.strip_prefix("### ") {
            files.push(SourceFile { name: name.to_owned(), text: String::new() });
        } else if let Some(file) = files.last_mut() {
            file.text.push_str(line);
            file.text.push('\n');
        }
    }
    files.retain(|file| !file.text.trim().is_empty());
    let mut outcome = load(&files, &options);
    if let Some((name, missing)) = missing {
        outcome.end_at(name, missing);
    }
    (files, outcome)
}

fn told(files: &[SourceFile], outcome: &LoadOutcome) -> String {
    let mut out = render_all(&outcome.reports, files, false);
    out.push('\n');
    for result in &outcome.results {
        let _ = write!(out, "\n=== {}", result_text(result));
        let _ = writeln!(out, "schema: {}", result.schema_status());
    }
    out
}

#[test]
fn every_input_is_told_as_recorded() {
    let bless = std::env::var_os(BLESS).is_some();
    let mut different = Vec::new();
    for input in inputs() {
        let (files, outcome) = loaded(&fs::read_to_string(&input).unwrap());
        let found = told(&files, &outcome);
        let output = input.with_extension("out");
        if bless {
            fs::write(&output, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&output).unwrap_or_default();
        if expected != found {
            different.push(format!("{}:\n{found}", output.display()));
        }
    }
    let advice = format!("run with {BLESS}=1 to record them");
    assert!(
        different.is_empty(),
        "{} outputs differ, {advice}\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn every_code_has_a_golden() {
    let mut seen = BTreeSet::new();
    for input in inputs() {
        let (_, outcome) = loaded(&fs::read_to_string(&input).unwrap());
        seen.extend(outcome.reports.iter().map(|report| report.code));
    }
    let missing: Vec<&str> =
        Code::ALL.iter().filter(|code| !seen.contains(code)).map(|code| code.as_str()).collect();
    assert_eq!(missing, Vec::<&str>::new(), "codes that no golden shows");
}

#[test]
fn every_report_has_a_place_and_names_its_item() {
    for input in inputs() {
        let (files, outcome) = loaded(&fs::read_to_string(&input).unwrap());
        for report in &outcome.reports {
            // A file that is not there has no places.
            let Some(file) = files.iter().find(|file| file.name == report.file) else { continue };
            let (line, column) = report.line_and_column().unwrap();
            let lines = file.text.lines().count() as u32 + 1;
            assert!(line <= lines && column >= 1, "{}: {report:?}", input.display());
            assert!(!report.message.ends_with('.'), "{}: {}", input.display(), report.message);
        }
    }
}
