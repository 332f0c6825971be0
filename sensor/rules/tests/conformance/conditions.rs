//! Kinds about single conditions: do they compile, what do they match, on which events.
use std::collections::BTreeMap;

use eyas_rules::check::{CheckWarning, Scope};
use eyas_rules::compile::{Program, compile};
use eyas_rules::eval::Scratch;
use eyas_rules::fields::{GivenFacts, StaticFields};
use eyas_rules::index::{IdSet, event_codes, schema};
use eyas_rules::syntax::{Limits, parse};
use serde_json::Value;

use crate::cases::{Case, Outcome};

/// Compiles as a rule would be: syntax, names and types, event types.
fn compiled(input: &str) -> Result<(Program, Vec<CheckWarning>), String> {
    let expr = parse(input, Limits::filter()).map_err(|error| error.to_string())?;
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    compile(&expr, scope).map_err(|error| error.to_string())
}

pub(crate) fn compile_case(case: &Case) -> Outcome {
    let input = case.text("input");
    let found = inferred(input).and_then(|_| compiled(input));
    let ok = case.expected()["ok"].as_bool().unwrap_or_default();
    let about = match &found {
        Ok((_, warnings)) => format!("{input} {warnings:?}"),
        Err(error) => format!("{input}: {error}"),
    };
    if let (Ok((_, warnings)), Some(count)) = (&found, case.expected()["warnings"].as_u64()) {
        return Outcome::same(&(ok, count), &(true, warnings.len() as u64), &about);
    }
    Outcome::same(&ok, &found.is_ok(), &about)
}

/// The fields of a case as facts. Keys that begin with `_` describe the situation.
pub(crate) fn facts(fields: &Value) -> Result<GivenFacts, String> {
    let given = fields.as_object().cloned().unwrap_or_default();
    GivenFacts::of(&given).map_err(|error| error.to_string())
}

pub(crate) fn eval_case(case: &Case) -> Outcome {
    let input = case.text("input");
    let program = match compiled(input) {
        Ok((program, _)) => program,
        Err(error) => return Outcome::Failed(format!("{input}: {error}")),
    };
    let facts = match facts(&case.json["fields"]) {
        Ok(facts) => facts,
        Err(error) => return Outcome::Failed(format!("{input}: {error}")),
    };
    let mut scratch = Scratch::new();
    let found = program.matches(&facts, &mut scratch);
    let expected = case.expected()["match"].as_bool().unwrap_or_default();
    Outcome::same(&expected, &found, input)
}

fn inferred(input: &str) -> Result<IdSet, String> {
    let expr = parse(input, Limits::filter()).map_err(|error| error.to_string())?;
    event_codes(&expr).map_err(|error| error.to_string())
}

/// The sets that cases name.
fn named_sets() -> BTreeMap<&'static str, IdSet> {
    let all = schema::all_codes();
    let open = schema::codes("openat");
    let close = schema::codes("close");
    BTreeMap::from([
        ("openat_only", open),
        ("close_only", close),
        ("openat_close_only", open.union(close)),
        ("not_openat", all.difference(open)),
        ("not_close", all.difference(close)),
        ("not_openat_close", all.difference(open.union(close))),
        ("all_events", all),
        ("no_events", IdSet::EMPTY),
    ])
}

pub(crate) fn event_type_case(case: &Case) -> Outcome {
    let input = case.text("input");
    let found = inferred(input);
    let expected = case.expected();
    if let Some(error) = expected["error"].as_bool() {
        return Outcome::same(&error, &found.is_err(), input);
    }
    let wanted = match (expected["set"].as_str(), expected["same_set_as"].as_str()) {
        (Some(name), _) => named_sets().get(name).copied().ok_or(format!("no set `{name}`")),
        (_, Some(other)) => inferred(other),
        _ => Err("the case expects nothing".to_owned()),
    };
    match (wanted, found) {
        (Ok(wanted), Ok(found)) => Outcome::same(&wanted, &found, input),
        (wanted, found) => Outcome::Failed(format!("{input}: {wanted:?} {found:?}")),
    }
}
