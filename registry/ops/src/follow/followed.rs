//! One followed artifact: what a check finds, and what was told of it.

use std::time::{Duration, Instant};

use eyas_artifact::{Digest, Generation, Reference, Request};
use eyas_index::Cause;
use eyas_oci::Client;
use eyas_store::Store;

use super::failure::CheckFailure;
use crate::select::{Wish, newest_in, select};
use crate::transaction::{Outcome, apply, offer};
use crate::{Catalog, Context, InstallOptions, OpsError};

/// After how long the same failure is told again.
pub const REMIND_AFTER: Duration = Duration::from_hours(6);

/// How one check went.
#[derive(Debug)]
pub struct Checked {
    /// What is followed.
    pub name: Request,
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
    /// Something new was installed, or would be.
    Installed(Box<Outcome>),
    /// It failed; nothing has changed.
    Failed {
        /// Why.
        failure: CheckFailure,
        /// Whether this was told not long ago, for the same digest and reason.
        known: bool,
    },
    /// What is there was found not to work, and was not tried again.
    StillRefused,
}

/// What a first look found.
#[derive(Debug)]
pub enum Look {
    /// The check is over.
    Over(Box<Checked>),
    /// There is something new, to be taken by [`Followed::take`].
    New(News),
}

/// Something new.
#[derive(Debug)]
pub struct News {
    /// Where it is.
    pub reference: Reference,
    /// What it is.
    pub digest: Digest,
}

/// An artifact that is followed. Holds what was told of it and nothing that grows.
#[derive(Debug)]
pub struct Followed {
    name: Request,
    told: Option<Told>,
}

/// What was last told.
#[derive(Debug, Clone)]
struct Told {
    digest: Option<Digest>,
    failure: CheckFailure,
    active: Option<u64>,
    at: Instant,
}

impl Followed {
    /// Follows what a tag points at, or the newest version in a range.
    pub fn new(name: Request) -> Self {
        Self { name, told: None }
    }

    /// What is followed.
    pub fn name(&self) -> &Request {
        &self.name
    }

    /// Asks the registry whether there is something new: once, or for the list of tags as well where a
    /// range is followed. Needs no policy and writes nothing.
    pub async fn look(&mut self, store: &Store, client: &Client, catalog: &Catalog) -> Look {
        let mut checked = self.checked(None);
        let seen = self.see(store, client, catalog, &mut checked).await;
        checked.result = match seen {
            Ok(Seen::New(news)) => return Look::New(news),
            Ok(Seen::Current) => CheckResult::Current { again: self.told.take().is_some() },
            Ok(Seen::Hopeless) => self.reminder(),
            Err(error) => {
                let active = store.current_number().ok().flatten();
                self.fail(checked.digest, error.into(), active)
            }
        };
        Look::Over(Box::new(checked))
    }

    /// Installs what a look found.
    pub async fn take(
        &mut self,
        context: &Context<'_>,
        news: News,
        options: &InstallOptions,
    ) -> Checked {
        let mut checked = self.checked(Some(&news));
        let active = context.store.current_number().ok().flatten();
        let range = self.name.range.clone();
        let wish = Wish { reference: news.reference, range, cause: Cause::Followed };
        checked.result = match take(context, wish, options).await {
            Ok(outcome) => {
                let again = self.told.take().is_some();
                if outcome.changed || options.dry_run {
                    CheckResult::Installed(Box::new(outcome))
                } else {
                    CheckResult::Current { again }
                }
            }
            Err(error) => self.fail(checked.digest, error.into(), active),
        };
        checked
    }

    /// Something around the check failed, such as reading the policy, before it could be taken.
    pub fn prevented(&mut self, news: Option<&News>, failure: CheckFailure) -> Checked {
        let mut checked = self.checked(news);
        checked.result = self.fail(checked.digest, failure, None);
        checked
    }

    fn checked(&self, news: Option<&News>) -> Checked {
        Checked {
            name: self.name.clone(),
            reference: news.map(|news| news.reference.clone()),
            digest: news.map(|news| news.digest),
            result: CheckResult::StillRefused,
        }
    }

