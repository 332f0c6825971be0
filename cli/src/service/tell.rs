//! What a running service says: about checks, repairs, and troubles that come and go.

use std::collections::BTreeMap;
use std::time::Instant;

use eyas_artifact::Reference;
use eyas_ops::{
    CheckFailure, CheckResult, Checked, CheckedReference, Checks, Outcome, REMIND_AFTER, Standing,
};

use super::parts::Parts;
use crate::args::LogLevel;
use crate::commands::follow::{active_in, print_outcome, told_compatibly};
use crate::exit::Failure;
use crate::personality::Words;
use crate::phrases;
use crate::printer::{Printer, Record};

/// Tells a trouble when it begins, changes, or has lasted for long; and that it is over.
#[derive(Debug, Default)]
pub(super) struct Once(BTreeMap<&'static str, (String, Instant)>);

impl Once {
    /// There is a trouble of this kind.
    pub(super) fn tell(&mut self, printer: &Printer, kind: &'static str, said: &str) {
        let known = self
            .0
            .get(kind)
            .is_some_and(|(before, at)| before == said && at.elapsed() < REMIND_AFTER);
        if known {
            printer.record(&Record::new(LogLevel::Debug, said));
        } else {
            printer.record(&Record::new(LogLevel::Error, said));
            self.0.insert(kind, (said.to_owned(), Instant::now()));
        }
    }

    /// There is none of this kind.
    pub(super) fn over(&mut self, printer: &Printer, kind: &'static str, said: &str) {
        if self.0.remove(kind).is_some() {
            printer.info(said);
        }
    }
}

/// Says that something new is there, to those who wait for these words.
pub(super) fn found(printer: &Printer, reference: &Reference) {
    if printer.words() == Words::Falcoctl {
        printer.record(&phrases::found(&reference.to_string(), reference.tag()));
    }
}

/// Says how a check went.
pub(super) fn checked(parts: &Parts, checked: &Checked, before: &Checks) {
    let (printer, dry_run) = (&parts.typed.printer, parts.typed.args.dry_run);
    if let CheckResult::Installed(outcome) = &checked.result
        && !dry_run
    {
        told_compatibly(parts, outcome, printer);
        if printer.words() == Words::Falcoctl {
            return;
        }
    }
    if let CheckResult::Installed(outcome) = &checked.result
        && (printer.is_json() || dry_run)
    {
        // One document per update; that nobody reads it is no reason to stop.
        let _ = print_outcome(printer, outcome, dry_run);
    }
    if let CheckResult::Failed { failure, known: false } = &checked.result
        && failure.unmet
        && printer.words() == Words::Falcoctl
    {
        printer.record(&phrases::unmet(&checked.name.to_string(), &failure.message));
        return;
    }
    let name = checked.name.to_string();
    let known = before.references.iter().find(|reference| reference.name == name);
    if let Some(record) = record(checked, known, dry_run) {
        printer.record(&record);
    }
}

fn record(checked: &Checked, before: Option<&CheckedReference>, dry_run: bool) -> Option<Record> {
    let name = checked.name.to_string();
    let digest = checked.digest.map(|digest| digest.to_string());
    let record = match &checked.result {
        CheckResult::Current { again: true } => {
            let since = before.map(|before| format!(", after failing since {}", before.since));
            let since = since.unwrap_or_default();
            Record::new(LogLevel::Info, format!("{name} is current again{since}"))
        }
        CheckResult::Current { again: false } if dry_run => {
            Record::new(LogLevel::Info, format!("{name} has nothing new"))
        }
        CheckResult::Current { again: false } => {
            Record::new(LogLevel::Debug, format!("{name} has nothing new"))
        }
        CheckResult::StillRefused => {
            Record::new(LogLevel::Debug, format!("{name} is still what was refused"))
        }
        CheckResult::Installed(_) if dry_run => return None,
        CheckResult::Installed(outcome) => updated(&name, outcome),
        CheckResult::Failed { failure, known } => failed(&name, failure, *known, before),
    };
    Some(record.with("artifact", name).with("digest", digest))
}

fn updated(name: &str, outcome: &Outcome) -> Record {
    let active = outcome.generation.as_ref();
    let what = active.map(active_in).unwrap_or_default();
    let number = active.map(|generation| generation.number);
    Record::new(LogLevel::Info, format!("{name} was updated; active now: {what}"))
        .with("generation", number)
}

fn failed(
    name: &str,
    failure: &CheckFailure,
    known: bool,
    before: Option<&CheckedReference>,
) -> Record {
    let level = if known { LogLevel::Debug } else { LogLevel::Error };
    let lasting = before.filter(|before| {
        before.standing == Standing::Failing && before.reason.as_ref() == Some(&failure.message)
    });
    let lasting = lasting.map(|before| format!(" (since {})", before.since)).unwrap_or_default();
    let message = format!("{name} was not updated{lasting}: {}", failure.message);
    let mut record = Record::new(level, message).with("class", failure.class.name());
    if let Some(report) = &failure.report {
        record = record.detail(report);
    }
    match &failure.hint {
        Some(hint) => record.detail(format!("hint: {hint}")),
        None => record,
    }
}

/// The failure of a check as that of a command.
pub(super) fn as_error(checked: &Checked) -> Option<anyhow::Error> {
    let CheckResult::Failed { failure, .. } = &checked.result else { return None };
    let CheckFailure { class, message, hint, .. } = failure.clone();
    Some(Failure { class, message, hint }.into())
}

/// How everything stands, in one line for the service manager.
pub(super) fn status(record: &Checks) -> String {
    let failing: Vec<_> = record
        .references
        .iter()
        .filter(|reference| reference.standing == Standing::Failing)
        .map(|reference| reference.name.as_str())
        .collect();
    let generation = record.sensor.as_ref().and_then(|sensor| sensor.generation);
    let active = generation.map_or_else(
        || "nothing is installed".to_owned(),
        |number| format!("generation {number} is active"),
    );
    if failing.is_empty() {
        let count = record.references.len();
        format!("{active}; {count} followed, all current")
    } else {
        format!("{active}; failing: {}", failing.join(", "))
    }
}

/// What differs between hosts and between starts, for the random part of delays.
pub(super) fn seed() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{host}{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use eyas_ops::Class;

    use super::*;

    fn reference(name: &str, standing: Standing) -> CheckedReference {
        let text = format!(
            r#"{{"name":"{name}","standing":"{}","since":"2026-01-01T00:00:00Z","reason":"no answer"}}"#,
            if standing == Standing::Failing { "failing" } else { "current" }
        );
        serde_json::from_str(&text).expect("a reference")
    }

    fn rendered(record: &Record) -> String {
        record.render(crate::printer::Style::Plain, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_failure_that_lasts_says_since_when() {
        let failure = CheckFailure::new(Class::Network, "no answer", Some("wait".to_owned()));
        let before = reference("a", Standing::Failing);
        let text = rendered(&failed("a", &failure, false, Some(&before)));
        assert!(text.starts_with("error: a was not updated (since 2026-01-01T00:00:00Z): no"));
        assert!(text.contains("hint: wait"), "{text}");
        let text = rendered(&failed("a", &failure, false, None));
        assert!(text.starts_with("error: a was not updated: no answer"), "{text}");
    }

    #[test]
    fn the_status_names_who_is_failing() {
        let mut record = Checks::default();
        record.references.push(reference("a", Standing::Current));
        assert_eq!(status(&record), "nothing is installed; 1 followed, all current");
        record.references.push(reference("b", Standing::Failing));
        assert_eq!(status(&record), "nothing is installed; failing: b");
    }
}
