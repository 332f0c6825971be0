//! Follow: check again and again, install what is new, report what is refused.
//!
//! A check costs one small request while nothing is new. A refusal changes nothing and is news only
//! once for each digest and reason. What is installed is the memory: after a restart the store says
//! what is active, and the last checks are kept beside it for `status`.

mod record;
mod schedule;

pub use self::record::{
    CHECKS_FORMAT, CheckedReference, Checks, Standing, keep_checks, last_checks,
};
pub use self::schedule::{MAX_JITTER, Schedule, Startup};

use std::collections::BTreeMap;

use eyas_artifact::{Digest, Generation, Name, Reference};
use eyas_index::{Cause, IndexError};

use crate::found::find_all;
use crate::transaction::{Outcome, apply, offer};
use crate::{Class, Context, InstallOptions, OpsError};

/// Follows a list of artifacts. Holds what was told already.
#[derive(Debug)]
pub struct Follower {
    names: Vec<Name>,
    told: BTreeMap<String, Told>,
}

/// What was last told of one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    digest: Option<Digest>,
    message: String,
    /// Whether this digest was found not to work beside what was active then.
    hopeless: bool,
    active: Option<u64>,
}

/// How one check went.
#[derive(Debug)]
pub struct Checked {
    /// What is followed.
    pub name: Name,
    /// Where that is, if it could be found out.
    pub reference: Option<Reference>,
    /// What it is now, if the registry said so.
    pub digest: Option<Digest>,
    /// How it went.
    pub result: CheckResult,
}

/// The ways a check can go.
#[derive(Debug)]
pub enum CheckResult {
    /// What is there is installed.
    Current {
        /// Whether the check before failed.
        again: bool,
    },
    /// Something new was installed.
    Installed(Box<Outcome>),
    /// It failed; nothing has changed.
    Failed {
        /// Why.
        error: OpsError,
        /// Whether this was told before, for the same digest and reason.
        known: bool,
    },
    /// What is there was found not to work, and was not tried again.
    StillRefused,
}

impl Follower {
    /// Follows `names`.
    pub fn new(names: Vec<Name>) -> Result<Self, OpsError> {
        if names.is_empty() {
            return Err(OpsError::NothingToDo { command: "follow" });
        }
        Ok(Self { names, told: BTreeMap::new() })
    }

    /// Whether names of an index are among what is followed.
    pub fn needs_indexes(&self) -> bool {
        self.names.iter().any(|name| matches!(name, Name::Indexed { .. }))
    }

    /// Checks everything once. One that fails does not keep others from being checked.
    pub async fn check(&mut self, context: &Context<'_>, options: &InstallOptions) -> Vec<Checked> {
        let mut all = Vec::with_capacity(self.names.len());
        for name in self.names.clone() {
            all.push(self.check_one(context, name, options).await);
        }
        all
    }

    async fn check_one(
        &mut self,
        context: &Context<'_>,
        name: Name,
        options: &InstallOptions,
    ) -> Checked {
        let mut checked =
            Checked { name, reference: None, digest: None, result: CheckResult::StillRefused };
        let active = match context.store.current() {
            Ok(active) => active,
            Err(error) => {
                checked.result = self.failed(&checked, error.into(), None);
                return checked;
            }
        };
        let number = active.as_ref().map(|generation| generation.number);
        checked.result = match self.news(context, &mut checked, active.as_ref()).await {
            Err(error) => self.failed(&checked, error, number),
            Ok(News::Current) => {
                let again = self.told.remove(&checked.name.to_string()).is_some();
                CheckResult::Current { again }
            }
            Ok(News::Hopeless) => CheckResult::StillRefused,
            Ok(News::New(reference)) => match take(context, reference, options).await {
                Ok(outcome) => {
                    self.told.remove(&checked.name.to_string());
                    if outcome.changed {
                        CheckResult::Installed(Box::new(outcome))
                    } else {
                        CheckResult::Current { again: false }
                    }
                }
                Err(error) => self.failed(&checked, error, number),
            },
        };
        checked
    }

    /// Whether there is something new, by one request.
    async fn news(
        &self,
        context: &Context<'_>,
        checked: &mut Checked,
        active: Option<&Generation>,
    ) -> Result<News, OpsError> {
        let reference = context.catalog.resolve(&checked.name)?;
        checked.reference = Some(reference.clone());
        let digest = context.client.resolve(&reference).await?.digest;
        checked.digest = Some(digest);
        if active.is_some_and(|generation| is_active(generation, &reference, &digest)) {
            return Ok(News::Current);
        }
        let number = active.map(|generation| generation.number);
        let hopeless = self.told.get(&checked.name.to_string()).is_some_and(|told| {
            told.hopeless && told.digest == Some(digest) && told.active == number
        });
        // What a user has left by a rollback stays away until the tag moves on.
        let marked = context.store.refused_content(&digest)?;
        let hopeless = hopeless || marked.is_some_and(|(_, mark)| mark.left);
        Ok(if hopeless { News::Hopeless } else { News::New(reference) })
    }

