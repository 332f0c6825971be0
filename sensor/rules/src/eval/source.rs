//! The value a side of a comparison stands for: a field, a constant, or a function of others.

use std::borrow::Cow;
use std::io::Write as _;

use super::getopt;
use crate::check::{Selector, Source};
use crate::fields::{Facts, Value};
use crate::syntax::ast::Transform;

/// The value, or `None` when it or anything it is made of is unset.
pub(crate) fn value_of<'a>(source: &'a Source, facts: &'a dyn Facts) -> Option<Value<'a>> {
    match source {
        Source::Field(id, argument) => facts.value(*id, argument.as_arg()),
        Source::Constant(text) => Some(Value::text(text)),
        Source::List(items) => {
            items.iter().map(|item| value_of(item, facts)).collect::<Option<_>>().map(Value::List)
        }
        Source::Call(transform, args, selector) => call(*transform, args, *selector, facts),
    }
}

fn call<'a>(
    transform: Transform,
    args: &'a [Source],
    selector: Selector,
    facts: &'a dyn Facts,
) -> Option<Value<'a>> {
    let (first, rest) = args.split_first()?;
    let first = value_of(first, facts)?;
    match transform {
        Transform::ToLower => Some(in_case(first, u8::is_ascii_uppercase, u8::to_ascii_lowercase)),
        Transform::ToUpper => Some(in_case(first, u8::is_ascii_lowercase, u8::to_ascii_uppercase)),
        Transform::Basename => basename(first),
        Transform::B64 => decoded(&first),
        Transform::Len => length(&first),
        Transform::Join => joined(first.as_bytes()?, &value_of(rest.first()?, facts)?),
        Transform::Concat => concatenated(&first, rest, facts),
        Transform::GetOpt => options(first, &value_of(rest.first()?, facts)?, selector),
        Transform::Val => Some(first),
    }
}

/// Copies only what would change.
fn in_case(value: Value<'_>, changes: fn(&u8) -> bool, change: fn(&u8) -> u8) -> Value<'_> {
    match value {
        Value::Text(text) if text.iter().any(changes) => {
            Value::owned_text(text.iter().map(change).collect::<Vec<_>>())
        }
        Value::List(items) => {
            Value::List(items.into_iter().map(|item| in_case(item, changes, change)).collect())
        }
        other => other,
    }
}

fn basename(value: Value<'_>) -> Option<Value<'_>> {
    let Value::Text(text) = value else { return None };
    let start = memchr::memrchr(b'/', &text).map_or(0, |slash| slash + 1);
    Some(Value::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    }))
}

fn decoded<'a>(value: &Value<'_>) -> Option<Value<'a>> {
    let bytes = base64(value.as_bytes()?)?;
    Some(match value {
        Value::Bytes(_) => Value::Bytes(Cow::Owned(bytes)),
        _ => Value::owned_text(bytes),
    })
}

/// Decodes the standard alphabet; padding may be missing.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            bits = bits << 6 | group.get(at).map_or(Some(0), |byte| sextet(*byte))?;
        }
        let bytes = bits.to_be_bytes();
        match group.len() {
            4 => out.extend(&bytes[1..4]),
            3 => out.extend(&bytes[1..3]),
            2 => out.push(bytes[1]),
            _ => return None,
        }
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

fn length<'a>(value: &Value<'_>) -> Option<Value<'a>> {
    let length = match value {
        Value::List(items) => items.len(),
        other => other.as_bytes()?.len(),
    };
    Some(Value::Uint(length as u64))
}

fn joined<'a>(separator: &[u8], list: &Value<'_>) -> Option<Value<'a>> {
    let Value::List(items) = list else { return None };
    let mut out = Vec::new();
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.extend_from_slice(separator);
        }
        match item.as_bytes() {
            Some(bytes) => out.extend_from_slice(bytes),
            None => write!(out, "{}", item.as_integer()?).ok()?,
        }
    }
    Some(Value::owned_text(out))
}

fn concatenated<'a>(
    first: &Value<'_>,
    rest: &'a [Source],
    facts: &'a dyn Facts,
) -> Option<Value<'a>> {
    let mut out = first.as_bytes()?.to_vec();
    for source in rest {
        out.extend_from_slice(value_of(source, facts)?.as_bytes()?);
    }
    Some(Value::owned_text(out))
}

fn options<'a>(list: Value<'_>, letters: &Value<'_>, selector: Selector) -> Option<Value<'a>> {
    let Value::List(items) = list else { return None };
    let args: Vec<&[u8]> = items.iter().map(Value::as_bytes).collect::<Option<_>>()?;
    let found = getopt::scan(&args, letters.as_bytes()?);
    match selector {
        Some(letter) => getopt::select(&found, letter).map(Value::owned_text),
        None => {
            Some(Value::List(getopt::flatten(&found).into_iter().map(Value::owned_text).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_with_and_without_padding() {
        assert_eq!(base64(b"YWFh").as_deref(), Some(&b"aaa"[..]));
        assert_eq!(base64(b"YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(base64(b"YWI").as_deref(), Some(&b"ab"[..]));
        assert_eq!(base64(b"").as_deref(), Some(&b""[..]));
        assert!(base64(b"Y").is_none() && base64(b"Y-Fh").is_none() && base64(b"YW=h").is_none());
    }

    #[test]
    fn text_that_does_not_change_is_not_copied() {
        let lower = in_case(Value::text("abc"), u8::is_ascii_uppercase, u8::to_ascii_lowercase);
        assert!(matches!(lower, Value::Text(Cow::Borrowed(b"abc"))));
        let last = basename(Value::text("/usr/bin/ls")).unwrap();
        assert!(matches!(last, Value::Text(Cow::Borrowed(b"ls"))));
        assert_eq!(basename(Value::text("/usr/")), Some(Value::text("")));
    }
}
