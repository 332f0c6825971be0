//! Kinds that load rules files.
use std::collections::BTreeSet;

use eyas_rules::collect::Plugin;
use eyas_rules::load::{metric_name, wildcard_match};
use eyas_rules::{EngineOptions, LoadOutcome, SourceFile, load};
use serde_json::Value;

use crate::cases::{Case, Outcome};

pub(crate) fn load_case(case: &Case) -> Outcome {
    let options = EngineOptions { append_output: Vec::new(), ..EngineOptions::default() };
    compare(&load(&files(case), &options), case.expected())
}

pub(crate) fn plugin_case(case: &Case) -> Outcome {
    let listed = case.json["plugins"].as_array().cloned().unwrap_or_default();
    let plugin = |json: &Value| {
        let name = json["name"].as_str()?.to_owned();
        Some(Plugin { name, version: json["version"].as_str()?.parse().ok()? })
    };
    let plugins = Some(listed.iter().filter_map(plugin).collect());
    let options = EngineOptions { plugins, ..EngineOptions::default() };
    compare(&load(&files(case), &options), case.expected())
}

pub(crate) fn wildcard_case(case: &Case) -> Outcome {
    let found = wildcard_match(case.text("pattern"), case.text("input"));
    let expected = case.expected()["match"].as_bool().unwrap_or_default();
    Outcome::same(&expected, &found, case.text("pattern"))
}

pub(crate) fn metric_case(case: &Case) -> Outcome {
    let expected = case.expected()["output"].as_str().unwrap_or_default();
    Outcome::same(&expected, &metric_name(case.text("input")).as_str(), case.text("input"))
}

fn files(case: &Case) -> Vec<SourceFile> {
    let input = &case.json["input"];
    let texts = match input.as_array() {
        // Items that are no texts are one document of a file.
        Some(files) => files.iter().map(text_of).collect(),
        None => vec![text_of(input)],
    };
    let named = |(n, text)| SourceFile { name: format!("rules_{n}.yaml"), text };
    texts.into_iter().enumerate().map(named).collect()
}

fn text_of(file: &Value) -> String {
    file.as_str().map_or_else(|| file.to_string(), str::to_owned)
}

fn compare(outcome: &LoadOutcome, expected: &Value) -> Outcome {
    let ok = outcome.results.iter().all(|result| result.successful);
    let checks = [
        check("ok", expected["ok"].as_bool(), &ok),
        check("rule set", Some(ok), &outcome.rule_set.is_some()),
        check("schema", booleans(&expected["schema_valid"]), &schema(outcome)),
        check("errors", texts(&expected["error_codes"]), &codes(outcome, true)),
        check("warnings", texts(&expected["warning_codes"]), &codes(outcome, false)),
        check(
            "has warnings",
            expected["has_warnings"].as_bool(),
            &!codes(outcome, false).is_empty(),
        ),
        check("enabled", expected["enabled_rules"].as_u64(), &enabled(outcome)),
        conditions(outcome, &expected["compiled_conditions"]),
        outputs(outcome, &expected["outputs"]),
        deprecated_only(outcome, &expected["no_warning_containing"]),
    ];
    match checks.into_iter().find_map(Result::err) {
        None => Outcome::Passed,
        Some(why) => Outcome::Failed(format!("{why}; results {:?}", told(outcome))),
    }
}

fn check<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: Option<T>,
    found: &T,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != *found => {
            Err(format!("{what}: expected {expected:?}, found {found:?}"))
        }
        _ => Ok(()),
    }
}

fn booleans(json: &Value) -> Option<Vec<bool>> {
    json.as_array()?.iter().map(Value::as_bool).collect()
}

fn texts(json: &Value) -> Option<BTreeSet<String>> {
    json.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn schema(outcome: &LoadOutcome) -> Vec<bool> {
    outcome.results.iter().filter_map(|result| result.schema_valid).collect()
}

fn codes(outcome: &LoadOutcome, errors: bool) -> BTreeSet<String> {
    let problems =
        outcome.results.iter().flat_map(|r| if errors { &r.errors } else { &r.warnings });
    problems.map(|problem| problem.code.as_str().to_owned()).collect()
}

fn told(outcome: &LoadOutcome) -> Vec<String> {
    outcome.reports.iter().map(|r| format!("{}: {}", r.code.as_str(), r.message)).collect()
}

fn enabled(outcome: &LoadOutcome) -> u64 {
    outcome.rules.iter().filter(|rule| rule.enabled).count() as u64
}

fn conditions(outcome: &LoadOutcome, expected: &Value) -> Result<(), String> {
    let Some(expected) = expected.as_object() else { return Ok(()) };
    let found = outcome.rules.iter().map(|rule| (name(outcome, rule), rule.condition().into()));
    check("conditions", Some(expected.clone()), &found.collect())
}

fn outputs(outcome: &LoadOutcome, expected: &Value) -> Result<(), String> {
    let Some(expected) = expected.as_object() else { return Ok(()) };
    let found = outcome.rules.iter().map(|rule| (name(outcome, rule), rule.output.text().into()));
    check("outputs", Some(expected.clone()), &found.collect())
}

fn name(outcome: &LoadOutcome, rule: &load::CompiledRule) -> String {
    outcome.collection.rules[rule.rule].header.name.clone()
}

fn deprecated_only(outcome: &LoadOutcome, unwanted: &Value) -> Result<(), String> {
    for text in texts(unwanted).unwrap_or_default() {
        if outcome.reports.iter().any(|report| report.message.contains(&text)) {
            return Err(format!("a warning contains `{text}`"));
        }
    }
    Ok(())
}
