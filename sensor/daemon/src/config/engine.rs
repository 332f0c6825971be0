//! What of a configuration is the rule engine's: which rules run, what is added to their output.

use std::collections::BTreeMap;

use eyas_rules::collect::Priority;
use eyas_rules::format::{AppendOutput, ExtraField, Style};
use eyas_rules::load::Selection;
use eyas_rules::{EngineOptions, Matching};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Config;
use super::check::Flaw;

/// The rule engine's options in a configuration.
pub(super) fn options(config: &Config) -> Result<EngineOptions, Flaw> {
    let min_priority: Priority = config.priority.parse().map_err(|_| {
        let known = Priority::ALL.map(|p| p.as_str().to_lowercase()).join("`, `");
        Flaw::new("priority", format!("is `{}`, expected one of `{known}`", config.priority))
    })?;
    let matching = match config.rule_matching.as_str() {
        "first" => Matching::First,
        "all" => Matching::All,
        other => {
            let why = format!("is `{other}`, expected `first` or `all`");
            return Err(Flaw::new("rule_matching", why));
        }
    };
    let mut selections = Vec::new();
    for (at, value) in config.rules.iter().enumerate() {
        let flaw = |why| Flaw::new(format!("rules[{at}]"), format!("is wrong: {why}"));
        selections.push(selection(value).map_err(flaw)?);
    }
    let mut append_output = Vec::new();
    for (at, value) in config.append_output.iter().enumerate() {
        let read = serde_json::from_value(value.clone()).map_err(|error| error.to_string());
        let flaw = |why| Flaw::new(format!("append_output[{at}]"), format!("is wrong: {why}"));
        append_output.push(read.and_then(Append::into_entry).map_err(flaw)?);
    }
    Ok(EngineOptions {
        min_priority,
        selections,
        matching,
        append_output,
        static_fields: config.static_fields.clone(),
        iso_time: config.time_format_iso_8601,
        style: Style { base64_buffers: config.buffer_format_base64 },
        ..EngineOptions::default()
    })
}

/// `enable: {rule: …}` or `disable: {tag: …}`.
pub(super) fn selection(value: &Value) -> Result<Selection, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase", deny_unknown_fields)]
    enum Entry {
        Enable(Which),
        Disable(Which),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Which {
        rule: Option<String>,
        tag: Option<String>,
    }
    let entry = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let (enable, Which { rule, tag }) = match entry {
        Entry::Enable(which) => (true, which),
        Entry::Disable(which) => (false, which),
    };
    if rule.is_none() && tag.is_none() {
        return Err("it names neither a `rule` nor a `tag`".into());
    }
    Ok(Selection { enable, rule, tag })
}

/// One entry of `append_output` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Append {
    r#match: Match,
    extra_output: Option<String>,
    extra_fields: Vec<Value>,
    suggested_output: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Match {
    source: Option<String>,
    tags: Vec<String>,
    rule: Option<String>,
}

impl Append {
    fn into_entry(self) -> Result<AppendOutput, String> {
        let mut extra_fields: Vec<ExtraField> = Vec::new();
        for field in self.extra_fields {
            let Value::Object(map) = field else {
                let Value::String(name) = field else { return Err(no_field(&field)) };
                extra_fields.push(ExtraField::Raw(name));
                continue;
            };
            for (key, format) in map {
                let Value::String(format) = format else { return Err(no_field(&format)) };
                extra_fields.push(ExtraField::Formatted(key, format));
            }
        }
        let name = |field: &ExtraField| match field {
            ExtraField::Raw(name) | ExtraField::Formatted(name, _) => name.clone(),
        };
        let mut names: Vec<String> = extra_fields.iter().map(name).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
            return Err(format!("`extra_fields` has `{twice}` twice"));
        }
        Ok(AppendOutput {
            source: self.r#match.source,
            tags: self.r#match.tags,
            rule: self.r#match.rule,
            extra_output: self.extra_output,
            extra_fields,
            suggested_output: self.suggested_output,
        })
    }
}

fn no_field(found: &Value) -> String {
    format!("`extra_fields` has `{found}`, expected a field or a mapping of a name to a format")
}

/// A mapping of names to texts, in which numbers and truth values are written without quotes too.
pub(super) fn texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let found = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        other => {
            let why = format!("`{name}` is `{other}`, expected a text");
            Err(serde::de::Error::custom(why))
        }
    };
    found.into_iter().map(text).collect()
}
