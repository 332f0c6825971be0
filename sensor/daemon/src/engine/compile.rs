//! From rules files to something that can be put in force, beside whatever is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;

use eyas_artifact::Digest;
use eyas_control::{Report, RuleCounts, Severity};
use eyas_rules::index::{BaseSyscalls, Names};
use eyas_rules::{EngineOptions, LoadOutcome, RuleSet, SourceFile, load, report};

use crate::generation::{self, Installed, MAX_RULES_FILE_BYTES, StoreError};
use crate::log;

/// Stack for compiling: conditions may nest deeply.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// Words in rules that ask for environments of processes.
const ENVIRONMENT_FIELDS: [&str; 2] = ["proc.env", "proc.aenv"];

/// Fields whose values a process may change without an exec, by the words that begin their names, and the calls
/// that tell.
const FOLLOWED: [(&[&str], &[&str]); 3] = [
    (&["proc.cwd"], &["chdir", "fchdir"]),
    (&["thread.cap_"], &["capset", "setuid", "setresuid", "setreuid"]),
    (
        &["proc.sid", "proc.sname", "proc.vpgid", "proc.pgid", "proc.is_", "proc.tty"],
        &["setsid", "setpgid"],
    ),
];

/// A compiled set and where it came from. Immutable; the event thread holds it through one pointer.
#[derive(Debug)]
pub(crate) struct Active {
    /// The rules.
    pub(crate) rules: RuleSet,
    /// The generation they came from; `None` for plain files.
    pub(crate) generation: Option<u64>,
    /// Digest of that generation's lock file.
    pub(crate) lock_digest: Option<Digest>,
    /// How many rules.
    pub(crate) counts: RuleCounts,
    /// Event types that can match.
    pub(crate) events: BTreeSet<&'static str>,
    /// Whether any rule looks at environments.
    pub(crate) wants_environment: bool,
}

/// What came of compiling.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The set, if there was no error.
    pub(crate) active: Option<Active>,
    /// Errors and warnings.
    pub(crate) reports: Vec<Report>,
}

/// Where rules come from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The generation, if the set is one of the store's.
    pub(crate) generation: Option<u64>,
    /// Digest of its lock file.
    pub(crate) lock_digest: Option<Digest>,
}

impl Origin {
    /// Plain files.
    pub(crate) const FILES: Self = Self { generation: None, lock_digest: None };

    /// A generation of the store.
    pub(crate) fn of(installed: &Installed) -> Self {
        Self { generation: Some(installed.number), lock_digest: Some(installed.lock_digest) }
    }
}

/// Compiles on a thread of its own, so that neither a deep condition nor a fault of the compiler
/// costs more than the request.
pub(crate) fn compile(
    files: Vec<SourceFile>,
    options: &EngineOptions,
    base: &BaseSyscalls,
    origin: Origin,
) -> Compiled {
    let (options, base) = (options.clone(), base.clone());
    let work = move || {
        let outcome = load(&files, &options);
        let mut reports = wire_reports(&outcome, &files);
        let active = outcome.rule_set.map(|rules| {
            // The kernel says what a descriptor is, so few calls have to be captured for the state alone.
            let selected = base.select(&rules.syscalls_needed(), &followed(&files));
            reports.extend(left_out(&selected.left_out));
            reports.extend(invalid(&selected.invalid));
            activate(rules, selected.captured, &files, &origin)
        });
        Compiled { active, reports }
    };
    let thread = thread::Builder::new().name("compile".into()).stack_size(STACK_BYTES).spawn(work);
    let failed = |why: String| Compiled { active: None, reports: vec![fault(why)] };
    match thread {
        Ok(thread) => thread.join().unwrap_or_else(|_| failed("the rule compiler failed".into())),
        Err(error) => failed(format!("cannot start compiling: {error}")),
    }
}

