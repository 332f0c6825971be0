//! Finding the `%…` reference at the start of a text: the longest one that means something.

use crate::check::{Scope, Typed, operand};
use crate::syntax::ast::Operand;
use crate::syntax::{Limits, canonical_operand, parse_operand, parse_operand_prefix};

/// Longest beginning of a name that is tried when the whole of it is none, in bytes: no field and no
/// parameter comes near it.
const LONGEST_FIELD: usize = 256;

/// A reference that was found.
pub(super) struct Found {
    /// The field or call as parsed.
    pub(super) operand: Operand,
    /// What it stands for.
    pub(super) typed: Typed,
    /// Its text: as written for a field, canonical for a call.
    pub(super) key: String,
    /// Bytes it takes.
    pub(super) len: usize,
}

/// The longest prefix of `text` that is a field or a transformer call; else why there is none, and whether
/// only because the field is unknown.
pub(super) fn find(text: &str, scope: Scope<'_>) -> Result<Found, (String, bool)> {
    let (whole, len) = match parse_operand_prefix(text, Limits::filter()) {
        Ok(found) => found,
        // A field whose bracket is none is followed by text that happens to begin with `[`.
        Err(error) => match name_before_bracket(text) {
            Some(name) => return find(name, scope),
            None => return Err((error.to_string(), false)),
        },
    };
    let error = match operand(&whole, scope) {
        Ok(typed) => return Ok(found(whole, typed, &text[..len])),
        Err(error) => (error.to_string(), error.is_unknown_filter()),
    };
    // Shorter prefixes: without the bracket, then letter by letter.
    let mut end = text[..len].rfind('[').filter(|_| text[..len].ends_with(']')).unwrap_or(len - 1);
    end = end.min(LONGEST_FIELD);
    while end > 0 {
        if text.is_char_boundary(end)
            && let Ok(shorter) = parse_operand(&text[..end], Limits::filter())
            && let Ok(typed) = operand(&shorter, scope)
        {
            return Ok(found(shorter, typed, &text[..end]));
        }
        if matches!(whole, Operand::Transform(_)) {
            break;
        }
        end -= 1;
    }
    Err(error)
}

fn found(operand: Operand, typed: Typed, written: &str) -> Found {
    let key = match &operand {
        Operand::Field(_) => written.to_owned(),
        Operand::Transform(_) => canonical_operand(&operand),
    };
    Found { operand, typed, key, len: written.len() }
}

fn name_before_bracket(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('[')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    name.chars().all(is_name).then_some(name)
}
