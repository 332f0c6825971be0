//! Default places: system directories for root, the XDG base directories for everybody else; those of
//! `falcoctl` in its form.

use std::path::PathBuf;

use super::Environment;
use crate::personality;

/// Default control socket of the sensor.
pub(super) const SENSOR_SOCKET: &str = "/run/eyas/control.sock";

/// Default places for one user; a place is absent when no home is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    config_file: Option<PathBuf>,
    /// Where the list of added indexes is kept; beside the configuration file when nothing is said.
    book: Option<PathBuf>,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Paths {
    /// The places for the user whose environment this is.
    pub(crate) fn of(environment: &Environment) -> Self {
        match environment.character().places {
            personality::Places::Falcoctl => Self::falcoctl(environment),
            personality::Places::BaseDirectories if environment.is_root() => Self {
                config_file: Some("/etc/eyas/eyas.yaml".into()),
                book: None,
                state: Some("/var/lib/eyas".into()),
                cache: Some("/var/cache/eyas".into()),
            },
            personality::Places::BaseDirectories => Self::base_directories(environment),
        }
    }

    fn base_directories(environment: &Environment) -> Self {
        let place = |variable: &str, below_home: &str| {
            let base = environment.raw(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
            base.or_else(|| {
                environment.raw("HOME").map(|home| PathBuf::from(home).join(below_home))
            })
            .map(|base| base.join("eyas"))
        };
        Self {
            config_file: place("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("eyas.yaml")),
            book: None,
            state: place("XDG_STATE_HOME", ".local/state"),
            cache: place("XDG_CACHE_HOME", ".cache"),
        }
    }

    fn falcoctl(environment: &Environment) -> Self {
        let own = environment.raw("HOME").map(|home| PathBuf::from(home).join(".config/falcoctl"));
        Self {
            config_file: Some("/etc/falcoctl/falcoctl.yaml".into()),
            book: own.clone(),
            state: Some("/var/lib/falcoctl".into()),
            cache: own,
        }
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config_file.clone()
    }

    /// The directory of the list of added indexes, where it does not lie beside the configuration.
    pub(crate) fn book(&self) -> Option<PathBuf> {
        self.book.clone()
    }

    /// The state directory.
    pub(crate) fn state(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    /// The directory for what can be fetched again.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        self.cache.clone()
    }
}
