//! The kind about output templates.
use std::collections::BTreeMap;

use eyas_rules::check::Scope;
use eyas_rules::fields::{GivenFacts, StaticFields};
use eyas_rules::format::{Style, Template};
use serde_json::{Value, json};

use crate::cases::{Case, Outcome};
use crate::conditions::facts;

pub(crate) fn format_case(case: &Case) -> Outcome {
    let input = case.text("input");
    let statics = StaticFields::new();
    let template = Template::compile(input, Scope { source: "syscall", statics: &statics });
    let expected = case.expected();
    if let Some(ok) = expected["ok"].as_bool() {
        return compiles(ok, &expected["fields"], &template, input);
    }
    let facts = match facts(&case.json["fields"]) {
        Ok(facts) => facts,
        Err(error) => return Outcome::Failed(format!("{input}: {error}")),
    };
    match template {
        Ok(template) => renders(case, &template, &facts),
        Err(error) => Outcome::Failed(format!("{input}: {error}")),
    }
}

fn compiles<E: std::fmt::Display>(
    ok: bool,
    fields: &Value,
    found: &Result<Template, E>,
    input: &str,
) -> Outcome {
    match (found, fields.as_array()) {
        (Ok(template), Some(fields)) => {
            let wanted: Vec<_> = fields.iter().filter_map(Value::as_str).collect();
            let mut keys = Vec::new();
            for field in template.fields().iter().filter(|field| !field.is_call()) {
                keys.push(field.key());
            }
            Outcome::same(&wanted, &keys, input)
        }
        (Ok(_), None) => Outcome::same(&ok, &true, input),
        (Err(error), _) => Outcome::same(&ok, &false, &format!("{input}: {error}")),
    }
}

fn renders(case: &Case, template: &Template, facts: &GivenFacts) -> Outcome {
    let expected = case.expected();
    let rendered = template.render(facts, Style::default());
    let with_calls = case.json["resolve_transformed_fields"].as_bool().unwrap_or_default();
    let listed = || template.fields().iter().filter(|field| with_calls || !field.is_call());
    let text = if case.text("mode") == "json" {
        let fields: BTreeMap<_, _> =
            listed().map(|field| (field.key(), field.json(facts, Style::default()))).collect();
        serde_json::to_string(&fields).unwrap_or_default()
    } else {
        String::from_utf8_lossy(&rendered.text).into_owned()
    };
    let mut found = json!({ "output": text, "complete": rendered.complete });
    // A case lists the fields it is about, not all of them.
    if let Some(wanted) = expected["fields"].as_object() {
        let fields: BTreeMap<_, _> = template
            .fields()
            .iter()
            .filter(|field| wanted.contains_key(field.key()))
            .map(|field| {
                let text = field.text(facts, Style::default());
                (field.key(), String::from_utf8_lossy(&text).into_owned())
            })
            .collect();
        found["fields"] = json!(fields);
    }
    Outcome::same(expected, &found, case.text("input"))
}
