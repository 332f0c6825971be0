//! Where alerts go, as a configuration says it. Keys are those of Falco where it has them.

use std::fs;
use std::path::{Path, PathBuf};

use eyas_output::{
    DEFAULT_QUEUE_ALERTS, DEFAULT_QUEUE_BYTES, Facility, Format, HoldLimits, HttpTarget, Post,
    ProgramTarget, QueueLimits, SyslogTarget, Target,
};
use eyas_state::Host;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};
use crate::host;

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
            let path = needed("file_output.filename", self.file_output.filename.clone())?;
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
            let path = needed("unix_output.path", self.unix_output.path.clone())?;
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
        let url = needed("http_output.url", self.url.clone())?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong(format!(
                "`http_output.url` is `{url}`, expected an address with `http://` or `https://`"
            )));
        }
        if self.batch == 0 {
            return Err(wrong("`http_output.batch` is `0`, expected at least 1".into()));
        }
        let files = self.authority_files()?;
        let authorities: Vec<String> =
            files.iter().map(|path| pem(path)).collect::<Result<_, _>>()?;
        let identity = if self.mtls {
            let chain = needed("http_output.client_cert", self.client_cert.clone())?;
            let key = needed("http_output.client_key", self.client_key.clone())?;
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

    /// Files that are read for it.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files =
            [&self.ca_cert, &self.ca_bundle, &self.ca_path, &self.client_cert, &self.client_key];
        files.into_iter().flatten().cloned()
    }

    fn authority_files(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let mut files: Vec<PathBuf> =
            [&self.ca_cert, &self.ca_bundle].into_iter().flatten().cloned().collect();
        if let Some(folder) = &self.ca_path {
            let failed = |error: std::io::Error| {
                wrong(format!("`http_output.ca_path`: cannot read `{}`: {error}", folder.display()))
            };
            let mut found = Vec::new();
            for entry in fs::read_dir(folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_file() {
                    found.push(path);
                }
            }
            found.sort();
            files.extend(found);
        }
        Ok(files)
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
