//! From rules files to something that can be put in force, beside whatever is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use eyas_abi::Event;
use eyas_abi::schema::{self, Source};
use eyas_artifact::Digest;
use eyas_control::{Report, RuleCounts, Severity};
use eyas_rules::index::{IdSet, Names};
use eyas_rules::{LoadOutcome, RuleSet, SourceFile, load, report};

use super::Settings;
use crate::generation::{self, Installed, MAX_RULES_FILE_BYTES, StoreError};
use crate::log;

/// Stack for compiling: conditions may nest deeply.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// Longest time that compiling may take: the whole of the public rules take a fifth of a second.
const LIMIT: Duration = Duration::from_secs(30);
/// Words in rules that ask for environments of processes.
const ENVIRONMENT_FIELDS: [&str; 2] = ["proc.env", "proc.aenv"];

/// Fields whose values a process may change without an exec, by the words that begin their names, and the calls
/// that tell.
const FOLLOWED: [(&[&str], &[&str]); 4] = [
    (&["proc.name", "proc.pname", "proc.aname", "proc.sname", "cmdline"], &["prctl"]),
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
    /// What they were compiled with, and what alerts are written with.
    pub(crate) settings: Arc<Settings>,
    /// The rules.
    pub(crate) rules: RuleSet,
    /// The generation they came from; `None` for plain files.
    pub(crate) generation: Option<u64>,
    /// Digest of that generation's lock file.
    pub(crate) lock_digest: Option<Digest>,
    /// How many rules.
    pub(crate) counts: RuleCounts,
    /// Codes of the events that can match.
    pub(crate) codes: IdSet,
    /// Codes of those that rules with the tag [`URGENT`] are about.
    pub(crate) urgent: IdSet,
    /// Event types that the kernel is asked for.
    pub(crate) events: BTreeSet<&'static str>,
    /// Whether any rule looks at environments.
    pub(crate) wants_environment: bool,
}

/// Tag of rules whose events wake the sensor.
const URGENT: &str = "urgent";

impl Active {
    /// Whether the kernel is asked for this event because of the rules; what only a recording asks for is not
    /// judged.
    pub(crate) fn asks_for(&self, event: &Event<'_>) -> bool {
        let ty = event.ty();
        if ty.is_generic() {
            let call = event.int(0).and_then(|id| schema::syscall_by_id(id as u16));
            return call.is_none_or(|call| self.events.contains(call.name));
        }
        // The kernel reports the life of processes whether it is asked or not.
        let may_be_unasked = matches!(ty.source, Source::Syscall | Source::Tracepoint)
            && !eyas_capture::is_life(event.code());
        !may_be_unasked || self.events.contains(ty.name)
    }
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

/// Compiles on a thread of its own, so that neither a deep condition nor a fault of the compiler nor
/// rules that take for ever cost more than the request.
pub(crate) fn compile(
    files: Vec<SourceFile>,
    settings: &Arc<Settings>,
    origin: Origin,
) -> Compiled {
    static STUCK: AtomicBool = AtomicBool::new(false);
    let settings = Arc::clone(settings);
    let base = settings.config.base_syscalls();
    let work = move || {
        let outcome = load(&files, &settings.options);
        let mut reports = wire_reports(&outcome, &files);
        let active = outcome.rule_set.map(|rules| {
            // The kernel says what a descriptor is, so few calls have to be captured for the state alone.
            let selected = base.select(&rules.syscalls_needed(), &followed(&files));
            reports.extend(left_out(&selected.left_out));
            reports.extend(invalid(&selected.invalid));
            activate(rules, selected.captured, &files, &origin, settings)
        });
        Compiled { active, reports }
    };
    apart(&STUCK, LIMIT, work)
        .unwrap_or_else(|why| Compiled { active: None, reports: vec![fault(why)] })
}

/// Does some work on another thread, but waits no longer than `limit`; what takes longer is left to
/// itself. `stuck` says that such work is still going on, and then no more is begun.
fn apart<T: Send + 'static>(
    stuck: &'static AtomicBool,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    /// However the work ends, it is not stuck any more.
    struct Ended(&'static AtomicBool);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Release);
        }
    }
    if stuck.load(Ordering::Acquire) {
        return Err("rules that took too long are still being compiled".into());
    }
    let (sender, done) = sync_channel(1);
    let thread = thread::Builder::new().name("compile".into()).stack_size(STACK_BYTES);
    let started = thread.spawn(move || {
        let value = {
            let _ended = Ended(stuck);
            work()
        };
        // Nobody waits for it any more if this fails.
        let _ = sender.send(value);
    });
    started.map_err(|error| format!("cannot start compiling: {error}"))?;
    match done.recv_timeout(limit) {
        Ok(value) => Ok(value),
        Err(RecvTimeoutError::Disconnected) => Err("the rule compiler failed".into()),
        Err(RecvTimeoutError::Timeout) => {
            stuck.store(true, Ordering::Release);
            Err(format!("compiling the rules took longer than {}s", limit.as_secs_f32()))
        }
    }
}

fn activate(
    rules: RuleSet,
    events: Names,
    files: &[SourceFile],
    origin: &Origin,
    settings: Arc<Settings>,
) -> Active {
    let enabled = rules.rules().filter(|(_, rule)| rule.enabled).count() as u64;
    let counts = RuleCounts { loaded: rules.rules().len() as u64, enabled };
    let wants_environment =
        files.iter().any(|file| ENVIRONMENT_FIELDS.iter().any(|field| file.text.contains(field)));
    Active {
        settings,
        codes: rules.event_codes(),
        urgent: rules.event_codes_of(|rule| rule.tags.iter().any(|tag| tag == URGENT)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_and_the_next_attempt_may_work() {
        static STUCK: AtomicBool = AtomicBool::new(false);
        let failed = apart(&STUCK, LIMIT, || -> u32 { panic!("a fault of the compiler") });
        assert_eq!(failed, Err("the rule compiler failed".into()));
        assert_eq!(apart(&STUCK, LIMIT, || 7), Ok(7));
    }

    #[test]
    fn what_takes_too_long_is_left_and_nothing_is_begun_beside_it() {
        static STUCK: AtomicBool = AtomicBool::new(false);
        let (go, wait) = sync_channel::<()>(0);
        let slow = apart(&STUCK, Duration::from_millis(20), move || wait.recv().is_err());
        assert!(slow.unwrap_err().contains("took longer than 0.02s"));
        assert!(apart(&STUCK, LIMIT, || 7).unwrap_err().contains("still being compiled"));
        drop(go);
        while STUCK.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(apart(&STUCK, LIMIT, || 7), Ok(7));
    }
}
