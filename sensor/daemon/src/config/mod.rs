//! `eyasd.yaml`: what it may contain, its defaults, and what the command line changes in it.
//!
//! Keys that rules files' users already have in a Falco configuration keep their names. A key that
//! is not known is an error that names the nearest one; one that is known and has no meaning here
//! is said to be ignored.

mod capture;
mod check;
mod engine;
mod foreign;
mod options;
mod outputs;
mod place;
mod serving;
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eyas_rules::EngineOptions;
use eyas_rules::index::BaseSyscalls;
use eyas_rules::load::Selection;
use eyas_state::{DEFAULT_MAX_BYTES, DEFAULT_MAX_PROCESSES, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Args;
use crate::generation::read_capped;
use crate::log;
use check::Flaw;

pub(crate) use capture::CaptureFiles;
pub(crate) use check::ConfigError;
pub(crate) use foreign::{Ignored, lines as ignored_lines};
pub(crate) use outputs::{
    AlertLimits, FileOutput, HttpOutput, JournaldOutput, ProgramOutput, Queue, StdoutOutput,
    SyslogOutput, UnixOutput,
};
pub(crate) use serving::{Action, ContainerSources, EventDrops, Hardening, Metrics, WebServer};
pub(crate) use sources::files as files_of;

/// Read when no other file is named.
const DEFAULT_PATH: &str = "/etc/eyas/eyasd.yaml";
/// Bytes of environment kept when a rule asks for it, unless the configuration says otherwise.
const ENV_BYTES: u32 = 4096;
/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as users know it")]
pub(crate) struct Config {
    /// Directory of the artifact store; nothing runs from it when `null`.
    pub(crate) store: Option<PathBuf>,
    /// Rules files loaded after those of the store.
    pub(crate) rules_files: Vec<PathBuf>,
    pub(crate) control: Control,
    pub(crate) probe: Probe,
    pub(crate) base_syscalls: Syscalls,
    pub(crate) limits: TableLimits,
    /// Rules less severe than this do not run.
    pub(crate) priority: String,
    /// `first` or `all` matching rules of an event.
    pub(crate) rule_matching: String,
    /// Which rules run: `enable` and `disable` entries by `rule` or `tag`, in order.
    pub(crate) rules: Vec<Value>,
    pub(crate) append_output: Vec<Value>,
    #[serde(deserialize_with = "engine::texts")]
    pub(crate) static_fields: BTreeMap<String, String>,
    pub(crate) json_output: bool,
    pub(crate) json_include_output_property: bool,
    pub(crate) json_include_message_property: bool,
    pub(crate) json_include_output_fields_property: bool,
    pub(crate) json_include_tags_property: bool,
    pub(crate) time_format_iso_8601: bool,
    pub(crate) buffer_format_base64: bool,
    pub(crate) stdout_output: StdoutOutput,
    pub(crate) file_output: FileOutput,
    pub(crate) syslog_output: SyslogOutput,
    pub(crate) journald_output: JournaldOutput,
    pub(crate) unix_output: UnixOutput,
    pub(crate) program_output: ProgramOutput,
    pub(crate) http_output: HttpOutput,
    pub(crate) outputs_queue: Queue,
    pub(crate) alert_limits: AlertLimits,
    pub(crate) containers: ContainerSources,
    pub(crate) webserver: WebServer,
    pub(crate) metrics: Metrics,
    pub(crate) syscall_event_drops: EventDrops,
    pub(crate) capture: CaptureFiles,
    /// How much the daemon says about itself.
    pub(crate) log_level: String,
    /// What the daemon gives up once it has started.
    pub(crate) hardening: Hardening,
    /// Whether configuration and rules are read again when their files change.
    pub(crate) watch_config_files: bool,
}

/// The control socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Control {
    pub(crate) enabled: bool,
    pub(crate) socket: PathBuf,
    /// Permission bits in octal.
    pub(crate) mode: String,
    /// Group of the socket file and of those who may ask; left out where it does not exist.
    pub(crate) group: Option<String>,
    /// Names or ids of more users who may ask.
    pub(crate) users: Vec<Value>,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Probe {
    /// `auto`, or `none` for no events.
    pub(crate) kind: String,
    /// Size of each CPU's ring for events.
    pub(crate) ring_events_bytes: u32,
    /// Size of each CPU's ring for exec, fork and exit.
    pub(crate) ring_lifecycle_bytes: u32,
    /// Bytes of arguments kept.
    pub(crate) args_bytes: u32,
    /// Bytes of environment kept when a rule asks for it.
    pub(crate) env_bytes: u32,
}

/// Which system calls are reported besides those that rules ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Syscalls {
    /// Names to report too; with `!` before it, a name that is not to be reported.
    pub(crate) custom_set: Vec<String>,
    /// Also report what keeps process facts right for whoever reads the events; nothing here needs it.
    pub(crate) repair: bool,
    /// Also report plain reads and writes that rules ask for.
    pub(crate) all: bool,
}

