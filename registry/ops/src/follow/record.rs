//! How the last checks went, as it is kept for `status` and for a restart.

use std::time::Duration;

use eyas_artifact::{Digest, Request};
use eyas_store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckResult, Checked, Confirmed};
use crate::OpsError;

/// Version of the document's form.
pub const CHECKS_FORMAT: u32 = 1;

/// How long keeping a record waits for another process that changes the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps the record of a round of checks in the store.
pub fn keep_checks(store: &Store, round: &[Checked]) -> Result<(), OpsError> {
    let mut record = last_checks(store)?.unwrap_or_default();
    let names: Vec<Request> = round.iter().map(|checked| checked.name.clone()).collect();
    record.only(&names);
    for checked in round {
        let failed = matches!(checked.result, CheckResult::Failed { .. });
        let at = Round { now: Timestamp::now(), next: None, failures: failed.into() };
        record.note(checked, at);
    }
    record.keep(store, PATIENCE)
}

/// The record of the last checks, if there were any.
pub fn last_checks(store: &Store) -> Result<Option<Checks>, OpsError> {
    Ok(store.checks()?.as_deref().and_then(Checks::from_slice))
}

/// How the last checks went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Form of this document, [`CHECKS_FORMAT`].
    pub format: u32,
    /// When the last check ended, RFC 3339 UTC.
    pub checked: String,
    /// What is followed.
    pub references: Vec<CheckedReference>,
    /// How the sensor stood to what was active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<Confirmed>,
}

/// How the last check of one artifact went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedReference {
    /// What is followed, as it was typed.
    pub name: String,
    /// Where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it was at the last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How it stands.
    pub standing: Standing,
    /// Since when it stands so, RFC 3339 UTC.
    pub since: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Class of the failure, as exit codes have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When this one was checked last, RFC 3339 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// When it is checked next, RFC 3339 UTC; none when nothing follows it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How often it failed since it last did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
}

/// How a followed artifact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// What is there is installed.
    Current,
    /// What is there is refused, or could not be had.
    Failing,
}

/// What belongs to a check beside what it found.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// When it ended.
    pub now: Timestamp,
    /// When the next one is due.
    pub next: Option<Timestamp>,
    /// How often it failed since it last did not.
    pub failures: u32,
}

impl Default for Checks {
    fn default() -> Self {
        Self { format: CHECKS_FORMAT, checked: String::new(), references: Vec::new(), sensor: None }
    }
}

impl Checks {
    /// Forgets everything but these.
    pub fn only(&mut self, names: &[Request]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.references.retain(|reference| names.contains(&reference.name));
        let place = |name: &str| names.iter().position(|known| known == name);
        self.references.sort_by_key(|reference| place(&reference.name));
    }

    /// Takes a check into the record.
    pub fn note(&mut self, checked: &Checked, at: Round) {
        let name = checked.name.to_string();
        let place = self.references.iter().position(|reference| reference.name == name);
        let before = place.and_then(|place| self.references.get(place));
        let noted = reference(checked, before, at);
        self.checked = second(at.now);
        match place.and_then(|place| self.references.get_mut(place)) {
            Some(reference) => *reference = noted,
            None => self.references.push(noted),
        }
    }

    /// Keeps the record in the store, waiting for another writer for a while. Checks may come many
    /// times a second; a second is as fine as the record is, so that most cost nothing here.
    pub fn keep(&self, store: &Store, patience: Duration) -> Result<(), OpsError> {
        if last_checks(store)?.as_ref() != Some(self) {
            store.lock_within(patience)?.keep_checks(&self.to_vec())?;
        }
        Ok(())
    }

    /// Reads a record; one that cannot be read counts as none, since it decides nothing.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        (record.format == CHECKS_FORMAT).then_some(record)
    }

    /// The record as it is kept.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

