//! Keys of a Falco configuration that are not ours: those with another name here, and those with no meaning.
//!
//! A key whose value asks for nothing that would be missed is named beside others of its kind. One whose value asks
//! for something gets a line of its own that says what to do instead; where leaving it out would be unsafe, it is
//! refused.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::ContainerSources;
use super::check::Flaw;

/// A key that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// The key as a path with dots.
    pub(crate) key: &'static str,
    /// What to do instead, where the value asks for something.
    pub(crate) instead: Option<&'static str>,
}

/// Which values ask for something.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// None.
    Never,
    /// `true`.
    True,
    /// `false`.
    False,
    /// Anything but nothing, `false`, 0, an empty text, list or mapping.
    Something,
    /// A mapping with `enabled: true`.
    Enabled,
    /// A mapping with another `kind` than a driver's.
    OtherKind,
    /// A mapping with sockets of Kubernetes' runtimes that are not looked at anyway.
    OtherSockets,
    /// A list with another `name` than that of the built-in metadata of containers.
    OtherPlugin,
}

const NO_GRPC: &str = "alerts go to `http_output`, `unix_output` or another output, and `eyas sensor tail` \
                       shows them as they come";
const NO_PLUGINS: &str =
    "there are no plugins here; what is known of containers is built in, see `containers`";

/// Keys without a meaning here.
const FOREIGN: &[(&str, Asks, &str)] = &[
    ("buffered_outputs", Asks::Never, ""),
    (
        "container_engines",
        Asks::OtherSockets,
        "all runtimes are looked at; `containers.docker_sockets` and `containers.cri_sockets` say where",
    ),
    (
        "engine",
        Asks::OtherKind,
        "the probe is chosen by itself; a capture is judged by `eyasd --replay FILE`, and \
         `probe.kind: none` reads no events from the kernel",
    ),
    ("falco_libs", Asks::Never, ""),
    ("file_output.keep_alive", Asks::Never, ""),
    ("grpc", Asks::Enabled, NO_GRPC),
    ("grpc_output", Asks::Enabled, NO_GRPC),
    ("http_output.echo", Asks::True, "what a receiver answers is not written down"),
    ("http_output.max_consecutive_timeouts", Asks::Never, ""),
    ("libs_logger", Asks::Never, ""),
    ("load_plugins", Asks::OtherPlugin, NO_PLUGINS),
    ("log_stderr", Asks::False, "the sensor's own messages always go to standard error"),
    ("log_syslog", Asks::Never, ""),
    ("metrics.include_empty_values", Asks::Never, ""),
    ("metrics.jemalloc_stats_enabled", Asks::Never, ""),
    ("metrics.kernel_event_counters_per_cpu_enabled", Asks::Never, ""),
    ("metrics.kernel_iter_event_counters_enabled", Asks::Never, ""),
    ("metrics.libbpf_stats_enabled", Asks::Never, ""),
    ("metrics.plugins_metrics_enabled", Asks::Never, ""),
    ("output_timeout", Asks::Never, ""),
    ("outputs", Asks::Something, "`alert_limits` limits each rule by itself"),
    ("plugins", Asks::Never, ""),
    ("plugins_hostinfo", Asks::Never, ""),
    ("stdout_output.keep_alive", Asks::Never, ""),
    ("syscall_event_drops.simulate_drops", Asks::True, "losses are not simulated"),
    ("syscall_event_timeouts", Asks::Never, ""),
    ("webserver.ssl_certificate", Asks::Never, ""),
    ("webserver.threadiness", Asks::Never, ""),
];

/// Bytes in the unit of Falco's size of captures.
const MB: u64 = 1024 * 1024;

/// Renames what has another name here and takes out what has no meaning. What would be unsafe to leave out is an
/// error.
pub(super) fn take_out(config: &mut Map<String, Value>) -> Result<Vec<Ignored>, Flaw> {
    rename_rules(config)?;
    rename_size(config)?;
    refuse_tls(config)?;
    let mut ignored = Vec::new();
    for (key, asks, instead) in FOREIGN {
        let (folder, last) = key.rsplit_once('.').unwrap_or(("", key));
        let inside = if folder.is_empty() {
            Some(&mut *config)
        } else {
            config.get_mut(folder).and_then(Value::as_object_mut)
        };
        if let Some(value) = inside.and_then(|map| map.remove(last)) {
            let instead = asks.for_something(&value).then_some(*instead);
            ignored.push(Ignored { key, instead });
        }
    }
    Ok(ignored)
}

