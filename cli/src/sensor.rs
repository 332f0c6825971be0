//! The sensor behind its control socket, as the operations of `eyas-ops` see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eyas_control::{Client, ControlError, Reload, Status};
use eyas_ops::{Activation, InForce, Offer, Presence, Sensor, Unreachable, Verdict};

/// Version of the rule engine that is built into this program, as rules require it.
pub(crate) const ENGINE_VERSION: &str = "0.63.0";
/// The same as the older integer that rule files still name.
const ENGINE_VERSION_INTEGER: &str = "63";
/// Version of the plugin interface that plugins may require.
const PLUGIN_API_VERSION: &str = "3.12.0";

/// Plugins whose fields the engine has of its own.
const BUILT_IN_PLUGINS: [&str; 1] = ["container"];

/// A sensor that listens on a socket, or that is left alone.
#[derive(Clone)]
pub(crate) struct SocketSensor {
    path: PathBuf,
    told: bool,
    declared: Option<Offer>,
}

impl SocketSensor {
    /// The sensor at `path`; with `told` false it is never asked anything.
    pub(crate) fn new(path: PathBuf, told: bool) -> Self {
        Self { path, told, declared: None }
    }

    /// The same; where it does not answer, requirements are held against `declared`.
    pub(crate) fn with_declared(mut self, declared: Option<Offer>) -> Self {
        self.declared = declared;
        self
    }

    /// Whether it is asked and told anything.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn unreachable(&self, error: &ControlError) -> Unreachable {
        // Not every message of the protocol names the socket, and there may be several.
        let said = error.to_string();
        let path = self.path.display().to_string();
        let message = if said.contains(&path) { said } else { format!("{said} (socket `{path}`)") };
        Unreachable { message, hint: hint(error) }
    }
}

impl Sensor for SocketSensor {
    fn presence(&self) -> Result<Presence, Unreachable> {
        if !self.told {
            return Ok(Presence::NotAsked);
        }
        let hello = Client::connect(&self.path).and_then(|mut client| client.hello());
        match hello {
            Ok(hello) => Ok(Presence::Running(offer(&hello.capabilities.engine_version))),
            Err(error @ ControlError::NotRunning { .. }) => Ok(Presence::Absent(error.to_string())),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn in_force(&self) -> Result<Option<InForce>, Unreachable> {
        if !self.told {
            return Ok(None);
        }
        match Client::connect(&self.path).and_then(|mut client| client.status()) {
            Ok(Status { generation, lock_digest, .. }) => {
                Ok(Some(InForce { generation, lock_digest }))
            }
            Err(ControlError::NotRunning { .. }) => Ok(None),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn reload(&self, activation: &Activation) -> Result<Verdict, Unreachable> {
        let reload = Reload {
            generation: Some(activation.generation),
            lock_digest: Some(activation.lock_digest),
            dir: Some(activation.dir.display().to_string()),
        };
        match Client::connect(&self.path).and_then(|mut client| client.reload(reload)) {
            Ok(report) if report.accepted => Ok(Verdict::Accepted(report.lines())),
            Ok(report) => Ok(Verdict::Refused(report.lines())),
            Err(error @ ControlError::NotRunning { .. }) => Ok(Verdict::Absent(error.to_string())),
            Err(error @ ControlError::Refused { .. }) => {
                Ok(Verdict::Refused(vec![error.to_string()]))
            }
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn default_offer(&self) -> Offer {
        self.declared.clone().unwrap_or_else(|| offer(ENGINE_VERSION))
    }
}

/// What to do about a failure, in terms of this program's flags.
pub(crate) fn hint(error: &ControlError) -> Option<String> {
    match error {
        ControlError::NotRunning { .. } => {
            Some("start it with `eyasd`, or name its socket with `--sensor-socket`".to_owned())
        }
        ControlError::NotASocket { .. } | ControlError::Protocol { .. } => Some(
            "name the sensor's own socket with `--sensor-socket`, or leave the sensor alone with \
             `--no-reload`"
                .to_owned(),
        ),
        other => other.hint(),
    }
}

/// What requirements are held against: the engine of the sensor that runs.
fn offer(engine: &str) -> Offer {
    let integer = engine.split('.').nth(1).unwrap_or(ENGINE_VERSION_INTEGER);
    let versions = BTreeMap::from([
        ("engine_version".to_owned(), integer.to_owned()),
        ("engine_version_semver".to_owned(), engine.to_owned()),
        ("plugin_api_version".to_owned(), PLUGIN_API_VERSION.to_owned()),
    ]);
    Offer { versions, plugins: BUILT_IN_PLUGINS.map(str::to_owned).to_vec(), unknown: false }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn at(path: &Path) -> SocketSensor {
        SocketSensor::new(path.to_owned(), true)
    }

    #[test]
    fn nobody_there_is_an_answer() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("control.sock");
        match at(&path).presence() {
            Ok(Presence::Absent(said)) => assert!(said.contains("control.sock"), "{said}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn something_else_there_is_an_error_that_names_the_socket() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file.sock");
        std::fs::write(&file, "x").expect("written");
        let said = at(&file).presence().expect_err("a file");
        assert!(said.message.contains("file.sock") && said.hint.is_some(), "{said:?}");

        let path = dir.path().join("other.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepted");
            let _ = stream.write_all(b"SSH-2.0-other\r\n");
        });
        let said = at(&path).presence().expect_err("another protocol");
        assert!(said.message.contains("other.sock"), "{said:?}");
        other.join().expect("ended");
    }

    #[test]
    fn a_sensor_that_is_left_alone_is_never_looked_for() {
        let sensor = SocketSensor::new("/nowhere/control.sock".into(), false);
        assert_eq!(sensor.presence(), Ok(Presence::NotAsked));
    }

    #[test]
    fn what_is_declared_counts_where_nobody_answers() {
        let dir = tempfile::tempdir().expect("dir");
        let versions = BTreeMap::from([("engine_version".to_owned(), "9".to_owned())]);
        let declared = Offer { versions, ..Offer::default() };
        let sensor = at(&dir.path().join("none.sock")).with_declared(Some(declared.clone()));
        assert_eq!(sensor.default_offer(), declared);
        assert_eq!(sensor.with_declared(None).default_offer(), offer(ENGINE_VERSION));
    }

    #[test]
    fn the_integer_follows_the_version() {
        assert_eq!(offer("0.57.0").versions["engine_version"], "57");
        assert_eq!(offer("0.57.0").versions["engine_version_semver"], "0.57.0");
        assert_eq!(offer(ENGINE_VERSION).versions["engine_version"], ENGINE_VERSION_INTEGER);
    }
}