    /// Whether there is something new.
    async fn see(
        &self,
        store: &Store,
        client: &Client,
        catalog: &Catalog,
        checked: &mut Checked,
    ) -> Result<Seen, OpsError> {
        let mut reference = catalog.resolve(&self.name.name)?;
        if let Some(range) = &self.name.range {
            reference = newest_in(client, &reference, range, &Cause::Followed).await?;
        }
        checked.reference = Some(reference.clone());
        let digest = client.resolve(&reference).await?.digest;
        checked.digest = Some(digest);
        let active = store.current()?;
        if active.as_ref().is_some_and(|active| is_active(active, &reference, &digest)) {
            return Ok(Seen::Current);
        }
        let number = active.map(|generation| generation.number);
        let hopeless = self.told.as_ref().is_some_and(|told| {
            told.failure.hopeless && told.digest == Some(digest) && told.active == number
        });
        // What a user has left by a rollback stays away until the tag moves on.
        let marked = store.refused_content(&digest)?;
        if hopeless || marked.is_some_and(|(_, mark)| mark.left) {
            return Ok(Seen::Hopeless);
        }
        Ok(Seen::New(News { reference, digest }))
    }

    /// What was refused is not tried again, and told again now and then.
    fn reminder(&mut self) -> CheckResult {
        match &mut self.told {
            Some(told) if told.at.elapsed() >= REMIND_AFTER => {
                told.at = Instant::now();
                CheckResult::Failed { failure: told.failure.clone(), known: false }
            }
            _ => CheckResult::StillRefused,
        }
    }

    fn fail(
        &mut self,
        digest: Option<Digest>,
        failure: CheckFailure,
        active: Option<u64>,
    ) -> CheckResult {
        let known = self.told.as_ref().is_some_and(|told| {
            (told.digest, &told.failure.message) == (digest, &failure.message)
                && told.at.elapsed() < REMIND_AFTER
        });
        let at = self.told.as_ref().filter(|_| known).map_or_else(Instant::now, |told| told.at);
        self.told = Some(Told { digest, failure: failure.clone(), active, at });
        CheckResult::Failed { failure, known }
    }
}

enum Seen {
    Current,
    Hopeless,
    New(News),
}

async fn take(
    context: &Context<'_>,
    wish: Wish,
    options: &InstallOptions,
) -> Result<Outcome, OpsError> {
    let presence = context.told(options).presence()?;
    let installed = context.store.current()?;
    let offered = offer(context, &presence);
    let selection =
        Box::pin(select(context, vec![wish], installed.as_ref(), &offered, options)).await?;
    // Behind a pointer: a follower of many references waits most of the time.
    Box::pin(apply(context, selection.found, Vec::new(), &presence, options)).await
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

#[cfg(test)]
mod tests {
    use eyas_artifact::{Entry, Kind, Version};

    use super::*;
    use crate::Class;

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
            other_signers: Vec::new(),
            attestations: Vec::new(),
            signed_at: None,
            accepted_by: None,
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

    fn failure(message: &str) -> CheckFailure {
        CheckFailure::new(Class::Network, message, None)
    }

    fn is_news(result: &CheckResult) -> bool {
        matches!(result, CheckResult::Failed { known: false, .. })
    }

    #[test]
    fn a_failure_is_news_once_per_digest_and_reason() {
        let mut followed = Followed::new("demo:1".parse().expect("a name"));
        let mut fail = |content: &str, message: &str| {
            is_news(&followed.fail(Some(Digest::sha256(content)), failure(message), None))
        };
        assert!(fail("a", "x"));
        assert!(!fail("a", "x"));
        assert!(fail("b", "x"));
        assert!(!fail("b", "x"));
        assert!(fail("b", "y"));
    }

    #[test]
    fn a_failure_that_lasts_is_told_again_after_a_while() {
        let mut followed = Followed::new("demo:1".parse().expect("a name"));
        assert!(is_news(&followed.fail(None, failure("x"), None)));
        assert!(matches!(followed.reminder(), CheckResult::StillRefused));
        let Some(earlier) = Instant::now().checked_sub(REMIND_AFTER) else { return };
        if let Some(told) = &mut followed.told {
            told.at = earlier;
        }
        assert!(is_news(&followed.fail(None, failure("x"), None)));
        assert!(!is_news(&followed.fail(None, failure("x"), None)));
        if let Some(told) = &mut followed.told {
            told.at = earlier;
        }
        assert!(is_news(&followed.reminder()));
        assert!(matches!(followed.reminder(), CheckResult::StillRefused));
    }
}
