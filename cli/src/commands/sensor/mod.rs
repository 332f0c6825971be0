//! `eyas sensor …`: the client of the running sensor.

mod record;
mod rules;
mod tail;
mod top;
mod validate;

use std::io::{self, Write};
use std::path::Path;

use eyas_control::{Client, ControlError, Figures, OutputState, ProbeSource, Status};
use eyas_ops::{Class, OpsError};
use serde::Serialize;

use super::install::store;
use crate::args::{Global, Sensor, SocketArgs};
use crate::exit::Failure;
use crate::listener::Teller;
use crate::printer::{Document, Printer};
use crate::sensor::{SocketSensor, hint};
use crate::settings::Settings;
use crate::{poster, wiring};

/// Runs a `sensor` command.
pub(super) fn run(
    command: &Sensor,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let path = |socket: &SocketArgs| settings.sensor_socket(socket.sensor_socket.as_deref());
    match command {
        Sensor::Status(args) => {
            let path = path(&args.socket);
            let status = ask(&path)?;
            Ok(printer.data(&StatusDocument { socket: path.display().to_string(), status })?)
        }
        Sensor::Reload(args) => {
            reload(&SocketSensor::new(path(&args.socket), true), global, settings, printer)
        }
        Sensor::Tail(args) => tail::run(args, &path(&args.socket), printer),
        Sensor::Rules(args) => rules::run(args, &path(&args.socket), printer),
        Sensor::Record(args) => record::run(args, &path(&args.socket), printer),
        Sensor::Top(args) => top::run(args, &path(&args.socket), printer),
        Sensor::Metrics(args) => {
            let figures = asked(&path(&args.socket), Client::metrics)?;
            Ok(printer.data(&MetricsDocument(figures))?)
        }
        Sensor::Validate(args) => validate::run(args, &path(&args.socket), printer),
        Sensor::LogLevel(args) => {
            let found = asked(&path(&args.socket), |client| client.log_level(args.level.clone()))?;
            Ok(printer.data(&LogLevelDocument { level: found.level })?)
        }
        Sensor::PostAlerts => {
            wiring::block_on(poster::run(io::stdin().lock(), io::stdout().lock()))
        }
    }
}

/// Asks the sensor one thing.
fn asked<T>(
    path: &Path,
    question: impl FnOnce(&mut Client) -> Result<T, ControlError>,
) -> Result<T, Failure> {
    Client::connect(path)
        .and_then(|mut client| question(&mut client))
        .map_err(|error| failure(&error, path))
}

#[derive(Serialize)]
struct MetricsDocument(Figures);

impl Document for MetricsDocument {
    const KIND: &'static str = "sensor.metrics";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.0)
    }
}

#[derive(Serialize)]
struct LogLevelDocument {
    level: String,
}

impl Document for LogLevelDocument {
    const KIND: &'static str = "sensor.loglevel";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.level)
    }
}

/// What a sensor answers, with where it was asked.
#[derive(Debug, Serialize)]
struct StatusDocument {
    socket: String,
    #[serde(flatten)]
    status: Status,
}

impl Document for StatusDocument {
    const KIND: &'static str = "sensor.status";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Status { version, pid, started, generation, rules, counters, .. } = &self.status;
        writeln!(out, "sensor {version}, process {pid}, since {started}")?;
        match generation {
            Some(number) => writeln!(out, "  generation: {number}")?,
            None => writeln!(out, "  generation: none (rules from files, or no rules)")?,
        }
        writeln!(out, "  rules:      {} loaded, {} enabled", rules.loaded, rules.enabled)?;
        writeln!(out, "  probe:      {}", probe(&self.status))?;
        writeln!(
            out,
            "  events:     {} read, {} dropped, {} malformed",
            counters.events, counters.events_dropped, counters.events_malformed
        )?;
        writeln!(out, "  in kernel:  {} filtered", counters.events_filtered)?;
        writeln!(
            out,
            "  alerts:     {} written, {} dropped",
            counters.alerts_written, counters.alerts_dropped
        )?;
        for output in self.status.outputs.iter().filter(|one| one.dropped + one.failed > 0) {
            let OutputState { name, dropped, failed, last_error, .. } = output;
            let why = last_error.as_ref().map_or(String::new(), |why| format!(": {why}"));
            writeln!(out, "  output:     {name}: {dropped} dropped, {failed} failed{why}")?;
        }
        if counters.events_recorded + counters.events_unrecorded > 0 {
            writeln!(
                out,
                "  recorded:   {} events, {} lost",
                counters.events_recorded, counters.events_unrecorded
            )?;
        }
        if let Some(last) = &self.status.recording {
            writeln!(out, "  recording:  {} in {}", last.state.as_str(), last.path)?;
        }
        if let Some(last) = &self.status.last_reload {
            let verdict = if last.accepted { "accepted" } else { "refused" };
            writeln!(out, "  reload:     {verdict} at {}: {}", last.at, last.message)?;
        }
        Ok(())
    }
}

fn probe(status: &Status) -> String {
    let source = match &status.probe.source {
        ProbeSource::None => "none".to_owned(),
        ProbeSource::Embedded => "built in".to_owned(),
        ProbeSource::Artifact { name } => format!("artifact {name}"),
        other => format!("{other:?}"),
    };
    let version = status.probe.version.as_ref().map_or(String::new(), |v| format!(" {v}"));
    let reason = status.probe.reason.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    format!("{source}{version}{reason}")
}

/// Asks the sensor what it runs.
pub(super) fn ask(path: &Path) -> Result<Status, Failure> {
    asked(path, Client::status)
}

fn failure(error: &ControlError, path: &Path) -> Failure {
    let said = error.to_string();
    let shown = path.display().to_string();
    let message = if said.contains(&shown) { said } else { format!("{said} (socket `{shown}`)") };
    Failure { class: Class::Sensor, message, hint: hint(error) }
}

fn reload(
    sensor: &SocketSensor,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let listener = Teller::new(printer.clone());
    let lines = eyas_ops::reload(&store, sensor, &listener).map_err(|error| match error {
        OpsError::NoSensor { reason, .. } => OpsError::NoSensor {
            reason,
            hint: Some(
                "start it with `eyasd`, or name its socket with `--sensor-socket`".to_owned(),
            ),
        },
        other => other,
    })?;
    Ok(printer.data(&ReloadDocument { socket: sensor.path().display().to_string(), lines })?)
}

#[derive(Serialize)]
struct ReloadDocument {
    socket: String,
    lines: Vec<String>,
}

impl Document for ReloadDocument {
    const KIND: &'static str = "sensor.reload";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}