fn activate(rules: RuleSet, events: Names, files: &[SourceFile], origin: &Origin) -> Active {
    let enabled = rules.rules().filter(|(_, rule)| rule.enabled).count() as u64;
    let counts = RuleCounts { loaded: rules.rules().len() as u64, enabled };
    let wants_environment =
        files.iter().any(|file| ENVIRONMENT_FIELDS.iter().any(|field| file.text.contains(field)));
    Active {
        rules,
        generation: origin.generation,
        lock_digest: origin.lock_digest,
        counts,
        events,
        wants_environment,
    }
}

/// Calls that keep right what the rules look at.
fn followed(files: &[SourceFile]) -> Names {
    let asked = |words: &&[&str]| {
        files.iter().any(|file| words.iter().any(|word| file.text.contains(word)))
    };
    FOLLOWED
        .iter()
        .filter(|(words, _)| asked(words))
        .flat_map(|(_, calls)| *calls)
        .copied()
        .collect()
}

/// A warning when the settings name calls that there are not.
fn invalid(names: &[String]) -> Option<Report> {
    if names.is_empty() {
        return None;
    }
    let message = format!("`base_syscalls.custom_set`: no system call `{}`", names.join("`, `"));
    let text = format!("warning: {message}");
    Some(Report { severity: Severity::Warning, text, ..fault(message) })
}

/// A warning when rules ask for plain reads and writes, which are not captured unless asked for.
fn left_out(names: &Names) -> Option<Report> {
    if names.is_empty() {
        return None;
    }
    let names: Vec<&str> = names.iter().copied().collect();
    let message = format!(
        "rules that name no event types, or these, see no plain reads and writes: {} are not captured",
        names.join(", ")
    );
    let text = format!("warning: {message}");
    Some(Report { severity: Severity::Warning, text, ..fault(message) })
}

fn wire_reports(outcome: &LoadOutcome, files: &[SourceFile]) -> Vec<Report> {
    let severity = |severity| match severity {
        report::Severity::Error => Severity::Error,
        _ => Severity::Warning,
    };
    let wire = |found: &report::Report| {
        let place = found.line_and_column();
        Report {
            code: found.load_code.map_or_else(|| text_of(&found.code), |code| text_of(&code)),
            severity: severity(found.severity),
            message: found.message.clone(),
            file: Some(found.file.clone()),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            hint: found.hint.clone(),
            text: report::render(found, files, false),
        }
    };
    outcome.reports.iter().map(wire).collect()
}

/// A code as it is written in JSON.
fn text_of(code: &impl serde::Serialize) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(text)) => text,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// A report about something else than a line of a rules file.
pub(crate) fn fault(message: String) -> Report {
    Report {
        code: "EYAS_SENSOR".into(),
        severity: Severity::Error,
        text: format!("error: {message}"),
        message,
        file: None,
        line: None,
        column: None,
        hint: None,
    }
}

/// Reads plain rules files; a directory stands for the `.yaml` and `.yml` files in it, by name.
pub(crate) fn read_files(paths: &[PathBuf]) -> Result<Vec<SourceFile>, StoreError> {
    let mut files = Vec::new();
    for path in paths {
        for path in expand(path)? {
            let bytes = generation::read_capped(&path, MAX_RULES_FILE_BYTES)?;
            let text =
                String::from_utf8(bytes).map_err(|_| StoreError::NotText { path: path.clone() })?;
            files.push(SourceFile { name: path.display().to_string(), text });
        }
    }
    Ok(files)
}

fn expand(path: &PathBuf) -> Result<Vec<PathBuf>, StoreError> {
    if !path.is_dir() {
        return Ok(vec![path.clone()]);
    }
    let failed = |source| StoreError::Read { path: path.clone(), source };
    let is_rules = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml")
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        found.push(entry.map_err(failed)?.path());
    }
    found.retain(is_rules);
    if found.is_empty() {
        log::warn(&format!("no `.yaml` or `.yml` file lies directly in `{}`", path.display()));
    }
    found.sort();
    Ok(found)
}
