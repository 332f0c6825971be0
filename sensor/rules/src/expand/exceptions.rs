//! Exceptions become `and not …` behind the condition.
use super::lists::push_value;
use crate::collect::{Exception, ExceptionValue, OneOrMany, Rule, Text};
use crate::source::Place;

/// An exception whose values do not fit its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("exception `{exception}`: {reason}")]
pub struct BadValue {
    /// The exception's name.
    pub exception: String,
    /// What was found and expected.
    pub reason: String,
    /// The value, where it is not the exception as a whole.
    pub value: Option<Text>,
    /// The value or the exception.
    pub place: Place,
    /// The exception.
    pub owner: Place,
}

/// The condition of a rule with its exceptions.
pub fn with_exceptions(rule: &Rule) -> Result<Text, Box<BadValue>> {
    let exceptions: Vec<&Exception> =
        rule.exceptions.iter().filter(|exception| !exception.values.is_empty()).collect();
    if exceptions.is_empty() {
        return Ok(rule.condition.clone());
    }
    let mut out = Text::generated("(");
    out.push(&rule.condition);
    out.push_str(")");
    for exception in exceptions {
        out.push_str(" and not ");
        write_exception(exception, &mut out)?;
    }
    Ok(out)
}

fn write_exception(exception: &Exception, out: &mut Text) -> Result<(), Box<BadValue>> {
    match (&exception.fields, &exception.comps) {
        (OneOrMany::One(field), comps) => {
            out.push_str("(");
            out.push(field);
            out.push_str(" ");
            comps.texts().iter().for_each(|comp| out.push(comp));
            out.push_str(" (");
            for (n, value) in exception.values.iter().enumerate() {
                let ExceptionValue::Text(text) = value else {
                    return Err(exception.bad(value, "each value must be a text").into());
                };
                out.push_str(if n > 0 { ", " } else { "" });
                push_value(out, text);
            }
            out.push_str("))");
            Ok(())
        }
        (OneOrMany::Many(fields), comps) => write_tuples(exception, fields, comps.texts(), out),
    }
}

fn write_tuples(
    exception: &Exception,
    fields: &[Text],
    comps: &[Text],
    out: &mut Text,
) -> Result<(), Box<BadValue>> {
    out.push_str("(");
    for (n, value) in exception.values.iter().enumerate() {
        let ExceptionValue::Sequence(tuple, _) = value else {
            return Err(exception
                .bad(value, "each value must be a sequence, one value per field")
                .into());
        };
        if tuple.len() != fields.len() {
            let (found, expected) = (tuple.len(), fields.len());
            return Err(exception
                .bad(value, &format!("{found} values for {expected} fields"))
                .into());
        }
        out.push_str(if n > 0 { " or (" } else { "(" });
        for (n, ((field, comp), value)) in fields.iter().zip(comps).zip(tuple).enumerate() {
            out.push_str(if n > 0 { " and " } else { "" });
            out.push(field);
            out.push_str(" ");
            out.push(comp);
            out.push_str(" ");
            write_element(exception, comp.as_str(), value, out)?;
        }
        out.push_str(")");
    }
    out.push_str(")");
    Ok(())
}

fn write_element(
    exception: &Exception,
    comp: &str,
    value: &ExceptionValue,
    out: &mut Text,
) -> Result<(), Box<BadValue>> {
    match value {
        ExceptionValue::Text(text) => {
            // What is in parentheses already is a list, blanks or not.
            match (takes_list(comp), text.as_str().starts_with('(')) {
                (true, true) => out.push(text),
                (true, false) => {
                    out.push_str("(");
                    push_value(out, text);
                    out.push_str(")");
                }
                (false, _) => push_value(out, text),
            }
        }
        ExceptionValue::Sequence(values, _) => {
            out.push_str("(");
            for (n, value) in values.iter().enumerate() {
                let ExceptionValue::Text(text) = value else {
                    return Err(exception
                        .bad(value, "a list of values must consist of texts")
                        .into());
                };
                out.push_str(if n > 0 { ", " } else { "" });
                push_value(out, text);
            }
            out.push_str(")");
        }
        ExceptionValue::Other(_) => {
            return Err(exception
                .bad(value, "a value must be a text or a sequence of texts")
                .into());
        }
    }
    Ok(())
}

/// A list operator, or any with a modifier.
fn takes_list(comp: &str) -> bool {
    comp.contains(' ') || matches!(comp, "in" | "intersects" | "pmatch")
}

impl Exception {
    fn bad(&self, value: &ExceptionValue, reason: &str) -> BadValue {
        let (value, place) = match value {
            ExceptionValue::Text(text) => (Some(text.clone()), self.place),
            ExceptionValue::Sequence(_, place) | ExceptionValue::Other(place) => (None, *place),
        };
        let exception = self.name.clone();
        BadValue { exception, reason: reason.to_owned(), value, place, owner: self.place }
    }
}