/// Bounds of the table of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TableLimits {
    pub(crate) processes: usize,
    pub(crate) process_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: Some(PathBuf::from("/var/lib/eyas")),
            rules_files: Vec::new(),
            control: Control::default(),
            probe: Probe::default(),
            base_syscalls: Syscalls::default(),
            limits: TableLimits::default(),
            priority: "debug".into(),
            rule_matching: "first".into(),
            rules: Vec::new(),
            append_output: vec![serde_json::json!({ "suggested_output": true })],
            static_fields: BTreeMap::new(),
            json_output: false,
            json_include_output_property: true,
            json_include_message_property: false,
            json_include_output_fields_property: true,
            json_include_tags_property: true,
            time_format_iso_8601: false,
            buffer_format_base64: false,
            stdout_output: StdoutOutput::default(),
            file_output: FileOutput::default(),
            syslog_output: SyslogOutput::default(),
            journald_output: JournaldOutput::default(),
            unix_output: UnixOutput::default(),
            program_output: ProgramOutput::default(),
            http_output: HttpOutput::default(),
            outputs_queue: Queue::default(),
            alert_limits: AlertLimits::default(),
            containers: ContainerSources::default(),
            webserver: WebServer::default(),
            metrics: Metrics::default(),
            syscall_event_drops: EventDrops::default(),
            log_level: "info".into(),
            hardening: Hardening::default(),
            capture: CaptureFiles::default(),
            watch_config_files: true,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            enabled: true,
            socket: PathBuf::from("/run/eyas/control.sock"),
            mode: "0660".into(),
            group: Some("eyas".into()),
            users: Vec::new(),
        }
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            kind: "auto".into(),
            ring_events_bytes: eyas_probe::RING_EVENTS_DEFAULT,
            ring_lifecycle_bytes: eyas_probe::RING_LIFECYCLE_DEFAULT,
            args_bytes: eyas_probe::ARGS_DEFAULT,
            env_bytes: ENV_BYTES,
        }
    }
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { processes: DEFAULT_MAX_PROCESSES, process_bytes: DEFAULT_MAX_BYTES }
    }
}

/// A configuration and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// Keys that are known and have no meaning here.
    pub(crate) ignored: Vec<Ignored>,
    /// The rule engine's options in it.
    pub(crate) engine: EngineOptions,
    /// What was written, with variables of the environment as such.
    written: Value,
}

impl Loaded {
    /// The configuration as YAML that reads back as the same, without secrets: variables of the environment are shown by
    /// their names, and an address without its password.
    pub(crate) fn shown(&self) -> String {
        let mut value = serde_json::to_value(&self.config).unwrap_or_default();
        sources::show(&mut value, Some(&self.written));
        if let Some(Value::String(url)) = value.pointer_mut("/http_output/url") {
            *url = outputs::without_password(url);
        }
        serde_saphyr::to_string(&value).unwrap_or_default()
    }
}

/// The main file, if there is one.
fn main_file(args: &Args) -> Option<&Path> {
    match &args.config {
        Some(path) => Some(path.as_path()),
        None => Some(Path::new(DEFAULT_PATH)).filter(|path| path.exists()),
    }
}

/// Puts file and command line together and checks the result.
pub(crate) fn load(args: &Args) -> Result<Loaded, ConfigError> {
    let main = main_file(args);
    let sources::Sources { mut value, written, mut ignored } =
        sources::read(main, files_option(args))?;
    let defaults = check::defaults();
    for option in args.option.iter().filter(|option| !is_files(option)) {
        options::set(&mut value, option, &defaults)?;
    }
    // What the files say is good, so that all that is wrong now was said on the command line.
    ignored.extend(check::against_defaults("-o", "", &mut value)?);
    let mut config: Config = serde_json::from_value(value)
        .map_err(|error| ConfigError::Value { name: "-o".into(), why: error.to_string() })?;
    apply(&mut config, args);
    let flawed =
        |flaw: Flaw| ConfigError::Value { name: "the configuration".into(), why: flaw.told };
    let engine = engine::options(&config).map_err(flawed)?;
    Ok(Loaded { config, ignored, engine, written })
}

/// Whether a setting of the command line names further files.
fn is_files(option: &str) -> bool {
    option.split_once('=').is_some_and(|(key, _)| key.trim() == "config_files")
}

/// The files that the command line names in the place of the main file's `config_files`.
fn files_option(args: &Args) -> Option<Value> {
    let given = args.option.iter().rfind(|option| is_files(option))?;
    let (_, text) = given.split_once('=')?;
    Some(match serde_saphyr::from_str(text) {
        Ok(Value::String(one)) => Value::Array(vec![Value::String(one)]),
        Ok(list) => list,
        Err(_) => Value::String(text.to_owned()),
    })
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    let name = path.display().to_string();
    let bytes = read_capped(path, MAX_CONFIG_BYTES)
        .map_err(|error| ConfigError::Read { why: error.to_string() })?;
    String::from_utf8(bytes).map_err(|_| ConfigError::Value { name, why: "not UTF-8 text".into() })
}