    fn failed(&mut self, checked: &Checked, error: OpsError, active: Option<u64>) -> CheckResult {
        let told = Told {
            digest: checked.digest,
            message: error.to_string(),
            hopeless: is_hopeless(&error),
            active,
        };
        let known = self
            .told
            .get(&checked.name.to_string())
            .is_some_and(|before| (before.digest, &before.message) == (told.digest, &told.message));
        self.told.insert(checked.name.to_string(), told);
        CheckResult::Failed { error, known }
    }
}

enum News {
    Current,
    Hopeless,
    New(Reference),
}

async fn take(
    context: &Context<'_>,
    reference: Reference,
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    let presence = context.told(options).presence()?;
    let installed = context.store.current()?;
    let offered = offer(context, &presence);
    let requests = vec![(reference, Cause::Followed)];
    let found = find_all(context, requests, installed.as_ref(), &offered, options).await?;
    apply(context, found, &presence, options).await
}

/// Whether the active generation has this content from this repository.
fn is_active(generation: &Generation, reference: &Reference, digest: &Digest) -> bool {
    let locator = reference.locator();
    generation.entries.iter().any(|entry| {
        let from = entry.reference.parse::<Reference>();
        let same =
            |digest: &Digest| entry.root_digest == *digest || entry.manifest_digest == *digest;
        same(digest) && from.is_ok_and(|from| from.locator() == locator)
    })
}

/// Whether the same content cannot succeed until something else changes. A missing signature is not
/// of this kind: it may arrive after what it signs.
fn is_hopeless(error: &OpsError) -> bool {
    error.class() == Class::Validation
        || matches!(
            error,
            OpsError::SensorRefused { .. } | OpsError::Index(IndexError::Refused { .. })
        )
}

#[cfg(test)]
mod tests {
    use eyas_artifact::{Entry, Kind, Version};

    use super::*;

    fn generation(reference: &str, root: &str) -> Generation {
        let digest = Digest::sha256(root);
        let mut generation = Generation::new(1, "2026-01-01T00:00:00Z");
        generation.entries.push(Entry {
            name: "demo".to_owned(),
            kind: Kind::Rulesfile,
            reference: reference.to_owned(),
            version: Version::new(1, 0, 0),
            root_digest: digest,
            manifest_digest: digest,
            config_digest: digest,
            layer_digest: digest,
            signer: None,
            signed_at: None,
            reason: String::new(),
            files: Vec::new(),
        });
        generation
    }

    #[test]
    fn the_same_content_of_another_repository_is_not_what_is_active() {
        let active = generation("r.example.org/a/demo:1", "x");
        let reference = |text: &str| text.parse::<Reference>().expect("a reference");
        let same = Digest::sha256("x");
        assert!(is_active(&active, &reference("r.example.org/a/demo:2"), &same));
        assert!(!is_active(&active, &reference("r.example.org/b/demo:1"), &same));
        assert!(!is_active(&active, &reference("r.example.org/a/demo:1"), &Digest::sha256("y")));
    }

    #[test]
    fn nothing_to_follow_is_refused() {
        assert!(matches!(Follower::new(Vec::new()), Err(OpsError::NothingToDo { .. })));
    }

    #[test]
    fn a_failure_is_news_once_per_digest_and_reason() {
        let name: Name = "demo:1".parse().expect("a name");
        let mut follower = Follower::new(vec![name.clone()]).expect("one");
        let checked = |content: &str| Checked {
            name: name.clone(),
            reference: None,
            digest: Some(Digest::sha256(content)),
            result: CheckResult::StillRefused,
        };
        let error = || OpsError::NoSuchIndex { name: "x".to_owned() };
        let known = |result| matches!(result, CheckResult::Failed { known: true, .. });
        assert!(!known(follower.failed(&checked("a"), error(), None)));
        assert!(known(follower.failed(&checked("a"), error(), None)));
        assert!(!known(follower.failed(&checked("b"), error(), None)));
        let other = OpsError::NoSuchIndex { name: "y".to_owned() };
        assert!(!known(follower.failed(&checked("b"), other, None)));
    }
}
