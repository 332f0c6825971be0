//! Whether a whole new set works: the sensor's own rule compiler and the probe's layout check.

use std::path::Path;

use eyas_artifact::Kind;
use eyas_rules::report::{render_all, results_json};
use eyas_rules::{EngineOptions, LoadOutcome, Severity, SourceFile, load};
use eyas_store::{CandidateFile, CandidateSet, Validate, ValidationError};

/// Largest rules file that is compiled, in bytes.
pub(crate) const MAX_RULES_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest probe object that is looked at, in bytes.
pub(crate) const MAX_PROBE_BYTES: u64 = 64 * 1024 * 1024;

/// Compiles rules and checks probes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Judge;

impl Judge {
    /// A judge with the sensor's settings.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl Validate for Judge {
    fn validate(&self, candidate: &CandidateSet<'_>) -> Result<(), ValidationError> {
        rules(&candidate.files(Kind::Rulesfile))?;
        for file in candidate.files(Kind::Probe) {
            probe(&file)?;
        }
        Ok(())
    }
}

/// Compiles every rules file of the set together, as the sensor will.
fn rules(files: &[CandidateFile<'_>]) -> Result<(), ValidationError> {
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| is_rules(&file.file.path)) {
        let bytes = read(file, MAX_RULES_FILE_BYTES)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ValidationError::new(format!("`{}` is not UTF-8 text", file.label)))?;
        sources.push(SourceFile { name: file.label.clone(), text });
    }
    let outcome = compile(&sources);
    if outcome.rule_set.is_some() {
        return Ok(());
    }
    let errors: Vec<_> = outcome
        .reports
        .iter()
        .filter(|report| report.severity == Severity::Error)
        .cloned()
        .collect();
    let summary = errors.first().map_or_else(
        || "the rules do not compile".to_owned(),
        |first| match errors.len() {
            1 => format!("the rules do not compile: {}", first.message),
            count => format!("the rules do not compile, {count} errors: {}", first.message),
        },
    );
    Err(ValidationError {
        summary,
        text: render_all(&errors, &sources, false),
        reports: results_json(&outcome.results),
    })
}

/// Loads rules with the settings of a sensor that has none of its own.
pub(crate) fn compile(sources: &[SourceFile]) -> LoadOutcome {
    load(sources, &EngineOptions::default())
}

/// Whether a file of a rules bundle is read as rules: by the same endings as the sensor's.
pub(crate) fn is_rules(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// Holds an object against the record layout that this release reads.
fn probe(file: &CandidateFile<'_>) -> Result<(), ValidationError> {
    let object = read(file, MAX_PROBE_BYTES)?;
    eyas_probe::check(&object).map_err(|error| {
        let mut text = format!("`{}`: {error}", file.label);
        if let Some(hint) = error.hint() {
            text = format!("{text}\nhint: {hint}");
        }
        ValidationError {
            summary: format!("the probe `{}` does not fit: {error}", file.artifact.name),
            text,
            reports: serde_json::json!({ "probe": file.artifact.name, "error": error.to_string() }),
        }
    })
}

fn read(file: &CandidateFile<'_>, limit: u64) -> Result<Vec<u8>, ValidationError> {
    file.read(limit)
        .map_err(|error| ValidationError::new(format!("`{}` cannot be read: {error}", file.label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiles(text: &str) -> bool {
        let file = SourceFile { name: "demo.yaml".to_owned(), text: text.to_owned() };
        compile(&[file]).rule_set.is_some()
    }

    #[test]
    fn the_compiler_is_the_sensors() {
        assert!(compiles(
            "- rule: a\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"
        ));
        assert!(!compiles(
            "- rule: a\n  desc: d\n  condition: no.such.field = 1\n  output: o\n  priority: INFO\n"
        ));
    }

    #[test]
    fn only_yaml_is_read_as_rules() {
        for path in ["a.yaml", "deep/a.yml"] {
            assert!(is_rules(path), "{path}");
        }
        for path in ["README.md", "yaml", ".yaml", "a.YAML", "a.yaml.sig", "a"] {
            assert!(!is_rules(path), "{path}");
        }
    }
}
