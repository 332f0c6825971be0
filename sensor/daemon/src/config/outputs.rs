//! Where alerts go, as a configuration says it. Keys are those of Falco where it has them.

use std::fs;
use std::path::{Path, PathBuf};

use eyas_output::{
    DEFAULT_QUEUE_ALERTS, DEFAULT_QUEUE_BYTES, Facility, Format, HoldLimits, HttpTarget, Post,
    ProgramTarget, QueueLimits, SyslogTarget, Target,
};
use eyas_state::Host;
use serde::{Deserialize, Serialize};

use super::check::Flaw;
use super::{Config, ConfigError};
use crate::host;

/// Most alerts that may be let wait for one output, and most bytes of them.
const MAX_QUEUE_ALERTS: u64 = 1 << 20;
const MAX_QUEUE_BYTES: u64 = 1 << 30;
/// Most alerts in one request.
const MAX_BATCH: u64 = 1024;
/// Longest time that is waited for a receiver.
const MAX_SECONDS: u64 = 3600;
/// What is shown where a password stands.
const HIDDEN: &str = "********";
/// Name of the program in logs.
const TAG: &str = "eyasd";
/// Largest certificate or key file that is read, in bytes.
const MAX_PEM_BYTES: u64 = 1024 * 1024;
/// The user that posts alerts when the daemon is root and no other is named.
const POSTING_USER: &str = "nobody";

/// Standard output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct StdoutOutput {
    pub(crate) enabled: bool,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct FileOutput {
    pub(crate) enabled: bool,
    pub(crate) filename: Option<PathBuf>,
}

/// The system's logger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct SyslogOutput {
    pub(crate) enabled: bool,
    pub(crate) facility: String,
    pub(crate) tag: String,
    /// The socket, if not `/dev/log`.
    pub(crate) socket: Option<PathBuf>,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct JournaldOutput {
    pub(crate) enabled: bool,
    pub(crate) tag: String,
    /// The socket, if not the journal's own.
    pub(crate) socket: Option<PathBuf>,
}

/// A Unix datagram socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct UnixOutput {
    pub(crate) enabled: bool,
    pub(crate) path: Option<PathBuf>,
}

/// A program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ProgramOutput {
    pub(crate) enabled: bool,
    /// Start it once instead of once for each alert.
    pub(crate) keep_alive: bool,
    /// A command for the shell.
    pub(crate) program: Option<String>,
}

/// An HTTP receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as users know it")]
pub(crate) struct HttpOutput {
    pub(crate) enabled: bool,
    pub(crate) url: Option<String>,
    pub(crate) user_agent: String,
    /// Accept any server certificate.
    pub(crate) insecure: bool,
    /// A file with the receiver's authority.
    pub(crate) ca_cert: Option<PathBuf>,
    /// A file with several authorities.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// A directory of files with authorities.
    pub(crate) ca_path: Option<PathBuf>,
    /// Present the client certificate.
    pub(crate) mtls: bool,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) compress_uploads: bool,
    pub(crate) keep_alive: bool,
    /// Alerts in one request.
    pub(crate) batch: usize,
    /// Seconds one request may take.
    pub(crate) timeout: u64,
    /// Seconds after which an alert that could not be posted is given up.
    pub(crate) give_up_after: u64,
    /// The `eyas` program, which posts; beside `eyasd` if it is not named.
    pub(crate) program: Option<PathBuf>,
    /// Who posts when the daemon is root.
    pub(crate) user: String,
}

/// What may wait for each output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Queue {
    /// Alerts.
    pub(crate) capacity: usize,
    pub(crate) max_bytes: u64,
}

/// When alerts are held back.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct AlertLimits {
    /// Alerts of one rule in a second; 0 for no limit.
    pub(crate) rate: f64,
    /// Alerts of one rule at once before the rate counts.
    pub(crate) burst: u32,
    /// Seconds in which the same rule does not say the same again; 0 for none.
    pub(crate) same_for: u64,
}

