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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::tests::settings_of;
    use super::*;
    use crate::args::Cli;
    use crate::args::{Artifact, Command};

    fn typed(flags: &[&str]) -> FollowArgs {
        let words = ["eyas", "artifact", "follow", "demo"].iter().chain(flags);
        match Cli::try_parse_from(words).expect("accepted").command {
            Command::Artifact(Artifact::Follow(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flag_beats_the_calendar_key_and_that_beats_the_interval_key() {
        let settings = settings_of("artifact: {follow: {every: 4h, cron: '@daily'}}\n", &[]);
        let when = |flags: &[&str]| settings.schedule(&typed(flags)).expect("valid").when;
        assert!(matches!(when(&[]), When::Calendar(_)));
        assert_eq!(when(&["--every", "2h"]), When::Every(Duration::from_hours(2)));
        assert_eq!(when(&["--cron", "@every 3h"]), When::Every(Duration::from_hours(3)));
    }

    #[test]
    fn what_is_wrong_names_the_value_and_its_place() {
        let settings = settings_of("artifact: {follow: {cron: '61 * * * *', listen: here}}\n", &[]);
        let said = settings.schedule(&typed(&[])).expect_err("refused").to_string();
        assert!(said.contains("`61 * * * *`") && said.contains("minute from 0 to 59"), "{said}");
        let said = settings.listen(&typed(&[])).expect_err("refused").to_string();
        assert!(said.contains("`here`") && said.contains("127.0.0.1:8766"), "{said}");
        let said = settings.schedule(&typed(&["--cron", "often"])).expect_err("refused");
        assert!(said.to_string().contains("`--cron`"), "{said}");
    }

    #[test]
    fn interval_and_calendar_are_not_typed_together() {
        let words = ["eyas", "artifact", "follow", "x", "--every", "1h", "--cron", "@daily"];
        assert!(Cli::try_parse_from(words).is_err());
    }
}