fn apply(config: &mut Config, args: &Args) {
    if let Some(socket) = &args.control_socket {
        config.control.socket.clone_from(socket);
    }
    if args.json {
        config.json_output = true;
    }
    if args.no_probe {
        config.probe.kind = "none".into();
    }
    if !args.rules.is_empty() {
        config.rules_files.clone_from(&args.rules);
        config.store = None;
    }
    if args.store.is_some() {
        config.store.clone_from(&args.store);
    }
}

impl Config {
    /// How system calls are selected.
    pub(crate) fn base_syscalls(&self) -> BaseSyscalls {
        let Syscalls { custom_set, repair, all } = self.base_syscalls.clone();
        BaseSyscalls { custom_set, repair, all }
    }

    /// Puts back what cannot change while the daemon runs, and names it.
    pub(crate) fn keep_fixed(&mut self, before: &Self) -> Vec<&'static str> {
        let mut kept = Vec::new();
        let mut keep = |key, changed: bool| {
            if changed {
                kept.push(key);
            }
        };
        keep("control", self.control != before.control);
        keep("probe", self.probe != before.probe);
        keep("limits", self.limits != before.limits);
        keep("capture", self.capture != before.capture);
        keep("containers", self.containers != before.containers);
        keep("webserver", self.webserver != before.webserver);
        keep("hardening", self.hardening != before.hardening);
        self.control = before.control.clone();
        self.probe = before.probe.clone();
        self.limits = before.limits;
        self.capture = before.capture.clone();
        self.containers = before.containers.clone();
        self.webserver = before.webserver.clone();
        self.hardening = before.hardening;
        kept
    }

    /// Files and folders whose content counts: of the configuration, of rules, of certificates.
    pub(crate) fn watched(&self, args: &Args) -> Vec<PathBuf> {
        let mut paths = sources::places(main_file(args), files_option(args));
        paths.extend(self.rules_files.iter().cloned());
        if self.http_output.enabled {
            paths.extend(self.http_output.files());
        }
        paths
    }

    /// Which rules run, as the configuration says. What is no such entry was refused when it was read.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        self.rules.iter().filter_map(|value| engine::selection(value).ok()).collect()
    }

    /// Bounds of the table of processes.
    pub(crate) fn table_limits(&self) -> Limits {
        Limits { processes: self.limits.processes, bytes: self.limits.process_bytes }
    }

    /// Permission bits of the control socket.
    pub(crate) fn control_mode(&self) -> Option<u32> {
        let digits = self.control.mode.trim_start_matches("0o");
        u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777)
    }

    /// The first value that is of the right kind and none of those allowed.
    fn flaw(&self) -> Option<Flaw> {
        let flaws = [
            engine::options(self).err(),
            self.log_level
                .parse::<log::Level>()
                .err()
                .map(|why| Flaw::new("log_level", format!("is wrong: {why}"))),
            self.control.flaw(self.control_mode()),
            self.probe.flaw(),
            self.metrics.flaw(),
            self.capture.flaw(),
            self.output_flaw(),
        ];
        flaws.into_iter().flatten().next()
    }
}

impl Control {
    fn flaw(&self, mode: Option<u32>) -> Option<Flaw> {
        if mode.is_none() {
            let why = format!(
                "is `{}`, expected permission bits in octal such as `0660`, in quotes",
                self.mode
            );
            return Some(Flaw::new("control.mode", why));
        }
        let is_user = |user: &Value| {
            user.is_string() || user.as_u64().is_some_and(|id| u32::try_from(id).is_ok())
        };
        let at = self.users.iter().position(|user| !is_user(user))?;
        let why = format!("is `{}`, expected the name or the id of a user", self.users.get(at)?);
        Some(Flaw::new(format!("control.users[{at}]"), why))
    }
}

impl Probe {
    fn flaw(&self) -> Option<Flaw> {
        if !["auto", "none"].contains(&self.kind.as_str()) {
            let why = format!("is `{}`, expected `auto` or `none`", self.kind);
            return Some(Flaw::new("probe.kind", why));
        }
        let rings = [
            ("probe.ring_events_bytes", self.ring_events_bytes),
            ("probe.ring_lifecycle_bytes", self.ring_lifecycle_bytes),
        ];
        let fits = |bytes: u32| bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes);
        let (key, bytes) = rings.into_iter().find(|(_, bytes)| !fits(*bytes))?;
        let why = format!("is `{bytes}`, expected a power of two from 4096 to 1073741824");
        Some(Flaw::new(key, why))
    }
}

#[cfg(test)]
mod tests;