impl Default for StdoutOutput {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for SyslogOutput {
    fn default() -> Self {
        Self { enabled: false, facility: "user".into(), tag: TAG.into(), socket: None }
    }
}

impl Default for JournaldOutput {
    fn default() -> Self {
        Self { enabled: false, tag: TAG.into(), socket: None }
    }
}

impl Default for HttpOutput {
    fn default() -> Self {
        Self {
            enabled: false,
            url: None,
            user_agent: concat!("eyasd/", env!("CARGO_PKG_VERSION")).into(),
            insecure: false,
            ca_cert: None,
            ca_bundle: None,
            ca_path: None,
            mtls: false,
            client_cert: None,
            client_key: None,
            compress_uploads: false,
            keep_alive: true,
            batch: 1,
            timeout: 5,
            give_up_after: 30,
            program: None,
            user: POSTING_USER.into(),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { capacity: DEFAULT_QUEUE_ALERTS, max_bytes: DEFAULT_QUEUE_BYTES }
    }
}

impl Config {
    /// Where alerts go. Files that an output needs are read here, so that what is wrong with them is
    /// said at start.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, ConfigError> {
        let mut targets = Vec::new();
        if self.stdout_output.enabled {
            targets.push(Target::Stdout);
        }
        if self.file_output.enabled {
            let path =
                needed("file_output.filename", set(self.file_output.filename.as_ref()).cloned())?;
            targets.push(Target::File(path));
        }
        if self.syslog_output.enabled {
            targets.push(self.syslog_output.target()?);
        }
        if self.journald_output.enabled {
            let JournaldOutput { tag, socket, .. } = self.journald_output.clone();
            targets.push(Target::Journal { socket, tag });
        }
        if self.unix_output.enabled {
            let path = needed("unix_output.path", set(self.unix_output.path.as_ref()).cloned())?;
            targets.push(Target::Datagram(path));
        }
        if self.program_output.enabled {
            let ProgramOutput { keep_alive, program, .. } = self.program_output.clone();
            let command = needed("program_output.program", program)?;
            targets.push(Target::Program(ProgramTarget { command, keep_alive }));
        }
        if self.http_output.enabled {
            let target = self.http_output.target(self.json_output)?;
            targets.push(Target::Http(Box::new(target)));
        }
        Ok(targets)
    }

    /// What may wait for each output. A capacity of 0 stands for the default: no queue is unbounded.
    pub(crate) fn queue(&self) -> QueueLimits {
        let Queue { capacity, max_bytes } = self.outputs_queue;
        let alerts = if capacity == 0 { DEFAULT_QUEUE_ALERTS } else { capacity };
        QueueLimits { alerts, bytes: max_bytes }
    }

    /// How alerts are laid out on this host.
    pub(crate) fn format(&self, host: &Host) -> Format {
        Format {
            json: self.json_output,
            include_output: self.json_include_output_property,
            include_message: self.json_include_message_property,
            include_fields: self.json_include_output_fields_property,
            include_tags: self.json_include_tags_property,
            time_iso_8601: self.time_format_iso_8601,
            hostname: String::from_utf8_lossy(&host.name).into(),
            local: host.local.clone(),
        }
    }

    /// When alerts are held back.
    pub(crate) fn hold_limits(&self) -> HoldLimits {
        let AlertLimits { rate, burst, same_for } = self.alert_limits;
        HoldLimits { rate, burst, same_for_s: same_for }
    }
}

impl Config {
    /// The first setting of an output that no output could have.
    pub(super) fn output_flaw(&self) -> Option<Flaw> {
        let Queue { capacity, max_bytes } = self.outputs_queue;
        let http = &self.http_output;
        let number = |key, found: u64, allowed: std::ops::RangeInclusive<u64>| {
            let why = format!(
                "is `{found}`, expected a number from {} to {}",
                allowed.start(),
                allowed.end()
            );
            (!allowed.contains(&found)).then(|| Flaw::new(key, why))
        };
        let facility = &self.syslog_output.facility;
        let unknown = Facility::named(facility).is_none().then(|| {
            let why = format!("is `{facility}`, expected a name such as `user` or `local0`");
            Flaw::new("syslog_output.facility", why)
        });
        let flaws = [
            unknown,
            number("outputs_queue.capacity", capacity as u64, 0..=MAX_QUEUE_ALERTS),
            number("outputs_queue.max_bytes", max_bytes, 1..=MAX_QUEUE_BYTES),
            number("http_output.batch", http.batch as u64, 1..=MAX_BATCH),
            number("http_output.timeout", http.timeout, 1..=MAX_SECONDS),
            number("http_output.give_up_after", http.give_up_after, 1..=MAX_SECONDS),
            http.url_flaw(),
        ];
        flaws.into_iter().flatten().next()
    }
}

impl SyslogOutput {
    fn target(&self) -> Result<Target, ConfigError> {
        let Self { facility, tag, socket, .. } = self.clone();
        let facility = Facility::named(&facility).ok_or_else(|| {
            wrong(format!(
                "`syslog_output.facility` is `{facility}`, expected a name such as `user` or `local0`"
            ))
        })?;
        Ok(Target::Syslog(SyslogTarget { socket, facility, tag }))
    }
}

impl HttpOutput {
    fn target(&self, json: bool) -> Result<HttpTarget, ConfigError> {
        let url = needed("http_output.url", self.url.clone().filter(|url| !url.is_empty()))?;
        let authorities = self.authorities()?;
        let identity = if self.mtls {
            let chain = needed("http_output.client_cert", set(self.client_cert.as_ref()).cloned())?;
            let key = needed("http_output.client_key", set(self.client_key.as_ref()).cloned())?;
            Some(format!("{}\n{}", pem(&chain)?, pem(&key)?))
        } else {
            None
        };
        let post = Post {
            url,
            user_agent: self.user_agent.clone(),
            json,
            insecure: self.insecure,
            authorities,
            identity,
            compress: self.compress_uploads,
            keep_alive: self.keep_alive,
            batch: self.batch,
            timeout_s: self.timeout,
            give_up_s: self.give_up_after,
        };
        let program = self.program.clone().unwrap_or_else(beside_us);
        let arguments = vec!["sensor".to_owned(), "post-alerts".to_owned()];
        Ok(HttpTarget { post, program: (program, arguments), user: self.posting_user()? })
    }

