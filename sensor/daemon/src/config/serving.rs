//! What the daemon tells about itself: the HTTP endpoint, periodic figures, lost events.

use std::time::Duration;

use eyas_metadata::Places;
use serde::{Deserialize, Serialize};

use super::Config;

/// The HTTP endpoint for health, metrics and versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct WebServer {
    pub(crate) enabled: bool,
    /// Loopback unless said otherwise: there is no authentication.
    pub(crate) listen_address: String,
    pub(crate) listen_port: u16,
    pub(crate) k8s_healthz_endpoint: String,
    /// Whether `/metrics` is served.
    pub(crate) prometheus_metrics_enabled: bool,
}

/// Figures written from time to time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as users know it")]
pub(crate) struct Metrics {
    pub(crate) enabled: bool,
    /// Time between two, such as `1h` or `30s`.
    pub(crate) interval: String,
    /// Write them as an alert.
    pub(crate) output_rule: bool,
    /// Append them to a file.
    pub(crate) output_file: Option<std::path::PathBuf>,
    /// Matches of each rule.
    pub(crate) rules_counters_enabled: bool,
    /// Memory and CPU time.
    pub(crate) resource_utilization_enabled: bool,
    /// Sizes of tables.
    pub(crate) state_counters_enabled: bool,
    /// Events and losses of the kernel.
    pub(crate) kernel_event_counters_enabled: bool,
}

/// What is done when the kernel could not hand over events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct EventDrops {
    /// Share of lost events in a second from which on something is done.
    pub(crate) threshold: f64,
    pub(crate) actions: Vec<Action>,
    /// Actions in a second.
    pub(crate) rate: f64,
    /// Actions at once before the rate counts.
    pub(crate) max_burst: f64,
}

/// One thing to do about lost events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Nothing.
    Ignore,
    /// A line among the daemon's own messages.
    Log,
    /// An alert.
    Alert,
    /// Leave, with an error.
    Exit,
}

/// Where container runtimes are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ContainerSources {
    /// Where the host's root is; `HOST_ROOT` of the environment, or `/`.
    pub(crate) host_root: Option<std::path::PathBuf>,
    /// Sockets of Docker and of those who speak as it does.
    pub(crate) docker_sockets: Vec<std::path::PathBuf>,
    /// Sockets of Kubernetes' runtimes.
    pub(crate) cri_sockets: Vec<std::path::PathBuf>,
    /// Longest label that is kept, in bytes.
    pub(crate) label_max_len: usize,
}

/// What the daemon gives up once it has started. Each may be left out where something else needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub(crate) struct Hardening {
    /// Capabilities that are not needed.
    pub(crate) capabilities: bool,
    /// Gaining privileges by running a program.
    pub(crate) no_new_privileges: bool,
    /// System calls that are not needed.
    pub(crate) seccomp: bool,
    /// Writing to files elsewhere than where outputs write.
    pub(crate) landlock: bool,
}

impl Default for Hardening {
    fn default() -> Self {
        Self { capabilities: true, no_new_privileges: true, seccomp: true, landlock: true }
    }
}

/// Shortest time between two snapshots of figures.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

impl Metrics {
    /// The time between two; why not, if it is none.
    pub(crate) fn every(&self) -> Result<Duration, String> {
        let text = self.interval.trim();
        let wrong = || {
            format!(
                "`metrics.interval` is `{text}`, expected a number and a unit such as `30s`, `15m` \
                 or `1h`, at least `100ms`"
            )
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
        let every = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3600),
            "d" => seconds(86_400),
            "w" => seconds(604_800),
            _ => None,
        };
        every.filter(|every| *every >= SHORTEST_INTERVAL).ok_or_else(wrong)
    }
}

impl Default for ContainerSources {
    fn default() -> Self {
        let Places { docker_sockets, cri_sockets, label_bytes, .. } = Places::default();
        Self { host_root: None, docker_sockets, cri_sockets, label_max_len: label_bytes }
    }
}

impl Config {
    /// Where container runtimes keep what they know.
    pub(crate) fn places(&self) -> Places {
        let ContainerSources { host_root, docker_sockets, cri_sockets, label_max_len } =
            self.containers.clone();
        let variable = || std::env::var_os("HOST_ROOT").filter(|root| !root.is_empty());
        let root = host_root.or_else(|| variable().map(Into::into)).unwrap_or_else(|| "/".into());
        Places { root, docker_sockets, cri_sockets, label_bytes: label_max_len }
    }
}

impl Default for WebServer {
    fn default() -> Self {
        Self {
            enabled: false,
            listen_address: "127.0.0.1".into(),
            listen_port: 8765,
            k8s_healthz_endpoint: "/healthz".into(),
            prometheus_metrics_enabled: true,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: "1h".into(),
            output_rule: true,
            output_file: None,
            rules_counters_enabled: true,
            resource_utilization_enabled: true,
            state_counters_enabled: true,
            kernel_event_counters_enabled: true,
        }
    }
}

impl Default for EventDrops {
    /// As users know it, but for the threshold: a small loss is no less a loss.
    fn default() -> Self {
        Self {
            threshold: 0.0,
            actions: vec![Action::Log, Action::Alert],
            rate: 0.03333,
            max_burst: 1.0,
        }
    }
}
