//! The configuration file: keys of `falcoctl.yaml` and a few of our own, in any case.
//!
//! The file is read into a tree whose keys are lower case; values are asked for by dotted key.
//! Keys that nothing here reads are reported, never refused: a chart renders whole files verbatim.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{BasicAuth, IndexSource, SettingsError, host_of, split};

/// Largest configuration file that is read.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// Keys that are read here, dotted and in lower case.
pub(super) const KNOWN: &[&str] = &[
    "artifact.allowedtypes",
    "artifact.follow.cron",
    "artifact.follow.every",
    "artifact.follow.falcoversions",
    "artifact.follow.jitter",
    "artifact.follow.listen",
    "artifact.follow.refs",
    "artifact.follow.startupbehavior",
    "artifact.install.refs",
    "artifact.install.resolvedeps",
    "artifact.noverify",
    "artifact.trustindex",
    "cachedir",
    "indexes",
    "logformat",
    "loglevel",
    "output",
    "policy",
    "registries",
    "registry.auth.aws",
    "registry.auth.azure",
    "registry.auth.basic",
    "registry.auth.gcp",
    "registry.auth.oauth",
    "registry.cafiles",
    "registry.creds.config",
    "registry.insecure",
    "registry.plainhttp",
    "sensor.required",
    "sensor.socket",
    "store",
];

/// Keys that ask for something that does not happen here, which nobody should find out by waiting.
const MISSED: &[&str] = &[
    "artifact.follow.assetsdir",
    "artifact.follow.pluginsdir",
    "artifact.follow.rulesfilesdir",
    "artifact.install.assetsdir",
    "artifact.install.pluginsdir",
    "artifact.install.rulesfilesdir",
];

/// A key without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The key, its file, and that it has no effect.
    pub(crate) text: String,
    /// Whether it asks for something that does not happen.
    pub(crate) missed: bool,
}

/// A configuration file, or nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigFile {
    path: Option<PathBuf>,
    tree: Map<String, Value>,
}

impl ConfigFile {
    /// Reads a file that must exist.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::open(path)?.ok_or_else(|| SettingsError::Missing { path: path.to_owned() })
    }

    /// Reads a file that may be absent.
    pub(super) fn read_if_present(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self::open(path)?.unwrap_or_default())
    }

    fn open(path: &Path) -> Result<Option<Self>, SettingsError> {
        let unreadable =
            |reason: String| SettingsError::Unreadable { path: path.to_owned(), reason };
        match fs::metadata(path) {
            Ok(found) if found.len() > MAX_CONFIG_BYTES => {
                return Err(unreadable(format!(
                    "it has {} bytes, more than {MAX_CONFIG_BYTES}",
                    found.len()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(path, &text).map(Some)
    }

    /// Reads the text of a file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let invalid = |reason: String| SettingsError::Invalid { path: path.to_owned(), reason };
        let value = if text.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str::<Value>(text).map_err(|error| invalid(first_line(&error)))?
        };
        let tree = match lower(value) {
            Value::Null => Map::new(),
            Value::Object(tree) => tree,
            _ => return Err(invalid("expected a mapping of keys to values".to_owned())),
        };
        Ok(Self { path: Some(path.to_owned()), tree })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A scalar by dotted key, and where it is from.
    pub(super) fn scalar(&self, key: &str) -> Option<(String, String)> {
        let text = match self.find(key)? {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            _ => return None,
        };
        Some((text, self.origin(key)))
    }

    /// A list by dotted key; a single string is split at `separator`.
    pub(super) fn list(&self, key: &str, separator: char) -> Result<Vec<String>, SettingsError> {
        match self.find(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(split(text, separator)),
            Some(Value::Array(items)) => items.iter().map(|item| self.item(key, item)).collect(),
            Some(other) => Err(self.wrong(key, other, "a list of strings")),
        }
    }

    /// The entries of `indexes`.
    pub(super) fn indexes(&self) -> Result<Vec<IndexSource>, SettingsError> {
        let entries = self.entries("indexes")?;
        entries
            .iter()
            .map(|entry| match (text_of(entry, "name"), text_of(entry, "url")) {
                (Some(name), Some(url)) => Ok(IndexSource { name, url, added: false }),
                _ => Err(self.wrong("indexes", entry, "entries with `name` and `url`")),
            })
            .collect()
    }

    /// The entries of `registry.auth.basic`.
    pub(super) fn basic_auth(&self) -> Result<Vec<BasicAuth>, SettingsError> {
        const KEY: &str = "registry.auth.basic";
        self.entries(KEY)?
            .iter()
            .map(|entry| {
                let field = |name| text_of(entry, name);
                match (field("registry"), field("user"), field("password")) {
                    (Some(registry), Some(user), Some(password)) => {
                        Ok(BasicAuth { registry: host_of(&registry), user, password })
                    }
                    // The entry may hold a password, so it is not shown.
                    _ => Err(SettingsError::Value {
                        value: field("registry").unwrap_or_else(|| "entry".to_owned()),
                        origin: self.origin(KEY),
                        expected: "entries with `registry`, `user` and `password`".to_owned(),
                    }),
                }
            })
            .collect()
    }

    /// Keys that have no effect.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let mut keys = Vec::new();
        leaves(&self.tree, "", &mut keys);
        keys.iter()
            .filter(|key| !KNOWN.contains(&key.as_str()))
            .map(|key| Remark {
                text: format!("{} has no effect here", self.origin(key)),
                missed: MISSED.contains(&key.as_str()),
            })
            .collect()
    }

    /// Hosts of a list, whose entries are hosts or have a `registry`.
    pub(super) fn hosts(&self, key: &str) -> Result<Vec<String>, SettingsError> {
        let host = |entry: Value| match &entry {
            Value::String(host) => Ok(host.clone()),
            other => text_of(other, "registry")
                .ok_or_else(|| self.wrong(key, other, "entries with `registry`")),
        };
        self.entries(key)?.into_iter().map(host).collect()
    }

    /// The entries of a list of mappings, their keys in lower case.
    pub(super) fn entries(&self, key: &str) -> Result<Vec<Value>, SettingsError> {
        match self.find(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(entries)) => Ok(entries.clone()),
            Some(other) => Err(self.wrong(key, other, "a list")),
        }
    }

    fn item(&self, key: &str, item: &Value) -> Result<String, SettingsError> {
        match item {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(self.wrong(key, other, "a list of strings")),
        }
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let key = key.to_ascii_lowercase();
        let mut parts = key.split('.');
        let mut value = self.tree.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        Some(value)
    }

    /// Where the value of a key is from.
    pub(super) fn origin(&self, key: &str) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new("eyas.yaml"));
        format!("the key `{key}` of `{}`", path.display())
    }

    fn wrong(&self, key: &str, value: &Value, expected: &str) -> SettingsError {
        SettingsError::Value {
            value: value.to_string(),
            origin: self.origin(key),
            expected: expected.to_owned(),
        }
    }
}

/// The same value with every mapping key in lower case.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, value)| (key.to_ascii_lowercase(), lower(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(lower).collect()),
        other => other,
    }
}

fn leaves(map: &Map<String, Value>, above: &str, found: &mut Vec<String>) {
    for (key, value) in map {
        let dotted = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Object(below) => leaves(below, &dotted, found),
            _ => found.push(dotted),
        }
    }
}

fn text_of(entry: &Value, field: &str) -> Option<String> {
    entry.get(field)?.as_str().map(str::to_owned)
}

/// The first line of an error; the rest repeats the source.
fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
