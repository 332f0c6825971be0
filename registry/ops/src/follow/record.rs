//! How the last checks went, as it is kept for `status` and for a restart.

use std::time::Duration;

use eyas_artifact::Digest;
use eyas_store::Store;
use serde::{Deserialize, Serialize};

use super::{CheckResult, Checked};
use crate::OpsError;

/// Version of the document's form.
pub const CHECKS_FORMAT: u32 = 1;

/// How long keeping a record waits for another process that changes the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps the record of a round in the store.
pub fn keep_checks(store: &Store, round: &[Checked]) -> Result<(), OpsError> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let before = last_checks(store)?;
    let record = Checks::of(round, before.as_ref(), &now);
    // Checks may come many times a second; a second is as fine as the record is.
    if before.as_ref() != Some(&record) {
        store.lock_within(PATIENCE)?.keep_checks(&record.to_vec())?;
    }
    Ok(())
}

/// The record of the last round, if there was one.
pub fn last_checks(store: &Store) -> Result<Option<Checks>, OpsError> {
    Ok(store.checks()?.as_deref().and_then(Checks::from_slice))
}

/// How the last round of checks went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Form of this document, [`CHECKS_FORMAT`].
    pub format: u32,
    /// When the round ended, RFC 3339 UTC.
    pub checked: String,
    /// What is followed.
    pub references: Vec<CheckedReference>,
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

impl Checks {
    /// The record of a round at time `now`, carrying on from the one before.
    pub fn of(round: &[Checked], before: Option<&Self>, now: &str) -> Self {
        let references = round.iter().map(|checked| reference(checked, before, now)).collect();
        Self { format: CHECKS_FORMAT, checked: now.to_owned(), references }
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

fn reference(checked: &Checked, before: Option<&Checks>, now: &str) -> CheckedReference {
    let name = checked.name.to_string();
    let known = before
        .into_iter()
        .flat_map(|before| &before.references)
        .find(|reference| reference.name == name);
    let (standing, reason) = match &checked.result {
        CheckResult::Current { .. } | CheckResult::Installed(_) => (Standing::Current, None),
        CheckResult::Failed { error, .. } => (Standing::Failing, Some(error.to_string())),
        CheckResult::StillRefused => {
            (Standing::Failing, known.and_then(|known| known.reason.clone()))
        }
    };
    let same =
        |known: &&CheckedReference| (known.standing, known.digest) == (standing, checked.digest);
    CheckedReference {
        name,
        reference: checked.reference.as_ref().map(ToString::to_string),
        digest: checked.digest,
        standing,
        since: known.filter(same).map_or_else(|| now.to_owned(), |known| known.since.clone()),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(result: CheckResult) -> Vec<Checked> {
        let name = "demo:1".parse().expect("a name");
        vec![Checked { name, reference: None, digest: Some(Digest::sha256("x")), result }]
    }

    fn failure() -> CheckResult {
        let error = OpsError::NoSuchIndex { name: "x".to_owned() };
        CheckResult::Failed { error, known: false }
    }

    #[test]
    fn a_standing_lasts_from_its_beginning() {
        let first = Checks::of(&round(failure()), None, "1");
        let second = Checks::of(&round(CheckResult::StillRefused), Some(&first), "2");
        let third = Checks::of(&round(CheckResult::Current { again: true }), Some(&second), "3");
        let since = |checks: &Checks| checks.references[0].since.clone();
        assert_eq!(
            (since(&first), since(&second), since(&third)),
            ("1".into(), "1".into(), "3".into())
        );
        assert_eq!(second.references[0].reason, first.references[0].reason);
        assert_eq!(third.references[0].reason, None);
        assert_eq!(second.checked, "2");
    }

    #[test]
    fn a_record_survives_being_kept_and_a_strange_one_counts_as_none() {
        let record = Checks::of(&round(failure()), None, "1");
        assert_eq!(Checks::from_slice(&record.to_vec()), Some(record.clone()));
        let newer = Checks { format: CHECKS_FORMAT + 1, ..record };
        assert_eq!(Checks::from_slice(&newer.to_vec()), None);
        assert_eq!(Checks::from_slice(b"{"), None);
    }
}
