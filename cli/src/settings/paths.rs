//! Default places: system directories for root, the XDG base directories for everybody else.

use std::path::PathBuf;

use super::Environment;

/// Default control socket of the sensor.
pub(super) const SENSOR_SOCKET: &str = "/run/eyas/control.sock";

/// Default places for one user; a place is absent when no home is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    config: Option<PathBuf>,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Paths {
    /// The places for the user whose environment this is.
    pub(crate) fn of(environment: &Environment) -> Self {
        if environment.is_root() {
            return Self {
                config: Some("/etc/eyas".into()),
                state: Some("/var/lib/eyas".into()),
                cache: Some("/var/cache/eyas".into()),
            };
        }
        let place = |variable: &str, below_home: &str| {
            let base = environment.raw(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
            base.or_else(|| {
                environment.raw("HOME").map(|home| PathBuf::from(home).join(below_home))
            })
            .map(|base| base.join("eyas"))
        };
        Self {
            config: place("XDG_CONFIG_HOME", ".config"),
            state: place("XDG_STATE_HOME", ".local/state"),
            cache: place("XDG_CACHE_HOME", ".cache"),
        }
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|dir| dir.join("eyas.yaml"))
    }

    /// The state directory.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    /// The directory for what can be fetched again.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        self.cache.clone()
    }
}
