//! What the daemon tells about itself: the HTTP endpoint, periodic figures, lost events.

use std::time::Duration;

use eyas_metadata::Places;
use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Flaw;

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
    /// Memory in megabytes instead of kilobytes.
    pub(crate) convert_memory_to_mb: bool,
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
/// Units of time in the order in which they may stand, and their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Metrics {
    /// The time between two; `None` if it is none.
    pub(crate) fn every(&self) -> Option<Duration> {
        interval(&self.interval).filter(|every| *every >= SHORTEST_INTERVAL)
    }

    /// Whether the interval is none.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        let why = || {
            format!(
                "is `{}`, expected a time such as `30s`, `15m` or `1h30m`, at least `100ms`",
                self.interval
            )
        };
        self.every().is_none().then(|| Flaw::new("metrics.interval", why()))
    }
}

/// A time in units that come in their order, each at most once, such as `1h30m`.
fn interval(text: &str) -> Option<Duration> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = text.as_str();
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = after;
    }
    Some(Duration::from_millis(total))
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
            convert_memory_to_mb: true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_in_their_order() {
        let millis = |text| interval(text).map(|time| time.as_millis());
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1y2w3d4h5m6s7ms"), Some(33_019_506_007));
        assert_eq!(millis(" 2 m 500 ms"), Some(120_500));
        for wrong in ["30", "m", "1m1h", "1h1h", "1x", "-1s", "1.5h", "99999999999999999999y"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
