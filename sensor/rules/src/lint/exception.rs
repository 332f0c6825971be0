//! Exceptions that change nothing.
use std::collections::HashSet;

use super::demand::Demands;
use crate::collect::{Collection, ExceptionValue, OneOrMany, Text};
use crate::load::CompiledRule;
use crate::source::{Place, SourceFile};
use crate::syntax::ast::Expr;
use crate::syntax::{Limits, parse};

/// Values given twice, and values that the condition excludes already: at most `room`.
pub(super) fn idle(
    collection: &Collection,
    compiled: &CompiledRule,
    files: &[SourceFile],
    room: usize,
) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    let demands = Demands::of(&compiled.tree);
    for exception in &collection.rules[compiled.rule].exceptions {
        let mut seen = HashSet::new();
        for value in &exception.values {
            // Each place is a walk over the text it is in.
            if found.len() == room {
                return found;
            }
            let place = || place(value, files).unwrap_or(exception.place);
            let (name, text) = (&exception.name, words(value));
            if !seen.insert(text.clone()) {
                found.push((format!("exception `{name}` has the value `{text}` twice"), place()));
            } else if !names_list(collection, value)
                && let Some(tree) = as_tree(&exception.fields, &exception.comps, value)
                && demands.excludes(&Demands::of(&tree))
            {
                let message = format!(
                    "exception `{name}` is never reached with `{text}`: the condition excludes it"
                );
                found.push((message, place()));
            }
        }
    }
    found
}

/// Whether a value stands for others.
fn names_list(collection: &Collection, value: &ExceptionValue) -> bool {
    match value {
        ExceptionValue::Text(text) => collection.list(text.as_str()).is_some(),
        ExceptionValue::Sequence(values, _) => values.iter().any(|v| names_list(collection, v)),
        ExceptionValue::Other(_) => false,
    }
}

/// One value of an exception as a condition. Only comparisons for equality are looked at.
fn as_tree(fields: &OneOrMany, comps: &OneOrMany, value: &ExceptionValue) -> Option<Expr> {
    let values: Vec<&Text> = match value {
        ExceptionValue::Text(text) => vec![text],
        ExceptionValue::Sequence(values, _) => values
            .iter()
            .map(|value| match value {
                ExceptionValue::Text(text) => Some(text),
                _ => None,
            })
            .collect::<Option<_>>()?,
        ExceptionValue::Other(_) => return None,
    };
    let checks: Vec<String> = fields
        .texts()
        .iter()
        .zip(comps.texts())
        .zip(values)
        .filter(|((_, comp), _)| matches!(comp.as_str(), "=" | "==" | "in"))
        .map(|((field, _), value)| format!("{} = {}", field.as_str(), value.as_str()))
        .collect();
    parse(&checks.join(" and "), Limits::filter()).ok()
}

fn words(value: &ExceptionValue) -> String {
    match value {
        ExceptionValue::Text(text) => text.as_str().to_owned(),
        ExceptionValue::Sequence(values, _) => {
            let values: Vec<String> = values.iter().map(words).collect();
            format!("[{}]", values.join(", "))
        }
        ExceptionValue::Other(_) => String::new(),
    }
}

fn place(value: &ExceptionValue, files: &[SourceFile]) -> Option<Place> {
    match value {
        ExceptionValue::Text(text) => text.place(0..text.as_str().len(), files),
        ExceptionValue::Sequence(_, place) | ExceptionValue::Other(place) => Some(*place),
    }
}
