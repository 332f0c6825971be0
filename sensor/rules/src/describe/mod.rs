//! Descriptions of what is loaded, and listings of what the language offers, as JSON.
//!
//! The shapes are those documented for other tools; keys may be added, never changed.
mod explain;
mod fields;
mod items;
mod tree;

use serde_json::{Map, Value, json};

pub use explain::{Cost, ExplainedField, Explanation, explain, nearest_rule};
pub use fields::{field_classes, field_names, listed_fields};
pub use tree::{operators, transformers};

use crate::load::{EngineOptions, LoadOutcome};

/// Describes everything that is loaded.
pub fn describe(outcome: &LoadOutcome, options: &EngineOptions) -> Value {
    let mut out = Map::new();
    let collection = &outcome.collection;
    if let Some(version) = &collection.engine {
        out.insert("required_engine_version".to_owned(), version.to_string().into());
    }
    let plugins = collection.plugins.iter().map(items::requirement).collect();
    out.insert("required_plugin_versions".to_owned(), Value::Array(plugins));
    let rules = outcome.rules.iter().map(|rule| items::rule(outcome, options, rule)).collect();
    out.insert("rules".to_owned(), Value::Array(rules));
    let macros = outcome.macros.iter().map(|each| items::macro_(outcome, each)).collect();
    out.insert("macros".to_owned(), Value::Array(macros));
    out.insert("lists".to_owned(), Value::Array(items::lists(outcome)));
    Value::Object(out)
}

/// Describes one rule; nothing if no rule of this name compiles.
pub fn describe_rule(outcome: &LoadOutcome, options: &EngineOptions, name: &str) -> Option<Value> {
    let named = |place: usize| outcome.collection.rules[place].header.name == name;
    let rule = outcome.rules.iter().find(|compiled| named(compiled.rule))?;
    Some(json!({ "rules": [items::rule(outcome, options, rule)] }))
}
