//! Follow: check again and again, install what is new, report what is refused.
//!
//! A check costs one small request while nothing is new. A refusal changes nothing and is news only
//! once for each digest and reason. What is installed is the memory: after a restart the store says
//! what is active, and the last checks are kept beside it for `status`. The parts are separate, so
//! that a service can put them on its own loop: [`Followed`] checks one artifact, [`Timer`] says when,
//! [`Confirmer`] asks the sensor, and [`crate::Watch`] keeps what is installed right.

mod confirm;
mod cron;
mod failure;
mod followed;
mod record;
mod schedule;

pub use self::confirm::{Confirmed, ConfirmedState, Confirmer};
pub use self::cron::{Cron, CronForm};
pub use self::failure::CheckFailure;
pub use self::followed::{CheckResult, Checked, Followed, Look, News, REMIND_AFTER};
pub use self::record::{
    CHECKS_FORMAT, CheckedReference, Checks, Round, Standing, keep_checks, last_checks,
};
pub use self::schedule::{
    ClockWatch, Ended, FIRST_RETRY, MAX_JITTER, Now, Schedule, Startup, Timer, When,
};

use eyas_artifact::Request;

use crate::{Context, InstallOptions, OpsError};

/// Follows a list of artifacts, one after the other.
#[derive(Debug)]
pub struct Follower {
    followed: Vec<Followed>,
}

impl Follower {
    /// Follows `names`.
    pub fn new(names: Vec<Request>) -> Result<Self, OpsError> {
        if names.is_empty() {
            return Err(OpsError::NothingToDo { command: "follow" });
        }
        Ok(Self { followed: names.into_iter().map(Followed::new).collect() })
    }

    /// Checks everything once. One that fails does not keep others from being checked.
    pub async fn check(&mut self, context: &Context<'_>, options: &InstallOptions) -> Vec<Checked> {
        let mut all = Vec::with_capacity(self.followed.len());
        for followed in &mut self.followed {
            let look = followed.look(context.store, context.client, context.catalog).await;
            all.push(match look {
                Look::Over(checked) => *checked,
                Look::New(news) => followed.take(context, news, options).await,
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_follow_is_refused() {
        assert!(matches!(Follower::new(Vec::new()), Err(OpsError::NothingToDo { .. })));
    }
}
