//! Questions about a condition: is it one, when can it match, does it match.
use serde_json::{Map, Value, json};

use super::{Refusal, optional, text, words};
use crate::check::Scope;
use crate::collect::DEFAULT_SOURCE;
use crate::compile::compile;
use crate::eval::Scratch;
use crate::fields::{GivenFacts, StaticFields};
use crate::index::{IdSet, event_codes, event_names, schema};
use crate::syntax::{Limits, canonical, parse};

/// Only whether a text follows the grammar.
pub(super) fn grammar(question: &Map<String, Value>) -> Result<Value, Refusal> {
    let expr = parse(text(question, "grammar")?, Limits::filter())?;
    Ok(json!({ "ok": true, "canonical": canonical(&expr) }))
}

/// Whether a text is a condition, for which events, and whether it matches what is given.
///
/// Event types hidden from inference are a mistake in a rule, which is what a condition without
/// facts is taken for. One that is tried on facts stands alone, and there they are fine. Event types
/// that follow from names alone are told even of a condition that does not compile.
pub(super) fn condition(question: &Map<String, Value>) -> Result<Value, Refusal> {
    let statics = StaticFields::new();
    let source = optional(question, "source")?.unwrap_or(DEFAULT_SOURCE);
    let facts = facts(question)?;
    let expr = parse(text(question, "condition")?, Limits::filter())?;
    let inferred = event_codes(&expr);
    let program = match compile(&expr, Scope { source, statics: &statics }) {
        Ok((program, _)) => program,
        Err(error) => {
            let mut answer = Refusal::from(error).into_answer();
            if let Ok(codes) = inferred {
                answer["event_types"] = event_types(&codes);
            }
            return Ok(answer);
        }
    };
    let types = match inferred {
        Ok(codes) => event_types(&codes),
        Err(_) if facts.is_some() => json!("all"),
        Err(error) => return Err(error.into()),
    };
    let mut answer = json!({ "ok": true, "canonical": canonical(&expr), "event_types": types });
    if let Some(facts) = facts {
        answer["match"] = program.matches(&facts, &mut Scratch::new()).into();
    }
    Ok(answer)
}

/// Names of events, or that there is no restriction.
pub(super) fn event_types(codes: &IdSet) -> Value {
    if *codes == schema::all_codes() { json!("all") } else { json!(event_names(codes)) }
}

/// The facts of a question, if it gives any.
pub(super) fn facts(question: &Map<String, Value>) -> Result<Option<GivenFacts>, Refusal> {
    match question.get("fields") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(GivenFacts::of(fields)?)),
        Some(other) => {
            let message = format!("`fields` is an object, found {}", words(other));
            Err(Refusal::question(message, 0))
        }
    }
}