    fn url_flaw(&self) -> Option<Flaw> {
        let url = self.url.as_deref().filter(|url| !url.is_empty())?;
        let why = if url.contains(HIDDEN) {
            format!(
                "has `{HIDDEN}`, which stands for what is not shown: expected the password itself"
            )
        } else if url.starts_with("http://") || url.starts_with("https://") {
            return None;
        } else {
            format!("is `{url}`, expected an address with `http://` or `https://`")
        };
        Some(Flaw::new("http_output.url", why))
    }

    /// Files that are read for it.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files =
            [&self.ca_cert, &self.ca_bundle, &self.ca_path, &self.client_cert, &self.client_key];
        files.into_iter().filter_map(|path| set(path.as_ref())).cloned()
    }

    /// Authorities beside the system's. Every file in a directory is looked at; such directories have others in them.
    fn authorities(&self) -> Result<Vec<String>, ConfigError> {
        let files =
            [&self.ca_cert, &self.ca_bundle].into_iter().filter_map(|path| set(path.as_ref()));
        let mut found: Vec<String> = files.map(|path| pem(path)).collect::<Result<_, _>>()?;
        let Some(folder) = set(self.ca_path.as_ref()) else { return Ok(found) };
        let failed = |error: std::io::Error| {
            wrong(format!("`http_output.ca_path`: cannot read `{}`: {error}", folder.display()))
        };
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        paths.sort();
        let mut inside: Vec<String> =
            paths.iter().filter(|path| path.is_file()).filter_map(|path| pem(path).ok()).collect();
        // Such a directory has each of them by several names.
        inside.sort_unstable();
        inside.dedup();
        if inside.is_empty() {
            let folder = folder.display();
            return Err(wrong(format!(
                "`http_output.ca_path`: no certificate in PEM in `{folder}`"
            )));
        }
        found.append(&mut inside);
        Ok(found)
    }

    /// Nobody, when we are root; ourselves otherwise, for then we may become nobody else.
    fn posting_user(&self) -> Result<Option<(u32, u32)>, ConfigError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        host::user(&self.user).map(Some).ok_or_else(|| {
            wrong(format!("`http_output.user` is `{}`, and there is no such user here", self.user))
        })
    }
}

/// A path that is set: an empty text stands for none.
fn set(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// An address whose password, and what its query says, are hidden.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        // A variable of the environment is its name already.
        Some((user, host)) if !user.contains("${") => {
            format!("{}:{HIDDEN}@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => authority.to_owned(),
    };
    let rest = match rest.split_once('?') {
        Some((path, query)) if !query.contains("${") => format!("{path}?{HIDDEN}"),
        _ => rest.to_owned(),
    };
    format!("{scheme}://{authority}{rest}")
}

fn needed<T>(key: &str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| wrong(format!("`{key}` is not set, and the output is enabled")))
}

fn wrong(why: String) -> ConfigError {
    ConfigError::Value { name: "the configuration".into(), why }
}

fn pem(path: &Path) -> Result<String, ConfigError> {
    let bytes = crate::generation::read_capped(path, MAX_PEM_BYTES)
        .map_err(|error| ConfigError::Read { why: error.to_string() })?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN "))
        .ok_or_else(|| wrong(format!("`{}` holds no certificate or key in PEM", path.display())))
}

/// `eyas` in the directory of this program, or wherever the search path has it.
fn beside_us() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("eyas"));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "eyas".into())
}
