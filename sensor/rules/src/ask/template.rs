//! Questions about an output template.
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::condition::facts;
use super::{Refusal, optional, text};
use crate::check::Scope;
use crate::collect::DEFAULT_SOURCE;
use crate::fields::{GivenFacts, StaticFields};
use crate::format::{FieldJson, Style, Template, TemplateField};

/// Whether a text is a template, and what it says of what is given.
///
/// `resolve_transformed_fields: false` leaves the values of transformer calls out, as alerts do.
pub(super) fn format(question: &Map<String, Value>) -> Result<Value, Refusal> {
    let statics = StaticFields::new();
    let source = optional(question, "source")?.unwrap_or(DEFAULT_SOURCE);
    let as_json = match optional(question, "mode")? {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            let message = format!("`mode` is `text` or `json`, found `{other}`");
            return Err(Refusal::question(message, 0));
        }
    };
    let facts = facts(question)?;
    let template =
        Template::compile(text(question, "format")?, Scope { source, statics: &statics })?;
    let Some(facts) = facts else {
        let fields = template.fields().iter().filter(|field| !field.is_call());
        return Ok(
            json!({ "ok": true, "fields": fields.map(TemplateField::key).collect::<Vec<_>>() }),
        );
    };
    let with_calls = question.get("resolve_transformed_fields") != Some(&Value::Bool(false));
    let listed: Vec<&TemplateField> =
        template.fields().iter().filter(|field| with_calls || !field.is_call()).collect();
    let rendered = template.render(&facts, Style::default());
    let output = if as_json {
        // A text that ends early has no values behind its end either.
        let end = |field: &&&TemplateField| rendered.complete || field.is_set(&facts);
        let set: Vec<&TemplateField> = listed.iter().take_while(end).copied().collect();
        object(&set, &facts)
    } else {
        String::from_utf8_lossy(&rendered.text).into_owned()
    };
    let texts: BTreeMap<&str, String> = listed
        .iter()
        .map(|field| {
            let text = field.text(&facts, Style::default());
            (field.key(), String::from_utf8_lossy(&text).into_owned())
        })
        .collect();
    Ok(json!({ "ok": true, "output": output, "complete": rendered.complete, "fields": texts }))
}

/// The values by their keys, as one JSON text.
fn object(fields: &[&TemplateField], facts: &GivenFacts) -> String {
    let values: BTreeMap<&str, FieldJson> =
        fields.iter().map(|field| (field.key(), field.json(facts, Style::default()))).collect();
    // Keys are texts and numbers finite or null: this does not fail.
    serde_json::to_string(&values).unwrap_or_default()
}
