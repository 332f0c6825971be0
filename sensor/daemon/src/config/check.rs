//! Checking a configuration against its defaults: every key known, every value of the right kind.
//!
//! The defaults are the schema, so there is no second list of keys that could differ.

use eyas_rules::report::nearest;
use serde_json::{Map, Value};

use super::Config;

/// Keys of a Falco configuration that are accepted and have no meaning here, or none yet.
const IGNORED: [&str; 33] = [
    "append_output_suggested",
    "buffered_outputs",
    "container_engines",
    "engine",
    "falco_libs",
    "file_output.keep_alive",
    "grpc",
    "grpc_output",
    "http_output.echo",
    "http_output.max_consecutive_timeouts",
    "json_include_message",
    "libs_logger",
    "load_plugins",
    "log_stderr",
    "log_syslog",
    "metrics.convert_memory_to_mb",
    "metrics.include_empty_values",
    "metrics.jemalloc_stats_enabled",
    "metrics.kernel_event_counters_per_cpu_enabled",
    "metrics.kernel_iter_event_counters_enabled",
    "metrics.libbpf_stats_enabled",
    "metrics.plugins_metrics_enabled",
    "output_timeout",
    "outputs",
    "plugins",
    "plugins_hostinfo",
    "rules_file",
    "stdout_output.keep_alive",
    "syscall_event_drops.simulate_drops",
    "syscall_event_timeouts",
    "webserver.ssl_certificate",
    "webserver.ssl_enabled",
    "webserver.threadiness",
];

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{why}")]
    Read {
        /// Which file, and why.
        why: String,
    },
    /// The file is no YAML.
    #[error("{name}: {why}")]
    Syntax {
        /// Which file.
        name: String,
        /// Where, and what was found.
        why: String,
    },
    /// A value is of the wrong kind or none of those allowed.
    #[error("{name}: {why}")]
    Value {
        /// Which file.
        name: String,
        /// Which key, what was found and expected.
        why: String,
    },
    /// Keys are not known or values of the wrong kind; one line for each.
    #[error("{}", problems.join("\n"))]
    Keys {
        /// Every problem, with file and line.
        problems: Vec<String>,
    },
    /// An `-o` argument is no `KEY=VALUE`.
    #[error("`{found}` is not a setting, expected `KEY=VALUE`")]
    Option {
        /// What was given.
        found: String,
    },
}

impl ConfigError {
    /// What to do about it, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Keys { .. } => {
                Some("`eyasd --print-config` shows every key with its present value".into())
            }
            _ => None,
        }
    }
}

/// Reads YAML into a mapping.
pub(super) fn parse(name: &str, text: &str) -> Result<Value, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::Syntax { name: name.to_owned(), why: error.to_string() })?;
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        other => Err(ConfigError::Value {
            name: name.to_owned(),
            why: format!("expected a mapping of settings, found {}", kind(&other)),
        }),
    }
}

/// Sets `KEY=VALUE`, the key being a path with dots.
pub(super) fn set(config: &mut Value, option: &str) -> Result<(), ConfigError> {
    let wrong = || ConfigError::Option { found: option.to_owned() };
    let (path, text) = option.split_once('=').ok_or_else(wrong)?;
    let value: Value =
        serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let mut at = config;
    for key in path.split('.') {
        if key.is_empty() {
            return Err(wrong());
        }
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return Err(wrong()) };
        at = map.entry(key).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}

/// Finds unknown keys and values of the wrong kind, and takes the ignored keys out.
pub(super) fn against_defaults(
    name: &str,
    text: &str,
    value: &mut Value,
) -> Result<Vec<String>, ConfigError> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut ignored = Vec::new();
    for key in IGNORED {
        let (folder, last) = key.rsplit_once('.').unwrap_or(("", key));
        let inside = if folder.is_empty() { Some(&mut *value) } else { value.get_mut(folder) };
        if inside.and_then(Value::as_object_mut).is_some_and(|map| map.remove(last).is_some()) {
            ignored.push(key.to_owned());
        }
    }
    let mut problems = Vec::new();
    walk(value, &defaults, "", &mut |path, why| {
        let place = place_of(text, path).unwrap_or_default();
        problems.push(format!("{name}{place}: {why}"));
    });
    if problems.is_empty() { Ok(ignored) } else { Err(ConfigError::Keys { problems }) }
}

fn walk(value: &Value, default: &Value, path: &str, tell: &mut dyn FnMut(&str, String)) {
    let (Value::Object(found), Value::Object(known)) = (value, default) else {
        if !fits(value, default) {
            let expected = kind(default);
            tell(path, format!("`{path}` is {}, expected {expected}", kind(value)));
        }
        return;
    };
    // An empty mapping among the defaults takes any keys.
    if known.is_empty() {
        return;
    }
    for (key, value) in found {
        // Read by whoever puts several files together.
        if path.is_empty() && key == "config_files" {
            continue;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(default) = known.get(key) {
            walk(value, default, &path, tell);
        } else {
            let near = nearest(key, known.keys().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`"));
            tell(&path, format!("unknown key `{path}`{hint}"));
        }
    }
}

/// Whether a value is of its default's kind. `null` means the default is "nothing", so that any
/// text or number may stand there.
fn fits(value: &Value, default: &Value) -> bool {
    match (value, default) {
        (Value::Null, _) => default.is_null() || default.is_string(),
        (_, Value::Null) => value.is_string() || value.is_number(),
        (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_))
        | (Value::Array(_), Value::Array(_))
        | (Value::Object(_), Value::Object(_)) => true,
        (Value::Number(found), Value::Number(known)) if known.is_f64() => {
            found.as_f64().is_some_and(|number| number >= 0.0)
        }
        (Value::Number(found), Value::Number(_)) => found.is_u64(),
        _ => false,
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(truth) => format!("the truth value `{truth}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// Where a key stands, as `:line:column`. A mapping that is written in braces is pointed at as far as its
/// own lines tell: its key in the innermost mapping above it that has a line of its own.
fn place_of(text: &str, path: &str) -> Option<String> {
    let wanted: Vec<&str> = path.split('.').collect();
    // Keys that the present line is below of, with their columns.
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut best: Option<(usize, usize, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let Some((column, key)) = key_of(line) else { continue };
        above.retain(|(other, _)| *other < column);
        above.push((column, key));
        let same = above.iter().map(|(_, key)| *key).eq(wanted.iter().take(above.len()).copied());
        if !same || best.is_some_and(|(depth, ..)| depth >= above.len()) {
            continue;
        }
        // In braces behind the innermost key, if it is not the whole path yet.
        let inside = wanted.last().filter(|_| above.len() < wanted.len());
        let inside = inside.and_then(|last| line.find(&format!("{last}:")));
        best = Some((above.len(), number + 1, inside.unwrap_or(column) + 1));
    }
    best.map(|(_, line, column)| format!(":{line}:{column}"))
}

/// The key that begins a line of a block mapping, and its column from 0.
fn key_of(line: &str) -> Option<(usize, &str)> {
    let body = line.trim_start();
    if body.starts_with(['#', '-']) {
        return None;
    }
    let (key, _) = body.split_once(':')?;
    Some((line.len() - body.len(), key.trim().trim_matches(['"', '\''])))
}
