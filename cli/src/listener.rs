//! What operations tell, as messages and progress.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use eyas_ops::{Event, Listener, SignerWords};
use eyas_trust::UNSIGNED;

use crate::args::LogLevel;
use crate::personality::Words;
use crate::phrases;
use crate::printer::{Printer, Record};

/// Passes what happens on to the printer.
pub(crate) struct Teller {
    printer: Printer,
    /// Artifacts of which it was said that nobody signed them: once is enough.
    unsigned: Mutex<BTreeSet<String>>,
}

impl Teller {
    /// A listener that prints.
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, unsigned: Mutex::default() }
    }

    /// Passes an event on in the words of `falcoctl`; false for one that has none there.
    fn tell_compatibly(&self, event: &Event<'_>) -> bool {
        let record = match event {
            // A follower says what it found and what it installed.
            Event::Pinned { .. } | Event::Staged { .. } if self.printer.is_service() => {
                return true;
            }
            Event::Pinned { asked, .. } => phrases::preparing(asked),
            Event::Verified { name, signers, .. } => match signers.first() {
                Some(signer) if signer.form != UNSIGNED => {
                    phrases::verified(name, &SignerWords(Some(signer)).to_string())
                }
                _ => {
                    let mut said = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
                    if !said.insert((*name).to_owned()) {
                        return true;
                    }
                    phrases::unverified(name)
                }
            },
            Event::Planned(plan) if !self.printer.is_service() => {
                let references = plan.steps.iter().map(|step| &step.candidate.reference);
                self.printer.record(&phrases::installing(references));
                return false;
            }
            // Told with each artifact.
            Event::Published { .. } => return true,
            Event::Staged { name, files, .. } => phrases::extracting(name, *files),
            _ => return false,
        };
        self.printer.record(&record);
        true
    }
}

impl Listener for Teller {
    fn tell(&self, event: &Event<'_>) {
        if let Event::Transfer { name, done, total } = event {
            self.printer.bars().advance(name, *done, *total);
            self.printer.progress_line(name, *done, *total);
            return;
        }
        if self.printer.words() == Words::Falcoctl && self.tell_compatibly(event) {
            return;
        }
        if let Some(record) = record(event) {
            self.printer.record(&record);
        }
    }
}

/// The message for an event, if it is worth one.
fn record(event: &Event<'_>) -> Option<Record> {
    let debug = |message: String| Record::new(LogLevel::Debug, message);
    let info = |message: String| Record::new(LogLevel::Info, message);
    Some(match event {
        Event::Pinned { asked, digest } => debug(format!("`{asked}` is `{digest}`"))
            .with("reference", asked.to_string())
            .with("digest", digest.to_string()),
        Event::Verified { name, version, cause, signers } => {
            let by = SignerWords(signers.first());
            info(format!("verified {name} {version} ({cause}), signed by {by}"))
                .with("name", *name)
                .with("version", version.to_string())
                .with("signer", by.to_string())
        }
        Event::Planned(plan) => {
            let (first, rest) = plan.notes.split_first()?;
            let record = Record::new(LogLevel::Warn, first.clone());
            rest.iter().fold(record, |record, note| record.detail(note.clone()))
        }
        Event::Staged { name, version, files } => {
            debug(format!("{name} {version} is complete on disk ({files} files)"))
                .with("name", *name)
                .with("files", *files)
        }
        Event::Validated => debug("the whole new set is valid".to_owned()),
        Event::Activated { generation, previous } => {
            let before = previous.map_or_else(String::new, |number| format!(", was {number}"));
            debug(format!("generation {} is active{before}", generation.number))
                .with("generation", generation.number)
        }
        Event::Confirmed { generation, lines } => {
            let mut lines = lines.iter();
            let verdict = lines.next().cloned();
            let verdict = verdict.unwrap_or_else(|| format!("sensor runs generation {generation}"));
            lines.fold(info(verdict).with("generation", *generation), |record, line| {
                record.detail(line.clone())
            })
        }
        Event::NoSensor { generation, reason } => Record::new(
            LogLevel::Warn,
            format!("nothing runs generation {generation} yet: {reason}"),
        )
        .with("generation", *generation)
        .detail("a sensor takes the active generation when it starts"),
        Event::RolledBack { refused, restored } => {
            let to = restored.map_or_else(
                || "nothing is active, as before".to_owned(),
                |number| format!("generation {number} is active again"),
            );
            Record::new(LogLevel::Warn, format!("generation {refused} was taken back: {to}"))
                .with("refused", *refused)
        }
        Event::Published { directory, report } => {
            let (written, removed) = (report.written.len(), report.removed.len());
            let repaired = report.repaired.len();
            let place = directory.display().to_string();
            if written + removed + repaired == 0 {
                return Some(debug(format!("`{place}` is as it should be")));
            }
            info(format!("`{place}`: {written} written, {repaired} restored, {removed} removed"))
                .with("directory", place)
                .with("files", report.written.clone())
        }
        Event::Warning(text) => Record::new(LogLevel::Warn, *text),
        Event::Detail(text) => debug((*text).to_owned()),
        _ => return None,
    })
}