fn reference(checked: &Checked, before: Option<&CheckedReference>, at: Round) -> CheckedReference {
    let now = second(at.now);
    let kept = |field: fn(&CheckedReference) -> &Option<String>| {
        before.and_then(|before| field(before).clone())
    };
    let (standing, reason, class, hint) = match &checked.result {
        CheckResult::Current { .. } | CheckResult::Installed(_) => {
            (Standing::Current, None, None, None)
        }
        CheckResult::Failed { failure, .. } => (
            Standing::Failing,
            Some(failure.message.clone()),
            Some(failure.class.name().to_owned()),
            failure.hint.clone(),
        ),
        CheckResult::StillRefused => (
            Standing::Failing,
            kept(|before| &before.reason),
            kept(|before| &before.class),
            kept(|before| &before.hint),
        ),
    };
    let same = |before: &&CheckedReference| {
        before.standing == standing
            && (before.digest == checked.digest || standing == Standing::Failing)
    };
    CheckedReference {
        name: checked.name.to_string(),
        reference: checked.reference.as_ref().map(ToString::to_string),
        digest: checked.digest,
        standing,
        since: before.filter(same).map_or_else(|| now.clone(), |before| before.since.clone()),
        reason,
        class,
        hint,
        checked: Some(now),
        next: at.next.map(second),
        failures: at.failures,
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::super::CheckFailure;
    use super::*;
    use crate::Class;

    fn checked(result: CheckResult) -> Checked {
        let name = "demo:1".parse().expect("a name");
        Checked { name, reference: None, digest: Some(Digest::sha256("x")), result }
    }

    fn failure() -> CheckResult {
        let failure = CheckFailure::new(Class::Network, "no answer", Some("wait".to_owned()));
        CheckResult::Failed { failure, known: false }
    }

    fn at(second: i64) -> Round {
        let now = Timestamp::from_second(second).expect("a time");
        let next = Timestamp::from_second(second + 60).ok();
        Round { now, next, failures: 1 }
    }

    fn noted(record: &mut Checks, result: CheckResult, second: i64) -> CheckedReference {
        record.note(&checked(result), at(second));
        record.references[0].clone()
    }

    #[test]
    fn a_standing_lasts_from_its_beginning() {
        let mut record = Checks::default();
        let first = noted(&mut record, failure(), 1);
        let second = noted(&mut record, CheckResult::StillRefused, 2);
        let third = noted(&mut record, CheckResult::Current { again: true }, 3);
        assert_eq!(record.references.len(), 1);
        assert_eq!(first.since, "1970-01-01T00:00:01Z");
        assert_eq!(second.since, first.since);
        assert_eq!(third.since, "1970-01-01T00:00:03Z");
        assert_eq!((&second.reason, &second.hint), (&first.reason, &first.hint));
        assert_eq!((third.reason, third.class), (None, None));
        assert_eq!(second.checked.as_deref(), Some("1970-01-01T00:00:02Z"));
        assert_eq!(second.next.as_deref(), Some("1970-01-01T00:01:02Z"));
        assert_eq!(second.class.as_deref(), Some("network"));
        assert_eq!(record.checked, "1970-01-01T00:00:03Z");
    }

    #[test]
    fn what_is_no_longer_followed_is_forgotten() {
        let mut record = Checks::default();
        noted(&mut record, failure(), 1);
        record.only(&["demo:1".parse().expect("a name")]);
        assert_eq!(record.references.len(), 1);
        record.only(&["other:1".parse().expect("a name")]);
        assert!(record.references.is_empty());
    }

    #[test]
    fn a_record_survives_being_kept_and_a_strange_one_counts_as_none() {
        let mut record = Checks::default();
        noted(&mut record, failure(), 1);
        assert_eq!(Checks::from_slice(&record.to_vec()), Some(record.clone()));
        let newer = Checks { format: CHECKS_FORMAT + 1, ..record };
        assert_eq!(Checks::from_slice(&newer.to_vec()), None);
        assert_eq!(Checks::from_slice(b"{"), None);
    }

    #[test]
    fn a_record_of_an_earlier_release_is_read() {
        let text = br#"{"format":1,"checked":"1","references":[{"name":"demo","standing":"current","since":"1"}]}"#;
        let record = Checks::from_slice(text).expect("a record");
        assert_eq!((record.references[0].next.as_ref(), record.sensor), (None, None));
    }
}
