//! Checking a configuration against its defaults: every key known, every value of the right kind.
//!
//! The defaults are the schema, so there is no second list of keys that could differ.

use eyas_rules::report::nearest;
use serde_json::{Map, Value};

use super::Config;
use super::foreign::{self, Ignored};
use super::place::{self, Step, steps};

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The key as a path, such as `a.b[0].c`.
    path: String,
    /// The path, what was found and what was expected.
    pub(super) told: String,
}

impl Flaw {
    /// `why` begins with what the value is.
    pub(super) fn new(path: impl Into<String>, why: impl AsRef<str>) -> Self {
        let path = path.into();
        Self { told: format!("`{path}` {}", why.as_ref()), path }
    }

    /// A key that is not known, and the known ones beside which it stands.
    fn unknown<'k>(path: String, key: &str, known: impl Iterator<Item = &'k str>) -> Self {
        let hint = nearest(key, known).map(|near| format!(", did you mean `{near}`"));
        Self { told: format!("unknown key `{path}`{}", hint.unwrap_or_default()), path }
    }
}

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
    /// An `-o` argument is about an item that its list has not.
    #[error("`{found}` is about an item that is not in the list; `[]` adds one at its end")]
    NoItem {
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
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| syntax(name, &error.to_string()))?;
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        other => Err(ConfigError::Value {
            name: name.to_owned(),
            why: format!("expected a mapping of settings, found {}", kind(&other)),
        }),
    }
}

/// What the YAML reader says, as one line with the place in front and without advice for programmers.
fn syntax(name: &str, said: &str) -> ConfigError {
    let line = said.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let placed = line.strip_prefix("line ").and_then(|rest| {
        let (at, why) = rest.split_once(": ")?;
        let (line, column) = at.split_once(" column ")?;
        Some((format!("{name}:{line}:{column}"), why))
    });
    let (name, why) = placed.unwrap_or_else(|| (name.to_owned(), line));
    let why = ["; use ", ", set "]
        .iter()
        .fold(why, |why, advice| why.split_once(advice).map_or(why, |(before, _)| before));
    ConfigError::Syntax { name, why: why.to_owned() }
}

/// The defaults as they would be written.
pub(super) fn defaults() -> Value {
    serde_json::to_value(Config::default()).unwrap_or_default()
}

/// Takes out the keys that have no meaning here, and finds those that are not known and values that are none of those
/// allowed.
pub(super) fn against_defaults(
    name: &str,
    text: &str,
    value: &mut Value,
) -> Result<Vec<Ignored>, ConfigError> {
    let told = |flaw: &Flaw| {
        let place = place::of(text, &flaw.path).unwrap_or_default();
        format!("{name}{place}: {}", flaw.told)
    };
    let Value::Object(map) = value else { return Ok(Vec::new()) };
    let ignored =
        foreign::take_out(map).map_err(|flaw| ConfigError::Keys { problems: vec![told(&flaw)] })?;
    let mut check = Check { defaults: defaults(), flaws: Vec::new() };
    let defaults = check.defaults.clone();
    check.walk(value, &defaults, "");
    if check.flaws.is_empty() {
        return Ok(ignored);
    }
    Err(ConfigError::Keys { problems: check.flaws.iter().map(told).collect() })
}

/// A walk over what was written beside the defaults.
struct Check {
    defaults: Value,
    flaws: Vec<Flaw>,
}

impl Check {
    fn walk(&mut self, value: &Value, default: &Value, path: &str) {
        let (Value::Object(found), Value::Object(known)) = (value, default) else {
            self.leaf(value, default, path);
            return;
        };
        // An empty mapping among the defaults takes any keys.
        if known.is_empty() {
            self.leaf(value, default, path);
            return;
        }
        for (key, value) in found {
            // Read by whoever puts several files together.
            if path.is_empty() && key == "config_files" {
                continue;
            }
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if let Some(default) = known.get(key) {
                self.walk(value, default, &path);
            } else {
                self.flaws.push(Flaw::unknown(path, key, known.keys().map(String::as_str)));
            }
        }
    }

    /// One value: of its default's kind, and good in an otherwise default configuration, so that whatever is wrong is
    /// wrong with it.
    fn leaf(&mut self, value: &Value, default: &Value, path: &str) {
        if !fits(value, default) {
            let why = format!("is {}, expected {}", kind(value), kind_of_default(default));
            self.flaws.push(Flaw::new(path, why));
            return;
        }
        let mut whole = self.defaults.clone();
        let place = steps(path).into_iter().flatten().try_fold(&mut whole, |at, step| match step {
            Step::Key(key) => at.get_mut(key),
            Step::Item(_) | Step::Next => None,
        });
        if let Some(place) = place {
            *place = value.clone();
        }
        match serde_json::from_value::<Config>(whole) {
            Ok(config) => self.flaws.extend(config.flaw()),
            Err(error) => {
                let text = error.to_string();
                let expected =
                    text.rsplit_once("expected ").map_or(text.as_str(), |(_, rest)| rest);
                let why = match (value, expected) {
                    (_, "u16") => format!("is {}, expected at most {}", kind(value), u16::MAX),
                    (_, "u32") => format!("is {}, expected at most {}", kind(value), u32::MAX),
                    (Value::Object(_) | Value::Array(_), _) => format!("is wrong: {text}"),
                    _ => format!("is {}, expected {expected}", kind(value)),
                };
                self.flaws.push(Flaw::new(path, why));
            }
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

fn kind_of_default(default: &Value) -> String {
    match default {
        // Nothing by default is a text when it is something.
        Value::Null => "a text".into(),
        Value::Bool(_) => "`true` or `false`".into(),
        Value::Number(number) => format!("a number such as `{number}`"),
        Value::String(text) if text.is_empty() => "a text".into(),
        Value::String(text) => format!("a text such as `{text}`"),
        other => kind(other),
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
