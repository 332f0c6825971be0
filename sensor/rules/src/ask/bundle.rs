//! Questions about rules files.
use serde_json::{Map, Value, json};

use super::{Refusal, words};
use crate::collect::{Plugin, leading_version};
use crate::load::{CompiledRule, EngineOptions, LoadOutcome, load};
use crate::source::SourceFile;

/// What comes of loading files in order, by an engine that appends nothing to outputs.
///
/// `conditions` and `outputs` are those of the rules that compile; after an error there are none.
pub(super) fn rules(question: &Map<String, Value>) -> Result<Value, Refusal> {
    let files = files(question.get("rules").unwrap_or(&Value::Null))?;
    let options = EngineOptions {
        append_output: Vec::new(),
        plugins: plugins(question.get("plugins"))?,
        ..EngineOptions::default()
    };
    let outcome = load(&files, &options);
    let name = |rule: &CompiledRule| outcome.collection.rules[rule.rule].header.name.clone();
    let by_name = |value: fn(&CompiledRule) -> Value| -> Map<String, Value> {
        outcome.rules.iter().map(|rule| (name(rule), value(rule))).collect()
    };
    Ok(json!({
        "ok": successful(&outcome),
        "results": outcome.results,
        "conditions": by_name(|rule| rule.condition().into()),
        "outputs": by_name(|rule| rule.output.text().into()),
        "enabled": outcome.rules.iter().filter(|rule| rule.enabled).map(name).collect::<Vec<_>>(),
    }))
}

fn successful(outcome: &LoadOutcome) -> bool {
    outcome.rule_set.is_some() && outcome.results.iter().all(|result| result.successful)
}

/// One text, or a list of texts.
fn files(value: &Value) -> Result<Vec<SourceFile>, Refusal> {
    let texts = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(texts) => texts,
        other => return Err(wrong("`rules` is a list of texts", other)),
    };
    let file = |(n, text): (usize, &Value)| {
        let text = text.as_str().ok_or_else(|| wrong("each of `rules` is a text", text))?;
        Ok(SourceFile { name: format!("rules_{n}.yaml"), text: text.to_owned() })
    };
    texts.iter().enumerate().map(file).collect()
}

/// The loaded plugins; requirements on plugins are not looked at when they are not given.
fn plugins(value: Option<&Value>) -> Result<Option<Vec<Plugin>>, Refusal> {
    let listed = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(listed)) => listed,
        Some(other) => return Err(wrong("`plugins` is a list", other)),
    };
    listed.iter().map(plugin).collect::<Result<_, _>>().map(Some)
}

fn plugin(value: &Value) -> Result<Plugin, Refusal> {
    let name = value["name"].as_str();
    let version = value["version"].as_str().and_then(leading_version);
    match (name, version) {
        (Some(name), Some(version)) => Ok(Plugin { name: name.to_owned(), version }),
        _ => Err(Refusal::question(
            format!(
                "each of `plugins` has a `name` and a `version` of the form x.y.z, found {value}"
            ),
            0,
        )),
    }
}

fn wrong(expected: &str, found: &Value) -> Refusal {
    Refusal::question(format!("{expected}, found {}", words(found)), 0)
}
