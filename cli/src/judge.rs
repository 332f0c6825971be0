//! Whether a whole new set works: the sensor's own rule compiler and the probe's layout check.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;
use eyas_rules::fields::Facts;
use eyas_rules::report::{Code, Report, render_all, results_json};
use eyas_rules::trial::{self, Case, EXTENSION, Failure, Player};
use eyas_rules::{EngineOptions, FileResult, LoadOutcome, RuleSet, SourceFile, errors, load};
use eyas_store::{CandidateFile, CandidateSet, Validate, ValidationError};

use crate::captures;
use crate::personality::Engine;
use crate::printer::Printer;

/// Largest rules file that is compiled, in bytes.
pub(crate) const MAX_RULES_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest probe object that is looked at, in bytes.
pub(crate) const MAX_PROBE_BYTES: u64 = 64 * 1024 * 1024;

/// Largest capture of a case that is played, in bytes.
const MAX_CAPTURE_BYTES: u64 = 64 * 1024 * 1024;

/// What is wrong with rules whatever the engine, its version, its plugins and the other files are.
const WRONG_EVERYWHERE: [Code; 7] = [
    Code::NotYaml,
    Code::Structure,
    Code::MissingKey,
    Code::WrongType,
    Code::Priority,
    Code::Syntax,
    Code::MacroLoop,
];

/// Compiles rules and checks probes.
#[derive(Clone, Default)]
pub(crate) struct Judge {
    /// Who is told what only the other engine can judge; none when the engine is ours.
    other: Option<Printer>,
    /// Kinds of which nothing can be installed, with the directory that cannot be written.
    unusable: Vec<(Kind, PathBuf)>,
}

impl Judge {
    /// A judge with the sensor's settings.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A judge of rules for that engine.
    pub(crate) fn of(engine: Engine, unusable: Vec<(Kind, PathBuf)>, printer: &Printer) -> Self {
        match engine {
            Engine::Ours => Self::new(),
            Engine::Falco => Self { other: Some(printer.clone()), unusable },
        }
    }
}

impl Validate for Judge {
    fn validate(&self, candidate: &CandidateSet<'_>) -> Result<(), ValidationError> {
        for (kind, directory) in &self.unusable {
            if !candidate.files(*kind).is_empty() {
                return Err(homeless(*kind, directory));
            }
        }
        let sources = sources(&candidate.files(Kind::Rulesfile))?;
        match &self.other {
            None => rules(&sources)?,
            Some(printer) => {
                let unjudged = rules_of_another_engine(&sources)?;
                if let Some(first) = unjudged.first() {
                    let count = unjudged.len();
                    let message = &first.message;
                    printer.aside(format!(
                        "{count} things in the rules are for the engine to judge, such as: {message}"
                    ));
                }
            }
        }
        for file in candidate.files(Kind::Probe) {
            probe(&file)?;
        }
        Ok(())
    }

    fn rule_cases(
        &self,
        candidate: &CandidateSet<'_>,
        artifact: &str,
    ) -> Result<(), ValidationError> {
        let files = candidate.files(Kind::Rulesfile);
        let of_artifact = |file: &&CandidateFile<'_>| file.artifact.name == artifact;
        let mine: Vec<_> = files.iter().filter(of_artifact).collect();
        let cases = mine.iter().filter(|file| is_cases(&file.file.path));
        let cases = cases.map(|file| text(file)).collect::<Result<Vec<_>, _>>()?;
        hold(artifact, &sources(&files)?, &cases, &mut Within(&mine))
    }
}

/// Runs the cases of an artifact against the whole set, in which its rules may have been changed.
fn hold(
    artifact: &str,
    rules: &[SourceFile],
    files: &[SourceFile],
    player: &mut dyn Player,
) -> Result<(), ValidationError> {
    let mut cases = Vec::new();
    for file in files {
        let read = trial::read(file);
        cases.extend(read.map_err(|error| ValidationError::new(error.to_string()))?);
    }
    if cases.is_empty() {
        return Err(ValidationError::new(format!(
            "the policy wants `{artifact}` to come with cases, and it has none: there is no file that \
             ends in `.{EXTENSION}`"
        )));
    }
    let outcome = load(rules, &trial::options());
    let Some(rule_set) = &outcome.rule_set else {
        return Err(ValidationError::new(format!("the rules of `{artifact}` do not compile")));
    };
    let found = trial::run(rule_set, &cases, player);
    let (Some(first), count) = (found.failures.first(), found.failures.len()) else {
        return Ok(());
    };
    let told = |failure: &Failure| {
        let Failure { case, file, line, problems } = failure;
        format!("{file}:{line}: {case}\n  {}", problems.join("\n  "))
    };
    Err(ValidationError {
        summary: format!(
            "{count} of {} cases of `{artifact}` do not hold, such as `{}`",
            found.cases, first.case
        ),
        text: found.failures.iter().map(told).collect::<Vec<_>>().join("\n"),
        reports: serde_json::json!({ "cases": found }),
    })
}

/// Captures that come in the same artifact as the cases that name them.
struct Within<'f>(&'f [&'f CandidateFile<'f>]);