/// `rules_file`, of old, is `rules_files`.
fn rename_rules(config: &mut Map<String, Value>) -> Result<(), Flaw> {
    let Some(old) = config.remove("rules_file") else { return Ok(()) };
    if config.contains_key("rules_files") {
        return Err(Flaw::new(
            "rules_file",
            "is set beside `rules_files`, expected only the latter",
        ));
    }
    let list = if old.is_array() { old } else { Value::Array(vec![old]) };
    config.insert("rules_files".into(), list);
    Ok(())
}

/// `capture.max_file_size_mb` is `capture.max_bytes` in another unit; 0 stands for what is usual.
fn rename_size(config: &mut Map<String, Value>) -> Result<(), Flaw> {
    const OLD: &str = "max_file_size_mb";
    let capture = config.get_mut("capture").and_then(Value::as_object_mut);
    let Some((capture, size)) = capture.and_then(|map| map.remove(OLD).map(|size| (map, size)))
    else {
        return Ok(());
    };
    let bytes = size.as_u64().and_then(|size| size.checked_mul(MB)).ok_or_else(|| {
        Flaw::new(format!("capture.{OLD}"), format!("is `{size}`, expected a number of megabytes"))
    })?;
    if bytes > 0 {
        capture.entry("max_bytes").or_insert_with(|| bytes.into());
    }
    Ok(())
}

/// Who asks for TLS must not be served without it in silence.
fn refuse_tls(config: &mut Map<String, Value>) -> Result<(), Flaw> {
    let server = config.get_mut("webserver").and_then(Value::as_object_mut);
    match server.and_then(|map| map.remove("ssl_enabled")) {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) => Err(Flaw::new(
            "webserver.ssl_enabled",
            "is set, and health and metrics are served without TLS only: set it to `false`, and let \
             `webserver.listen_address` be a loopback address or a proxy stand in front",
        )),
    }
}

impl Asks {
    fn for_something(self, value: &Value) -> bool {
        let is = |map: &Value, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        match self {
            Self::Never => false,
            Self::True => *value == Value::Bool(true),
            Self::False => *value == Value::Bool(false),
            Self::Enabled => value.get("enabled") == Some(&Value::Bool(true)),
            Self::OtherKind => is(value, "kind").is_some_and(|kind| {
                !["auto", "modern_ebpf", "ebpf", "kmod", "module"].contains(&kind.as_str())
            }),
            Self::OtherPlugin => value
                .as_array()
                .is_some_and(|names| names.iter().any(|name| name.as_str() != Some("container"))),
            Self::OtherSockets => {
                let known = ContainerSources::default().cri_sockets;
                let named = value.pointer("/cri/sockets").and_then(Value::as_array);
                let path = |socket: &Value| socket.as_str().map(PathBuf::from);
                named.into_iter().flatten().filter_map(path).any(|path| !known.contains(&path))
            }
            Self::Something => match value {
                Value::Null => false,
                Value::Bool(truth) => *truth,
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::String(text) => !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                Value::Object(map) => !map.is_empty(),
            },
        }
    }
}

/// What there is to say about keys that were left out: a line for each that was meant to do something, and one for
/// the rest.
pub(crate) fn lines(ignored: &[Ignored]) -> Vec<String> {
    let mut lines: Vec<String> = ignored
        .iter()
        .filter_map(|one| Some(format!("`{}` is ignored: {}", one.key, one.instead?)))
        .collect();
    let rest: Vec<&str> =
        ignored.iter().filter(|one| one.instead.is_none()).map(|one| one.key).collect();
    if !rest.is_empty() {
        lines.push(format!("ignored, for they have no meaning here: `{}`", rest.join("`, `")));
    }
    lines
}
