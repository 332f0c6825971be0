//! The same cases as questions of the protocol: what a program that asks is told.
use std::collections::{BTreeMap, BTreeSet};

use eyas_rules::ask::answer;
use serde_json::{Map, Value, json};

use crate::cases::{Case, Outcome};

/// Asks what the case asks; nothing for kinds that the protocol has no question for.
pub(crate) fn ask(case: &Case) -> Option<Outcome> {
    let input = &case.json["input"];
    let question = match case.kind.as_str() {
        "parse-ok" | "parse-error" => json!({ "grammar": input }),
        "compile-ok" | "compile-error" | "evt-types" => json!({ "condition": input }),
        "eval" => json!({ "condition": input, "fields": case.json["fields"] }),
        "output-format" => template(case),
        "rules-load-ok" | "rules-load-warning" | "rules-load-error" | "plugin-requirements" => {
            json!({ "rules": files(input), "plugins": case.json["plugins"] })
        }
        _ => return None,
    };
    let found = answer(question.to_string().as_bytes());
    Some(match told(case, &found) {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(format!("{why}: {question} is answered {found}")),
    })
}

fn template(case: &Case) -> Value {
    let mut question = json!({ "format": case.json["input"] });
    for key in ["fields", "mode", "resolve_transformed_fields"] {
        question[key] = case.json[key].clone();
    }
    question
}

/// Items that are no texts are one document of a file.
fn files(input: &Value) -> Value {
    match input.as_array() {
        Some(files) => files.iter().map(text_of).collect(),
        None => json!([text_of(input)]),
    }
}

fn text_of(file: &Value) -> Value {
    if file.is_string() { file.clone() } else { file.to_string().into() }
}

/// Holds the answer against all that the case expects and the answer has.
fn told(case: &Case, found: &Value) -> Result<(), String> {
    let expected = case.expected();
    let ok = expected["ok"].as_bool().or(expected["error"].as_bool().map(|error| !error));
    // Sets are told of conditions, too, that no field's type allows.
    if case.kind == "evt-types" && ok.is_none() {
        let told = found["event_types"].is_array() || found["event_types"] == "all";
        return same("event types", &true.into(), &told.into());
    }
    same("ok", &ok.unwrap_or(true).into(), &found["ok"])?;
    for (key, path) in [
        ("match", "/match"),
        ("output", "/output"),
        ("complete", "/complete"),
        ("compiled_conditions", "/conditions"),
        ("outputs", "/outputs"),
    ] {
        if let Some(wanted) = expected.get(key) {
            same(key, wanted, found.pointer(path).unwrap_or(&Value::Null))?;
        }
    }
    fields(&expected["fields"], &found["fields"])?;
    if let Some(wanted) = expected["enabled_rules"].as_u64() {
        same("enabled", &wanted.into(), &found["enabled"].as_array().map(Vec::len).into())?;
    }
    for (key, problems) in [("error_codes", "errors"), ("warning_codes", "warnings")] {
        if let Some(wanted) = expected[key].as_array() {
            let wanted: BTreeSet<&str> = wanted.iter().filter_map(Value::as_str).collect();
            let codes = codes(&found["results"], problems);
            same(key, &json!(wanted), &json!(codes))?;
        }
    }
    Ok(())
}

/// A list of keys, or the texts of some keys.
fn fields(wanted: &Value, found: &Value) -> Result<(), String> {
    match wanted {
        Value::Object(wanted) => {
            let shown: BTreeMap<&String, &Value> =
                wanted.keys().map(|key| (key, &found[key.as_str()])).collect();
            same("fields", &Value::Object(wanted.clone()), &json!(shown))
        }
        Value::Array(_) => same("fields", wanted, found),
        _ => Ok(()),
    }
}

fn codes<'f>(results: &'f Value, problems: &str) -> BTreeSet<&'f str> {
    let results = results.as_array().map_or(&[][..], Vec::as_slice);
    results
        .iter()
        .filter_map(|result| result[problems].as_array())
        .flatten()
        .filter_map(|problem| problem["code"].as_str())
        .collect()
}

fn same(what: &str, wanted: &Value, found: &Value) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("{what}: expected {wanted}, found {found}")) }
}

/// An answer is an object that says whether it is one.
pub(crate) fn is_answer(answer: &Value) -> bool {
    answer.as_object().map(Map::len).is_some_and(|keys| keys > 1) && answer["ok"].is_boolean()
}