impl Player for Within<'_> {
    fn play(
        &mut self,
        case: &Case,
        rules: &RuleSet,
        look: &mut dyn FnMut(&dyn Facts),
    ) -> Result<(), String> {
        let named = case.capture.as_deref().unwrap_or_default();
        let beside = self.0.iter().find(|file| file.label == case.file);
        let folder = beside.and_then(|file| Path::new(&file.file.path).parent());
        let path = folder.unwrap_or(Path::new("")).join(named);
        let file = self.0.iter().find(|file| Path::new(&file.file.path) == path);
        let Some(file) = file else {
            return Err(format!("the capture `{}` is not in the artifact", path.display()));
        };
        let bytes = file
            .read(MAX_CAPTURE_BYTES)
            .map_err(|error| format!("the capture `{}` cannot be read: {error}", path.display()))?;
        captures::play(&file.label, Cursor::new(bytes), rules, look)
    }
}

/// There is no place in which the engine would find files of a kind.
fn homeless(kind: Kind, directory: &Path) -> ValidationError {
    let directory = directory.display();
    ValidationError::new(format!(
        "there is no place for a {kind}: `{directory}` cannot be written; name another directory by \
         its flag"
    ))
}

fn sources(files: &[CandidateFile<'_>]) -> Result<Vec<SourceFile>, ValidationError> {
    files.iter().filter(|file| is_rules(&file.file.path)).map(text).collect()
}

fn text(file: &CandidateFile<'_>) -> Result<SourceFile, ValidationError> {
    let bytes = read(file, MAX_RULES_FILE_BYTES)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ValidationError::new(format!("`{}` is not UTF-8 text", file.label)))?;
    Ok(SourceFile { name: file.label.clone(), text })
}

/// Compiles every rules file of the set together, as the sensor will.
fn rules(sources: &[SourceFile]) -> Result<(), ValidationError> {
    let (errors, results) = errors(sources, &EngineOptions::default());
    if errors.is_empty() {
        return Ok(());
    }
    Err(refusal("the rules do not compile", &errors, sources, &results))
}

/// Reads each rules file by itself: another engine knows other fields, sources and plugins, and loads
/// files that are not ours. Gives what is left to it to judge.
fn rules_of_another_engine(sources: &[SourceFile]) -> Result<Vec<Report>, ValidationError> {
    let mut left = Vec::new();
    for source in sources {
        let alone = std::slice::from_ref(source);
        let (errors, results) = errors(alone, &EngineOptions::default());
        let (wrong, unjudged): (Vec<Report>, Vec<Report>) =
            errors.into_iter().partition(|report| WRONG_EVERYWHERE.contains(&report.code));
        if !wrong.is_empty() {
            return Err(refusal("these are no rules", &wrong, alone, &results));
        }
        left.extend(unjudged);
    }
    Ok(left)
}

fn refusal(
    what: &str,
    errors: &[Report],
    sources: &[SourceFile],
    results: &[FileResult],
) -> ValidationError {
    let summary = errors.first().map_or_else(
        || what.to_owned(),
        |first| match errors.len() {
            1 => format!("{what}: {}", first.message),
            count => format!("{what}, {count} errors: {}", first.message),
        },
    );
    ValidationError {
        summary,
        text: render_all(errors, sources, false),
        reports: results_json(results),
    }
}

/// Loads rules with the settings of a sensor that has none of its own.
pub(crate) fn compile(sources: &[SourceFile]) -> LoadOutcome {
    load(sources, &EngineOptions::default())
}

/// Whether a file of a rules bundle is read as rules: by the same endings as the sensor's.
pub(crate) fn is_rules(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// Whether a file of a rules bundle is about its rules.
fn is_cases(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == EXTENSION)
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

    fn left_to_falco(text: &str) -> Result<usize, String> {
        let file = SourceFile { name: "demo.yaml".to_owned(), text: text.to_owned() };
        rules_of_another_engine(&[file]).map(|left| left.len()).map_err(|error| error.text)
    }

    #[test]
    fn what_another_engine_may_know_is_left_to_it() {
        let rule = |condition: &str, more: &str| {
            format!(
                "- rule: a\n  desc: d\n  condition: {condition}\n  output: o %ka.verb\n  priority: INFO\n{more}"
            )
        };
        for text in [
            rule("ka.verb = create", "  source: k8s_audit\n"),
            rule("evt.type = open and new.field = 1", ""),
            rule("macro_of_another_file and evt.type = open", ""),
            format!("- required_engine_version: 99.0.0\n{}", rule("evt.type = open", "")),
            format!(
                "- required_plugin_versions:\n  - name: k8saudit\n    version: 0.99.0\n{}",
                rule("evt.type = open", "")
            ),
        ] {
            assert!(left_to_falco(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_everywhere_is_refused_with_its_place() {
        for text in [
            "- rule: a\n  desc: [\n",
            "rules: {}\n",
            "- rule: a\n  desc: d\n  output: o\n  priority: INFO\n",
            "- rule: a\n  desc: d\n  condition: evt.type = \n  output: o\n  priority: INFO\n",
            "- rule: a\n  desc: d\n  condition: (evt.type = open\n  output: o\n  priority: INFO\n",
            "- rule: a\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: LOUD\n",
        ] {
            let said = left_to_falco(text).expect_err(text);
            assert!(said.contains("demo.yaml"), "{said}");
        }
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
