//! What is meant by the settings of `artifact follow`.

use std::net::SocketAddr;
use std::time::Duration;

use eyas_ops::{CronForm, Schedule, Startup, When};

use super::{Settings, SettingsError};
use crate::args::{FollowArgs, Global, StartupBehavior, parse_jitter};
use crate::service::Place;

/// Longest wait for `--falco-versions` unless it is said.
const DEFAULT_VERSIONS_TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// The same with the configuration file as it is now.
    pub(crate) fn read_again(&self, global: &Global) -> Result<Self, SettingsError> {
        Ok(Self::load(global, self.environment.clone())?.in_section(self.section))
    }

    /// When checks happen. A flag counts more than any key; of two keys the calendar counts.
    pub(crate) fn schedule(&self, args: &FollowArgs) -> Result<Schedule, SettingsError> {
        let cron = match (&args.cron, args.every) {
            (Some(text), _) => Some((text.clone(), "`--cron`".to_owned())),
            (None, Some(_)) => None,
            (None, None) => {
                self.scalar("artifact.follow.cron").filter(|(text, _)| !text.is_empty())
            }
        };
        let when = match cron {
            None => When::Every(self.every(args.every)?),
            Some((text, origin)) => match text.parse::<CronForm>() {
                Ok(CronForm::Calendar(cron)) => When::Calendar(cron),
                Ok(CronForm::Every(every)) => When::Every(every),
                Err(said) => return Err(refused(text, origin, &said)),
            },
        };
        let startup = match self.startup(args.startup_behavior)? {
            StartupBehavior::Immediate => Startup::Immediate,
            StartupBehavior::Jitter => Startup::Jitter,
            StartupBehavior::Skip => Startup::Skip,
        };
        let jitter = match args.jitter {
            Some(jitter) => Some(jitter),
            None => self.parsed("artifact.follow.jitter", parse_jitter)?,
        };
        Ok(Schedule { when, startup, jitter })
    }

    /// Where health and metrics are served; nowhere unless it is said.
    pub(crate) fn listen(&self, args: &FollowArgs) -> Result<Option<SocketAddr>, SettingsError> {
        match args.listen {
            Some(address) => Ok(Some(address)),
            None => self.parsed("artifact.follow.listen", |text| {
                let expected = "expected an address and port such as `127.0.0.1:8766`";
                text.parse().map_err(|_| expected.to_owned())
            }),
        }
    }

    /// Where another engine says what it can take, and how long reading that may take.
    pub(crate) fn falco_versions(
        &self,
        args: &FollowArgs,
    ) -> Result<Option<(Place, Duration)>, SettingsError> {
        let limit = args.timeout.unwrap_or(DEFAULT_VERSIONS_TIMEOUT);
        let place =
            match &args.falco_versions {
                Some(text) => Some(Place::parse(text).map_err(|said| {
                    refused(text.clone(), "`--falco-versions`".to_owned(), &said)
                })?),
                None => self.engine_versions()?,
            };
        Ok(place.map(|place| (place, limit)))
    }

    /// Where another engine says what it can take, for a command that follows nothing.
    pub(crate) fn engine_versions(&self) -> Result<Option<Place>, SettingsError> {
        Ok(match self.parsed("artifact.follow.falcoVersions", Place::parse)? {
            Some(place) => Some(place),
            None => self.character().falco_versions.and_then(|text| Place::parse(text).ok()),
        })
    }

    /// A key's value in the form that `parse` reads; an empty one is none.
    fn parsed<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some((text, origin)) = self.scalar(key).filter(|(text, _)| !text.is_empty()) else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|said| refused(text, origin, &said))
    }
}

fn refused(value: String, origin: String, said: &str) -> SettingsError {
    let expected = said.strip_prefix("expected ").unwrap_or(said).to_owned();
    SettingsError::Value { value, origin, expected }
}
